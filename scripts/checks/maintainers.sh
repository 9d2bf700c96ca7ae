# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Check that a vfio entry of MAINTAINERS covers every new file, and that the file
# MAINTAINERS here has the entries that the series add.

awk -v RS= -v ORS='\n\n' 'tolower($0) ~ /vfio/' "$tree/MAINTAINERS" >"$tmp/MAINTAINERS"
for file in $(touched AR); do
	# get_maintainer.pl takes file names from a patch.
	git -C "$tree" diff --no-renames base series -- "$file" >"$tmp/patch"
	(cd "$src" && perl scripts/get_maintainer.pl --mpath "$tmp/MAINTAINERS" --no-git --no-git-fallback \
		--sections "$tmp/patch") >"$tmp/sections" 2>&1 || true
	grep -q '^F:' "$tmp/sections" || echo "$file"
done >"$tmp/out"
empty "MAINTAINERS covers every new file" "$tmp/out"

# entries FILE: print "SECTION: F: PATTERN" for each file pattern.
entries()
{
	awk '/^[A-Z][A-Z0-9 ]*[A-Z0-9()\/-]$/ { section = $0 } /^F:/ { print section ": " $0 }' "$1" | sort
}

git -C "$tree" show base:MAINTAINERS >"$tmp/before"
diff <(comm -13 <(entries "$tmp/before") <(entries "$tree/MAINTAINERS")) <(entries "$REPO/MAINTAINERS") >"$tmp/out" || true
empty "MAINTAINERS here has the entries that the series add" "$tmp/out"
