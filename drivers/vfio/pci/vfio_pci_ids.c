// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI lists of device ids in module parameters
 */

#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static int vfio_pci_parse_id(const char *str, struct pci_device_id *id)
{
	unsigned int vendor, device, subvendor = PCI_ANY_ID;
	unsigned int subdevice = PCI_ANY_ID, class = 0, class_mask = 0;

	if (sscanf(str, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor,
		   &subdevice, &class, &class_mask) < 2)
		return -EINVAL;

	*id = (struct pci_device_id) {
		.vendor = vendor,
		.device = device,
		.subvendor = subvendor,
		.subdevice = subdevice,
		.class = class,
		.class_mask = class_mask,
	};

	return 0;
}

/**
 * vfio_pci_next_id() - parse the next entry of a list of ids
 * @list: on entry, the position to start at; on return, the character after the
 *	  id: a comma, the end of the string, or '=' if the entry has a value
 * @id: returns the id
 *
 * An id has the format
 * "vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]" in hexadecimal.
 * Commas separate the entries.  Empty entries are skipped.
 *
 * Return: 1 if @id is set, 0 at the end of the list, or -EINVAL if the entry is
 * malformed.
 */
int vfio_pci_next_id(const char **list, struct pci_device_id *id)
{
	size_t len;

	*list += strspn(*list, ",");
	len = strcspn(*list, ",=");
	if (!len)
		return **list ? -EINVAL : 0;

	if (strspn(*list, "0123456789abcdefxABCDEFX:") != len ||
	    vfio_pci_parse_id(*list, id))
		return -EINVAL;

	*list += len;

	return 1;
}

/**
 * vfio_pci_core_add_ids() - add the ids of a module parameter to a driver
 * @driver: a registered PCI driver
 * @ids: the parameter in the format of vfio_pci_next_id(); modified
 *
 * Log each id.  Skip ids that are malformed or cannot be added.
 *
 * Context: Process context, may sleep.
 */
void vfio_pci_core_add_ids(struct pci_driver *driver, char *ids)
{
	const char *name = driver->driver.mod_name;
	struct pci_device_id id;
	char *str;
	int ret;

	while ((str = strsep(&ids, ","))) {
		if (!*str)
			continue;

		if (vfio_pci_parse_id(str, &id)) {
			pr_warn("%s: invalid id string \"%s\"\n", name, str);
			continue;
		}

		ret = pci_add_dynid(driver, id.vendor, id.device, id.subvendor,
				    id.subdevice, id.class, id.class_mask, 0);
		if (ret)
			pr_warn("%s: failed to add dynamic id [%04x:%04x[%04x:%04x]] class %#08x/%08x (%d)\n",
				name, id.vendor, id.device, id.subvendor,
				id.subdevice, id.class, id.class_mask, ret);
		else
			pr_info("%s: add [%04x:%04x[%04x:%04x]] class %#08x/%08x\n",
				name, id.vendor, id.device, id.subvendor,
				id.subdevice, id.class, id.class_mask);
	}
}
EXPORT_SYMBOL_GPL(vfio_pci_core_add_ids);
