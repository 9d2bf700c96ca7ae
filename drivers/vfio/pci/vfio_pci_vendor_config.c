// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI capabilities that vendor drivers hide and add
 *
 * Userspace reads the links of the capability lists from vconfig, the virtual
 * config space of an open device.  The functions in this file edit these links,
 * so that several drivers can change the same list.  A range of the driver
 * handles the registers of the capability.
 */

#include <linux/list.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* Maximum number of capabilities in a list */
#define VFIO_PCI_MAX_CAPS	((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / \
				 PCI_CAP_SIZEOF)
#define VFIO_PCI_MAX_ECAPS	((PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / \
				 PCI_CAP_SIZEOF)

/**
 * struct vfio_pci_config_edit - undo record of a change in vconfig
 * @node: entry in vfio_pci_vendor.config_edits
 * @pos: byte offset in config space
 * @len: number of bytes
 * @old: original bytes
 * @added: the bytes belong to an added capability
 */
struct vfio_pci_config_edit {
	struct list_head	node;
	u16			pos;
	u16			len;
	bool			added;
	u8			old[] __counted_by(len);
};

static int vfio_pci_config_edit(struct vfio_pci_vendor_device *dev, u16 pos,
				const void *bytes, u16 len, bool added)
{
	u8 *vconfig = dev->vdev->vconfig + pos;
	struct vfio_pci_config_edit *edit;

	edit = kzalloc_flex(*edit, old, len, GFP_KERNEL_ACCOUNT);
	if (!edit)
		return -ENOMEM;

	edit->pos = pos;
	edit->len = len;
	edit->added = added;
	memcpy(edit->old, vconfig, len);
	memcpy(vconfig, bytes, len);
	if (added)
		vfio_pci_config_map_cap(dev->vdev, pos,
					PCI_CAP_ID_INVALID_VIRT, len);
	list_add_tail(&edit->node, &to_vfio_pci_vendor(dev)->config_edits);

	return 0;
}

/**
 * vfio_pci_vendor_undo_config() - undo the capability changes of a driver
 * @vendor: the driver; the changes of later drivers are already undone
 */
void vfio_pci_vendor_undo_config(struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_core_device *vdev = vendor->dev.vdev;
	struct vfio_pci_config_edit *edit, *next;

	list_for_each_entry_safe_reverse(edit, next, &vendor->config_edits,
					 node) {
		memcpy(vdev->vconfig + edit->pos, edit->old, edit->len);
		if (edit->added)
			vfio_pci_config_map_cap(vdev, edit->pos,
						PCI_CAP_ID_INVALID, edit->len);
		list_del(&edit->node);
		kfree(edit);
	}
}

/*
 * Find a capability in vconfig.  Set @link to the position of the byte that
 * links to the capability.  If @id is 0, find the end of the list.
 */
static u8 vfio_pci_vconfig_find_cap(struct vfio_pci_core_device *vdev, u8 id,
				    u8 *link)
{
	const u8 *vconfig = vdev->vconfig;
	int loops = VFIO_PCI_MAX_CAPS;
	u8 pos;

	*link = PCI_CAPABILITY_LIST;
	if (!(get_unaligned_le16(vconfig + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;

	while ((pos = vconfig[*link] & ~3) && loops--) {
		if (id && vconfig[pos + PCI_CAP_LIST_ID] == id)
			return pos;
		*link = pos + PCI_CAP_LIST_NEXT;
	}

	return 0;
}

/* Find an extended capability; set @prev to its predecessor, or 0 */
static u16 vfio_pci_vconfig_find_ecap(struct vfio_pci_core_device *vdev, u16 id,
				      u16 *prev)
{
	int loops = VFIO_PCI_MAX_ECAPS;
	u16 pos = PCI_CFG_SPACE_SIZE;
	u32 header;

	*prev = 0;
	if (!vdev->extended_caps)
		return 0;

	while (pos >= PCI_CFG_SPACE_SIZE && loops--) {
		header = get_unaligned_le32(vdev->vconfig + pos);
		if (PCI_EXT_CAP_ID(header) == id)
			return pos;
		*prev = pos;
		pos = PCI_EXT_CAP_NEXT(header);
	}

	return 0;
}

static u16 vfio_pci_vconfig_cap_len(struct vfio_pci_core_device *vdev, u16 pos)
{
	/* A broken device may report a length below the minimum */
	return max_t(u16, vfio_pci_config_remaining(vdev, pos),
		     PCI_CAP_SIZEOF);
}

static int vfio_pci_hidden_read(const struct vfio_pci_range *range, u64 pos,
				unsigned int width, u64 *val)
{
	*val = 0;

	return 0;
}

static int vfio_pci_hidden_write(const struct vfio_pci_range *range, u64 pos,
				 unsigned int width, u64 val)
{
	return 0;
}

static const struct vfio_pci_range_ops vfio_pci_hidden_ops = {
	.read	= vfio_pci_hidden_read,
	.write	= vfio_pci_hidden_write,
};

/* Reads go to the lower region, which returns the bytes of vconfig */
static const struct vfio_pci_range_ops vfio_pci_read_only_ops = {
	.write	= vfio_pci_hidden_write,
};

/* Check whether a driver may change capabilities now */
static int vfio_pci_vendor_check_caps(struct vfio_pci_vendor_device *dev)
{
	int ret = vfio_pci_vendor_check_open(dev);

	if (!ret && !dev->vdev->vconfig)
		ret = -EINVAL;

	return ret;
}

/**
 * vfio_pci_vendor_hide_cap() - hide a capability from userspace
 * @dev: the device, in the open callback of the vendor driver
 * @id: PCI_CAP_ID_*
 *
 * Hide the first capability with this id in the list that userspace sees.  Its
 * registers read as 0 and ignore writes.  If the capability is MSI or MSI-X,
 * userspace can still enable its interrupts by ioctl.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -ENOENT if the list has no such capability; -EBUSY
 * outside of the open callback, or if a vendor driver of the same priority
 * overrides some of the registers; -ENOMEM if out of memory.
 */
int vfio_pci_vendor_hide_cap(struct vfio_pci_vendor_device *dev, u8 id)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	u8 pos, link, next;
	int ret;

	ret = vfio_pci_vendor_check_caps(dev);
	if (ret)
		return ret;

	pos = id ? vfio_pci_vconfig_find_cap(vdev, id, &link) : 0;
	if (!pos)
		return -ENOENT;

	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_CONFIG_REGION_INDEX,
					     pos,
					     vfio_pci_vconfig_cap_len(vdev, pos),
					     &vfio_pci_hidden_ops, NULL);
	if (ret)
		return ret;

	next = vdev->vconfig[pos + PCI_CAP_LIST_NEXT];
	ret = vfio_pci_config_edit(dev, link, &next, sizeof(next), false);
	if (ret || vdev->vconfig[PCI_CAPABILITY_LIST])
		return ret;

	/* The list is empty now */
	next = vdev->vconfig[PCI_STATUS] & ~PCI_STATUS_CAP_LIST;

	return vfio_pci_config_edit(dev, PCI_STATUS, &next, sizeof(next), false);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_hide_cap);

/**
 * vfio_pci_vendor_hide_ext_cap() - hide an extended capability from userspace
 * @dev: the device, in the open callback of the vendor driver
 * @id: PCI_EXT_CAP_ID_*
 *
 * Hide the first extended capability with this id in the list that userspace
 * sees.  Its registers read as 0 and ignore writes.  At the head of the list,
 * its header becomes a null capability, which has id 0 and links to the next
 * capability.
 *
 * Context: Process context, may sleep.
 * Return: Same as vfio_pci_vendor_hide_cap().
 */
int vfio_pci_vendor_hide_ext_cap(struct vfio_pci_vendor_device *dev, u16 id)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	u16 pos, prev, len, skip = 0;
	u32 next, header;
	__le32 link;
	int ret;

	ret = vfio_pci_vendor_check_caps(dev);
	if (ret)
		return ret;

	pos = id ? vfio_pci_vconfig_find_ecap(vdev, id, &prev) : 0;
	if (!pos)
		return -ENOENT;

	len = vfio_pci_vconfig_cap_len(vdev, pos);
	next = PCI_EXT_CAP_NEXT(get_unaligned_le32(vdev->vconfig + pos));
	if (prev) {
		header = get_unaligned_le32(vdev->vconfig + prev) & 0xfffff;
	} else {
		header = 0;
		prev = pos;
		skip = PCI_CAP_SIZEOF;
	}

	if (len > skip) {
		ret = vfio_pci_vendor_override_range(dev,
						     VFIO_PCI_CONFIG_REGION_INDEX,
						     pos + skip, len - skip,
						     &vfio_pci_hidden_ops, NULL);
		if (ret)
			return ret;
	}

	link = cpu_to_le32(header | next << 20);

	return vfio_pci_config_edit(dev, prev, &link, sizeof(link), false);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_hide_ext_cap);

/* Check whether a range of a vendor driver contains a byte of config space */
static bool vfio_pci_config_is_in_range(struct vfio_pci_core_device *vdev,
					u16 pos)
{
	const struct vfio_pci_core_region *region;

	for (region = vdev->regions[VFIO_PCI_CONFIG_REGION_INDEX]; region->lower;
	     region = region->lower)
		if (region->ranges &&
		    vfio_pci_ranges_overlap(region->ranges, pos, pos + 1))
			return true;

	return false;
}

/*
 * Check whether an added capability may use a byte of config space.  Known
 * registers and ranges of vendor drivers are not free.  A capability of unknown
 * length may extend to the next known register, so these bytes are not free
 * either.  @unknown is true inside such a capability.
 */
static bool vfio_pci_config_is_free(struct vfio_pci_core_device *vdev, u16 pos,
				    bool *unknown)
{
	const u8 *map = vdev->pci_config_map;
	int loops = VFIO_PCI_MAX_CAPS;
	u8 at;

	if (map[pos] != PCI_CAP_ID_INVALID) {
		*unknown = false;
		return false;
	}

	/* Walk the list in the device: vfio-pci hides unknown capabilities */
	for (pci_read_config_byte(vdev->pdev, PCI_CAPABILITY_LIST, &at);
	     (at &= ~3) && loops--;
	     pci_read_config_byte(vdev->pdev, at + PCI_CAP_LIST_NEXT, &at))
		if (at == pos)
			*unknown = true;

	return !*unknown && !vfio_pci_config_is_in_range(vdev, pos);
}

static u8 vfio_pci_config_find_space(struct vfio_pci_core_device *vdev,
				     size_t len)
{
	bool unknown = false;
	u16 pos, start = PCI_STD_HEADER_SIZEOF;
	u16 end = min(vdev->pdev->cfg_size, PCI_CFG_SPACE_SIZE);

	for (pos = start; pos < end; pos++) {
		if (!vfio_pci_config_is_free(vdev, pos, &unknown))
			start = round_up(pos + 1, PCI_CAP_SIZEOF);
		else if (pos >= start && pos + 1 - start >= len)
			return start;
	}

	return 0;
}

/**
 * vfio_pci_vendor_add_cap() - add a capability to config space
 * @dev: the device, in the open callback of the vendor driver
 * @cap: initial contents; the first byte is the id, and the core sets the
 *	 second byte, the link
 * @len: number of bytes
 * @ops: handlers of the registers after the first two bytes; if NULL, userspace
 *	 reads @cap, and the core ignores writes
 * @data: private data of @ops; the driver frees it
 *
 * Append the capability to the list that userspace sees.  The core places it in
 * free bytes of config space: no capability uses these bytes, and no range of a
 * vendor driver contains them.
 *
 * Context: Process context, may sleep.
 * Return: the position of the capability on success; -EINVAL if @len is too
 * small; -ENOSPC if no free space is large enough; -EBUSY outside of the open
 * callback, or if a driver of the same priority overrides all of config space;
 * -ENOMEM if out of memory.
 */
int vfio_pci_vendor_add_cap(struct vfio_pci_vendor_device *dev, const void *cap,
			    size_t len, const struct vfio_pci_range_ops *ops,
			    void *data)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	u8 pos, link, status, end = 0;
	int ret;

	ret = vfio_pci_vendor_check_caps(dev);
	if (ret)
		return ret;
	if (len <= PCI_CAP_FLAGS)
		return -EINVAL;

	pos = vfio_pci_config_find_space(vdev, len);
	if (!pos)
		return -ENOSPC;

	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_CONFIG_REGION_INDEX,
					     pos, PCI_CAP_FLAGS,
					     &vfio_pci_read_only_ops, NULL);
	if (!ret)
		ret = vfio_pci_vendor_override_range(dev,
						     VFIO_PCI_CONFIG_REGION_INDEX,
						     pos + PCI_CAP_FLAGS,
						     len - PCI_CAP_FLAGS,
						     ops ?: &vfio_pci_read_only_ops,
						     data);
	if (ret)
		return ret;

	vfio_pci_vconfig_find_cap(vdev, 0, &link);
	ret = vfio_pci_config_edit(dev, pos, cap, len, true);
	if (!ret)
		ret = vfio_pci_config_edit(dev, pos + PCI_CAP_LIST_NEXT, &end,
					   sizeof(end), false);
	if (!ret)
		ret = vfio_pci_config_edit(dev, link, &pos, sizeof(pos), false);
	if (ret)
		return ret;

	status = vdev->vconfig[PCI_STATUS] | PCI_STATUS_CAP_LIST;
	ret = vfio_pci_config_edit(dev, PCI_STATUS, &status, sizeof(status),
				   false);

	return ret ?: pos;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_cap);
