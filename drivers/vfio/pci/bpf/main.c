// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI drivers in BPF
 *
 * Each registered struct vfio_pci_bpf_ops is a vendor driver, whose callbacks
 * run the programs.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "bpf.h"
#include "../vfio_pci_priv.h"

/*
 * BTF of this module, and the type of struct vfio_pci_bpf_access in it.  Modules
 * cannot look up a type by its name.
 */
static struct btf *vfio_pci_bpf_btf;
static const struct btf_type *vfio_pci_bpf_access_type;

static int vfio_pci_bpf_open(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_bpf_open open = { .dev = dev };

	/* Below the driver's own overrides */
	dev->data = &dev->vdev->regions[VFIO_PCI_CONFIG_REGION_INDEX]->region;

	return to_vfio_pci_bpf_driver(dev->driver)->ops->open(&open);
}

static void vfio_pci_bpf_close(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_bpf_ops *ops = to_vfio_pci_bpf_driver(dev->driver)->ops;

	if (ops->close)
		ops->close(dev);
}

static int vfio_pci_bpf_read(const struct vfio_pci_range *range, u64 pos,
			     unsigned int width, u64 *val)
{
	const struct vfio_pci_bpf_ops *ops = range->data;
	struct vfio_pci_bpf_access access = {
		.dev	= range->region->dev,
		.pos	= pos,
		.region	= range->region->index,
		.width	= width,
		.range	= range,
	};
	int ret = ops->read(&access);

	*val = ret ? 0 : access.val;

	return ret;
}

static int vfio_pci_bpf_write(const struct vfio_pci_range *range, u64 pos,
			      unsigned int width, u64 val)
{
	const struct vfio_pci_bpf_ops *ops = range->data;
	struct vfio_pci_bpf_access access = {
		.dev	= range->region->dev,
		.pos	= pos,
		.val	= val,
		.region	= range->region->index,
		.width	= width,
		.range	= range,
	};

	return ops->write(&access);
}

static const struct vfio_pci_range_ops vfio_pci_bpf_read_ops = {
	.read	= vfio_pci_bpf_read,
};

static const struct vfio_pci_range_ops vfio_pci_bpf_write_ops = {
	.write	= vfio_pci_bpf_write,
};

static const struct vfio_pci_range_ops vfio_pci_bpf_rw_ops = {
	.read	= vfio_pci_bpf_read,
	.write	= vfio_pci_bpf_write,
};

/**
 * vfio_pci_bpf_range_ops() - get the handlers for the ranges of a driver
 * @ops: the programs
 *
 * Return: the handlers, or NULL if there is neither a read nor a write program.
 */
const struct vfio_pci_range_ops *
vfio_pci_bpf_range_ops(const struct vfio_pci_bpf_ops *ops)
{
	if (ops->read)
		return ops->write ? &vfio_pci_bpf_rw_ops :
				    &vfio_pci_bpf_read_ops;

	return ops->write ? &vfio_pci_bpf_write_ops : NULL;
}

static void vfio_pci_bpf_release(const struct vfio_pci_vendor_driver *driver)
{
	const struct vfio_pci_bpf_driver *d = to_vfio_pci_bpf_driver(driver);

	bpf_struct_ops_put(d->ops);
	kfree(d);
}

static u32 vfio_pci_bpf_any(u16 id)
{
	return id ?: PCI_ANY_ID;
}

static int vfio_pci_bpf_reg(void *kdata, struct bpf_link *link)
{
	struct vfio_pci_bpf_ops *ops = kdata;
	struct vfio_pci_bpf_driver *d;
	unsigned int i;
	int ret;

	/* The programs change devices of other users */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	d = kzalloc_obj(*d, GFP_KERNEL_ACCOUNT);
	if (!d)
		return -ENOMEM;

	for (i = 0; i < VFIO_PCI_BPF_MAX_IDS; i++) {
		const struct vfio_pci_bpf_id *id = &ops->ids[i];

		if (mem_is_zero(id, sizeof(*id)))
			break;
		d->ids[i] = (struct pci_device_id) {
			.vendor		= vfio_pci_bpf_any(id->vendor),
			.device		= vfio_pci_bpf_any(id->device),
			.subvendor	= vfio_pci_bpf_any(id->subvendor),
			.subdevice	= vfio_pci_bpf_any(id->subdevice),
			.class		= id->class,
			.class_mask	= id->class_mask,
		};
	}

	d->ops = ops;
	d->driver = (struct vfio_pci_vendor_driver) {
		.name		= ops->name,
		.id_table	= d->ids,
		.priority	= ops->priority,
		.open		= vfio_pci_bpf_open,
		.close		= vfio_pci_bpf_close,
	};

	/* Open devices may use the programs after they are unregistered */
	if (!bpf_struct_ops_get(ops)) {
		kfree(d);
		return -EINVAL;
	}

	ret = vfio_pci_register_bpf_driver(&d->driver, THIS_MODULE,
					   vfio_pci_bpf_release);
	if (ret)
		vfio_pci_bpf_release(&d->driver);
	else
		ops->driver = &d->driver;

	return ret;
}

static void vfio_pci_bpf_unreg(void *kdata, struct bpf_link *link)
{
	struct vfio_pci_bpf_ops *ops = kdata;

	vfio_pci_unregister_bpf_driver(ops->driver);
}

static int vfio_pci_bpf_init(struct btf *btf)
{
	vfio_pci_bpf_btf = btf;

	return 0;
}

static int vfio_pci_bpf_check_name(const char *name)
{
	size_t len = strnlen(name, VFIO_PCI_BPF_NAME_LEN);

	if (!len || len == VFIO_PCI_BPF_NAME_LEN)
		return -EINVAL;

	for (; *name; name++)
		if (!isascii(*name) ||
		    (!isalnum(*name) && !strchr("_-.", *name)))
			return -EINVAL;

	return 0;
}

static int vfio_pci_bpf_check_ids(const struct vfio_pci_bpf_id *ids)
{
	unsigned int i;

	/* Such an id matches no device.  Without a mask, it matches all. */
	for (i = 0; i < VFIO_PCI_BPF_MAX_IDS; i++)
		if (ids[i].class & ~ids[i].class_mask)
			return -EINVAL;

	return 0;
}

/* Return 1 if BPF's core must not interpret the member */
static int vfio_pci_bpf_init_member(const struct btf_type *t,
				    const struct btf_member *member,
				    void *kdata, const void *udata)
{
	const struct vfio_pci_bpf_ops *from = udata;
	struct vfio_pci_bpf_ops *to = kdata;
	int ret;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct vfio_pci_bpf_ops, name):
		ret = vfio_pci_bpf_check_name(from->name);
		if (ret)
			return ret;
		strscpy(to->name, from->name);
		return 1;
	case offsetof(struct vfio_pci_bpf_ops, ids):
		memcpy(to->ids, from->ids, sizeof(to->ids));
		ret = vfio_pci_bpf_check_ids(to->ids);
		return ret ?: 1;
	case offsetof(struct vfio_pci_bpf_ops, priority):
		to->priority = from->priority;
		return 1;
	}

	return 0;
}

static int vfio_pci_bpf_validate(void *kdata)
{
	struct vfio_pci_bpf_ops *ops = kdata;

	return ops->open ? 0 : -EINVAL;
}

/* Find the type of the argument of a read or write program */
static int vfio_pci_bpf_check_member(const struct btf_type *t,
				     const struct btf_member *member,
				     const struct bpf_prog *prog)
{
	const struct btf_type *arg;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct vfio_pci_bpf_ops, read):
	case offsetof(struct vfio_pci_bpf_ops, write):
		/* A pointer to a function, whose argument is a pointer */
		arg = btf_type_by_id(vfio_pci_bpf_btf, member->type);
		arg = btf_type_by_id(vfio_pci_bpf_btf, arg->type);
		arg = btf_type_by_id(vfio_pci_bpf_btf, btf_params(arg)->type);
		arg = btf_type_by_id(vfio_pci_bpf_btf, arg->type);
		WRITE_ONCE(vfio_pci_bpf_access_type, arg);
	}

	return 0;
}

/* Tell the verifier that the pointers in a valid argument are valid, too */
struct vfio_pci_bpf_open__safe_trusted {
	struct vfio_pci_vendor_device *dev;
};

struct vfio_pci_bpf_access__safe_trusted {
	struct vfio_pci_vendor_device *dev;
};

/* Allow a program to write access->val, and nothing else */
static int vfio_pci_bpf_struct_access(struct bpf_verifier_log *log,
				      const struct bpf_reg_state *reg, int off,
				      int size)
{
	BTF_TYPE_EMIT(struct vfio_pci_bpf_open__safe_trusted);
	BTF_TYPE_EMIT(struct vfio_pci_bpf_access__safe_trusted);

	if (btf_type_by_id(reg->btf, reg->btf_id) !=
	    READ_ONCE(vfio_pci_bpf_access_type))
		return -EACCES;
	if (off < (int)offsetof(struct vfio_pci_bpf_access, val) ||
	    off + size > (int)offsetofend(struct vfio_pci_bpf_access, val))
		return -EACCES;

	return 0;
}

static const struct bpf_verifier_ops vfio_pci_bpf_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
	.btf_struct_access	= vfio_pci_bpf_struct_access,
};

static int vfio_pci_bpf_stub_open(struct vfio_pci_bpf_open *open)
{
	return 0;
}

static void vfio_pci_bpf_stub_close(struct vfio_pci_vendor_device *dev)
{
}

static int vfio_pci_bpf_stub_access(struct vfio_pci_bpf_access *access)
{
	return 0;
}

static struct vfio_pci_bpf_ops vfio_pci_bpf_stubs = {
	.open	= vfio_pci_bpf_stub_open,
	.close	= vfio_pci_bpf_stub_close,
	.read	= vfio_pci_bpf_stub_access,
	.write	= vfio_pci_bpf_stub_access,
};

static struct bpf_struct_ops vfio_pci_bpf_struct_ops = {
	.verifier_ops	= &vfio_pci_bpf_verifier_ops,
	.init		= vfio_pci_bpf_init,
	.check_member	= vfio_pci_bpf_check_member,
	.init_member	= vfio_pci_bpf_init_member,
	.validate	= vfio_pci_bpf_validate,
	.reg		= vfio_pci_bpf_reg,
	.unreg		= vfio_pci_bpf_unreg,
	.name		= "vfio_pci_bpf_ops",
	.cfi_stubs	= &vfio_pci_bpf_stubs,
	.owner		= THIS_MODULE,
};

static int __init vfio_pci_bpf_module_init(void)
{
	int ret = vfio_pci_bpf_kfunc_init();

	return ret ?: register_bpf_struct_ops(&vfio_pci_bpf_struct_ops,
					      vfio_pci_bpf_ops);
}

/* Each struct_ops pins the module, so that nothing is left to undo */
static void __exit vfio_pci_bpf_module_exit(void)
{
}

module_init(vfio_pci_bpf_module_init);
module_exit(vfio_pci_bpf_module_exit);

MODULE_DESCRIPTION("vfio-pci drivers in BPF");
MODULE_LICENSE("GPL");
