# SPDX-License-Identifier: GPL-2.0-only
#
# Objects of vfio_pci_region_diff.  Set OUTPUT and the flags of libvfio before
# including this file.

REGION_DIFF_SRCDIR ?= $(selfdir)/vfio/region_diff

REGION_DIFF_C := $(notdir $(wildcard $(REGION_DIFF_SRCDIR)/*.c))
REGION_DIFF_OUTPUT := $(OUTPUT)/region_diff
REGION_DIFF_O := $(patsubst %.c, $(REGION_DIFF_OUTPUT)/%.o, $(REGION_DIFF_C))

$(REGION_DIFF_OUTPUT):
	mkdir -p $@

$(REGION_DIFF_O): $(REGION_DIFF_OUTPUT)/%.o : $(REGION_DIFF_SRCDIR)/%.c $(REGION_DIFF_SRCDIR)/region_diff.h | $(REGION_DIFF_OUTPUT)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(OUTPUT)/vfio_pci_region_diff: $(REGION_DIFF_O) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lpthread -o $@

EXTRA_CLEAN += $(REGION_DIFF_OUTPUT)
