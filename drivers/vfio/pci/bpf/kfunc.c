// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel functions for vfio-pci drivers in BPF
 *
 * A kfunc reaches only the device of its first argument.  The verifier checks
 * that this argument comes from the kernel.  Only an open program has a struct
 * vfio_pci_bpf_open, so only that program can change the device.
 *
 * A kfunc accesses registers below the overrides of the program.  So a chain of
 * programs that call each other ends at the device.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "bpf.h"
#include "../vfio_pci_priv.h"

__bpf_kfunc_start_defs();

/**
 * vfio_pci_bpf_override_range() - override a range of registers
 * @open: argument of the open program
 * @region: index of the region: VFIO_PCI_BAR0_REGION_INDEX and so on
 * @start: byte offset of the first byte in the region
 * @size: number of bytes
 *
 * The core calls the read and write programs for each access to the range.
 * Without one of them, the accesses of that kind go to the lower region.
 * Userspace can neither map nor export the pages of the range.
 *
 * Return: 0 on success; -EINVAL if there is no read and no write program, the
 * region does not exist, or the range is empty or exceeds the region; -EBUSY if
 * a driver of the same priority, including this one, has overridden some of the
 * bytes; -ENOSPC if the region would have too many mmap areas; -ENOMEM if out of
 * memory.
 */
__bpf_kfunc int vfio_pci_bpf_override_range(struct vfio_pci_bpf_open *open,
					    u32 region, u64 start, u64 size)
{
	struct vfio_pci_vendor_device *dev = open->dev;
	struct vfio_pci_bpf_ops *ops = to_vfio_pci_bpf_driver(dev->driver)->ops;

	return vfio_pci_vendor_override_range(dev, region, start, size,
					      vfio_pci_bpf_range_ops(ops), ops);
}

/**
 * vfio_pci_bpf_hide_cap() - hide a capability from userspace
 * @open: argument of the open program
 * @id: PCI_CAP_ID_*
 *
 * See vfio_pci_vendor_hide_cap().
 *
 * Return: 0 on success; -ENOENT if the list has no such capability; -EBUSY if a
 * driver of the same priority overrides some of the registers; -ENOMEM if out of
 * memory.
 */
__bpf_kfunc int vfio_pci_bpf_hide_cap(struct vfio_pci_bpf_open *open, u8 id)
{
	return vfio_pci_vendor_hide_cap(open->dev, id);
}

/**
 * vfio_pci_bpf_hide_ext_cap() - hide an extended capability from userspace
 * @open: argument of the open program
 * @id: PCI_EXT_CAP_ID_*
 *
 * See vfio_pci_vendor_hide_ext_cap().
 *
 * Return: Same as vfio_pci_bpf_hide_cap().
 */
__bpf_kfunc int vfio_pci_bpf_hide_ext_cap(struct vfio_pci_bpf_open *open,
					  u16 id)
{
	return vfio_pci_vendor_hide_ext_cap(open->dev, id);
}

/**
 * vfio_pci_bpf_add_cap() - add a read-only capability to config space
 * @open: argument of the open program
 * @cap: contents, in memory that the program may write; the first byte is the
 *	 id, and the core sets the second byte
 * @cap__sz: number of bytes
 *
 * See vfio_pci_vendor_add_cap().
 *
 * Return: the position of the capability on success; -EINVAL if @cap__sz is too
 * small; -ENOSPC if no free space is large enough; -EBUSY if a driver of the
 * same priority overrides all of config space; -ENOMEM if out of memory.
 */
__bpf_kfunc int vfio_pci_bpf_add_cap(struct vfio_pci_bpf_open *open,
				     const void *cap, u32 cap__sz)
{
	return vfio_pci_vendor_add_cap(open->dev, cap, cap__sz, NULL, NULL);
}

/**
 * vfio_pci_bpf_add_memory() - add a read-only region with constant contents
 * @open: argument of the open program
 * @type: VFIO_REGION_TYPE_*; ORed with VFIO_REGION_TYPE_PCI_VENDOR_TYPE if it is
 *	  a PCI vendor id
 * @subtype: VFIO_REGION_SUBTYPE_*
 * @contents: contents of the region, in memory that the program may write
 * @contents__sz: number of bytes
 *
 * Return: 0 on success; -EINVAL if @type or @contents__sz is 0; -ENOMEM if out
 * of memory.
 */
__bpf_kfunc int vfio_pci_bpf_add_memory(struct vfio_pci_bpf_open *open,
					u32 type, u32 subtype,
					const void *contents, u32 contents__sz)
{
	const struct vfio_pci_region_desc desc = {
		.type		= type,
		.subtype	= subtype,
		.size		= contents__sz,
		.flags		= VFIO_REGION_INFO_FLAG_READ,
	};

	return PTR_ERR_OR_ZERO(vfio_pci_vendor_add_memory(open->dev, &desc,
							  contents));
}

/**
 * vfio_pci_bpf_read_config() - read config space
 * @dev: the device
 * @pos: byte offset, a multiple of @width
 * @width: number of bytes: 1, 2 or 4
 * @val: set to the value in CPU byte order; 0 on error
 *
 * Read below the overrides of this driver.  The links of the capability lists
 * include the changes of all drivers.
 *
 * Return: 0 on success; -EINVAL if there is no such register; or an errno of the
 * lower region.
 */
__bpf_kfunc int vfio_pci_bpf_read_config(struct vfio_pci_vendor_device *dev,
					 u32 pos, u32 width, u64 *val)
{
	return vfio_pci_region_read_reg(dev->data, pos, width, val);
}

/**
 * vfio_pci_bpf_read_lower() - read the register from the lower region
 * @access: argument of the read or write program; sets @access->val
 *
 * Read below the overrides of this driver.
 *
 * Return: 0 on success, or an errno of the lower region.
 */
__bpf_kfunc int vfio_pci_bpf_read_lower(struct vfio_pci_bpf_access *access)
{
	struct vfio_pci_region *lower;

	lower = vfio_pci_region_lower(access->range->region);

	return vfio_pci_region_read_reg(lower, access->pos, access->width,
					&access->val);
}

/**
 * vfio_pci_bpf_write_lower() - write the register to the lower region
 * @access: argument of the read or write program; @access->val is the value
 *
 * Return: 0 on success, or an errno of the lower region.
 */
__bpf_kfunc int vfio_pci_bpf_write_lower(struct vfio_pci_bpf_access *access)
{
	struct vfio_pci_region *lower;

	lower = vfio_pci_region_lower(access->range->region);

	return vfio_pci_region_write_reg(lower, access->pos, access->width,
					 access->val);
}

/**
 * vfio_pci_bpf_read_reg() - read a register in one of the driver's ranges
 * @dev: the device
 * @region: index of the region
 * @pos: byte offset of the register, a multiple of @width
 * @width: size of the register in bytes: 1, 2, 4 or 8; at most 4 in config space
 * @val: set to the value in CPU byte order; 0 on error
 *
 * Read below the overrides of this driver.
 *
 * Return: 0 on success; -EACCES if the register is not in a range that the open
 * program has overridden, or in the close program; or an errno of the lower
 * region.
 */
__bpf_kfunc int vfio_pci_bpf_read_reg(struct vfio_pci_vendor_device *dev,
				      u32 region, u64 pos, u32 width, u64 *val)
{
	struct vfio_pci_region *lower;

	*val = 0;
	lower = vfio_pci_range_lower(dev, region, pos, width);
	if (!lower)
		return -EACCES;

	return vfio_pci_region_read_reg(lower, pos, width, val);
}

/**
 * vfio_pci_bpf_write_reg() - write a register in one of the driver's ranges
 * @dev: the device
 * @region: index of the region
 * @pos: byte offset of the register, a multiple of @width
 * @width: size of the register in bytes: 1, 2, 4 or 8; at most 4 in config space
 * @val: the value in CPU byte order
 *
 * Return: Same as vfio_pci_bpf_read_reg().
 */
__bpf_kfunc int vfio_pci_bpf_write_reg(struct vfio_pci_vendor_device *dev,
				       u32 region, u64 pos, u32 width, u64 val)
{
	struct vfio_pci_region *lower;

	lower = vfio_pci_range_lower(dev, region, pos, width);
	if (!lower)
		return -EACCES;

	return vfio_pci_region_write_reg(lower, pos, width, val);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(vfio_pci_bpf_kfuncs)
BTF_ID_FLAGS(func, vfio_pci_bpf_override_range, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_hide_cap, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_hide_ext_cap, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_add_cap, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_add_memory, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_read_config, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_read_lower, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_write_lower, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_read_reg, KF_SLEEPABLE)
BTF_ID_FLAGS(func, vfio_pci_bpf_write_reg, KF_SLEEPABLE)
BTF_KFUNCS_END(vfio_pci_bpf_kfuncs)

static const struct btf_kfunc_id_set vfio_pci_bpf_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &vfio_pci_bpf_kfuncs,
};

/**
 * vfio_pci_bpf_kfunc_init() - register the kfuncs
 *
 * The kernel removes them with the BTF of the module.
 *
 * Return: 0 on success, or a negative errno.
 */
int vfio_pci_bpf_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS,
					 &vfio_pci_bpf_kfunc_set);
}
