// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the sample vendor driver that migrates QEMU's edu device.  A test
 * migrates one device to another.  Each device has its own memory at the same
 * addresses, as in two virtual machines.
 *
 * Needs the module vfio_pci_edu_migration
 * (CONFIG_SAMPLE_VFIO_PCI_EDU_MIGRATION).  vfio_pci_edu may be loaded, too.
 * Needs two edu devices, the second with support for reset.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "vendor/need.h"
#include "vfio_pci_migration_edu.h"

static const char *bdfs[2];

FIXTURE(vfio_pci_migration_edu_test) {
	struct machine src;
	struct machine dst;
};

FIXTURE_VARIANT(vfio_pci_migration_edu_test) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) \
	FIXTURE_VARIANT_IOMMU_MODE(vfio_pci_migration_edu_test, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(vfio_pci_migration_edu_test)
{
	machine_open(&self->src, bdfs[0], variant->iommu_mode);
	machine_open(&self->dst, bdfs[1], variant->iommu_mode);
	machine_clean(&self->src, 1);
	machine_clean(&self->dst, 2);
	put_pattern(self->src.mem, MEM_SIZE, 1);
}

FIXTURE_TEARDOWN(vfio_pci_migration_edu_test)
{
	machine_close(&self->dst);
	machine_close(&self->src);
}

#define ASSERT_SAME_REGISTERS(_a, _b) do {			\
	struct registers *__a = (_a), *__b = (_b);		\
								\
	ASSERT_EQ(__a->liveness, __b->liveness);		\
	ASSERT_EQ(__a->factorial, __b->factorial);		\
	ASSERT_EQ(__a->status, __b->status);			\
	ASSERT_EQ(__a->irq_status, __b->irq_status);		\
	ASSERT_EQ(__a->source, __b->source);			\
	ASSERT_EQ(__a->destination, __b->destination);		\
	ASSERT_EQ(__a->count, __b->count);			\
	ASSERT_EQ(__a->command, __b->command);			\
} while (0)

TEST_F(vfio_pci_migration_edu_test, driver_supports_p2p_and_precopy)
{
	struct vfio_device_feature_migration flags = {};

	ASSERT_EQ(0, feature(&self->src, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_MIGRATION, &flags,
			     sizeof(flags)));
	ASSERT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, flags.flags);
	ASSERT_EQ(VFIO_DEVICE_STATE_RUNNING, get_state(&self->src));
}

/* All registers and pending interrupts of an idle device */
TEST_F(vfio_pci_migration_edu_test, idle_device_keeps_its_registers)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, halted, after;

	compute(src, 10);
	write_reg(src, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	transfer(src, MEM_IOVA, EDU_BUFFER, EDU_BUFFER_SIZE, 0);
	transfer(src, EDU_BUFFER + 16, MEM_IOVA + 64, 48,
		 EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ);
	write_reg(src, EDU_DMA_DESTINATION, 0x123456789abcdef0);
	write_reg(src, EDU_IRQ_RAISE, 0x80020);
	write_reg(src, EDU_LIVENESS, 0x5a5a1234);
	read_registers(src, &before);
	ASSERT_EQ(~0x5a5a1234U, before.liveness);
	ASSERT_EQ(3628800, before.factorial);
	ASSERT_EQ(EDU_IRQ_WHEN_DONE, before.status);
	ASSERT_EQ(EDU_IRQ_DMA | 0x80020, before.irq_status);
	ASSERT_EQ(EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ, before.command);
	ASSERT_EQ(0x123456789abcdef0, before.destination);

	set_state(src, VFIO_DEVICE_STATE_STOP);
	read_registers(src, &halted);
	halted.status |= EDU_IRQ_WHEN_DONE;
	ASSERT_SAME_REGISTERS(&before, &halted);

	migrate(src, dst);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_LE(1, interrupts(dst));

	/* The destination works */
	write_reg(dst, EDU_IRQ_ACKNOWLEDGE, ~0U);
	ASSERT_EQ(0, read_reg(dst, EDU_IRQ_STATUS));
	compute(dst, 6);
	ASSERT_EQ(1, interrupts(dst));
	ASSERT_EQ(720, read_reg(dst, EDU_FACTORIAL));
	ASSERT_EQ(EDU_IRQ_FACTORIAL, read_reg(dst, EDU_IRQ_STATUS));

	/* Migrate back to a device that was the source before */
	read_registers(dst, &before);
	migrate(dst, src);
	read_registers(src, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
}

/* All possible results, some of them computed before the open */
TEST_F_TIMEOUT(vfio_pci_migration_edu_test, all_factorials_are_restored, 120)
{
	struct machine *src = &self->src, *dst = &self->dst;
	u32 n, product;

	for (n = 0, product = 1; n <= 35; n++, product *= n) {
		/* For odd n, the computation precedes the open */
		compute(src, n);
		if (n % 2) {
			machine_close(src);
			machine_open(src, bdfs[0], variant->iommu_mode);
		}
		ASSERT_EQ(product, read_reg(src, EDU_FACTORIAL));
		migrate(src, dst);
		ASSERT_EQ(product, read_reg(dst, EDU_FACTORIAL));
		ASSERT_EQ(0, read_reg(dst, EDU_STATUS));
		ASSERT_EQ(0, read_reg(dst, EDU_IRQ_STATUS));
		set_state(src, VFIO_DEVICE_STATE_RUNNING);
	}
	ASSERT_EQ(0, product);
	ASSERT_EQ(0, interrupts(dst));
}

/* A computation continues on the destination, and its interrupt comes only there */
TEST_F(vfio_pci_migration_edu_test, computation_continues_on_the_destination)
{
	struct machine *src = &self->src, *dst = &self->dst;

	write_reg(src, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	write_reg(src, EDU_FACTORIAL, LONG_N);
	migrate(src, dst);
	ASSERT_EQ(EDU_COMPUTING | EDU_IRQ_WHEN_DONE, read_reg(dst, EDU_STATUS));
	ASSERT_EQ(LONG_N, read_reg(dst, EDU_FACTORIAL));
	ASSERT_EQ(0, read_reg(dst, EDU_IRQ_STATUS));
	/* A device that computes ignores this write */
	write_reg(dst, EDU_FACTORIAL, 3);

	wait_while(dst, EDU_STATUS, EDU_COMPUTING);
	ASSERT_EQ(1, interrupts(dst));
	ASSERT_EQ(0, read_reg(dst, EDU_FACTORIAL));
	ASSERT_EQ(EDU_IRQ_WHEN_DONE, read_reg(dst, EDU_STATUS));
	ASSERT_EQ(EDU_IRQ_FACTORIAL, read_reg(dst, EDU_IRQ_STATUS));

	wait_while(src, EDU_STATUS, EDU_COMPUTING);
	ASSERT_EQ(0, interrupts(src));
	ASSERT_EQ(0, read_reg(src, EDU_IRQ_STATUS));
}

/* A computation with its interrupt disabled raises none on the destination */
TEST_F(vfio_pci_migration_edu_test, disabled_interrupt_is_not_raised)
{
	struct machine *src = &self->src, *dst = &self->dst;

	write_reg(src, EDU_FACTORIAL, LONG_N);
	migrate(src, dst);
	ASSERT_EQ(EDU_COMPUTING, read_reg(dst, EDU_STATUS));
	wait_while(dst, EDU_STATUS, EDU_COMPUTING);
	ASSERT_EQ(0, interrupts(dst));
	ASSERT_EQ(0, read_reg(dst, EDU_FACTORIAL));
	ASSERT_EQ(0, read_reg(dst, EDU_STATUS));
	ASSERT_EQ(0, read_reg(dst, EDU_IRQ_STATUS));
}

/* Cancel a migration during and after a computation */
TEST_F(vfio_pci_migration_edu_test, cancelled_migration_keeps_the_source_intact)
{
	struct machine *src = &self->src;
	struct stream stream;

	fill(src, 0, 0, EDU_BUFFER_SIZE);
	write_reg(src, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	write_reg(src, EDU_FACTORIAL, LONG_N);

	/* Cancelled before the computation ends */
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(EDU_COMPUTING | EDU_IRQ_WHEN_DONE, read_reg(src, EDU_STATUS));
	ASSERT_EQ(0, interrupts(src));

	/* The computation ends during the migration, but the interrupt comes afterwards */
	ASSERT_EQ(0, save(src, &stream));
	wait_while(src, EDU_STATUS, EDU_COMPUTING);
	ASSERT_EQ(0, interrupts(src));
	ASSERT_EQ(0, read_reg(src, EDU_IRQ_STATUS));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(1, interrupts(src));
	ASSERT_EQ(EDU_IRQ_FACTORIAL, read_reg(src, EDU_IRQ_STATUS));
	ASSERT_EQ(EDU_IRQ_WHEN_DONE, read_reg(src, EDU_STATUS));

	/* The computation ended before the migration */
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(0, interrupts(src));
	ASSERT_EQ(EDU_IRQ_FACTORIAL, read_reg(src, EDU_IRQ_STATUS));
	ASSERT_EQ(EDU_IRQ_WHEN_DONE, read_reg(src, EDU_STATUS));
	compute(src, 6);
	ASSERT_EQ(1, interrupts(src));
	ASSERT_EQ(720, read_reg(src, EDU_FACTORIAL));

	/* The driver does not enable an interrupt that the guest has disabled */
	write_reg(src, EDU_STATUS, 0);
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(0, read_reg(src, EDU_STATUS));
	compute(src, 5);
	ASSERT_EQ(0, interrupts(src));

	dump(src, SZ_8K);
	ASSERT_EQ(0, memcmp(src->mem, src->mem + SZ_8K, EDU_BUFFER_SIZE));
}

/* A halted device refuses register writes */
TEST_F(vfio_pci_migration_edu_test, halted_device_refuses_writes)
{
	static const u32 states[] = {
		VFIO_DEVICE_STATE_RUNNING_P2P,
		VFIO_DEVICE_STATE_STOP,
		VFIO_DEVICE_STATE_STOP_COPY,
		VFIO_DEVICE_STATE_RESUMING,
	};
	static const u32 regs[] = {
		EDU_LIVENESS, EDU_FACTORIAL, EDU_STATUS, EDU_IRQ_RAISE,
		EDU_IRQ_ACKNOWLEDGE, EDU_DMA_SOURCE, EDU_DMA_DESTINATION,
		EDU_DMA_COUNT, EDU_DMA_COMMAND,
	};
	struct machine *src = &self->src;
	struct registers before, after;
	struct stream stream;
	int i, j;

	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	read_registers(src, &before);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		/* A device cannot leave RESUMING without a state */
		ASSERT_EQ(0, states[i] == VFIO_DEVICE_STATE_RESUMING ?
			  load(src, &stream) : put_state(src, states[i], NULL));
		for (j = 0; j < ARRAY_SIZE(regs); j++)
			ASSERT_EQ(-EBUSY, put_reg(src, regs[j], 0xffff));
		read_registers(src, &after);
		ASSERT_SAME_REGISTERS(&before, &after);
		set_state(src, VFIO_DEVICE_STATE_RUNNING);
		ASSERT_EQ(0, put_reg(src, EDU_LIVENESS, ~before.liveness));
	}
	ASSERT_EQ(0, interrupts(src));
}

/* A buffer with overlapping transfers from several addresses */
TEST_F(vfio_pci_migration_edu_test, buffer_is_restored)
{
	struct machine *src = &self->src, *dst = &self->dst;
	u8 expected[EDU_BUFFER_SIZE];
	struct registers before, after;
	struct edu_state *state;
	struct stream stream;
	int i;

	fill(src, 0, 0, EDU_BUFFER_SIZE);
	fill(src, SZ_8K, 1000, 2000);
	fill(src, SZ_16K + 3, 1500, 7);
	fill(src, SZ_32K, EDU_BUFFER_SIZE - 1, 1);
	memcpy(expected, src->mem, EDU_BUFFER_SIZE);
	memcpy(expected + 1000, src->mem + SZ_8K, 2000);
	memcpy(expected + 1500, src->mem + SZ_16K + 3, 7);
	expected[EDU_BUFFER_SIZE - 1] = src->mem[SZ_32K];
	dump(src, SZ_4K);
	ASSERT_EQ(0, memcmp(expected, src->mem + SZ_4K, EDU_BUFFER_SIZE));
	/* A source address that no transfer uses */
	write_reg(src, EDU_DMA_SOURCE, 77);
	read_registers(src, &before);

	ASSERT_EQ(0, save(src, &stream));
	state = (void *)stream.bytes + HEADER_SIZE + RECORD_SIZE;
	ASSERT_EQ(6, state->nr_pieces);
	ASSERT_EQ(MEM_IOVA + SZ_8K + 507, state->pieces[3].iova);
	ASSERT_EQ(1507, state->pieces[3].offset);
	ASSERT_EQ(1493, state->pieces[3].length);
	set_state(src, VFIO_DEVICE_STATE_STOP);

	migrate(src, dst);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_EQ(0, interrupts(dst));
	dump(dst, SZ_4K);
	ASSERT_EQ(0, memcmp(expected, dst->mem + SZ_4K, EDU_BUFFER_SIZE));

	/* Migrate back: the origins of the buffer are part of the state */
	fill(dst, SZ_32K, 0, 16);
	memcpy(expected, dst->mem + SZ_32K, 16);
	migrate(dst, src);
	dump(src, SZ_4K);
	ASSERT_EQ(0, memcmp(expected, src->mem + SZ_4K, EDU_BUFFER_SIZE));

	/* A device can pass the state on before it has run */
	ASSERT_EQ(0, save(src, &stream));
	ASSERT_EQ(0, load(dst, &stream));
	ASSERT_EQ(0, save(dst, &stream));
	ASSERT_EQ(0, load(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	dump(src, SZ_8K);
	for (i = 0; i < EDU_BUFFER_SIZE; i++)
		ASSERT_EQ(expected[i], src->mem[SZ_8K + i]);
}

/* The driver does not save a buffer with unknown contents */
TEST_F(vfio_pci_migration_edu_test, unknown_buffer_is_not_saved)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct stream stream;

	/* The guest has not read the rest of the buffer */
	fill(src, 0, 0, 100);
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);

	/* The guest has read one byte of it */
	transfer(src, EDU_BUFFER + 99, MEM_IOVA, 2, EDU_DMA_FROM_DEVICE);
	ASSERT_EQ(-EOPNOTSUPP, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	fill(src, 200, 100, 1);
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);

	/* A transfer without bus mastering has an unknown result */
	vfio_pci_cmd_clear(src->device, PCI_COMMAND_MASTER);
	fill(src, 0, 10, 1);
	vfio_pci_cmd_set(src->device, PCI_COMMAND_MASTER);
	ASSERT_EQ(-EOPNOTSUPP, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	fill(src, 0, 10, 1);
	ASSERT_EQ(0, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);

	/* Without bus mastering, the destination cannot repeat the transfers */
	vfio_pci_cmd_clear(src->device, PCI_COMMAND_MASTER);
	ASSERT_EQ(-EOPNOTSUPP, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	vfio_pci_cmd_set(src->device, PCI_COMMAND_MASTER);

	/* The destination reports this when it runs, and needs a reset */
	vfio_pci_cmd_clear(dst->device, PCI_COMMAND_MASTER);
	ASSERT_EQ(0, save(src, &stream));
	memcpy(dst->mem, src->mem, MEM_SIZE);
	ASSERT_EQ(0, load(dst, &stream));
	ASSERT_EQ(-EIO, put_state(dst, VFIO_DEVICE_STATE_RUNNING, NULL));
	ASSERT_EQ(VFIO_DEVICE_STATE_ERROR, get_state(dst));
	ASSERT_EQ(-EBUSY, put_reg(dst, EDU_LIVENESS, 0));
	vfio_pci_device_reset(dst->device);
	vfio_pci_cmd_set(dst->device, PCI_COMMAND_MASTER);
	ASSERT_EQ(0, load(dst, &stream));
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	dump(dst, SZ_4K);
	ASSERT_EQ(0, memcmp(src->mem + 200, dst->mem + SZ_4K + 100, 1));
}

TEST_F(vfio_pci_migration_edu_test, too_many_pieces_are_not_saved)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct stream stream;
	int i;

	fill(src, 0, 0, EDU_BUFFER_SIZE);
	for (i = 0; i < EDU_MAX_PIECES / 2; i++)
		fill(src, SZ_8K + i * 64, i * 64 + 16, 16);
	ASSERT_EQ(-EOPNOTSUPP, save(src, &stream));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);

	/* The last piece extends to the end of the buffer */
	fill(src, SZ_8K, 7 * 64 + 16, EDU_BUFFER_SIZE - 7 * 64 - 16);
	migrate(src, dst);
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	dump(src, SZ_16K);
	ASSERT_EQ(0, memcmp(src->mem + SZ_8K, src->mem + SZ_16K + 7 * 64 + 16, 8));
	dump(dst, SZ_16K);
	ASSERT_EQ(0, memcmp(src->mem + SZ_16K, dst->mem + SZ_16K,
			    EDU_BUFFER_SIZE));
}

/* Halting the device waits for its transfer */
TEST_F(vfio_pci_migration_edu_test, halt_waits_for_a_transfer)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, after;

	fill(src, 0, 0, EDU_BUFFER_SIZE);
	memset(src->mem + SZ_8K, 0, EDU_BUFFER_SIZE);
	start_transfer(src, EDU_BUFFER, MEM_IOVA + SZ_8K, EDU_BUFFER_SIZE,
		       EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ);
	ASSERT_EQ(EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ | EDU_DMA_START,
		  read_reg(src, EDU_DMA_COMMAND));
	set_state(src, VFIO_DEVICE_STATE_STOP);
	ASSERT_EQ(0, memcmp(src->mem, src->mem + SZ_8K, EDU_BUFFER_SIZE));
	read_registers(src, &before);
	ASSERT_EQ(EDU_DMA_FROM_DEVICE | EDU_DMA_IRQ, before.command);
	ASSERT_EQ(EDU_IRQ_DMA, before.irq_status);
	ASSERT_EQ(1, interrupts(src));
	migrate(src, dst);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_LE(1, interrupts(dst));

	/* The device ignores the second start */
	start_transfer(dst, MEM_IOVA + SZ_16K, EDU_BUFFER, EDU_BUFFER_SIZE, 0);
	start_transfer(dst, MEM_IOVA, EDU_BUFFER, 16, EDU_DMA_FROM_DEVICE);
	migrate(dst, src);
	read_registers(src, &after);
	ASSERT_EQ(0, after.command);
	ASSERT_EQ(MEM_IOVA + SZ_16K, after.source);
	ASSERT_EQ(EDU_BUFFER_SIZE, after.count);
	dump(src, SZ_8K);
	ASSERT_EQ(0, memcmp(src->mem + SZ_16K, src->mem + SZ_8K,
			    EDU_BUFFER_SIZE));
}

/* Migration works while the guest has disabled memory decode */
TEST_F(vfio_pci_migration_edu_test, migration_works_without_memory_decode)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, after;
	struct stream stream;
	u32 value;

	read_registers(src, &before);
	write_reg(dst, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	vfio_pci_cmd_clear(src->device, PCI_COMMAND_MEMORY);
	vfio_pci_cmd_clear(dst->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(0, save(src, &stream));
	ASSERT_EQ(0, load(dst, &stream));
	/* A device can pass the state on before it has run */
	ASSERT_EQ(0, save(dst, &stream));
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);

	/* Memory decode is still off */
	ASSERT_EQ(0, vfio_pci_config_readw(src->device, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	ASSERT_EQ(0, vfio_pci_config_readw(dst->device, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	ASSERT_EQ(-1, pread(dst->device->fd, &value, 4, EDU_STATUS));
	ASSERT_EQ(EIO, errno);

	vfio_pci_cmd_set(src->device, PCI_COMMAND_MEMORY);
	vfio_pci_cmd_set(dst->device, PCI_COMMAND_MEMORY);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_EQ(0, interrupts(dst));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);
	read_registers(src, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
}

/* A loaded state replaces all pending work of the destination */
TEST_F(vfio_pci_migration_edu_test, loaded_state_replaces_pending_work)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, after;

	compute(src, 10);
	read_registers(src, &before);
	write_reg(dst, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	write_reg(dst, EDU_IRQ_RAISE, 0x400);
	ASSERT_EQ(1, interrupts(dst));
	write_reg(dst, EDU_FACTORIAL, LONG_N);
	start_transfer(dst, MEM_IOVA, EDU_BUFFER, 16, EDU_DMA_IRQ);
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	ASSERT_EQ(1, interrupts(dst));
	ASSERT_TRUE(read_reg(dst, EDU_STATUS) & EDU_COMPUTING);

	migrate(src, dst);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_EQ(0, interrupts(dst));

	/* The earlier work does not return */
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(0, read_reg(dst, EDU_STATUS));
}

/* A transfer of the previous user of the device */
TEST_F(vfio_pci_migration_edu_test, open_waits_for_an_old_transfer)
{
	struct machine *src = &self->src;

	start_transfer(src, MEM_IOVA, EDU_BUFFER, 16, 0);
	machine_close(src);
	machine_open(src, bdfs[0], variant->iommu_mode);
	ASSERT_EQ(0, read_reg(src, EDU_DMA_COMMAND));
}

/* Return the logged pages of the memory as a bitmap */
static u64 dirty(struct machine *machine)
{
	u64 bitmap = 0;
	struct vfio_device_feature_dma_logging_report report = {
		.iova = MEM_IOVA,
		.length = MEM_SIZE,
		.page_size = SZ_4K,
		.bitmap = (uintptr_t)&bitmap,
	};

	VFIO_ASSERT_EQ(feature(machine, VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
			       sizeof(report)), 0);

	return bitmap;
}

static void start_logging(struct machine *machine)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = MEM_IOVA,
		.length = MEM_SIZE,
	};
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = SZ_4K,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};

	VFIO_ASSERT_EQ(feature(machine, VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
			       sizeof(control)), 0);
}

static void stop_logging(struct machine *machine)
{
	VFIO_ASSERT_EQ(feature(machine, VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0),
		       0);
}

TEST_F(vfio_pci_migration_edu_test, written_pages_are_logged)
{
	struct machine *src = &self->src;

	/* Writes before the start of logging do not count */
	fill(src, 0, 0, EDU_BUFFER_SIZE);
	dump(src, 0);
	start_logging(src);
	ASSERT_EQ(0, dirty(src));

	/* Reads of memory are not logged */
	fill(src, 0, 0, EDU_BUFFER_SIZE);
	ASSERT_EQ(0, dirty(src));
	dump(src, 3 * SZ_4K + 1);
	ASSERT_EQ(BIT(3) | BIT(4), dirty(src));
	ASSERT_EQ(0, dirty(src));
	dump(src, 5 * SZ_4K);
	dump(src, 15 * SZ_4K);
	ASSERT_EQ(BIT(5) | BIT(15), dirty(src));
	ASSERT_EQ(0, dirty(src));

	/* If a report precedes the end of a write, the next report has the page again */
	start_transfer(src, EDU_BUFFER, MEM_IOVA + 7 * SZ_4K, 16,
		       EDU_DMA_FROM_DEVICE);
	dirty(src);
	ASSERT_TRUE(read_reg(src, EDU_DMA_COMMAND) & EDU_DMA_START);
	wait_while(src, EDU_DMA_COMMAND, EDU_DMA_START);
	ASSERT_EQ(BIT(7), dirty(src));
	ASSERT_EQ(0, dirty(src));

	/* A transfer that starts before logging */
	stop_logging(src);
	start_transfer(src, EDU_BUFFER, MEM_IOVA + 8 * SZ_4K, 16,
		       EDU_DMA_FROM_DEVICE);
	start_logging(src);
	ASSERT_TRUE(read_reg(src, EDU_DMA_COMMAND) & EDU_DMA_START);
	wait_while(src, EDU_DMA_COMMAND, EDU_DMA_START);
	ASSERT_EQ(BIT(8), dirty(src));

	/* A transfer that ends while the device is halted */
	start_transfer(src, EDU_BUFFER, MEM_IOVA + 9 * SZ_4K, 16,
		       EDU_DMA_FROM_DEVICE);
	dirty(src);
	set_state(src, VFIO_DEVICE_STATE_STOP);
	ASSERT_EQ(BIT(9), dirty(src));
	ASSERT_EQ(0, dirty(src));
	set_state(src, VFIO_DEVICE_STATE_RUNNING);

	/* The device ignores all but 28 bits of an address */
	memset(src->mem + 10 * SZ_4K, 0, 16);
	transfer(src, EDU_BUFFER, (1ULL << 40) + MEM_IOVA + 10 * SZ_4K, 16,
		 EDU_DMA_FROM_DEVICE);
	ASSERT_EQ(0, memcmp(src->mem, src->mem + 10 * SZ_4K, 16));
	ASSERT_EQ(BIT(10), dirty(src));
	stop_logging(src);
}

static u32 crc32c(u32 crc, const u8 *bytes, size_t size)
{
	int bit;

	while (size--) {
		crc ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}

	return crc;
}

static void put32(u8 *bytes, u32 value)
{
	memcpy(bytes, &value, sizeof(value));
}

static u8 *add_record(struct stream *stream, u32 type, const void *payload,
		      u32 size, u32 crc)
{
	u8 *record = stream->bytes + stream->size;

	put32(record, type);
	put32(record + 4, size);
	put32(record + 8, 0);
	memcpy(record + RECORD_SIZE, payload, size);
	crc = crc32c(crc, record, RECORD_CRC_OFFSET);
	put32(record + RECORD_CRC_OFFSET,
	      crc32c(crc, record + RECORD_SIZE, size));
	stream->size += RECORD_SIZE + size;

	return record + RECORD_CRC_OFFSET;
}

/* Forge a stream: the header of @from, then @nr copies of a state */
static void make_stream(struct stream *stream, const struct stream *from,
			const void *state, u32 size, unsigned int nr)
{
	u64 end[2] = { 0, (u64)nr * size };
	u32 crc;

	memcpy(stream->bytes, from->bytes, HEADER_SIZE);
	stream->size = HEADER_SIZE;
	memcpy(&crc, stream->bytes + CRC_OFFSET, sizeof(crc));
	while (nr--)
		memcpy(&crc, add_record(stream, RECORD_DATA, state, size, crc),
		       sizeof(crc));
	add_record(stream, RECORD_END, end, sizeof(end), crc);
}

static const struct forgery {
	size_t offset;
	size_t size;
	u64 value;
} forgeries[] = {
	{ offsetof(struct edu_state, status), 4, 0x02 },
	{ offsetof(struct edu_state, status), 4, 0x100 },
	{ offsetof(struct edu_state, factorial), 4, 35 },
	{ offsetof(struct edu_state, factorial), 4, ~0U },
	{ offsetof(struct edu_state, dma_command), 8, EDU_DMA_START },
	{ offsetof(struct edu_state, dma_command), 8,
	  EDU_DMA_START | EDU_DMA_FROM_DEVICE },
	{ offsetof(struct edu_state, reserved), 4, 1 },
	/* A missing piece, too many pieces, and a piece that is not counted */
	{ offsetof(struct edu_state, nr_pieces), 4, 4 },
	{ offsetof(struct edu_state, nr_pieces), 4, EDU_MAX_PIECES + 1 },
	{ offsetof(struct edu_state, nr_pieces), 4, ~0U },
	{ offsetof(struct edu_state, nr_pieces), 4, 2 },
	{ offsetof(struct edu_state, nr_pieces), 4, 0 },
	/* Outside of the buffer */
	{ offsetof(struct edu_state, pieces[2].length), 4, 0 },
	{ offsetof(struct edu_state, pieces[2].length), 4, 3097 },
	{ offsetof(struct edu_state, pieces[2].length), 4, 4097 },
	{ offsetof(struct edu_state, pieces[2].length), 4, ~0U },
	{ offsetof(struct edu_state, pieces[2].offset), 4, 1001 },
	{ offsetof(struct edu_state, pieces[2].offset), 4, 4096 },
	{ offsetof(struct edu_state, pieces[2].offset), 4, ~0U },
	/* Overlapping pieces */
	{ offsetof(struct edu_state, pieces[1].offset), 4, 499 },
	{ offsetof(struct edu_state, pieces[1].length), 4, 501 },
	/* Past the end of the address space */
	{ offsetof(struct edu_state, pieces[0].iova), 8, ~0ULL },
	{ offsetof(struct edu_state, pieces[0].iova), 8, ~0ULL - 500 },
	/* Data after the last piece */
	{ offsetof(struct edu_state, pieces[EDU_MAX_PIECES - 1].length), 4, 1 },
};

/* Invalid states in valid streams */
TEST_F(vfio_pci_migration_edu_test, forged_state_is_refused)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, after;
	struct stream good, bad;
	struct edu_state state, forged;
	int i;

	fill(src, 0, 0, EDU_BUFFER_SIZE);
	fill(src, SZ_8K, 500, 500);
	ASSERT_EQ(0, save(src, &good));
	ASSERT_EQ(HEADER_SIZE + RECORD_SIZE + sizeof(state) + RECORD_SIZE + 16,
		  good.size);
	memcpy(&state, good.bytes + HEADER_SIZE + RECORD_SIZE, sizeof(state));
	ASSERT_EQ(3, state.nr_pieces);
	ASSERT_EQ(1000, state.pieces[2].offset);
	ASSERT_EQ(3096, state.pieces[2].length);

	/* A forged stream of the original state is identical to the saved one */
	make_stream(&bad, &good, &state, sizeof(state), 1);
	ASSERT_EQ(good.size, bad.size);
	ASSERT_EQ(0, memcmp(good.bytes, bad.bytes, good.size));

	read_registers(dst, &before);
	for (i = 0; i < ARRAY_SIZE(forgeries); i++) {
		forged = state;
		memcpy((void *)&forged + forgeries[i].offset,
		       &forgeries[i].value, forgeries[i].size);
		make_stream(&bad, &good, &forged, sizeof(forged), 1);
		ASSERT_EQ(-EINVAL, load(dst, &bad)) {
			TH_LOG("forgery %d", i);
		}
		ASSERT_EQ(-EINVAL, put_state(dst, VFIO_DEVICE_STATE_RUNNING, NULL));
		ASSERT_EQ(VFIO_DEVICE_STATE_ERROR, get_state(dst));
		vfio_pci_device_reset(dst->device);
		read_registers(dst, &after);
		ASSERT_SAME_REGISTERS(&before, &after);
	}

	/* Too short, too long, repeated, missing */
	make_stream(&bad, &good, &state, sizeof(state) - 1, 1);
	ASSERT_EQ(-EINVAL, load(dst, &bad));
	vfio_pci_device_reset(dst->device);
	make_stream(&bad, &good, &state, sizeof(state) + 1, 1);
	ASSERT_EQ(-EINVAL, load(dst, &bad));
	vfio_pci_device_reset(dst->device);
	make_stream(&bad, &good, &state, sizeof(state), 2);
	ASSERT_EQ(-EINVAL, load(dst, &bad));
	vfio_pci_device_reset(dst->device);
	make_stream(&bad, &good, &state, 0, 0);
	ASSERT_EQ(-EINVAL, load(dst, &bad));
	ASSERT_EQ(-EINVAL, put_state(dst, VFIO_DEVICE_STATE_STOP, NULL));
	vfio_pci_device_reset(dst->device);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);

	/* The original state is accepted */
	memcpy(dst->mem, src->mem, MEM_SIZE);
	ASSERT_EQ(0, load(dst, &good));
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	read_registers(src, &before);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
}

/* Pre-copy sends the revision of the device, and the destination compares it */
TEST_F(vfio_pci_migration_edu_test, precopy_compares_the_revision)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct registers before, after;
	struct stream stream, bad;
	u32 early[2];
	size_t size;
	int fd, i;

	ASSERT_EQ(0, put_state(src, VFIO_DEVICE_STATE_PRE_COPY, &fd));
	ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_LE(sizeof(early), info.initial_bytes);
	ASSERT_EQ(0, info.dirty_bytes);
	size = HEADER_SIZE + RECORD_SIZE + sizeof(early);
	ASSERT_EQ(size, read(fd, stream.bytes, sizeof(stream.bytes)));
	memcpy(early, stream.bytes + HEADER_SIZE + RECORD_SIZE, sizeof(early));
	ASSERT_EQ(read_reg(src, 0), early[0]);
	ASSERT_EQ(0, early[1]);
	ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(0, info.initial_bytes);
	ASSERT_EQ(-1, read(fd, stream.bytes + size, 1));
	ASSERT_EQ(ENOMSG, errno);

	/* The running device changes, and its state follows later */
	fill(src, 0, 0, EDU_BUFFER_SIZE);
	compute(src, 7);
	set_state(src, VFIO_DEVICE_STATE_STOP_COPY);
	while ((i = read(fd, stream.bytes + size, sizeof(stream.bytes) - size)) > 0)
		size += i;
	ASSERT_EQ(0, i);
	ASSERT_EQ(0, close(fd));
	stream.size = size;
	memcpy(dst->mem, src->mem, MEM_SIZE);
	ASSERT_EQ(0, load(dst, &stream));
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	read_registers(src, &before);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);

	/* Another revision, and a reserved field; the rest of the stream is missing */
	for (i = 0; i < 2; i++) {
		u32 crc;

		early[i] ^= 0x01000000;
		memcpy(bad.bytes, stream.bytes, HEADER_SIZE);
		memcpy(&crc, bad.bytes + CRC_OFFSET, sizeof(crc));
		bad.size = HEADER_SIZE;
		add_record(&bad, RECORD_PRECOPY, early, sizeof(early), crc);
		early[i] ^= 0x01000000;
		ASSERT_EQ(-EINVAL, load(dst, &bad));
		vfio_pci_device_reset(dst->device);
	}
}

/* After a reset the device runs, and the loaded state is gone */
TEST_F(vfio_pci_migration_edu_test, reset_discards_the_loaded_state)
{
	struct machine *src = &self->src, *dst = &self->dst;
	struct registers before, after;
	struct stream stream;

	read_registers(dst, &before);
	fill(src, 0, 0, EDU_BUFFER_SIZE);
	ASSERT_EQ(0, save(src, &stream));

	ASSERT_EQ(0, load(dst, &stream));
	vfio_pci_device_reset(dst->device);
	ASSERT_EQ(VFIO_DEVICE_STATE_RUNNING, get_state(dst));
	ASSERT_EQ(0, put_reg(dst, EDU_LIVENESS, ~before.liveness));

	ASSERT_EQ(0, load(dst, &stream));
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	vfio_pci_device_reset(dst->device);
	ASSERT_EQ(VFIO_DEVICE_STATE_RUNNING, get_state(dst));
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);
	ASSERT_EQ(0, put_reg(dst, EDU_LIVENESS, ~before.liveness));
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);

	/* With memory decode off, a write to the device would fail */
	ASSERT_EQ(0, load(dst, &stream));
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	vfio_pci_device_reset(dst->device);
	vfio_pci_cmd_clear(dst->device, PCI_COMMAND_MEMORY);
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	vfio_pci_cmd_set(dst->device, PCI_COMMAND_MEMORY);
	read_registers(dst, &after);
	ASSERT_SAME_REGISTERS(&before, &after);

	/* The driver does not enable the interrupt again */
	write_reg(dst, EDU_STATUS, EDU_IRQ_WHEN_DONE);
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	vfio_pci_device_reset(dst->device);
	write_reg(dst, EDU_STATUS, 0);
	set_state(dst, VFIO_DEVICE_STATE_STOP);
	set_state(dst, VFIO_DEVICE_STATE_RUNNING);
	ASSERT_EQ(0, read_reg(dst, EDU_STATUS));

	/* After the reset, the contents of the buffer are unknown */
	dump(dst, 0);
	ASSERT_EQ(-EOPNOTSUPP, save(dst, &stream));
}

static bool racing;

/* A guest that accesses the device in any state */
static void *race_registers(void *data)
{
	struct machine *machine = data;
	int ret;

	while (READ_ONCE(racing)) {
		ret = put_reg(machine, EDU_DMA_COUNT, 16);
		VFIO_ASSERT_TRUE(!ret || ret == -EBUSY || ret == -EIO);
		ret = put_reg(machine, EDU_FACTORIAL, 12);
		VFIO_ASSERT_TRUE(!ret || ret == -EBUSY || ret == -EIO);
		put_reg(machine, EDU_DMA_SOURCE, EDU_BUFFER);
		put_reg(machine, EDU_DMA_DESTINATION, MEM_IOVA);
		put_reg(machine, EDU_DMA_COMMAND, EDU_DMA_START |
			EDU_DMA_FROM_DEVICE);
	}

	return NULL;
}

static void *race_states(void *data)
{
	struct machine *machine = data;
	struct stream stream;

	while (READ_ONCE(racing)) {
		put_state(machine, VFIO_DEVICE_STATE_RUNNING_P2P, NULL);
		put_state(machine, VFIO_DEVICE_STATE_RUNNING, NULL);
		save(machine, &stream);
		put_state(machine, VFIO_DEVICE_STATE_RUNNING, NULL);
	}

	return NULL;
}

/*
 * Concurrent register accesses, state changes and resets.  Afterwards,
 * registers must be writable if userspace sees the state RUNNING, and not
 * otherwise.
 */
TEST_F(vfio_pci_migration_edu_test, races_keep_state_and_registers_consistent)
{
	struct machine *dst = &self->dst;
	time_t end = time(NULL) + 6;
	pthread_t threads[3];
	int i;

	while (time(NULL) < end) {
		racing = true;
		ASSERT_EQ(0, pthread_create(&threads[0], NULL, race_registers,
					    dst));
		ASSERT_EQ(0, pthread_create(&threads[1], NULL, race_registers,
					    dst));
		ASSERT_EQ(0, pthread_create(&threads[2], NULL, race_states,
					    dst));
		for (i = 0; i < 5; i++) {
			usleep(rand() % 100000);
			vfio_pci_device_reset(dst->device);
		}
		WRITE_ONCE(racing, false);
		usleep(rand() % 1000);
		vfio_pci_device_reset(dst->device);
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			ASSERT_EQ(0, pthread_join(threads[i], NULL));

		ASSERT_EQ(get_state(dst) == VFIO_DEVICE_STATE_RUNNING ? 0 :
			  -EBUSY, put_reg(dst, EDU_LIVENESS, 0));
		set_state(dst, VFIO_DEVICE_STATE_RUNNING);
		ASSERT_EQ(0, put_reg(dst, EDU_LIVENESS, 0));
	}
	wait_while(dst, EDU_DMA_COMMAND, EDU_DMA_START);
	put_pattern(dst->mem, MEM_SIZE, 2);
	fill(dst, 0, 0, EDU_BUFFER_SIZE);
	dump(dst, SZ_8K);
	ASSERT_EQ(0, memcmp(dst->mem, dst->mem + SZ_8K, EDU_BUFFER_SIZE));
}

int main(int argc, char *argv[])
{
	char **args;
	int nr;

	args = need_bdfs(&argc, argv, 2, "two edu devices, the second with a reset", &nr);
	bdfs[0] = args[0];
	bdfs[1] = args[1];
	need_edu(bdfs[0]);
	need_edu(bdfs[1]);
	need_loaded("vfio_pci_edu_migration", NULL, "CONFIG_SAMPLE_VFIO_PCI_EDU_MIGRATION",
		    bdfs, 2);

	return test_harness_run(argc, argv);
}
