#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bpf.sh samples|selftest|bpftool: build BPF programs if they changed, and print their
# folder in the root: the samples and the program for make bench; vfio_pci_bpf_test; or
# bpftool with our fix.

. "$(dirname "$0")/lib.sh"

# build_samples FOLDER TREE: in the root, build the samples.
build_samples()
{
	set -euo pipefail
	rm -rf "$1.new"
	mkdir "$1.new"
	cp "$2"/samples/vfio-pci/bpf/* programs/bpf/*.bpf.c "$1.new/"
	make -C "$1.new" CLANG=clang-19 all bench.bpf.o
	mv -T "$1.new" "$1"
}

# build_selftest FOLDER TREE PROGRAMS: in the root, build the selftest. It includes a header
# of the samples.
build_selftest()
{
	set -euo pipefail
	rm -rf "$1.new"
	mkdir -p "$1.new/top/samples/vfio-pci"
	cp -rs "$3"/source/{drivers,scripts,tools} "$1.new/top/"
	cp -r "$2/tools/testing/selftests/vfio/bpf" "$1.new/top/tools/testing/selftests/vfio/"
	ln -s "$2/samples/vfio-pci/bpf" "$1.new/top/samples/vfio-pci/"
	make -C "$1.new/top/tools/testing/selftests/vfio/bpf" CLANG=clang-19 top_srcdir="$1.new/top" \
		OUTPUT="$1.new" KHDR_INCLUDES="-isystem $3/upstream/headers/usr/include"
	rm -r "$1.new"/{top,libvfio,vendor}
	mv -T "$1.new" "$1"
}

# build_bpftool FOLDER TREE SOURCE JOBS: in the root, build bpftool. Without clang in the PATH
# it leaves out programs of its own that need more packages.
build_bpftool()
{
	set -euo pipefail
	rm -rf "$1.new"
	mkdir -p "$1.new"/{top/tools/bpf,objects}
	ln -s "$3"/{include,kernel,scripts} "$1.new/top/"
	ln -s "$3"/tools/{arch,build,include,lib,scripts} "$1.new/top/tools/"
	cp -r "$3/tools/bpf/bpftool" "$1.new/top/tools/bpf/"
	cp "$2/tools/bpf/bpftool/struct_ops.c" "$1.new/top/tools/bpf/bpftool/"
	make -C "$1.new/top/tools/bpf/bpftool" -j"$4" OUTPUT="$1.new/objects/"
	mv "$1.new/objects/bpftool" "$1.new/"
	rm -r "$1.new"/{top,objects}
	mv -T "$1.new" "$1"
}

# sums FOLDER...: print the checksums of files in the tree.
sums()
{
	(cd "$CACHE/${tree#/cache/}" && find "$@" -type f | sort | xargs sha256sum)
}

tree=$("$SCRIPTS/tree.sh")
case "${1-}" in
samples)
	what="the BPF samples"
	dir=bpf-samples-$({ declare -f build_samples; sums samples/vfio-pci/bpf; sha256sum "$REPO"/programs/bpf/*; } | key)
	arguments=()
	;;
selftest)
	what="the selftest of BPF drivers"
	programs=$("$SCRIPTS/userspace.sh")
	dir=bpf-selftest-$({ echo "$programs"; declare -f build_selftest; sums samples/vfio-pci/bpf tools/testing/selftests/vfio/bpf; } | key)
	arguments=("$programs")
	;;
bpftool)
	what=bpftool
	src=$("$SCRIPTS/source.sh")
	dir=bpf-bpftool-$({ echo "$src"; declare -f build_bpftool; sums tools/bpf; } | key)
	arguments=("$src" "$JOBS")
	;;
*) die "unknown argument '${1-}'; usage: bpf.sh samples|selftest|bpftool" ;;
esac

build()
{
	"$SCRIPTS/root.sh" --add clang-19 libbpf-dev bpftool/trixie-backports >/dev/null
	step_in_root "building $what" "$CACHE/log/bpf-$kind.log" "build_$kind" "/cache/$dir" "$tree" \
		${arguments[@]+"${arguments[@]}"}
}

kind=$1
once "$dir" "bpf-$kind" 200 "$what" build
echo "/cache/$dir"
