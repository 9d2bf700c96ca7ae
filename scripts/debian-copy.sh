# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Functions for a copy of the system of debian.sh, to call in the root.

# copy_debian DEBIAN ROOT: copy the system, with the packages of out/deb in /debs, and mount proc,
# dev and sys. Set root, and abi to the release of its kernel.
copy_debian()
{
	local folder

	root=$2
	cp -a "$1" "$root"
	mkdir "$root/debs"
	cp out/deb/*.deb "$root/debs/"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	for folder in proc dev sys; do
		mount --rbind "/$folder" "$root/$folder"
	done
	# shellcheck disable=SC2034 # for the callers
	abi=$(basename "$root"/usr/lib/modules/*)
}

# inside COMMAND...: run a command in the copy.
inside()
{
	chroot "$root" env -i DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin "$@" </dev/null
}

# example RELEASE: print a command that installs the package's example of a vendor module.
example()
{
	echo "cp -rT /usr/share/doc/vfio-pci-regops-dev/examples/edu /root/edu-$1 &&
		make -C /root/edu-$1 KERNEL=$1 &&
		install -D -t /lib/modules/$1/updates /root/edu-$1/vfio_pci_edu.ko && depmod $1"
}
