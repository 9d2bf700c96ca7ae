/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lsvfio: list PCI devices, who can open them, and what userspace sees
 *
 *     file.c		paths, files, memory, notes about missing facts
 *     device.c		devices in sysfs
 *     module.c		vendor drivers: aliases, blacklists, required drivers
 *     holder.c		processes that have a device open
 *     log.c		the kernel log
 *     region.c		regions and migration in debugfs; BARs in sysfs
 *     capability.c	capabilities in config space
 *     open.c		regions, migration and config space by VFIO ioctls
 *     why.c		the state of a device, and what to do about it
 *     list.c, picture.c, json.c	output
 */

#ifndef LSVFIO_H
#define LSVFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NAME_SIZE	80
#define NEXT_SIZE	512		/* of the next command to type */
#define CONFIG_SIZE	4096
#define CONFIG_INDEX	7

/* Bytes of a region; the last byte is included */
struct area {
	uint64_t first;
	uint64_t last;
};

/* A driver of a region: all of it, or a range */
struct layer {
	char driver[NAME_SIZE];
	bool is_range;
	struct area range;
	uint64_t reads;
	uint64_t writes;
};

struct region {
	unsigned int index;
	char name[NAME_SIZE];
	uint64_t size;
	char flags[4];
	bool has_counters;
	uint64_t reads;
	uint64_t writes;
	struct area *areas;		/* that userspace can map */
	size_t nr_areas;
	struct layer *layers;		/* the first one handles an access */
	size_t nr_layers;
	struct area msix[2];		/* table and pending bits */
	size_t nr_msix;
};

/* Where the regions of a device come from */
enum source {
	SOURCE_NONE,
	SOURCE_SYSFS,			/* only sizes of BARs */
	SOURCE_IOCTL,			/* without drivers and counters */
	SOURCE_DEBUGFS,
};

enum module_state {
	MODULE_LOADED,
	MODULE_NOT_LOADED,
	MODULE_BLACKLISTED,
};

enum ability {
	ABILITY_NO,
	ABILITY_UNKNOWN,
	ABILITY_YES,
};

/* Whether a vendor driver that require_vendor_driver requires is there */
enum requirement {
	REQUIREMENT_NONE,
	REQUIREMENT_MET,
	REQUIREMENT_UNKNOWN,		/* a module or BPF programs may have it */
	REQUIREMENT_OTHER_NAME,		/* the name differs in '-' or '_' */
	REQUIREMENT_MISSING,
};

/* A module with a vendor driver or a variant driver for a device */
struct module {
	char name[NAME_SIZE];
	enum module_state state;
};

struct holder {
	int pid;
	char command[NAME_SIZE];
};

struct migration {
	bool is_known;
	bool v1;
	bool v2;
	char features[NAME_SIZE];	/* separated by commas */
	char state[NAME_SIZE];
};

enum state {
	STATE_NO_IOMMU,
	STATE_UNBOUND,
	STATE_HOST,
	STATE_MDEV_PARENT,
	STATE_NOT_VIABLE,
	STATE_IN_USE,
	STATE_REQUIRED,
	STATE_CONFLICT,
	STATE_READY,
};

/* A PCI device, or a mediated device of a PCI device */
struct device {
	char name[NAME_SIZE];		/* address or UUID */
	char parent[NAME_SIZE];		/* PCI device of a mediated device */
	char dma[NAME_SIZE];		/* device that does DMA: its name in debugfs and fdinfo */
	unsigned int vendor, device, subvendor, subdevice, class;
	char driver[NAME_SIZE];
	char override[NAME_SIZE];
	int group;			/* IOMMU group, or -1 */
	bool noiommu;
	char vfio[NAME_SIZE];		/* "vfio0" if a VFIO driver is bound */
	bool has_cdev;
	char mdev_type[NAME_SIZE];	/* if the device offers mediated devices */
	unsigned int numvfs, totalvfs;
	char physfn[NAME_SIZE];

	struct module *vendors;
	size_t nr_vendors;
	struct module *variants;
	size_t nr_variants;
	enum requirement requirement;
	char required[NAME_SIZE];	/* a required driver; empty for any */
	char candidate[NAME_SIZE];	/* its real name, or a module that may have it */

	struct holder *holders;
	size_t nr_holders;

	char log[256];			/* last message about a vendor driver */
	char conflict[2][NAME_SIZE];	/* the vendor drivers in it */

	enum source source;
	struct region *regions;
	size_t nr_regions;
	struct migration migration;

	enum state state;
};

extern const char *root;
extern struct device *devices;
extern size_t nr_devices;
extern char **notes;
extern size_t nr_notes;

/* file.c */
const char *path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool exists(const char *name);
int read_text(char *buf, size_t size, const char *name);
unsigned int read_number(const char *name);
void read_link(char *buf, size_t size, const char *name);
void copy(char *buf, size_t size, const char *text);
void *append(void *array, size_t *nr, size_t size);
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void free_notes(void);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* device.c */
void load_devices(void);
void free_devices(void);
struct device *find_device(const char *name);
void device_node(const struct device *dev, char *buf, size_t size);
void group_node(const struct device *dev, char *buf, size_t size);

/* module.c */
bool module_loaded(const char *name);
bool same_module(const char *a, const char *b);
void add_driver(const char *name);
const char *driver_name(const char *module);
enum ability can_migrate(const char *module);
bool has_bpf_drivers(void);
bool may_have_driver(const struct device *dev, const char *driver);
void load_modules(void);
void check_required(void);
void free_modules(void);

/* holder.c */
void load_holders(void);

/* log.c */
void load_log(void);

/* region.c */
#define NR_NAMES	9

extern const char *const region_names[NR_NAMES];

void add_area(struct region *region, uint64_t first, uint64_t last);
void load_migration(struct device *dev);
void load_regions(struct device *dev);
void load_bars(struct device *dev);
void find_msix(struct device *dev);
void free_regions(struct device *dev);

/* capability.c */
struct capability {
	bool is_extended;
	unsigned int id;
	unsigned int offset;
};

size_t read_config(const struct device *dev, uint8_t *config);
size_t parse_capabilities(const uint8_t *config, size_t size, struct capability **caps);
const char *capability_name(const struct capability *cap);

/* open.c */
struct opened {
	int device;
	int group;
	int iommu;			/* container or iommufd */
};

void open_device(struct opened *opened, const struct device *dev);
void close_device(struct opened *opened);
void query_regions(struct device *dev, int fd);
void query_migration(struct device *dev, int fd);
size_t query_config(int fd, uint8_t *config);

/* why.c */
extern const char *const state_names[];

void diagnose(struct device *dev);
const struct device *group_blocker(const struct device *dev);
const char *migration_driver(const struct device *dev);
bool migration_obstacle(const struct device *dev, char *buf, size_t size);
char *explain(const struct device *dev, char *next, size_t size);

/* list.c */
extern const char *const module_state_names[];

void print_list(struct device *const *list, size_t nr);
void print_device(const struct device *dev);
bool print_diff(const uint8_t *hardware, size_t hardware_size, const uint8_t *user, size_t user_size);

/* picture.c */
void format_size(char *buf, size_t size, uint64_t bytes);
void print_picture(const struct device *dev);

/* json.c */
void print_json(struct device *const *list, size_t nr);

#endif
