#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# userspace.sh: build the test programs if they changed, and print their folder in the
# root. Its subfolder upstream/ has the unchanged vfio selftests of the pristine source.
# bpf.sh builds the test of BPF drivers, which needs more packages.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: userspace.sh"

# build_upstream FOLDER SOURCE JOBS: in the root, build upstream's selftests.
build_upstream()
{
	set -euo pipefail
	rm -rf "$1.new"
	mkdir -p "$1.new/headers" "$1.new/scripts"
	make -C "$2" O="$1.new/headers" headers
	make -C "$2/tools/testing/selftests/vfio" -j"$3" OUTPUT="$1.new" \
		KHDR_INCLUDES="-isystem $1.new/headers/usr/include"
	cp "$2"/tools/testing/selftests/vfio/scripts/*.sh "$1.new/scripts/"
	find "$1.new/headers" -mindepth 1 -maxdepth 1 ! -name usr -exec rm -rf {} +
	mv -T "$1.new" "$1"
}

# build_ours FOLDER SOURCE JOBS UPSTREAM TREE: in the root, build our programs. FOLDER/kselftest
# has all vfio selftests of TREE as the kernel installs them, FOLDER/source has libvfio
build_ours()
{
	local source=$1.new/source
	local tests=$source/tools/testing/selftests

	set -euo pipefail
	rm -rf "$1.new"
	mkdir -p "$tests" "$1.new/objects"
	ln -s "$2"/{drivers,scripts} "$source/"
	cp -rs "$2"/tools/{arch,include} "$source/tools/"
	cp -rs "$2"/tools/testing/selftests/{*.h,*.mk,Makefile,run_kselftest.sh,kselftest,vfio} "$tests/"
	(cd "$5/tools/testing/selftests/vfio" && find . -path ./bpf -prune -o -type f -print) | while read -r file; do
		mkdir -p "$tests/vfio/${file%/*}"
		cp --remove-destination "$5/tools/testing/selftests/vfio/$file" "$tests/vfio/$file"
	done
	# Emulation and a busy machine make tests slow: multiply their timeout by 5.
	rm "$tests/kselftest_harness.h"
	sed 's/poll(&poll_child, 1, t->timeout \* 1000)/poll(\&poll_child, 1, t->timeout * 5 * 1000)/' \
		"$2/tools/testing/selftests/kselftest_harness.h" >"$tests/kselftest_harness.h"
	if cmp -s "$2/tools/testing/selftests/kselftest_harness.h" "$tests/kselftest_harness.h"; then
		echo "error: kselftest_harness.h does not wait by poll() any more; change build_ours in scripts/userspace.sh"
		exit 1
	fi
	# The selftests look for the headers in O
	ln -s "$4/headers/usr" "$1.new/objects/usr"
	make -C "$tests" -j"$3" TARGETS=vfio FORCE_TARGETS=1 O="$1.new/objects" KSFT_INSTALL_PATH="$1.new/kselftest" \
		USERCFLAGS='-O2 -g' install
	(cd "$1.new" && ln -s kselftest/vfio/vfio_* .)
	make -C programs -j"$3" SRC="$source" HEADERS="$4/headers/usr/include" OUTPUT="$1.new"
	rm -r "$1.new"/{objects,region_diff}
	ln -s "../${4##*/}" "$1.new/upstream"
	mv -T "$1.new" "$1"
}

src=$("$SCRIPTS/source.sh")
tree=$("$SCRIPTS/tree.sh")
root=$("$SCRIPTS/root.sh")
compiler=$(cat "$root/etc/vfio-regops/gcc")

upstream=selftests-$({ echo "$src $compiler"; declare -f build_upstream; } | key)
ours=userspace-$({ echo "$upstream"; declare -f build_ours
	cd "$CACHE/${tree#/cache/}"
	find tools/testing/selftests/vfio -path '*/bpf' -prune -o -type f -print | sort | xargs sha256sum
	cd "$REPO"
	find programs -path programs/bpf -prune -o -type f \( -name '*.c' -o -name '*.h' -o -name Makefile \) -print | sort | xargs sha256sum; } | key)

upstream()
{
	"$SCRIPTS/root.sh" --add uuid-dev >/dev/null
	step_in_root "building upstream's vfio selftests" "$CACHE/log/selftests.log" build_upstream \
		"/cache/$upstream" "$src" "$JOBS"
}

ours()
{
	"$SCRIPTS/root.sh" --add uuid-dev >/dev/null
	step_in_root "building our test programs" "$CACHE/log/userspace.log" build_ours \
		"/cache/$ours" "$src" "$JOBS" "/cache/$upstream" "$tree"
}

once "$upstream" selftests 500 "upstream's vfio selftests" upstream
once "$ours" userspace 500 "our test programs" ours
echo "/cache/$ours"
