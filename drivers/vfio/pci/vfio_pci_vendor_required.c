// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI required vendor drivers
 *
 * The operator can require vendor drivers by a module parameter.  The core then
 * refuses to open a device without its vendor driver.  If a device only loses a
 * feature without the driver, the core logs a hint.
 */

#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static char *require_vendor_driver;

/*
 * Parse the next entry of the parameter: an id, optionally followed by '=' and
 * the name of a vendor driver.  Set @len to the length of the name, or 0.
 * Return the same values as vfio_pci_next_id().
 */
static int vfio_pci_next_required(const char **list, struct pci_device_id *id,
				  const char **name, size_t *len)
{
	int ret = vfio_pci_next_id(list, id);

	*len = 0;
	if (ret <= 0 || **list != '=')
		return ret;

	*name = *list + 1;
	*len = strcspn(*name, ",=");
	*list = *name + *len;

	return *len && **list != '=' ? 1 : -EINVAL;
}

static int vfio_pci_set_required(const char *val, const struct kernel_param *kp)
{
	const char *next = val, *name;
	struct pci_device_id id;
	size_t len;
	int ret;

	while ((ret = vfio_pci_next_required(&next, &id, &name, &len)) > 0)
		;
	if (ret) {
		pr_err("vfio-pci: malformed require_vendor_driver: \"%s\"; use id[=name][,id[=name]...]\n",
		       next);
		return ret;
	}

	return param_set_charp(val, kp);
}

static const struct kernel_param_ops vfio_pci_required_ops = {
	.set	= vfio_pci_set_required,
	.get	= param_get_charp,
	.free	= param_free_charp,
};

module_param_cb(require_vendor_driver, &vfio_pci_required_ops,
		&require_vendor_driver, 0444);
MODULE_PARM_DESC(require_vendor_driver, "Refuse to open these devices without a vendor driver.  Comma-separated list of \"id[=name]\": id has the format of the vfio-pci parameter ids; without a name, any vendor driver is sufficient.  No effect on variant drivers that do not support vendor drivers.");

/* Devices that lose a feature without their vendor driver */
static const struct {
	struct pci_device_id	id[2];
	const char		*name;
	const char		*module;
	const char		*loss;
} vfio_pci_recommended[] = {
#if IS_ENABLED(CONFIG_VFIO_PCI_IGD)
	{
		{ {
			PCI_DEVICE(PCI_VENDOR_ID_INTEL, PCI_ANY_ID),
			.class = PCI_BASE_CLASS_DISPLAY << 16,
			.class_mask = 0xff0000,
		} },
		"vfio_pci_igd", "vfio-pci-igd",
		"the OpRegion of the graphics device is missing",
	},
#endif
};

static bool vfio_pci_has_vendor(struct vfio_pci_core_device *vdev,
				const char *name, size_t len, bool opened)
{
	struct vfio_pci_vendor *vendor;

	list_for_each_entry(vendor, &vdev->vendors, node) {
		/* The variant driver's own does not count */
		if (!vendor->entry || (opened && !vendor->opened))
			continue;
		if (!len || (!strncmp(vendor->dev.driver->name, name, len) &&
			     !vendor->dev.driver->name[len]))
			return true;
	}

	return false;
}

/**
 * vfio_pci_vendors_check_required() - check for required vendor drivers
 * @vdev: the device
 * @opened: count only drivers that have opened the device
 *
 * Return: 0 on success; -ENODEV if a required vendor driver is missing.
 */
int vfio_pci_vendors_check_required(struct vfio_pci_core_device *vdev,
				    bool opened)
{
	const char *next = require_vendor_driver ?: "", *name = NULL;
	struct pci_device_id id[2] = {};
	struct pci_dev *pdev = vdev->pdev;
	size_t len;

	while (vfio_pci_next_required(&next, &id[0], &name, &len) > 0) {
		if (!pci_match_id(id, pdev) ||
		    vfio_pci_has_vendor(vdev, name, len, opened))
			continue;
		if (opened)
			dev_err_ratelimited(&pdev->dev,
					    "open refused: the required vendor driver%s%.*s does not support the device; check require_vendor_driver\n",
					    len ? " " : "", (int)len,
					    len ? name : "");
		else if (len)
			dev_err_ratelimited(&pdev->dev,
					    "open refused: vendor driver %.*s is missing; load its module or attach its BPF programs\n",
					    (int)len, name);
		else
			dev_err_ratelimited(&pdev->dev,
					    "open refused: no vendor driver is loaded for %04x:%04x; load one with modprobe\n",
					    pdev->vendor, pdev->device);
		return -ENODEV;
	}

	return 0;
}

/**
 * vfio_pci_vendors_hint() - log a hint about missing vendor drivers
 * @vdev: the device, about to be opened
 */
void vfio_pci_vendors_hint(struct vfio_pci_core_device *vdev)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vfio_pci_recommended); i++) {
		const char *name = vfio_pci_recommended[i].name;

		if (pci_match_id(vfio_pci_recommended[i].id, vdev->pdev) &&
		    !vfio_pci_has_vendor(vdev, name, strlen(name), false))
			dev_warn_ratelimited(&vdev->pdev->dev,
					     "%s without the module %s; load it with modprobe\n",
					     vfio_pci_recommended[i].loss,
					     vfio_pci_recommended[i].module);
	}
}
