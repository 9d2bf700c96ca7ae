# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of this project; each is a script in scripts/, which says more.

override VARIABLES := RUN KERNEL MODULES DEVICES QEMU ACCEL SMP MEM ICOUNT TIMEOUT NAME T M LINUX JOBS

define HELP
make demo       boot a VM and drive a PCI device in it through our vfio-pci
make test       all tests; T='NAME...' for some of the suites in scripts/test
make checks     what a maintainer's tools say about our patches
make bench      instructions for each operation, stock and ours
make docs       the guides and the reference as HTML, in out/docs
make series     write the patches for git am to out/series
make vm RUN='COMMAND'   run a command in a VM
make shell      a shell in a VM
make vendor M=FOLDER    build a vendor module of your own for make vm and make shell
make clean      remove results; make distclean also removes the cache

For vm, shell and vendor:
  KERNEL=release|debug|stock
For vm and shell:
  MODULES=ours|stock  DEVICES='edu igb user:gpu ...'
  QEMU='arguments'  ACCEL=auto|kvm|tcg  SMP=2  MEM=2G  ICOUNT=1  TIMEOUT=600
  NAME=of-the-logs
For all: LINUX=/path of a 7.3 tree, if Debian has none; JOBS=number
endef

# A mistyped argument would be ignored in silence.
UNKNOWN := $(filter-out $(VARIABLES),$(foreach v,$(.VARIABLES),$(if $(findstring command,$(origin $(v))),$(v))))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown argument $(strip $(UNKNOWN)); `make help` lists what there is)
endif

# Pass values on as they were given: make must not expand a $ in a command.
$(foreach v,$(VARIABLES),$(if $(filter undefined,$(origin $(v))),,$(eval override $(v) := $$(value $(v)))$(eval export $(v))))

SCRIPTS := $(dir $(lastword $(MAKEFILE_LIST)))scripts
COMMANDS := demo test checks bench docs series vm vendor

.PHONY: help $(COMMANDS) shell clean distclean
.NOTPARALLEL:

help:
	$(info $(HELP))@:

# Tests have no modules but ours.
vm shell: export INSTALLED := out/vendor-modules

$(COMMANDS):
	@[ -x $(SCRIPTS)/$@.sh ] || { echo "error: $(SCRIPTS)/$@.sh is missing; this checkout is not complete" >&2; exit 1; }
	@exec $(SCRIPTS)/$@.sh

shell:
	@exec $(SCRIPTS)/vm.sh --shell

clean:
	@exec $(SCRIPTS)/clean.sh

distclean:
	@exec $(SCRIPTS)/clean.sh --cache
