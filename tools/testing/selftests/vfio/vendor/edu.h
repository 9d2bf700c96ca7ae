/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers and DMA of QEMU's edu device, in BAR0.
 */
#ifndef SELFTESTS_VFIO_EDU_H
#define SELFTESTS_VFIO_EDU_H

#include <linux/types.h>

#include <libvfio.h>

#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

u32 edu_read(struct vfio_pci_device *device, u64 reg);
void edu_write(struct vfio_pci_device *device, u64 reg, u32 value);
/* Copy between an IOVA and the buffer of the device */
void edu_dma_from(struct vfio_pci_device *device, u64 iova, u32 count);
void edu_dma_to(struct vfio_pci_device *device, u64 iova, u32 count);

#endif
