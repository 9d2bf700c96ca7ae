// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, and unknown ioctls. */
#include "region_diff.h"

static const u32 argszs[] = {
	0, 4, 8, 15, 16, 19, 20, 23, 24, 28, 31, 32, 33, 39, 40, 47, 48, 56, 64, 80, 128, 4096,
	0x80000000, 0xffffffff
};

static const u32 odd_indexes[] = { 16, 255, 0xffff, 0x7fffff, 0xffffff, 0x7fffffff, 0xffffffff };

/* Print the capability chain that starts at @offset of @buf */
static void show_capabilities(const u8 *buf, u32 offset, size_t size)
{
	int ttl = 8;

	while (offset && ttl--) {
		const struct vfio_info_cap_header *cap;

		if (offset + sizeof(*cap) > size) {
			say("  cap at %u outside", offset);
			return;
		}
		cap = (const void *)(buf + offset);
		say("  cap at %u id %u version %u next %u", offset, cap->id, cap->version,
		    cap->next);
		if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			const struct vfio_region_info_cap_sparse_mmap *sparse = (const void *)cap;
			u32 i;

			for (i = 0; i < sparse->nr_areas && i < 16; i++)
				say("    area %#llx+%#llx", sparse->areas[i].offset,
				    sparse->areas[i].size);
		} else if (cap->id == VFIO_REGION_INFO_CAP_TYPE) {
			const struct vfio_region_info_cap_type *type = (const void *)cap;

			say("    type %#x subtype %#x", type->type, type->subtype);
		}
		offset = cap->next;
	}
}

static void region_info(u32 index, u32 argsz)
{
	struct {
		struct vfio_region_info info;
		u8 rest[4096 + GUARD];
	} arg;
	long ret;

	memset(&arg, POISON, sizeof(arg));
	arg.info.argsz = argsz;
	arg.info.index = index;
	ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_REGION_INFO, &arg);
	say("region %#x argsz %u = %s rest %s", index, argsz, result(ret),
	    data(arg.rest, sizeof(arg.rest)));
	say("  argsz %u flags %#x index %#x cap %u size %#llx offset %#llx", arg.info.argsz,
	    arg.info.flags, arg.info.index, arg.info.cap_offset, arg.info.size, arg.info.offset);
	if (!ret && arg.info.flags & VFIO_REGION_INFO_FLAG_CAPS)
		show_capabilities((u8 *)&arg, arg.info.cap_offset, sizeof(arg));
}

static void region_infos(bool few)
{
	u32 index, i;

	for (index = 0; index < subject.num_regions + 4; index++)
		for (i = few ? 9 : 0; i < NUM(argszs); i += few ? 6 : 1)
			region_info(index, argszs[i]);
	for (index = 0; index < NUM(odd_indexes) && !few; index++)
		for (i = 0; i < NUM(argszs); i++)
			region_info(odd_indexes[index], argszs[i]);
}

/* The argument is partly or not at all accessible */
static void region_info_faults(void)
{
	const char *name;
	u32 index, i;
	u8 *arg;
	long ret;

	for (index = 0; index < subject.num_regions + 1; index++) {
		for (i = 0; i <= 64; i += 4) {
			struct vfio_region_info info = { .argsz = 4096, .index = index };

			arg = buffer_ending_after(i, true);
			memcpy(arg, &info, i < sizeof(info) ? i : sizeof(info));
			ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_REGION_INFO, arg);
			say("region %u good=%u = %s %s", index, i, result(ret),
			    data(arg, i));
		}
	}
	for (i = 0; arg = buffer_bad(i, &name), name; i++) {
		ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_REGION_INFO, arg);
		say("region info at %s = %s", name, result(ret));
		ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_INFO, arg);
		say("info at %s = %s", name, result(ret));
		ret = do_ioctl(subject.fd, VFIO_DEVICE_IOEVENTFD, arg);
		say("ioeventfd at %s = %s", name, result(ret));
		ret = do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, arg);
		say("feature at %s = %s", name, result(ret));
	}
}

static void device_info(void)
{
	struct {
		struct vfio_device_info info;
		u8 rest[256];
	} arg;
	long ret;
	u32 i;

	for (i = 0; i < NUM(argszs); i++) {
		memset(&arg, POISON, sizeof(arg));
		arg.info.argsz = argszs[i];
		ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_INFO, &arg);
		say("info argsz %u = %s %s", argszs[i], result(ret), data(&arg, sizeof(arg)));
		say("  argsz %u flags %#x regions %u irqs %u cap %u", arg.info.argsz,
		    arg.info.flags, arg.info.num_regions, arg.info.num_irqs, arg.info.cap_offset);
		if (!ret && argszs[i] >= sizeof(arg.info) &&
		    arg.info.flags & VFIO_DEVICE_FLAGS_CAPS)
			show_capabilities((u8 *)&arg, arg.info.cap_offset, sizeof(arg));
	}
}

static void irq_info(void)
{
	u32 index, i;

	for (index = 0; index < VFIO_PCI_NUM_IRQS + 2; index++) {
		for (i = 0; i < NUM(argszs); i++) {
			struct vfio_irq_info info;
			long ret;

			memset(&info, POISON, sizeof(info));
			info.argsz = argszs[i];
			info.index = index;
			ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_IRQ_INFO, &info);
			say("irq index %u argsz %u = %s flags %#x count %u", index, argszs[i],
			    result(ret), info.flags, info.count);
		}
	}
}

static void features(void)
{
	static const u32 ops[] = {
		0, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
	};
	u32 id, i, probe;

	for (id = 0; id < 20; id++) {
		for (i = 0; i < NUM(ops); i++) {
			for (probe = 0; probe < 2; probe++) {
				struct vfio_device_feature arg = {
					.argsz = sizeof(arg),
					.flags = ops[i] | id,
				};
				long ret;

				/* The "power" stage tests low power */
				if (!probe && id >= VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY &&
				    id <= VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
					continue;
				if (probe)
					arg.flags |= VFIO_DEVICE_FEATURE_PROBE;
				ret = do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg);
				say("feature %u flags %#x = %s", id, arg.flags, result(ret));
			}
		}
	}
}

static void unknown_ioctls(void)
{
	u32 nr;

	for (nr = 0; nr < 40; nr++) {
		long ret;

		/* The "reset" stage tests VFIO_DEVICE_RESET */
		if (_IO(VFIO_TYPE, VFIO_BASE + nr) == VFIO_DEVICE_RESET)
			continue;
		ret = do_ioctl(subject.fd, _IO(VFIO_TYPE, VFIO_BASE + nr), NULL);
		say("ioctl %u without argument = %s", nr, result(ret));
	}
}

void stage_info(void)
{
	device_info();
	irq_info();
	region_infos(false);
	region_info_faults();
	features();
	unknown_ioctls();
}

void brief_info(void)
{
	region_infos(true);
}
