# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Check that every file has an SPDX line. Skip patches, which have the license of the
# patched files, and prose without a comment syntax; COPYING applies to prose.

own_files | grep -v -E '^(patches/|COPYING$|MAINTAINERS$|(README|CONTRIBUTING)\.md$|\.gitignore$)' | while read -r file; do
	[ "$(head -n 3 "$REPO/$file" | grep -a -c 'SPDX-License-Identifier: GPL-2\.0-only')" -gt 0 ] || echo "$file"
done >"$tmp/out"
empty "every file has an SPDX line with GPL-2.0-only" "$tmp/out"
