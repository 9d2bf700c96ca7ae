# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that need the module vfio_pci_torture_migration.  Include torture.mk
# before this file: the programs share its objects.

MIGRATION_SRCDIR ?= $(selfdir)/vfio/migration

MIGRATION_OUTPUT := $(OUTPUT)/migration
MIGRATION_PROGS := $(OUTPUT)/vfio_pci_migration_data \
		   $(OUTPUT)/vfio_pci_migration_fail_nth \
		   $(OUTPUT)/vfio_pci_migration_fuzz \
		   $(OUTPUT)/vfio_pci_migration_feature \
		   $(OUTPUT)/vfio_pci_migration_log \
		   $(OUTPUT)/vfio_pci_migration_other \
		   $(OUTPUT)/vfio_pci_migration_power \
		   $(OUTPUT)/vfio_pci_migration_races \
		   $(OUTPUT)/vfio_pci_migration_region \
		   $(OUTPUT)/vfio_pci_migration_stream
# Shared objects
MIGRATION_LIB := $(MIGRATION_OUTPUT)/migration.o $(MIGRATION_OUTPUT)/stream_util.o $(MIGRATION_OUTPUT)/v1.o \
		 $(TORTURE_OUTPUT)/control.o $(TORTURE_OUTPUT)/nth.o $(TORTURE_OUTPUT)/racer.o \
		 $(TORTURE_OUTPUT)/torture.o
MIGRATION_HEADERS := $(addprefix $(MIGRATION_SRCDIR)/,fuzz.h migration.h stream_util.h v1.h) $(TORTURE_SRCDIR)/racer.h $(TORTURE_SRCDIR)/torture.h

$(MIGRATION_OUTPUT):
	mkdir -p $@

$(OUTPUT)/vfio_pci_migration_fuzz: $(addprefix $(MIGRATION_OUTPUT)/,fuzz_judge.o fuzz_mutate.o)

$(MIGRATION_OUTPUT)/%.o: $(MIGRATION_SRCDIR)/%.c $(MIGRATION_HEADERS) | $(MIGRATION_OUTPUT)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(MIGRATION_PROGS): $(OUTPUT)/vfio_pci_migration_%: $(MIGRATION_OUTPUT)/%.o $(MIGRATION_LIB) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lpthread -o $@

EXTRA_CLEAN += $(MIGRATION_OUTPUT)
