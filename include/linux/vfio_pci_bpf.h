/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO PCI drivers in BPF
 *
 * BPF programs change config space and handle registers of a device that
 * vfio-pci gives to userspace.  See Documentation/admin-guide/vfio-pci-bpf.rst.
 */
#ifndef VFIO_PCI_BPF_H
#define VFIO_PCI_BPF_H

#include <linux/types.h>

struct vfio_pci_range;
struct vfio_pci_vendor_device;
struct vfio_pci_vendor_driver;

#define VFIO_PCI_BPF_NAME_LEN	32
#define VFIO_PCI_BPF_MAX_IDS	16

/**
 * struct vfio_pci_bpf_id - devices that a BPF driver supports
 * @vendor: vendor id, or 0 for any
 * @device: device id, or 0 for any
 * @subvendor: subsystem vendor id, or 0 for any
 * @subdevice: subsystem device id, or 0 for any
 * @class: class, subclass and programming interface, as in struct pci_device_id
 * @class_mask: bits of @class to compare, or 0 for any class.  The other bits of
 *		@class must be 0.
 */
struct vfio_pci_bpf_id {
	u16	vendor;
	u16	device;
	u16	subvendor;
	u16	subdevice;
	u32	class;
	u32	class_mask;
};

/**
 * struct vfio_pci_bpf_open - an open of a device
 * @dev: the device
 */
struct vfio_pci_bpf_open {
	struct vfio_pci_vendor_device	*dev;
};

/**
 * struct vfio_pci_bpf_access - an access to a register in a range
 * @dev: the device
 * @pos: byte offset of the register in the region, a multiple of @width
 * @val: value of the register in CPU byte order.  A write handler gets the value
 *	 that userspace writes.  A read handler sets the value; it is 0 before.
 * @region: index of the region, VFIO_PCI_*_REGION_INDEX or higher
 * @width: size of the register in bytes: 1, 2, 4 or 8; at most 4 in config space
 *
 * A program may write only @val.
 */
struct vfio_pci_bpf_access {
	struct vfio_pci_vendor_device	*dev;
	u64				pos;
	u64				val;
	u32				region;
	u32				width;

	/* private: */
	const struct vfio_pci_range	*range;
};

/**
 * struct vfio_pci_bpf_ops - a driver in BPF
 *
 * This is a struct_ops.  As soon as it is registered, it is a vendor driver: at
 * each open of a matching device, the core calls @open, which overrides ranges
 * of registers.  After that, the core calls @read and @write for each access to
 * these ranges.
 *
 * When the struct_ops is unregistered, an open device keeps the programs until
 * it is closed.  The next open is without them.
 *
 * Each program may be sleepable.  Only a sleepable program can call the kfuncs.
 * Programs can read the fields of the device, such as dev->pdev->vendor.
 */
struct vfio_pci_bpf_ops {
	/**
	 * @name: Unique name, for messages and debugfs: letters, digits, '_',
	 * '-' and '.'.
	 */
	char name[VFIO_PCI_BPF_NAME_LEN];

	/** @ids: Supported devices.  The first entry with only zeroes ends it. */
	struct vfio_pci_bpf_id ids[VFIO_PCI_BPF_MAX_IDS];

	/**
	 * @priority: Same as in struct vfio_pci_vendor_driver.  Modules and BPF
	 * drivers have one common order.
	 */
	s32 priority;

	/**
	 * @open: Called when userspace opens the device.  Only this program can
	 * override ranges, hide and add capabilities, and add memory.
	 *
	 * Return: 0 on success; -ENODEV to open the device without this driver;
	 * another negative errno to fail the open.  A kfunc that reads a
	 * register may return -ENODEV if the program of another driver does:
	 * do not return this unchanged.
	 */
	int (*open)(struct vfio_pci_bpf_open *open);

	/** @close: Undo @open.  Optional. */
	void (*close)(struct vfio_pci_vendor_device *dev);

	/**
	 * @read: Read a register in one of the ranges: set @access->val.
	 * Several threads may call this at the same time.  Optional: without
	 * this program, the lower region handles reads.
	 *
	 * Return: 0 on success; a negative errno for userspace.  Any other value
	 * counts as -EIO.
	 */
	int (*read)(struct vfio_pci_bpf_access *access);

	/**
	 * @write: Write @access->val to a register in one of the ranges.  Same
	 * contract as @read.  At least one of @read and @write is needed to
	 * override a range.
	 */
	int (*write)(struct vfio_pci_bpf_access *access);

	/* private: */
	const struct vfio_pci_vendor_driver *driver;
};

#endif /* VFIO_PCI_BPF_H */
