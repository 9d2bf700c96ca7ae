# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh and result.sh by suites in which QEMU migrates an edu device.

# load_driver PAYLOAD: in the guest, load the vendor driver for a payload and bind
# the devices. Load it first: the driver reports its migration abilities at bind.
load_driver()
{
	scripts/guest/bind.sh all none
	modprobe -r -a vfio_pci_testdrv_migration vfio_pci_edu_migration vfio_pci_edu
	if [ "$1" = guest_memory ]; then
		modprobe vfio_pci_testdrv_migration ids=1234:11e8 p2p=1 log=1 precopy=2097152 size=8388608 dirty=65536
	else
		modprobe -a vfio_pci_edu vfio_pci_edu_migration
	fi
	scripts/guest/bind.sh all vfio-pci
}

# migrate NAME RUN...: in one VM, let QEMU migrate a nested guest between two edu
# devices. A RUN is "SUITE type1|iommufd [large] CASE...": SUITE is the Debian suite
# of QEMU, a CASE is one of programs/migrate.py. "large" uses the test driver,
# with 8 MiB of state and 2 MiB of pre-copy data, instead of the sample driver. Results
# and logs are in out/NAME.
migrate()
{
	local folder=$OUT/$1 name=$1 status=0 run suite iommu cases qemu commands=()
	local p f s payload programs
	shift

	rm -rf "$folder"
	mkdir -p "$folder"
	"$SCRIPTS/modules.sh" "${KERNEL:-release}" ours >/dev/null
	programs=$("$SCRIPTS/userspace.sh")
	for run; do
		read -r suite iommu cases <<<"$run"
		qemu="qemu-system-x86_64"
		[ "$suite" = trixie ] || qemu=$("$SCRIPTS/qemu.sh" "$suite")
		payload=guest_dma
		if [[ "$cases" == large\ * ]]; then
			payload=guest_memory
			cases=${cases#large }
		fi
		commands+=("load_driver $payload"
			"programs/migrate.py $programs/$payload out/$name/$suite-$iommu-$payload $qemu $iommu $cases || true")
	done

	KERNEL=${KERNEL:-release} MODULES=ours DEVICES='edu edu' NAME=$name TIMEOUT=${TIMEOUT:-3600} APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" "set -e; $(declare -f load_driver); $(printf '%s\n' "${commands[@]}")" \
		</dev/null >"$folder/log" 2>"$folder/errors" || status=$?
	cat "$folder/log"
	result "$status" "the VM succeeds" "$folder/errors"

	read -r p f s < <(counts "$folder/log")
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	# A run without results has failed.
	status=0
	[ $((p + f)) -ge $# ] || status=1
	result "$status" "all runs have results" "$folder/errors"
}
