/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types and kfuncs for BPF programs of vfio-pci: the parts of
 * include/linux/vfio_pci_bpf.h and of the kfuncs' types that programs use.
 * libbpf adapts the offsets to the kernel that runs the program.
 */
#ifndef VFIO_PCI_BPF_H
#define VFIO_PCI_BPF_H

#include <linux/bpf.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct pci_dev {
	unsigned short	vendor;
	unsigned short	device;
	unsigned short	subsystem_vendor;
	unsigned short	subsystem_device;
	unsigned int	class;
	__u8		revision;
} __attribute__((preserve_access_index));

struct vfio_pci_vendor_device {
	struct pci_dev	*pdev;
} __attribute__((preserve_access_index));

struct vfio_pci_bpf_open {
	struct vfio_pci_vendor_device	*dev;
} __attribute__((preserve_access_index));

struct vfio_pci_bpf_access {
	struct vfio_pci_vendor_device	*dev;
	__u64				pos;
	__u64				val;
	__u32				region;
	__u32				width;
} __attribute__((preserve_access_index));

/* An id of 0 matches any id */
struct vfio_pci_bpf_id {
	__u16	vendor;
	__u16	device;
	__u16	subvendor;
	__u16	subdevice;
	__u32	class;
	__u32	class_mask;
};

struct vfio_pci_bpf_ops {
	char			name[32];
	struct vfio_pci_bpf_id	ids[16];
	__s32			priority;
	int (*open)(struct vfio_pci_bpf_open *open);
	void (*close)(struct vfio_pci_vendor_device *dev);
	int (*read)(struct vfio_pci_bpf_access *access);
	int (*write)(struct vfio_pci_bpf_access *access);
};

/* Only in the open program */
int vfio_pci_bpf_override_range(struct vfio_pci_bpf_open *open,
				__u32 region, __u64 start, __u64 size) __ksym;
int vfio_pci_bpf_hide_cap(struct vfio_pci_bpf_open *open, __u8 id) __ksym;
int vfio_pci_bpf_hide_ext_cap(struct vfio_pci_bpf_open *open,
			      __u16 id) __ksym;
int vfio_pci_bpf_add_cap(struct vfio_pci_bpf_open *open, const void *cap,
			 __u32 cap__sz) __ksym;
int vfio_pci_bpf_add_memory(struct vfio_pci_bpf_open *open, __u32 type,
			    __u32 subtype, const void *contents,
			    __u32 contents__sz) __ksym;

/* In the read and write programs */
int vfio_pci_bpf_read_lower(struct vfio_pci_bpf_access *access) __ksym;
int vfio_pci_bpf_write_lower(struct vfio_pci_bpf_access *access) __ksym;

/* In all programs; read_reg and write_reg fail in the close program */
int vfio_pci_bpf_read_config(struct vfio_pci_vendor_device *dev, __u32 pos,
			     __u32 width, __u64 *val) __ksym;
int vfio_pci_bpf_read_reg(struct vfio_pci_vendor_device *dev, __u32 region,
			  __u64 pos, __u32 width, __u64 *val) __ksym;
int vfio_pci_bpf_write_reg(struct vfio_pci_vendor_device *dev, __u32 region,
			   __u64 pos, __u32 width, __u64 val) __ksym;

#endif /* VFIO_PCI_BPF_H */
