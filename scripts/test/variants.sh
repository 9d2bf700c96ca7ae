#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# variants.sh [ARCH...]: the drivers built on vfio-pci-core compile against our tree, by
# default for x86_64. All modules exist, and the compiler gives no warning. On x86_64, all
# modules and exported symbols of stock exist, and W=1 and sparse give no new warning. Most
# of these drivers cannot run here: no emulator has their hardware. The long suite
# variants-long compiles them for the other architectures.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=300 SUITE_COMPILES=1

. "$(dirname "$0")/../lib.sh"

if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/test/variants.sh "$@"
fi
. "$SCRIPTS/vfio-build.sh"
. "$SCRIPTS/result.sh"

declare -A modules=(
	[x86_64]='mlx5-vfio-pci virtio-vfio-pci pds-vfio-pci qat_vfio_pci xe-vfio-pci vfio-pci-igd'
	[arm64]='nvgrace-gpu-vfio-pci hisi-acc-vfio-pci mlx5-vfio-pci'
	[s390]='ism-vfio-pci mlx5-vfio-pci'
)
# Parts of vfio-pci for one architecture only
declare -A parts=(
	[x86_64]=''
	[arm64]=''
	[s390]=zdev
)

check_arch()
{
	local name status=0 began kind=plain

	began=$(date +%s)
	[ "$1" != x86_64 ] || kind=strict
	open_build "$1" full "$kind"
	# A module that is gone must not count
	[ ! -e "$work/out" ] || find "$work/out" -name '*.mod' -delete
	say "$arch: compiling our drivers/vfio"
	build_rev "$tree" series || status=$?
	result "$status" "$arch: drivers/vfio compiles" "$work/errors"

	for name in ${modules[$arch]} vfio-pci vfio-pci-core; do
		status=0
		grep -qx "$name" "$work/modules" || status=1
		result "$status" "$arch: the module $name exists"
	done
	for name in ${parts[$arch]}; do
		status=0
		grep -qr --include='*.mod' "$name" "$work/out" || status=1
		result "$status" "$arch: $name is part of a module"
	done
	if [ "$kind" = strict ]; then
		comm -23 "$work/stock/modules" "$work/modules" >"$work/lost"
		empty "$arch: all $(wc -l <"$work/stock/modules") modules of stock exist" "$work/lost"
		comm -23 "$work/stock/symbols" "$work/symbols" >"$work/lost"
		empty "$arch: all $(wc -l <"$work/stock/symbols") exported symbols of stock exist" "$work/lost"
		empty "$arch: W=1 and sparse give no new warning ($(wc -l <"$work/stock/messages") in stock)" "$work/new"
	else
		empty "$arch: the compiler gives no warning" "$work/new"
	fi
	unlock
	say "$arch: done in $(($(date +%s) - began)) s"
}

tree=$("$SCRIPTS/tree.sh")
[ $# -gt 0 ] || set -- x86_64
for name; do
	[ -n "${modules[$name]:-}" ] || die "unknown architecture '$name'; usage: variants.sh [x86_64|arm64|s390]..."
done
for name; do
	check_arch "$name"
done
totals
