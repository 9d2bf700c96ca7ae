/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Region operations of vfio-pci
 *
 * vfio-pci gives userspace a PCI device as a table of regions: config space,
 * the BARs, the ROM, VGA and any that a driver adds.  Each entry of the table
 * names the operations that serve it, and every access goes through them.
 */
#ifndef VFIO_PCI_REGOPS_H
#define VFIO_PCI_REGOPS_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct p2pdma_provider;
struct phys_vec;
struct vfio_info_cap;
struct vfio_pci_core_device;
struct vfio_pci_region;
struct vfio_region_dma_range;
struct vfio_region_info;

/**
 * struct vfio_pci_regops - operations of one region of a vfio-pci device
 *
 * Unless said otherwise an operation is called in process context, may sleep,
 * holds no lock of vfio-pci, and may run on any number of threads at once.
 * The device is runtime resumed unless said otherwise, yet its memory decoding
 * may be off and its power state anything that the user wrote to config space.
 * The region is valid, and does not change, for as long as the device is open.
 *
 * Every operation is optional.  What a missing one means is said with it.
 */
struct vfio_pci_regops {
	/**
	 * @read: Read bytes of the region into a buffer of userspace.
	 *
	 * - @region: the region
	 * - @buf: buffer of userspace for @count bytes, not checked in any way
	 * - @count: number of bytes asked for, not 0, not clipped to the region
	 * - @pos: byte offset in the region, 0 to 2^40 - 1, not checked against
	 *   the region's size
	 *
	 * Without it a read fails with -EINVAL.
	 *
	 * Return: the number of bytes read, by which the caller advances the
	 * file position, or a negative errno: -EINVAL for a @pos past the end,
	 * -EFAULT for a bad buffer, -EIO if the device does not decode.
	 */
	ssize_t (*read)(struct vfio_pci_region *region, char __user *buf,
			size_t count, loff_t pos);

	/**
	 * @write: Write bytes from a buffer of userspace to the region.
	 *
	 * The arguments and the value returned are those of @read.
	 *
	 * Without it a write fails with -EINVAL.
	 */
	ssize_t (*write)(struct vfio_pci_region *region,
			 const char __user *buf, size_t count, loff_t pos);

	/**
	 * @mmap: Map the region, or a part of it, into userspace.
	 *
	 * - @region: the region
	 * - @vma: the mapping, VM_SHARED; vfio_pci_region_vma_offset() gives
	 *   the offset in the region that it starts at, which is not
	 *   checked against the region's size
	 *
	 * Called with the mmap lock held for writing, and only for regions
	 * that have VFIO_REGION_INFO_FLAG_MMAP in their flags.  The device may
	 * be in low power.  The mapping keeps it open.  If there is @fault, the
	 * vm_ops and vm_private_data of @vma are those that lead to it.
	 *
	 * Without it mmap() fails with -EINVAL.
	 *
	 * Return: 0, or a negative errno: -EINVAL for a range that the region
	 * does not have.
	 */
	int (*mmap)(struct vfio_pci_region *region,
		    struct vm_area_struct *vma);

	/**
	 * @fault: Serve a fault in a mapping of the region.
	 *
	 * - @region: the region
	 * - @vmf: the fault, at any address of the mapping
	 * - @order: 0, or the order of a huge page that is wanted
	 *
	 * Called with the mmap lock or the lock of the mapping held for
	 * reading, for mappings whose @mmap did not set other vm_ops.  The
	 * device may be in low power.
	 *
	 * Without it, faults are up to what @mmap did.
	 *
	 * Return: VM_FAULT_NOPAGE once the page is there, VM_FAULT_FALLBACK to
	 * be called again with a smaller @order, VM_FAULT_SIGBUS.
	 */
	vm_fault_t (*fault)(struct vfio_pci_region *region,
			    struct vm_fault *vmf, unsigned int order);

	/**
	 * @get_info: Answer VFIO_DEVICE_GET_REGION_INFO.
	 *
	 * - @region: the region
	 * - @info: see struct vfio_region_info; index and offset are set, and
	 *   size and flags are to be
	 * - @caps: capability chain, to be filled by vfio_info_add_capability()
	 *
	 * Without it the size and flags of the region are reported, the type
	 * capability if it has a type, and what @add_capability adds.
	 *
	 * Return: 0, or a negative errno, which userspace gets.
	 */
	int (*get_info)(struct vfio_pci_region *region,
			struct vfio_region_info *info,
			struct vfio_info_cap *caps);

	/**
	 * @add_capability: Add capabilities to VFIO_DEVICE_GET_REGION_INFO.
	 *
	 * - @region: the region
	 * - @caps: capability chain, to be filled by vfio_info_add_capability()
	 *
	 * Not called if there is @get_info.
	 *
	 * Return: 0, or a negative errno, which userspace gets.
	 */
	int (*add_capability)(struct vfio_pci_region *region,
			      struct vfio_info_cap *caps);

	/**
	 * @ioeventfd: Answer VFIO_DEVICE_IOEVENTFD.
	 *
	 * - @region: the region
	 * - @pos: byte offset in the region, 0 to 2^40 - 1, not checked against
	 *   the region's size
	 * - @data: what to write there when the eventfd is signaled
	 * - @count: number of bytes to write: 1, 2, 4 or 8
	 * - @fd: the eventfd, or -1 to remove the ioeventfd
	 *
	 * Without it the ioctl fails with -EINVAL.
	 *
	 * Return: 0, or a negative errno: -EINVAL for bytes that may not be
	 * written this way, -EEXIST, -ENODEV if there is none to remove,
	 * -ENOSPC, -ENOMEM.
	 */
	int (*ioeventfd)(struct vfio_pci_region *region, loff_t pos, u64 data,
			 int count, int fd);

	/**
	 * @get_dmabuf_phys: Give the physical addresses of parts of the
	 * region, to be exported by VFIO_DEVICE_FEATURE_DMA_BUF.
	 *
	 * - @region: the region
	 * - @provider: set to the peer-to-peer DMA provider of the region
	 * - @phys_vec: @nr_ranges entries, to be filled
	 * - @dma_ranges: the parts; page aligned, not empty, not checked against
	 *		the region's size
	 * - @nr_ranges: number of entries of @phys_vec and @dma_ranges, not 0
	 *
	 * Without it the feature fails with -ENODEV.  A driver whose struct
	 * vfio_pci_device_ops has no get_dmabuf_phys does without the feature
	 * for all regions, -EOPNOTSUPP.
	 *
	 * Return: 0, or a negative errno: -EINVAL for a range that may not be
	 * exported, -EOVERFLOW.
	 */
	int (*get_dmabuf_phys)(struct vfio_pci_region *region,
			       struct p2pdma_provider **provider,
			       struct phys_vec *phys_vec,
			       struct vfio_region_dma_range *dma_ranges,
			       size_t nr_ranges);

	/**
	 * @release: Release what the region's data owns.
	 *
	 * - @region: the region, which is gone once this returns
	 *
	 * Called exactly once for each region that was registered, in the
	 * reverse order of registration, when the device is closed or fails to
	 * open; no other operation runs then or later.  Called with the lock of
	 * the device set held.
	 */
	void (*release)(struct vfio_pci_region *region);
};

/**
 * struct vfio_pci_region - a region of an open vfio-pci device
 * @vdev: the device
 * @ops: what serves the region, not NULL
 * @data: for the use of @ops, which own it
 * @size: size in bytes; 0 if there is nothing to access, or if only the
 *	  get_info operation knows, as for the ROM
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP, as reported
 * @type: VFIO_REGION_TYPE_* as reported, for regions that have one
 * @subtype: VFIO_REGION_SUBTYPE_* as reported, for regions that have one
 * @index: index in the region table, VFIO_PCI_*_REGION_INDEX or higher
 * @has_caps: whether there may be capabilities to report
 * @has_type: whether the type is one of them
 *
 * Owned by vfio-pci-core: set up before the device's open returns, and read
 * only from then on.
 */
struct vfio_pci_region {
	struct vfio_pci_core_device	*vdev;
	const struct vfio_pci_regops	*ops;
	void				*data;
	u64				size;
	u32				flags;
	u32				type;
	u32				subtype;
	unsigned int			index;
	bool				has_caps;
	bool				has_type;
	/* private: of the built-in BARs */
	bool				is_mem;
	void __iomem			*io;
	size_t				x_start;
	size_t				x_end;
};

int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data);

#endif /* VFIO_PCI_REGOPS_H */
