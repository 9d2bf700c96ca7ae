// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_admin: give each virtio VF the admin commands of legacy I/O
 *
 * QEMU's virtio-net has VFs, but its PF has no admin commands for the legacy
 * I/O of a VF.  This module replaces the functions of virtio_pci that send the
 * commands.  The legacy registers of all VFs are memory.
 */

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_pci_admin.h>

/* The notification registers in QEMU's VF */
#define NOTIFY_BAR	4
#define NOTIFY_OFFSET	0x3000

static u8 common[VIRTIO_PCI_CONFIG_OFF(true)];
/* A MAC address and the status, as in the BAR of virtio-vfio-pci */
static u8 device[8];

static bool has_legacy_io(struct pci_dev *pdev)
{
	return pdev->is_virtfn;
}

static int rw(u8 *regs, size_t room, u8 offset, u8 size, u8 *buf, bool iswrite)
{
	if (offset + size > room)
		return -EINVAL;

	memcpy(iswrite ? regs + offset : buf, iswrite ? buf : regs + offset,
	       size);

	return 0;
}

static int common_read(struct pci_dev *pdev, u8 offset, u8 size, u8 *buf)
{
	return rw(common, sizeof(common), offset, size, buf, false);
}

static int common_write(struct pci_dev *pdev, u8 offset, u8 size, u8 *buf)
{
	return rw(common, sizeof(common), offset, size, buf, true);
}

static int device_read(struct pci_dev *pdev, u8 offset, u8 size, u8 *buf)
{
	return rw(device, sizeof(device), offset, size, buf, false);
}

static int device_write(struct pci_dev *pdev, u8 offset, u8 size, u8 *buf)
{
	return rw(device, sizeof(device), offset, size, buf, true);
}

static int notify_info(struct pci_dev *pdev, u8 req_bar_flags, u8 *bar,
		       u64 *bar_offset)
{
	*bar = NOTIFY_BAR;
	*bar_offset = NOTIFY_OFFSET;

	return 0;
}

static struct {
	struct kprobe	probe;
	void		*function;
} replaced[] = {
	{ { .symbol_name = "virtio_pci_admin_has_legacy_io" }, has_legacy_io },
	{ { .symbol_name = "virtio_pci_admin_legacy_common_io_read" }, common_read },
	{ { .symbol_name = "virtio_pci_admin_legacy_common_io_write" }, common_write },
	{ { .symbol_name = "virtio_pci_admin_legacy_device_io_read" }, device_read },
	{ { .symbol_name = "virtio_pci_admin_legacy_device_io_write" }, device_write },
	{ { .symbol_name = "virtio_pci_admin_legacy_io_notify_info" }, notify_info },
};

/* Continue in the new function */
static int replace(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(replaced); i++)
		if (probe == &replaced[i].probe)
			instruction_pointer_set(regs, (unsigned long)replaced[i].function);

	return 1;
}

/* With a post handler, the kernel does not optimize the probe to a jump */
static void replace_post(struct kprobe *probe, struct pt_regs *regs,
			 unsigned long flags)
{
}

static int __init virtio_admin_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < sizeof(common); i++)
		common[i] = 0x40 + i;
	for (i = 0; i < sizeof(device); i++)
		device[i] = 0x80 + i;

	for (i = 0; i < ARRAY_SIZE(replaced); i++) {
		replaced[i].probe.pre_handler = replace;
		replaced[i].probe.post_handler = replace_post;
		ret = register_kprobe(&replaced[i].probe);
		if (ret)
			goto err_unregister;
	}

	return 0;

err_unregister:
	pr_err("virtio_admin: cannot replace %s: %d\n",
	       replaced[i].probe.symbol_name, ret);
	while (i--)
		unregister_kprobe(&replaced[i].probe);

	return ret;
}
module_init(virtio_admin_init);

static void __exit virtio_admin_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(replaced); i++)
		unregister_kprobe(&replaced[i].probe);
}
module_exit(virtio_admin_exit);

MODULE_SOFTDEP("pre: virtio_pci");
MODULE_DESCRIPTION("Gives virtio VFs the admin commands of legacy I/O");
MODULE_LICENSE("GPL");
