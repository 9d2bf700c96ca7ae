// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI vendor drivers
 *
 * The registry of vendor drivers.  vfio-pci attaches the matching drivers when
 * it binds a device.  If a driver is loaded later, vfio-pci attaches it at the
 * next open.  An attached driver stays pinned until unbind, so that its
 * overrides hold at every open.  A BPF driver is attached only while the device
 * is open, because its owner may detach it at any time.
 */

#include <linux/async.h>
#include <linux/kmod.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>
#include <kunit/visibility.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"
#include "vfio_pci_trace.h"

/**
 * struct vfio_pci_vendor_entry - a registered vendor driver
 * @node: entry in vfio_pci_vendor_drivers
 * @driver: the vendor driver
 * @owner: its module
 * @release: function that frees the driver, if it is a BPF driver; or NULL
 * @ids: id table from the driver's module parameter, or NULL
 * @serial: registration number, ascending
 * @users: number of attached devices
 */
struct vfio_pci_vendor_entry {
	struct list_head			node;
	const struct vfio_pci_vendor_driver	*driver;
	struct module				*owner;
	void (*release)(const struct vfio_pci_vendor_driver *driver);
	struct pci_device_id			*ids;
	u64					serial;
	unsigned int				users;
};

/* Protects the list, the serial and all entries */
static DEFINE_MUTEX(vfio_pci_vendor_lock);
/* Sorted by priority, then by name: the order of open */
static LIST_HEAD(vfio_pci_vendor_drivers);
/* Last registration number; each open compares it without the lock */
static u64 vfio_pci_vendor_serial;
/* Number of registered BPF drivers; each open reads it without the lock */
static unsigned int vfio_pci_vendor_nr_bpf;
static DECLARE_WAIT_QUEUE_HEAD(vfio_pci_vendor_unused);

/* Compare by priority, then by name.  The load order does not matter. */
static int vfio_pci_vendor_cmp(const struct vfio_pci_vendor_driver *a,
			       const struct vfio_pci_vendor_driver *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;

	return strcmp(a->name, b->name);
}

/* Parse the driver's module parameter into an id table */
static int vfio_pci_vendor_parse_ids(struct vfio_pci_vendor_entry *entry)
{
	char *ids __free(kfree) = NULL;
	struct pci_device_id id;
	unsigned int n = 0;
	const char *next;
	int ret;

	if (!entry->driver->ids)
		return 0;

	kernel_param_lock(entry->owner);
	if (*entry->driver->ids)
		ids = kstrdup(*entry->driver->ids, GFP_KERNEL);
	kernel_param_unlock(entry->owner);
	if (!ids)
		return *entry->driver->ids ? -ENOMEM : 0;

	for (next = ids; (ret = vfio_pci_next_id(&next, &id)) > 0;)
		n++;
	if (ret < 0)
		return ret;
	if (!n)
		return 0;

	entry->ids = kvcalloc(n + 1, sizeof(*entry->ids), GFP_KERNEL);
	if (!entry->ids)
		return -ENOMEM;

	for (next = ids, n = 0; vfio_pci_next_id(&next, &id) > 0;)
		entry->ids[n++] = id;

	return 0;
}

static bool vfio_pci_vendor_has_ids(const struct vfio_pci_vendor_entry *entry)
{
	const struct pci_device_id *id = entry->driver->id_table;

	return entry->ids ||
	       (id && (id->vendor || id->subvendor || id->class_mask));
}

static void vfio_pci_vendor_free_entry(struct vfio_pci_vendor_entry *entry)
{
	kvfree(entry->ids);
	kfree(entry);
}

/* Free an unregistered BPF driver that no device uses any more */
static void vfio_pci_vendor_release(struct vfio_pci_vendor_entry *entry)
{
	entry->release(entry->driver);
	vfio_pci_vendor_free_entry(entry);
}

static int vfio_pci_vendor_add_entry(struct vfio_pci_vendor_entry *entry)
{
	struct vfio_pci_vendor_entry *other, *after = NULL;

	guard(mutex)(&vfio_pci_vendor_lock);

	list_for_each_entry(other, &vfio_pci_vendor_drivers, node) {
		if (other->driver == entry->driver ||
		    !strcmp(other->driver->name, entry->driver->name))
			return -EEXIST;
		if (!after &&
		    vfio_pci_vendor_cmp(other->driver, entry->driver) > 0)
			after = other;
	}

	list_add_tail(&entry->node,
		      after ? &after->node : &vfio_pci_vendor_drivers);
	entry->serial = vfio_pci_vendor_serial + 1;
	WRITE_ONCE(vfio_pci_vendor_serial, entry->serial);
	if (entry->release)
		WRITE_ONCE(vfio_pci_vendor_nr_bpf, vfio_pci_vendor_nr_bpf + 1);

	return 0;
}

static int
vfio_pci_vendor_register(const struct vfio_pci_vendor_driver *driver,
			 struct module *owner,
			 void (*release)(const struct vfio_pci_vendor_driver *driver))
{
	struct vfio_pci_vendor_entry *entry;
	const char *why;
	int ret;

	if (!driver->name || !*driver->name || !driver->open) {
		pr_err("vfio-pci: cannot register a vendor driver of module %s: no %s\n",
		       owner ? module_name(owner) : "(built-in)",
		       driver->open ? "name" : "open callback");
		return -EINVAL;
	}

	entry = kzalloc_obj(*entry);
	if (!entry)
		return -ENOMEM;

	entry->driver = driver;
	entry->owner = owner;
	entry->release = release;

	why = "incomplete migration backend";
	ret = vfio_pci_mig_check_driver(driver);
	if (ret)
		goto err_free;

	why = "malformed ids parameter";
	ret = vfio_pci_vendor_parse_ids(entry);
	if (ret)
		goto err_free;

	why = "no ids";
	ret = -EINVAL;
	if (!vfio_pci_vendor_has_ids(entry))
		goto err_free;

	why = "the name is already registered";
	ret = vfio_pci_vendor_add_entry(entry);
	if (ret)
		goto err_free;

	return 0;

err_free:
	if (ret != -ENOMEM)
		pr_err("vfio-pci: cannot register vendor driver %s: %s\n",
		       driver->name, why);
	vfio_pci_vendor_free_entry(entry);
	return ret;
}

/**
 * __vfio_pci_register_vendor_driver() - register a vendor driver
 * @driver: the vendor driver; must exist until it is unregistered
 * @owner: module of the driver; NULL if built in
 *
 * vfio-pci attaches the driver when it binds a matching device.  If a device is
 * already bound, the core attaches the driver at the next open.
 *
 * Context: Process context, may sleep.  Works before vfio-pci-core is
 *	    initialized.
 * Return: 0 on success; -EINVAL if the driver has no name, no open callback or
 * no ids, if an id is malformed, or if the migration backend is incomplete;
 * -EEXIST if the driver or its name is already registered; -ENOMEM if out of
 * memory.
 */
int __vfio_pci_register_vendor_driver(const struct vfio_pci_vendor_driver *driver,
				      struct module *owner)
{
	return vfio_pci_vendor_register(driver, owner, NULL);
}
EXPORT_SYMBOL_GPL(__vfio_pci_register_vendor_driver);

/**
 * vfio_pci_register_bpf_driver() - register a BPF driver
 * @driver: the driver, without bind and unbind callbacks and without migration
 * @owner: module that runs the callbacks
 * @release: frees @driver.  Called once after a successful registration: when
 *	     the driver is unregistered and no open device uses it.  The lock of
 *	     the registry is held.
 *
 * The core attaches the driver at each open of a matching device, and detaches
 * it at the close.
 *
 * Context: Process context, may sleep.
 * Return: Same as __vfio_pci_register_vendor_driver().
 */
int vfio_pci_register_bpf_driver(const struct vfio_pci_vendor_driver *driver,
				 struct module *owner,
				 void (*release)(const struct vfio_pci_vendor_driver *driver))
{
	return vfio_pci_vendor_register(driver, owner, release);
}
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_register_bpf_driver,
			  "vfio-pci-bpf,vfio_pci_vendor_bind_kunit");

static struct vfio_pci_vendor_entry *
vfio_pci_vendor_del_entry(const struct vfio_pci_vendor_driver *driver)
{
	struct vfio_pci_vendor_entry *entry;

	list_for_each_entry(entry, &vfio_pci_vendor_drivers, node) {
		if (entry->driver == driver) {
			list_del_init(&entry->node);
			return entry;
		}
	}

	return NULL;
}

/**
 * vfio_pci_unregister_vendor_driver() - unregister a vendor driver
 * @driver: a registered vendor driver
 *
 * Wait until all attached devices are unbound.  A call from the init or exit
 * function of a module never waits.  An attached device pins the module, and
 * the core attaches a driver only after the init function has returned.
 *
 * Context: Process context, may sleep.
 */
void vfio_pci_unregister_vendor_driver(const struct vfio_pci_vendor_driver *driver)
{
	struct vfio_pci_vendor_entry *entry;

	scoped_guard(mutex, &vfio_pci_vendor_lock)
		entry = vfio_pci_vendor_del_entry(driver);
	if (WARN_ON(!entry))
		return;

	wait_event(vfio_pci_vendor_unused, !READ_ONCE(entry->users));
	/* Wait for vfio_pci_vendor_detach() to drop the lock */
	scoped_guard(mutex, &vfio_pci_vendor_lock) {}

	vfio_pci_vendor_free_entry(entry);
}
EXPORT_SYMBOL_GPL(vfio_pci_unregister_vendor_driver);

/**
 * vfio_pci_unregister_bpf_driver() - unregister a BPF driver
 * @driver: a registered BPF driver
 *
 * Do not wait.  A device that is open keeps the driver until it is closed.
 *
 * Context: Process context, may sleep.
 */
void vfio_pci_unregister_bpf_driver(const struct vfio_pci_vendor_driver *driver)
{
	struct vfio_pci_vendor_entry *entry;

	guard(mutex)(&vfio_pci_vendor_lock);

	entry = vfio_pci_vendor_del_entry(driver);
	if (WARN_ON(!entry))
		return;

	WRITE_ONCE(vfio_pci_vendor_nr_bpf, vfio_pci_vendor_nr_bpf - 1);
	if (!entry->users)
		vfio_pci_vendor_release(entry);
}
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_unregister_bpf_driver,
			  "vfio-pci-bpf,vfio_pci_vendor_bind_kunit");

static const struct pci_device_id *
vfio_pci_vendor_match(const struct vfio_pci_vendor_entry *entry,
		      struct pci_dev *pdev)
{
	const struct pci_device_id *id;

	id = pci_match_id(entry->driver->id_table, pdev);
	if (!id)
		id = pci_match_id(entry->ids, pdev);

	return id;
}

/* Free a vendor device and unpin its driver */
static void vfio_pci_vendor_detach(struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_vendor_entry *entry = vendor->entry;
	struct module *owner;

	list_del(&vendor->node);
	kfree(vendor);
	/* A variant driver has attached it */
	if (!entry)
		return;
	owner = entry->owner;

	guard(mutex)(&vfio_pci_vendor_lock);

	WRITE_ONCE(entry->users, entry->users - 1);
	wake_up_all(&vfio_pci_vendor_unused);
	if (entry->release && !entry->users && list_empty(&entry->node))
		vfio_pci_vendor_release(entry);
	/* After the unlock, the driver and its module may be gone */
	module_put(owner);
}

static bool vfio_pci_vendor_is_attached(struct vfio_pci_core_device *vdev,
					const struct vfio_pci_vendor_entry *entry)
{
	struct vfio_pci_vendor *vendor;

	list_for_each_entry(vendor, &vdev->vendors, node)
		if (vendor->entry == entry)
			return true;

	return false;
}

static struct vfio_pci_vendor *
vfio_pci_vendor_alloc(struct vfio_pci_core_device *vdev,
		      const struct vfio_pci_vendor_driver *driver)
{
	struct vfio_pci_vendor *vendor;

	vendor = kzalloc_obj(*vendor, GFP_KERNEL_ACCOUNT);
	if (!vendor)
		return NULL;

	vendor->dev.vdev = vdev;
	vendor->dev.pdev = vdev->pdev;
	vendor->dev.driver = driver;
	vendor->dev.id = &vendor->id;
	INIT_LIST_HEAD(&vendor->regions);
	INIT_LIST_HEAD(&vendor->config_edits);

	return vendor;
}

/*
 * Pin a matching driver and append a vendor device for it to @list.  Return
 * -EAGAIN if the module is going away, or if its initialization is not over and
 * may still fail.
 */
static int vfio_pci_vendor_attach(struct vfio_pci_core_device *vdev,
				  struct vfio_pci_vendor_entry *entry,
				  const struct pci_device_id *id,
				  struct list_head *list)
{
	struct vfio_pci_vendor *vendor;

	if ((entry->owner && module_is_coming(entry->owner)) ||
	    !try_module_get(entry->owner))
		return -EAGAIN;

	vendor = vfio_pci_vendor_alloc(vdev, entry->driver);
	if (!vendor) {
		module_put(entry->owner);
		return -ENOMEM;
	}

	vendor->entry = entry;
	vendor->id = *id;
	entry->users++;
	list_add_tail(&vendor->node, list);

	return 0;
}

/*
 * Check whether vfio_pci_vendors_find() must look at a driver: a BPF driver at
 * each open, another driver once.
 */
static bool vfio_pci_vendor_is_new(struct vfio_pci_core_device *vdev,
				   const struct vfio_pci_vendor_entry *entry)
{
	if (entry->release)
		return vdev->vendors_bound;

	return entry->serial > vdev->vendors_serial;
}

/*
 * Attach the matching drivers that registered since the last call, and BPF
 * drivers.  The next call can skip registration numbers up to @serial.
 */
static int vfio_pci_vendors_find(struct vfio_pci_core_device *vdev,
				 struct list_head *list, u64 *serial)
{
	struct vfio_pci_vendor_entry *entry;
	const struct pci_device_id *id;
	unsigned int nr_bpf = 0;
	int ret;

	guard(mutex)(&vfio_pci_vendor_lock);

	*serial = vfio_pci_vendor_serial;
	list_for_each_entry(entry, &vfio_pci_vendor_drivers, node) {
		if (!vfio_pci_vendor_is_new(vdev, entry) ||
		    vfio_pci_vendor_is_attached(vdev, entry))
			continue;
		id = vfio_pci_vendor_match(entry, vdev->pdev);
		if (!id)
			continue;

		if (entry->release && nr_bpf++ == VFIO_PCI_MAX_BPF_DRIVERS) {
			dev_err_ratelimited(&vdev->pdev->dev,
					    "vendor driver %s: more than %u BPF drivers for a device\n",
					    entry->driver->name,
					    VFIO_PCI_MAX_BPF_DRIVERS);
			return -E2BIG;
		}

		ret = vfio_pci_vendor_attach(vdev, entry, id, list);
		if (ret && ret != -EAGAIN)
			return ret;
		/* The next call looks for BPF drivers in any case */
		if (ret && !entry->release)
			*serial = min(*serial, entry->serial - 1);
	}

	return 0;
}

/* Insert a vendor device in the order of open */
static void vfio_pci_vendor_insert(struct vfio_pci_core_device *vdev,
				   struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_vendor *other;

	list_for_each_entry(other, &vdev->vendors, node)
		if (vfio_pci_vendor_cmp(other->dev.driver, vendor->dev.driver) > 0)
			break;
	list_move_tail(&vendor->node, &other->node);
}

/* Convert an invalid return value of a callback to -EIO */
static int vfio_pci_vendor_callback_errno(int ret)
{
	return ret > 0 || ret < -MAX_ERRNO ? -EIO : ret;
}

/* Call the bind callback; if it fails, detach the driver */
static int vfio_pci_vendor_bind(struct vfio_pci_vendor *vendor)
{
	const struct vfio_pci_vendor_driver *driver = vendor->dev.driver;
	int ret = driver->bind ? driver->bind(&vendor->dev) : 0;
	bool optional = vendor->entry;

	if (!ret)
		return 0;

	if (ret != -ENODEV)
		dev_err_ratelimited(&vendor->dev.pdev->dev,
				    "vendor driver %s failed to bind the device: %d\n",
				    driver->name, ret);
	vfio_pci_vendor_detach(vendor);

	if (ret == -ENODEV && optional)
		return 0;

	return vfio_pci_vendor_callback_errno(ret);
}

/* Undo vfio_pci_vendor_bind() */
static void vfio_pci_vendor_unbind(struct vfio_pci_vendor *vendor)
{
	if (vendor->dev.driver->unbind)
		vendor->dev.driver->unbind(&vendor->dev);
	vfio_pci_vendor_detach(vendor);
}

/* Request the modules of the vendor drivers of a device */
static int vfio_pci_vendors_request(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;
	char alias[MODULE_NAME_LEN];

	snprintf(alias, sizeof(alias),
		 "vfio-pci-vendor:v%04Xd%04Xsv%04Xsd%04Xbc%02Xsc%02Xi%02X",
		 pdev->vendor, pdev->device, pdev->subsystem_vendor,
		 pdev->subsystem_device, (u8)(pdev->class >> 16),
		 (u8)(pdev->class >> 8), (u8)pdev->class);

	/* An asynchronous probe must not wait for modprobe */
	if (current_is_async())
		return request_module_nowait("%s", alias) ?: -EAGAIN;

	return request_module("%s", alias);
}

/**
 * vfio_pci_vendors_attach() - attach vendor drivers to a device
 * @vdev: the device, closed
 *
 * Attach and bind the matching drivers that registered since the last call.  On
 * error, detach all of these.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -ENOMEM if out of memory; or the errno of a bind
 * callback.
 */
static int vfio_pci_vendors_attach(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor, *next;
	LIST_HEAD(found);
	u64 serial;
	int ret;

	ret = vfio_pci_vendors_find(vdev, &found, &serial);

	list_for_each_entry_safe(vendor, next, &found, node) {
		if (ret)
			vfio_pci_vendor_detach(vendor);
		else
			ret = vfio_pci_vendor_bind(vendor);
	}

	if (ret) {
		list_for_each_entry_safe_reverse(vendor, next, &found, node)
			vfio_pci_vendor_unbind(vendor);
		return ret;
	}

	guard(mutex)(&vdev->vendors_lock);

	list_for_each_entry_safe(vendor, next, &found, node)
		vfio_pci_vendor_insert(vdev, vendor);
	vdev->vendors_serial = serial;

	return 0;
}

/**
 * vfio_pci_vendors_attach_late() - attach vendor drivers loaded since bind
 * @vdev: the device, about to be enabled
 *
 * Request the modules again if the request at bind failed: vfio-pci may have
 * bound the device before the root file system was mounted.  Attach the drivers
 * that registered since bind, and check for the required ones.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -ENODEV if a required vendor driver is missing; or an
 * errno of vfio_pci_vendors_attach().
 */
int vfio_pci_vendors_attach_late(struct vfio_pci_core_device *vdev)
{
	int ret;

	if (!vdev->vendors_bound)
		return 0;

	if (vdev->vendors_request_again) {
		vdev->vendors_request_again = false;
		vfio_pci_vendors_request(vdev);
	}

	if (vdev->vendors_serial != READ_ONCE(vfio_pci_vendor_serial) ||
	    READ_ONCE(vfio_pci_vendor_nr_bpf)) {
		ret = vfio_pci_vendors_attach(vdev);
		if (ret)
			return ret;
	}

	ret = vfio_pci_vendors_check_required(vdev, false);
	/* The operator may install the module before the next open */
	if (ret)
		vdev->vendors_request_again = true;
	else
		vfio_pci_vendors_hint(vdev);

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_attach_late);

/**
 * vfio_pci_vendors_unbind() - detach all vendor drivers from a device
 * @vdev: the device, closed and unregistered from vfio
 */
void vfio_pci_vendors_unbind(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor, *next;

	LIST_HEAD(unbound);

	scoped_guard(mutex, &vdev->vendors_lock) {
		vfio_pci_vendors_settle(vdev);
		list_splice_init(&vdev->vendors, &unbound);
	}

	list_for_each_entry_safe_reverse(vendor, next, &unbound, node)
		vfio_pci_vendor_unbind(vendor);
	vdev->vendors_bound = false;
	vdev->vendors_serial = 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_unbind);

/* Find the last driver that can migrate the device */
static struct vfio_pci_vendor *
vfio_pci_vendors_migrating(struct vfio_pci_core_device *vdev, bool opened)
{
	struct vfio_pci_vendor *vendor;

	list_for_each_entry_reverse(vendor, &vdev->vendors, node)
		if ((!opened || vendor->opened) &&
		    vfio_pci_mig_abilities(&vendor->dev))
			return vendor;

	return NULL;
}

/* Attach vendor drivers and advertise their migration features */
VISIBLE_IF_KUNIT int vfio_pci_vendors_bind(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor;
	int ret;

	ret = vfio_pci_vendors_attach(vdev);
	if (ret)
		return ret;

	vdev->vendors_bound = true;
	vendor = vfio_pci_vendors_migrating(vdev, false);
	if (vendor && !vdev->vdev.mig_ops)
		vfio_pci_mig_bind(&vendor->dev);

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_bind);

/**
 * vfio_pci_core_bind_vendors() - attach vendor drivers to a device at bind
 * @vdev: the device, before vfio_pci_core_register_device()
 *
 * Load the modules of matching vendor drivers, attach the drivers, and pin them
 * until vfio_pci_core_unregister_device().  Advertise migration if one of the
 * drivers supports it, unless @vdev already has migration operations.
 *
 * To support vendor drivers, a variant driver calls this in its probe function,
 * and vfio_pci_core_open_vendors() at each open.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -ENOMEM if out of memory; or the errno of a bind
 * callback.
 */
int vfio_pci_core_bind_vendors(struct vfio_pci_core_device *vdev)
{
	vdev->vendors_request_again = vfio_pci_vendors_request(vdev);

	return vfio_pci_vendors_bind(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_bind_vendors);

/**
 * vfio_pci_core_attach_vendor() - attach a vendor driver that is not registered
 * @vdev: the device, before vfio_pci_core_register_device()
 * @driver: the vendor driver, without a migration backend.  It must exist until
 *	    vfio_pci_core_unregister_device().  Its ids have no effect.
 *
 * With this, a variant driver overrides regions of its own devices.  It must
 * call vfio_pci_core_open_vendors() at each open, and must have the error
 * handlers in Documentation/driver-api/vfio-pci-regops.rst.  Attach a driver
 * once.  If the bind or the open callback returns -ENODEV, this call or the open
 * fails.
 *
 * vfio_pci_core_unregister_device() detaches the driver.  If the device was not
 * registered, the release of the device detaches it.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the driver has no name, no open callback, or
 * a migration backend; -ENOMEM if out of memory; or the errno of the bind
 * callback.
 */
int vfio_pci_core_attach_vendor(struct vfio_pci_core_device *vdev,
				const struct vfio_pci_vendor_driver *driver)
{
	struct vfio_pci_vendor *vendor;
	LIST_HEAD(attached);
	int ret;

	if (WARN_ON(!driver->name || !*driver->name || !driver->open ||
		    driver->migration))
		return -EINVAL;

	vendor = vfio_pci_vendor_alloc(vdev, driver);
	if (!vendor)
		return -ENOMEM;

	list_add(&vendor->node, &attached);
	ret = vfio_pci_vendor_bind(vendor);
	if (ret)
		return ret;

	guard(mutex)(&vdev->vendors_lock);

	vfio_pci_vendor_insert(vdev, vendor);

	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_attach_vendor);

/* Undo vfio_pci_vendor_open() */
static void vfio_pci_vendor_close(struct vfio_pci_core_device *vdev,
				  struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_vendor_device *dev = &vendor->dev;

	scoped_guard(mutex, &vdev->vendors_lock) {
		vfio_pci_vendors_settle(vdev);
		vendor->opened = false;
		vendor->busy = true;
	}

	trace_vfio_pci_vendor_close(dev->pdev, dev->driver->name, 0);
	vfio_pci_vendor_undo_config(vendor);
	vfio_pci_mig_close(vendor->migration);
	vfio_pci_regions_free_vendor(dev);
	if (dev->driver->close)
		dev->driver->close(dev);

	vfio_pci_mig_put(vendor->migration);
	scoped_guard(mutex, &vdev->vendors_lock) {
		vendor->migration = NULL;
		dev->data = NULL;
		vendor->busy = false;
	}
}

/*
 * Begin and end calls that open the device.  A reset during such a call fails
 * the open, because the reset may undo the driver's register writes.
 */
static int vfio_pci_vendor_open_begin(struct vfio_pci_core_device *vdev,
				      struct vfio_pci_vendor *vendor)
{
	guard(mutex)(&vdev->vendors_lock);

	if (vdev->in_reset)
		return -EAGAIN;

	vendor->missed_reset = false;
	vendor->busy = true;
	vdev->vendors_task = current;
	vdev->vendor_opening = &vendor->dev;

	return 0;
}

static int vfio_pci_vendor_open_end(struct vfio_pci_core_device *vdev,
				    struct vfio_pci_vendor *vendor, int ret)
{
	guard(mutex)(&vdev->vendors_lock);

	vdev->vendor_opening = NULL;
	vdev->vendors_task = NULL;
	vendor->busy = false;
	vendor->opened |= !ret;

	return !ret && vendor->missed_reset ? -EAGAIN : ret;
}

static int vfio_pci_vendor_open(struct vfio_pci_core_device *vdev,
				struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_vendor_device *dev = &vendor->dev;
	int ret;

	ret = vfio_pci_vendor_open_begin(vdev, vendor);
	if (ret)
		goto out;

	ret = dev->driver->open(dev);
	trace_vfio_pci_vendor_open(dev->pdev, dev->driver->name, ret);
	if (ret) {
		vfio_pci_vendor_undo_config(vendor);
		vfio_pci_regions_free_vendor(dev);
		dev->data = NULL;
	}
	ret = vfio_pci_vendor_open_end(vdev, vendor, ret);
	if (ret == -ENODEV && !vendor->opened && vendor->entry)
		return 0;

out:
	if (ret)
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s failed to open the device: %d%s\n",
				    dev->driver->name, ret,
				    vendor->missed_reset || vdev->in_reset ?
				    " (reset during open; try again)" : "");

	return vfio_pci_vendor_callback_errno(ret);
}

/* Start migration after all vendor drivers have opened the device */
static int vfio_pci_vendors_open_migration(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor;
	int ret;

	vendor = vfio_pci_vendors_migrating(vdev, true);
	if (!vendor)
		return 0;

	/* A variant driver may migrate the device itself */
	if (!vfio_pci_mig_bound(&vendor->dev)) {
		pci_info_ratelimited(vdev->pdev,
				     "vendor driver %s cannot migrate the device; if the driver was loaded after bind, unbind the device and bind it again\n",
				     vendor->dev.driver->name);
		return 0;
	}

	ret = vfio_pci_vendor_open_begin(vdev, vendor);
	if (ret)
		return ret;

	ret = vfio_pci_mig_open(&vendor->dev);
	if (!ret)
		ret = vfio_pci_mig_add_region(vendor->migration);

	return vfio_pci_vendor_open_end(vdev, vendor, ret);
}

/**
 * vfio_pci_core_open_vendors() - call the open callbacks of vendor drivers
 * @vdev: the device, between vfio_pci_core_enable() and
 *	  vfio_pci_core_finish_enable()
 *
 * A driver that calls vfio_pci_core_bind_vendors() or
 * vfio_pci_core_attach_vendor() must call this at each open.
 * vfio_pci_core_disable() undoes this; call it on error, too.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the device is not enabled; -EBUSY if it is
 * already open or this is the second call; -EAGAIN if a reset overlaps the
 * open; -ENODEV if a required vendor driver does not support the device;
 * -ENOMEM if out of memory; or the errno of a vendor driver.
 */
int vfio_pci_core_open_vendors(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor;
	int ret;

	if (!vdev->regions)
		return -EINVAL;
	if (vdev->regions_final || vdev->vendors_opened)
		return -EBUSY;

	/* From here on, only vendor drivers may add regions */
	vdev->vendors_opened = true;

	list_for_each_entry(vendor, &vdev->vendors, node) {
		ret = vfio_pci_vendor_open(vdev, vendor);
		if (ret)
			return ret;
	}

	/* Without this, registered drivers do not attach */
	if (vdev->vendors_bound) {
		ret = vfio_pci_vendors_check_required(vdev, true);
		if (ret)
			return ret;
	}

	return vfio_pci_vendors_open_migration(vdev);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_open_vendors);

/* Detach BPF drivers.  The next open looks for them again. */
static void vfio_pci_vendors_detach_bpf(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor, *next;
	LIST_HEAD(detached);

	scoped_guard(mutex, &vdev->vendors_lock) {
		list_for_each_entry_safe(vendor, next, &vdev->vendors, node) {
			if (vendor->entry && vendor->entry->release)
				list_move_tail(&vendor->node, &detached);
		}
	}

	list_for_each_entry_safe(vendor, next, &detached, node)
		vfio_pci_vendor_detach(vendor);
}

/**
 * vfio_pci_vendors_close() - undo vfio_pci_core_open_vendors() and
 *	vfio_pci_vendors_attach_late()
 * @vdev: the device; userspace must not have access
 */
void vfio_pci_vendors_close(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor;

	list_for_each_entry_reverse(vendor, &vdev->vendors, node)
		if (vendor->opened)
			vfio_pci_vendor_close(vdev, vendor);
	vfio_pci_vendors_detach_bpf(vdev);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_close);

/**
 * vfio_pci_vendor_feature() - pass a device feature to vendor drivers
 * @vdev: the device, open
 * @flags: flags of struct vfio_device_feature, with the feature's number
 * @arg: data of the feature, in userspace
 * @argsz: size of @arg in bytes
 *
 * Call the driver with the highest priority first.
 *
 * Return: the result of the first driver that supports the feature; -ENOTTY if
 * no driver does.
 */
int vfio_pci_vendor_feature(struct vfio_pci_core_device *vdev, u32 flags,
			    void __user *arg, size_t argsz)
{
	struct vfio_pci_vendor *vendor;
	int ret;

	list_for_each_entry_reverse(vendor, &vdev->vendors, node) {
		if (!vendor->opened || !vendor->dev.driver->device_feature)
			continue;
		ret = vendor->dev.driver->device_feature(&vendor->dev, flags,
							 arg, argsz);
		if (ret != -ENOTTY)
			return ret;
	}

	return -ENOTTY;
}
