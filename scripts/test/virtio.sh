#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio.sh: userspace sees no difference between our variant driver of virtio and stock's
# with the fixes of the first series, if the device has legacy I/O. The device is a virtual
# function of QEMU's virtio-net. No emulator has the admin commands of legacy I/O, so a
# module in the guest answers them. The kernel is Debian's, which has a driver for
# virtio-net. Results are in out/virtio.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=150

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"
OTHER=fixes

export KERNEL=stock
programs=$("$SCRIPTS/userspace.sh")
kernel=$("$SCRIPTS/kernel.sh" stock)
folder=$OUT/virtio
rm -rf "$folder"
mkdir -p "$folder"/{module,fixes,ours}
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

# Lines that differ for a known reason, see the patch that converts the driver: accesses that
# begin in BAR 0 and end after it fail; an EFAULT in config space.
known='^(vector|fault|power[^:]*): ((rd|wr|readv|writev) 0\+|read|write).* = EINVAL|^(fault|power[^:]*): rd 7\+.* = EFAULT |^(fault|power[^:]*): wr 7\+.* good=257 = 258 '

side_by_side transcript "$folder"
lines=0
[ ! -e "$folder/ours/transcript" ] || lines=$(wc -l <"$folder/ours/transcript")
paste -d '\t' "$folder"/{fixes,ours}/transcript 2>&1 | awk -F '\t' '$1 != $2' >"$folder/different" || true
grep -v -E "$known" "$folder/different" >"$folder/why" || true
[ "$lines" -ge 48000 ] || echo "only $lines lines; see out/virtio/*.log" >>"$folder/why"
empty "userspace sees no difference ($lines lines, $(wc -l <"$folder/different") known)" "$folder/why"
has ours/transcript '^config: rd 7\+0 n=4 = 4 f41a0010' "a guest sees the id of a transitional device"
has_not ours/unbound '^virtio_vfio_pci ' "the module can be unloaded while the device is bound"
totals
