# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts use the variables
#
# Sourced after lib.sh by scripts that boot a VM with the GPUs of programs/vfio_user/nvgrace*.json.
# Sets variables for vm.sh: the devices, the memory, which includes that of the GPUs, and the
# ACPI table that describes it.

NVGRACE_DEVICES='port/user:nvgrace port/user:nvgrace_mig port/user:nvgrace_cxl port/user:nvgrace_late port/edu'
NVGRACE_MEM=2800M
NVGRACE_APPEND="memmap=1792M\$0x40000000 $NO_VENDOR"
NVGRACE_QEMU='-acpitable file=/repo/out/nvgrace.aml -global pcie-root-port.x-speed=5'

mkdir -p "$OUT"
"$SCRIPTS/in-root.sh" iasl -p out/nvgrace programs/vfio_user/nvgrace.asl >"$OUT/nvgrace.iasl.log" 2>&1 ||
	die "iasl failed (log: $OUT/nvgrace.iasl.log)"
