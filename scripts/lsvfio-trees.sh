#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lsvfio-trees.sh FOLDER: write made-up files of sysfs, procfs, debugfs, /dev, /etc and /lib
# for lsvfio --root to FOLDER: "states" has a device in each state, "empty" has no IOMMU
# and no modules, "broken" has what lsvfio cannot parse, and "many" has 300 devices.

. "$(dirname "$0")/lib.sh"

[ $# -eq 1 ] || die "lsvfio-trees.sh needs a folder; usage: lsvfio-trees.sh FOLDER"
mkdir -p "$1"
cd "$1"
top=$PWD

# enter NAME: begin a tree. All paths below are relative to it.
enter()
{
	mkdir "$top/$1"
	cd "$top/$1"
}

# pci ADDRESS VENDOR:DEVICE DRIVER GROUP [VFIO]: add a PCI device. "-" stands for no driver
# and for no group.
pci()
{
	local dev=sys/bus/pci/devices/0000:$1

	mkdir -p "$dev${5:+/vfio-dev/$5}"
	echo "0x${2%:*}" >"$dev/vendor"
	echo "0x${2#*:}" >"$dev/device"
	echo 0x1af4 >"$dev/subsystem_vendor"
	echo 0x1100 >"$dev/subsystem_device"
	echo 0x020000 >"$dev/class"
	echo '(null)' >"$dev/driver_override"
	[ "$3" = - ] || ln -s "../../../../bus/pci/drivers/$3" "$dev/driver"
	[ "$4" = - ] || ln -s "../../../kernel/iommu_groups/$4" "$dev/iommu_group"
}

# put FILE: write stdin to a file.
put()
{
	mkdir -p "$(dirname "$1")"
	cat >"$1"
}

# process PID COMMAND FD TARGET: add an open file of a process.
process()
{
	mkdir -p "proc/$1/fd" "proc/$1/fdinfo"
	echo "$2" >"proc/$1/comm"
	ln -s "$4" "proc/$1/fd/$3"
}

# config POSITION BYTES: write bytes to the config space of 08:00.0.
config()
{
	printf '%b' "$2" | dd of=sys/bus/pci/devices/0000:08:00.0/config bs=1 seek=$(($1)) conv=notrunc status=none
}

debugfs=sys/kernel/debug/vfio
release=$(uname -r)

enter states
put "lib/modules/$release/modules.alias" <<'END'
alias pci:v00001234d000011E8sv*sd*bc*sc*i* edu
alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci
alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci
alias vfio-pci-vendor:v1234d11E8sv*sd*bc*sc*i* vfio_pci_edu
alias vfio-pci-vendor:v1234d11E9sv*sd*bc*sc*i* vfio_pci_edu
alias vfio-pci-vendor:v8086d10CAsv*sd*bc*sc*i* vfio_pci_igbvf
alias vfio-pci-vendor:v8086d10CBsv*sd*bc*sc*i* vfio_pci_banned
alias vfio-pci-vendor:v8086d20CAsv*sd*bc02sc00i* vfio_pci_class
alias vfio-pci-vendor:v8086d20CAsv*sd*bc03sc*i* vfio_pci_display
END
echo 'blacklist vfio-pci-banned' | put etc/modprobe.d/test.conf
put usr/sbin/driverctl </dev/null
mkdir -p sys/module/{vfio_pci_edu,vfio_pci_core/{parameters,holders/vfio_pci_second}}
# The ids of the second driver are a parameter. Its last id has another class.
echo '8086:30ca,8086:40ca:1af4:1100:20000:ff0000,8086:50ca:1af4:1100:30000:ff0000' |
	put sys/module/vfio_pci_second/parameters/ids
echo '8086:60ca=vfio-pci-igbvf,8086:60cb=vfio_pci_edu,8086:60cc,1234:11e8,8086:10cb=vfio_pci_banned' |
	put sys/module/vfio_pci_core/parameters/require_vendor_driver

# 00: a bridge, and devices without a VFIO driver
pci 00:00.0 8086:29c0 - 0
echo 0x060400 >sys/bus/pci/devices/0000:00:00.0/class
pci 00:01.0 8086:10c9 igb 1
echo 2 >sys/bus/pci/devices/0000:00:01.0/sriov_numvfs
pci 00:02.0 15b3:101e - 2
pci 00:03.0 8086:10c9 igb 3
echo none >sys/bus/pci/devices/0000:00:03.0/driver_override
pci 00:04.0 8086:10c9 igb -
pci 00:05.0 8086:10c9 - 5
echo vfio-pci >sys/bus/pci/devices/0000:00:05.0/driver_override

# 01: a group that the host uses, and one that it does not use
pci 01:00.0 1b36:000c pcieport 10
pci 01:00.1 8086:1572 vfio-pci 10 vfio10
pci 01:00.2 8086:1572 pci-stub 10
pci 01:00.3 8086:1572 i40e 10
pci 01:01.0 1b36:000c pcieport 11
pci 01:01.1 8086:1572 vfio-pci 11 vfio11
pci 01:01.2 8086:1572 - 11

# 02: devices that are open by cdev, by group, and by a file that a group gave
pci 02:00.0 8086:1572 vfio-pci 20 vfio20
pci 02:01.0 8086:1572 vfio-pci 21 vfio21
pci 02:02.0 8086:1572 vfio-pci 22 vfio22
pci 02:03.0 8086:1572 vfio-pci 2 vfio2
process 101 qemu 5 /dev/vfio/devices/vfio20
process 102 'dpdk "a\b"' 7 /dev/vfio/21
process 102 'dpdk "a\b"' 8 'anon_inode:[vfio-device]'
process 103 spdk 9 'anon_inode:[vfio-device]'
printf 'pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:02:02.0\n' | put proc/103/fdinfo/9
process 104 other 3 /dev/null
# A process chooses its name: control characters, invalid UTF-8 and valid UTF-8
pci 02:04.0 8086:1572 vfio-pci 23 vfio23
process 105 $'a\e[2J\n\xff\xc2\x9b\xc3\xa9\xf0\x9f\x98' 6 /dev/vfio/23
echo $'\e[7m' >sys/bus/pci/devices/0000:02:04.0/driver_override

# 03: vendor drivers
pci 03:00.0 1234:11e8 vfio-pci 30 vfio30
pci 03:01.0 8086:10ca vfio-pci 31 vfio31
pci 03:02.0 8086:10cb vfio-pci 32 vfio32
pci 03:03.0 8086:20ca vfio-pci 33 vfio33
pci 03:04.0 8086:30ca vfio-pci 34 vfio34
pci 03:05.0 8086:40ca vfio-pci 35 vfio35
pci 03:06.0 8086:50ca vfio-pci 36 vfio36

# 04: required vendor drivers
pci 04:00.0 8086:60ca vfio-pci 40 vfio40
pci 04:01.0 8086:60cb vfio-pci 41 vfio41
pci 04:02.0 8086:60cc vfio-pci 42 vfio42

# 05: messages in the kernel log
pci 05:00.0 8086:1572 vfio-pci 50 vfio50
pci 05:01.0 8086:1572 vfio-pci 51 vfio51
pci 05:02.0 8086:1572 vfio-pci 52 vfio52
pci 05:03.0 8086:1572 vfio-pci 53 vfio53
conflict='of the same priority both override bytes 0x80 to 0x83 of region 0'
put dev/kmsg <<END
6,1,100,-;vfio-pci 0000:05:00.0: vendor drivers vfio_pci_edu and vfio_pci_second $conflict
 SUBSYSTEM=pci
 DEVICE=+pci:0000:05:00.0
3,1,100,-;vfio-pci 0000:05:00.0: vendor driver vfio_pci_second failed to open the device: -16
3,2,100,-;vfio-pci 0000:05:01.0: vendor drivers vfio_pci_edu and vfio_pci_gone $conflict
3,2,100,-;vfio-pci 0000:05:03.0: vendor drivers vfio_pci_edu and vfio_pci_second $conflict
3,2,100,-;vfio-pci 0000:05:03.0: vendor driver vfio_pci_edu failed to open the device: -5
3,3,100,-;vfio-pci 0000:05:02.0: vendor driver vfio_pci_edu cannot migrate the device; if the driver was loaded after bind, unbind the device and bind it again
3,4,100,-;vfio-pci 0000:05:00.0: resetting
3,5,100,-;vfio-pci 0000:00:05.0: vendor driver vfio_pci_edu failed to bind the device: -5
END

# 06: migration
pci 06:00.0 8086:1572 vfio-pci 60 vfio60
pci 06:01.0 15b3:101e vfio-pci 61 vfio61
pci 06:02.0 15b3:101e mlx5_vfio_pci 62 vfio62
pci 06:03.0 8086:10ca vfio-pci 63 vfio63
pci 06:04.0 8086:30ca vfio-pci 64 vfio64
pci 06:05.0 1234:11e9 vfio-pci 65 vfio65
pci 06:06.0 15b3:101e mlx5_vfio_pci 66 vfio66
pci 06:07.0 8086:30ca vfio-pci 67 vfio67
mkdir -p $debugfs/0000:0{5:02.0,6:00.0,6:01.0,6:03.0,6:04.0,6:05.0,6:06.0,6:07.0/migration}
printf 'stop-copy\np2p\npre-copy\n' | put $debugfs/0000:06:02.0/migration/features
echo RUNNING >$debugfs/0000:06:02.0/migration/state

# 07: no IOMMU for this device, and mediated devices
pci 07:00.0 8086:1572 vfio-pci - vfio70
mkdir -p sys/kernel/iommu_groups/70
echo vfio-noiommu >sys/kernel/iommu_groups/70/name
ln -s ../../../../kernel/iommu_groups/70 sys/bus/pci/devices/0000:07:00.0/iommu_group
pci 07:01.0 1234:11e8 vfio-mdev-pci 71
mkdir -p sys/bus/pci/devices/0000:07:01.0/{mdev_supported_types/vfio-mdev-pci-type1,9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95/vfio-dev/vfio71}
ln -s ../drivers/vfio-mdev-pci sys/bus/pci/devices/0000:07:01.0/9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95/driver
pci 07:02.0 1234:11e8 vfio-mdev-pci 72
mkdir -p sys/bus/pci/devices/0000:07:02.0/mdev_supported_types/vfio-mdev-pci-type1

# 08: regions. The MSI-X table is at 0x2000, the pending bits are at 0x3000 of BAR 0.
pci 08:00.0 1234:11e8 vfio-pci 80 vfio80
mkdir -p dev/vfio/devices
touch dev/vfio/devices/vfio80
process 108 qemu 5 /dev/vfio/devices/vfio80
put $debugfs/0000:08:00.0/pci/regions <<'END'
0 bar0 size 0x10000 flags rwm reads 12 writes 3 maps 0x0-0xfff,0x2000-0x3fff,0x4000-0xffff
  vfio_pci_edu 0x1080-0x109f reads 5 writes 6
  vfio-pci
1 bar1 size 0x0 flags --- reads 0 writes 0
  vfio-pci
2 bar2 size 0x10 flags rw- reads 0 writes 0
  vfio-pci
3 bar3 size 0x10000 flags rwm reads 0 writes 0
  vfio-pci
7 config size 0x1000 flags rw- reads 7 writes 8
  vfio_pci_edu
  vfio-pci
9 3:1 size 0x10000 flags rwm reads 0 writes 0 maps 0x8000-0xffff
  vfio_pci_edu
END
truncate -s 4096 sys/bus/pci/devices/0000:08:00.0/config
config 0x06 '\x10'
config 0x34 '\x40'
config 0x40 '\x11\x50\x07\x00\x00\x20\x00\x00\x00\x30\x00\x00'
# Two loops of capabilities
config 0x50 '\x05\x40'
config 0x100 '\x01\x00\x01\x10'

# 09: BARs in sysfs
pci 09:00.0 8086:1572 i40e 90
printf '0x%016x 0x%016x 0x%016x\n' 0xfe000000 0xfe000fff 0x200 0 0 0 >sys/bus/pci/devices/0000:09:00.0/resource

# Names of drivers. A BPF driver is attached, and holds a reference to its module.
enter names
put "lib/modules/$release/modules.alias" <<'END'
alias vfio-pci-vendor:v1234d*sv*sd*bc*sc*i* acme_nic
alias vfio-pci-vendor:v8086d10C*sv*sd*bc*sc*i* vfio_pci_igbvf
alias vfio-pci-vendor:v8086d20C*sv*sd*bc*sc*i* vfio_pci_gone
END
mkdir -p sys/module/{acme_log,acme_nic,acme_open,vfio_pci_bpf,vfio_pci_edu,vfio_pci_igbvf,vfio_pci_core/parameters} dev
echo 2 >sys/module/vfio_pci_bpf/refcnt
put sys/module/vfio_pci_core/parameters/require_vendor_driver <<'END'
8086:10ca=vfio_pci_igbvf,8086:10cb=vfio-pci-igbvf,8086:1573=vfio-pci-igbvf,8086:1574=vfio-pci-igbvf,1234:1=acme-nic,1234:2=acme-nic,1234:3=acme-guard,8086:1575=acme_log,8086:1576=acme_open,8086:1577=lock_eeprom,8086:1578=lock_eeprom,8086:1579
END
missing='is missing; load its module or attach its BPF programs'
put dev/kmsg <<END
3,1,100,-;vfio-pci 0000:00:03.0: open refused: the required vendor driver vfio-pci-igbvf does not support the device; check require_vendor_driver
3,2,100,-;vfio-pci 0000:00:04.0: open refused: vendor driver vfio-pci-igbvf $missing
3,3,100,-;vfio-pci 0000:01:02.0: open refused: vendor driver acme-nic $missing
3,4,100,-;vfio-pci 0000:02:03.0: vendor driver acme-log: more than 8 BPF drivers for a device
3,5,100,-;vfio-pci 0000:03:02.0: open refused: vendor driver lock_eeprom $missing
3,6,100,-;vfio-pci 0000:04:01.0: vendor drivers trace_writes and vfio_pci_edu of the same priority both override region 0
3,7,100,-;vfio-pci 0000:04:02.0: vendor drivers vfio_pci_edu and vfio_pci_gone of the same priority both override region 0
3,8,100,-;vfio-pci 0000:04:03.0: vendor drivers acme and vfio_pci_edu of the same priority both override region 0
END
pci 00:01.0 8086:10ca vfio-pci 1 vfio1
pci 00:02.0 8086:10cb vfio-pci 2 vfio2
pci 00:03.0 8086:1573 vfio-pci 3 vfio3
pci 00:04.0 8086:1574 vfio-pci 4 vfio4
pci 01:01.0 1234:0001 vfio-pci 11 vfio11
pci 01:02.0 1234:0002 vfio-pci 12 vfio12
pci 01:03.0 1234:0003 vfio-pci 13 vfio13
pci 02:01.0 8086:1575 vfio-pci 21 vfio21
pci 02:02.0 8086:1576 vfio-pci 22 vfio22
pci 02:03.0 8086:1572 vfio-pci 23 vfio23
put $debugfs/0000:02:03.0/pci/regions <<'END'
0 bar0 size 0x1000 flags rw- reads 0 writes 0
  acme-open
END
pci 03:01.0 8086:1577 vfio-pci 31 vfio31
pci 03:02.0 8086:1578 vfio-pci 32 vfio32
pci 03:03.0 8086:1579 vfio-pci 33 vfio33
pci 04:01.0 8086:1572 vfio-pci 41 vfio41
pci 04:02.0 8086:1572 vfio-pci 42 vfio42
pci 04:03.0 1234:0004 vfio-pci 43 vfio43

# Migration by vendor drivers
pci 05:01.0 8086:10cc vfio-pci 51 vfio51
pci 05:02.0 8086:10cd vfio-pci 52 vfio52
pci 05:03.0 1234:0005 vfio-pci 53 vfio53
mkdir -p sys/module/vfio_pci_igbvf/parameters $debugfs/0000:05:0{1.0,2.0/migration,3.0/migration}
echo N >sys/module/vfio_pci_igbvf/parameters/log
printf 'stop-copy\np2p\n' | tee $debugfs/0000:05:0{2,3}.0/migration/features >/dev/null
echo 'alias vfio-pci-vendor:v1234d0005sv*sd*bc*sc*i* acme_log' >>"lib/modules/$release/modules.alias"

# There is no driverctl
pci 06:01.0 8086:1572 - 61
pci 06:02.0 8086:1572 i40e 62
pci 06:03.0 8086:1572 vfio-pci 62 vfio63

# The same without a BPF driver
cp -r . ../detached
cd ../detached
echo 0 >sys/module/vfio_pci_bpf/refcnt

enter empty
pci 00:01.0 8086:10c9 igb -

enter broken
pci 00:01.0 8086:10c9 vfio-pci 1 vfio1
echo '0 bar0 bytes 0x1000' | put $debugfs/0000:00:01.0/pci/regions

enter many
cp -r ../states/{lib,etc} .
mkdir -p $debugfs
# Python is faster than 2000 commands
python3 - <<'END'
import os
from pathlib import Path

os.makedirs("proc/100/fd")
Path("proc/100/comm").write_text("qemu\n")
for i in range(300):
    device = Path(f"sys/bus/pci/devices/0000:{i // 256:02x}:{i // 8 % 32:02x}.{i % 8}")
    (device / f"vfio-dev/vfio{i}").mkdir(parents=True)
    for name, value in ("vendor", "0x1234"), ("device", "0x11e8"), ("class", "0x020000"):
        (device / name).write_text(value + "\n")
    (device / "driver").symlink_to("../../../../bus/pci/drivers/vfio-pci")
    (device / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{i}")
    Path(f"proc/100/fd/{i}").symlink_to(f"/dev/vfio/devices/vfio{i}")
END
