# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that need the module vfio_pci_torture.  Set OUTPUT and the flags of
# libvfio before including this file.

TORTURE_SRCDIR ?= $(selfdir)/vfio/torture

TORTURE_OUTPUT := $(OUTPUT)/torture
TORTURE_PROGS := $(OUTPUT)/vfio_pci_torture_bypass \
		 $(OUTPUT)/vfio_pci_torture_caps \
		 $(OUTPUT)/vfio_pci_torture_debugfs \
		 $(OUTPUT)/vfio_pci_torture_device_alias \
		 $(OUTPUT)/vfio_pci_torture_display \
		 $(OUTPUT)/vfio_pci_torture_dma \
		 $(OUTPUT)/vfio_pci_torture_errors \
		 $(OUTPUT)/vfio_pci_torture_fail_nth \
		 $(OUTPUT)/vfio_pci_torture_lifecycle \
		 $(OUTPUT)/vfio_pci_torture_override \
		 $(OUTPUT)/vfio_pci_torture_races \
		 $(OUTPUT)/vfio_pci_torture_rules \
		 $(OUTPUT)/vfio_pci_torture_resets \
		 $(OUTPUT)/vfio_pci_torture_sibling \
		 $(OUTPUT)/vfio_pci_torture_sriov \
		 $(OUTPUT)/vfio_pci_torture_tracing
# Shared objects
TORTURE_LIB := $(TORTURE_OUTPUT)/control.o $(TORTURE_OUTPUT)/edu.o $(TORTURE_OUTPUT)/events.o $(TORTURE_OUTPUT)/nth.o \
	       $(TORTURE_OUTPUT)/racer.o $(TORTURE_OUTPUT)/torture.o

$(TORTURE_OUTPUT):
	mkdir -p $@

$(TORTURE_OUTPUT)/%.o: $(TORTURE_SRCDIR)/%.c $(TORTURE_SRCDIR)/edu.h $(TORTURE_SRCDIR)/events.h $(TORTURE_SRCDIR)/nth.h $(TORTURE_SRCDIR)/racer.h $(TORTURE_SRCDIR)/torture.h | $(TORTURE_OUTPUT)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(TORTURE_PROGS): $(OUTPUT)/vfio_pci_torture_%: $(TORTURE_OUTPUT)/%.o $(TORTURE_LIB) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lpthread -o $@

EXTRA_CLEAN += $(TORTURE_OUTPUT)
