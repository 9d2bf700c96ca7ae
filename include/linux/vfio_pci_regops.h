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

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/module.h>
#include <linux/types.h>
#include <linux/vfio_pci_migration.h>
#include <linux/wait.h>

struct p2pdma_provider;
struct pci_dev;
struct pci_device_id;
struct phys_vec;
struct vfio_info_cap;
struct vfio_pci_core_device;
struct vfio_pci_migration;
struct vfio_pci_ranges;
struct vfio_pci_region;
struct vfio_pci_vendor_id;
struct vfio_region_dma_range;
struct vfio_region_info;
struct vfio_region_sparse_mmap_area;

/**
 * struct vfio_pci_regops - operations of one region of a vfio-pci device
 *
 * Unless said otherwise an operation is called in process context, may sleep,
 * holds no lock of vfio-pci, and may run on any number of threads at once.
 * The device is runtime resumed unless said otherwise, yet its memory decoding
 * may be off and its power state anything that the user wrote to config space.
 * The region is valid, and does not change, for as long as the device is open.
 *
 * Every operation is optional.  What a missing one means is said with it; in
 * those of a region that overrides another, see
 * vfio_pci_vendor_override_region().
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
	 * @read_buf: Read bytes of the region into a buffer of the kernel.
	 *
	 * - @region: the region
	 * - @buf: buffer of the core for @count bytes
	 * - @count: number of bytes, 1 to PAGE_SIZE
	 * - @pos: byte offset in the region; @count bytes from there are in it
	 *
	 * For a region of a vendor driver that has this and no @read, the core
	 * has vfio_pci_region_read_buf() in its place.  Also called for
	 * vfio_pci_lower_read_buf(), which fails with -EOPNOTSUPP without it.
	 *
	 * Return: 0, or a negative errno, which userspace gets unless bytes
	 * before these were read.
	 */
	int (*read_buf)(struct vfio_pci_region *region, void *buf, size_t count,
			loff_t pos);

	/**
	 * @write_buf: Write bytes from a buffer of the kernel to the region.
	 *
	 * What is said of @read_buf holds for this, too.
	 */
	int (*write_buf)(struct vfio_pci_region *region, const void *buf,
			 size_t count, loff_t pos);

	/**
	 * @mmap: Map the region, or a part of it, into userspace.
	 *
	 * - @region: the region
	 * - @vma: the mapping, VM_SHARED; vfio_pci_region_vma_offset() gives
	 *   the offset in the region that it starts at; what is outside of a
	 *   region of a vendor driver, or of the areas that it has set by
	 *   vfio_pci_region_set_sparse_mmap(), is refused before
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
	 * Without it, faults are up to what @mmap did.  With it, the mapping is
	 * cleared before the device is reset, put into low power or stops to
	 * decode its memory, so that what is used then faults again.
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
	 *		the region's size.  What could not be mapped either is
	 *		refused after this.
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
 * @vendor: the device as the vendor driver that the region is of sees it, NULL
 *	    for a region of vfio-pci-core or of the driver that bound the device
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
 * only from then on.  A vendor driver may change @size and @flags of a region of
 * its own in its open callback, until it overrides that region in turn.
 */
struct vfio_pci_region {
	struct vfio_pci_core_device	*vdev;
	const struct vfio_pci_regops	*ops;
	void				*data;
	struct vfio_pci_vendor_device	*vendor;
	u64				size;
	u32				flags;
	u32				type;
	u32				subtype;
	unsigned int			index;
	bool				has_caps;
	bool				has_type;
	/* private: an access must be within the region */
	bool				exact;
	/* private: the widest register, in bytes */
	u8				width;
	/* private: what it overrides, if it does */
	struct vfio_pci_region		*lower;
	/* private: if it is there to handle ranges of bytes */
	struct vfio_pci_ranges		*ranges;
	/* private: parts that may be mapped, all if NULL */
	struct vfio_region_sparse_mmap_area *areas;
	unsigned int			nr_areas;
	/* private: accesses of userspace, if there are no regions above */
	atomic_long_t			reads;
	atomic_long_t			writes;
	/* private: of the regions of its vendor driver */
	struct list_head		node;
	/* private: of the built-in BARs */
	bool				is_mem;
	void __iomem			*io;
	size_t				x_start;
	size_t				x_end;
};

/**
 * struct vfio_pci_vendor_device - a device that a vendor driver has opened
 * @vdev: the device, for the functions of vfio-pci-core
 * @pdev: the PCI device
 * @driver: the vendor driver
 * @data: for the use of the vendor driver, which owns it
 *
 * Owned by vfio-pci-core.  It exists from before the open callback of the
 * driver until after its close callback, or until open fails.
 */
struct vfio_pci_vendor_device {
	struct vfio_pci_core_device	*vdev;
	struct pci_dev			*pdev;
	struct vfio_pci_vendor_driver	*driver;
	void				*data;
	/* private: */
	struct list_head		node;
	struct list_head		regions;
	struct vfio_pci_migration	*migration;
	u8				in_reset;
};

/**
 * struct vfio_pci_vendor_driver - a driver that extends vfio-pci for devices
 *
 * A vendor driver does not bind devices.  It is asked to the opening of each
 * device that vfio-pci, or another driver that calls
 * vfio_pci_core_open_vendors(), has bound, if one of its ids matches.
 */
struct vfio_pci_vendor_driver {
	/** @name: Name of the driver, which no other has. */
	const char *name;

	/**
	 * @id_table: The devices that the driver is for, as in struct
	 * pci_driver.  May be NULL if there are @ids.
	 */
	const struct pci_device_id *id_table;

	/**
	 * @ids: More ids, as a module option has them:
	 * "vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]",
	 * hexadecimal, separated by commas.  May be NULL.
	 */
	const char *ids;

	/**
	 * @priority: Of the drivers that match a device, those of a lower
	 * priority open it first, and those of equal priority in the order of
	 * their names.
	 */
	int priority;

	/**
	 * @open: Open a device.
	 *
	 * - @dev: the device
	 *
	 * The device is enabled, and userspace has no access to it yet.  Here,
	 * and only here, regions may be added to it and overridden.  Called in
	 * process context with the lock of the device set held; may sleep.
	 *
	 * Return: 0, -ENODEV if the driver has no business with the device,
	 * which is then opened without it, or another negative errno, with
	 * which the open of the device fails.  Whatever is not 0, regions that
	 * were added and overridden are as before, and @close is not called.
	 */
	int (*open)(struct vfio_pci_vendor_device *dev);

	/**
	 * @close: Undo a successful @open.
	 *
	 * - @dev: the device, which is gone once this returns
	 *
	 * Called after the regions of the driver were released, when the
	 * device is closed, or if its open fails after all.  DMA and
	 * interrupts of the device are off.  The context is that of @open.
	 * Optional.
	 */
	void (*close)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset_prepare: The device is about to be reset.
	 *
	 * - @dev: the device
	 *
	 * Called for resets of the function, of its slot or bus, and in
	 * recovery from errors, while the device is open, with the lock of the
	 * PCI device held; may sleep.  The memory lock of vfio-pci may be held
	 * for writing, so that userspace has no access; a driver that needs to
	 * keep its own regions from being used must see to that.
	 *
	 * No lock may be taken under which an operation of the driver reaches
	 * what is below, or a register of the device: that waits for the memory
	 * lock, and if it writes config space may itself start a reset.  Set a
	 * flag, or take a lock that is held for nothing else.
	 *
	 * Resets that overlap are one.  Of an error only a fatal one counts,
	 * after which the device may not answer any more.  That a device loses
	 * its state in D3 is not told.  Optional.
	 */
	void (*reset_prepare)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset_done: The device was reset, or could not be.
	 *
	 * - @dev: the device, for which there was @reset_prepare
	 *
	 * The context is that of @reset_prepare.  After a fatal error config
	 * space is as the reset leaves it, or the device may be gone.  Optional.
	 */
	void (*reset_done)(struct vfio_pci_vendor_device *dev);

	/**
	 * @device_feature: Serve VFIO_DEVICE_FEATURE for a feature that
	 * vfio-pci-core does not know.
	 *
	 * - @dev: the device
	 * - @flags: flags of struct vfio_device_feature
	 * - @arg: buffer of userspace for the data of the feature
	 * - @argsz: size of @arg in bytes
	 *
	 * See vfio_check_feature().  Called in process context, may sleep, and
	 * may run on any number of threads.  Optional.
	 *
	 * Return: 0, a positive value for userspace, or a negative errno:
	 * -ENOTTY for a feature that the driver does not know, -EINVAL.
	 */
	int (*device_feature)(struct vfio_pci_vendor_device *dev, u32 flags,
			      void __user *arg, size_t argsz);

	/**
	 * @migration: How the driver migrates a device, or NULL if it does not.
	 * Of the drivers that a device is opened by, the last one that has it
	 * migrates the device, if one with the same abilities was registered
	 * when the device was bound: what it can do must be known then.
	 */
	const struct vfio_pci_migration_ops *migration;

	/* private: */
	struct module *owner;
	struct list_head node;
	struct vfio_pci_vendor_id *entries;
	unsigned int num_entries;
	unsigned int num_open;
	wait_queue_head_t closed;
};

int __vfio_pci_register_vendor_driver(struct vfio_pci_vendor_driver *driver,
				      struct module *owner);
void vfio_pci_unregister_vendor_driver(struct vfio_pci_vendor_driver *driver);

/**
 * vfio_pci_register_vendor_driver() - register a vendor driver
 * @driver: the vendor driver, which stays the caller's
 *
 * See __vfio_pci_register_vendor_driver().
 */
#define vfio_pci_register_vendor_driver(driver) \
	__vfio_pci_register_vendor_driver(driver, THIS_MODULE)

/**
 * module_vfio_pci_vendor_driver() - a module that is a vendor driver
 * @driver: the vendor driver
 *
 * For modules that do nothing else when they are loaded and unloaded; it takes
 * the place of module_init() and module_exit().
 */
#define module_vfio_pci_vendor_driver(driver) \
	module_driver(driver, vfio_pci_register_vendor_driver, \
		      vfio_pci_unregister_vendor_driver)

/**
 * MODULE_VFIO_PCI_VENDOR_ALIAS() - let a module be loaded for a device
 * @vendor: PCI vendor id, four hexadecimal digits in upper case, or *
 * @device: PCI device id, four hexadecimal digits in upper case, or *
 *
 * The module is loaded when a device with these ids is bound to a driver that
 * is open to vendor drivers, which waits for that, unless drivers are probed
 * asynchronously.  So it must not register a driver for the device in turn,
 * which would wait for the end of the probe.  One for each entry of the id table.
 * It is not an alias as variant drivers have, by which tools choose the driver
 * to bind: that stays vfio-pci.
 */
#define MODULE_VFIO_PCI_VENDOR_ALIAS(vendor, device) \
	MODULE_ALIAS("vfio-pci-vendor:v" #vendor "d" #device "sv*sd*bc*sc*i*")

/**
 * MODULE_VFIO_PCI_VENDOR_ALIAS_CLASS() - let a module be loaded for a class
 * @vendor: PCI vendor id, four hexadecimal digits in upper case, or *
 * @base: base class, two hexadecimal digits in upper case
 * @sub: subclass, likewise, or *
 * @interface: programming interface, likewise, or *
 *
 * As MODULE_VFIO_PCI_VENDOR_ALIAS(), for an entry of the id table that matches
 * devices by their class.
 */
#define MODULE_VFIO_PCI_VENDOR_ALIAS_CLASS(vendor, base, sub, interface) \
	MODULE_ALIAS("vfio-pci-vendor:v" #vendor "d*sv*sd*bc" #base "sc" #sub "i" #interface)

/**
 * MODULE_VFIO_PCI_VENDOR_TABLE() - name the id table that aliases are for
 * @table: constant array of struct pci_device_id
 *
 * The aliases are written by hand, one for each entry.  This lets whoever looks
 * at the module check that none was forgotten, or is for other devices.
 */
#define MODULE_VFIO_PCI_VENDOR_TABLE(table) \
	static const struct pci_device_id __vfio_pci_vendor_table__##table \
		[sizeof(table) / sizeof(struct pci_device_id)] \
		__used __alias(table)

/**
 * struct vfio_pci_range - bytes of a region that a vendor driver handles
 * @region: the region that overrides the one that has the bytes, for
 *	    vfio_pci_lower_read_buf() and vfio_pci_lower_write_buf()
 * @ops: what handles the bytes
 * @data: for the use of @ops
 * @start: byte offset of the first byte in the region
 * @end: byte offset after the last byte in the region
 *
 * Owned by vfio-pci-core; exists from vfio_pci_vendor_override_range() until
 * before the close callback of the vendor driver, or until its open fails.
 */
struct vfio_pci_range {
	struct vfio_pci_region			*region;
	const struct vfio_pci_range_ops		*ops;
	void					*data;
	u64					start;
	u64					end;
};

/**
 * struct vfio_pci_range_ops - operations of a range of bytes
 *
 * Called in process context, may sleep, with no lock of vfio-pci held, on any
 * number of threads at once, while the device is runtime resumed.
 *
 * Every operation is optional: without one, what the range lies on does it.
 */
struct vfio_pci_range_ops {
	/**
	 * @read: Read a register of the range.
	 *
	 * - @range: the range
	 * - @buf: buffer of the core, zeroed, in the order of the bytes in the
	 *   region: little endian
	 * - @count: width of the access in bytes: 1, 2, 4 or, other than in
	 *   config space, 8
	 * - @pos: byte offset in the region, a multiple of @count; all of the
	 *   access is in the range
	 *
	 * An access of userspace comes in the parts that the device itself
	 * would see of it, in ascending order.
	 *
	 * Return: 0, or a negative errno, which userspace gets.
	 */
	int (*read)(const struct vfio_pci_range *range, void *buf, size_t count,
		    u64 pos);

	/**
	 * @write: Write a register of the range.
	 *
	 * What is said of @read holds for this, but that @buf is what to write.
	 */
	int (*write)(const struct vfio_pci_range *range, const void *buf,
		     size_t count, u64 pos);
};

struct vfio_pci_region *
vfio_pci_vendor_add_region(struct vfio_pci_vendor_device *dev, u32 type,
			   u32 subtype, const struct vfio_pci_regops *ops,
			   u64 size, u32 flags, void *data);
int vfio_pci_vendor_find_region(struct vfio_pci_vendor_device *dev, u32 type,
				u32 subtype);
struct vfio_pci_region *
vfio_pci_vendor_override_region(struct vfio_pci_vendor_device *dev,
				unsigned int index,
				const struct vfio_pci_regops *ops, void *data);
int vfio_pci_vendor_override_range(struct vfio_pci_vendor_device *dev,
				   unsigned int index, u64 start, u64 size,
				   const struct vfio_pci_range_ops *ops,
				   void *data);
int vfio_pci_region_set_sparse_mmap(struct vfio_pci_region *region,
				    const struct vfio_region_sparse_mmap_area *areas,
				    unsigned int nr_areas);

/* What a region overrides, for its operations to call */
ssize_t vfio_pci_lower_read(struct vfio_pci_region *region, char __user *buf,
			    size_t count, loff_t pos);
ssize_t vfio_pci_lower_write(struct vfio_pci_region *region,
			     const char __user *buf, size_t count, loff_t pos);
int vfio_pci_lower_read_buf(struct vfio_pci_region *region, void *buf,
			    size_t count, loff_t pos);
int vfio_pci_lower_write_buf(struct vfio_pci_region *region, const void *buf,
			     size_t count, loff_t pos);
int vfio_pci_lower_mmap(struct vfio_pci_region *region,
			struct vm_area_struct *vma);
vm_fault_t vfio_pci_lower_fault(struct vfio_pci_region *region,
				struct vm_fault *vmf, unsigned int order);
int vfio_pci_lower_get_info(struct vfio_pci_region *region,
			    struct vfio_region_info *info,
			    struct vfio_info_cap *caps);
int vfio_pci_lower_add_capability(struct vfio_pci_region *region,
				  struct vfio_info_cap *caps);
int vfio_pci_lower_ioeventfd(struct vfio_pci_region *region, loff_t pos,
			     u64 data, int count, int fd);
int vfio_pci_lower_get_dmabuf_phys(struct vfio_pci_region *region,
				   struct p2pdma_provider **provider,
				   struct phys_vec *phys_vec,
				   struct vfio_region_dma_range *dma_ranges,
				   size_t nr_ranges);

void *vfio_pci_vendor_add_memory(struct vfio_pci_vendor_device *dev,
				 u32 type, u32 subtype, const void *contents,
				 size_t size, u32 flags);

ssize_t vfio_pci_region_read_buf(struct vfio_pci_region *region,
				 char __user *buf, size_t count, loff_t pos);
ssize_t vfio_pci_region_write_buf(struct vfio_pci_region *region,
				  const char __user *buf, size_t count,
				  loff_t pos);

int vfio_pci_vendor_read_bar(struct vfio_pci_vendor_device *dev,
			     unsigned int bar, u64 offset, unsigned int width,
			     u64 *val);
int vfio_pci_vendor_write_bar(struct vfio_pci_vendor_device *dev,
			      unsigned int bar, u64 offset, unsigned int width,
			      u64 val);

/* For drivers built on vfio-pci-core */
int vfio_pci_core_open_vendors(struct vfio_pci_core_device *vdev);
int vfio_pci_core_request_vendors(struct vfio_pci_core_device *vdev);
void vfio_pci_core_aer_resume(struct pci_dev *pdev);
void vfio_pci_core_reset_prepare(struct pci_dev *pdev);
void vfio_pci_core_reset_done(struct pci_dev *pdev);

int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data);

#endif /* VFIO_PCI_REGOPS_H */
