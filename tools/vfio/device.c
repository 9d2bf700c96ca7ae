// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices and their mediated devices in sysfs
 */

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

#define SYSFS "/sys/bus/pci/devices/"

struct device *devices;
size_t nr_devices;

static struct device *add_device(const char *name)
{
	struct device *dev;

	devices = append(devices, &nr_devices, sizeof(*devices));
	dev = &devices[nr_devices - 1];
	copy(dev->name, sizeof(dev->name), name);
	copy(dev->dma, sizeof(dev->dma), name);
	dev->group = -1;

	return dev;
}

/* Return the path of a file in the folder of a device */
static const char *file_of(const struct device *dev, const char *name)
{
	return path(SYSFS "%s/%s/%s", dev->parent, dev->name, name);
}

/* Read the name of an entry in a folder. Without an entry, the name is empty. */
static void read_entry(char *buf, size_t size, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	*buf = '\0';
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			copy(buf, size, entry->d_name);
	}
	closedir(dir);
}

/* Load what PCI devices and mediated devices have */
static void load_common(struct device *dev)
{
	char buf[NAME_SIZE];

	read_link(dev->driver, sizeof(dev->driver), file_of(dev, "driver"));
	read_link(buf, sizeof(buf), file_of(dev, "iommu_group"));
	if (*buf)
		dev->group = atoi(buf);
	read_text(buf, sizeof(buf), file_of(dev, "iommu_group/name"));
	dev->noiommu = !strcmp(buf, "vfio-noiommu");

	read_entry(dev->vfio, sizeof(dev->vfio), file_of(dev, "vfio-dev"));
	dev->has_cdev = *dev->vfio && exists(path("/dev/vfio/devices/%s", dev->vfio));
}

static void load_pci(struct device *dev)
{
	char override[NAME_SIZE];

	load_common(dev);
	dev->vendor = read_number(file_of(dev, "vendor"));
	dev->device = read_number(file_of(dev, "device"));
	dev->subvendor = read_number(file_of(dev, "subsystem_vendor"));
	dev->subdevice = read_number(file_of(dev, "subsystem_device"));
	dev->class = read_number(file_of(dev, "class"));
	dev->numvfs = read_number(file_of(dev, "sriov_numvfs"));
	dev->totalvfs = read_number(file_of(dev, "sriov_totalvfs"));
	read_link(dev->physfn, sizeof(dev->physfn), file_of(dev, "physfn"));
	read_text(override, sizeof(override), file_of(dev, "driver_override"));
	if (strcmp(override, "(null)"))
		copy(dev->override, sizeof(dev->override), override);
	read_entry(dev->mdev_type, sizeof(dev->mdev_type), file_of(dev, "mdev_supported_types"));
}

/* Add the mediated devices of the last device. Their names are UUIDs. */
static void load_mdevs(void)
{
	const struct device parent = devices[nr_devices - 1];
	struct dirent *entry;
	struct device *dev;
	DIR *dir;

	dir = opendir(file_of(&parent, ""));
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strlen(entry->d_name) != 36 || entry->d_name[8] != '-')
			continue;
		dev = add_device(entry->d_name);
		copy(dev->parent, sizeof(dev->parent), parent.name);
		dev->vendor = parent.vendor;
		dev->device = parent.device;
		dev->subvendor = parent.subvendor;
		dev->subdevice = parent.subdevice;
		dev->class = parent.class;
		/* Without a group of its own, the group of the parent confines it */
		dev->group = parent.group;
		load_common(dev);
		/* This driver's mediated device has the DMA of the PCI device */
		if (!strcmp(dev->driver, "vfio-mdev-pci"))
			copy(dev->dma, sizeof(dev->dma), parent.name);
	}
	closedir(dir);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void load_devices(void)
{
	struct dirent **entries;
	int nr, i;

	nr = scandir(path(SYSFS), &entries, is_visible, alphasort);
	if (nr < 0)
		die("cannot read %s: %m; mount sysfs: mount -t sysfs sysfs /sys", path(SYSFS));
	for (i = 0; i < nr; i++) {
		load_pci(add_device(entries[i]->d_name));
		if (*devices[nr_devices - 1].mdev_type)
			load_mdevs();
		free(entries[i]);
	}
	free(entries);
}

void free_devices(void)
{
	size_t i;

	for (i = 0; i < nr_devices; i++) {
		free_regions(&devices[i]);
		free(devices[i].vendors);
		free(devices[i].variants);
		free(devices[i].holders);
	}
	free(devices);
	devices = NULL;
	nr_devices = 0;
}

/* Find a device by its address, with or without the domain, or by its UUID */
struct device *find_device(const char *name)
{
	char full[NAME_SIZE];
	size_t i;

	snprintf(full, sizeof(full), "0000:%.60s", name);
	for (i = 0; i < nr_devices; i++) {
		if (!strcasecmp(devices[i].name, name) || !strcasecmp(devices[i].name, full))
			return &devices[i];
	}
	die("there is no PCI device %s; lsvfio without arguments lists the devices", name);
}

/* The files that userspace opens, as userspace names them */
void device_node(const struct device *dev, char *buf, size_t size)
{
	snprintf(buf, size, "/dev/vfio/devices/%s", dev->vfio);
}

void group_node(const struct device *dev, char *buf, size_t size)
{
	snprintf(buf, size, "/dev/vfio/%s%d", dev->noiommu ? "noiommu-" : "", dev->group);
}
