# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh and result.sh by suites in which QEMU migrates a nested guest.

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

# load_igbvf LOG: in the guest, load the vendor driver for the functions of igb devices, and
# bind a function of the first and of the second device. The third is the peer. Set peer
# and vfs to addresses.
load_igbvf()
{
	local devices

	mapfile -t devices < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed 's/=.*//')
	if [ -z "${vfs-}" ]; then
		peer=${devices[2]}
		scripts/guest/bind.sh "$peer" igb
		vfs=$(scripts/guest/igb-vfs.sh "${devices[@]:0:2}" | xargs)
	fi
	for vf in $vfs; do scripts/guest/bind.sh "$vf" none; done
	modprobe -r vfio_pci_igbvf
	modprobe vfio_pci_igbvf log="$1"
	for vf in $vfs; do scripts/guest/bind.sh "$vf" vfio-pci; done
}

# qemu_of SUITE: build QEMU of a Debian suite if it is missing, and print its command.
qemu_of()
{
	if [ "$1" = trixie ]; then
		echo qemu-system-x86_64
	else
		"$SCRIPTS/qemu.sh" "$1"
	fi
}

# migrate_in_vm NAME RUNS DEVICES QEMU COMMAND...: run commands in a VM that has these devices.
# Count their results; each of the RUNS runs must print some. Logs are in out/NAME.
migrate_in_vm()
{
	local folder=$OUT/$1 name=$1 runs=$2 status=0 p f s
	local -x DEVICES=$3 QEMU=$4
	shift 4

	"$SCRIPTS/modules.sh" "${KERNEL:-release}" ours >/dev/null
	KERNEL=${KERNEL:-release} MODULES=ours NAME=$name TIMEOUT=${TIMEOUT:-3600} \
		APPEND=$NO_VENDOR "$SCRIPTS/vm.sh" "set -e; $(declare -f load_driver load_igbvf); $(printf '%s\n' "$@")" \
		</dev/null >"$folder/log" 2>"$folder/errors" || status=$?
	cat "$folder/log"
	result "$status" "the VM succeeds" "$folder/errors"

	read -r p f s < <(counts "$folder/log")
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	# A run without results has failed.
	status=0
	[ $((p + f)) -ge "$runs" ] || status=1
	result "$status" "all runs have results" "$folder/errors"
}

# migrate NAME RUN...: in one VM, let QEMU migrate a nested guest between two edu
# devices. A RUN is "SUITE type1|iommufd [large] CASE...": SUITE is the Debian suite
# of QEMU, a CASE is one of programs/migrate/edu.py. "large" uses the test driver,
# with 8 MiB of state and 2 MiB of pre-copy data, instead of the sample driver.
migrate()
{
	local name=$1 run suite iommu cases payload programs commands=()
	shift

	rm -rf "${OUT:?}/$name"
	mkdir -p "$OUT/$name"
	programs=$("$SCRIPTS/userspace.sh")
	for run; do
		read -r suite iommu cases <<<"$run"
		payload=guest_dma
		if [[ "$cases" == large\ * ]]; then
			payload=guest_memory
			cases=${cases#large }
		fi
		commands+=("load_driver $payload"
			"programs/migrate/edu.py $programs/$payload out/$name/$suite-$iommu-$payload $(qemu_of "$suite") $iommu $cases || true")
	done
	migrate_in_vm "$name" $# 'edu edu' '' "${commands[@]}"
}

# migrate_igbvf NAME RUN...: in one VM, let QEMU migrate a nested Linux guest between virtual
# functions of two igb devices. A RUN is "SUITE type1|iommufd LOG CASE...": LOG is
# the parameter of vfio_pci_igbvf, a CASE is one of programs/migrate/igbvf.py.
migrate_igbvf()
{
	local name=$1 run suite iommu log cases programs kernel commands=()
	shift

	rm -rf "${OUT:?}/$name"
	mkdir -p "$OUT/$name"
	programs=$("$SCRIPTS/userspace.sh")
	kernel=$("$SCRIPTS/kernel.sh" release)
	for run; do
		read -r suite iommu log cases <<<"$run"
		commands+=("load_igbvf $log"
			"programs/migrate/igbvf.py $kernel $programs out/$name/$suite-$iommu-log$log $(qemu_of "$suite") $iommu \$peer \$vfs $cases || true")
	done
	commands+=("for vf in \$vfs; do echo 0 >/sys/bus/pci/devices/\$vf/physfn/sriov_numvfs; done")
	migrate_in_vm "$name" $# 'port/igb,netdev=a port/igb,netdev=b port/igb,netdev=peer' \
		'-netdev hubport,id=a,hubid=0 -netdev hubport,id=b,hubid=0 -netdev hubport,id=peer,hubid=0' "${commands[@]}"
}
