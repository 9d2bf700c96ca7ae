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
	local release line name value obj folder args=() defines=() objs=() symbols=()

	set -euo pipefail
	mkdir -p "$work/src" "$work/patched" "$work/obj"

	# Changed headers precede the kernel's. Include a changed header of include/uapi
	# as <uapi/...>.
	{ [ "$tree" = "$src" ] || (cd "$tree" && find include -type f); } | while read -r file; do
		cmp -s "$tree/$file" "$src/$file" || echo "$file"
	done >"$work/headers"
	rsync -rc --files-from="$work/headers" "$tree/" "$work/patched/"
	(cd "$work/patched" && find . -type f -printf '%P\n') | sort | comm -23 - <(sort "$work/headers") |
		sed "s,^,$work/patched/," | xargs -r rm

	while read -r line; do
		name=${line%%=*} value=${line#*=}
		[[ "$name" != *KUNIT* ]] || grep -q '^CONFIG_KUNIT=' "$kernel/build/.config" || continue
		[[ "$name" != *_BPF ]] || grep -q '^CONFIG_DEBUG_INFO_BTF_MODULES=' "$kernel/build/.config" || continue
		args+=("$name=$value")
		[ "$value" = m ] && defines+=("-D${name}_MODULE=1") || defines+=("-D$name=1")
	done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' /repo/configs/drivers.config ${options:+"$options"})
	# make does not detect other options or another compiler: rebuild all objects.
	if [ "$(cat "$work/args" 2>/dev/null)" != "${args[*]} $compiler" ]; then
		rm -rf "$work/obj"
		mkdir "$work/obj"
		echo "${args[*]} $compiler" >"$work/args"
	fi

	args+=(NOSTDINC_FLAGS="-nostdinc -I$work/patched/include" KCFLAGS="${defines[*]}")
	[ "$tree" = "$src" ] || rsync -rcR "$tree"/./drivers/iommu/*.h "$work/src/"
	# In this order: a folder uses symbols of the previous folders.
	for folder in $([ -z "$options" ] || ! grep -q ^CONFIG_IOMMUFD=m "$kernel/build/.config" || echo drivers/iommu/iommufd) \
		drivers/vfio $([ -z "$options" ] || echo samples/vfio-pci samples/vfio-mdev); do
		mkdir -p "$work/src/$folder" "$work/obj/$folder"
		# Compare contents, so that an unchanged file keeps its time and make skips it.
		rsync -rc --delete --exclude=.git "$tree/$folder/" "$work/src/$folder/"
		make -C "$kernel/build" -j"$jobs" M="$work/src/$folder" MO="$work/obj/$folder" \
			KBUILD_EXTRA_SYMBOLS="${symbols[*]}" "${args[@]}" modules
		objs+=("$work/obj/$folder")
		symbols+=("$work/obj/$folder/Module.symvers")
	done
	# pci_endpoint_test requests a bus reset after any PCI error. A test needs this,
	# and our kernels do not have the driver.
	if [ -n "$options" ]; then
		mkdir -p "$work/src/misc" "$work/obj/misc"
		rsync -c "$src/drivers/misc/pci_endpoint_test.c" "$work/src/misc/"
		echo 'obj-m := pci_endpoint_test.o' >"$work/src/misc/Kbuild"
		make -C "$kernel/build" -j"$jobs" M="$work/src/misc" MO="$work/obj/misc" modules
		objs+=("$work/obj/misc")
	fi

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
		# modpost of an unpatched kernel makes no aliases of vendor drivers.
		/repo/scripts/vendor-aliases.sh "$dir.new/lib/modules/$release/updates/"*.ko
		mkdir "$dir.new/devel"
		cp -r "$work/patched/include" "$dir.new/devel/"
		cat "${symbols[@]}" >"$dir.new/devel/Module.symvers"
		printf '%s\n' "${args[@]//"$work/patched"/"$dir/devel"}" \
			"KBUILD_EXTRA_SYMBOLS=$dir/devel/Module.symvers" >"$dir.new/devel/args"
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
dir=modules-$1-$2-$({ echo "$kernel $tree $compiler"; cat "$REPO/configs/"{drivers,modules}.config "$SCRIPTS/vendor-aliases.sh"; declare -f compile; } | key)

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
