// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables: the list of devices, the regions of a device, and capabilities
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

#define MAX_COLUMNS	9
#define CELL_SIZE	256

struct row {
	char cells[MAX_COLUMNS][CELL_SIZE];
};

const char *const module_state_names[] = {
	[MODULE_LOADED]		= "loaded",
	[MODULE_NOT_LOADED]	= "not-loaded",
	[MODULE_BLACKLISTED]	= "blacklisted",
};

/* Print rows with aligned columns; the first row has the titles */
static void print_table(const char *margin, const struct row *rows, size_t nr)
{
	int widths[MAX_COLUMNS] = {}, len, last, column;
	size_t i;

	for (i = 0; i < nr; i++) {
		for (column = 0; column < MAX_COLUMNS; column++) {
			len = strlen(rows[i].cells[column]);
			if (len > widths[column])
				widths[column] = len;
		}
	}
	for (i = 0; i < nr; i++) {
		for (last = MAX_COLUMNS - 1; last && !*rows[i].cells[last]; last--)
			;
		fputs(margin, stdout);
		for (column = 0; column < last; column++)
			printf("%-*s  ", widths[column], rows[i].cells[column]);
		puts(rows[i].cells[last]);
	}
}

static struct row *add_row(struct row **rows, size_t *nr)
{
	*rows = append(*rows, nr, sizeof(**rows));

	return &(*rows)[*nr - 1];
}

static void add_title(struct row **rows, size_t *nr, const char *const *titles)
{
	struct row *row = add_row(rows, nr);
	int column;

	for (column = 0; titles[column]; column++)
		copy(row->cells[column], CELL_SIZE, titles[column]);
}

/* Append text to a list that commas separate */
static void add_text(char *buf, size_t size, const char *text)
{
	size_t len;

	if (*buf && strlen(buf) + 1 < size)
		strcat(buf, ",");
	len = strlen(buf);
	copy(buf + len, size - len, text);
}

static void list_vendors(const struct device *dev, char *buf, size_t size)
{
	const struct module *module;
	char text[2 * NAME_SIZE];
	size_t i;

	copy(buf, size, "");
	for (i = 0; i < dev->nr_vendors; i++) {
		module = &dev->vendors[i];
		if (module->state == MODULE_LOADED)
			copy(text, sizeof(text), module->name);
		else
			snprintf(text, sizeof(text), "%s(%s)", module->name, module_state_names[module->state]);
		add_text(buf, size, text);
	}
	if (!dev->nr_vendors)
		copy(buf, size, "-");
}

static void list_migration(const struct device *dev, char *buf, size_t size)
{
	copy(buf, size, "");
	if (dev->migration.v1)
		add_text(buf, size, "v1");
	if (dev->migration.v2)
		add_text(buf, size, "v2");
	if (!*buf)
		copy(buf, size, !*dev->vfio ? "-" : dev->migration.is_known ? "no" : "?");
}

static void list_holders(const struct device *dev, char *buf, size_t size)
{
	char text[2 * NAME_SIZE];
	size_t i;

	copy(buf, size, "");
	for (i = 0; i < dev->nr_holders; i++) {
		snprintf(text, sizeof(text), "%d(%s)", dev->holders[i].pid, dev->holders[i].command);
		add_text(buf, size, text);
	}
	if (!dev->nr_holders)
		copy(buf, size, "-");
}

static void list_group(const struct device *dev, char *buf, size_t size)
{
	if (dev->group < 0)
		copy(buf, size, "-");
	else
		snprintf(buf, size, "%s%d", dev->noiommu ? "noiommu-" : "", dev->group);
}

/* Print one line for each device */
void print_list(struct device *const *list, size_t nr)
{
	static const char *const titles[] = {
		"DEVICE", "ID", "DRIVER", "GROUP", "CDEV", "STATE", "MIGRATION", "VENDOR-DRIVERS", "HOLDER", NULL,
	};
	const struct device *dev;
	struct row *rows = NULL, *row;
	size_t nr_rows = 0, i;

	add_title(&rows, &nr_rows, titles);
	for (i = 0; i < nr; i++) {
		dev = list[i];
		row = add_row(&rows, &nr_rows);
		copy(row->cells[0], CELL_SIZE, dev->name);
		snprintf(row->cells[1], CELL_SIZE, "%04x:%04x", dev->vendor, dev->device);
		copy(row->cells[2], CELL_SIZE, *dev->driver ? dev->driver : "-");
		list_group(dev, row->cells[3], CELL_SIZE);
		copy(row->cells[4], CELL_SIZE, dev->has_cdev ? dev->vfio : "-");
		copy(row->cells[5], CELL_SIZE, state_names[dev->state]);
		list_migration(dev, row->cells[6], CELL_SIZE);
		list_vendors(dev, row->cells[7], CELL_SIZE);
		list_holders(dev, row->cells[8], CELL_SIZE);
	}
	print_table("", rows, nr_rows);
	free(rows);
}

static void add_counters(struct row *row, uint64_t reads, uint64_t writes)
{
	snprintf(row->cells[6], CELL_SIZE, "%" PRIu64, reads);
	snprintf(row->cells[7], CELL_SIZE, "%" PRIu64, writes);
}

static void add_region(struct row **rows, size_t *nr, const struct region *region)
{
	const struct layer *layer;
	struct row *row;
	size_t i;

	row = add_row(rows, nr);
	snprintf(row->cells[0], CELL_SIZE, "%u", region->index);
	copy(row->cells[1], CELL_SIZE, region->name);
	format_size(row->cells[2], CELL_SIZE, region->size);
	copy(row->cells[3], CELL_SIZE, region->flags);
	if (region->has_counters)
		add_counters(row, region->reads, region->writes);

	for (i = 0; i < region->nr_layers; i++) {
		layer = &region->layers[i];
		row = add_row(rows, nr);
		copy(row->cells[4], CELL_SIZE, layer->driver);
		copy(row->cells[5], CELL_SIZE, "all");
		if (!layer->is_range)
			continue;
		snprintf(row->cells[5], CELL_SIZE, "%#" PRIx64 "-%#" PRIx64, layer->range.first, layer->range.last);
		add_counters(row, layer->reads, layer->writes);
	}
	for (i = 0; i < region->nr_areas; i++) {
		row = add_row(rows, nr);
		copy(row->cells[4], CELL_SIZE, "(mmap)");
		snprintf(row->cells[5], CELL_SIZE, "%#" PRIx64 "-%#" PRIx64,
			 region->areas[i].first, region->areas[i].last);
	}
}

static void print_regions(const struct device *dev)
{
	static const char *const titles[] = {
		"INDEX", "REGION", "SIZE", "FLAGS", "DRIVER", "BYTES", "READS", "WRITES", NULL,
	};
	struct row *rows = NULL;
	size_t nr = 0, i;

	add_title(&rows, &nr, titles);
	for (i = 0; i < dev->nr_regions; i++) {
		if (dev->regions[i].size)
			add_region(&rows, &nr, &dev->regions[i]);
	}
	print_table("  ", rows, nr);
	free(rows);
}

static void print_migration(const struct device *dev)
{
	const struct migration *migration = &dev->migration;
	const char *driver = migration_driver(dev);
	char protocols[CELL_SIZE], obstacle[NEXT_SIZE];

	list_migration(dev, protocols, sizeof(protocols));
	printf("  migration       %s%s%s%s%s", protocols, *migration->features ? ", " : "", migration->features,
	       *migration->state ? ", state " : "", migration->state);
	if (*driver)
		printf(", driver %s", driver);
	if (migration_obstacle(dev, obstacle, sizeof(obstacle)))
		printf(": %s", obstacle);
	putchar('\n');
}

/* Print all about a device */
void print_device(const struct device *dev)
{
	static const char *const sources[] = {
		[SOURCE_NONE]		= "none is known",
		[SOURCE_SYSFS]		= "BARs in sysfs; while the device is open, or with --open, lsvfio shows what userspace sees",
		[SOURCE_IOCTL]		= "as userspace sees them; drivers and counters need debugfs",
		[SOURCE_DEBUGFS]	= "as userspace sees them",
	};
	char text[CELL_SIZE];

	printf("%s  %04x:%04x  subsystem %04x:%04x  class %06x\n", dev->name, dev->vendor, dev->device,
	       dev->subvendor, dev->subdevice, dev->class);
	printf("  state           %s\n", state_names[dev->state]);
	printf("  driver          %s%s%s\n", *dev->driver ? dev->driver : "-",
	       *dev->override ? ", driver_override " : "", dev->override);
	list_group(dev, text, sizeof(text));
	printf("  IOMMU group     %s\n", text);
	printf("  cdev            %s%s\n", dev->has_cdev ? "/dev/vfio/devices/" : "", dev->has_cdev ? dev->vfio : "-");
	if (*dev->parent)
		printf("  parent          %s\n", dev->parent);
	if (*dev->physfn)
		printf("  PF              %s\n", dev->physfn);
	if (dev->totalvfs)
		printf("  VFs             %u of %u\n", dev->numvfs, dev->totalvfs);
	list_vendors(dev, text, sizeof(text));
	printf("  vendor drivers  %s\n", text);
	print_migration(dev);
	list_holders(dev, text, sizeof(text));
	printf("  holder          %s\n", text);
	printf("  regions         %s\n\n", sources[dev->source]);
	if (!dev->nr_regions)
		return;
	print_regions(dev);
	if (dev->source != SOURCE_SYSFS) {
		putchar('\n');
		print_picture(dev);
	}
}

static const struct capability *find(const struct capability *caps, size_t nr, const struct capability *cap)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (caps[i].is_extended == cap->is_extended && caps[i].offset == cap->offset && caps[i].id == cap->id)
			return &caps[i];
	}

	return NULL;
}

static void add_capability(struct row **rows, size_t *nr, const struct capability *cap, const char *who)
{
	struct row *row = add_row(rows, nr);

	copy(row->cells[0], CELL_SIZE, who);
	snprintf(row->cells[1], CELL_SIZE, "%#x", cap->offset);
	snprintf(row->cells[2], CELL_SIZE, "%#x", cap->id);
	snprintf(row->cells[3], CELL_SIZE, "%s%s", cap->is_extended ? "extended, " : "", capability_name(cap));
}

/*
 * Compare the capabilities of the hardware with those that userspace sees. Return
 * whether they differ.
 */
bool print_diff(const uint8_t *hardware, size_t hardware_size, const uint8_t *user, size_t user_size)
{
	static const char *const titles[] = { "SEEN-BY", "OFFSET", "ID", "CAPABILITY", NULL };
	struct capability *real, *seen;
	struct row *rows = NULL;
	size_t nr_real, nr_seen, nr = 0, i;
	bool differ = false;

	nr_real = parse_capabilities(hardware, hardware_size, &real);
	nr_seen = parse_capabilities(user, user_size, &seen);
	add_title(&rows, &nr, titles);
	for (i = 0; i < nr_real; i++) {
		if (find(seen, nr_seen, &real[i])) {
			add_capability(&rows, &nr, &real[i], "both");
		} else {
			add_capability(&rows, &nr, &real[i], "hardware");
			differ = true;
		}
	}
	for (i = 0; i < nr_seen; i++) {
		if (find(real, nr_real, &seen[i]))
			continue;
		add_capability(&rows, &nr, &seen[i], "userspace");
		differ = true;
	}
	print_table("", rows, nr);
	free(rows);
	free(real);
	free(seen);

	return differ;
}
