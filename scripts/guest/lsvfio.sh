#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lsvfio.sh FOLDER: in the guest, run FOLDER/plain/lsvfio and FOLDER/sanitized/lsvfio on the
# devices of the VM: edu, igb, nvme, a GPU by vfio-user and a second edu, and two edu
# devices in one IOMMU group behind the bridge 00:10.0. Write the output to FOLDER/vm/NAME.
# The kernel must require the vendor driver vfio-pci-igbvf for VFs of igb.

set -euo pipefail

folder=$(realpath "$1")
export out=$folder/vm
export plain=$folder/plain/lsvfio
mkdir -p "$out"
export PATH=$PATH:$PWD/scripts/guest

# show NAME OPTION...: run lsvfio, keep its output and its status
show()
{
	local status=0

	"${lsvfio:-$plain}" "${@:2}" >"$out/$1" 2>&1 || status=$?
	echo "status $status" >>"$out/$1"
}
export -f show

# json NAME OPTION...: keep only JSON; the sanitizers report to NAME.errors
json()
{
	"$folder/sanitized/lsvfio" --json "${@:2}" >"$out/$1" 2>"$out/$1.errors" || echo "status $?" >>"$out/$1.errors"
}

# follow DEVICE: run the command that lsvfio --why prints
follow()
{
	eval "$("$plain" --why "$1" 2>/dev/null | sed -n 's/^    //p')"
}

read -r edu igb nvme gpu parent < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed 's/=.*//' | xargs)
first=$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:01.0)
second=$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:02.0)

# --- no VFIO driver is bound ---
show unbound
show unbound-why --why "$edu"
follow "$edu"
show followed "$edu"
bind.sh "$edu" none
modprobe pci-pf-stub
bind.sh "$first" pci-pf-stub
follow "$first"
show host-followed "$first"
bind.sh "$first" none
bind.sh "$igb" igb
echo 0 >"/sys/bus/pci/devices/$igb/sriov_drivers_autoprobe"
show host-why --why "$igb"
echo 1 >"/sys/bus/pci/devices/$igb/sriov_numvfs"
vf=$(basename "$(readlink "/sys/bus/pci/devices/$igb/virtfn0")")
show pf -v "$igb"
show pf-why --why "$igb"

# --- a required vendor driver is missing, and is loaded after bind ---
mkdir -p /run/modprobe.d
echo blacklist vfio_pci_igbvf >/run/modprobe.d/igbvf.conf
bind.sh "$vf" vfio-pci
show required-why --why "$vf"
while-open.py "$vf" >"$out/required-open" 2>&1 || true
show required-opened -v --open "$vf"
follow "$vf"
while-open.py "$vf" >"$out/late-open" 2>&1 || true
show late-why --why "$vf"
follow "$vf"
show vf-why --why "$vf"
json vf --open "$vf"

# --- ready, and in use ---
for device in "$edu" "$nvme" "$gpu"; do
	bind.sh "$device" vfio-pci
done
echo "$edu" "$igb" "$vf" "$nvme" "$gpu" "$parent" "$first" "$second" >"$out/devices"
show list
show closed -v "$edu"
show edu-why --why "$edu"
cat >/tmp/in-use <<-END
	show in-use
	show in-use-v -v "$edu"
	show in-use-why --why "$edu"
	show in-use-opened -v --open "$edu"
	show in-use-diff --diff --open "$edu"
	cat "/sys/kernel/debug/vfio/$edu/pci/regions" >"$out/in-use-regions"
END
python3 -B - "$edu" >"$out/in-use-holder" <<-'END'
	import os, subprocess, sys, time
	sys.path.insert(0, "scripts/guest")
	from vfio_device import Device

	device = Device(sys.argv[1])
	writes = 0
	name = os.environ["out"] + "/watch"
	with open(name, "w") as file:
	    watch = subprocess.Popen([os.environ["plain"], "-v", "--watch", sys.argv[1]], stdout=file)
	    # Write a guarded register until lsvfio has shown it three times
	    while open(name).read().count("0x80-0x9f") < 3 and writes < 600:
	        device.write(0, 0x80, bytes(4))
	        writes += 1
	        time.sleep(0.1)
	    watch.kill()
	    watch.wait()
	print(os.getpid(), writes, flush=True)
	subprocess.run(["bash", "/tmp/in-use"])
END
exec {fd}<>"/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$nvme/vfio-dev")"
show in-use-cdev "$nvme"
exec {fd}>&-

# --- open ---
for name in edu nvme gpu; do
	show "opened-$name" -v --open "${!name}"
done
json opened --open "$edu" "$nvme" "$gpu"
lsvfio=$folder/sanitized/lsvfio show same --diff --open "$edu"
mv /dev/iommu /dev/iommu.hidden
lsvfio=$folder/sanitized/lsvfio show group-opened -v --open "$edu"
mv /dev/iommu.hidden /dev/iommu
modprobe vfio_pci_testdrv ids=1b36:0010
echo 'hide 0x11; addcap 9 16' >/sys/module/vfio_pci_testdrv/parameters/setup
lsvfio=$folder/sanitized/lsvfio show diff --diff --open "$nvme"
bind.sh "$nvme" none
rmmod vfio_pci_testdrv

# --- no root, no debugfs ---
for options in "" "-v $edu" "--why $edu" "-v --open $edu" "--diff --open $edu"; do
	echo "lsvfio $options"
	# shellcheck disable=SC2086 # options are words
	setpriv --reuid=65534 --regid=65534 --clear-groups "$plain" $options || echo "status $?"
done >"$out/nobody" 2>&1
umount /sys/kernel/debug
show no-debugfs
show no-debugfs-opened -v --open "$edu"
json no-debugfs-vf --open "$vf"
mount -t debugfs debug /sys/kernel/debug

# --- a conflict of two vendor drivers ---
modprobe vfio_pci_testdrv ids=1234:11e8
echo 'range 0 0x80 4' >/sys/module/vfio_pci_testdrv/parameters/setup
while-open.py "$edu" >"$out/conflict-open" 2>&1 || true
show conflict
show conflict-why --why "$edu"
bind.sh "$edu" none
rmmod vfio_pci_testdrv
show conflict-gone "$edu"

# --- a vendor driver that fails the bind ---
modprobe vfio_pci_testdrv ids=1234:11e8 bind_errno=5
bind.sh "$edu" vfio-pci || true
show bind-fails-why --why "$edu"
rmmod vfio_pci_testdrv
bind.sh "$edu" vfio-pci
show bind-works "$edu"

# --- an IOMMU group that is not viable ---
bind.sh "$first" vfio-pci
bind.sh "$second" pci-pf-stub
show not-viable-why --why "$first"
while-open.py "$first" >"$out/not-viable-open" 2>&1 || true
bind.sh "$second" vfio-pci
show viable "$first" "$second"
while-open.py "$first" >"$out/viable-open" 2>&1 || true

# --- a mediated device ---
uuid=9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95
bind.sh "$parent" vfio-mdev-pci
show mdev-none --why "$parent"
uuidgen() { echo "$uuid"; }
follow "$parent"
show mdev
show mdev-why --why "$parent" "$uuid"
while-open.py "$parent" bash -c 'show mdev-in-use' >"$out/mdev-open" 2>&1 || true
show mdev-opened -v --open "$uuid"
echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
