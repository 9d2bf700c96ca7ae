#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel-stock.sh: unpack Debian's 7.3 kernel image for kernel.sh. Installing the
# packages would only add a boot loader configuration.

. "$(dirname "$0")/lib.sh"

# Keep only these of Debian's 4000 modules; modules.sh builds vfio. The variable is
# lower case because the environment may contain MODULES for vm.sh.
folders=(arch crypto lib virt fs/9p fs/netfs fs/overlayfs net/9p
	drivers/{block,char,dca,i2c,iommu,misc,nvme,pci,ptp,uio,virtio}
	drivers/net/ethernet/intel drivers/net/{virtio_net,net_failover}.ko.xz net/core/failover.ko.xz)

# fetch ABI VERSION: in the root, download the packages.
fetch()
{
	set -euo pipefail
	cd /cache/apt
	apt-get -q -o APT::Sandbox::User=root download "linux-binary-$1=$2" "linux-modules-$1=$2" "linux-base-$1=$2"
}

# assemble FOLDER ABI VERSION MODULES...: in the root, unpack the packages.
assemble()
{
	local dir=$1 abi=$2 version=${3/:/%3a} lib=usr/lib/modules/$2 module
	shift 3

	set -euo pipefail
	rm -rf "$dir"
	mkdir -p "$dir/modules/lib/modules" "$dir/unpack"
	cd "$dir/unpack"
	dpkg-deb --fsys-tarfile /cache/apt/linux-binary-"$abi"_"$version"_*.deb | tar -x "./$lib/vmlinuz"
	dpkg-deb --fsys-tarfile /cache/apt/linux-base-"$abi"_"$version"_*.deb | tar -x "./$lib"
	dpkg-deb --fsys-tarfile /cache/apt/linux-modules-"$abi"_"$version"_*.deb |
		tar -x "${@/#/./$lib/kernel/}"
	mv "$lib/vmlinuz" ../vmlinuz
	mv "$lib" ../modules/lib/modules/
	cd "$dir"
	rm -r unpack
	echo "$abi" >release
	ln -s "/usr/src/linux-headers-$abi" build
	# The root is on 9p. This kernel has 9p as modules, so the initrd loads them.
	mkdir -p initrd.d/{bin,dev,proc,newroot}
	cp /usr/bin/busybox initrd.d/bin/busybox
	for module in fs/netfs/netfs net/9p/9pnet net/9p/9pnet_virtio fs/9p/9p; do
		xz -dc "modules/lib/modules/$abi/kernel/$module.ko.xz" >"initrd.d/$(basename $module).ko"
	done
	cat >initrd.d/init <<'INIT'
#!/bin/busybox sh
for module in netfs 9pnet 9pnet_virtio 9p; do
	/bin/busybox insmod /$module.ko
done
/bin/busybox mount -t proc proc /proc
for word in $(/bin/busybox cat /proc/cmdline); do
	case $word in
	rootflags=*) flags=${word#rootflags=} ;;
	init=*) init=${word#init=} ;;
	esac
done
/bin/busybox umount /proc
/bin/busybox mount -t 9p -o "ro,$flags" root /newroot
exec /bin/busybox switch_root /newroot "$init"
INIT
	chmod 755 initrd.d/init
	(cd initrd.d && find . | cpio -o -H newc --quiet -R 0:0) | gzip -1 >initrd
	rm -r initrd.d
	touch complete
}

# choose [--recent]: select the image; set version, abi and dir.
choose()
{
	read -r version abi < <("$SCRIPTS/version.sh" "$@") || exit 1
	[ "$version" != tree ] || die "Debian has no image of the kernel tree in LINUX=; use KERNEL=release"
	[ "$abi" != - ] || die "the Debian archive has no image of Linux $version; use KERNEL=release"
	dir=kernel-stock-$({ echo "$version $abi ${folders[*]}"; declare -f assemble; } | key)
}

choose
[ -e "$CACHE/$dir/complete" ] || choose --recent
"$SCRIPTS/root.sh" --add "linux-headers-$abi" >/dev/null
build()
{
	step_in_root "fetching Debian's kernel $abi" "$CACHE/log/kernel-stock-fetch.log" fetch "$abi" "$version"
	step_in_root "unpacking Debian's kernel $abi" "$CACHE/log/kernel-stock.log" assemble \
		"/cache/$dir" "$abi" "$version" "${folders[@]}"
}

once "$dir/complete" kernel-stock 1000 "Debian's kernel" build
echo "/cache/$dir"
