// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach BPF drivers of vfio-pci
 *
 * Usage: attach FILE.bpf.o...
 *
 * The programs stay attached until /sys/fs/bpf/NAME is removed, or the machine
 * reboots.  NAME is the name of the struct_ops in the file.
 */

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int attach_map(struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	struct bpf_link *link;
	char path[256];
	int ret;

	snprintf(path, sizeof(path), "/sys/fs/bpf/%s", name);
	if (!access(path, F_OK)) {
		fprintf(stderr, "attach: %s is attached; to detach it, remove %s\n",
			name, path);
		return 1;
	}

	link = bpf_map__attach_struct_ops(map);
	if (!link) {
		fprintf(stderr, "attach: %s: %s; see dmesg\n", name,
			strerror(errno));
		return 1;
	}

	ret = bpf_link__pin(link, path);
	/* Without the pin, this detaches the programs again */
	bpf_link__destroy(link);
	if (ret) {
		fprintf(stderr, "attach: %s: %s; is bpffs mounted?\n", path,
			strerror(-ret));
		return 1;
	}

	printf("%s is attached; to detach it, remove %s\n", name, path);

	return 0;
}

static int attach_file(const char *file)
{
	struct bpf_object *obj;
	struct bpf_map *map;
	int ret;

	obj = bpf_object__open_file(file, NULL);
	if (!obj) {
		fprintf(stderr, "attach: %s: %s\n", file, strerror(errno));
		return 1;
	}

	ret = bpf_object__load(obj);
	if (ret)
		fprintf(stderr, "attach: %s: %s%s\n", file, strerror(-ret),
			access("/sys/kernel/btf/vfio_pci_bpf", F_OK) ?
			"; is the module vfio-pci-bpf loaded?" : "");

	bpf_object__for_each_map(map, obj)
		if (!ret && bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			ret = attach_map(map);

	bpf_object__close(obj);

	return !!ret;
}

int main(int argc, char **argv)
{
	int i, ret = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: attach FILE.bpf.o...\n");
		return 2;
	}

	for (i = 1; i < argc; i++)
		ret |= attach_file(argv[i]);

	return ret;
}
