#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpdk.sh: make sure that Debian's testpmd exists, with DPDK's drivers for PCI
# and for e1000 and igb devices, and print the path of the program in the root.
# Its package needs 340 others. Of these the folder keeps only the libraries
# that the program loads.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debs.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; dpdk.sh takes none"

# In the root: unpack DIR WORK
unpack()
{
	local dir=$1 work=$2 lib=lib/x86_64-linux-gnu file files

	set -euo pipefail
	# shellcheck disable=SC2064 # as they are now
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
	# A driver that another one needs is loaded once only if it is one file.
	for file in "$dir.new"/drivers/*; do
		[ ! -e "$dir.new/${file##*/}.25" ] || ln -sf "../${file##*/}.25" "$file"
	done
	# The program with its own libc, and with these drivers. DPDK looks for
	# others in a folder of the system, where none are.
	cat >"$dir.new/testpmd" <<-'END'
	#!/bin/sh
	dir=$(dirname "$(readlink -f "$0")")
	exec "$dir/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$dir" \
		"$dir/dpdk-testpmd" -d "$dir/drivers" "$@"
	END
	chmod +x "$dir.new/testpmd"
	# It may lack a library.
	"$dir.new/testpmd" --help >/dev/null
	mv -T "$dir.new" "$dir"
}

dir=dpdk-$(declare -f unpack unpack_debs | key)
used "$dir"
if [ ! -e "$CACHE/$dir" ]; then
	lock dpdk
	if [ ! -e "$CACHE/$dir" ]; then
		need_space 1000 "DPDK"
		step "unpacking DPDK" "$CACHE/log/dpdk.log" \
			"$SCRIPTS/in-root.sh" bash -c "$(declare -f unpack unpack_debs)"'; unpack "$@"' - \
			"/cache/$dir" /cache/tmp-dpdk
	fi
	unlock
fi
echo "/cache/$dir/testpmd"
