# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Functions that change a copy of the system of debian.sh. Call them in the root.

# copy_debian DEBIAN ROOT: copy the system, with the packages of out/deb in /debs, and mount proc,
# dev and sys. Set root, abi to the release of its kernel, and rt to that of the rt kernel.
# shellcheck disable=SC2034 # the callers use them
copy_debian()
{
	local dir

	root=$2
	cp -a "$1" "$root"
	mkdir "$root/debs"
	cp out/deb/*.deb "$root/debs/"
	for dir in proc dev sys; do
		mount --rbind "/$dir" "$root/$dir"
	done
	abi=$(basename "$root"/usr/lib/modules/*)
	rt=${abi%-amd64}-rt-amd64
}

# unmount_debian: undo the mounts.
unmount_debian()
{
	umount -l "$root"/{proc,dev,sys}
}

# inside COMMAND...: run a command in the copy.
inside()
{
	chroot "$root" env -i DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 \
		PATH=/usr/sbin:/usr/bin "$@" </dev/null
}

# example_build RELEASE, example_install RELEASE: print commands that build and install the
# package's example of a vendor module.
example_build()
{
	echo "cp -rT /usr/share/doc/vfio-pci-regops-dev/examples/edu /root/edu-$1 && make -C /root/edu-$1 KERNEL=$1"
}

example_install()
{
	echo "install -D -t /lib/modules/$1/updates /root/edu-$1/vfio_pci_edu.ko && depmod $1"
}
