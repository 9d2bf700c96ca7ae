#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# allmodconfig.sh ARCH: prepare a kernel build directory with allmodconfig for ARCH
# (x86_64, arm64 or s390) if it is missing, and print its path in the root. Use it to
# compile external modules; it contains no kernel.

. "$(dirname "$0")/lib.sh"

if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/allmodconfig.sh "$@"
fi
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}

case ${1:-} in
x86_64) cross= ;;
arm64) cross=aarch64-linux-gnu- ;;
s390) cross=s390x-linux-gnu- ;;
*) die "usage: allmodconfig.sh x86_64|arm64|s390" ;;
esac
arch=$1
command -v "${cross}gcc" >/dev/null || die "no ${cross}gcc in the root; add gcc${cross:+-${cross%-}} to configs/packages"

# Disable options that make the build slow, or fail on warnings of upstream code.
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

	# Build in place: kbuild stores paths in its output.
	rm -rf "$result"
	mkdir "$result"
	echo "$fragment" >"$result/fragment"
	"${make[@]}" "KCONFIG_ALLCONFIG=$result/fragment" allmodconfig &&
		"${make[@]}" "-j$JOBS" modules_prepare &&
		touch "$result/complete"
}

build()
{
	step "preparing a build of all modules for $arch" "$CACHE/log/allmod-$arch.log" prepare
}

once "$name/complete" "allmod-$arch" 1000 "a build directory for $arch" build
echo "$result"
