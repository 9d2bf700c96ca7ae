// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI device memory as a BAR
 */

#include <linux/bits.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/memory-failure.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* Number of copies without progress, each after a page fault, before EFAULT */
#define VFIO_PCI_DEVMEM_FAULTS	1000

/*
 * struct vfio_pci_devmem_region - state of a region in device memory
 * @devmem: the description
 * @map: kernel mapping for read() and write(), created by the first of them
 * @ready: number of resets at the last successful wait_ready
 * @pfn_space: reports memory failures to the processes that map the region
 * @bar: value of the BAR registers in config space
 * @bar_resets: number of resets at the last write to the BAR registers
 */
struct vfio_pci_devmem_region {
	struct vfio_pci_devmem		devmem;
	/* Serializes the creation of @map */
	struct mutex			map_lock;
	void				*map;
	unsigned int			ready;
	struct pfn_address_space	pfn_space;
	/* Protects @bar and @bar_resets */
	spinlock_t			bar_lock;
	u64				bar;
	unsigned int			bar_resets;
};

/* Let the driver wait for the memory; prevent a runtime suspend meanwhile */
static int vfio_pci_devmem_wait(struct vfio_pci_core_region *region)
{
	struct vfio_pci_devmem_region *mem = region->region.data;
	struct device *dev = &region->vdev->pdev->dev;
	int ret, active;

	if (!mem->devmem.wait_ready)
		return 0;

	/* A negative value means that there is no runtime power management */
	active = pm_runtime_get_if_in_use(dev);
	if (!active)
		return -EIO;

	ret = mem->devmem.wait_ready(region->region.dev);
	if (active > 0)
		pm_runtime_put(dev);

	return vfio_pci_vendor_ret(region, ret);
}

/* Slow part of vfio_pci_devmem_lock(), for the first access after a reset */
static noinline int
vfio_pci_devmem_wait_and_lock(struct vfio_pci_core_region *region)
{
	struct vfio_pci_devmem_region *mem = region->region.data;
	struct vfio_pci_core_device *vdev = region->vdev;
	unsigned int resets;
	int ret;

	for (;;) {
		resets = READ_ONCE(vdev->resets);
		ret = vfio_pci_devmem_wait(region);
		if (ret)
			return ret;
		WRITE_ONCE(mem->ready, resets);

		down_read(&vdev->memory_lock);
		if (READ_ONCE(vdev->resets) == resets)
			return 0;
		up_read(&vdev->memory_lock);
	}
}

/*
 * Lock memory_lock for reading.  After a reset, let the driver wait until the
 * memory is ready.
 */
static inline int vfio_pci_devmem_lock(struct vfio_pci_core_region *region)
{
	struct vfio_pci_devmem_region *mem = region->region.data;
	struct vfio_pci_core_device *vdev = region->vdev;

	down_read(&vdev->memory_lock);
	if (likely(READ_ONCE(mem->ready) == READ_ONCE(vdev->resets)))
		return 0;
	up_read(&vdev->memory_lock);

	return vfio_pci_devmem_wait_and_lock(region);
}

static int vfio_pci_devmem_map(struct vfio_pci_devmem_region *mem)
{
	void *map;

	/* Pairs with smp_store_release() below */
	if (smp_load_acquire(&mem->map))
		return 0;

	guard(mutex)(&mem->map_lock);

	if (mem->map)
		return 0;

	map = memremap(mem->devmem.phys, mem->devmem.length,
		       mem->devmem.write_combine ? MEMREMAP_WC : MEMREMAP_WB);
	if (!map)
		return -ENOMEM;
	/* Pairs with smp_load_acquire() above */
	smp_store_release(&mem->map, map);

	return 0;
}

/* Return the number of bytes of an access that are device memory */
static size_t vfio_pci_devmem_present(struct vfio_pci_devmem_region *mem,
				      size_t count, loff_t pos)
{
	u64 length = mem->devmem.length;

	return pos < length ? min(count, length - pos) : 0;
}

/*
 * Fault in the next page of a user buffer.  Do not write to it: it may be a
 * mapping of the memory that the caller reads.
 */
static int vfio_pci_devmem_fault_in(char __user *buf, size_t count, bool iswrite)
{
	size_t part = min(count, PAGE_SIZE - offset_in_page(buf));
	size_t left;

	left = iswrite ? fault_in_readable(buf, part) :
			 fault_in_safe_writeable(buf, part);

	return left == part ? -EFAULT : 0;
}

/*
 * Copy between userspace and device memory.  The user buffer may be a mapping
 * of this device, whose fault handler takes memory_lock: copy without faults,
 * and fault in the buffer without the lock.
 */
static int vfio_pci_devmem_copy_user(struct vfio_pci_core_region *region,
				     char __user *buf, size_t count, loff_t pos,
				     bool iswrite)
{
	struct vfio_pci_devmem_region *mem = region->region.data;
	unsigned int faults = 0;
	size_t left;
	int ret;

	ret = vfio_pci_devmem_map(mem);
	if (ret)
		return ret;

	for (;;) {
		ret = vfio_pci_devmem_lock(region);
		if (ret)
			return ret;

		pagefault_disable();
		/* copy_from_user() would clear the memory after a fault */
		if (iswrite)
			left = __copy_from_user_inatomic(mem->map + pos, buf,
							 count);
		else
			left = __copy_to_user_inatomic(buf, mem->map + pos,
						       count);
		pagefault_enable();

		up_read(&region->vdev->memory_lock);

		if (!left)
			return 0;

		faults = left < count ? 0 : faults + 1;
		buf += count - left;
		pos += count - left;
		count = left;

		ret = vfio_pci_devmem_fault_in(buf, count, iswrite);
		if (ret || faults > VFIO_PCI_DEVMEM_FAULTS)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static ssize_t vfio_pci_devmem_read_user(struct vfio_pci_core_region *region,
					 char __user *buf, size_t count,
					 loff_t pos)
{
	static const u8 ones[64] = { [0 ... 63] = 0xff };
	size_t done, part;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;
	count = ret;

	done = vfio_pci_devmem_present(region->region.data, count, pos);
	if (done) {
		ret = vfio_pci_devmem_copy_user(region, buf, done, pos, false);
		if (ret)
			return ret;
	}

	for (; done < count; done += part) {
		part = min(count - done, sizeof(ones));
		if (copy_to_user(buf + done, ones, part))
			return -EFAULT;
	}

	return count;
}

static ssize_t vfio_pci_devmem_write_user(struct vfio_pci_core_region *region,
					  const char __user *buf, size_t count,
					  loff_t pos)
{
	size_t present;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;
	count = ret;

	present = vfio_pci_devmem_present(region->region.data, count, pos);
	if (present) {
		ret = vfio_pci_devmem_copy_user(region, (char __user *)buf,
						present, pos, true);
		if (ret)
			return ret;
	}

	return count;
}

static const struct vfio_pci_user_regops vfio_pci_devmem_user_regops = {
	.read		= vfio_pci_devmem_read_user,
	.write		= vfio_pci_devmem_write_user,
};

static int vfio_pci_devmem_copy(struct vfio_pci_region *region, void *buf,
				size_t count, loff_t pos, bool iswrite)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	struct vfio_pci_devmem_region *mem = region->data;
	int ret;

	ret = vfio_pci_devmem_map(mem) ?: vfio_pci_devmem_lock(core);
	if (ret)
		return ret;

	if (iswrite)
		memcpy(mem->map + pos, buf, count);
	else
		memcpy(buf, mem->map + pos, count);
	up_read(&core->vdev->memory_lock);

	return 0;
}

static int vfio_pci_devmem_read(struct vfio_pci_region *region, void *buf,
				size_t count, loff_t pos)
{
	size_t present = vfio_pci_devmem_present(region->data, count, pos);

	memset(buf + present, 0xff, count - present);

	return present ? vfio_pci_devmem_copy(region, buf, present, pos, false) :
			 0;
}

static int vfio_pci_devmem_write(struct vfio_pci_region *region,
				 const void *buf, size_t count, loff_t pos)
{
	size_t present = vfio_pci_devmem_present(region->data, count, pos);

	return present ? vfio_pci_devmem_copy(region, (void *)buf, present, pos,
					      true) : 0;
}

static int vfio_pci_devmem_mmap(struct vfio_pci_region *region,
				struct vm_area_struct *vma)
{
	struct vfio_pci_devmem_region *mem = region->data;

	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);

	if (mem->devmem.write_combine) {
		/* See vfio_pci_prepare_bar_vma() */
		vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED);
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	}

	return 0;
}

static vm_fault_t vfio_pci_devmem_fault(struct vfio_pci_region *region,
					struct vm_fault *vmf,
					unsigned int order)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	struct vfio_pci_devmem_region *mem = region->data;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
	unsigned long pfn;
	vm_fault_t ret;

	pfn = PHYS_PFN(mem->devmem.phys + vfio_pci_region_vma_offset(vma)) +
	      linear_page_delta(vma, addr);
	if (!is_aligned_for_order(vma, addr, pfn, order))
		return VM_FAULT_FALLBACK;

	if (vfio_pci_devmem_lock(core))
		return VM_FAULT_SIGBUS;
	ret = vfio_pci_vmf_insert_pfn(core->vdev, vmf, pfn, order);
	up_read(&core->vdev->memory_lock);

	return ret;
}

static int vfio_pci_devmem_get_dmabuf_phys(struct vfio_pci_region *region,
					   struct p2pdma_provider **provider,
					   struct phys_vec *phys_vec,
					   struct vfio_region_dma_range *dma_ranges,
					   size_t nr_ranges)
{
	struct vfio_pci_devmem_region *mem = region->data;

	/* There is no provider for device memory outside of the BARs */
	*provider = pcim_p2pdma_provider(region->dev->pdev, 0);
	if (!*provider)
		return -EINVAL;

	return vfio_pci_core_fill_phys_vec(phys_vec, dma_ranges, nr_ranges,
					   mem->devmem.phys,
					   mem->devmem.length);
}

/* Return the value of the BAR registers; a reset clears them */
static u64 vfio_pci_devmem_bar(const struct vfio_pci_range *range)
{
	struct vfio_pci_devmem_region *mem = range->data;

	lockdep_assert_held(&mem->bar_lock);

	if (mem->bar_resets != READ_ONCE(to_core_region(range->region)->vdev->resets))
		return 0;

	return mem->bar & ~(mem->devmem.size - 1);
}

static int vfio_pci_devmem_read_bar(const struct vfio_pci_range *range, u64 pos,
				    unsigned int width, u64 *val)
{
	struct vfio_pci_devmem_region *mem = range->data;
	u64 bar = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;

	scoped_guard(spinlock, &mem->bar_lock)
		bar |= vfio_pci_devmem_bar(range);
	*val = bar >> (pos - range->start) * BITS_PER_BYTE;

	return 0;
}

static int vfio_pci_devmem_write_bar(const struct vfio_pci_range *range,
				     u64 pos, unsigned int width, u64 val)
{
	struct vfio_pci_devmem_region *mem = range->data;
	unsigned int shift = (pos - range->start) * BITS_PER_BYTE;
	u64 mask = GENMASK_ULL(width * BITS_PER_BYTE - 1, 0) << shift;

	guard(spinlock)(&mem->bar_lock);

	mem->bar = (vfio_pci_devmem_bar(range) & ~mask) | val << shift;
	mem->bar_resets = READ_ONCE(to_core_region(range->region)->vdev->resets);

	return 0;
}

static const struct vfio_pci_range_ops vfio_pci_devmem_bar_ops = {
	.read	= vfio_pci_devmem_read_bar,
	.write	= vfio_pci_devmem_write_bar,
};

static void vfio_pci_devmem_free(struct vfio_pci_devmem_region *mem)
{
	if (mem->pfn_space.mapping)
		unregister_pfn_address_space(&mem->pfn_space);
	if (mem->map)
		memunmap(mem->map);
	mutex_destroy(&mem->map_lock);
	kfree(mem);
}

static void vfio_pci_devmem_release(struct vfio_pci_region *region)
{
	vfio_pci_devmem_free(region->data);
}

static const struct vfio_pci_regops vfio_pci_devmem_regops = {
	.read			= vfio_pci_devmem_read,
	.write			= vfio_pci_devmem_write,
	.mmap			= vfio_pci_devmem_mmap,
	.fault			= vfio_pci_devmem_fault,
	.get_dmabuf_phys	= vfio_pci_devmem_get_dmabuf_phys,
	.release		= vfio_pci_devmem_release,
};

/* Return the offset in the file of a page in a mapping of device memory */
static int vfio_pci_devmem_vma_pgoff(struct vm_area_struct *vma,
				     unsigned long pfn, pgoff_t *pgoff)
{
	struct vfio_pci_core_region *region = vfio_pci_vma_region(vma);
	struct vfio_pci_devmem_region *mem;
	unsigned long first;

	if (!region || region->ops.fault != vfio_pci_devmem_fault)
		return -ENOENT;

	mem = region->region.data;
	first = PHYS_PFN(mem->devmem.phys + vfio_pci_region_vma_offset(vma));
	if (pfn < first || pfn - first >= vma_pages(vma))
		return -EFAULT;

	*pgoff = vma->vm_pgoff + pfn - first;

	return 0;
}

/* Let the memory failure code find the mappings of the region */
static int vfio_pci_devmem_register(struct vfio_pci_devmem_region *mem,
				    struct address_space *mapping)
{
	struct pfn_address_space *space = &mem->pfn_space;
	int ret;

	space->node.start = PHYS_PFN(mem->devmem.phys);
	space->node.last = space->node.start + PHYS_PFN(mem->devmem.length) - 1;
	space->mapping = mapping;
	space->pfn_to_vma_pgoff = vfio_pci_devmem_vma_pgoff;

	ret = register_pfn_address_space(space);
	if (ret)
		space->mapping = NULL;

	return ret == -EOPNOTSUPP ? 0 : ret;
}

static const char *vfio_pci_devmem_check(struct vfio_pci_core_device *vdev,
					 unsigned int bar,
					 const struct vfio_pci_devmem *devmem)
{
	phys_addr_t end;

	if (bar > 4 || bar % 2)
		return "a 64-bit BAR is number 0, 2 or 4";
	if (vdev->regions[bar + 1]->region.size)
		return "the device uses the upper half of the BAR as a BAR";
	if (!is_power_of_2(devmem->size))
		return "the size is not a power of two";
	if (!devmem->length || !PAGE_ALIGNED(devmem->phys | devmem->length))
		return "memory is empty or not page-aligned";
	if (check_add_overflow(devmem->phys, devmem->length - 1, &end))
		return "memory wraps";
	if (devmem->length > devmem->size)
		return "memory exceeds the region";

	return NULL;
}

/**
 * vfio_pci_vendor_override_devmem() - replace a BAR by device memory
 * @dev: the device, in the open callback of the vendor driver
 * @bar: the BAR: 0, 2 or 4
 * @devmem: the description; the core copies it
 *
 * Use this for memory of the device that the CPU can access, but that is not in
 * a BAR.  Userspace gets a 64-bit prefetchable BAR, which it can read, write and
 * map.  If BAR 0 is memory, userspace can also export the memory as a dma-buf.
 * The core emulates the BAR's registers in config space; a reset clears them.
 *
 * Mappings use huge pages if @devmem->phys and the address of the mapping are
 * aligned.  On x86, mappings are uncached until the first read() or write() of
 * the region.  If the memory fails, the kernel finds the processes that map it.
 *
 * If the function fails, fail the open: the BAR may be overridden already.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if @bar or @devmem is invalid; -EBUSY outside the
 * open callback, or if another region has the same memory
 * (CONFIG_MEMORY_FAILURE); -ENOMEM if out of memory; or an error of
 * vfio_pci_vendor_override_region() or vfio_pci_vendor_override_range().
 */
int vfio_pci_vendor_override_devmem(struct vfio_pci_vendor_device *dev,
				    unsigned int bar,
				    const struct vfio_pci_devmem *devmem)
{
	struct vfio_region_sparse_mmap_area area = { .size = devmem->length };
	struct vfio_pci_region_desc desc = {
		.ops		= &vfio_pci_devmem_regops,
		.size		= devmem->size,
		.flags		= VFIO_PCI_REGION_RWM,
		.areas		= &area,
		.nr_areas	= 1,
	};
	struct vfio_pci_devmem_region *mem;
	struct vfio_pci_region *region;
	const char *why;
	int ret;

	ret = vfio_pci_vendor_check_open(dev);
	if (ret)
		return ret;

	why = vfio_pci_devmem_check(dev->vdev, bar, devmem);
	if (why) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s: invalid device memory for BAR %u: %s\n",
				    dev->driver->name, bar, why);
		return -EINVAL;
	}

	mem = kzalloc_obj(*mem, GFP_KERNEL_ACCOUNT);
	if (!mem)
		return -ENOMEM;

	mem->devmem = *devmem;
	mutex_init(&mem->map_lock);
	spin_lock_init(&mem->bar_lock);
	desc.data = mem;

	ret = vfio_pci_devmem_register(mem, dev->vdev->vdev.inode->i_mapping);
	if (ret) {
		vfio_pci_devmem_free(mem);
		return ret;
	}

	region = vfio_pci_vendor_override_region_user(dev, bar, &desc,
						      &vfio_pci_devmem_user_regops);
	if (IS_ERR(region)) {
		vfio_pci_devmem_free(mem);
		return PTR_ERR(region);
	}

	return vfio_pci_vendor_override_range(dev, VFIO_PCI_CONFIG_REGION_INDEX,
					      PCI_BASE_ADDRESS_0 +
					      bar * sizeof(u32), sizeof(u64),
					      &vfio_pci_devmem_bar_ops, mem);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_override_devmem);
