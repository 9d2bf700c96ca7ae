# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced, after lib.sh and result.sh, by the suites in which real clients
# migrate an edu device.

# migrate NAME RUN...: in one VM, let QEMU migrate a guest between two edu devices:
# a RUN is the Debian suite whose QEMU that is, type1 or iommufd, and cases (see
# scripts/guest/migrate.py, which judges them). Results and logs are in out/NAME.
migrate()
{
	local folder=$OUT/$1 name=$1 status=0 run suite iommu cases qemu commands=()
	local p f s
	shift

	rm -rf "$folder"
	mkdir -p "$folder"
	"$SCRIPTS/modules.sh" "${KERNEL:-release}" ours >/dev/null
	"$SCRIPTS/bare.sh" scripts/guest/migrant.c "out/$name/payload" >"$folder/gcc.log" 2>&1 || status=$?
	result "$status" "what the guest of QEMU runs compiles" "$folder/gcc.log"

	for run; do
		read -r suite iommu cases <<<"$run"
		qemu="qemu-system-x86_64"
		[ "$suite" = trixie ] || qemu=$("$SCRIPTS/qemu.sh" "$suite")
		commands+=("scripts/guest/migrate.py out/$name/payload out/$name/$suite-$iommu $qemu $iommu $cases || true")
	done

	status=0
	KERNEL=${KERNEL:-release} MODULES=ours DEVICES='edu edu' NAME=$name TIMEOUT=${TIMEOUT:-1200} \
		"$SCRIPTS/vm.sh" "set -e; scripts/guest/bind.sh all vfio-pci; $(printf '%s\n' "${commands[@]}")" \
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
