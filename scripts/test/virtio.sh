#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio.sh: userspace sees no difference between our variant driver of virtio and stock's,
# if the device has legacy I/O. The device is a virtual function of QEMU's virtio-net. No
# emulator has the admin commands of legacy I/O, so a module in the guest answers them. The
# kernel and the stock modules are Debian's. Results are in out/virtio.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=150

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"

export KERNEL=stock
programs=$("$SCRIPTS/userspace.sh")
kernel=$("$SCRIPTS/kernel.sh" stock)
folder=$OUT/virtio
rm -rf "$folder"
mkdir -p "$folder"/{module,stock,ours}
"$SCRIPTS/in-root.sh" make -C "$kernel/build" M=/repo/programs/virtio_admin MO=/repo/out/virtio/module \
	W=1 modules >"$folder/module.log" 2>&1 || die "virtio_admin does not compile (log: $folder/module.log)"

# transcript MODULES: write the transcript of a function. QEMU 11 has functions of
# virtio-net; vm.sh uses it for the device user:gpu.
transcript()
{
	MODULES=$1 DEVICES=user:gpu NAME=virtio-$1 QEMU="-netdev user,id=vf -netdev user,id=pf
		-device pcie-root-port,id=root,bus=pcie.0,addr=0x10,chassis=99
		-device virtio-net-pci,bus=root,addr=0x0.1,netdev=vf,sriov-pf=pf
		-device virtio-net-pci,bus=root,addr=0x0.0,netdev=pf,id=pf" \
		"$SCRIPTS/vm.sh" "scripts/guest/virtio.sh $programs/vfio_pci_region_diff out/virtio/module/virtio_admin.ko \
			/repo/out/virtio/$1 0000:01:00.0"
}

side_by_side transcript "$folder"
status=0
differ "$folder"/{stock,ours}/transcript >"$folder/why" 2>&1 || status=$?
cat "$folder/why"
totals
