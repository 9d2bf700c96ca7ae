#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel.sh release|debug|debug-btf|stock: build a kernel if it is missing, and print its
# folder in the root:
#     vmlinuz     the kernel for QEMU
#     initrd      only for the stock kernel
#     release     the kernel release (`uname -r`)
#     build       the build folder for external modules
#     modules/    the kernel's modules, except those of vfio
# An interrupted build continues where it stopped.

. "$(dirname "$0")/lib.sh"

usage="usage: kernel.sh release|debug|debug-btf|stock"
[ $# -eq 1 ] || die "kernel.sh needs one argument; $usage"

# configure FOLDER SOURCE FRAGMENT...: in the root, write the configuration.
configure()
{
	local missing

	set -euo pipefail
	mkdir -p "$1/build"
	cat "${@:3}" >"$1/fragments"
	make -C "$2" O="$1/build" KCONFIG_ALLCONFIG="$1/fragments" allnoconfig
	# A later fragment overrides an earlier one. Kconfig silently drops options
	# with unmet dependencies.
	missing=$(awk -F'[ =]' '/^CONFIG_/ { want[$1] = $0 }
			/^# CONFIG_.* is not set/ { want[$2] = $0 }
			END { for (o in want) print want[o] }' "$1/fragments" |
		while read -r line; do
			if [[ "$line" == \#* ]]; then
				grep -q "^${line:2:-11}=" "$1/build/.config" && echo "$line"
			else
				grep -qxF -e "$line" "$1/build/.config" || echo "$line"
			fi
		done || true)
	[ -z "$missing" ] || { echo "not set: $missing"; exit 1; }
}

# compile FOLDER JOBS: in the root, build the kernel and its modules.
compile()
{
	set -euo pipefail
	# The build includes vfio for its dependencies; modules.sh replaces it.
	make -C "$1/build" -j"$2" KBUILD_BUILD_USER=vfio KBUILD_BUILD_HOST=regops bzImage modules
	rm -rf "$1/modules"
	make -C "$1/build" INSTALL_MOD_PATH="$1/modules" modules_install
	cp "$1/build/arch/x86/boot/bzImage" "$1/vmlinuz"
	cp "$1/build/include/config/kernel.release" "$1/release"
	find "$1/modules" -path '*/drivers/vfio' -prune -exec rm -r {} +
	awk -F'\t' '$3 !~ /^drivers\/vfio\//' "$1/build/Module.symvers" >"$1/symvers"
	mv "$1/symvers" "$1/build/Module.symvers"
	touch "$1/complete"
}

case "$1" in
release) fragments=(release) ;;
debug) fragments=(release debug) ;;
debug-btf)
	fragments=(release debug btf)
	"$SCRIPTS/root.sh" --add pahole >/dev/null
	;;
stock) exec "$SCRIPTS/kernel-stock.sh" ;;
*) die "unknown kernel '$1'; $usage" ;;
esac
fragments=("${fragments[@]/#/configs/}")
fragments=("${fragments[@]/%/.config}")

src=$("$SCRIPTS/source.sh")
root=$("$SCRIPTS/root.sh")
dir=kernel-$1-$({ echo "$src"; cd "$REPO"; cat "${fragments[@]}" "$root/etc/vfio-regops/gcc"; } | key)

build()
{
	step_in_root "configuring the kernel $kernel" "$CACHE/log/kernel-$kernel-config.log" configure \
		"/cache/$dir" "$src" "${fragments[@]/#//repo/}"
	step_in_root "building the kernel $kernel with $JOBS jobs" "$CACHE/log/kernel-$kernel.log" compile \
		"/cache/$dir" "$JOBS"
}

kernel=$1
once "$dir/complete" "kernel-$kernel" 3000 "the kernel" build
echo "/cache/$dir"
