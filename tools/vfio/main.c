// SPDX-License-Identifier: GPL-2.0-only
/*
 * lsvfio: list PCI devices, who can open them, and what userspace sees
 */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

enum mode {
	MODE_LIST,
	MODE_VERBOSE,
	MODE_JSON,
	MODE_WHY,
	MODE_DIFF,
};

static const char usage[] =
	"usage: lsvfio [-v | --json] [--open | --watch[=SECONDS]] [DEVICE...]\n"
	"       lsvfio --why DEVICE...\n"
	"       lsvfio --diff --open DEVICE...\n"
	"\n"
	"List PCI devices, who can open them, and what userspace sees.\n"
	"DEVICE is a PCI address such as 0000:00:02.0, or the UUID of a mediated device.\n"
	"\n"
	"  -v, --verbose        show the regions as a table and as a picture\n"
	"      --json           print all as JSON\n"
	"      --why            explain the state, and print the next command to type\n"
	"      --diff           compare the capabilities of the hardware with those that userspace sees\n"
	"      --open           open the device, which resets it; refused if it is in use\n"
	"      --watch[=SECONDS]  repeat every second, or every SECONDS, until Ctrl-C\n"
	"  -h, --help           print this help\n";

static bool open_devices;

/* Load everything about the devices */
static void load(void)
{
	struct device *dev;

	load_devices();
	load_modules();
	load_holders();
	load_log();
	for (dev = devices; dev < devices + nr_devices; dev++) {
		load_migration(dev);
		load_regions(dev);
	}
	check_required();
	for (dev = devices; dev < devices + nr_devices; dev++)
		diagnose(dev);
}

/* Find the selected devices; without names, all except bridges */
static struct device **selected(char *const *names, size_t *nr)
{
	struct device **list = NULL, *dev;

	*nr = 0;
	if (*names) {
		for (; *names; names++) {
			dev = find_device(*names);
			list = append(list, nr, sizeof(*list));
			list[*nr - 1] = dev;
		}
		return list;
	}
	for (dev = devices; dev < devices + nr_devices; dev++) {
		if (dev->class >> 16 == 0x06)
			continue;
		list = append(list, nr, sizeof(*list));
		list[*nr - 1] = dev;
	}

	return list;
}

/* Open a device, and load what userspace sees */
static void load_opened(struct device *dev)
{
	struct opened opened;

	open_device(&opened, dev);
	load_migration(dev);
	load_regions(dev);
	if (dev->source != SOURCE_DEBUGFS)
		query_regions(dev, opened.device);
	query_migration(dev, opened.device);
	close_device(&opened);
}

/* Load the regions of a device, also while it is closed */
static void load_all_regions(struct device *dev)
{
	if (open_devices)
		load_opened(dev);
	else if (dev->source == SOURCE_NONE)
		load_bars(dev);
	find_msix(dev);
}

static void print_reason(const struct device *dev)
{
	char next[NEXT_SIZE];
	char *why;

	why = explain(dev, next, sizeof(next));
	puts(why);
	if (*next)
		printf("\n    %s\n", next);
	free(why);
}

static void diff_device(const struct device *dev)
{
	uint8_t hardware[CONFIG_SIZE], user[CONFIG_SIZE];
	size_t hardware_size, user_size;
	struct opened opened;

	open_device(&opened, dev);
	user_size = query_config(opened.device, user);
	hardware_size = read_config(dev, hardware);
	close_device(&opened);
	if (hardware_size <= 64)
		die("cannot read the capabilities of %s from sysfs: only root can; run lsvfio as root", dev->name);
	puts(dev->name);
	if (!print_diff(hardware, hardware_size, user, user_size))
		puts("userspace sees the capabilities of the hardware");
}

static void print(enum mode mode, char *const *names)
{
	struct device **list;
	size_t nr, i;

	load();
	list = selected(names, &nr);
	if (mode == MODE_VERBOSE || mode == MODE_JSON) {
		for (i = 0; i < nr; i++)
			load_all_regions(list[i]);
	}
	switch (mode) {
	case MODE_LIST:
		print_list(list, nr);
		break;
	case MODE_JSON:
		print_json(list, nr);
		break;
	default:
		for (i = 0; i < nr; i++) {
			if (i)
				putchar('\n');
			if (mode == MODE_VERBOSE)
				print_device(list[i]);
			else if (mode == MODE_WHY)
				print_reason(list[i]);
			else
				diff_device(list[i]);
		}
	}
	fflush(stdout);
	if (mode != MODE_JSON) {
		for (i = 0; i < nr_notes; i++)
			fprintf(stderr, "lsvfio: %s\n", notes[i]);
	}
	free(list);
	free_devices();
	free_modules();
	free_notes();
}

static void watch(enum mode mode, char *const *names, unsigned int seconds)
{
	for (;;) {
		/* Clear the screen */
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		print(mode, names);
		sleep(seconds);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "why", no_argument, NULL, 'y' },
		{ "diff", no_argument, NULL, 'd' },
		{ "open", no_argument, NULL, 'o' },
		{ "watch", optional_argument, NULL, 'w' },
		{ "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	enum mode mode = MODE_LIST, other;
	unsigned int seconds = 0;
	int option;

	while ((option = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
		other = MODE_LIST;
		switch (option) {
		case 'v':
			other = MODE_VERBOSE;
			break;
		case 'j':
			other = MODE_JSON;
			break;
		case 'y':
			other = MODE_WHY;
			break;
		case 'd':
			other = MODE_DIFF;
			break;
		case 'o':
			open_devices = true;
			break;
		case 'w':
			seconds = optarg ? atoi(optarg) : 1;
			if (!seconds || seconds > 86400)
				die("--watch needs a number of seconds, not '%s'", optarg);
			break;
		case 'r':
			root = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			die("unknown option; lsvfio --help lists the options");
		}
		if (other != MODE_LIST && mode != MODE_LIST && other != mode)
			die("choose one of -v, --json, --why and --diff");
		if (other != MODE_LIST)
			mode = other;
	}
	if ((open_devices || mode == MODE_WHY || mode == MODE_DIFF) && optind == argc)
		die("which device? add its PCI address; lsvfio without arguments lists the devices");
	if (mode == MODE_DIFF && !open_devices)
		die("--diff must open the device, which resets it; add --open to permit this");
	if (open_devices && (mode == MODE_LIST || mode == MODE_WHY))
		die("--open has no effect here; use it with -v, --json or --diff");
	if (open_devices && seconds)
		die("--open would reset the device at each repetition; remove --watch");
	if (open_devices && *root)
		die("--open opens real devices; remove --root");

	if (seconds)
		watch(mode, argv + optind, seconds);
	print(mode, argv + optind);

	return 0;
}
