#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC1090
#
# booted.sh: in a guest that systemd boots, do what init.sh does in the other guests: run the
# command of vm.sh after the boot, report its status through a virtio port, power off.

export HOME=/root LC_ALL=C.UTF-8
cd /repo || exit
systemctl is-system-running --wait >/dev/null

read -r line </proc/cmdline
for word in $line; do
	[[ "$word" != vm.run=* ]] || run=${word#vm.run=}
done
. "$run.env"
export VM_DEVICES

# A virtio port opens only once
bash "$run" </dev/null 2>&1 | cat >/dev/virtio-ports/out
status=${PIPESTATUS[0]}
dmesg >"$run.dmesg"
journalctl -b --no-pager >"$run.journal"
sync
echo "$status" >/dev/virtio-ports/status
systemctl poweroff
