# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by suites in whose VMs something befalls a device from outside.

# meddle FOLDER PID: do what the programs of a VM ask for in FOLDER/log, by the monitor
# of its QEMU, of which FOLDER/monitor.in and .out are the pipes: "inject ERROR" into
# the device "faulty", and "unplug" the device "victim", after which there is nothing
# more to do; as long as process PID is there.
meddle()
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
