#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# screenshots.sh FOLDER: run lsvfio in a VM, and write pictures of its output to
# FOLDER/NAME.svg for tools/vfio/lsvfio.rst. FOLDER is in out/. The cache keeps the
# pictures until their inputs change.

. "$(dirname "$0")/lib.sh"

[[ $# -eq 1 && "$1" == out/* ]] || die "usage: screenshots.sh out/FOLDER"

# pictures FOLDER: in the root, draw what the guest has recorded in FOLDER.
pictures()
{
	local file

	set -euo pipefail
	for file in "$1"/*.txt; do
		python3 -B scripts/terminal-svg.py "lsvfio $(cat "${file%.txt}.arguments")" <"$file" >"${file%.txt}.svg"
		# It must show what lsvfio has printed
		grep -q '</text>' "${file%.txt}.svg"
	done
}

"$SCRIPTS/root.sh" --add python3-rich >/dev/null
modules=$("$SCRIPTS/modules.sh" stock ours)
dir=screenshots-$({ echo "$modules"; cd "$REPO"; sha256sum scripts/guest/screenshots.sh scripts/terminal-svg.py tools/vfio/*; } | key)
build()
{
	local work=$OUT/screenshots

	rm -rf "$work"
	mkdir -p "$work"
	"$SCRIPTS/in-root.sh" make -s -C tools/vfio OUTPUT=/repo/out/screenshots/lsvfio >"$work/log" 2>&1 ||
		die "lsvfio does not build (log: out/screenshots/log)"
	say "taking screenshots of lsvfio in a VM"
	KERNEL=stock DEVICES='edu igb nvme' NAME=screenshots APPEND=$NO_MIGRATION "$SCRIPTS/vm.sh" \
		scripts/guest/screenshots.sh out/screenshots </dev/null >"$work/log" 2>&1 ||
		die "the VM for the screenshots failed (log: out/screenshots/log)"
	step_in_root "drawing the screenshots" "$CACHE/log/screenshots.log" pictures out/screenshots
	rm -rf "$CACHE/$dir.new"
	mkdir "$CACHE/$dir.new"
	cp "$work"/*.svg "$CACHE/$dir.new/"
	mv -T "$CACHE/$dir.new" "$CACHE/$dir"
}

once "$dir" screenshots 100 "the screenshots" build
mkdir -p "$REPO/$1"
cp "$CACHE/$dir"/*.svg "$REPO/$1/"
