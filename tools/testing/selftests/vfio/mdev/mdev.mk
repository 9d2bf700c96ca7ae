# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that need the module vfio-mdev-pci.  Set OUTPUT and the flags of
# libvfio, and include torture.mk, before including this file.

MDEV_SRCDIR ?= $(selfdir)/vfio/mdev

MDEV_OUTPUT := $(OUTPUT)/mdev
MDEV_PROGS := $(OUTPUT)/vfio_mdev_pci_device \
	      $(OUTPUT)/vfio_mdev_pci_errors \
	      $(OUTPUT)/vfio_mdev_pci_fail_nth \
	      $(OUTPUT)/vfio_mdev_pci_lifecycle \
	      $(OUTPUT)/vfio_mdev_pci_races
# Shared objects
MDEV_LIB := $(MDEV_OUTPUT)/mdev.o $(TORTURE_OUTPUT)/control.o $(TORTURE_OUTPUT)/edu.o $(TORTURE_OUTPUT)/nth.o $(TORTURE_OUTPUT)/racer.o

$(MDEV_OUTPUT):
	mkdir -p $@

$(MDEV_OUTPUT)/%.o: $(MDEV_SRCDIR)/%.c $(MDEV_SRCDIR)/mdev.h $(TORTURE_SRCDIR)/edu.h $(TORTURE_SRCDIR)/nth.h $(TORTURE_SRCDIR)/racer.h $(TORTURE_SRCDIR)/torture.h | $(MDEV_OUTPUT)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(MDEV_PROGS): $(OUTPUT)/vfio_mdev_pci_%: $(MDEV_OUTPUT)/%.o $(MDEV_LIB) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lpthread -o $@

EXTRA_CLEAN += $(MDEV_OUTPUT)
