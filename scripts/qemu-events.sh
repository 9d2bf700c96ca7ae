# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by suites whose test programs request events from QEMU.

# serve_events FOLDER PID: execute the requests that programs in a VM print to
# FOLDER/log, by QEMU's monitor on the pipes FOLDER/monitor.in and monitor.out:
#
#     inject ERROR      inject an AER error into the device "faulty"
#     inject ERROR BDF  inject an AER error into a root port that vm.sh made
#     unplug            unplug the device "victim"
#
# A request may follow "# ", as in the output of run_kselftest.sh.
# Return when process PID ends.
serve_events()
{
	local monitor answers error port injected=0 unplugged=

	# If QEMU fails to start, opening a pipe in one direction would block
	cat <>"$1/monitor.out" >"$1/monitor" &
	answers=$!
	exec {monitor}<>"$1/monitor.in"
	while kill -0 "$2" 2>/dev/null; do
		if [ -z "$unplugged" ] && grep -q -s -E '^(# )?unplug' "$1/log"; then
			echo 'device_del victim' >&"$monitor"
			unplugged=y
		fi
		read -r error port < <(sed -n -E 's/^(# )?inject //p' "$1/log" | sed -n "$((injected + 1))p") || true
		if [ -n "$error" ]; then
			[ -z "$port" ] || port=port${port:8:2}
			echo "pcie_aer_inject_error ${port:-faulty} $error" >&"$monitor"
			injected=$((injected + 1))
		fi
		sleep 0.3
	done
	kill "$answers"
}
