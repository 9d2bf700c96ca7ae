// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI vendor drivers
 *
 * A vendor driver knows more of certain devices than vfio-pci does.  It does
 * not bind them, but is asked to the opening of each that its ids match, where
 * it may add regions.  What it does there is undone when the device is closed,
 * or if the open fails, in the reverse order.
 */

#include <linux/async.h>
#include <linux/kmod.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "trace.h"
#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

/* An id of a driver, found by vendor and device unless one of these is any */
struct vfio_pci_vendor_id {
	union {
		struct rhlist_head	hash;
		struct list_head	wildcard;
	};
	u32				key;
	bool				is_wildcard;
	struct vfio_pci_vendor_driver	*driver;
	/* With the empty entry that ends a table */
	struct pci_device_id		id[2];
};

static const struct rhashtable_params vfio_pci_vendor_id_params = {
	.head_offset		= offsetof(struct vfio_pci_vendor_id, hash),
	.key_offset		= offsetof(struct vfio_pci_vendor_id, key),
	.key_len		= sizeof_field(struct vfio_pci_vendor_id, key),
	.automatic_shrinking	= true,
};

/* Protects all below, and the private members of struct vfio_pci_vendor_driver */
static DEFINE_MUTEX(vfio_pci_vendor_lock);
static LIST_HEAD(vfio_pci_vendor_drivers);
static LIST_HEAD(vfio_pci_vendor_wildcards);
static struct rhltable vfio_pci_vendor_ids;

static u32 vfio_pci_vendor_key(u16 vendor, u16 device)
{
	return (u32)vendor << 16 | device;
}

static int vfio_pci_vendor_add_id(struct vfio_pci_vendor_driver *driver,
				  struct vfio_pci_vendor_id *entry,
				  const struct pci_device_id *id)
{
	entry->driver = driver;
	entry->id[0] = *id;
	entry->is_wildcard = id->vendor == PCI_ANY_ID ||
			     id->device == PCI_ANY_ID;

	if (entry->is_wildcard) {
		list_add_tail(&entry->wildcard, &vfio_pci_vendor_wildcards);
		return 0;
	}

	entry->key = vfio_pci_vendor_key(id->vendor, id->device);

	return rhltable_insert(&vfio_pci_vendor_ids, &entry->hash,
			       vfio_pci_vendor_id_params);
}

static void vfio_pci_vendor_remove_ids(struct vfio_pci_vendor_driver *driver)
{
	while (driver->num_entries) {
		struct vfio_pci_vendor_id *entry =
			&driver->entries[--driver->num_entries];

		if (entry->is_wildcard)
			list_del(&entry->wildcard);
		else
			rhltable_remove(&vfio_pci_vendor_ids, &entry->hash,
					vfio_pci_vendor_id_params);
	}

	kvfree(driver->entries);
	driver->entries = NULL;
}

/* The next of a list of ids as vfio-pci's module option ids= has them */
static int vfio_pci_vendor_parse_id(const char **ids, struct pci_device_id *id)
{
	unsigned int vendor, device, subvendor = PCI_ANY_ID;
	unsigned int subdevice = PCI_ANY_ID, class = 0, class_mask = 0;
	int fields;

	/* Empty ones do not count */
	*ids += strspn(*ids, ",");
	fields = sscanf(*ids, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor,
			&subdevice, &class, &class_mask);
	if (fields < 2)
		return -EINVAL;

	*id = (struct pci_device_id) {
		.vendor = vendor,
		.device = device,
		.subvendor = subvendor,
		.subdevice = subdevice,
		.class = class,
		.class_mask = class_mask,
	};

	*ids = strchrnul(*ids, ',');

	return 0;
}

static int vfio_pci_vendor_add_ids(struct vfio_pci_vendor_driver *driver)
{
	const struct pci_device_id *id = driver->id_table;
	const char *ids = driver->ids ?: "";
	struct vfio_pci_vendor_id *entry;
	size_t num = 0;
	int ret;

	for (; id && (id->vendor || id->subvendor || id->class_mask); id++)
		num++;
	for (; *ids; ids++)
		num += *ids != ',' && (ids == driver->ids || ids[-1] == ',');
	if (!num)
		return -EINVAL;

	driver->entries = kvcalloc(num, sizeof(*driver->entries), GFP_KERNEL);
	if (!driver->entries)
		return -ENOMEM;

	id = driver->id_table;
	ids = driver->ids ?: "";
	for (entry = driver->entries; num; num--, entry++) {
		struct pci_device_id parsed;

		if (id && (id->vendor || id->subvendor || id->class_mask)) {
			parsed = *id++;
		} else {
			ret = vfio_pci_vendor_parse_id(&ids, &parsed);
			if (ret)
				goto err_remove;
		}

		ret = vfio_pci_vendor_add_id(driver, entry, &parsed);
		if (ret)
			goto err_remove;
		driver->num_entries++;
	}

	return 0;

err_remove:
	vfio_pci_vendor_remove_ids(driver);
	return ret;
}

/**
 * __vfio_pci_register_vendor_driver() - register a vendor driver
 * @driver: the vendor driver, which stays the caller's
 * @owner: the module that it is part of
 *
 * Call vfio_pci_register_vendor_driver() instead, which knows the module.  The
 * driver is asked to the devices that are opened from now on.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL if the driver has no name, no open callback or no ids, an id
 * that cannot be parsed, or not all that it takes to migrate a device, -EEXIST if
 * it or another of its name is registered, -ENOMEM.
 */
int __vfio_pci_register_vendor_driver(struct vfio_pci_vendor_driver *driver,
				      struct module *owner)
{
	struct vfio_pci_vendor_driver *other;
	int ret;

	if (!driver->name || !*driver->name || !driver->open) {
		pr_err("vfio-pci: a vendor driver of module %s has no %s\n",
		       owner ? module_name(owner) : "(built in)",
		       driver->open ? "name" : "open callback");
		return -EINVAL;
	}

	ret = vfio_pci_mig_check_driver(driver);
	if (ret) {
		pr_err("vfio-pci: vendor driver %s lacks what it takes to migrate\n",
		       driver->name);
		return ret;
	}

	guard(mutex)(&vfio_pci_vendor_lock);

	list_for_each_entry(other, &vfio_pci_vendor_drivers, node) {
		if (other == driver || !strcmp(other->name, driver->name)) {
			pr_err("vfio-pci: vendor driver %s is registered already\n",
			       driver->name);
			return -EEXIST;
		}
	}

	driver->owner = owner;
	driver->num_open = 0;
	driver->num_entries = 0;
	ret = vfio_pci_vendor_add_ids(driver);
	if (ret) {
		pr_err("vfio-pci: vendor driver %s: %s\n", driver->name,
		       ret == -EINVAL ? "no ids, or one that is malformed" :
					"its ids cannot be added");
		return ret;
	}

	init_waitqueue_head(&driver->closed);
	list_add_tail(&driver->node, &vfio_pci_vendor_drivers);

	return 0;
}
EXPORT_SYMBOL_GPL(__vfio_pci_register_vendor_driver);

/**
 * vfio_pci_unregister_vendor_driver() - unregister a vendor driver
 * @driver: a vendor driver that is registered
 *
 * Waits until no device is open that the driver has opened.  A module does not
 * wait for that in its exit function, as such a device keeps it from being
 * unloaded; in its init function it does, and so should register last there.
 *
 * Context: Process context, may sleep.
 */
void vfio_pci_unregister_vendor_driver(struct vfio_pci_vendor_driver *driver)
{
	scoped_guard(mutex, &vfio_pci_vendor_lock) {
		list_del(&driver->node);
		vfio_pci_vendor_remove_ids(driver);
	}

	wait_event(driver->closed, !READ_ONCE(driver->num_open));
	/* Until who woke us is done with the driver */
	scoped_guard(mutex, &vfio_pci_vendor_lock) {}
}
EXPORT_SYMBOL_GPL(vfio_pci_unregister_vendor_driver);

static void vfio_pci_vendor_put(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_vendor_driver *driver = dev->driver;
	struct module *owner = driver->owner;

	list_del(&dev->node);
	vfio_pci_mig_put(dev->migration);
	kfree(dev);

	guard(mutex)(&vfio_pci_vendor_lock);

	WRITE_ONCE(driver->num_open, driver->num_open - 1);
	wake_up(&driver->closed);
	/* Driver and module may be gone as soon as we unlock */
	module_put(owner);
}

/* The order in which drivers open a device, never that in which they loaded */
static int vfio_pci_vendor_cmp(void *priv, const struct list_head *a,
			       const struct list_head *b)
{
	struct vfio_pci_vendor_device *da, *db;

	da = list_entry(a, struct vfio_pci_vendor_device, node);
	db = list_entry(b, struct vfio_pci_vendor_device, node);

	if (da->driver->priority != db->driver->priority)
		return da->driver->priority < db->driver->priority ? -1 : 1;

	return strcmp(da->driver->name, db->driver->name);
}

/* Let @list have the driver that an id is of, once, if it matches the device */
static int vfio_pci_vendor_match_id(struct vfio_pci_core_device *vdev,
				    struct vfio_pci_vendor_id *entry,
				    struct list_head *list)
{
	struct vfio_pci_vendor_driver *driver = entry->driver;
	struct vfio_pci_vendor_device *dev;

	if (!pci_match_id(entry->id, vdev->pdev))
		return 0;

	list_for_each_entry(dev, list, node)
		if (dev->driver == driver)
			return 0;

	/* It is just being unloaded */
	if (!try_module_get(driver->owner))
		return 0;

	dev = kzalloc_obj(*dev, GFP_KERNEL_ACCOUNT);
	if (!dev) {
		module_put(driver->owner);
		return -ENOMEM;
	}

	dev->vdev = vdev;
	dev->pdev = vdev->pdev;
	dev->driver = driver;
	INIT_LIST_HEAD(&dev->regions);
	driver->num_open++;
	list_add_tail(&dev->node, list);

	return 0;
}

/* Pin all drivers that match a device, and list them in their order */
static int vfio_pci_vendor_match(struct vfio_pci_core_device *vdev,
				 struct list_head *list)
{
	u32 key = vfio_pci_vendor_key(vdev->pdev->vendor, vdev->pdev->device);
	struct vfio_pci_vendor_id *entry;
	struct rhlist_head *pos;
	int ret;

	guard(mutex)(&vfio_pci_vendor_lock);

	/* What is found stays, as we hold the lock, and matching may sleep */
	scoped_guard(rcu)
		pos = rhltable_lookup(&vfio_pci_vendor_ids, &key,
				      vfio_pci_vendor_id_params);
	while (pos) {
		entry = container_of(pos, struct vfio_pci_vendor_id, hash);
		ret = vfio_pci_vendor_match_id(vdev, entry, list);
		if (ret)
			return ret;
		/* Protected by the lock that we hold */
		pos = rcu_dereference_protected(pos->next, true);
	}

	list_for_each_entry(entry, &vfio_pci_vendor_wildcards, wildcard) {
		ret = vfio_pci_vendor_match_id(vdev, entry, list);
		if (ret)
			return ret;
	}

	list_sort(NULL, list, vfio_pci_vendor_cmp);

	return 0;
}

/* Undo one driver's open, as far as that got */
static void vfio_pci_vendor_close(struct vfio_pci_vendor_device *dev,
				  bool opened)
{
	if (opened)
		trace_vfio_pci_vendor_close(dev->pdev, dev->driver->name, 0);
	vfio_pci_regions_free_vendor(dev);
	if (opened && dev->driver->close)
		dev->driver->close(dev);
	vfio_pci_vendor_put(dev);
}

/* The driver that migrates a device: of those that have opened it the last */
static struct vfio_pci_vendor_device *
vfio_pci_vendor_migrates(struct list_head *vendors)
{
	struct vfio_pci_vendor_device *dev;

	list_for_each_entry_reverse(dev, vendors, node)
		if (dev->driver->migration)
			return dev;

	return NULL;
}

/* All vendor drivers have opened the device: it can be migrated by one of them */
static int vfio_pci_vendor_open_migration(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor_device *dev;
	int ret;

	dev = vfio_pci_vendor_migrates(&vdev->vendors);
	if (!dev)
		return 0;

	/* The driver that has bound the device may have its own way to do it */
	if (!vfio_pci_mig_bound(vdev, dev->driver->migration)) {
		pci_info_ratelimited(vdev->pdev,
				     "vendor driver %s was not there when the device was bound, and does not migrate it\n",
				     dev->driver->name);
		return 0;
	}

	vdev->vendor_opening = dev;
	ret = vfio_pci_mig_open(dev);
	vdev->vendor_opening = NULL;

	return ret ?: vfio_pci_vendor_seal(dev);
}

/**
 * vfio_pci_core_open_vendors() - let vendor drivers open a device
 * @vdev: the device, which is being opened: after vfio_pci_core_enable() and
 *	  before vfio_pci_core_finish_enable()
 *
 * A driver built on vfio-pci-core calls this to be open to vendor drivers.
 * vfio_pci_core_disable() undoes it.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL if the device is not enabled, -EBUSY if it is open already
 * or this was called before, -ENOMEM, or what a vendor driver failed with; then
 * the device must be disabled.
 */
int vfio_pci_core_open_vendors(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor_device *dev, *next;
	LIST_HEAD(found);
	bool opened;
	int ret;

	if (!vdev->regions)
		return -EINVAL;
	if (vdev->regions_frozen || vdev->vendors_asked)
		return -EBUSY;

	/* From here on, only they add regions, which go in the reverse order */
	vdev->vendors_asked = true;
	ret = vfio_pci_vendor_match(vdev, &found);

	list_for_each_entry_safe(dev, next, &found, node) {
		if (ret) {
			vfio_pci_vendor_put(dev);
			continue;
		}

		vdev->vendor_opening = dev;
		ret = dev->driver->open(dev);
		vdev->vendor_opening = NULL;

		trace_vfio_pci_vendor_open(vdev->pdev, dev->driver->name, ret);
		opened = !ret;
		if (opened)
			ret = vfio_pci_vendor_seal(dev);

		if (!ret) {
			mutex_lock(&vdev->vendors_lock);
			list_move_tail(&dev->node, &vdev->vendors);
			mutex_unlock(&vdev->vendors_lock);
			continue;
		}

		if (ret == -ENODEV && !opened) {
			ret = 0;
		} else {
			dev_err_ratelimited(&vdev->pdev->dev,
					    "vendor driver %s cannot open the device: %d\n",
					    dev->driver->name, ret);
			if (!IS_ERR_VALUE((long)ret))
				ret = -EINVAL;
		}
		vfio_pci_vendor_close(dev, opened);
	}

	return ret ?: vfio_pci_vendor_open_migration(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_open_vendors);

/**
 * vfio_pci_vendors_close() - undo vfio_pci_core_open_vendors()
 * @vdev: the device, which userspace has no access to
 */
void vfio_pci_vendors_close(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor_device *dev, *next;
	LIST_HEAD(open);

	/* No reset is in one of their callbacks from here on */
	scoped_guard(mutex, &vdev->vendors_lock)
		list_splice_init(&vdev->vendors, &open);

	list_for_each_entry_safe_reverse(dev, next, &open, node)
		vfio_pci_vendor_close(dev, true);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_close);

/* Why vendor drivers have been told of a reset, which both may be at a time */
#define VFIO_PCI_IN_RESET	BIT(0)
#define VFIO_PCI_IN_RECOVERY	BIT(1)

static void vfio_pci_vendors_reset_prepare(struct vfio_pci_core_device *vdev,
					   u8 why)
{
	struct vfio_pci_vendor_device *dev;

	guard(mutex)(&vdev->vendors_lock);

	list_for_each_entry_reverse(dev, &vdev->vendors, node) {
		if (!dev->in_reset && dev->driver->reset_prepare)
			dev->driver->reset_prepare(dev);
		dev->in_reset |= why;
		if (dev->migration)
			vfio_pci_mig_reset_prepare(dev->migration);
	}
}

static void vfio_pci_vendors_reset_done(struct vfio_pci_core_device *vdev,
					u8 why)
{
	struct vfio_pci_vendor_device *dev;

	guard(mutex)(&vdev->vendors_lock);

	list_for_each_entry(dev, &vdev->vendors, node) {
		/* One that was opened meanwhile knows of no reset */
		if (!(dev->in_reset & why))
			continue;
		dev->in_reset &= ~why;
		if (dev->in_reset)
			continue;
		if (dev->migration)
			vfio_pci_mig_reset(dev->migration);
		if (dev->driver->reset_done)
			dev->driver->reset_done(dev);
		if (dev->migration)
			vfio_pci_mig_reset_done(dev->migration);
	}
}

/**
 * vfio_pci_core_reset_prepare() - tell vendor drivers that a reset comes
 * @pdev: a device that is bound to a driver built on vfio-pci-core
 *
 * For the reset_prepare callback of struct pci_error_handlers.
 */
void vfio_pci_core_reset_prepare(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;

	/* As the PCI core says for drivers that have no such callback */
	pci_warn(pdev, "resetting");

	guard(srcu)(&vfio_pci_drvdata_srcu);

	vdev = pci_get_drvdata(pdev);
	if (vdev)
		vfio_pci_vendors_reset_prepare(vdev, VFIO_PCI_IN_RESET);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_reset_prepare);

/**
 * vfio_pci_core_reset_done() - tell vendor drivers that a reset is over
 * @pdev: a device that is bound to a driver built on vfio-pci-core
 *
 * For the reset_done callback of struct pci_error_handlers.
 */
void vfio_pci_core_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;

	pci_warn(pdev, "reset done");

	guard(srcu)(&vfio_pci_drvdata_srcu);

	vdev = pci_get_drvdata(pdev);
	if (vdev)
		vfio_pci_vendors_reset_done(vdev, VFIO_PCI_IN_RESET);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_reset_done);

/**
 * vfio_pci_vendors_error() - tell vendor drivers of an error of the device
 * @vdev: the device
 * @state: what the error did to the channel to the device
 *
 * A fatal one has the port above reset the device, which is over when it resumes
 * or is given up.
 */
void vfio_pci_vendors_error(struct vfio_pci_core_device *vdev,
			    pci_channel_state_t state)
{
	if (state == pci_channel_io_frozen)
		vfio_pci_vendors_reset_prepare(vdev, VFIO_PCI_IN_RECOVERY);
	else if (state == pci_channel_io_perm_failure)
		vfio_pci_vendors_reset_done(vdev, VFIO_PCI_IN_RECOVERY);
}

/**
 * vfio_pci_core_aer_resume() - tell vendor drivers that a device has recovered
 * @pdev: a device that is bound to a driver built on vfio-pci-core
 *
 * For the resume callback of struct pci_error_handlers.
 */
void vfio_pci_core_aer_resume(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *vdev;

	guard(srcu)(&vfio_pci_drvdata_srcu);

	vdev = pci_get_drvdata(pdev);
	if (vdev)
		vfio_pci_vendors_reset_done(vdev, VFIO_PCI_IN_RECOVERY);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_aer_resume);

/**
 * vfio_pci_vendor_feature() - ask vendor drivers for a device feature
 * @vdev: the device, which is open
 * @flags: VFIO_DEVICE_FEATURE_* of struct vfio_device_feature, the feature
 *	   itself among them
 * @arg: data of the feature, in userspace
 * @argsz: size of it in bytes
 *
 * The last driver that opened the device is asked first.
 *
 * Return: what the first driver that knows the feature returns, or -ENOTTY.
 */
int vfio_pci_vendor_feature(struct vfio_pci_core_device *vdev, u32 flags,
			    void __user *arg, size_t argsz)
{
	struct vfio_pci_vendor_device *dev;
	int ret;

	list_for_each_entry_reverse(dev, &vdev->vendors, node) {
		if (!dev->driver->device_feature)
			continue;
		ret = dev->driver->device_feature(dev, flags, arg, argsz);
		if (ret != -ENOTTY)
			return ret;
	}

	return -ENOTTY;
}

/* What must be known of a device before it is registered with vfio */
VISIBLE_IF_KUNIT int
vfio_pci_vendor_bind_migration(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor_device *dev, *next;
	LIST_HEAD(found);
	int ret;

	ret = vfio_pci_vendor_match(vdev, &found);
	dev = vfio_pci_vendor_migrates(&found);
	if (!ret && dev && !vdev->vdev.mig_ops)
		vfio_pci_mig_bind(vdev, dev->driver->migration);

	list_for_each_entry_safe(dev, next, &found, node)
		vfio_pci_vendor_put(dev);

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendor_bind_migration);

/**
 * vfio_pci_core_request_vendors() - load the vendor drivers for a device
 * @vdev: the device, before vfio_pci_core_register_device()
 *
 * A driver that calls vfio_pci_core_open_vendors() calls this when it binds a
 * device.  Modules name the devices that they are for by aliases, see
 * MODULE_VFIO_PCI_VENDOR_ALIAS().  That there is none is no error.  If one of
 * the drivers can migrate the device, userspace will be told that it can be
 * migrated, unless the caller has its own way to do it.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOMEM.
 */
int vfio_pci_core_request_vendors(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	/* Ids of 16 bits: those of 32 that "pci:" has do not fit into a name */
	__request_module(!current_is_async(),
			 "vfio-pci-vendor:v%04Xd%04Xsv%04Xsd%04Xbc%02Xsc%02Xi%02X",
			 pdev->vendor, pdev->device, pdev->subsystem_vendor,
			 pdev->subsystem_device, (u8)(pdev->class >> 16),
			 (u8)(pdev->class >> 8), (u8)pdev->class);

	return vfio_pci_vendor_bind_migration(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_request_vendors);

int __init vfio_pci_vendor_init(void)
{
	return rhltable_init(&vfio_pci_vendor_ids, &vfio_pci_vendor_id_params);
}

void vfio_pci_vendor_exit(void)
{
	rhltable_destroy(&vfio_pci_vendor_ids);
}
