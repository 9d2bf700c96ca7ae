#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpdk.sh: unpack Debian's testpmd with DPDK's drivers for e1000 and igb devices, if
# it is missing, and print its path in the root. The package depends on 340 others;
# keep only the libraries that testpmd loads.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debs.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: dpdk.sh"

# unpack DIR WORK: in the root, unpack testpmd into DIR.
unpack()
{
	local dir=$1 work=$2 lib=lib/x86_64-linux-gnu file files

	set -euo pipefail
	# shellcheck disable=SC2064 # expand now
	trap "rm -rf '$work' '$dir.new'" EXIT
	unpack_debs "$work" dpdk-dev trixie
	rm -rf "$dir.new"
	mkdir -p "$dir.new/drivers"
	files=("$work/root/usr/bin/dpdk-testpmd")
	for file in bus_pci mempool_ring net_e1000; do
		files+=("$work/root/usr/$lib/dpdk"/*/librte_"$file".so)
	done
	for file in "${files[@]}"; do
		"$work/root/$lib/ld-linux-x86-64.so.2" --inhibit-cache \
			--library-path "$work/root/$lib:$work/root/usr/$lib" --list "$file"
	done >"$work/needed"
	if grep 'not found' "$work/needed"; then exit 1; fi
	cp "$work/root/$lib/ld-linux-x86-64.so.2" "${files[0]}" "$dir.new/"
	awk '$2 == "=>" { print $3 }' "$work/needed" | sort -u | xargs cp -L -t "$dir.new"
	cp -L "${files[@]:1}" "$dir.new/drivers/"
	# Link duplicates: the loader would load a second file as a second driver.
	for file in "$dir.new"/drivers/*; do
		[ ! -e "$dir.new/${file##*/}.25" ] || ln -sf "../${file##*/}.25" "$file"
	done
	# Run the program with its own libc and drivers.
	cat >"$dir.new/testpmd" <<-'END'
	#!/bin/sh
	dir=$(dirname "$(readlink -f "$0")")
	exec "$dir/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$dir" \
		"$dir/dpdk-testpmd" -d "$dir/drivers" "$@"
	END
	chmod +x "$dir.new/testpmd"
	# Fail if a library is missing.
	"$dir.new/testpmd" --help >/dev/null
	mv -T "$dir.new" "$dir"
}

dir=dpdk-$(declare -f unpack unpack_debs | key)
build()
{
	step_in_root "unpacking DPDK" "$CACHE/log/dpdk.log" 'unpack unpack_debs' "/cache/$dir" /cache/tmp-dpdk
}
once "$dir" dpdk 1000 DPDK build
echo "/cache/$dir/testpmd"
