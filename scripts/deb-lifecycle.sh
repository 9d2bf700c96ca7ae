#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb-lifecycle.sh DEBIAN WORK [all]: in the root, install and remove the packages in out/deb in a
# copy of the system of debian.sh, and install a package that does not build. "all" also
# upgrades them and installs another kernel. WORK appears when all steps are done. WORK/results gets
# the output of each step with its status, and the state after it:
#
#     STEP.modules     the vfio modules that modprobe loads, with their files
#     STEP.status      dkms status, and the state of the packages
#     STEP.initramfs   the modules in the initramfs
#     STEP.files       checksums of all that depmod and dpkg have written to /lib/modules
#
# WORK/installed, WORK/upgraded and WORK/removed get the modules after these steps, for a VM.
# WORK/other gets vfio-pci-bpf of another build.

set -euo pipefail
. scripts/debian-copy.sh

work=$2.new
folder=$work/results

rm -rf --one-file-system "$work"
mkdir -p "$folder"
copy_debian "$1" "$work/root"
version=$(dpkg-deb -f "$root"/debs/vfio-pci-regops-dkms_*.deb Version)

# state STEP: write the state.
state()
{
	local modules

	modules=$(cd "$root/usr/lib/modules/$abi" && find . -name '*.ko*' | sed -n -E 's,.*/([^/]*vfio[^/]*|mdev|irqbypass)\.ko.*,\1,p' | sort -u)
	for module in $modules; do
		echo "$module $(inside modinfo -k "$abi" -n "$module")"
	done >"$folder/$1.modules"
	{ inside dkms status 2>&1 || true; inside dpkg -l 'vfio-*' 2>&1 || true; } >"$folder/$1.status"
	inside lsinitramfs "/boot/initrd.img-$abi" | grep '\.ko' | sed 's,.*/,,' | sort >"$folder/$1.initramfs" || true
	(cd "$root/usr/lib/modules" && find . -type f ! -name '*.bin' | sort | xargs sha256sum) >"$folder/$1.files"
}

# step STEP COMMAND...: run a command in the system; write its output and the state.
step()
{
	local status=0

	inside "${@:2}" >"$folder/$1" 2>&1 || status=$?
	echo "status $status" >>"$folder/$1"
	state "$1"
}

# repack SUFFIX [COMMAND]: make newer packages, with a change in their sources.
repack()
{
	local deb tmp=$work/repack new=$version.$1

	for deb in "$root"/debs/vfio-pci-regops-*_"${version}"_all.deb; do
		rm -rf "$tmp"
		dpkg-deb -R "$deb" "$tmp"
		sed -i "s/$version/$new/g" "$tmp"/DEBIAN/*
		if [ -e "$tmp/usr/src" ]; then
			sed -i "s/$version/$new/" "$tmp"/usr/src/*/dkms.conf
			mv "$tmp/usr/src/vfio-pci-regops-$version" "$tmp/usr/src/vfio-pci-regops-$new"
			(cd "$tmp/usr/src/vfio-pci-regops-$new" && eval "${2-:}")
		else
			ln -sfn "../../src/vfio-pci-regops-$new" "$tmp/usr/share/vfio-pci-regops/source"
		fi
		dpkg-deb -Znone -b "$tmp" "$(dirname "$deb")/new-$1-$(basename "$deb")" >/dev/null
	done
}

# build_other: build vfio-pci-bpf as in a package with another private header, in WORK/other. The
# other modules of this package are missing.
build_other()
{
	local source=$root/root/other symbols

	cp -r "$root/usr/src/vfio-pci-regops-$version" "$source"
	echo "/* another version */" >>"$source/drivers/vfio/pci/vfio_pci_priv.h"
	sed -i '/^CONFIG_/!d' "$source/options"
	symbols=$(scripts/deb-symbols.sh "$source")
	echo "$symbols" >>"$source/options"
	inside env -C /root/other KBUILD_MODPOST_WARN=1 ./external-build.sh "/lib/modules/$abi/build" options include drivers/vfio/pci/bpf
	mkdir "$work/other"
	cp "$source/drivers/vfio/pci/bpf/vfio-pci-bpf.ko" "$work/other/"
	echo ./vfio-pci-bpf.ko: >"$work/other/modules.dep"
	rm -r "$source"
}

# keep NAME: link the modules for a VM. Later steps replace files, but do not change them.
keep()
{
	mkdir -p "$work/$1/lib"
	cp -al "$root/usr/lib/modules" "$work/$1/lib/modules"
}

state before
# The README names the headers. apt only simulates this: it has not downloaded the packages.
inside sh -c "apt-get -s install $(sed -n 's,^ *apt install \(.*\)\./out/deb/\*\.deb \([^#]*\).*,\1/debs/vfio-*.deb \2,p' README.md)" \
	>"$folder/readme" 2>&1 || true
step install sh -c 'apt-get -q -y install /debs/vfio-*.deb'
inside modinfo -k "$abi" -F signer vfio-pci >"$folder/install.signer" 2>&1 || true
step tools sh -c 'lsvfio --help && ls /usr/share/man/man8/lsvfio.8.gz /usr/share/bash-completion/completions/lsvfio'
step example sh -c "$(example_build "$abi") && $(example_install "$abi")"
keep installed
build_other >"$folder/other-build" 2>&1
inside rm "/lib/modules/$abi/updates/vfio_pci_edu.ko"
# A kernel of another version has the same headers here
inside sh -c "mkdir /lib/modules/7.2.12+deb13-amd64 && ln -s /usr/src/linux-headers-$abi /lib/modules/7.2.12+deb13-amd64/build"
step other dkms autoinstall -k 7.2.12+deb13-amd64
inside rm -r /lib/modules/7.2.12+deb13-amd64
inside mkdir /lib/modules/7.3.0+deb13-amd64
step no-headers dkms autoinstall -k 7.3.0+deb13-amd64
inside rm -r /lib/modules/7.3.0+deb13-amd64

if [ "${3-}" = all ]; then
	repack 1
	step upgrade sh -c 'apt-get -q -y install /debs/new-1-*.deb'
	keep upgraded
	step kernel apt-get -q -y install "linux-headers-$rt"
	# Without the image, there is no modules.dep
	inside sh -c "modinfo /lib/modules/$rt/updates/dkms/vfio-pci.ko*" >"$folder/kernel.modinfo" 2>&1 || true
	step kernel-removed apt-get -q -y purge "linux-headers-$rt" "linux-base-$rt"
fi
step remove apt-get -q -y remove vfio-pci-regops-dkms
keep removed
repack 2 'echo "#error broken" >>drivers/vfio/vfio_main.c'
step broken sh -c 'apt-get -q -y install /debs/new-2-*.deb'
step purge dpkg --purge vfio-pci-regops-dkms vfio-pci-regops-dev
find "$root"/{etc,usr,var} -path '*vfio-pci-regops*' ! -path '*/var/cache/*' ! -path '*/var/lib/apt/*' >"$folder/purge.left"
unmount_debian
rm -rf --one-file-system "$root" "$work/repack"
mv -T "$work" "$2"
