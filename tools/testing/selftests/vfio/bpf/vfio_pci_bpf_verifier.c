// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that the verifier refuses bad programs of vfio-pci drivers in BPF.  Needs the
 * module vfio-pci-bpf (CONFIG_VFIO_PCI_BPF), but no device.
 */
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "vendor/need.h"
#include "vendor/testdrv.h"

#include "refused.skel.h"

const char *device_bdf;

/* What libbpf says about a program */
static char libbpf_log[1 << 20];

static int libbpf_print(enum libbpf_print_level level, const char *format,
			va_list args)
{
	size_t len = strlen(libbpf_log);

	if (level == LIBBPF_DEBUG)
		return 0;

	return vsnprintf(libbpf_log + len, sizeof(libbpf_log) - len, format, args);
}

TEST(verifier_refuses_bad_programs)
{
	static const struct {
		const char *name, *why;
	} programs[] = {
		{ "override_in_read", "expected pointer to STRUCT vfio_pci_bpf_open but" },
		{ "hide_in_write", "expected pointer to STRUCT vfio_pci_bpf_open but" },
		{ "add_in_close", "expected pointer to STRUCT vfio_pci_bpf_open but" },
		{ "lower_in_open", "expected pointer to STRUCT vfio_pci_bpf_access but" },
		{ "bridge_as_device", "must be referenced or trusted" },
		{ "saved_device", "R1 is scalar" },
		{ "moved_device", "cannot access ptr member" },
		{ "read_past_the_end", "access beyond struct vfio_pci_bpf_access" },
		{ "write_past_the_end", "cannot write into ptr_" },
		{ "write_the_position", "cannot write into ptr_" },
		{ "write_to_the_device", "only read is supported" },
		{ "long_contents", "leads to invalid memory access" },
		{ "not_sleepable", "must be sleepable to call sleepable kfunc" },
	};
	struct refused_bpf *bpf;
	struct bpf_map *map;
	char name[64];
	unsigned int i;
	bool chosen;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		bpf = refused_bpf__open();
		ASSERT_NE(NULL, bpf);
		snprintf(name, sizeof(name), "ops_%s", programs[i].name);
		ASSERT_NE(NULL, bpf_object__find_map_by_name(bpf->obj, name));
		/* This also selects the program */
		bpf_object__for_each_map(map, bpf->obj) {
			chosen = !strcmp(bpf_map__name(map), name);
			if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
				ASSERT_EQ(0, bpf_map__set_autocreate(map, chosen));
		}

		libbpf_log[0] = '\0';
		EXPECT_NE(0, refused_bpf__load(bpf)) TH_LOG("%s", programs[i].name);
		EXPECT_NE(NULL, strstr(libbpf_log, programs[i].name));
		EXPECT_NE(NULL, strstr(libbpf_log, programs[i].why))
			TH_LOG("%s:\n%s", programs[i].name, libbpf_log);
		refused_bpf__destroy(bpf);
	}
}

int main(int argc, char *argv[])
{
	need_module("vfio-pci-bpf", "CONFIG_VFIO_PCI_BPF");
	if (!run_modprobe("vfio-pci-bpf"))
		ksft_exit_skip("the module vfio-pci-bpf cannot be loaded\n");
	libbpf_set_print(libbpf_print);

	return test_harness_run(argc, argv);
}
