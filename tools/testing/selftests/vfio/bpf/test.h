/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Variables that vfio_pci_bpf_test shares with its BPF driver
 */
#ifndef SELFTESTS_VFIO_BPF_TEST_H
#define SELFTESTS_VFIO_BPF_TEST_H

#define TEST_RANGES	4

/* What the read and write programs do */
enum test_mode {
	/* read: return @val */
	TEST_VALUE,
	/* Access the register below, and invert the bits in @val */
	TEST_LOWER,
	/* Access the register @reg of @reg_region instead */
	TEST_REG,
	/* read: return the value in config space at @reg */
	TEST_CONFIG,
	/* Loop @val times */
	TEST_LOOP,
	/* Store the position in a map that has room for two */
	TEST_MAP,
	/* read: use 400 bytes of the stack, and access the register below */
	TEST_STACK,
	/* read: return the 4 bytes at the user address @val */
	TEST_USER,
};

struct test_range {
	unsigned int		region;
	unsigned long long	start;
	unsigned long long	size;
};

struct test_settings {
	struct test_range	ranges[TEST_RANGES];
	/* Capabilities to hide and to add, if not 0 */
	unsigned char		hide_cap;
	unsigned short		hide_ext_cap;
	unsigned char		add_cap;
	/* Type of the region to add, if not 0 */
	unsigned int		add_memory;
	int			open_ret;

	enum test_mode		mode;
	unsigned int		reg_region;
	unsigned int		width;
	unsigned long long	reg;
	unsigned long long	val;
	int			ret;
};

struct test_seen {
	unsigned int		opens;
	unsigned int		closes;
	unsigned int		reads;
	unsigned int		writes;
	/* Ids of the device at the last open */
	unsigned short		vendor;
	unsigned short		device;
	/* Result of the kfuncs in the last open */
	int			open_ret;
	int			cap;
	/* The last access */
	unsigned int		region;
	unsigned int		width;
	unsigned long long	pos;
	unsigned long long	val;
};

#endif
