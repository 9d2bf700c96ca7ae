# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Run shellcheck on all shell scripts of this repository.

mapfile -t files < <(own_files | while read -r file; do
	case "$file" in
	*.sh) echo "$file" ;;
	*) if head -n 1 "$REPO/$file" | grep -q -a -E '^#!.*\b(ba|da)?sh\b'; then echo "$file"; fi ;;
	esac
done)
# Scripts source files from their own folder or from scripts/.
status=0
(cd "$REPO" && shellcheck -x -P SCRIPTDIR:scripts -f gcc "${files[@]}") >"$tmp/out" 2>&1 || status=$?
for file in "${files[@]}"; do
	grep -F "$file:" "$tmp/out" >"$tmp/file" || true
	empty "shellcheck: $file" "$tmp/file"
done
grep -v -F -f <(printf '%s:\n' "${files[@]}") "$tmp/out" >"$tmp/rest" || true
# With status 1, it has found something
[ "$status" -le 1 ] || echo "shellcheck failed with status $status" >>"$tmp/rest"
empty "shellcheck runs" "$tmp/rest"
