// SPDX-License-Identifier: GPL-2.0-only
/*
 * A picture of the regions of a device: one bar for each region
 */

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lsvfio.h"

/* Columns of a line besides the bar: margin, name, size and borders */
#define MARGIN		26

enum kind {
	KIND_MAPPED,
	KIND_TRAPPED,
	KIND_MSIX,
	KIND_HOLE,
	NR_KINDS,
};

static const struct {
	const char *ascii;
	const char *utf8;
	const char *name;
} kinds[NR_KINDS] = {
	[KIND_MAPPED]	= { "=", "\u2588", "mapped" },
	[KIND_TRAPPED]	= { "#", "\u2593", "handled by a vendor driver" },
	[KIND_MSIX]	= { "X", "\u2573", "MSI-X" },
	[KIND_HOLE]	= { ".", "\u2591", "only read and write" },
};

static bool overlap(const struct area *a, const struct area *b)
{
	return a->first <= b->last && b->first <= a->last;
}

static bool is_mapped(const struct region *region, const struct area *cell)
{
	uint64_t next = cell->first;
	size_t i;

	for (i = 0; i < region->nr_areas; i++) {
		if (region->areas[i].first > next)
			return false;
		if (region->areas[i].last >= cell->last)
			return true;
		if (region->areas[i].last >= next)
			next = region->areas[i].last + 1;
	}

	return false;
}

/* A cell with several kinds of bytes shows the least common one */
static enum kind kind_of(const struct device *dev, const struct region *region, const struct area *cell)
{
	size_t i;

	for (i = 0; i < region->nr_layers; i++) {
		if (region->layers[i].is_range && overlap(&region->layers[i].range, cell))
			return KIND_TRAPPED;
	}
	for (i = 0; i < region->nr_msix; i++) {
		if (overlap(&region->msix[i], cell))
			return KIND_MSIX;
	}
	if (is_mapped(region, cell))
		return KIND_MAPPED;
	/* A vendor driver handles all of a region that it adds or overrides */
	for (i = 0; i < region->nr_layers; i++) {
		if (!region->layers[i].is_range && strcmp(region->layers[i].driver, dev->driver))
			return KIND_TRAPPED;
	}

	return KIND_HOLE;
}

static int terminal_width(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;

	return columns && atoi(columns) > MARGIN ? atoi(columns) : 80;
}

/* Print a size with the largest unit that divides it */
void format_size(char *buf, size_t size, uint64_t bytes)
{
	static const char units[] = " KMGTPE";
	int unit = 0;

	while (bytes && !(bytes % 1024)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, size, "%" PRIu64 "%.*s", bytes, unit ? 1 : 0, units + unit);
}

void print_picture(const struct device *dev)
{
	bool utf8 = isatty(STDOUT_FILENO) && setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8");
	int width = terminal_width() - MARGIN, cells, cell;
	const struct region *region;
	char size[32];
	enum kind kind;
	size_t i;

	if (width < 8)
		width = 8;
	for (i = 0; i < dev->nr_regions; i++) {
		region = &dev->regions[i];
		if (!region->size)
			continue;
		format_size(size, sizeof(size), region->size);
		printf("  %-12.12s %6s |", region->name, size);
		cells = region->size < (uint64_t)width ? (int)region->size : width;
		for (cell = 0; cell < cells; cell++) {
			/* Split the product, which may exceed 64 bits */
			const uint64_t whole = region->size / cells, rest = region->size % cells;
			const struct area bytes = {
				whole * cell + rest * cell / cells,
				whole * (cell + 1) + rest * (cell + 1) / cells - 1,
			};

			kind = kind_of(dev, region, &bytes);
			fputs(utf8 ? kinds[kind].utf8 : kinds[kind].ascii, stdout);
		}
		puts("|");
	}
	for (kind = 0; kind < NR_KINDS; kind++)
		printf("  %s %s", utf8 ? kinds[kind].utf8 : kinds[kind].ascii, kinds[kind].name);
	putchar('\n');
}
