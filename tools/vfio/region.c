// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions and migration of a device in debugfs, and BARs in sysfs
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

#define DEBUGFS "/sys/kernel/debug/vfio"

const char *const region_names[NR_NAMES] = {
	"bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "rom", "config", "vga",
};

void free_regions(struct device *dev)
{
	size_t i;

	for (i = 0; i < dev->nr_regions; i++) {
		free(dev->regions[i].areas);
		free(dev->regions[i].layers);
	}
	free(dev->regions);
	dev->regions = NULL;
	dev->nr_regions = 0;
}

/* Check debugfs, and note what is missing without it */
static bool has_debugfs(void)
{
	if (!access(path(DEBUGFS), R_OK | X_OK))
		return true;
	if (errno == EACCES)
		note("cannot read " DEBUGFS ": regions, counters and migration are not shown; run lsvfio as root");
	else
		note("there is no " DEBUGFS ": regions, counters and migration are not shown; mount -t debugfs debugfs /sys/kernel/debug, and use a kernel with CONFIG_VFIO_DEBUGFS");

	return false;
}

static struct region *add_region(struct device *dev)
{
	dev->regions = append(dev->regions, &dev->nr_regions, sizeof(*dev->regions));

	return &dev->regions[dev->nr_regions - 1];
}

void add_area(struct region *region, uint64_t first, uint64_t last)
{
	region->areas = append(region->areas, &region->nr_areas, sizeof(*region->areas));
	region->areas[region->nr_areas - 1] = (struct area){ first, last };
}

/* Parse "0 bar0 size 0x1000 flags rwm reads 1 writes 2 maps 0x0-0xfff,0x2000-0x2fff" */
static bool parse_region(struct device *dev, const char *line)
{
	struct region *region, new = { .has_counters = true };
	uint64_t first, last;
	int len;

	if (sscanf(line, "%u %79s size %" SCNx64 " flags %3s reads %" SCNu64 " writes %" SCNu64 "%n",
		   &new.index, new.name, &new.size, new.flags, &new.reads, &new.writes, &len) != 6)
		return false;
	region = add_region(dev);
	*region = new;

	line += len;
	if (!strncmp(line, " maps ", 6)) {
		for (line += 5; sscanf(line, "%*1[ ,]%" SCNx64 "-%" SCNx64 "%n", &first, &last, &len) == 2; line += len)
			add_area(region, first, last);
	} else if (region->flags[2] == 'm' && region->size) {
		add_area(region, 0, region->size - 1);
	}

	return true;
}

/* Parse "  vfio_pci_edu 0x80-0x9f reads 1 writes 2", or only a driver */
static bool parse_layer(struct device *dev, const char *line)
{
	struct region *region = dev->nr_regions ? &dev->regions[dev->nr_regions - 1] : NULL;
	struct layer layer = {};
	int nr;

	nr = sscanf(line, "  %79s %" SCNx64 "-%" SCNx64 " reads %" SCNu64 " writes %" SCNu64, layer.driver,
		    &layer.range.first, &layer.range.last, &layer.reads, &layer.writes);
	if (!region || (nr != 1 && nr != 5))
		return false;
	layer.is_range = nr == 5;
	region->layers = append(region->layers, &region->nr_layers, sizeof(*region->layers));
	region->layers[region->nr_layers - 1] = layer;
	copy(region->layers[region->nr_layers - 1].driver, sizeof(layer.driver), layer.driver);
	add_driver(layer.driver);

	return true;
}

/* The file is empty while the device is closed. Return false if there is no file. */
static bool load_debugfs(struct device *dev)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	file = fopen(path(DEBUGFS "/%s/pci/regions", dev->dma), "r");
	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		if (!(*line == ' ' ? parse_layer(dev, line) : parse_region(dev, line)))
			die("cannot parse " DEBUGFS "/%s/pci/regions: unknown line: %.*s; use the lsvfio that belongs to the kernel modules",
			    dev->dma, (int)strcspn(line, "\n"), line);
	}
	free(line);
	fclose(file);
	if (dev->nr_regions)
		dev->source = SOURCE_DEBUGFS;

	return true;
}

/*
 * Load the BARs from sysfs, without drivers and mmap areas. Each line of the file
 * has first address, last address and flags.
 */
void load_bars(struct device *dev)
{
	char text[1024], *line = text;
	struct region *region;
	uint64_t first, last;
	unsigned int i;

	read_text(text, sizeof(text), path("/sys/bus/pci/devices/%s/resource", *dev->parent ? dev->parent : dev->name));
	for (i = 0; i < 7 && sscanf(line, "%" SCNx64 " %" SCNx64, &first, &last) == 2; i++) {
		region = add_region(dev);
		region->index = i;
		copy(region->name, sizeof(region->name), region_names[i]);
		region->size = last ? last - first + 1 : 0;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	if (i)
		dev->source = SOURCE_SYSFS;
}

void load_migration(struct device *dev)
{
	char text[NAME_SIZE], *c;

	if (!*dev->vfio || !has_debugfs() || !exists(path(DEBUGFS "/%s", dev->dma)))
		return;
	dev->migration.is_known = true;
	dev->migration.v2 = exists(path(DEBUGFS "/%s/migration", dev->dma));
	read_text(text, sizeof(text), path(DEBUGFS "/%s/migration/features", dev->dma));
	for (c = text; *c; c++) {
		if (*c == '\n')
			*c = ',';
	}
	copy(dev->migration.features, sizeof(dev->migration.features), text);
	read_text(text, sizeof(text), path(DEBUGFS "/%s/migration/state", dev->dma));
	copy(dev->migration.state, sizeof(dev->migration.state), text);
}

/* Load the regions from debugfs, if the device is open */
void load_regions(struct device *dev)
{
	size_t i;

	if (!*dev->vfio || !has_debugfs())
		return;
	if (!load_debugfs(dev))
		note("there is no pci/regions in " DEBUGFS ": drivers and counters of regions are not shown; use vfio modules with region ops");
	/* Type and subtype of the migration region */
	for (i = 0; i < dev->nr_regions; i++)
		dev->migration.v1 |= !strcmp(dev->regions[i].name, "3:1");
}
