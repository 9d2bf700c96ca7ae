/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of vfio-pci-bpf
 */
#ifndef VFIO_PCI_BPF_PRIV_H
#define VFIO_PCI_BPF_PRIV_H

#include <linux/container_of.h>
#include <linux/pci.h>
#include <linux/vfio_pci_bpf.h>
#include <linux/vfio_pci_regops.h>

/**
 * struct vfio_pci_bpf_driver - a registered BPF driver
 * @driver: the driver as the registry sees it
 * @ids: id table of @driver
 * @ops: the programs; holds a reference to the struct_ops
 */
struct vfio_pci_bpf_driver {
	struct vfio_pci_vendor_driver	driver;
	struct pci_device_id		ids[VFIO_PCI_BPF_MAX_IDS + 1];
	struct vfio_pci_bpf_ops		*ops;
};

static inline const struct vfio_pci_bpf_driver *
to_vfio_pci_bpf_driver(const struct vfio_pci_vendor_driver *driver)
{
	return container_of(driver, struct vfio_pci_bpf_driver, driver);
}

const struct vfio_pci_range_ops *
vfio_pci_bpf_range_ops(const struct vfio_pci_bpf_ops *ops);
int vfio_pci_bpf_kfunc_init(void);

/* Programs call these, see kfunc.c */
int vfio_pci_bpf_override_range(struct vfio_pci_bpf_open *open, u32 region,
				u64 start, u64 size);
int vfio_pci_bpf_hide_cap(struct vfio_pci_bpf_open *open, u8 id);
int vfio_pci_bpf_hide_ext_cap(struct vfio_pci_bpf_open *open, u16 id);
int vfio_pci_bpf_add_cap(struct vfio_pci_bpf_open *open, const void *cap,
			 u32 cap__sz);
int vfio_pci_bpf_add_memory(struct vfio_pci_bpf_open *open, u32 type,
			    u32 subtype, const void *contents,
			    u32 contents__sz);
int vfio_pci_bpf_read_config(struct vfio_pci_vendor_device *dev, u32 pos,
			     u32 width, u64 *val);
int vfio_pci_bpf_read_lower(struct vfio_pci_bpf_access *access);
int vfio_pci_bpf_write_lower(struct vfio_pci_bpf_access *access);
int vfio_pci_bpf_read_reg(struct vfio_pci_vendor_device *dev, u32 region,
			  u64 pos, u32 width, u64 *val);
int vfio_pci_bpf_write_reg(struct vfio_pci_vendor_device *dev, u32 region,
			   u64 pos, u32 width, u64 val);

#endif /* VFIO_PCI_BPF_PRIV_H */
