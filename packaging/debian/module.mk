# SPDX-License-Identifier: GPL-2.0-only
#
# Build the vendor modules in a folder for vfio-pci-regops-dkms. Write a Kbuild file with
# obj-m, and a Makefile that includes this file. "make" builds for the running kernel,
# "make KERNEL=RELEASE" for another one. See README.Debian for DKMS.

KERNEL ?= $(shell uname -r)

regops_source := /usr/share/vfio-pci-regops/source
regops_symbols := /var/lib/dkms/vfio-pci-regops/kernel-$(KERNEL)-$(shell uname -m)/module/Module.symvers

.PHONY: modules clean

modules:
	@[ -e $(regops_symbols) ] || { echo "error: vfio-pci-regops-dkms is not built for the kernel $(KERNEL);" \
		"install its headers, then run: dkms autoinstall -k $(KERNEL)" >&2; exit 1; }
	SYMBOLS=$(regops_symbols) $(regops_source)/external-build.sh /lib/modules/$(KERNEL)/build \
		$(regops_source)/options $(regops_source)/include $(CURDIR)

clean:
	$(MAKE) -C /lib/modules/$(KERNEL)/build M=$(CURDIR) clean
	rm -f args
