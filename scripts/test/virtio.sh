#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio.sh: compare our variant driver of virtio with stock's, which has the fixes of the
# first series. Userspace sees only the differences that the patch lists. The device has
# legacy I/O: it is a virtual function of QEMU's virtio-net. No emulator has the admin
# commands of legacy I/O, so a module in the guest answers them. The kernel is Debian's, which
# has a driver for virtio-net. Results are in out/virtio.

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

# Pairs of lines that differ for a known reason, see the patch that converts the driver: an
# inaccessible buffer.
known=$'^(vector|fault|power[^:]*): (wr 0\\+|writev 0\\+|write n=)[^\t]* = EINVAL[^\t]*\t[^\t]* = EFAULT|'
known+=$'^(fault|power[^:]*): rd 7\\+[^\t]* = EFAULT [^\t]*\t[^\t]* = EFAULT |'
known+=$'^(fault|power[^:]*): wr 7\\+[^\t]* good=257 = 258 [^\t]*\t[^\t]* = EFAULT'

side_by_side transcript "$folder"
lines=0
[ ! -e "$folder/ours/transcript" ] || lines=$(wc -l <"$folder/ours/transcript")
paste -d '\t' "$folder"/{fixes,ours}/transcript 2>&1 | awk -F '\t' '$1 != $2' >"$folder/different" || true
grep -v -E "$known" "$folder/different" >"$folder/why" || true
[ "$lines" -ge 48000 ] || echo "only $lines lines; see out/virtio/*.log" >>"$folder/why"
empty "userspace sees no unknown difference ($lines lines, $(wc -l <"$folder/different") differ)" "$folder/why"
diff <(grep -v '^clipped ' "$folder/fixes/legacy") <(grep -v '^clipped ' "$folder/ours/legacy") >"$folder/why" 2>&1 && status=0 || status=1
result "$status" "legacy I/O gives the same results" "$folder/why"
has ours/legacy '^common 0x4[+]4 = 44454647$' "a read of the BAR gets the registers"
has ours/legacy '^common 0x6[+]8 = 4647a1b2c3d44c4d$' "a write to the BAR reaches the registers"
has ours/legacy '^notify 0x10=0000 = 2$' "a write to the notification register succeeds"
has fixes/legacy '^clipped 0x18[+]64 = EINVAL$' "stock refuses an access that ends after the BAR"
has ours/legacy '^clipped 0x18[+]64 = 0000000000e50000$' "ours clips it"
has ours/transcript '^config: rd 7\+0 n=4 = 4 f41a0010' "a guest sees the id of a transitional device"
has_not ours/unbound '^virtio_vfio_pci ' "the module can be unloaded while the device is bound"
totals
