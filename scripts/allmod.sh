#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# allmod.sh ARCH: ensure a kernel build directory for ARCH (x86_64, arm64 or
# s390) that has every driver as a module, prepared for building external
# modules; prints its path inside the root. It has no kernel in it: it proves
# that modules compile, for architectures and devices that no test machine has.

. "$(dirname "$0")/lib.sh"

if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/allmod.sh "$@"
fi
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}

case ${1:-} in
x86_64) cross= ;;
arm64) cross=aarch64-linux-gnu- ;;
s390) cross=s390x-linux-gnu- ;;
*) die "usage: allmod.sh x86_64|arm64|s390" ;;
esac
arch=$1
command -v "${cross}gcc" >/dev/null || die "no ${cross}gcc in the root; the package gcc${cross:+-${cross%-}} belongs into configs/packages"

# allmodconfig, without what only makes it slow or fail on a warning of others.
fragment='
CONFIG_DEBUG_INFO_NONE=y
CONFIG_GCC_PLUGINS=n
CONFIG_GCOV_KERNEL=n
CONFIG_KASAN=n
CONFIG_KCOV=n
CONFIG_KCSAN=n
CONFIG_KMSAN=n
CONFIG_LTO_NONE=y
CONFIG_MODULE_SIG=n
CONFIG_MODVERSIONS=n
CONFIG_RUST=n
CONFIG_UBSAN=n
CONFIG_WERROR=n
'

name=allmod-$arch-$({ echo "$src $fragment"; "${cross}gcc" --version; } | key)
result=$CACHE/$name

prepare()
{
	local make=(make -s -C "$src" "O=$result" "ARCH=$arch" "CROSS_COMPILE=$cross")

	echo "$fragment" >"$result/fragment"
	"${make[@]}" "KCONFIG_ALLCONFIG=$result/fragment" allmodconfig &&
		"${make[@]}" "-j$JOBS" modules_prepare
}

# Built in place, as kbuild writes its paths into what it builds; the file
# "complete" comes last.
lock "allmod-$arch"
if [ ! -e "$result/complete" ]; then
	need_space 1000 "a build directory for $arch"
	rm -rf "$result"
	mkdir "$result"
	step "preparing a build of all modules for $arch" "$CACHE/log/allmod-$arch.log" prepare
	touch "$result/complete"
fi
used "$name"
echo "$result"
