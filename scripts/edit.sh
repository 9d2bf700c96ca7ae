#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# edit.sh: check the series out as a git tree in edit/, with one commit per patch.
# Commit and rebase there. The tag "base" is the pristine kernel. make import brings the
# commits back.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; edit.sh takes none"
edit=$REPO/edit
# The last commit in edit/ that patches/ has
imported=refs/regops/imported

tree=$("$SCRIPTS/tree.sh")
tree=$CACHE/${tree#/cache/}
if [ -e "$edit" ]; then
	git -C "$edit" rev-parse -q --verify "$imported" >/dev/null ||
		die "$edit is not a tree of make edit; move it away"
	[ -z "$(git -C "$edit" status --porcelain)" ] ||
		die "$edit has uncommitted changes; commit them and run make import, or remove the folder"
	[ "$(git -C "$edit" rev-parse HEAD)" = "$(git -C "$edit" rev-parse "$imported")" ] ||
		die "$edit has commits that patches/ lacks; run make import, or remove the folder"
	[ "$(git -C "$edit" for-each-ref refs/heads refs/stash | wc -l)" -eq 1 ] ||
		die "$edit has other branches or a stash; remove them, or move the folder away"
	if [ "$(git -C "$edit" rev-parse HEAD)" = "$(git -C "$tree" rev-parse series)" ]; then
		say "edit/ is up to date"
		exit
	fi
	rm -rf "$edit"
fi

rm -rf "$edit.new"
git clone -q --no-hardlinks --branch series "$tree" "$edit.new"
git -C "$edit.new" remote remove origin
git -C "$edit.new" update-ref "$imported" HEAD
mv -T "$edit.new" "$edit"
say "edit/ has the series: $(git -C "$edit" rev-list --count base..HEAD) commits after the tag base"
say "change, commit and rebase in edit/, then run make import"
