// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a device, the reason, and the next command to type
 */

#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

const char *const state_names[] = {
	[STATE_NO_IOMMU]	= "no-iommu",
	[STATE_UNBOUND]		= "unbound",
	[STATE_HOST]		= "host",
	[STATE_MDEV_PARENT]	= "mdev-parent",
	[STATE_NOT_VIABLE]	= "not-viable",
	[STATE_IN_USE]		= "in-use",
	[STATE_REQUIRED]	= "no-vendor",
	[STATE_CONFLICT]	= "conflict",
	[STATE_READY]		= "ready",
};

/* Drivers that leave the DMA of a device to userspace, besides VFIO drivers */
static bool shares_group(const char *driver)
{
	static const char *const drivers[] = { "pcieport", "pci-stub", "vfio-mdev-pci" };
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (!strcmp(driver, drivers[i]))
			return true;
	}

	return !*driver;
}

/* Find a device in the same IOMMU group that a host driver uses */
const struct device *group_blocker(const struct device *dev)
{
	const struct device *other;

	for (other = devices; other < devices + nr_devices; other++) {
		if (other->group == dev->group && !*other->parent && strcmp(other->name, dev->parent) &&
		    !*other->vfio && !shares_group(other->driver))
			return other;
	}

	return NULL;
}

/* The regions of a device are empty while it is closed */
static bool is_open(const struct device *dev)
{
	return dev->nr_holders || dev->source == SOURCE_DEBUGFS;
}

/* The core logs why it refuses to open a device without a required vendor driver */
static bool log_says_refused(const struct device *dev)
{
	return !strncmp(dev->log, "open refused: ", 14);
}

/* A driver that is loaded after the message refutes it, unless it does not support the device */
static bool misses_required(const struct device *dev)
{
	return dev->requirement >= REQUIREMENT_OTHER_NAME ||
	       (dev->requirement == REQUIREMENT_UNKNOWN && log_says_refused(dev)) ||
	       (dev->requirement == REQUIREMENT_MET && log_says_refused(dev) &&
		strstr(dev->log, "does not support the device"));
}

/* The kernel logs no successful open, so a conflict ends only if a driver is gone */
static bool has_conflict(const struct device *dev)
{
	return *dev->conflict[0] && may_have_driver(dev, dev->conflict[0]) &&
	       may_have_driver(dev, dev->conflict[1]);
}

/* Set the state: the first reason why userspace cannot open the device */
void diagnose(struct device *dev)
{
	if (!*dev->vfio) {
		dev->state = dev->group < 0 ? STATE_NO_IOMMU :
			     !*dev->driver ? STATE_UNBOUND :
			     *dev->mdev_type ? STATE_MDEV_PARENT : STATE_HOST;
		return;
	}
	dev->state = is_open(dev) ? STATE_IN_USE :
		     group_blocker(dev) ? STATE_NOT_VIABLE :
		     misses_required(dev) ? STATE_REQUIRED :
		     has_conflict(dev) ? STATE_CONFLICT :
		     STATE_READY;
}

/* The driver to bind: a variant driver, if one supports the device */
static const char *driver_to_bind(const struct device *dev)
{
	return dev->nr_variants ? dev->variants[0].name : "vfio-pci";
}

/* Print the command that binds a driver to a device */
static void print_bind(FILE *out, const struct device *dev, const char *driver, char *next, size_t size)
{
	const char *name = dev->name;
	char unbind[3 * NAME_SIZE] = "";

	if (exists(path("/usr/sbin/driverctl"))) {
		snprintf(next, size, "driverctl set-override %s %s", name, driver);
		return;
	}
	fprintf(out, "The next command binds it until the next boot; install driverctl to bind it at each boot. ");
	if (*dev->driver)
		snprintf(unbind, sizeof(unbind), " && echo %s >/sys/bus/pci/drivers/%s/unbind", name, dev->driver);
	snprintf(next, size, "modprobe %s && echo %s >/sys/bus/pci/devices/%s/driver_override%s && echo %s >/sys/bus/pci/drivers_probe",
		 driver, driver, name, unbind, name);
}

static void explain_bind(FILE *out, const struct device *dev, char *next, size_t size)
{
	const char *driver = driver_to_bind(dev);

	if (!*dev->driver && same_module(dev->override, driver)) {
		fprintf(out, "Its driver_override is %s, but that driver did not bind it. ", driver);
		if (*dev->log)
			fprintf(out, "The kernel log says: \"%s\". ", dev->log);
		snprintf(next, size, "echo %s >/sys/bus/pci/drivers_probe; dmesg | tail", dev->name);
		return;
	}
	fprintf(out, "Userspace can open it only while a VFIO driver is bound; %s supports it. ", driver);
	if (*dev->override)
		fprintf(out, "Its driver_override is %s. ", dev->override);
	if (dev->numvfs) {
		fprintf(out, "It has %u virtual functions, which vfio-pci does not accept; remove them first. ",
			dev->numvfs);
		snprintf(next, size, "echo 0 >/sys/bus/pci/devices/%s/sriov_numvfs", dev->name);
	} else {
		print_bind(out, dev, driver, next, size);
	}
}

static void explain_no_iommu(FILE *out, char *next, size_t size)
{
	const struct device *other;

	for (other = devices; other < devices + nr_devices; other++) {
		if (other->group >= 0)
			break;
	}
	fprintf(out, "It has no IOMMU group, so nothing would confine its DMA, and vfio-pci does not bind it. ");
	if (other < devices + nr_devices)
		fprintf(out, "Other devices have a group: the machine's IOMMU does not cover this one. ");
	else
		fprintf(out, "No device has a group: enable VT-d or AMD-Vi in the firmware, and boot an Intel machine with intel_iommu=on. ");
	snprintf(next, size, "dmesg | grep -i -e DMAR -e AMD-Vi -e iommu");
}

static void explain_mdev_parent(FILE *out, const struct device *dev, char *next, size_t size)
{
	const struct device *other;

	for (other = devices; other < devices + nr_devices; other++) {
		if (!strcmp(other->parent, dev->name))
			break;
	}
	if (other < devices + nr_devices) {
		fprintf(out, "Its driver %s offers mediated devices, and userspace opens these instead: it has %s. ",
			dev->driver, other->name);
		snprintf(next, size, "lsvfio --why %s", other->name);
	} else {
		fprintf(out, "Its driver %s offers mediated devices, and none exists. ", dev->driver);
		snprintf(next, size, "uuidgen >/sys/bus/pci/devices/%s/mdev_supported_types/%s/create", dev->name,
			 dev->mdev_type);
	}
}

static void explain_in_use(FILE *out, const struct device *dev, char *next, size_t size)
{
	if (!dev->nr_holders) {
		fprintf(out, "It is open, and only one process can open it. lsvfio does not see the process. ");
		snprintf(next, size, "sudo lsvfio %s", dev->name);
		return;
	}
	fprintf(out, "Process %d (%s) has it or its IOMMU group open, and only one process can open it. ",
		dev->holders[0].pid, dev->holders[0].command);
	snprintf(next, size, "ps -fp %d", dev->holders[0].pid);
}

static void explain_not_viable(FILE *out, const struct device *dev, char *next, size_t size)
{
	const struct device *other = group_blocker(dev);

	fprintf(out, "A VFIO driver is bound, but IOMMU group %d is not viable: the host uses %s, which is in the same group, by the driver %s. Bind a VFIO driver to that device, too, or unbind it. ",
		dev->group, other->name, other->driver);
	print_bind(out, other, "vfio-pci", next, size);
}

static const char *reason(const struct module *module)
{
	return module->state == MODULE_BLACKLISTED ?
	       "a blacklist entry in modprobe.d or on the kernel command line keeps it from loading" :
	       "its module is not loaded";
}

static void explain_missing(FILE *out, const struct device *dev, char *next, size_t size)
{
	const struct module *module = NULL;
	const char *name = dev->required;
	size_t i;

	for (i = 0; i < dev->nr_vendors; i++) {
		if (!*name || same_module(dev->vendors[i].name, name))
			module = &dev->vendors[i];
	}
	if (module) {
		fprintf(out, "%s. ", reason(module));
		snprintf(next, size, "modprobe %s", module->name);
	} else if (*name) {
		fprintf(out, "it is not loaded, and no module in /lib/modules has an alias for this device. Install the module, or attach the driver's BPF programs. ");
		snprintf(next, size, "modinfo %s", name);
	} else {
		fprintf(out, "none is loaded, and no module in /lib/modules has an alias for this device. Install a vendor driver for it. ");
		snprintf(next, size, "modinfo vfio_pci_core");
	}
}

/* Explain what lsvfio cannot see about a required vendor driver */
static void explain_unknown(FILE *out, const struct device *dev, char *next, size_t size)
{
	if (*dev->candidate) {
		fprintf(out, "the module %s is loaded, but lsvfio cannot see whether its driver has exactly the required name. Open the device to find out. ",
			dev->candidate);
		snprintf(next, size, "lsvfio -v --open %s", dev->name);
	} else {
		fprintf(out, "the module vfio-pci-bpf is in use, but lsvfio cannot see which BPF drivers are attached. They have files in /sys/fs/bpf, unless a process keeps them attached. ");
		snprintf(next, size, "ls /sys/fs/bpf");
	}
}

static void explain_required(FILE *out, const struct device *dev, char *next, size_t size)
{
	const char *name = dev->required;

	fprintf(out, "The parameter require_vendor_driver of vfio-pci-core requires %s%s for %04x:%04x, and the kernel refuses to open the device without it: ",
		*name ? "the vendor driver " : "a vendor driver", name, dev->vendor, dev->device);
	switch (dev->requirement) {
	case REQUIREMENT_MISSING:
		explain_missing(out, dev, next, size);
		return;
	case REQUIREMENT_OTHER_NAME:
		fprintf(out, "the name of the loaded driver is %s, and '-' and '_' are different here. Correct the parameter where it is set, and load vfio-pci-core again. ",
			dev->candidate);
		snprintf(next, size, "grep -r require_vendor_driver /etc/modprobe.d /proc/cmdline");
		return;
	case REQUIREMENT_UNKNOWN:
		explain_unknown(out, dev, next, size);
		break;
	default:
		fprintf(out, "the driver is loaded, but does not support this device. Remove the device from the parameter, and load vfio-pci-core again. ");
		snprintf(next, size, "grep -r require_vendor_driver /etc/modprobe.d /proc/cmdline");
	}
	if (log_says_refused(dev))
		fprintf(out, "The kernel log has, from the last open that failed: \"%s\". ", dev->log);
}

static void explain_conflict(FILE *out, const struct device *dev, char *next, size_t size)
{
	int other = !module_loaded(dev->conflict[0]) ? 0 : 1;

	fprintf(out, "Two vendor drivers conflict. The kernel log says: \"%s\". ", dev->log);
	if (module_loaded(dev->conflict[other])) {
		fprintf(out, "Both are loaded. Keep one of them from loading, unload it while no device is bound to vfio-pci, and bind the device again. ");
		snprintf(next, size, "echo blacklist %s >>/etc/modprobe.d/vfio.conf", dev->conflict[1]);
		return;
	}
	fprintf(out, "No loaded module has the name %s, and lsvfio cannot see whether this driver is gone. ",
		dev->conflict[other]);
	if (has_bpf_drivers()) {
		fprintf(out, "If it is a BPF driver, remove its file in /sys/fs/bpf to detach it. ");
		snprintf(next, size, "ls /sys/fs/bpf");
	} else {
		fprintf(out, "Find its module, and keep it from loading. ");
		snprintf(next, size, "ls /sys/module/vfio_pci_core/holders");
	}
}

static bool log_says_bind_again(const struct device *dev)
{
	return strstr(dev->log, "cannot migrate the device");
}

static void explain_ready(FILE *out, const struct device *dev, char *next, size_t size)
{
	char cdev[2 * NAME_SIZE], group[NAME_SIZE];

	device_node(dev, cdev, sizeof(cdev));
	group_node(dev, group, sizeof(group));
	fprintf(out, "Userspace can open it by %s%s%s. ", dev->has_cdev ? cdev : "",
		dev->has_cdev ? " or " : "", group);
	if (dev->noiommu)
		fprintf(out, "No IOMMU confines its DMA (vfio-noiommu), so userspace can overwrite any memory. ");
	if (*dev->log && !log_says_bind_again(dev))
		fprintf(out, "The kernel log has, perhaps from an earlier open: \"%s\". ", dev->log);
	if (dev->requirement == REQUIREMENT_UNKNOWN)
		explain_required(out, dev, next, size);
}

/* Explain what is missing although userspace can open the device */
static void explain_vendors(FILE *out, const struct device *dev, char *next, size_t size)
{
	size_t i;

	for (i = 0; i < dev->nr_vendors; i++) {
		if (dev->vendors[i].state == MODULE_LOADED)
			continue;
		fprintf(out, "The vendor driver %s supports it, but %s, so userspace has the device without it. Load it, and bind the device again. ",
			dev->vendors[i].name, reason(&dev->vendors[i]));
		if (!*next)
			snprintf(next, size, "modprobe %s", dev->vendors[i].name);
	}
}

/* These drivers migrate a device only by a vendor driver */
static bool needs_vendor(const struct device *dev)
{
	return !strcmp(dev->driver, "vfio-pci") || !strcmp(dev->driver, "vfio-mdev-pci");
}

/*
 * Find the vendor driver in the given state that most likely migrates the device. Several
 * drivers may do so: set @nr to their number.
 */
static const struct module *find_migrating(const struct device *dev, bool loaded, size_t *nr)
{
	const struct module *module, *found = NULL;

	*nr = 0;
	for (module = dev->vendors; module < dev->vendors + dev->nr_vendors; module++) {
		if ((module->state == MODULE_LOADED) != loaded || can_migrate(module->name) == ABILITY_NO)
			continue;
		(*nr)++;
		if (!found || can_migrate(module->name) > can_migrate(found->name))
			found = module;
	}

	return found;
}

/*
 * Return the driver that migrates the device. It is empty if none does, or if several
 * drivers may. The lowest driver of the region of protocol v1 has added the region.
 */
const char *migration_driver(const struct device *dev)
{
	const struct module *module;
	const struct region *region;
	size_t nr;

	if (!dev->migration.v1 && !dev->migration.v2)
		return "";
	for (region = dev->regions; region < dev->regions + dev->nr_regions; region++) {
		if (!strcmp(region->name, "3:1") && region->nr_layers)
			return region->layers[region->nr_layers - 1].driver;
	}
	module = find_migrating(dev, true, &nr);
	if (!needs_vendor(dev))
		return module ? "" : dev->driver;

	return module && (nr == 1 || can_migrate(module->name) == ABILITY_YES) ? driver_name(module->name) : "";
}

/* Find the vendor driver that was loaded after bind; the kernel logs it at the next open */
static bool find_late(const struct device *dev, char *driver, size_t size)
{
	const struct module *module;
	char name[NAME_SIZE];
	size_t nr;

	if (log_says_bind_again(dev) && sscanf(dev->log, "vendor driver %79s", name) == 1 &&
	    may_have_driver(dev, name)) {
		copy(driver, size, name);
		return true;
	}
	module = find_migrating(dev, true, &nr);
	if (!module || !needs_vendor(dev) || can_migrate(module->name) != ABILITY_YES)
		return false;
	copy(driver, size, driver_name(module->name));

	return true;
}

/* The variant driver to try instead of vfio-pci */
static const struct module *find_variant(const struct device *dev)
{
	return dev->nr_variants && !strcmp(dev->driver, "vfio-pci") ? &dev->variants[0] : NULL;
}

/* Set @buf to the reason why a device cannot be migrated. Return false if it can, or perhaps can. */
bool migration_obstacle(const struct device *dev, char *buf, size_t size)
{
	const struct module *missing, *loaded;
	char driver[NAME_SIZE];
	size_t nr;

	*buf = '\0';
	if (!dev->migration.is_known || dev->migration.v1 || dev->migration.v2)
		return false;

	missing = find_migrating(dev, false, &nr);
	loaded = find_migrating(dev, true, &nr);
	if (find_late(dev, driver, sizeof(driver)))
		snprintf(buf, size, "its vendor driver %s was %sloaded after the device was bound", driver,
			 log_says_bind_again(dev) ? "" : "probably ");
	else if (!needs_vendor(dev))
		snprintf(buf, size, "its variant driver %s does not offer migration", dev->driver);
	else if (find_variant(dev))
		snprintf(buf, size, "vfio-pci has no vendor driver that migrates it, but perhaps the variant driver %s does",
			 find_variant(dev)->name);
	else if (missing)
		snprintf(buf, size, "its vendor driver %s %s migrate it, but %s", missing->name,
			 can_migrate(missing->name) == ABILITY_YES ? "could" : "could perhaps", reason(missing));
	else if (loaded)
		snprintf(buf, size, "its vendor driver %s has no migration, or was loaded after the device was bound",
			 driver_name(loaded->name));
	else if (dev->nr_vendors)
		snprintf(buf, size, "its vendor driver %s has no migration", driver_name(dev->vendors[0].name));
	else
		snprintf(buf, size, "%s needs a vendor driver for this, and no module in /lib/modules has an alias for the device",
			 dev->driver);

	return true;
}

/* Explain what to do about the reason; a missing vendor driver is explained already */
static void explain_obstacle(FILE *out, const struct device *dev, char *next, size_t size)
{
	const char *bus = *dev->parent ? "mdev" : "pci";
	char text[NEXT_SIZE], driver[NAME_SIZE];

	migration_obstacle(dev, text, sizeof(text));
	fprintf(out, "It cannot be migrated: %s. ", text);
	if (find_late(dev, driver, sizeof(driver))) {
		fprintf(out, "Bind it again. ");
		if (!*next)
			snprintf(next, size, "echo %s | tee /sys/bus/%s/drivers/%s/unbind /sys/bus/%s/drivers/%s/bind",
				 dev->name, bus, dev->driver, bus, dev->driver);
	} else if (find_variant(dev) && !*next) {
		print_bind(out, dev, find_variant(dev)->name, next, size);
	}
}

/* QEMU 8 and later refuse a device whose writes to memory nothing tracks */
static void explain_tracking(FILE *out, const struct device *dev, char *next, size_t size)
{
	char log[NAME_SIZE];

	if (!dev->migration.v2 || !*dev->migration.features || strstr(dev->migration.features, "dirty-tracking"))
		return;
	fprintf(out, "It has no dirty tracking, so QEMU 10 refuses to migrate it, unless the IOMMU tracks dirty pages. ");
	read_text(log, sizeof(log), path("/sys/module/vfio_pci_igbvf/parameters/log"));
	if (strcmp(migration_driver(dev), "vfio-pci-igbvf") || strcmp(log, "N"))
		return;
	fprintf(out, "The parameter log of vfio-pci-igbvf is off; without log=0, the driver has dirty tracking. ");
	if (!*next)
		snprintf(next, size, "grep -r igbvf /etc/modprobe.d /proc/cmdline");
}

static void explain_migration(FILE *out, const struct device *dev, char *next, size_t size)
{
	const struct migration *migration = &dev->migration;
	const char *driver = migration_driver(dev);

	if (!migration->is_known) {
		fprintf(out, "Whether it can be migrated is not known without debugfs. ");
		return;
	}
	if (!migration->v1 && !migration->v2) {
		explain_obstacle(out, dev, next, size);
		return;
	}
	fprintf(out, "It can be migrated by %s%s%s%s%s%s. ",
		migration->v2 ? "protocol v2" : "",
		migration->v1 && migration->v2 ? " and " : "",
		migration->v1 ? "protocol v1" : "",
		*migration->features ? " (" : "", migration->features,
		*migration->features ? ")" : "");
	if (*driver)
		fprintf(out, "The driver %s migrates it. ", driver);
	else
		fprintf(out, "lsvfio cannot see which of its drivers migrates it. ");
	explain_tracking(out, dev, next, size);
}

static void explain_state(FILE *out, const struct device *dev, char *next, size_t size)
{
	fprintf(out, "%s (%04x:%04x) ", dev->name, dev->vendor, dev->device);
	switch (dev->state) {
	case STATE_NO_IOMMU:
		fprintf(out, "cannot be given to userspace. ");
		explain_no_iommu(out, next, size);
		return;
	case STATE_UNBOUND:
		fprintf(out, "has no driver. ");
		explain_bind(out, dev, next, size);
		return;
	case STATE_HOST:
		fprintf(out, "is in use by the host's driver %s. ", dev->driver);
		explain_bind(out, dev, next, size);
		return;
	case STATE_MDEV_PARENT:
		fprintf(out, "is divided into mediated devices. ");
		explain_mdev_parent(out, dev, next, size);
		return;
	case STATE_IN_USE:
		fprintf(out, "is in use. ");
		explain_in_use(out, dev, next, size);
		break;
	case STATE_NOT_VIABLE:
		fprintf(out, "cannot be opened. ");
		explain_not_viable(out, dev, next, size);
		break;
	case STATE_REQUIRED:
		fprintf(out, "%s be opened. ", dev->requirement == REQUIREMENT_UNKNOWN ? "perhaps cannot" : "cannot");
		explain_required(out, dev, next, size);
		break;
	case STATE_CONFLICT:
		fprintf(out, "cannot be opened. ");
		explain_conflict(out, dev, next, size);
		break;
	case STATE_READY:
		fprintf(out, "is %sready. ", dev->requirement == REQUIREMENT_UNKNOWN ? "perhaps " : "");
		explain_ready(out, dev, next, size);
		break;
	}
	/* The reason above includes that its required driver is missing */
	if (dev->state != STATE_REQUIRED)
		explain_vendors(out, dev, next, size);
	explain_migration(out, dev, next, size);
}

/*
 * Return one paragraph, which the caller frees. Set @next to the next command; empty
 * if nothing is to do.
 */
char *explain(const struct device *dev, char *next, size_t size)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	*next = '\0';
	out = open_memstream(&text, &len);
	if (!out)
		die("out of memory");
	explain_state(out, dev, next, size);
	fclose(out);
	/* Each sentence ends with a space */
	text[len - 1] = '\0';

	return text;
}
