# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Two tools make the module aliases of vendor drivers from their id tables: modpost
# of a patched kernel, and scripts/vendor-aliases.sh for an unpatched one. Check
# that both make the same aliases.

modules=$("$SCRIPTS/modules.sh" release ours)
find "$CACHE/${modules#/cache/}" -path '*/updates/*' -name '*.ko' | sort >"$tmp/files"
build=$CACHE/$(basename "$("$SCRIPTS/kernel.sh" release)")/build/scripts/mod

mkdir "$tmp/modpost"
status=0
gcc -O1 -o "$tmp/modpost/modpost" -I"$build" -I"$src/scripts/include" -I"$src/scripts/mod" \
	"$tree/scripts/mod/file2alias.c" "$src"/scripts/mod/{modpost,sumversion,symsearch}.c >"$tmp/out" 2>&1 || status=$?
result "$status" "modpost compiles with the patched file2alias.c" "$tmp/out"

checked=0
while read -r file; do
	name=$(basename "$file" .ko)
	"$SCRIPTS/vendor-aliases.sh" --print "$file" >"$tmp/aliases" 2>&1 || true
	[ -s "$tmp/aliases" ] || continue
	checked=$((checked + 1))
	status=0
	cp "$file" "$tmp/modpost/$name.o"
	(cd "$tmp/modpost" && ./modpost -w -o symvers "$name.o" >/dev/null 2>&1) || true
	sed -n 's/^MODULE_ALIAS("\(vfio-pci-vendor:.*\)");$/\1/p' "$tmp/modpost/$name.mod.c" | sort -u >"$tmp/modpost/aliases"
	diff "$tmp/modpost/aliases" "$tmp/aliases" >"$tmp/out" || status=1
	modinfo -F alias "$file" | grep '^vfio-pci-vendor:' | sort | diff "$tmp/aliases" - >>"$tmp/out" || status=1
	result "$status" "the aliases of $name match its id table" "$tmp/out"
done <"$tmp/files"
status=0
[ "$checked" -gt 0 ] || status=1
result "$status" "$checked modules have aliases of vendor drivers"
