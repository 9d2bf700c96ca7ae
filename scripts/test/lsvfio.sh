#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lsvfio.sh: lsvfio shows the devices of a VM as the kernel sees them, and explains why
# userspace cannot open a device. Made-up trees have the states that the VM does not have,
# and 300 devices. Sanitizers and valgrind find no error. Results are in out/lsvfio.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=120

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

folder=$OUT/lsvfio
rm -rf "$folder"
mkdir -p "$folder"
"$SCRIPTS/root.sh" --add mandoc valgrind >/dev/null

# build FOLDER: in the root, build lsvfio, also with sanitizers, and install it.
build()
{
	local folder=$PWD/$1

	set -euo pipefail
	make -s -C tools/vfio OUTPUT="$folder/plain" CFLAGS='-O2 -g -Wextra -Werror'
	make -s -C tools/vfio OUTPUT="$folder/sanitized" \
		CFLAGS='-O1 -g -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all'
	make -s -C tools/vfio OUTPUT="$folder/plain" DESTDIR="$folder/root" PREFIX=/usr install
	mandoc -T lint -W warning tools/vfio/lsvfio.8
}

# flatten FILE: print what lsvfio --json wrote, one value in a line.
flatten()
{
	python3 - "$1" <<-'END'
		import json, sys

		def walk(path, value):
		    if isinstance(value, dict):
		        for key in value:
		            walk(path + [key], value[key])
		    elif isinstance(value, list):
		        for i, item in enumerate(value):
		            name = item.get("device") or item.get("name") if isinstance(item, dict) else None
		            walk(path + [name or str(i)], item)
		    else:
		        print(" ".join(path), "=", value)

		walk([], json.load(open(sys.argv[1])))
	END
}

# trees FOLDER: in the root, run lsvfio on made-up trees.
trees()
{
	local lsvfio=$1/sanitized/lsvfio states=$1/trees/states many=$1/trees/many device arguments

	set -euo pipefail
	scripts/lsvfio-trees.sh "$1/trees"
	# show NAME OPTION...: keep the output and the status
	show()
	{
		local status=0

		timeout 60 "$lsvfio" --root "$1" "${@:3}" >"$folder/$2" 2>&1 || status=$?
		echo "status $status" >>"$folder/$2"
	}
	folder=$1
	show "$states" list
	for device in "$states"/sys/bus/pci/devices/*; do
		device=${device##*/0000:}
		show "$states" "why-$device" --why "$device"
	done
	show "$states" why-mdev --why 9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95
	show "$states" regions -v 08:00.0 09:00.0
	show "$states" migration -v 06:02.0 06:03.0
	COLUMNS=40 show "$states" narrow -v 08:00.0
	TERM=xterm LC_ALL=C.UTF-8 script -q -c "stty cols 60; $lsvfio --root $states -v 08:00.0" "$1/terminal" >/dev/null
	"$lsvfio" --root "$states" --json >"$1/states.json" 2>"$1/json-errors" || true
	flatten "$1/states.json" >"$1/flat" 2>&1 || true
	for device in 00:01.0 00:02.0 00:03.0 00:04.0 01:01.0 01:02.0 01:03.0 02:01.0 02:02.0 03:01.0 03:02.0 03:03.0 \
		04:01.0 04:02.0 04:03.0 05:01.0 05:02.0 05:03.0 06:01.0 06:02.0 06:03.0; do
		show "$1/trees/names" "why-names-$device" --why "$device"
		show "$1/trees/detached" "why-detached-$device" --why "$device"
	done
	show "$1/trees/names" names
	show "$1/trees/empty" empty
	show "$1/trees/empty" empty-why --why 00:01.0
	show "$1/trees/broken" broken
	show "$1/trees/many" many
	show "$states" missing-device --why 0a:00.0
	show "$states" bridge 00:00.0
	for arguments in --why --diff "--diff 08:00.0" --open "--open 08:00.0" "-v --why 08:00.0" "-v --open --watch 08:00.0" \
		--watch=x --watch=0 --unknown; do
		# shellcheck disable=SC2086 # arguments are words
		show "$states" refused $arguments
		sed "s/^/$arguments: /" "$1/refused"
	done >"$1/arguments"
	rm "$1/refused"

	TIMEFORMAT='%U %S'
	{ time "$1/plain/lsvfio" --root "$many" >"$1/many-plain" 2>/dev/null || true; } 2>"$1/many-time"
	for arguments in "" --json "-v 08:00.0" "--why 05:00.0 06:01.0 07:01.0"; do
		# shellcheck disable=SC2086 # arguments are words
		valgrind -q --leak-check=full --error-exitcode=9 "$1/plain/lsvfio" --root "$states" $arguments \
			>/dev/null 2>"$1/valgrind.log" || { echo "lsvfio $arguments: status $?"; cat "$1/valgrind.log"; }
	done >"$1/valgrind"
	# Without arguments, the completion lists devices
	PATH=$PWD/$1/plain:$PATH bash -c '
		. tools/vfio/lsvfio.bash
		lsvfio() { command lsvfio --root "$0" "$@"; }
		complete_line() { COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=(lsvfio "${1##*[ :]}") COMP_CWORD=1; _lsvfio; echo "$1|${COMPREPLY[*]}"; }
		complete_line "lsvfio --w"
		complete_line "lsvfio --why 0000:04:0"
		complete_line "lsvfio --why 9a"' "$states" >"$1/completion" 2>&1
}

# in_root FUNCTION...: call the first function in the root, with the name of the folder.
in_root()
{
	"$SCRIPTS/in-root.sh" bash -c "$(declare -f "$@"); $1 out/lsvfio"
}

status=0
in_root build >"$folder/build" 2>&1 || status=$?
result "$status" "lsvfio builds without a warning, and its man page has none" "$folder/build"
[ "$status" -eq 0 ] || totals
for file in usr/sbin/lsvfio usr/share/man/man8/lsvfio.8 usr/share/bash-completion/completions/lsvfio; do
	status=0
	[ -s "$folder/root/$file" ] || status=1
	result "$status" "make install installs $file"
done

# --- made-up trees ---
status=0
in_root trees flatten >"$folder/trees.log" 2>&1 || status=$?
result "$status" "lsvfio runs on made-up trees" "$folder/trees.log"

# line DEVICE PATTERN NAME: check a line of the list.
line()
{
	has list "^(0000:)?$1 +$2" "$3"
}

# why DEVICE PATTERN NEXT NAME: check the paragraph and the next command of --why. An empty
# NEXT stands for no command.
why()
{
	local status=0

	grep -q -E -e "$2" "$folder/why-$1" || status=1
	[ "$(sed -n 's/^    //p' "$folder/why-$1")" = "$3" ] || status=1
	[ "$(tail -n 1 "$folder/why-$1")" = "status 0" ] || status=1
	result "$status" "--why: $4" "$folder/why-$1"
}

# The table of names in module.c is a copy
status=0
sed -n '/} known_drivers\[\] = {/,/};/p' "$REPO/tools/vfio/module.c" | grep -o '"[^"]*"' >"$folder/drivers" || status=1
while read -r name; do
	grep -r -q -E "[.]name[[:space:]]+= $name" "$REPO"/{drivers,samples,patches} || { status=1; echo "no driver has the name $name"; }
done <"$folder/drivers" >"$folder/why"
result "$status" "the names of drivers that lsvfio knows are those in the source" "$folder/why"

has_not list ' 8086:29c0 ' "the list leaves bridges out"
has bridge '^0000:00:00.0 ' "lsvfio shows a bridge that is named"
line 00:02.0 '15b3:101e  -  +2 +-  +unbound' "the list shows the group of a device without a driver"
why 00:01.0 'driver igb.*2 virtual functions' 'echo 0 >/sys/bus/pci/devices/0000:00:01.0/sriov_numvfs' "a PF must lose its VFs first"
why 00:02.0 'has no driver' 'driverctl set-override 0000:00:02.0 mlx5_vfio_pci' "an unbound device gets its variant driver"
why 00:03.0 "host's driver igb.*driver_override is none" 'driverctl set-override 0000:00:03.0 vfio-pci' "a device that the host uses gets vfio-pci"
why 00:05.0 'driver_override is vfio-pci, but .* did not bind it\. The kernel log says: "vendor driver vfio_pci_edu failed to bind' \
	'echo 0000:00:05.0 >/sys/bus/pci/drivers_probe; dmesg | tail' "a vendor driver fails the bind"
dmesg='dmesg | grep -i -e DMAR -e AMD-Vi -e iommu'
why 00:04.0 'no IOMMU group.*does not cover this one' "$dmesg" "the IOMMU does not cover a device"
has empty ' igb +- +- +no-iommu' "without an IOMMU, the state is no-iommu"
has empty-why 'enable VT-d or AMD-Vi' "--why: the machine has no IOMMU"
line 01:00.1 '.*  not-viable ' "a group with a host driver is not viable"
why 01:00.1 'group 10 is not viable: the host uses 0000:01:00.3,.* driver i40e' \
	'driverctl set-override 0000:01:00.3 vfio-pci' "a group is not viable"
line 01:01.1 '.*  ready ' "ports, pci-stub and unbound devices do not make a group unviable"
line 02:00.0 '.*  in-use .* 101\(qemu\)$' "the list shows the holder of a cdev"
line 02:01.0 '.*  in-use .* 102\(dpdk "a.b"\)$' "the list shows the holder of a group once"
line 02:02.0 '.*  in-use .* 103\(spdk\)$' "the list shows the holder of a device file"
line 02:04.0 '.* 105\(a\\x1b\[2J\\x0a\\xff\\xc2\\x9bé\\xf0\\x9f\\x98\)$' "the list escapes the name that a process has chosen"
line 02:03.0 '.*  ready .* -$' "group 2 is not held by the holders of groups 20 and 21"
why 02:04.0 'Process 105 \(a\\x1b\[2J' 'ps -fp 105' "the name of the holder is escaped"
why 02:00.0 'Process 101 \(qemu\)' 'ps -fp 101' "a device is in use"
line 03:00.0 '.* vfio_pci_edu +-$' "the list shows a loaded vendor driver"
line 03:01.0 '.* vfio_pci_igbvf\(not-loaded\)' "the list shows a vendor driver that is not loaded"
line 03:02.0 '.* vfio_pci_banned\(blacklisted\)' "the list shows a blacklisted vendor driver"
line 03:03.0 '.* vfio_pci_class\(not-loaded\) +-$' "an alias with another class does not match"
line 03:04.0 '.* vfio_pci_second +-$' "a module parameter has the ids of a vendor driver"
line 03:05.0 '.* vfio_pci_second +-$' "an id with subsystem and class matches"
line 03:06.0 '.*  ready .* -  +-$' "an id with another class does not match"
why 03:00.0 'is ready\. Userspace can open it by /dev/vfio/30' '' "the required vendor driver is loaded"
why 03:01.0 'vfio_pci_igbvf supports it, but its module is not loaded' 'modprobe vfio_pci_igbvf' "a vendor driver is missing"
why 03:02.0 'cannot be opened.*vendor driver vfio_pci_banned.*blacklist' 'modprobe vfio_pci_banned' \
	"a blacklist keeps a required driver from loading"
why 04:00.0 'requires the vendor driver vfio-pci-igbvf for 8086:60ca.*no module in' 'modinfo vfio-pci-igbvf' \
	"a required driver is missing, and its module has no alias"
why 04:01.0 'is ready' '' "another device requires another driver"
why 04:02.0 'requires a vendor driver for 8086:60cc.*none is loaded' 'modinfo vfio_pci_core' "any vendor driver is required"
line 05:00.0 '.*  conflict ' "the list shows a conflict of two loaded drivers"
why 05:00.0 'The kernel log says: "vendor drivers vfio_pci_edu and vfio_pci_second of the same' \
	'echo blacklist vfio_pci_second >>/etc/modprobe.d/vfio.conf' "two vendor drivers conflict"
why 05:01.0 'is ready.*perhaps from an earlier open: "vendor drivers vfio_pci_edu and vfio_pci_gone' '' \
	"a conflict with a driver that is gone is over"
why 05:03.0 'is ready.*from an earlier open: "vendor driver vfio_pci_edu failed to open the device: -5"' '' \
	"only the last message about a conflict counts"
why 05:02.0 'cannot be migrated: its vendor driver vfio_pci_edu was loaded after.*Bind it again' \
	"echo 0000:05:02.0 | tee /sys/bus/pci/drivers/vfio-pci/unbind /sys/bus/pci/drivers/vfio-pci/bind" \
	"a driver that was loaded late cannot migrate"
parameter='grep -r require_vendor_driver /etc/modprobe.d /proc/cmdline'
why names-00:01.0 "cannot be opened.*requires the vendor driver vfio_pci_igbvf .*name of the loaded driver is vfio-pci-igbvf, and '-' and '_'" \
	"$parameter" "the required name differs from the driver's in - and _"
has names '00:01.0 .* no-vendor ' "the list shows that the required name differs"
why names-00:02.0 'is ready' '' "the required name is the driver's"
why names-00:03.0 'cannot be opened.*does not support this device.*The kernel log has.*does not support the device;' "$parameter" \
	"the required driver does not support the device"
why names-00:04.0 'is ready.*from an earlier open: "open refused: vendor driver vfio-pci-igbvf is missing' '' \
	"the required driver was loaded after the kernel refused an open"
why names-01:01.0 'is perhaps ready.*module acme-nic is loaded, but .* exactly the required name' 'lsvfio -v --open 0000:01:01.0' \
	"the name of the driver in a module is not known"
has names 'cannot tell whether the required vendor driver acme-nic is there' "the list tells that the name is not known"
why names-01:02.0 'perhaps cannot be opened.*module acme-nic is loaded.*open that failed: "open refused: vendor driver acme-nic is missing' \
	'lsvfio -v --open 0000:01:02.0' "the kernel refused an open, and the name of the driver is not known"
why names-01:03.0 'is perhaps ready.*acme-guard.*module acme_nic is loaded' 'lsvfio -v --open 0000:01:03.0' \
	"a module of another name may have the required driver"
why names-02:01.0 'name of the loaded driver is acme-log,' "$parameter" "the kernel log has the name of the driver"
why names-02:02.0 'name of the loaded driver is acme-open,' "$parameter" "debugfs has the name of the driver"
why names-03:01.0 'is perhaps ready.*lock_eeprom.*which BPF drivers are attached' 'ls /sys/fs/bpf' "the required driver may be in BPF"
why names-03:02.0 'perhaps cannot be opened.*open that failed: "open refused: vendor driver lock_eeprom' 'ls /sys/fs/bpf' \
	"the kernel refused an open without a BPF driver"
why names-03:03.0 'is perhaps ready.*requires a vendor driver for 8086:1579.*BPF' 'ls /sys/fs/bpf' "any vendor driver may be a BPF driver"
why detached-03:01.0 'cannot be opened.*requires the vendor driver lock_eeprom.*it is not loaded' 'modinfo lock_eeprom' \
	"a required BPF driver is detached"
why detached-03:03.0 'cannot be opened.*none is loaded' 'modinfo vfio_pci_core' "any vendor driver is required, and no BPF driver is attached"
why names-04:01.0 'cannot be opened.*conflict.*"vendor drivers trace_writes and.*No loaded module has the name trace_writes,.*BPF' \
	'ls /sys/fs/bpf' "a module and a BPF driver conflict"
why detached-04:01.0 'is ready.*from an earlier open: "vendor drivers trace_writes' '' "a conflict with a BPF driver ends if it is detached"
why names-04:02.0 'is ready.*from an earlier open: "vendor drivers' '' "a conflict with an unloaded module is over, whatever is attached"
why detached-04:03.0 'cannot be opened.*conflict.*No loaded module has the name acme,.*its module' \
	'ls /sys/module/vfio_pci_core/holders' "a module of another name may have the driver of a conflict"
bind='modprobe vfio-pci && echo vfio-pci >/sys/bus/pci/devices/0000:06:0%s.0/driver_override%s && echo 0000:06:0%s.0 >/sys/bus/pci/drivers_probe'
unbind=' && echo 0000:06:02.0 >/sys/bus/pci/drivers/i40e/unbind'
# shellcheck disable=SC2059 # bind is a format
why names-06:01.0 'has no driver.*binds it until the next boot; install driverctl' "$(printf "$bind" 1 '' 1)" \
	"without driverctl, sysfs binds a device"
# shellcheck disable=SC2059
why names-06:02.0 "host's driver i40e.*install driverctl" "$(printf "$bind" 2 "$unbind" 2)" "without driverctl, sysfs takes a device from its driver"
# shellcheck disable=SC2059
why names-06:03.0 'is not viable.*install driverctl' "$(printf "$bind" 2 "$unbind" 2)" "without driverctl, sysfs makes a group viable"
status=0
sed -n '/^Package: vfio-tools$/,/^$/p' "$REPO/packaging/debian/control" | grep -q '^Suggests: driverctl$' || status=1
result "$status" "the package vfio-tools suggests driverctl"
why 06:00.0 'cannot be migrated: vfio-pci needs a vendor driver .*no module in' '' "no vendor driver supports the device"
why 06:01.0 'cannot be migrated: .*perhaps the variant driver mlx5_vfio_pci does' 'driverctl set-override 0000:06:01.0 mlx5_vfio_pci' \
	"a variant driver supports migration"
why 06:02.0 'by protocol v2 \(stop-copy,p2p,pre-copy\)\. The driver mlx5_vfio_pci migrates it\. It has no dirty tracking' '' \
	"a variant driver migrates the device"
why 06:03.0 'cannot be migrated: its vendor driver vfio_pci_igbvf could migrate it, but its module is not loaded' 'modprobe vfio_pci_igbvf' \
	"a vendor driver that may migrate the device is not loaded"
why 06:04.0 'cannot be migrated: its vendor driver vfio_pci_second has no migration, or was loaded after' '' \
	"the vendor driver does not migrate the device"
why 06:05.0 'cannot be migrated: its vendor driver vfio_pci_edu has no migration\.' '' "the vendor driver is known to have no migration"
why 06:06.0 'cannot be migrated: its variant driver mlx5_vfio_pci does not offer migration' '' \
	"the variant driver does not migrate the device"
why 06:07.0 'can be migrated by protocol v2\. The driver vfio_pci_second migrates it' '' "the only vendor driver migrates the device"
why 08:00.0 'can be migrated by protocol v1\. The driver vfio_pci_edu migrates it' 'ps -fp 108' "the region of v1 names the driver"
why names-05:01.0 'cannot be migrated: its vendor driver vfio-pci-igbvf was probably loaded after' \
	'echo 0000:05:01.0 | tee /sys/bus/pci/drivers/vfio-pci/unbind /sys/bus/pci/drivers/vfio-pci/bind' \
	"a driver that can migrate was loaded late, and no process has opened the device since"
why names-05:02.0 'The driver vfio-pci-igbvf migrates it.*no dirty tracking.*parameter log of vfio-pci-igbvf is off' \
	'grep -r igbvf /etc/modprobe.d /proc/cmdline' "a parameter switches dirty tracking off"
why names-05:03.0 'can be migrated by .*cannot see which of its drivers' '' "two vendor drivers may migrate the device"
has migration '^  migration       v2, stop-copy,p2p,pre-copy, state RUNNING, driver mlx5_vfio_pci$' "-v names the driver that migrates a device"
has migration '^  migration       no: its vendor driver vfio_pci_igbvf could migrate it, but' "-v tells why a device cannot be migrated"
why 01:01.1 'Whether it can be migrated is not known' '' "without debugfs for the device, migration is not known"
why 07:00.0 'by /dev/vfio/noiommu-70\. No IOMMU confines' '' "a device is bound without an IOMMU"
why 07:01.0 'it has 9a4e7c10-52d8' 'lsvfio --why 9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95' "a device has a mediated device"
why 07:02.0 'none exists' 'uuidgen >/sys/bus/pci/devices/0000:07:02.0/mdev_supported_types/vfio-mdev-pci-type1/create' \
	"a device has no mediated device yet"
why mdev 'Userspace can open it by /dev/vfio/71' '' "a mediated device uses the group of its parent"
line 08:00.0 '.* vfio80 +in-use +v1 ' "the migration region of protocol v1 is in the list"
has regions '^  0 +bar0 +64K +rwm +12 +3$' "the table has the counters of a region"
has regions '^ +vfio_pci_edu +0x1080-0x109f +5 +6$' "the table has a range, its owner and its counters"
has regions '^ +\(mmap\) +0x4000-0xffff$' "the table has the mmap areas"
has_not regions 'bar1' "the table leaves empty regions out"
has regions '^  bar0 +64K \|===#\.\.X===X=+\|$' "the picture has mapped bytes, a range, a hole, MSI-X table and pending bits"
has regions '^  bar2 +16 \|\.{16}\|$' "a small region has a cell for each byte"
has regions '^  bar3 +64K \|=+\|$' "a region without mmap areas is mapped as a whole"
has regions '^  3:1 +64K \|#{27}={27}\|$' "the parts of a bar are in proportion"
has regions '^  0 +bar0 +4K$' "sysfs has the BARs of a device that no VFIO driver has"
has narrow '^  3:1 +64K \|#{7}={7}\|$' "the picture fits into a narrow terminal"
has terminal '3:1 +64K \|▓{17}█{17}\|' "a terminal gets block characters in its width"
has flat '^devices 0000:08:00.0 regions bar0 msix 0 first = 8192$' "JSON has the MSI-X table"
has flat '^devices 0000:08:00.0 regions bar0 msix 1 last = 12295$' "JSON has the pending bits"
has flat '^devices 0000:08:00.0 regions bar0 drivers vfio_pci_edu last = 4255$' "JSON has the range of a driver"
has flat '^devices 0000:02:01.0 holders 0 command = dpdk "a.b"$' "JSON quotes the command of a process"
has flat '^devices 0000:02:04.0 holders 0 command = a\\x1b\[2J\\x0a\\xff\\xc2\\x9bé\\xf0' "JSON is valid UTF-8 if the name of a process is not"
has flat '^devices 0000:02:04.0 driver_override = \\x1b\[7m$' "JSON escapes control characters of sysfs"
has flat '^devices 0000:00:04.0 iommu_group = None$' "JSON has null for a missing value"
has flat '^devices 0000:06:02.0 migration state = RUNNING$' "JSON has the state of migration"
has flat '^devices 0000:06:02.0 migration driver = mlx5_vfio_pci$' "JSON names the driver that migrates a device"
has flat '^devices 0000:06:02.0 migration why_not = None$' "JSON has no reason if the device can be migrated"
has flat '^devices 0000:06:03.0 migration driver = None$' "JSON names no driver if none migrates the device"
has flat '^devices 0000:06:03.0 migration why_not = its vendor driver vfio_pci_igbvf could migrate it, but' "JSON tells why a device cannot be migrated"
has flat '^missing [0-9]+ = there is no pci/regions' "JSON has what is missing"
has empty 'cannot read /lib/modules/.*modules.alias' "lsvfio names the missing aliases"
has broken 'cannot parse .*0000:00:01.0/pci/regions: unknown line: 0 bar0 bytes 0x1000; ' "an unknown line of debugfs is an error"
has broken '^status 1$' "an error has the status 1"
has missing-device 'there is no PCI device 0a:00.0; lsvfio' "an unknown device is an error"
while IFS='|' read -r pattern name; do
	has arguments "^$pattern" "$name"
done <<'END'
--why: lsvfio: which device|--why without a device is an error
--diff: lsvfio: which device|--diff without a device is an error
--diff 08:00.0: lsvfio: --diff must open the device|--diff without --open is an error
--open: lsvfio: which device|--open without a device is an error
--open 08:00.0: lsvfio: --open has no effect here|--open needs an output that shows regions
-v --why 08:00.0: lsvfio: choose one of|two outputs are an error
-v --open --watch 08:00.0: lsvfio: --open would reset|--watch does not open again and again
--watch=x: lsvfio: --watch needs a number|--watch needs a number
--watch=0: lsvfio: --watch needs a number|--watch needs a number above 0
--unknown: lsvfio: unknown option|an unknown option is an error
END
has many '^status 0$' "sanitizers find no error with 300 devices"
status=0
[ "$(grep -c '  in-use  .* 100(qemu)$' "$folder/many-plain")" -eq 300 ] &&
	awk '{ exit !($1 + $2 < 1) }' "$folder/many-time" || status=1
result "$status" "300 devices take less than 1 s ($(cat "$folder/many-time") s)" "$folder/many-plain"
empty "valgrind finds no error" "$folder/valgrind"
grep -l -E 'Sanitizer|runtime error' "$folder"/* >"$folder/sanitizer" 2>/dev/null || true
empty "sanitizers find no error" "$folder/sanitizer"
has completion '^lsvfio --w\|--why --watch$' "bash completes options"
has completion '^lsvfio --why 0000:04:0\|00.0 01.0 02.0$' "bash completes addresses after a colon"
has completion '^lsvfio --why 9a\|9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95$' "bash completes UUIDs"

# --- a VM ---
status=0
KERNEL=release MODULES=ours DEVICES='edu igb nvme user:gpu edu' NAME=lsvfio \
	APPEND="$NO_MIGRATION vfio_pci_core.require_vendor_driver=8086:10ca=vfio-pci-igbvf" \
	QEMU='-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x10 -device edu,bus=bridge,addr=1 -device edu,bus=bridge,addr=2' \
	"$SCRIPTS/vm.sh" scripts/guest/lsvfio.sh out/lsvfio </dev/null >"$folder/log" 2>&1 || status=$?
result "$status" "the VM succeeds" "$folder/log"
folder+=/vm
read -r edu igb vf nvme gpu parent first second <"$folder/devices" || true
for file in vf opened no-debugfs-vf; do
	"$SCRIPTS/in-root.sh" bash -c "$(declare -f flatten); flatten out/lsvfio/vm/$file" >"$folder/$file.flat" 2>&1 || true
done

has unbound "^$edu +1234:11e8 +- .*  unbound " "vm: edu has no driver"
has unbound-why "echo vfio-pci >/sys/bus/pci/devices/$edu/driver_override" "vm: --why tells how to bind edu"
has followed "^$edu +1234:11e8 +vfio-pci .* ready " "vm: the command of --why binds edu"
has host-followed "^$first +1234:11e8 +vfio-pci " "vm: the command of --why takes a device from another driver"
has host-why "host's driver igb" "vm: igb uses the PF"
has pf 'VFs +1 of [0-9]' "vm: the PF has a VF"
has pf-why "echo 0 >/sys/bus/pci/devices/$igb/sriov_numvfs" "vm: --why tells how to bind the PF"
has required-open '^open: ENODEV' "vm: the kernel refuses to open the VF without its vendor driver"
has required-why 'cannot be opened.*requires the vendor driver vfio-pci-igbvf.*blacklist' "vm: --why tells that the driver is blacklisted"
has required-opened "cannot open .*$vf.*: No such device; see lsvfio --why $vf" "vm: --open fails with the errno and a hint"
has late-open '^open: ok' "vm: the VF opens after the command of --why"
has late-why 'cannot be migrated: its vendor driver vfio-pci-igbvf was loaded after' "vm: --why tells that the driver was loaded late"
has vf-why 'is ready.*can be migrated by protocol v2 \(stop-copy' "vm: the VF can be migrated after the next command of --why"
has vf.flat "^devices $vf migration v2 = True" "vm: the device features have protocol v2"
has vf-why 'The driver vfio-pci-igbvf migrates it' "vm: --why names the driver that migrates the closed VF"
has vf.flat "^devices $vf migration driver = vfio-pci-igbvf" "vm: JSON names the driver that migrates the open VF"
has vf.flat "^devices $vf migration v1 = True" "vm: the open VF has the migration region of v1"
has vf.flat "^devices $vf physfn = $igb" "vm: the VF has its PF"
has no-debugfs-vf.flat "^devices $vf regions_from = ioctl" "vm: without debugfs, the regions come from ioctls"
has no-debugfs-vf.flat "^devices $vf migration v1 = True" "vm: the ioctls show the migration region"
# The mmap areas and the features must be the same. No ioctl shows the missing VGA region.
for file in vf no-debugfs-vf; do
	grep -v ' vga ' "$folder/$file.flat" | grep -E ' (mmap|size|flags|msix|migration (v1|v2|features))( |$)' >"$folder/$file.seen" || true
done
status=0
[ -s "$folder/vf.seen" ] && diff "$folder/vf.seen" "$folder/no-debugfs-vf.seen" >"$folder/why" 2>&1 || status=1
result "$status" "vm: ioctls and debugfs show the same regions and features" "$folder/why"
has list "^$edu +1234:11e8 +vfio-pci +[0-9]+ +vfio[0-9]+ +ready +no (.*,| *)vfio_pci_edu[ ,].* -$" \
	"vm: edu is ready, and its vendor driver is loaded"
has list "^$edu .*[ ,]vfio_pci_edu_migration\(blacklisted\)" "vm: another vendor driver of edu is blacklisted"
has list "^$gpu +8086:f1a0 +vfio-pci .* ready " "vm: the GPU is ready"
has list "^$igb .* host " "vm: the PF stays with the host"
has closed 'regions +BARs in sysfs' "vm: a closed device has its BARs in sysfs"
has closed '^  0 +bar0 +1M' "vm: the BAR of edu has 1 MiB"
has edu-why '^    modprobe vfio_pci_edu_migration$' "vm: --why tells how to load the other vendor driver"
read -r holder writes <"$folder/in-use-holder" || true
has in-use "^$edu .* in-use .* $holder\(python3\)$" "vm: the list shows the holder of the open edu"
has in-use-why "Process $holder \(python3\)" "vm: --why names the holder"
has in-use-opened "cannot open $edu: process $holder \(python3\) has it open" "vm: --open refuses a device in use"
has in-use-diff "cannot open $edu: process $holder" "vm: --diff refuses a device in use"
has in-use-v "^ +vfio_pci_edu +0x80-0x9f +0 +$writes\$" "vm: the table has the writes of a guarded register"
has in-use-v '^  bar0 +1M \|#=+\|$' "vm: the picture has the guarded registers"
has in-use-v '^  9 +80001234:1 ' "vm: the table has the region that the driver adds"
status=0
[ "$(sed -n 's/^ *vfio_pci_edu *0x80-0x9f *0 *\([0-9]*\)$/\1/p' "$folder/watch" | sort -u | wc -l)" -ge 2 ] || status=1
result "$status" "vm: --watch shows growing counters" "$folder/watch"
has in-use-cdev ' in-use .* - +[0-9]+\(lsvfio\.sh\)$' "vm: the list shows the holder of a cdev"
has opened-edu '^  regions +as userspace sees them$' "vm: --open shows the regions of a closed device"
has opened-edu '^  bar0 +1M \|#=+\|$' "vm: --open shows the guarded registers"
status=0
[ -s "$folder/opened-edu" ] && diff "$folder/opened-edu" "$folder/group-opened" >"$folder/why" 2>&1 || status=1
result "$status" "vm: without /dev/iommu, --open uses the group" "$folder/why"
has opened-nvme '^  bar0 +16K \|[=X]*X[=X]*\|$' "vm: the picture of nvme has its MSI-X table"
has opened-gpu '^  rom +16K \|\.+\|$' "vm: the ROM of the GPU cannot be mapped"
has opened-gpu '^  bar2 +2M \|=+\|$' "vm: the BAR of the GPU can be mapped"
has opened.flat "^devices $gpu regions bar4 size = 64" "vm: JSON has the I/O ports of the GPU"
has same '^userspace sees the capabilities of the hardware$' "vm: --diff finds no difference for edu"
has same '^both +0x[0-9a-f]+ +0x5 +MSI$' "vm: --diff shows the capabilities of edu"
has diff '^hardware +0x[0-9a-f]+ +0x11 +MSI-X$' "vm: --diff shows the capability that a vendor driver hides"
has diff '^userspace +0x[0-9a-f]+ +0x9 +vendor-specific$' "vm: --diff shows the capability that a vendor driver adds"
has nobody "^$edu +1234:11e8 +vfio-pci .* ready +\? " "vm: without root, the list has the state, but not migration"
has nobody 'cannot read /sys/kernel/debug/vfio: .* run lsvfio as root' "vm: without root, lsvfio tells that debugfs is missing"
has nobody 'cannot read the open files of all processes: .* run lsvfio as root' "vm: without root, lsvfio tells that holders are missing"
has nobody "^lsvfio: cannot open /dev/vfio/devices/vfio[0-9]+ of $edu: Permission denied" "vm: without root, --open fails with the reason"
has no-debugfs "^$edu .* ready +\? " "vm: without debugfs, migration is not known"
has no-debugfs 'mount -t debugfs debugfs /sys/kernel/debug' "vm: without debugfs, lsvfio tells how to mount it"
has no-debugfs-opened '^  bar0 +1M \|\.=+\|$' "vm: without debugfs, the page of the guarded registers is a hole"
has conflict-open '^open: EBUSY' "vm: the kernel refuses to open a device with a conflict"
has conflict "^$edu .* conflict " "vm: the list shows the conflict"
has conflict-why 'log says: "vendor drivers vfio_pci_(edu|testdrv) and vfio_pci_(edu|testdrv) of the same priority both override bytes 0x80 to 0x83' \
	"vm: --why names both drivers and the bytes"
has bind-fails-why 'but that driver did not bind it.*vendor driver vfio_pci_testdrv failed to bind the device: -5' \
	"vm: --why names the vendor driver that fails the bind"
has bind-works "^$edu .* ready " "vm: edu binds without that driver"
has conflict-gone "^$edu .* unbound " "vm: the conflict is over when a driver is gone"
has not-viable-open '^open: EPERM' "vm: the kernel refuses a group with a host driver"
has not-viable-why "not viable: the host uses $second,.* driver pci-pf-stub" "vm: --why names the other device"
has viable "^$first .* ready " "vm: the group is viable with vfio-pci for both devices"
has viable-open '^open: ok' "vm: the kernel opens a device of this group"
has mdev-none 'none exists' "vm: the parent has no mediated device"
has mdev "^9a4e7c10-[0-9a-f-]+ +1234:11e8 .* vfio[0-9]+ +ready " "vm: the command of --why creates a mediated device"
has mdev "^$parent .* mdev-parent " "vm: the parent is in the list"
has mdev-open '^open: ok' "vm: the mediated device opens by the group of its parent"
has mdev-in-use "^9a4e7c10-[0-9a-f-]+ .* in-use .* [0-9]+\(while-open\.py\)$" "vm: the list shows the holder of the mediated device"
has mdev-opened '^  bar0 +1M \|#=+\|$' "vm: --open shows the regions of a mediated device"
grep -l -E 'Sanitizer|runtime error' "$folder"/* >"$folder/sanitizer" 2>/dev/null || true
cat "$folder"/*.errors 2>/dev/null | grep -v '^lsvfio: ' >>"$folder/sanitizer" || true
empty "vm: sanitizers find no error" "$folder/sanitizer"
totals
