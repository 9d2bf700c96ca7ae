#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# without-vendor.sh MODULE...: in the guest, unload vendor modules and blacklist their
# aliases; `modprobe MODULE` still loads one. A bound device pins its vendor drivers,
# so unbind all devices first and bind them again afterwards.

set -euo pipefail

mkdir -p /run/modprobe.d
printf 'blacklist %s\n' "$@" >"/run/modprobe.d/without-$1.conf"

bound=()
for device in ${VM_DEVICES-}; do
	bdf=${device%%=*}
	driver=/sys/bus/pci/devices/$bdf/driver
	[ -e "$driver" ] || continue
	bound+=("$bdf $(basename "$(readlink "$driver")")")
	"$(dirname "$0")/bind.sh" "$bdf" none
done
for module; do
	[ ! -e "/sys/module/${module//-/_}" ] || rmmod "$module"
done
for device in ${bound[@]+"${bound[@]}"}; do
	"$(dirname "$0")/bind.sh" "${device% *}" "${device#* }"
done
