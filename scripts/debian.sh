#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debian.sh: install a Debian trixie with Debian's 7.3 kernel and its headers, if it is
# missing, and print its folder in the root. Its apt has downloaded the packages that
# scripts/deb-lifecycle.sh installs.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: debian.sh"

# bootstrap DIR ABI: in the root, install the system. DKMS signs modules if there is openssl. The
# initramfs has vfio-pci, and only modules that a user names.
bootstrap()
{
	set -euo pipefail
	rm -rf --one-file-system "$1.new"
	# shellcheck disable=SC2016 # for mmdebstrap
	ABI=$2 RT=${2%-amd64}-rt-amd64 mmdebstrap --mode=root --variant=minbase --format=directory --architectures=amd64 \
		--skip=cleanup/apt,cleanup/reproducible --aptopt=/etc/apt/apt.conf.d/99mmdebstrap \
		--dpkgopt=force-unsafe-io \
		--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list >"$1/etc/initramfs-tools/conf.d/list"' \
		--include="initramfs-tools,openssl,linux-base/trixie-backports,linux-image-$2,linux-headers-$2" \
		--customize-hook='echo vfio-pci >>"$1/etc/initramfs-tools/modules" && chroot "$1" update-initramfs -u' \
		--customize-hook='chroot "$1" apt-get -q -y --download-only install binutils dkms make' \
		--customize-hook='chroot "$1" apt-get -q -y --download-only install "linux-headers-$RT"' \
		trixie "$1.new" /etc/apt/sources.list
	mv -T "$1.new" "$1"
}

kernel=$("$SCRIPTS/kernel.sh" stock)
abi=$(cat "$CACHE/${kernel#/cache/}/release")
dir=debian-$({ echo "$abi"; declare -f bootstrap; } | key)
build()
{
	"$SCRIPTS/root.sh" --add mmdebstrap >/dev/null
	step_in_root "installing Debian with its kernel $abi" "$CACHE/log/debian.log" bootstrap "/cache/$dir" "$abi"
}

once "$dir" debian 2500 "Debian with its kernel" build
echo "/cache/$dir"
