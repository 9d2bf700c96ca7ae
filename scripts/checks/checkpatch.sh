# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# checkpatch.pl --strict on every patch of the series as it is exported. Three
# types are left out: the person who sends a patch signs it off; whether
# MAINTAINERS covers a new file is not asked but checked, in maintainers.sh; and what
# Fixes: names is in a history that we do not have.

git -C "$tree" format-patch -q -M --zero-commit --no-signature -o "$tmp/patches" base..series
echo "# ignored: missing Signed-off-by (who sends the series adds it), FILE_PATH_CHANGES (see maintainers), UNKNOWN_COMMIT_ID (no history)"
for patch in "$tmp"/patches/*.patch; do
	# It finds its own files next to itself and leaves a cache in the
	# working directory.
	(cd "$tmp" && perl "$src/scripts/checkpatch.pl" --root="$src" --no-tree --strict --no-summary --show-types \
		--terse --ignore MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID "$patch") >"$tmp/out" 2>&1 || true
	sed -i -e "s,^$tmp/patches/,," "$tmp/out"
	empty "checkpatch --strict: $(basename "$patch")" "$tmp/out"
done
