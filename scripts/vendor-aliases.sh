#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor-aliases.sh MODULE.ko...: add the vfio-pci-vendor: aliases of its id table to a
# vendor module. modpost of a patched kernel makes these aliases from
# MODULE_DEVICE_TABLE(). The build of an external module uses modpost of an
# unpatched kernel, which ignores that table.
#
# vendor-aliases.sh --print MODULE.ko: print the aliases

set -euo pipefail

# print_aliases FILE: print one alias for each entry of the id tables. An entry has 40
# bytes; an empty one ends a table.
print_aliases()
{
	local address size section name id class mask shift line part

	readelf -sW "$1" | awk '/ __mod_device_table__kmod_.*__vfio_pci_vendor__/ { print $2, $3, $7 }' |
		while read -r address size section; do
			name=$(readelf -SW "$1" | sed -n "s/^ *\[ *$section\] \([^ ]*\).*/\1/p")
			objcopy -O binary --only-section="$name" "$1" "$tmp/table"
			od -A n -v -t u4 -w40 -j $((0x$address)) -N "$((size))" "$tmp/table"
		done | while read -r -a id; do
			class=${id[4]} mask=${id[5]}
			[ $((id[0] | id[2] | mask)) -ne 0 ] || continue
			line=$(printf 'v%04Xd%04Xsv%04Xsd%04X' "${id[@]:0:4}" | sed 's/FFFFFFFF/*/g')
			for shift in 16:bc 8:sc 0:i; do
				part=${shift#*:} shift=${shift%:*}
				case $((mask >> shift & 0xff)) in
				0) line+="$part*" ;;
				255) line+=$(printf '%s%02X' "$part" $((class >> shift & 0xff))) ;;
				*)
					echo "error: $1: an alias cannot express the class mask $(printf '%06x' "$mask")" >&2
					exit 1
					;;
				esac
			done
			echo "vfio-pci-vendor:${line%\*}*"
		done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ "${1-}" = --print ]; then
	print_aliases "$2" | sort -u
	exit
fi
[ $# -gt 0 ] || { echo "usage: vendor-aliases.sh [--print] MODULE.ko..." >&2; exit 1; }

for file; do
	print_aliases "$file" | sort -u >"$tmp/aliases"
	objcopy -O binary --only-section=.modinfo --set-section-flags .modinfo=alloc "$file" "$tmp/modinfo"
	# Add no alias twice: the script may run again, or modpost may be patched.
	tr '\0' '\n' <"$tmp/modinfo" | sed -n 's/^alias=//p' | sort -u >"$tmp/known"
	comm -23 "$tmp/aliases" "$tmp/known" | while read -r alias; do
		printf 'alias=%s\0' "$alias"
	done >"$tmp/more"
	[ -s "$tmp/more" ] || continue
	cat "$tmp/more" >>"$tmp/modinfo"
	objcopy --update-section .modinfo="$tmp/modinfo" "$file"
done
