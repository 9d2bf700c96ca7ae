# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# A vendor driver is loaded by aliases that are written by hand: each module that
# has such an alias names its id table, and has one for each entry of it.

modules=$("$SCRIPTS/modules.sh" release ours)
find "$CACHE/${modules#/cache/}" -path '*/updates/*' -name '*.ko' | sort >"$tmp/files"

# aliases FILE: ids by the aliases, one a line, as "VENDOR DEVICE SUBVENDOR
# SUBDEVICE BASE SUB INTERFACE", the last three those of the class
aliases()
{
	strings -a "$1" |
		sed -n 's/^alias=vfio-pci-vendor:v\(.*\)d\(.*\)sv\(.*\)sd\(.*\)bc\(.*\)sc\(.*\)i\(.*\)$/\1 \2 \3 \4 \5 \6 \7/p' |
		sort -u
}

# table FILE: the same by the id table, which is 40 bytes an entry, the last empty
table()
{
	local address size section id class mask shift

	read -r address size section < <(readelf -sW "$1" | awk '/ __vfio_pci_vendor_table__/ { print $2, $3, $7 }') || return 0
	objcopy -O binary --only-section="$(readelf -SW "$1" | sed -n "s/^ *\[ *$section\] \([^ ]*\).*/\1/p")" "$1" "$tmp/section"
	od -A n -v -t u4 -w40 -j $((0x$address)) -N "$((size))" "$tmp/section" | while read -r -a id; do
		class=${id[4]} mask=${id[5]}
		[ $((id[0] | id[2] | mask)) -ne 0 ] || continue
		printf '%04X %04X %04X %04X' "${id[@]:0:4}" | sed 's/FFFFFFFF/*/g'
		for shift in 16 8 0; do
			case $((mask >> shift & 0xff)) in
			0) printf ' *' ;;
			255) printf ' %02X' $((class >> shift & 0xff)) ;;
			# No alias can say that
			*) printf ' part' ;;
			esac
		done
		echo
	done | sort -u
}

checked=0
while read -r file; do
	aliases "$file" >"$tmp/aliases"
	table "$file" >"$tmp/table"
	[ -s "$tmp/aliases" ] || [ -s "$tmp/table" ] || continue
	checked=$((checked + 1))
	status=0
	diff "$tmp/table" "$tmp/aliases" >"$tmp/out" || status=1
	result "$status" "the aliases of ${file##*/} are those of its id table" "$tmp/out"
done <"$tmp/files"
status=0
[ "$checked" -gt 0 ] || status=1
result "$status" "$checked modules have such aliases"
