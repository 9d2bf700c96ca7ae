# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced, after lib.sh and result.sh, by the suites in which real clients
# migrate an edu device.

# migrate_with PAYLOAD: in the guest, have the devices bound with the driver that
# goes with it: what they can do is known then.
migrate_with()
{
	scripts/guest/bind.sh all none
	modprobe -r -a vfio_pci_torture_migration vfio_pci_edu_migration vfio_pci_edu
	if [ "$1" = guest_memory ]; then
		modprobe vfio_pci_torture_migration ids=1234:11e8 p2p=1 log=1 precopy=2097152 size=8388608 dirty=65536
	else
		modprobe -a vfio_pci_edu vfio_pci_edu_migration
	fi
	scripts/guest/bind.sh all vfio-pci
}

# migrate NAME RUN...: in one VM, let QEMU migrate a guest between two edu devices:
# a RUN is the Debian suite whose QEMU that is, type1 or iommufd, and cases (see
# scripts/guest/migrate.py, which judges them). "large" before the cases: not by
# the sample, but by the driver for tests, with a state of some MiB, part of it
# sent while the device runs. Results and logs are in out/NAME.
migrate()
{
	local folder=$OUT/$1 name=$1 status=0 run suite iommu cases qemu commands=()
	local p f s payload
	shift

	rm -rf "$folder"
	mkdir -p "$folder"
	"$SCRIPTS/modules.sh" "${KERNEL:-release}" ours >/dev/null
	for payload in guest_dma guest_memory; do
		"$SCRIPTS/guest-payload.sh" "scripts/guest/$payload.c" "out/$name/$payload" >>"$folder/gcc.log" 2>&1 || status=$?
	done
	result "$status" "what the guest of QEMU runs compiles" "$folder/gcc.log"

	for run; do
		read -r suite iommu cases <<<"$run"
		qemu="qemu-system-x86_64"
		[ "$suite" = trixie ] || qemu=$("$SCRIPTS/qemu.sh" "$suite")
		payload=guest_dma
		if [[ "$cases" == large\ * ]]; then
			payload=guest_memory
			cases=${cases#large }
		fi
		commands+=("migrate_with $payload"
			"scripts/guest/migrate.py out/$name/$payload out/$name/$suite-$iommu-$payload $qemu $iommu $cases || true")
	done

	status=0
	KERNEL=${KERNEL:-release} MODULES=ours DEVICES='edu edu' NAME=$name TIMEOUT=${TIMEOUT:-3600} APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" "set -e; $(declare -f migrate_with); $(printf '%s\n' "${commands[@]}")" \
		</dev/null >"$folder/log" 2>"$folder/errors" || status=$?
	cat "$folder/log"
	result "$status" "the VM ends well" "$folder/errors"

	read -r p f s < <(counts "$folder/log")
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	# A run that says nothing has failed.
	status=0
	[ $((p + f)) -ge $# ] || status=1
	result "$status" "all runs have a result" "$folder/errors"
}
