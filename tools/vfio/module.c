// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules with vendor drivers: the aliases that match a device, blacklists, and
 * vendor drivers that the operator requires
 */

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lsvfio.h"

struct alias {
	char pattern[256];
	char module[NAME_SIZE];
};

struct id {
	unsigned int vendor, device, subvendor, subdevice, class, mask;
};

/*
 * The name of a driver is not always that of its module, and the kernel has no list of
 * vendor drivers. These are known from the source.
 */
static const struct {
	const char *name;
	enum ability migration;
} known_drivers[] = {
	{ "vfio-pci-igbvf",		ABILITY_YES },
	{ "vfio_pci_igd",		ABILITY_NO },
	{ "vfio_pci_edu",		ABILITY_NO },
	{ "vfio_pci_edu_migration",	ABILITY_YES },
	{ "vfio_pci_edu_signal",	ABILITY_NO },
};

static struct alias *aliases;
static size_t nr_aliases;
static char (*blacklist)[NAME_SIZE];
static size_t nr_blacklist;
/* Names of drivers in the kernel log and in debugfs */
static char (*drivers)[NAME_SIZE];
static size_t nr_drivers;

/* Compare names of modules: '-' and '_' are equal */
bool same_module(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	}

	return *a == *b;
}

/* The folder has the name of the module with '_' */
bool module_loaded(const char *name)
{
	char buf[NAME_SIZE], *c;

	copy(buf, sizeof(buf), name);
	for (c = buf; *c; c++) {
		if (*c == '-')
			*c = '_';
	}

	return *buf && exists(path("/sys/module/%s", buf));
}

void add_driver(const char *name)
{
	drivers = append(drivers, &nr_drivers, sizeof(*drivers));
	copy(drivers[nr_drivers - 1], sizeof(*drivers), name);
}

/* Return the name of the driver in a module, or NULL if it is not known */
static const char *driver_of(const char *module)
{
	size_t i;

	/* The last message is the newest one */
	for (i = nr_drivers; i--;) {
		if (same_module(drivers[i], module))
			return drivers[i];
	}
	for (i = 0; i < sizeof(known_drivers) / sizeof(*known_drivers); i++) {
		if (same_module(known_drivers[i].name, module))
			return known_drivers[i].name;
	}

	return NULL;
}

/* Return the name of the driver in a module; that of the module if it is not known */
const char *driver_name(const char *module)
{
	const char *driver = driver_of(module);

	return driver ? driver : module;
}

/* Return whether the driver in a module can migrate devices */
enum ability can_migrate(const char *module)
{
	size_t i;

	for (i = 0; i < sizeof(known_drivers) / sizeof(*known_drivers); i++) {
		if (same_module(known_drivers[i].name, module))
			return known_drivers[i].migration;
	}

	return ABILITY_UNKNOWN;
}

/* BPF drivers have no module of their own, but hold a reference to this one */
bool has_bpf_drivers(void)
{
	char references[NAME_SIZE];

	if (!module_loaded("vfio_pci_bpf"))
		return false;
	read_text(references, sizeof(references), path("/sys/module/vfio_pci_bpf/refcnt"));

	return strcmp(references, "0");
}

static bool is_blacklisted(const char *name)
{
	size_t i;

	for (i = 0; i < nr_blacklist; i++) {
		if (same_module(blacklist[i], name))
			return true;
	}

	return false;
}

/* Parse a line of modules.alias or of modprobe's configuration */
static void parse_line(const char *line)
{
	struct alias alias;
	char name[NAME_SIZE];

	if (sscanf(line, "alias %255s %79s", alias.pattern, alias.module) == 2) {
		if (strncmp(alias.pattern, "vfio-pci-vendor:", 16) && strncmp(alias.pattern, "vfio_pci:", 9))
			return;
		aliases = append(aliases, &nr_aliases, sizeof(*aliases));
		aliases[nr_aliases - 1] = alias;
	} else if (sscanf(line, "blacklist %79s", name) == 1) {
		blacklist = append(blacklist, &nr_blacklist, sizeof(*blacklist));
		copy(blacklist[nr_blacklist - 1], sizeof(*blacklist), name);
	}
}

static void load_aliases(void)
{
	struct utsname uts;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	uname(&uts);
	file = fopen(path("/lib/modules/%s/modules.alias", uts.release), "r");
	if (!file) {
		note("cannot read /lib/modules/%s/modules.alias: vendor drivers that are not loaded are not shown; install the modules of the running kernel, or run depmod",
		     uts.release);
		return;
	}
	while (getline(&line, &size, file) > 0)
		parse_line(line);
	free(line);
	fclose(file);
}

/* modprobe prints the configuration, a comment, and then all aliases of modules */
static void load_config(void)
{
	static const char end[] = "# End of configuration files";
	char command[1024];
	bool found = false;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin; modprobe --showconfig 2>/dev/null");
	if (*root)
		snprintf(command, sizeof(command),
			 "PATH=$PATH:/usr/sbin:/sbin; modprobe --showconfig -C '%s/etc/modprobe.d' 2>/dev/null", root);
	file = popen(command, "r");
	while (file && getline(&line, &size, file) > 0) {
		found = true;
		if (!strncmp(line, end, strlen(end)))
			break;
		parse_line(line);
	}
	free(line);
	if (file)
		pclose(file);
	if (!found)
		note("cannot run modprobe --showconfig: blacklists are not shown; install the package kmod");
}

static void add_module(struct module **modules, size_t *nr, const char *name)
{
	struct module *module;
	size_t i;

	for (i = 0; i < *nr; i++) {
		if (same_module((*modules)[i].name, name))
			return;
	}
	*modules = append(*modules, nr, sizeof(**modules));
	module = &(*modules)[*nr - 1];
	copy(module->name, sizeof(module->name), name);
	module->state = module_loaded(name) ? MODULE_LOADED :
			is_blacklisted(name) ? MODULE_BLACKLISTED : MODULE_NOT_LOADED;
}

static void match_aliases(struct device *dev)
{
	char vendor[128], variant[128];
	size_t i;

	snprintf(vendor, sizeof(vendor), "vfio-pci-vendor:v%04Xd%04Xsv%04Xsd%04Xbc%02Xsc%02Xi%02X",
		 dev->vendor, dev->device, dev->subvendor, dev->subdevice,
		 dev->class >> 16 & 0xff, dev->class >> 8 & 0xff, dev->class & 0xff);
	snprintf(variant, sizeof(variant), "vfio_pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X",
		 dev->vendor, dev->device, dev->subvendor, dev->subdevice,
		 dev->class >> 16 & 0xff, dev->class >> 8 & 0xff, dev->class & 0xff);

	for (i = 0; i < nr_aliases; i++) {
		if (!fnmatch(aliases[i].pattern, vendor, 0))
			add_module(&dev->vendors, &dev->nr_vendors, aliases[i].module);
		/* vfio-pci has an alias for all devices */
		if (!fnmatch(aliases[i].pattern, variant, 0) && !same_module(aliases[i].module, "vfio-pci"))
			add_module(&dev->variants, &dev->nr_variants, aliases[i].module);
	}
}

/*
 * Parse the next entry of a list of ids, as the kernel does: "id[=name]", where
 * id is "vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]". Set @name
 * to an empty string if the entry has none.
 */
static bool next_id(const char **list, struct id *id, char *name, size_t size)
{
	char entry[256], *value;
	size_t len;

	*list += strspn(*list, ",\n");
	len = strcspn(*list, ",\n");
	if (!len)
		return false;
	snprintf(entry, sizeof(entry), "%.*s", (int)len, *list);
	*list += len;

	value = strchr(entry, '=');
	copy(name, size, value ? value + 1 : "");
	*id = (struct id){ .subvendor = ~0u, .subdevice = ~0u };

	return sscanf(entry, "%x:%x:%x:%x:%x:%x", &id->vendor, &id->device, &id->subvendor,
		      &id->subdevice, &id->class, &id->mask) >= 2;
}

static bool matches(const struct device *dev, const struct id *id)
{
	return (id->vendor == ~0u || id->vendor == dev->vendor) &&
	       (id->device == ~0u || id->device == dev->device) &&
	       (id->subvendor == ~0u || id->subvendor == dev->subvendor) &&
	       (id->subdevice == ~0u || id->subdevice == dev->subdevice) &&
	       !((id->class ^ dev->class) & id->mask);
}

/* Find loaded vendor drivers that get their ids from a module parameter */
static void match_parameters(const char *module)
{
	char ids[1024], name[NAME_SIZE];
	const char *next = ids;
	struct device *dev;
	struct id id;

	read_text(ids, sizeof(ids), path("/sys/module/%s/parameters/ids", module));
	while (next_id(&next, &id, name, sizeof(name))) {
		for (dev = devices; dev < devices + nr_devices; dev++) {
			if (matches(dev, &id))
				add_module(&dev->vendors, &dev->nr_vendors, module);
		}
	}
}

static bool is_known(const char *module)
{
	size_t i;

	for (i = 0; i < nr_aliases; i++) {
		if (same_module(aliases[i].module, module))
			return true;
	}

	return false;
}

/*
 * Find a loaded module that may contain a driver of another name. Return NULL if there
 * is none.
 */
static const char *find_unknown(const struct device *dev)
{
	size_t i;

	for (i = 0; i < dev->nr_vendors; i++) {
		if (dev->vendors[i].state == MODULE_LOADED && !driver_of(dev->vendors[i].name))
			return dev->vendors[i].name;
	}

	return NULL;
}

/*
 * Check whether a driver in a message of the kernel may still be there: as a module, as
 * BPF programs, or in a module of another name.
 */
bool may_have_driver(const struct device *dev, const char *driver)
{
	return module_loaded(driver) || (!is_known(driver) && (has_bpf_drivers() || find_unknown(dev)));
}

static bool has_loaded_vendor(const struct device *dev)
{
	size_t i;

	for (i = 0; i < dev->nr_vendors; i++) {
		if (dev->vendors[i].state == MODULE_LOADED)
			return true;
	}

	return false;
}

/*
 * Check a required driver; without a name, any driver is sufficient. The kernel compares
 * the names of drivers exactly. Set @found to a driver of a similar name, or to a module
 * that may have the driver.
 */
static enum requirement find_required(const struct device *dev, const char *name, const char **found)
{
	const char *driver, *module = NULL;

	*found = "";
	if (!*name && has_loaded_vendor(dev))
		return REQUIREMENT_MET;
	if (module_loaded(name)) {
		driver = driver_of(name);
		*found = driver ? driver : name;
		return !driver ? REQUIREMENT_UNKNOWN :
		       strcmp(driver, name) ? REQUIREMENT_OTHER_NAME : REQUIREMENT_MET;
	}
	if (is_known(name))
		return REQUIREMENT_MISSING;
	if (*name)
		module = find_unknown(dev);
	if (module)
		*found = module;

	return module || has_bpf_drivers() ? REQUIREMENT_UNKNOWN : REQUIREMENT_MISSING;
}

static void check_entry(struct device *dev, const char *name)
{
	enum requirement requirement;
	const char *found;

	requirement = find_required(dev, name, &found);
	if (requirement == REQUIREMENT_UNKNOWN)
		note("cannot tell whether the required vendor driver %s is there; lsvfio --why DEVICE tells more",
		     *name ? name : "(any)");
	if (requirement <= dev->requirement)
		return;
	dev->requirement = requirement;
	copy(dev->required, sizeof(dev->required), name);
	copy(dev->candidate, sizeof(dev->candidate), found);
}

/* Check the vendor drivers that the operator requires; the log and the regions are loaded */
void check_required(void)
{
	char list[4096], name[NAME_SIZE];
	const char *next = list;
	struct device *dev;
	struct id id;

	read_text(list, sizeof(list), path("/sys/module/vfio_pci_core/parameters/require_vendor_driver"));
	if (!strcmp(list, "(null)"))
		return;
	while (next_id(&next, &id, name, sizeof(name))) {
		for (dev = devices; dev < devices + nr_devices; dev++) {
			if (*dev->vfio && matches(dev, &id))
				check_entry(dev, name);
		}
	}
}

/* Find the vendor drivers and the variant drivers of all devices */
void load_modules(void)
{
	struct dirent *entry;
	size_t i;
	DIR *dir;

	load_aliases();
	load_config();
	for (i = 0; i < nr_devices; i++)
		match_aliases(&devices[i]);

	dir = opendir(path("/sys/module/vfio_pci_core/holders"));
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			match_parameters(entry->d_name);
	}
	if (dir)
		closedir(dir);
}

void free_modules(void)
{
	free(aliases);
	free(blacklist);
	free(drivers);
	aliases = NULL;
	blacklist = NULL;
	drivers = NULL;
	nr_aliases = nr_blacklist = nr_drivers = 0;
}
