// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF driver of vfio_pci_bpf_test, which sets what the programs do
 */

#include "vfio_pci_bpf.h"
#include "test.h"

#define EINVAL	22

struct test_settings settings;
struct test_seen seen;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u64);
	__type(value, __u64);
} small_map SEC(".maps");

static int override_ranges(struct vfio_pci_bpf_open *open)
{
	int i, ret;

	for (i = 0; i < TEST_RANGES; i++) {
		const struct test_range *range = &settings.ranges[i];

		if (!range->size)
			continue;
		ret = vfio_pci_bpf_override_range(open, range->region,
						  range->start, range->size);
		if (ret)
			return ret;
	}

	return 0;
}

static int change_config(struct vfio_pci_bpf_open *open)
{
	__u8 cap[8] = { settings.add_cap, 0, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5 };
	__u32 contents[4] = { 0x11111111, 0x22222222, 0x33333333, 0x44444444 };
	int ret = 0;

	if (settings.hide_cap)
		ret = vfio_pci_bpf_hide_cap(open, settings.hide_cap);
	if (!ret && settings.hide_ext_cap)
		ret = vfio_pci_bpf_hide_ext_cap(open, settings.hide_ext_cap);
	if (!ret && settings.add_cap) {
		seen.cap = vfio_pci_bpf_add_cap(open, cap, sizeof(cap));
		ret = seen.cap < 0 ? seen.cap : 0;
	}
	if (!ret && settings.add_memory)
		ret = vfio_pci_bpf_add_memory(open, settings.add_memory, 1,
					      contents, sizeof(contents));

	return ret;
}

SEC("struct_ops.s/open")
int BPF_PROG(test_open, struct vfio_pci_bpf_open *open)
{
	seen.opens++;
	seen.vendor = open->dev->pdev->vendor;
	seen.device = open->dev->pdev->device;
	seen.open_ret = override_ranges(open) ?: change_config(open);

	return seen.open_ret ?: settings.open_ret;
}

SEC("struct_ops.s/close")
void BPF_PROG(test_close, struct vfio_pci_vendor_device *dev)
{
	__u64 val = 0;

	seen.closes++;
	/* The ranges are gone */
	vfio_pci_bpf_read_reg(dev, settings.reg_region, settings.reg,
			      settings.width, &val);
}

static __noinline int use_stack(struct vfio_pci_bpf_access *access)
{
	__u64 words[48] = {};
	int ret;

	/* Without this, the compiler removes the array */
	asm volatile("" : : "r"(words) : "memory");
	ret = vfio_pci_bpf_read_lower(access);
	asm volatile("" : : "r"(words) : "memory");

	return ret;
}

static int count_loop(__u64 i, void *ctx)
{
	*(__u64 *)ctx += 1;

	return 0;
}

static void see(struct vfio_pci_bpf_access *access)
{
	seen.region = access->region;
	seen.width = access->width;
	seen.pos = access->pos;
	seen.val = access->val;
}

SEC("struct_ops.s/read")
int BPF_PROG(test_read, struct vfio_pci_bpf_access *access)
{
	__u64 pos = access->pos, val = 0;
	int ret;

	see(access);
	__sync_fetch_and_add(&seen.reads, 1);
	switch (settings.mode) {
	case TEST_VALUE:
		access->val = settings.val;
		return settings.ret;
	case TEST_LOWER:
		ret = vfio_pci_bpf_read_lower(access);
		access->val ^= settings.val;
		return ret;
	case TEST_REG:
		ret = vfio_pci_bpf_read_reg(access->dev, settings.reg_region,
					    settings.reg, settings.width, &val);
		access->val = val;
		return ret;
	case TEST_CONFIG:
		ret = vfio_pci_bpf_read_config(access->dev, settings.reg,
					       settings.width, &val);
		access->val = val;
		return ret;
	case TEST_LOOP:
		ret = bpf_loop(settings.val, count_loop, &val, 0);
		access->val = val;
		return ret < 0 ? ret : 0;
	case TEST_STACK:
		return use_stack(access);
	case TEST_USER:
		/* Sleep until the page is in memory */
		ret = bpf_copy_from_user(&val, 4, (void *)settings.val);
		access->val = val;
		return ret;
	case TEST_MAP:
		return bpf_map_update_elem(&small_map, &pos, &val, BPF_ANY);
	}

	return -EINVAL;
}

SEC("struct_ops.s/write")
int BPF_PROG(test_write, struct vfio_pci_bpf_access *access)
{
	see(access);
	__sync_fetch_and_add(&seen.writes, 1);
	switch (settings.mode) {
	case TEST_VALUE:
		return settings.ret;
	case TEST_LOWER:
		access->val ^= settings.val;
		return vfio_pci_bpf_write_lower(access);
	case TEST_REG:
		return vfio_pci_bpf_write_reg(access->dev, settings.reg_region,
					      settings.reg, settings.width,
					      access->val);
	default:
		return -EINVAL;
	}
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops test_ops = {
	.name	= "test",
	.open	= (void *)test_open,
	.close	= (void *)test_close,
	.read	= (void *)test_read,
	.write	= (void *)test_write,
};

/* The same without some of the programs; the test sets the ids */
SEC(".struct_ops.link")
struct vfio_pci_bpf_ops write_only_ops = {
	.name	= "write-only",
	.open	= (void *)test_open,
	.write	= (void *)test_write,
};

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops open_only_ops = {
	.name	= "open-only",
	.open	= (void *)test_open,
};

char LICENSE[] SEC("license") = "GPL";
