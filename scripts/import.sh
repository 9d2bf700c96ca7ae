#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# import.sh [--shrink] [--overwrite]: bring the commits in edit/ back into this
# repository; see edit.sh and series-import.sh.

. "$(dirname "$0")/lib.sh"

[ -e "$REPO/edit/.git" ] || die "there is no edit/; run make edit, and commit your changes there"
"$SCRIPTS/series-import.sh" "$@" "$REPO/edit" base
git -C "$REPO/edit" update-ref refs/regops/imported HEAD
say "look at git diff, test, and commit"
