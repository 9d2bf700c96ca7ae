# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Every file says its license in its first lines. Patches have the one of the
# files that they change; prose without a comment syntax has that of COPYING.

own_files | grep -v -E '^(patches/|COPYING$|MAINTAINERS$|README\.md$|\.gitignore$)' | while read -r file; do
	[ "$(head -n 3 "$REPO/$file" | grep -a -c 'SPDX-License-Identifier: GPL-2\.0-only')" -gt 0 ] || echo "$file"
done >"$tmp/out"
empty "every file has an SPDX line, GPL-2.0-only" "$tmp/out"
