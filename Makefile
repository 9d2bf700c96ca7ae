# SPDX-License-Identifier: GPL-2.0-only
#
# Each command is a script in scripts/; its header documents it.

override VARIABLES := RUN KERNEL MODULES DEVICES QEMU ACCEL SMP MEM ICOUNT TIMEOUT NAME T VMS M LINUX JOBS

define HELP
make demo       boot a VM and drive a PCI device in it through our vfio-pci
make test       run all test suites except the long ones; T='NAME...' selects suites in
                scripts/test, T=long selects the long ones
make checks     run static checkers on the patches: checkpatch, sparse, ...
make bench      count instructions per operation, stock against ours
make docs       build the guides and the reference as HTML in out/docs
make edit       check the series out as a git tree in edit/
make import     bring the commits in edit/ back into patches/ and the files
make deb        build Debian packages of our modules (DKMS) in out/deb
make series     write the patches for git am to out/series
make vm RUN='COMMAND'   run a command in a VM
make shell      start a shell in a VM
make vendor M=FOLDER    build your vendor module for make vm and make shell
make clean      remove results; make distclean also removes the cache

For vm, shell and vendor:
  KERNEL=release|debug|stock
For vm and shell:
  MODULES=ours|stock  DEVICES='edu igb user:gpu ...'
  QEMU='arguments'  ACCEL=auto|kvm|tcg  SMP=2  MEM=2G  ICOUNT=1  TIMEOUT=600
  NAME=of-the-logs
For all: LINUX=/path/to/linux-7.3 instead of Debian's source; JOBS=number
endef

# make would silently ignore a mistyped argument.
UNKNOWN := $(filter-out $(VARIABLES),$(foreach v,$(.VARIABLES),$(if $(findstring command,$(origin $(v))),$(v))))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown argument $(strip $(UNKNOWN)); `make help` lists the arguments)
endif

# Pass values on unchanged: make must not expand a $ in a command.
$(foreach v,$(VARIABLES),$(if $(filter undefined,$(origin $(v))),,$(eval override $(v) := $$(value $(v)))$(eval export $(v))))

SCRIPTS := $(dir $(lastword $(MAKEFILE_LIST)))scripts
COMMANDS := demo test checks bench docs deb edit import series vm vendor

.PHONY: help $(COMMANDS) shell clean distclean
.NOTPARALLEL:

help:
	$(info $(HELP))@:

# Only for vm and shell: the tests must not load modules of make vendor.
vm shell: export INSTALLED := out/vendor-modules

$(COMMANDS):
	@[ -x $(SCRIPTS)/$@.sh ] || { echo "error: $(SCRIPTS)/$@.sh is missing; restore it with git checkout" >&2; exit 1; }
	@exec $(SCRIPTS)/$@.sh

shell:
	@exec $(SCRIPTS)/vm.sh --shell

clean:
	@exec $(SCRIPTS)/clean.sh

distclean:
	@exec $(SCRIPTS)/clean.sh --cache
