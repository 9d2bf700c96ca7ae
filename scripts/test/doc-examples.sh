#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# doc-examples.sh: the example modules in the documentation work. make vendor builds
# each listing, and the sample vfio_pci_edu_signal, without a warning. In a VM, binding
# a device loads its modules, and a program checks their effect.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

guides=("$REPO"/Documentation/driver-api/vfio-pci-{regops,migration}.rst)
"$SCRIPTS/modules.sh" release ours >/dev/null
userspace=$("$SCRIPTS/userspace.sh")
folder=$OUT/doc-examples
rm -rf "$folder"
mkdir -p "$folder/modules"

# A listing is the indented text after a line that ends in "::". Extract the listings
# that include module.h, and name each file after its driver.
awk -v folder="$folder/modules" '
	function end() {
		if (text ~ /#include <linux\/module.h>/ && match(text, /\.name\t\t= "[a-z_]+"/)) {
			name = substr(text, RSTART + 10, RLENGTH - 11)
			printf "%s", text >(folder "/" name ".c")
			print name
		}
		text = ""
		inside = 0
	}
	inside && /^[^\t]/ { end() }
	inside { sub(/^\t/, ""); if (text != "" || $0 != "") text = text $0 "\n" }
	/::$/ { inside = 1 }
	END { end() }' "${guides[@]}" >"$folder/names"
mapfile -t names <"$folder/names"
status=0
[ "${#names[@]}" -eq "$(cat "${guides[@]}" | grep -c 'MODULE_LICENSE')" ] || status=1
result "$status" "all ${#names[@]} modules in the documentation are found: ${names[*]}" "$folder/names"

# Only this suite builds the sample: binding any edu device loads it.
cp "$REPO/samples/vfio-pci/vfio_pci_edu_signal.c" "$folder/modules/"
names+=(vfio_pci_edu_signal)
printf 'obj-m += %s.o\n' "${names[@]}" >"$folder/modules/Kbuild"
status=0
KERNEL=release "$SCRIPTS/vendor.sh" "$folder/modules" out/doc-examples/installed >"$folder/log" 2>&1 || status=$?
! grep -q '[0-9]: warning:\|WARNING:\|^warning:' "$folder/log" || status=1
result "$status" "make vendor builds the modules without a warning" "$folder/log"

# Create a ROM image of 512 bytes, with the checksum at offset 6 as in iPXE. The
# firmware of the VM calls its entry, which jumps to a return at 0x40.
{
	printf '\x55\xaa\x01\xe9\x3a\x00\x00'
	head -c 17 /dev/zero
	printf '\x1c\x00\x00\x00PCIR\x86\x80\xc9\x10\x00\x00\x18\x00\x00\x00\x00\x02\x01\x00\x00\x00\x00\x80\x00\x00'
	head -c 12 /dev/zero
	printf '\xcb'
	head -c 447 /dev/zero
} >"$folder/rom"
sum=$(od -A n -v -t u1 "$folder/rom" | tr -s ' ' '\n' | awk '{ n += $1 } END { print (256 - n % 256) % 256 }')
# shellcheck disable=SC2059 # the byte is the format
printf "\\x$(printf '%02x' "$sum")" | dd of="$folder/rom" bs=1 seek=6 conv=notrunc status=none

in_guest=$(cat <<END
set -e
scripts/guest/bind.sh all vfio-pci
cd out/doc-examples
lsmod >bound
for device in \$VM_DEVICES; do
	$userspace/vfio_pci_doc_examples "\${device%%=*}" >"\${device#*=}"
done
END
)
status=0
KERNEL=release MODULES=ours DEVICES="edu igb,romfile=/repo/out/doc-examples/rom" NAME=doc-examples APPEND=$NO_VENDOR \
	INSTALLED=out/doc-examples/installed "$SCRIPTS/vm.sh" "$in_guest" </dev/null >"$folder/vm.log" 2>&1 || status=$?
result "$status" "the devices open with all modules" "$folder/vm.log"
status=0
for name in "${names[@]}"; do
	grep -q "^$name " "$folder/bound" || status=1
done
result "$status" "binding the devices loads all modules" "$folder/bound"

has edu '^factorial: 13 Operation not permitted, 5! is 120$' "guard_factorial refuses 13"
has edu '^eventfd: feature 0, signalled 2, device raises 3$' "the sample signals an eventfd for each write"
has edu '^migration: done, the register is fffffffa$' "migrate_register migrates a register"
has edu '^0 bar0 size 0x100000 flags rwm .* maps 0x1000-0xfffff$' "debugfs shows that a page cannot be mapped"
has edu '^  guard_factorial 0x8-0xb reads 0 writes 2$' "debugfs shows the range and its calls"
has igb '^capabilities: SR-IOV hidden, ARI hidden, AER visible, vendor-specific demo$' "change_caps hides two capabilities and adds one"
has igb '^ROM: 512 bytes, 55aa, entry cb, sum 0$' "patch_rom patches the ROM and its checksum"
has igb '^window: read same, mapping same, address set$' "map_window maps a page of a BAR"
has igb '^window: writable mapping: Permission denied$' "the page cannot be mapped writable"
totals
