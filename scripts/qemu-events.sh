# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by suites whose test programs request events from QEMU.

# serve_events FOLDER PID: execute the requests that programs in a VM print to
# FOLDER/log, by QEMU's monitor on the pipes FOLDER/monitor.in and monitor.out:
#
#     inject ERROR  inject an AER error into the device "faulty"
#     unplug        unplug the device "victim", and return
#
# Return when process PID ends.
serve_events()
{
	local monitor error injected=0

	cat "$1/monitor.out" >"$1/monitor" &
	exec {monitor}>"$1/monitor.in"
	while kill -0 "$2" 2>/dev/null; do
		if grep -q -s '^unplug' "$1/log"; then
			echo 'device_del victim' >&"$monitor"
			return
		fi
		error=$(sed -n 's/^inject //p' "$1/log" | sed -n "$((injected + 1))p")
		if [ -n "$error" ]; then
			echo "pcie_aer_inject_error faulty $error" >&"$monitor"
			injected=$((injected + 1))
		fi
		sleep 0.3
	done
}
