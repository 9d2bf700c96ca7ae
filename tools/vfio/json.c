// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output as JSON; lsvfio.8 has the schema
 */

#include <inttypes.h>
#include <stdlib.h>

#include "lsvfio.h"

/* The first member of an object or array has no comma before it */
static bool is_first;

static void separate(void)
{
	if (!is_first)
		putchar(',');
	is_first = false;
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void key(const char *name)
{
	separate();
	print_text(name);
	putchar(':');
}

/* Begin an object or array; without a name, in an array */
static void begin(const char *name, char bracket)
{
	if (name)
		key(name);
	else
		separate();
	putchar(bracket);
	is_first = true;
}

static void end(char bracket)
{
	putchar(bracket);
	is_first = false;
}

/* Print null instead of an empty text */
static void text(const char *name, const char *value)
{
	key(name);
	if (*value)
		print_text(value);
	else
		fputs("null", stdout);
}

static void number(const char *name, uint64_t value)
{
	key(name);
	printf("%" PRIu64, value);
}

static void truth(const char *name, bool value)
{
	key(name);
	fputs(value ? "true" : "false", stdout);
}

static void hex(const char *name, int digits, unsigned int value)
{
	key(name);
	printf("\"%0*x\"", digits, value);
}

static void print_areas(const char *name, const struct area *areas, size_t nr)
{
	size_t i;

	begin(name, '[');
	for (i = 0; i < nr; i++) {
		begin(NULL, '{');
		number("first", areas[i].first);
		number("last", areas[i].last);
		end('}');
	}
	end(']');
}

static void print_region(const struct region *region)
{
	const struct layer *layer;
	size_t i;

	begin(NULL, '{');
	number("index", region->index);
	text("name", region->name);
	number("size", region->size);
	text("flags", region->flags);
	if (region->has_counters) {
		number("reads", region->reads);
		number("writes", region->writes);
	}
	print_areas("mmap", region->areas, region->nr_areas);
	print_areas("msix", region->msix, region->nr_msix);
	begin("drivers", '[');
	for (i = 0; i < region->nr_layers; i++) {
		layer = &region->layers[i];
		begin(NULL, '{');
		text("name", layer->driver);
		if (layer->is_range) {
			number("first", layer->range.first);
			number("last", layer->range.last);
			number("reads", layer->reads);
			number("writes", layer->writes);
		}
		end('}');
	}
	end(']');
	end('}');
}

static void print_modules(const char *name, const struct module *modules, size_t nr)
{
	size_t i;

	begin(name, '[');
	for (i = 0; i < nr; i++) {
		begin(NULL, '{');
		text("name", modules[i].name);
		text("state", module_state_names[modules[i].state]);
		end('}');
	}
	end(']');
}

static void print_holders(const struct device *dev)
{
	size_t i;

	begin("holders", '[');
	for (i = 0; i < dev->nr_holders; i++) {
		begin(NULL, '{');
		number("pid", dev->holders[i].pid);
		text("command", dev->holders[i].command);
		end('}');
	}
	end(']');
}

static void print_migration(const struct device *dev)
{
	const struct migration *migration = &dev->migration;
	char obstacle[NEXT_SIZE];

	migration_obstacle(dev, obstacle, sizeof(obstacle));
	begin("migration", '{');
	truth("known", migration->is_known);
	truth("v1", migration->v1);
	truth("v2", migration->v2);
	text("features", migration->features);
	text("state", migration->state);
	text("driver", migration_driver(dev));
	text("why_not", obstacle);
	end('}');
}

static void print_why(const struct device *dev)
{
	char next[NEXT_SIZE];
	char *why;

	why = explain(dev, next, sizeof(next));
	text("why", why);
	text("next", next);
	free(why);
}

static void print_one(const struct device *dev)
{
	static const char *const sources[] = {
		[SOURCE_NONE]		= "",
		[SOURCE_SYSFS]		= "sysfs",
		[SOURCE_IOCTL]		= "ioctl",
		[SOURCE_DEBUGFS]	= "debugfs",
	};
	size_t i;

	begin(NULL, '{');
	text("device", dev->name);
	text("parent", dev->parent);
	hex("vendor_id", 4, dev->vendor);
	hex("device_id", 4, dev->device);
	hex("subsystem_vendor_id", 4, dev->subvendor);
	hex("subsystem_device_id", 4, dev->subdevice);
	hex("class", 6, dev->class);
	text("driver", dev->driver);
	text("driver_override", dev->override);
	if (dev->group >= 0)
		number("iommu_group", dev->group);
	else
		text("iommu_group", "");
	truth("noiommu", dev->noiommu);
	text("cdev", dev->has_cdev ? dev->vfio : "");
	text("physfn", dev->physfn);
	number("numvfs", dev->numvfs);
	number("totalvfs", dev->totalvfs);
	text("state", state_names[dev->state]);
	print_why(dev);
	print_holders(dev);
	print_modules("vendor_drivers", dev->vendors, dev->nr_vendors);
	print_modules("variant_drivers", dev->variants, dev->nr_variants);
	print_migration(dev);
	text("regions_from", sources[dev->source]);
	begin("regions", '[');
	for (i = 0; i < dev->nr_regions; i++)
		print_region(&dev->regions[i]);
	end(']');
	end('}');
}

void print_json(struct device *const *list, size_t nr)
{
	size_t i;

	is_first = true;
	begin(NULL, '{');
	number("version", 1);
	begin("devices", '[');
	for (i = 0; i < nr; i++) {
		print_one(list[i]);
		/* One line for each device */
		putchar('\n');
	}
	end(']');
	begin("missing", '[');
	for (i = 0; i < nr_notes; i++) {
		separate();
		print_text(notes[i]);
	}
	end(']');
	end('}');
	putchar('\n');
}
