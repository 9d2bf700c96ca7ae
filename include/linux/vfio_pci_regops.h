/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO PCI regions and vendor drivers
 *
 * A vendor driver adds regions to a vfio-pci device and overrides existing
 * ones: config space, BARs, ROM, VGA.  It does not bind the device.
 * See Documentation/driver-api/vfio-pci-regops.rst.
 */
#ifndef VFIO_PCI_REGOPS_H
#define VFIO_PCI_REGOPS_H

#include <linux/mm_types.h>
#include <linux/module.h>
#include <linux/types.h>

struct p2pdma_provider;
struct pci_dev;
struct pci_device_id;
struct phys_vec;
struct vfio_info_cap;
struct vfio_pci_core_device;
struct vfio_pci_migration_ops;
struct vfio_pci_vendor_device;
struct vfio_region_dma_range;
struct vfio_region_sparse_mmap_area;

/**
 * struct vfio_pci_region - a region of an open device
 * @dev: the device and its vendor driver; NULL for a region of the core
 * @data: private data of the region's ops
 * @size: size in bytes
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP
 * @type: VFIO_REGION_TYPE_* of an added region
 * @subtype: VFIO_REGION_SUBTYPE_* of an added region
 * @index: index in the region table: VFIO_PCI_*_REGION_INDEX or higher
 *
 * The core owns the region.  All fields are read-only for drivers.
 */
struct vfio_pci_region {
	struct vfio_pci_vendor_device	*dev;
	void				*data;
	u64				size;
	u32				flags;
	u32				type;
	u32				subtype;
	unsigned int			index;
};

/**
 * struct vfio_pci_regops - operations of a region
 *
 * All operations are optional.  Unless noted otherwise, the core calls them in
 * process context and holds no lock of vfio-pci.  Operations may sleep, and
 * several threads may call them at the same time.  The device is
 * runtime resumed, but userspace may have disabled memory decode or put the
 * device into D3hot.
 *
 * The core checks the region's flags and clips each access to the region before
 * it calls an operation.  It converts an invalid return value to -EIO.
 */
struct vfio_pci_regops {
	/**
	 * @read: Read from the region.
	 *
	 * - @buf: kernel buffer of @count bytes, zeroed
	 * - @count: number of bytes, 1 to PAGE_SIZE
	 * - @pos: byte offset in the region; @pos + @count is in the region
	 *
	 * Return: 0 on success; a negative errno for userspace, even if the
	 * call has already read some bytes.
	 */
	int (*read)(struct vfio_pci_region *region, void *buf, size_t count,
		    loff_t pos);

	/** @write: Write @buf to the region.  Same contract as @read. */
	int (*write)(struct vfio_pci_region *region, const void *buf,
		     size_t count, loff_t pos);

	/**
	 * @mmap: Map a part of the region into userspace.
	 *
	 * - @vma: the mapping; vfio_pci_region_vma_offset() returns its offset
	 *   in the region
	 *
	 * The mmap lock is held for writing.  The device may be suspended.  The
	 * core has checked that @vma is shared and in a mappable area, and that
	 * the flags permit it.  The core has set VM_DONTEXPAND, and has cleared
	 * VM_MAYWRITE if the region is not writable.
	 *
	 * To map the lower region, call vfio_pci_region_mmap().  The lower
	 * region then handles the faults.  To map other device memory,
	 * implement @fault.  Without it, the core refuses remap_pfn_range().
	 *
	 * Return: 0 on success, or a negative errno.
	 */
	int (*mmap)(struct vfio_pci_region *region,
		    struct vm_area_struct *vma);

	/**
	 * @fault: Handle a page fault in a mapping that @mmap has set up.
	 *
	 * - @order: page order of the fault; 0 is a single page
	 *
	 * The mmap lock or the VMA lock is held for reading.  The device may be
	 * suspended.  Requires @mmap.
	 *
	 * The core zaps the mapped pages when userspace disables memory decode,
	 * enters low power or resets the device.  A later access faults again.
	 * During a reset by sysfs and during error recovery, the pages stay
	 * mapped, like the pages of a BAR.
	 *
	 * Return: a VM_FAULT_* code; VM_FAULT_FALLBACK to get a smaller @order.
	 */
	vm_fault_t (*fault)(struct vfio_pci_region *region,
			    struct vm_fault *vmf, unsigned int order);

	/**
	 * @add_capability: Add capabilities to the region info, with
	 * vfio_info_add_capability().  The core itself adds the type, sparse
	 * mmap and MSI-X mappable capabilities.
	 *
	 * Return: 0 on success; a negative errno to fail the ioctl.
	 */
	int (*add_capability)(struct vfio_pci_region *region,
			      struct vfio_info_cap *caps);

	/**
	 * @get_dmabuf_phys: Look up physical addresses for a dma-buf export.
	 *
	 * - @provider: out: peer-to-peer DMA provider of the region
	 * - @phys_vec: out: @nr_ranges entries
	 * - @dma_ranges: page-aligned parts of mappable areas, not empty
	 * - @nr_ranges: number of entries, at least 1
	 *
	 * The region must be readable, writable and mappable.  Otherwise the
	 * core refuses the export.
	 *
	 * Return: 0 on success, or a negative errno.
	 */
	int (*get_dmabuf_phys)(struct vfio_pci_region *region,
			       struct p2pdma_provider **provider,
			       struct phys_vec *phys_vec,
			       struct vfio_region_dma_range *dma_ranges,
			       size_t nr_ranges);

	/**
	 * @release: Free @region->data.  When userspace closes the device or
	 * the open fails, the core calls this for each region that it accepted,
	 * in reverse order.  The lock of the device set is held.
	 */
	void (*release)(struct vfio_pci_region *region);
};

/* Flag of struct vfio_pci_region_desc: report size 0 and no flags */
#define VFIO_PCI_REGION_HIDDEN		BIT(31)

/**
 * struct vfio_pci_region_desc - description of a region to add or override
 * @ops: the operations; may be NULL for an override that changes only @size,
 *	 @flags or @areas
 * @data: private data of @ops; the release operation frees it
 * @size: size in bytes; 0 in an override keeps the size of the lower region
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP, or
 *	   %VFIO_PCI_REGION_HIDDEN; 0 in an override keeps the flags of the
 *	   lower region, but without _MMAP if @ops traps accesses
 * @type: VFIO_REGION_TYPE_* of an added region; ORed with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE if it is a PCI vendor id
 * @subtype: VFIO_REGION_SUBTYPE_* of an added region
 * @areas: page-aligned mappable areas in ascending order, not overlapping; NULL
 *	   in an override keeps the areas of the lower region; NULL in an added
 *	   region means the whole region
 * @nr_areas: number of @areas
 *
 * The core copies the description, but not @data.
 */
struct vfio_pci_region_desc {
	const struct vfio_pci_regops			*ops;
	void						*data;
	u64						size;
	u32						flags;
	u32						type;
	u32						subtype;
	const struct vfio_region_sparse_mmap_area	*areas;
	unsigned int					nr_areas;
};

/**
 * struct vfio_pci_devmem - device memory that is not in a BAR
 * @phys: page-aligned physical address
 * @length: length of the memory in bytes, page-aligned
 * @size: size of the BAR in bytes, a power of two, at least @length.  The bytes
 *	  after the memory read as ones, ignore writes, and cannot be mapped.
 * @write_combine: map the memory write-combining instead of cached
 *
 * The core accesses the memory even if memory decode is off or the device is in
 * D3hot.  Such an access must be harmless: a read returns ones, a write has no
 * effect.
 */
struct vfio_pci_devmem {
	phys_addr_t	phys;
	size_t		length;
	u64		size;
	bool		write_combine;

	/**
	 * @wait_ready: Wait until the memory is ready.  The core calls this
	 * before the first access after each reset, also for a page fault, but
	 * not for DMA and not after D3cold.  Several threads may call it at the
	 * same time.  Process context, may sleep.  The mmap lock or the VMA
	 * lock may be held for reading, but no lock of vfio-pci.  The device is
	 * runtime resumed, but userspace may have disabled memory decode or put
	 * the device into D3hot.  Optional.
	 *
	 * Return: 0 if the memory is ready; a negative errno for userspace.  A
	 * page fault then raises SIGBUS.
	 */
	int (*wait_ready)(struct vfio_pci_vendor_device *dev);
};

/**
 * struct vfio_pci_range - a range of registers that a vendor driver handles
 * @region: the override that holds the range; vfio_pci_region_lower() returns
 *	    its lower region
 * @ops: the handlers
 * @data: private data of @ops; the driver frees it
 * @start: byte offset of the first byte in the region
 * @end: byte offset after the last byte in the region
 *
 * The core owns the range.  It exists until the device is closed.
 */
struct vfio_pci_range {
	struct vfio_pci_region			*region;
	const struct vfio_pci_range_ops		*ops;
	void					*data;
	u64					start;
	u64					end;
};

/**
 * struct vfio_pci_range_ops - handlers of a range
 *
 * Same context as struct vfio_pci_regops.  The core splits an access at the
 * boundaries of ranges and into naturally aligned registers, and calls the
 * handlers in ascending order.  Without a handler, the access goes to the lower
 * region.
 */
struct vfio_pci_range_ops {
	/**
	 * @read: Read a register.
	 *
	 * - @pos: byte offset in the region, a multiple of @width
	 * - @width: 1, 2, 4 or 8 bytes; at most 4 in config space
	 * - @val: out: the value in CPU byte order
	 *
	 * Return: 0 on success; a negative errno for userspace.
	 */
	int (*read)(const struct vfio_pci_range *range, u64 pos,
		    unsigned int width, u64 *val);

	/**
	 * @write: Write a register.  Same contract as @read.  Bits of @val
	 * above @width are 0.
	 */
	int (*write)(const struct vfio_pci_range *range, u64 pos,
		     unsigned int width, u64 val);
};

/**
 * struct vfio_pci_vendor_device - a device that a vendor driver is attached to
 * @vdev: the device, for functions of vfio-pci-core
 * @pdev: the PCI device
 * @driver: the vendor driver
 * @id: copy of the id table entry that matched, including driver_data; all zeros
 *	if a variant driver attached the driver
 * @bind_data: private data of the driver, from @bind to @unbind
 * @data: private data of the driver, from @open to @close; the core sets it to
 *	  NULL after @close and after a failed @open
 *
 * The core owns this structure and frees it at unbind.
 */
struct vfio_pci_vendor_device {
	struct vfio_pci_core_device		*vdev;
	struct pci_dev				*pdev;
	const struct vfio_pci_vendor_driver	*driver;
	const struct pci_device_id		*id;
	void					*bind_data;
	void					*data;
};

/**
 * struct vfio_pci_vendor_driver - a driver that extends vfio-pci
 *
 * A vendor driver does not bind devices.  When vfio-pci binds a device, the
 * core attaches each vendor driver with a matching id, and pins its module
 * until unbind.  If a driver is loaded later, the core attaches and pins it at
 * the next open of the device.
 *
 * All callbacks run in process context and may sleep.  The core serializes
 * bind, unbind, open and close of a device.
 */
struct vfio_pci_vendor_driver {
	/** @name: Unique name, for messages and debugfs. */
	const char *name;

	/**
	 * @id_table: Supported devices.  May be NULL if @ids is set.  Pass the
	 * table to MODULE_DEVICE_TABLE(vfio_pci_vendor, ...), too.  modpost
	 * then writes one "vfio-pci-vendor:" alias for each entry, and vfio-pci
	 * requests the alias of a device at bind.
	 */
	const struct pci_device_id *id_table;

	/**
	 * @ids: Address of a charp module parameter with more ids, in the
	 * format of the vfio-pci parameter ids.  Optional.  The core reads the
	 * parameter at registration.
	 */
	char *const *ids;

	/**
	 * @priority: Drivers open a device in ascending order of priority, then
	 * of name.  A driver overrides the regions of the drivers before it.
	 */
	int priority;

	/**
	 * @bind: Called when vfio-pci binds the device.  If the driver was
	 * loaded later, called at the next open, before @open.  The device is
	 * not enabled.  The device lock may be held.  Optional.
	 *
	 * Return: 0 to attach the driver; -ENODEV to ignore the device; another
	 * negative errno to fail the bind or the open.
	 */
	int (*bind)(struct vfio_pci_vendor_device *dev);

	/** @unbind: Undo @bind.  Userspace has closed the device.  Optional. */
	void (*unbind)(struct vfio_pci_vendor_device *dev);

	/**
	 * @open: Called when userspace opens the device.  Only this callback
	 * may add and override regions.  The device is enabled, but userspace
	 * has no access yet.  The lock of the device set is held.
	 *
	 * Return: 0 on success; -ENODEV to open the device without this driver;
	 * another negative errno to fail the open.  On any error, the core
	 * removes the regions of this driver and does not call @close.
	 */
	int (*open)(struct vfio_pci_vendor_device *dev);

	/**
	 * @close: Undo @open.  The core has disabled DMA and interrupts, and
	 * has removed the regions of this driver.  Also called if a later step
	 * of the open fails.  Same locks as @open.  Optional.
	 */
	void (*close)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset_prepare: Called before each reset between bind and unbind,
	 * except while @open or @close is running.  Optional.
	 *
	 * If the device is closed, @dev->data is NULL.  A reset during @open
	 * fails the open with -EAGAIN, unless @open itself resets the device.
	 * The device lock is held.
	 *
	 * The memory lock of vfio-pci may be held for writing.  Do not access
	 * regions or registers here.  Do not take a lock that a thread may hold
	 * during such an access.
	 *
	 * If another device's error handler resets the bus, the core calls
	 * @reset_prepare and @reset_done after the reset.
	 */
	void (*reset_prepare)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset_done: Called exactly once after each @reset_prepare, even if
	 * the reset failed, and always before @close or @unbind.  Optional.
	 * Same locks and rules as @reset_prepare.
	 */
	void (*reset_done)(struct vfio_pci_vendor_device *dev);

	/**
	 * @device_feature: Handle a device feature; its number is at least
	 * VFIO_DEVICE_FEATURE_VENDOR.  @flags are the flags of struct
	 * vfio_device_feature; @arg points to @argsz bytes in userspace.
	 * Several threads may call this at the same time.  Use
	 * vfio_check_feature() to check the arguments.  Optional.
	 *
	 * Return: 0 or a positive value for userspace; -ENOTTY for an unknown
	 * feature; or another negative errno.
	 */
	int (*device_feature)(struct vfio_pci_vendor_device *dev, u32 flags,
			      void __user *arg, size_t argsz);

	/**
	 * @migration: Migration backend, see vfio_pci_migration.h.  If several
	 * drivers can migrate the device, the core uses the one that opens
	 * last.  Optional.
	 */
	const struct vfio_pci_migration_ops *migration;
};

int __vfio_pci_register_vendor_driver(const struct vfio_pci_vendor_driver *driver,
				      struct module *owner);
void vfio_pci_unregister_vendor_driver(const struct vfio_pci_vendor_driver *driver);

/* See __vfio_pci_register_vendor_driver() */
#define vfio_pci_register_vendor_driver(driver) \
	__vfio_pci_register_vendor_driver(driver, THIS_MODULE)

/**
 * module_vfio_pci_vendor_driver() - define module_init() and module_exit() of a
 *	module that only registers a vendor driver
 * @driver: the vendor driver
 */
#define module_vfio_pci_vendor_driver(driver) \
	module_driver(driver, vfio_pci_register_vendor_driver, \
		      vfio_pci_unregister_vendor_driver)

/* Add and override regions: call these only in the open callback */
struct vfio_pci_region *
vfio_pci_vendor_add_region(struct vfio_pci_vendor_device *dev,
			   const struct vfio_pci_region_desc *desc);
void *vfio_pci_vendor_add_memory(struct vfio_pci_vendor_device *dev,
				 const struct vfio_pci_region_desc *desc,
				 const void *contents);
int vfio_pci_vendor_find_region(struct vfio_pci_vendor_device *dev, u32 type,
				u32 subtype);
struct vfio_pci_region *
vfio_pci_vendor_override_region(struct vfio_pci_vendor_device *dev,
				unsigned int index,
				const struct vfio_pci_region_desc *desc);
int vfio_pci_vendor_override_devmem(struct vfio_pci_vendor_device *dev,
				    unsigned int bar,
				    const struct vfio_pci_devmem *devmem);
int vfio_pci_vendor_override_range(struct vfio_pci_vendor_device *dev,
				   unsigned int index, u64 start, u64 size,
				   const struct vfio_pci_range_ops *ops,
				   void *data);

/* Hide and add capabilities: call these only in the open callback */
int vfio_pci_vendor_hide_cap(struct vfio_pci_vendor_device *dev, u8 id);
int vfio_pci_vendor_hide_ext_cap(struct vfio_pci_vendor_device *dev, u16 id);
int vfio_pci_vendor_add_cap(struct vfio_pci_vendor_device *dev, const void *cap,
			    size_t len, const struct vfio_pci_range_ops *ops,
			    void *data);

/* Access a region: do not call these in the reset callbacks */
struct vfio_pci_region *vfio_pci_region_lower(struct vfio_pci_region *region);
int vfio_pci_region_read(struct vfio_pci_region *region, void *buf,
			 size_t count, loff_t pos);
int vfio_pci_region_write(struct vfio_pci_region *region, const void *buf,
			  size_t count, loff_t pos);
int vfio_pci_region_read_reg(struct vfio_pci_region *region, u64 pos,
			     unsigned int width, u64 *val);
int vfio_pci_region_write_reg(struct vfio_pci_region *region, u64 pos,
			      unsigned int width, u64 val);
int vfio_pci_region_mmap(struct vfio_pci_region *region,
			 struct vm_area_struct *vma);
int vfio_pci_region_mmap_bar(struct vfio_pci_region *region,
			     struct vm_area_struct *vma, unsigned int bar);
vm_fault_t vfio_pci_region_fault_bar(struct vfio_pci_region *region,
				     struct vm_fault *vmf, unsigned int order,
				     unsigned int bar, u64 offset);
int vfio_pci_region_get_dmabuf_phys(struct vfio_pci_region *region,
				    struct p2pdma_provider **provider,
				    struct phys_vec *phys_vec,
				    struct vfio_region_dma_range *dma_ranges,
				    size_t nr_ranges);

/* Access the device below all overrides: not in the reset callbacks */
int vfio_pci_vendor_read_bar(struct vfio_pci_vendor_device *dev,
			     unsigned int bar, u64 offset, unsigned int width,
			     u64 *val);
int vfio_pci_vendor_write_bar(struct vfio_pci_vendor_device *dev,
			      unsigned int bar, u64 offset, unsigned int width,
			      u64 val);
int vfio_pci_vendor_dma_rw(struct vfio_pci_vendor_device *dev, dma_addr_t iova,
			   void *buf, size_t count, bool write);

#endif /* VFIO_PCI_REGOPS_H */
