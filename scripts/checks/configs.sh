# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Compile drivers/vfio and our samples in configurations that no VM boots: all built in,
# vendor drivers as modules, no module support, and s390 with KVM. Kconfig sets the
# options. Link the built-in objects, but not vmlinux, to find missing and duplicate
# symbols.

. "$SCRIPTS/vfio-build.sh"

# An overlay of the patched files on the pristine source
configs=$CACHE/configs-$({ echo "$src"; gcc --version; s390x-linux-gnu-gcc --version; } | key)
linux=$configs/linux

# base m|y: print the options of our kernel and of the series, with each m replaced.
base()
{
	sed "s/=m\$/=$1/" "$REPO/configs/release.config" "$REPO/configs/modules.config"
	# Without objtool, the build is faster
	printf 'CONFIG_%s\n' JUMP_LABEL=n UNWINDER_FRAME_POINTER=y
	# For drivers in BPF, which the kernels of the VMs do not have
	printf 'CONFIG_%s\n' BPF_SYSCALL=y BPF_JIT=y DEBUG_KERNEL=y DEBUG_INFO_NONE=n DEBUG_INFO_DWARF5=y \
		DEBUG_INFO_BTF=y DEBUG_INFO_BTF_MODULES=y
}

# configure DIR FRAGMENT MAKE...: write the configuration; print the log on failure.
configure()
{
	local dir=$1 fragment=$2
	shift 2

	# Keep an unchanged configuration: make would check all files again.
	cmp -s "$dir/fragment" "$fragment" && [ ! "$configs/kconfig" -nt "$dir/.config" ] && return
	"$@" "KCONFIG_ALLCONFIG=$fragment" allnoconfig >"$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
	cp "$fragment" "$dir/fragment"
}

# compile NAME ARCH FRAGMENT WANTED: compile one configuration. Fail if Kconfig drops an
# option in WANTED, such as "VFIO=y".
compile()
{
	local name=$1 arch=$2 dir=$configs/$1 log=$CACHE/log/configs-$1.log cross='' make status=0 option began

	[ "$arch" != s390 ] || cross=s390x-linux-gnu-
	make=(make -k -C "$linux" "O=$dir" "-j$JOBS" "ARCH=$arch" "CROSS_COMPILE=$cross")
	began=$(date +%s)
	say "compiling drivers/vfio: $name"
	mkdir -p "$dir"
	printf '%s\n' "$3" >"$tmp/fragment"
	configure "$dir" "$tmp/fragment" "${make[@]}" >"$tmp/why" || status=1
	for option in $4; do
		grep -qx "CONFIG_$option" "$dir/.config" || echo "not set: CONFIG_$option" >>"$tmp/why"
	done
	empty "$name: Kconfig sets $(wc -w <<<"$4") options" "$tmp/why"

	# Warnings appear only when a file is compiled: after a warning, rebuild everything.
	[ ! -e "$dir/unclean" ] || rm -rf "$dir/drivers/"{iommu/iommufd,vfio} "$dir/samples"
	touch "$dir/unclean"
	"${make[@]}" drivers/iommu/iommufd/ drivers/vfio/ samples/vfio-pci/ samples/vfio-mdev/ >"$log" 2>&1 || status=$?
	grep -E 'warning: |error: |\*\*\*' "$log" | grep -v 'pahole version differs' | sed "s,$linux/,," >"$tmp/why" || true
	[ ! -s "$tmp/why" ] || status=1
	result "$status" "$name: drivers/vfio and the samples compile without a warning" "$tmp/why"
	[ "$status" -eq 0 ] || return 0
	rm "$dir/unclean"

	(
		cd "$dir"
		mapfile -t archives < <(ls drivers/{iommu/iommufd,vfio}/built-in.a samples/vfio-{pci,mdev}/built-in.a 2>/dev/null)
		"${cross}ld" -r -o "$tmp/linked.o" --whole-archive "${archives[@]}" &&
			"${cross}nm" -u "$tmp/linked.o" | sed -n -E 's/^ *U (.*\b_*(vfio|mdev|iommufd)_.*)/undefined: \1/p'
	) >"$tmp/why" 2>&1 || true
	empty "$name: built-in objects link without missing or duplicate symbols" "$tmp/why"
	say "compiling drivers/vfio: $name: done in $(($(date +%s) - began)) s"
}

lock configs
mkdir -p "$configs/linux"
used "${configs##*/}"
sync_tree "$configs/src" "$tree" series
# The modification time of this file shows whether the Kconfig files of the series have changed.
git -C "$tree" diff base series -- '*Kconfig*' | cmp -s - "$configs/kconfig" ||
	git -C "$tree" diff base series -- '*Kconfig*' >"$configs/kconfig"
mount -t overlay -o "ro,lowerdir=$configs/src:$src" overlay "$linux" ||
	die "cannot mount an overlay in $configs; put the cache on a file system that overlayfs can use (XDG_CACHE_HOME), or check 'modprobe overlay'"
trap 'umount "$linux"' EXIT

# set_to m|y: print the options on stdin with a value.
set_to()
{
	sed -n "/./s/\$/=$1/p" | xargs
}

ours=$(sed -n 's/^CONFIG_\(.*\)=m$/\1/p' "$REPO/configs/modules.config")
# Options that can only be modules ("depends on m")
modules=$(grep -x -F -f <(git -C "$tree" diff base series -- '*Kconfig*' |
	awk '/^\+(menu)?config / { name = $2 } /^\+\tdepends on (.* && )?m$/ { print name }') <<<"$ours" || true)
others=$(grep -v -x -F "$modules" <<<"$ours")
samples=$(grep '^SAMPLE_' <<<"$ours")
built_in="VFIO=y VFIO_PCI_CORE=y VFIO_PCI=y"
compile no-modules x86_64 "$(base y; echo CONFIG_MODULES=n)" "$built_in $(set_to y <<<"$others")"
compile built-in x86_64 "$(base y; sed -n 's/./CONFIG_&/;T;s/$/=m/p' <<<"$modules")" \
	"$built_in $(set_to m <<<"$modules") $(set_to y <<<"$others")"
compile vendor-modules x86_64 "$(base m; printf 'CONFIG_%s\n' IOMMUFD=y VFIO=y VFIO_PCI=y)" "$built_in $(set_to m <<<"$ours")"
s390="SMP=y PCI=y HOTPLUG_PCI=y HOTPLUG_PCI_S390=y MODULES=y EVENTFD=y EXPERT=y DEBUG_FS=y VIRTUALIZATION=y KVM=y
	IOMMU_SUPPORT=y S390_IOMMU=y IOMMUFD=y VFIO_GROUP=y VFIO_DEVICE_CDEV=y SAMPLES=y
	$built_in VFIO_PCI_VENDOR=y VFIO_PCI_MIGRATION=y VFIO_PCI_ZDEV_KVM=y VFIO_DEBUGFS=y ISM_VFIO_PCI=m
	$(set_to m <<<"$samples")"
# shellcheck disable=SC2086 # a list of options
compile s390 s390 "$(printf 'CONFIG_%s\n' $s390)" "$built_in VFIO_PCI_ZDEV_KVM=y VFIO_DEBUGFS=y ISM_VFIO_PCI=m $(set_to m <<<"$samples")"
umount "$linux"
trap - EXIT
unlock
