# SPDX-License-Identifier: GPL-2.0-only
#
# Build our test programs: each tools/testing/selftests/vfio/*.c, and those in
# region_diff/, torture/, migration/ and mdev/. Variables:
#
#     SRC      kernel source
#     SELF     folder with libvfio as vfio/lib
#     HEADERS  userspace headers of this kernel
#     OURS     folder of our programs
#     OUTPUT   output folder

top_srcdir := $(SRC)
selfdir := $(SELF)
ARCH := x86

# "../kselftest_harness.h" must resolve to the copy in SELF, which has a longer timeout.
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
