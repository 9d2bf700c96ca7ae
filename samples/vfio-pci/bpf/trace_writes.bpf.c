// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log each write to BAR 0 of an Intel 82576 (igb)
 *
 * trace_writes prints the entries of the ring buffer.  Userspace cannot map BAR 0
 * while this program is attached, so each access is a system call.
 */

#include "vfio_pci_bpf.h"
#include "trace_writes.h"

#define BAR0_SIZE	0x20000

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} writes SEC(".maps");

SEC("struct_ops.s/open")
int BPF_PROG(trace_writes_open, struct vfio_pci_bpf_open *open)
{
	return vfio_pci_bpf_override_range(open, VFIO_PCI_BAR0_REGION_INDEX, 0,
					   BAR0_SIZE);
}

SEC("struct_ops.s/write")
int BPF_PROG(trace_writes_write, struct vfio_pci_bpf_access *access)
{
	struct write_event *event;
	int ret;

	ret = vfio_pci_bpf_write_lower(access);

	/* If the buffer is full, the entry is lost, but not the write */
	event = bpf_ringbuf_reserve(&writes, sizeof(*event), 0);
	if (!event)
		return ret;

	event->time = bpf_ktime_get_boot_ns();
	event->pos = access->pos;
	event->val = access->val;
	event->width = access->width;
	event->ret = ret;
	bpf_ringbuf_submit(event, 0);

	return ret;
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops trace_writes = {
	.name		= "trace_writes",
	.ids		= { { .vendor = 0x8086, .device = 0x10c9 } },
	/* After other drivers, so that the log has what userspace writes */
	.priority	= 1000,
	.open		= (void *)trace_writes_open,
	.write		= (void *)trace_writes_write,
};

char LICENSE[] SEC("license") = "GPL";
