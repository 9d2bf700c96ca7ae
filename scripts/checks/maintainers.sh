# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Check that a vfio entry of MAINTAINERS covers every new file.

awk -v RS= -v ORS='\n\n' 'tolower($0) ~ /vfio/' "$tree/MAINTAINERS" >"$tmp/MAINTAINERS"
for file in $(touched AR); do
	# get_maintainer.pl takes file names from a patch.
	git -C "$tree" diff --no-renames base series -- "$file" >"$tmp/patch"
	(cd "$src" && perl scripts/get_maintainer.pl --mpath "$tmp/MAINTAINERS" --no-git --no-git-fallback \
		--sections "$tmp/patch") >"$tmp/sections" 2>&1 || true
	grep -q '^F:' "$tmp/sections" || echo "$file"
done >"$tmp/out"
empty "MAINTAINERS covers every new file" "$tmp/out"
