#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# modules.sh KERNEL ours|stock|fixes: build drivers/vfio for a kernel if it changed, and
# print the folder in the root with the modules. "ours" builds the patched source with
# iommufd and our samples, "stock" the pristine source, and "fixes" the pristine source
# with only the first series. The folder has:
#
#     lib/modules/RELEASE  the vfio modules and the kernel's other modules
#     devel/               our headers and symbols, for vendor.sh
#     devel/args           arguments for make, one per line

. "$(dirname "$0")/lib.sh"

usage="usage: modules.sh release|debug|debug-btf|stock ours|stock|fixes"
[ $# -eq 2 ] || die "modules.sh needs two arguments; $usage"
case "$2" in
ours | stock | fixes) ;;
*) die "unknown modules '$2'; $usage" ;;
esac

# compile WORK KERNEL SRC TREE DIR JOBS OPTIONS COMPILER: in the root, build the modules.
# OPTIONS is empty for stock modules.
compile()
{
	local work=$1 kernel=$2 src=$3 tree=$4 dir=$5 jobs=$6 options=$7 compiler=$8
	local release file obj folders=(drivers/vfio) objs

	set -euo pipefail
	# In this order: a folder uses symbols of the previous folders.
	if [ -n "$options" ]; then
		! grep -q ^CONFIG_IOMMUFD=m "$kernel/build/.config" || folders=(drivers/iommu/iommufd drivers/vfio)
		folders+=(samples/vfio-pci samples/vfio-mdev)
	fi
	mkdir -p "$work/src"
	/repo/scripts/external-source.sh "$src" "$tree" "$work/src" "${folders[@]}"
	# pci_endpoint_test requests a bus reset after any PCI error. A test needs this,
	# and our kernels do not have the driver.
	if [ -n "$options" ]; then
		mkdir -p "$work/src/misc"
		rsync -c "$src/drivers/misc/pci_endpoint_test.c" "$work/src/misc/"
		echo 'obj-m := pci_endpoint_test.o' >"$work/src/misc/Kbuild"
		folders+=(misc)
	fi
	# make does not detect other options or another compiler: rebuild all objects.
	{ cat /repo/configs/drivers.config ${options:+"$options"}; echo "# $compiler"; } >"$work/options.new"
	if ! cmp -s "$work/options.new" "$work/options"; then
		rm -rf "$work/obj"
		mv "$work/options.new" "$work/options"
	fi
	JOBS=$jobs OBJECTS=$work/obj /repo/scripts/external-build.sh "$kernel/build" "$work/options" \
		"$work/src/include" "${folders[@]/#/"$work/src/"}"
	objs=("${folders[@]##*/}")
	objs=("${objs[@]/#/"$work/obj/"}")

	release=$(cat "$kernel/release")
	rm -rf "$dir.new"
	mkdir -p "$dir.new/lib/modules/$release/updates"
	ln -s "$kernel/modules/lib/modules/$release/kernel" "$dir.new/lib/modules/$release/kernel"
	for file in modules.order modules.builtin modules.builtin.modinfo; do
		cp "$kernel/modules/lib/modules/$release/$file" "$dir.new/lib/modules/$release/"
	done
	# Copy only modules of this build; the folder may contain older ones.
	for obj in "${objs[@]}"; do
		sed 's/\.o$/.ko/' "$obj/modules.order" | while read -r file; do
			strip --strip-debug -o "$dir.new/lib/modules/$release/updates/$(basename "$file")" \
				"$obj/${file#"$obj/"}"
		done
	done
	if [ -n "$options" ]; then
		mkdir "$dir.new/devel"
		cp -r "$work/src/include" "$dir.new/devel/"
		cat "${objs[@]/%//Module.symvers}" >"$dir.new/devel/Module.symvers"
		sed "s,$work/src,$dir/devel," "$work/obj/vfio/args" >"$dir.new/devel/args"
		echo "KBUILD_EXTRA_SYMBOLS=$dir/devel/Module.symvers" >>"$dir.new/devel/args"
	fi
	depmod -b "$dir.new" "$release"
	mv -T "$dir.new" "$dir"
	prune /cache
}

kernel=$("$SCRIPTS/kernel.sh" "$1")
src=$("$SCRIPTS/source.sh")
tree=$src
options=
case $2 in
ours)
	tree=$("$SCRIPTS/tree.sh")
	options=/repo/configs/modules.config
	;;
fixes) tree=$(WITHOUT=$(cd "$REPO/patches" && printf '%s\n' */ | sed 's,/,,; /^1-/d' | xargs) "$SCRIPTS/tree.sh") ;;
esac
compiler=$(cat "$("$SCRIPTS/root.sh")/etc/vfio-regops/gcc")
dir=modules-$1-$2-$({ echo "$kernel $tree $compiler"; cat "$REPO/configs/"{drivers,modules}.config "$SCRIPTS/"{external-source,external-build,vendor-aliases}.sh; declare -f compile; } | key)

name=$1-$2
work=build-${kernel#/cache/}-$2
build()
{
	step_in_root "building the vfio modules $name" "$CACHE/log/modules-$name.log" 'compile prune' \
		"/cache/$work" "$kernel" "$src" "$tree" "/cache/$dir" "$JOBS" "$options" "$compiler"
}

once "$dir" "modules-$name" 300 "vfio's modules" build
used "$work"
echo "/cache/$dir"
