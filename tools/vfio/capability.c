// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capabilities in config space
 */

#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

#define STATUS		0x06
#define STATUS_CAP_LIST	0x10
#define CAP_POINTER	0x34
#define CAP_MSIX	0x11
#define EXTENDED	0x100

static const char *const names[] = {
	[0x01] = "power management",
	[0x02] = "AGP",
	[0x03] = "vital product data",
	[0x04] = "slot identification",
	[0x05] = "MSI",
	[0x06] = "CompactPCI hot swap",
	[0x07] = "PCI-X",
	[0x08] = "HyperTransport",
	[0x09] = "vendor-specific",
	[0x0a] = "debug port",
	[0x0b] = "CompactPCI resource control",
	[0x0c] = "hot plug",
	[0x0d] = "bridge subsystem id",
	[0x0e] = "AGP 8x",
	[0x0f] = "secure device",
	[0x10] = "PCI Express",
	[0x11] = "MSI-X",
	[0x12] = "SATA",
	[0x13] = "advanced features",
	[0x14] = "enhanced allocation",
};

static const char *const extended_names[] = {
	[0x01] = "advanced error reporting",
	[0x02] = "virtual channel",
	[0x03] = "device serial number",
	[0x04] = "power budgeting",
	[0x05] = "root complex link",
	[0x06] = "root complex internal link",
	[0x07] = "root complex event collector",
	[0x08] = "multi-function virtual channel",
	[0x09] = "virtual channel",
	[0x0a] = "root complex register block",
	[0x0b] = "vendor-specific",
	[0x0d] = "access control services",
	[0x0e] = "alternative routing-id",
	[0x0f] = "address translation services",
	[0x10] = "SR-IOV",
	[0x11] = "multi-root I/O virtualization",
	[0x12] = "multicast",
	[0x13] = "page request",
	[0x15] = "resizable BAR",
	[0x16] = "dynamic power allocation",
	[0x17] = "TPH requester",
	[0x18] = "latency tolerance reporting",
	[0x19] = "secondary PCI Express",
	[0x1a] = "protocol multiplexing",
	[0x1b] = "process address space id",
	[0x1d] = "downstream port containment",
	[0x1e] = "L1 PM substates",
	[0x1f] = "precision time measurement",
	[0x23] = "designated vendor-specific",
	[0x24] = "VF resizable BAR",
	[0x25] = "data link feature",
	[0x26] = "physical layer 16 GT/s",
	[0x27] = "lane margining",
	[0x2a] = "physical layer 32 GT/s",
	[0x2e] = "data object exchange",
};

const char *capability_name(const struct capability *cap)
{
	const char *name = NULL;

	if (cap->is_extended && cap->id < sizeof(extended_names) / sizeof(*extended_names))
		name = extended_names[cap->id];
	else if (!cap->is_extended && cap->id < sizeof(names) / sizeof(*names))
		name = names[cap->id];

	return name ? name : "unknown";
}

static uint32_t read32(const uint8_t *config, size_t pos)
{
	return config[pos] | config[pos + 1] << 8 | config[pos + 2] << 16 | (uint32_t)config[pos + 3] << 24;
}

static bool is_seen(const struct capability *caps, size_t nr, unsigned int offset)
{
	while (nr--) {
		if (caps[nr].offset == offset)
			return true;
	}

	return false;
}

static void add_capability(struct capability **caps, size_t *nr, bool is_extended, unsigned int id,
			   unsigned int offset)
{
	*caps = append(*caps, nr, sizeof(**caps));
	(*caps)[*nr - 1] = (struct capability){ is_extended, id, offset };
}

/* List the capabilities in the first @size bytes of config space; the caller frees them */
size_t parse_capabilities(const uint8_t *config, size_t size, struct capability **caps)
{
	unsigned int pos;
	uint32_t header;
	size_t nr = 0;

	*caps = NULL;
	if (size < EXTENDED || !(config[STATUS] & STATUS_CAP_LIST))
		return 0;

	for (pos = config[CAP_POINTER] & ~3; pos >= 0x40 && !is_seen(*caps, nr, pos); pos = config[pos + 1] & ~3)
		add_capability(caps, &nr, false, config[pos], pos);

	for (pos = EXTENDED; pos >= EXTENDED && pos + 4 <= size && !is_seen(*caps, nr, pos);
	     pos = header >> 20 & ~3) {
		header = read32(config, pos);
		if (!header || header == ~0u)
			break;
		/* A first header with id 0 only points to the next one */
		if (header & 0xffff)
			add_capability(caps, &nr, true, header & 0xffff, pos);
	}

	return nr;
}

/* Read config space from sysfs. Without root, the kernel returns only 64 bytes. */
size_t read_config(const struct device *dev, uint8_t *config)
{
	FILE *file;
	size_t len;

	file = fopen(path("/sys/bus/pci/devices/%s/config", *dev->parent ? dev->parent : dev->name), "r");
	if (!file)
		return 0;
	len = fread(config, 1, CONFIG_SIZE, file);
	fclose(file);

	return len;
}

static void add_msix(struct device *dev, uint32_t location, uint64_t size)
{
	uint64_t first = location & ~7u;
	struct region *region;
	size_t i;

	for (i = 0; i < dev->nr_regions; i++) {
		region = &dev->regions[i];
		if (region->index == (location & 7) && region->nr_msix < 2)
			region->msix[region->nr_msix++] = (struct area){ first, first + size - 1 };
	}
}

/* Find the MSI-X table and the pending bits in the regions of a device */
void find_msix(struct device *dev)
{
	uint8_t config[CONFIG_SIZE];
	struct capability *caps;
	unsigned int entries;
	size_t size, nr, i;

	size = read_config(dev, config);
	if (size == 64)
		note("cannot read all of config space: MSI-X tables are not shown; run lsvfio as root");
	nr = parse_capabilities(config, size, &caps);
	for (i = 0; i < nr; i++) {
		if (caps[i].is_extended || caps[i].id != CAP_MSIX || caps[i].offset + 12 > EXTENDED)
			continue;
		entries = (read32(config, caps[i].offset) >> 16 & 0x7ff) + 1;
		add_msix(dev, read32(config, caps[i].offset + 4), entries * 16);
		add_msix(dev, read32(config, caps[i].offset + 8), (entries + 63) / 64 * 8);
	}
	free(caps);
}
