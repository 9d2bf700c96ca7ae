#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fail-closed.sh: userspace cannot open a device without the vendor driver that guards
# it. Test modules that cannot be loaded at bind, required drivers, drivers that fail to
# bind, and the messages for each.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

folder=$OUT/fail-closed
rm -rf "$folder"
mkdir -p "$folder"

# The commands for the guest. "try NAME" opens the device, and writes the result to NAME
# and the kernel log to NAME.log.
in_guest=$(cat <<'END'
out=/repo/out/fail-closed
read -r edu other <<<"$(tr ' ' '\n' <<<"$VM_DEVICES" | sed 's/=.*//' | tr '\n' ' ')"
bind() { scripts/guest/bind.sh "$1" vfio-pci; }
try()
{
	dmesg -C
	scripts/guest/while-open.py "$edu" cat "/sys/kernel/debug/vfio/$edu/pci/regions" >$out/$1 2>&1
	dmesg | sed 's/^\[[^]]*\] //' >$out/$1.log
}
# Disable modprobe, as in an initramfs without the module
modprobe_off() { mount --bind /bin/false "$(readlink -f /sbin/modprobe)"; }
modprobe_on() { umount "$(readlink -f /sbin/modprobe)"; }
# reload OPTIONS...: reload vfio-pci-core with options
reload()
{
	scripts/guest/bind.sh all none
	# Keep vfio-pci from binding the devices when it is loaded
	for device in $VM_DEVICES; do echo >"/sys/bus/pci/devices/${device%%=*}/driver_override"; done
	modprobe -r vfio_pci_edu vfio_pci_testdrv vfio-pci vfio_pci_core
	[ ! -e /sys/module/vfio_pci_core ] || { echo "vfio_pci_core is stuck"; exit 1; }
	modprobe vfio_pci_core "$@" && modprobe vfio-pci
}

reload
modprobe_off
bind "$edu"
try missing
modprobe_on
reload
modprobe_off
bind "$edu"
modprobe_on
try loaded-at-open

reload require_vendor_driver=8086:10c9,1234:11e8=vfio_pci_edu
modprobe_off
bind "$edu"
try required-missing
modprobe_on
try required-again
scripts/guest/while-open.py "$other" >$out/unbound 2>&1
bind "$other"
scripts/guest/while-open.py "$other" >$out/not-required 2>&1

# Another driver satisfies a policy without a name, but not one with a name
reload require_vendor_driver=1234:11e8=vfio_pci_edu
mkdir -p /run/modprobe.d
echo blacklist vfio_pci_edu >/run/modprobe.d/edu.conf
modprobe vfio_pci_testdrv ids=1234:11e8
bind "$edu"
try required-other
reload require_vendor_driver=1234:11e8
bind "$edu"
try required-any-missing
modprobe vfio_pci_testdrv ids=1234:11e8
try required-any
rm /run/modprobe.d/edu.conf

# A required driver that declines the device does not guard it
reload require_vendor_driver=1234:11e8=vfio_pci_testdrv
modprobe vfio_pci_testdrv ids=1234:11e8
echo 'fail 19' >/sys/module/vfio_pci_testdrv/parameters/setup
bind "$edu"
try required-declines
echo >/sys/module/vfio_pci_testdrv/parameters/setup
try required-accepts

# A driver that fails to bind the device
reload
modprobe vfio_pci_testdrv ids=1234:11e8 bind_errno=5
dmesg -C
bind "$edu" >$out/bind-fails 2>&1
dmesg | sed 's/^\[[^]]*\] //' >$out/bind-fails.log
cat /sys/module/vfio_pci_testdrv/refcnt >$out/bind-fails.refcnt
rmmod vfio_pci_testdrv
bind "$edu" >$out/bind-works 2>&1; echo $? >>$out/bind-works
# A driver loaded after bind fails the open instead
modprobe vfio_pci_testdrv ids=1234:11e8 bind_errno=5
try late-bind-fails
echo 0 >/sys/module/vfio_pci_testdrv/parameters/bind_errno
try late-bind-works
cat /sys/module/vfio_pci_testdrv/refcnt >>$out/late-bind-works

reload require_vendor_driver=1234
dmesg | sed 's/^\[[^]]*\] //' | tail -n 5 >$out/malformed
lsmod >>$out/malformed
modinfo -F weakdep vfio-pci >$out/weakdep
END
)

# Print the messages about ids=, with our modules and with stock
# shellcheck disable=SC2016 # for the shell of the guest
in_both='modprobe vfio-pci ids=1234:11e8,,zz,8086:10c9:1:2:20000:ff0000,1234:11e8,1 && dmesg |
	sed -n "s/^\[[^]]*\] \(vfio_pci: .*\)/\1/p" >/repo/out/fail-closed/ids-$MODULES'

status=0
KERNEL=release MODULES=ours DEVICES='edu pci-testdev' NAME=fail-closed APPEND=$NO_MIGRATION "$SCRIPTS/vm.sh" "$in_guest
$in_both" </dev/null >"$folder/log" 2>&1 || status=$?
result "$status" "the VM succeeds" "$folder/log"
KERNEL=release MODULES=stock NAME=fail-closed-stock "$SCRIPTS/vm.sh" "$in_both" </dev/null >"$folder/log-stock" 2>&1 || true

guard='^  vfio_pci_edu 0x80-0x9f'
has missing '^open: ok' "without a policy, a device opens without the module"
has_not missing "$guard" "without the module, no override is active"
has loaded-at-open "$guard" "open loads a module that could not be loaded at bind"
has required-missing '^open: ENODEV' "without its required driver, the open fails"
has required-missing.log "^vfio-pci $(printf '0000:00:..\\..'): open refused: vendor driver vfio_pci_edu is missing; load its module or attach its BPF programs" \
	"the log names the device, the missing driver and the remedy"
has required-again "$guard" "an open that loads the required module succeeds"
has not-required '^open: ok' "a policy does not affect other devices"
has required-other '^open: ENODEV' "another driver does not satisfy a policy with a name"
has required-any-missing '^open: ENODEV' "a policy without a name needs a driver"
has required-any-missing.log 'no vendor driver is loaded for 1234:11e8' "the log names the ids of a device without a driver"
has required-any '^open: ok' "any driver satisfies a policy without a name"
has required-declines '^open: ENODEV' "the open fails if the required driver declines the device"
has required-declines.log 'required vendor driver vfio_pci_testdrv does not support the device' "the log names the driver that declines"
has required-accepts '^open: ok' "the open succeeds when the required driver accepts the device"
has bind-fails 'did not bind' "a failing bind callback fails the bind"
has bind-fails.log 'vendor driver vfio_pci_testdrv failed to bind the device: -5' "the log names the driver that fails to bind"
has bind-fails.refcnt '^0$' "a failed bind does not pin the module"
has bind-works '^0$' "the device binds after the driver is unloaded"
has late-bind-fails '^open: EIO' "a driver loaded after bind fails the open"
has late-bind-works '^3$' "a driver loaded after bind attaches at the next open, which pins its module"
has malformed 'malformed require_vendor_driver: "1234"' "the log reports a malformed policy"
has_not malformed '^vfio_pci_core ' "vfio-pci-core does not load with a malformed policy"
has weakdep '^vfio-pci-igd$' "modinfo lists vfio-pci-igd for initramfs tools"
status=0
grep -q 'add \[' "$folder/ids-stock" && cmp "$folder/ids-stock" "$folder/ids-ours" >"$folder/why" 2>&1 || status=1
diff "$folder/ids-stock" "$folder/ids-ours" >>"$folder/why" 2>&1 || true
result "$status" "the messages about ids= equal those of stock" "$folder/why"
totals
