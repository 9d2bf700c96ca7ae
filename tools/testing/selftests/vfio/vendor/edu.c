// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "edu.h"

#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		1
#define EDU_DMA_TO_MEMORY	2

u32 edu_read(struct vfio_pci_device *device, u64 reg)
{
	u32 value;

	VFIO_ASSERT_EQ(pread(device->fd, &value, 4, reg), 4);

	return value;
}

void edu_write(struct vfio_pci_device *device, u64 reg, u32 value)
{
	VFIO_ASSERT_EQ(pwrite(device->fd, &value, 4, reg), 4);
}

static void edu_write_long(struct vfio_pci_device *device, u64 reg, u64 value)
{
	VFIO_ASSERT_EQ(pwrite(device->fd, &value, 8, reg), 8);
}

static void edu_dma(struct vfio_pci_device *device, u64 from, u64 to, u32 count,
		    u32 command)
{
	edu_write_long(device, EDU_DMA_SOURCE, from);
	edu_write_long(device, EDU_DMA_DESTINATION, to);
	edu_write_long(device, EDU_DMA_COUNT, count);
	edu_write_long(device, EDU_DMA_COMMAND, command | EDU_DMA_START);
	while (edu_read(device, EDU_DMA_COMMAND) & EDU_DMA_START)
		usleep(1000);
}

void edu_dma_from(struct vfio_pci_device *device, u64 iova, u32 count)
{
	edu_dma(device, iova, EDU_BUFFER, count, 0);
}

void edu_dma_to(struct vfio_pci_device *device, u64 iova, u32 count)
{
	edu_dma(device, EDU_BUFFER, iova, count, EDU_DMA_TO_MEMORY);
}
