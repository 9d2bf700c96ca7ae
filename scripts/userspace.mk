# SPDX-License-Identifier: GPL-2.0-only
#
# Our own test programs: every tools/testing/selftests/vfio/*.c is one, and
# region_diff/, torture/, migration/ and mdev/ are more.
# Needs: SRC (kernel source), SELF (the folder that has libvfio as vfio/lib),
# HEADERS (of this kernel, for userspace), OURS (the folder of our programs),
# OUTPUT.

top_srcdir := $(SRC)
selfdir := $(SELF)
ARCH := x86

# "../kselftest_harness.h" is found as if our files were in the kernel's folder; it
# is the one in SELF, which has more patience.
CFLAGS := -std=gnu99 -O2 -g -Wall -Werror -D_GNU_SOURCE= -isystem $(HEADERS) \
	-I$(SELF) -I$(SELF)/vfio -I$(SRC)/tools/testing/selftests -I$(SRC)/tools/testing/selftests/vfio -I$(SRC)/tools/include -MD
LDFLAGS := -pthread

PROGRAMS := $(patsubst $(OURS)/%.c,$(OUTPUT)/%,$(wildcard $(OURS)/*.c))

all: $(PROGRAMS) $(OUTPUT)/vfio_pci_region_diff tortures migrations mdevs

include $(selfdir)/vfio/lib/libvfio.mk
REGION_DIFF_SRCDIR := $(OURS)/region_diff
include $(REGION_DIFF_SRCDIR)/region_diff.mk
TORTURE_SRCDIR := $(OURS)/torture
include $(TORTURE_SRCDIR)/torture.mk
MIGRATION_SRCDIR := $(OURS)/migration
include $(MIGRATION_SRCDIR)/migration.mk
MDEV_SRCDIR := $(OURS)/mdev
include $(MDEV_SRCDIR)/mdev.mk

$(PROGRAMS): $(OUTPUT)/%: $(OURS)/%.c $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

tortures: $(TORTURE_PROGS)
migrations: $(MIGRATION_PROGS)
mdevs: $(MDEV_PROGS)

.PHONY: all mdevs migrations tortures
