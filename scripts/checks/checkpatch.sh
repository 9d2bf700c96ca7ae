# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Run checkpatch.pl --strict on every exported patch of the series, and check that no
# patch adds more than 1500 lines. Ignore three types: the sender signs patches off;
# maintainers.sh checks whether MAINTAINERS covers new files; and the tree lacks the
# history for Fixes: tags.

git -C "$tree" format-patch -q -M --zero-commit --no-signature -o "$tmp/patches" base..series
echo "# ignored: MISSING_SIGN_OFF (the sender adds it), FILE_PATH_CHANGES (see maintainers), UNKNOWN_COMMIT_ID (no history)"
for patch in "$tmp"/patches/*.patch; do
	# A cover letter has no diff.
	grep -q '^diff --git ' "$patch" || continue
	# checkpatch.pl leaves a cache in the working directory.
	(cd "$tmp" && perl "$src/scripts/checkpatch.pl" --root="$src" --no-tree --strict --no-summary --show-types \
		--terse --ignore MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID "$patch") >"$tmp/out" 2>&1 || [ $? -eq 1 ] ||
		echo "checkpatch.pl failed" >>"$tmp/out"
	sed -i -e "s,^$tmp/patches/,," "$tmp/out"
	lines=$(git -C "$tmp" apply --numstat "$patch" | awk '{ lines += $1 } END { print lines + 0 }')
	[ "$lines" -le 1500 ] || echo "it adds $lines lines; split it: the limit is 1500" >>"$tmp/out"
	empty "checkpatch --strict: $(basename "$patch")" "$tmp/out"
done
