// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access the regions of a vfio-pci device in many ways, and print all results as
 * a transcript.  Two kernels behave alike if their transcripts are equal.
 *
 * The program writes to the device.  Use an emulated device only.
 */
#include <getopt.h>
#include <unistd.h>

#include "region_diff.h"

static const struct stage {
	const char *name;
	void (*run)(void);
	/* run only by --stage */
	bool named;
	bool traced;
	bool unready;
} stages[] = {
	{ "info", stage_info },
	{ "read", stage_read },
	{ "write", stage_write },
	{ "vector", stage_vector },
	{ "fault", stage_fault },
	{ "mmap", stage_mmap },
	{ "ioeventfd", stage_ioeventfd },
	{ "dmabuf", stage_dmabuf },
	{ "alias", stage_alias },
	{ "files", stage_files },
	{ "config", stage_config },
	{ "power", stage_power },
	{ "reset", stage_reset },
	{ "added", stage_added, true },
	{ "seen", stage_seen, true, true },
	{ "devmem", stage_devmem, true },
	{ "unready", stage_unready, true, false, true },
};

static void explain(const char *program)
{
	size_t i;

	fprintf(stderr, "usage: %s [--iommu MODE] [--seed N] [--quick] [--stage NAME] BDF\n"
		"       %s --fails [--iommu MODE] BDF\n"
		"MODE: vfio_type1_iommu vfio_type1v2_iommu iommufd_compat_type1 iommufd_compat_type1v2 iommufd\n"
		"NAME:", program, program);
	for (i = 0; i < NUM(stages); i++)
		fprintf(stderr, " %s", stages[i].name);
	fprintf(stderr, "\n");
	exit(KSFT_FAIL);
}

static void run(const struct stage *stage)
{
	unsigned long before = num_cases;

	in_stage(stage->name);
	stage->run();
	fprintf(stderr, "%s: %lu cases\n", stage->name, num_cases - before);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "iommu", required_argument, NULL, 'i' },
		{ "seed", required_argument, NULL, 's' },
		{ "quick", no_argument, NULL, 'q' },
		{ "stage", required_argument, NULL, 't' },
		/* Expect that the open fails, and print only its errno */
		{ "fails", no_argument, NULL, 'f' },
		{ }
	};
	const char *only = NULL;
	bool found = false, fails = false;
	size_t i;
	int opt;

	subject.mode = default_iommu_mode;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			subject.mode = optarg;
			break;
		case 's':
			subject.seed = strtoull(optarg, NULL, 0);
			break;
		case 'q':
			subject.quick = true;
			break;
		case 't':
			only = optarg;
			break;
		case 'f':
			fails = true;
			break;
		default:
			explain(argv[0]);
		}
	}
	if (optind != argc - 1)
		explain(argv[0]);
	subject.bdf = argv[optind];

	for (i = 0; i < NUM(stages); i++)
		if (only ? !strcmp(only, stages[i].name) : !stages[i].named) {
			subject.traced |= stages[i].traced;
			subject.unready |= stages[i].unready;
			found = true;
		}
	if (!found)
		explain(argv[0]);

	if (fails) {
		subject_fails();
		printf("%lu cases\n", num_cases);
		return KSFT_PASS;
	}

	subject_open();
	for (i = 0; i < NUM(stages); i++)
		if (only ? !strcmp(only, stages[i].name) : !stages[i].named)
			run(&stages[i]);
	subject_close();

	printf("%lu cases\n", num_cases);
	return fflush(stdout) ? KSFT_FAIL : KSFT_PASS;
}
