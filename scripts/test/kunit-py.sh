#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kunit-py.sh: run our KUnit tests as upstream does, by kunit.py: build a kernel of the
# patched source, and boot it. This takes minutes. The suite kunit runs the same tests as
# modules.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

folder=$OUT/kunit-py
rm -rf "$folder"
mkdir -p "$folder"

# run SOURCE TREE JOBS ACCEL: in the root, run kunit.py on SOURCE with the files of TREE.
run()
{
	local work=/cache/kunit-py

	set -euo pipefail
	# Keep the objects of the last run
	rm -rf "$work/source"
	mkdir -p "$work"
	cp -rs "$1" "$work/source"
	rm -r "$work/source/tools/testing/kunit"
	# kunit.py finds the source by its real path
	cp -r "$1/tools/testing/kunit" "$work/source/tools/testing/"
	(cd "$2" && find . -name .git -prune -o -type f -print | cpio -pdmu --quiet "$work/source")
	# kunit.py prefers KVM, even if it is broken
	[ "$4" = kvm ] || [ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm
	cd "$work/source"
	tools/testing/kunit/kunit.py run --arch=x86_64 --kunitconfig=drivers/vfio/pci/tests \
		--build_dir="$work/objects" --jobs="$3" --timeout=1200
}

tree=$("$SCRIPTS/tree.sh")
accel=$(KERNEL=release MODULES=ours "$SCRIPTS/accel.sh")
say "kunit-py: building a kernel takes about 10 minutes; log: $folder/log"
lock kunit-py
status=0
"$SCRIPTS/in-root.sh" bash -c "$(declare -f run); run"' "$@"' - "$("$SCRIPTS/source.sh")" "$tree" "$JOBS" "$accel" \
	</dev/null >"$folder/log" 2>&1 || status=$?
unlock
result "$status" "kunit.py succeeds" "$folder/log"

# A case is "[12:34:56] [PASSED] name"; a suite has = around it
while read -r outcome name; do
	case $outcome in
	PASSED) result 0 "kunit.py $name" ;;
	SKIPPED) skip "kunit.py $name" "see $folder/log" ;;
	*) result 1 "kunit.py $name: $outcome" "$folder/log" ;;
	esac
done < <(sed -n -E 's/^\[[0-9:]+\] \[([A-Z]+)\] ([^ ]+)$/\1 \2/p' "$folder/log")
# kunit.py also runs suites that the kernel enables by default
while read -r suite; do
	status=0
	grep -q "= \[PASSED\] $suite =" "$folder/log" || status=1
	result "$status" "kunit.py ran the suite $suite" "$folder/log"
done < <(sed -n -E 's/^\t\.name\t+= "(.*)",$/\1/p' "$REPO"/drivers/vfio/pci/tests/*_kunit.c)
totals
