// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI capabilities that vendor drivers hide and add
 *
 * Userspace reads the links of the capability lists from vconfig, the virtual
 * config space of an open device.  Hiding and adding a capability edits these
 * links, so that several drivers compose.  The registers of a hidden or added
 * capability are a range of the driver.
 */

#include <linux/list.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* The longest list of capabilities that fits */
#define VFIO_PCI_MAX_CAPS	((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / \
				 PCI_CAP_SIZEOF)
#define VFIO_PCI_MAX_ECAPS	((PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / \
				 PCI_CAP_SIZEOF)

/**
 * struct vfio_pci_config_edit - a change of vconfig, to be undone
 * @node: entry in vfio_pci_vendor.config_edits
 * @pos: byte offset in config space
 * @len: number of bytes
 * @old: bytes of vconfig before the change
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
		memset(dev->vdev->pci_config_map + pos, PCI_CAP_ID_INVALID_VIRT,
		       len);
	list_add_tail(&edit->node, &to_vfio_pci_vendor(dev)->config_edits);

	return 0;
}

/**
 * vfio_pci_vendor_undo_config() - undo the capability changes of a driver
 * @vendor: the last driver that changed capabilities
 */
void vfio_pci_vendor_undo_config(struct vfio_pci_vendor *vendor)
{
	struct vfio_pci_core_device *vdev = vendor->dev.vdev;
	struct vfio_pci_config_edit *edit, *next;

	list_for_each_entry_safe_reverse(edit, next, &vendor->config_edits,
					 node) {
		memcpy(vdev->vconfig + edit->pos, edit->old, edit->len);
		if (edit->added)
			memset(vdev->pci_config_map + edit->pos,
			       PCI_CAP_ID_INVALID, edit->len);
		list_del(&edit->node);
		kfree(edit);
	}
}

/*
 * Find a capability as userspace sees it.  Sets @link to the position of the
 * byte that points to it.  With @id 0, finds the end of the list.
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

/* The same for extended capabilities; @prev is 0 for the head of the list */
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

/* Whether a capability that userspace sees starts at @pos */
static bool vfio_pci_vconfig_is_cap(struct vfio_pci_core_device *vdev, u16 pos)
{
	const u8 *vconfig = vdev->vconfig;
	int loops = VFIO_PCI_MAX_ECAPS;
	u16 at;

	if (pos < PCI_CFG_SPACE_SIZE) {
		for (at = vconfig[PCI_CAPABILITY_LIST] & ~3; at && loops--;
		     at = vconfig[at + PCI_CAP_LIST_NEXT] & ~3)
			if (at == pos)
				return true;
		return false;
	}

	for (at = PCI_CFG_SPACE_SIZE; at >= PCI_CFG_SPACE_SIZE && loops--;
	     at = PCI_EXT_CAP_NEXT(get_unaligned_le32(vconfig + at)))
		if (at == pos)
			return true;

	return false;
}

/* Length of the capability at @pos: vfio knows which bytes belong to which */
static u16 vfio_pci_vconfig_cap_len(struct vfio_pci_core_device *vdev, u16 pos)
{
	const u8 *map = vdev->pci_config_map;
	u16 limit = pos < PCI_CFG_SPACE_SIZE ? PCI_CFG_SPACE_SIZE :
					       vdev->pdev->cfg_size;
	u16 end;

	for (end = pos + PCI_CAP_SIZEOF; end < limit; end++)
		if (map[end] != map[pos] ||
		    (IS_ALIGNED(end, PCI_CAP_SIZEOF) &&
		     vfio_pci_vconfig_is_cap(vdev, end)))
			break;

	return end - pos;
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

/* Reads go to vconfig */
static const struct vfio_pci_range_ops vfio_pci_read_only_ops = {
	.write	= vfio_pci_hidden_write,
};

/* Check that a driver may change capabilities now */
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
 * Hides the first capability with this id that userspace sees.  Its registers
 * read as 0 and ignore writes.  Interrupts of a hidden MSI or MSI-X capability
 * stay available by ioctl.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOENT if userspace sees no such capability; -EBUSY outside of
 * the open callback, or if a vendor driver of the same priority overrides some
 * of the registers; -ENOMEM.
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

	/* That was the only capability */
	next = vdev->vconfig[PCI_STATUS] & ~PCI_STATUS_CAP_LIST;

	return vfio_pci_config_edit(dev, PCI_STATUS, &next, sizeof(next), false);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_hide_cap);

/**
 * vfio_pci_vendor_hide_ext_cap() - hide an extended capability from userspace
 * @dev: the device, in the open callback of the vendor driver
 * @id: PCI_EXT_CAP_ID_*
 *
 * Hides the first extended capability with this id that userspace sees.  Its
 * registers read as 0 and ignore writes.  The head of the list stays as a
 * capability with id 0, without registers, that links to the next one.
 *
 * Context: Process context, may sleep.
 * Return: as vfio_pci_vendor_hide_cap().
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

/*
 * Mark the bytes of config space that no added capability may use: those that
 * vfio knows, and those behind a capability of the device that vfio hides, whose
 * length it does not know.
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

	/* The list of the device, not that of userspace */
	for (pci_read_config_byte(vdev->pdev, PCI_CAPABILITY_LIST, &at);
	     (at &= ~3) && loops--;
	     pci_read_config_byte(vdev->pdev, at + PCI_CAP_LIST_NEXT, &at))
		if (at == pos)
			*unknown = true;

	return !*unknown;
}

static u8 vfio_pci_config_find_space(struct vfio_pci_core_device *vdev,
				     size_t len)
{
	bool unknown = false;
	u16 pos, start = PCI_STD_HEADER_SIZEOF;

	for (pos = start; pos < PCI_CFG_SPACE_SIZE; pos++) {
		if (!vfio_pci_config_is_free(vdev, pos, &unknown))
			start = round_up(pos + 1, PCI_CAP_SIZEOF);
		else if (pos >= start && pos + 1 - start >= len)
			return start;
	}

	return 0;
}

/**
 * vfio_pci_vendor_add_cap() - show userspace a capability
 * @dev: the device, in the open callback of the vendor driver
 * @cap: initial contents, with the capability's id in the first byte; the core
 *	 sets the second byte
 * @len: number of bytes
 * @ops: handlers of the registers after the first two bytes; NULL to let
 *	 userspace read @cap and ignore writes
 * @data: private data of @ops; stays the driver's
 *
 * Appends the capability to the list that userspace sees, in bytes of config
 * space that no capability of the device uses.
 *
 * Context: Process context, may sleep.
 * Return: the capability's position in config space; -EINVAL if @len is too
 * small; -ENOSPC if no free space is large enough; -EBUSY outside of the open
 * callback; -ENOMEM.
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
	if (len <= PCI_CAP_FLAGS || len > PCI_CFG_SPACE_SIZE)
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
