#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh [--compare STOCK OURS]: count the instructions of frequent system calls, with
# stock vfio modules and with ours, on the same kernel. Write out/bench.tsv; fail if a
# metric misses its bound. --compare compares two result files; out/bench has the last
# ones.
#
# Under QEMU's -icount, the guest's clock counts instructions. The results do not
# depend on the machine or its load, so the two VMs run in parallel.

. "$(dirname "$0")/lib.sh"

# Columns: metric, bound, reference. The bound is the largest allowed ratio of the
# metric with our modules to its reference with stock modules; - means no bound.
# The bound 1.005 allows for a different code layout by the compiler. The reference
# defaults to the same metric; =NAME is a metric of our modules; - means none.
#
#     open_enabled  open of a device that is enabled already. Most of open is
#                   interrupt routing by ACPI in pci_enable_device().
#     handled_*     an overridden register, with 1 or 1000 ranges in BAR0
#     near_*        a register next to the ranges
#     ids_open      open, while a vendor driver has 10,000 ids of other devices
#     samples_*     BAR0 of edu under both sample drivers: its first page, and a
#                   write that both handle
#     debian_*      the same calls on Debian's kernel, which has BTF
#     bpf_rd4       a register that a BPF program handles
#     memory_*      device memory of an NVIDIA Grace GPU; stock has a variant driver
#     vf_tail       write the tail of the receive queue of an 82576 VF: by a mapping with
#                   stock, by pwrite with ours, because our driver traps it
#     vf_tail_rw    the same by pwrite with both
#     vf_frame      receive a frame, and write the tail
#     vf_frame16    receive a frame, and write the tail after 16 frames
#     vf_frame_nolog  vf_frame with log=0, which traps no tail
#     vf_frame_log  vf_frame while the driver logs what the device writes
#     mig_*         64 KiB of migration data, by the data file (_fd) and by the
#                   migration region (_rw, _mmap)
BOUNDS='
floor		-
open		1.02
open_enabled	-
region_info	1.005
cfg_rd2		1.005
cfg_rd64	1.005
cfg_rd256	0.75
cfg_wr2		1.005
bar_rd4		1.005
bar_wr4		1.005
bar_rd64	1.005
bar_wr64	1.005
bar_rd4096	0.25
bar_wr4096	0.25
near_rd4	1.005	bar_rd4
handled_rd4	1.10	bar_rd4
near1000_rd4	1.005	bar_rd4
handled1000_rd4	1.10	bar_rd4
ids_open	1.02	open
samples_info	1.30	region_info
samples_rd4096	0.30	bar_rd4096
samples_wr4	1.10	bar_wr4
memfd_rd64k	-
mig_save_fd	1.15	memfd_rd64k
mig_load_fd	1.15	memfd_rd64k
mig_save_rw	-	memfd_rd64k
mig_load_rw	-	memfd_rd64k
mig_save_mmap	1.005	=mig_save_fd
mig_load_mmap	1.005	=mig_load_fd
mig_first_byte	-	-
debian_rd4	1.005
debian_handled	1.10	debian_rd4
bpf_rd4		1.35	debian_rd4
memory_info	1.005
memory_rd4096	1.005
memory_wr4096	1.005
memory_fault4k	1.005
memory_fault2m	1.005
vf_tail		-
vf_tail_rw	2
vf_frame	-
vf_frame16	2.5
vf_frame_nolog	-	vf_frame
vf_frame_log	-	vf_frame'

# An instruction takes 2^SHIFT ns. The kernel spins for fixed times at boot, so the boot
# executes fewer instructions if each takes longer: SHIFT=3 needs a third of the time of
# SHIFT=0.
SHIFT=3

kernel=${KERNEL:-release}
run=$OUT/bench

# in_guest MODULES: print the commands for the VM. For open_enabled they enable the
# device before vfio-pci binds it.
in_guest()
{
	local prog="$userspace/vfio_pci_region_bench -d $((1 << SHIFT))"
	local migration="$userspace/vfio_pci_migration_bench -d $((1 << SHIFT))"
	local vf_bench="$userspace/vfio_pci_igbvf_bench -d $((1 << SHIFT))"

	cat <<-END
	# vendor METRIC CALL SETUP: measure a call under a vendor driver
	vendor()
	{
		echo "\$3" >/sys/module/vfio_pci_testdrv/parameters/setup
		$prog -r 0x10 -o "\$2" "\$bdf" | sed -n "s/^\$2\t/\$1\t/p"
	}
	set -e -o pipefail
	read -r bdf pf peer < <(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//' | xargs)
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$prog "\$bdf"
	scripts/guest/bind.sh "\$bdf" none
	echo 1 >/sys/bus/pci/devices/\$bdf/enable
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$prog -o open "\$bdf" | sed -n 's/^open\t/open_enabled\t/p'
	END
	if [ "$1" = stock ]; then
		cat <<-END
		$migration -m
		scripts/guest/bind.sh "\$peer" igb
		vf=\$(scripts/guest/igb-vfs.sh "\$pf")
		$vf_bench "\$vf" "\$peer"
		$vf_bench -p "\$vf" "\$peer" | sed -n 's/^vf_tail\t/vf_tail_rw\t/p'
		END
		return
	fi
	cat <<-END
	scripts/guest/bind.sh "\$bdf" none
	modprobe vfio_pci_testdrv_migration ids=1234:11e8 size=$((17 << 20)) cheap=1
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$migration "\$bdf"
	scripts/guest/bind.sh "\$bdf" none
	rmmod vfio_pci_testdrv_migration

	echo 0 >/sys/bus/pci/devices/\$bdf/enable
	scripts/guest/bind.sh "\$bdf" vfio-pci
	modprobe vfio_pci_testdrv ids=1234:11e8
	vendor near_rd4 bar_rd4 "range 0 0x80 4"
	vendor handled_rd4 bar_rd4 "range 0 0x10 4"
	vendor near1000_rd4 bar_rd4 "ranges 0 0x80 4 8 1000"
	vendor handled1000_rd4 bar_rd4 "range 0 0x10 4; ranges 0 0x80 4 8 999"
	scripts/guest/without-vendor.sh vfio_pci_testdrv
	modprobe vfio_pci_testdrv nr_ids=10000
	vendor ids_open open ""
	rmmod vfio_pci_testdrv
	scripts/guest/bind.sh "\$bdf" none
	modprobe -a vfio_pci_edu vfio_pci_edu_migration
	scripts/guest/bind.sh "\$bdf" vfio-pci
	# sample METRIC CALL OPTIONS: measure a call under the sample drivers
	sample()
	{
		$prog \$3 -o "\$2" "\$bdf" | sed -n "s/^\$2\t/\$1\t/p"
	}
	sample samples_info region_info ""
	sample samples_rd4096 bar_rd4096 "-b 0"
	sample samples_wr4 bar_wr4 "-w 0x80"

	scripts/guest/bind.sh "\$peer" igb
	modprobe vfio-pci-igbvf log=0
	vf=\$(scripts/guest/igb-vfs.sh "\$pf")
	$vf_bench "\$vf" "\$peer" | sed -n 's/^vf_frame\t/vf_frame_nolog\t/p'
	scripts/guest/bind.sh "\$vf" none
	rmmod vfio-pci-igbvf
	modprobe vfio-pci-igbvf
	scripts/guest/bind.sh "\$vf" vfio-pci
	$vf_bench -t "\$vf" "\$peer" | sed -E 's/^vf_tail(\t.*)/&\nvf_tail_rw\1/'
	$vf_bench -t -l "\$vf" "\$peer" | sed -n 's/^vf_frame\t/vf_frame_log\t/p'
	END
}

# memory_in_guest MODULES: print the commands for the VM with a GPU.
memory_in_guest()
{
	local driver=vfio-pci

	[ "$1" = ours ] || driver=nvgrace_gpu_vfio_pci
	cat <<-END
	set -e -o pipefail
	modprobe $driver
	bdf=\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed -n 's/=user:nvgrace_mig$//p')
	scripts/guest/bind.sh "\$bdf" $driver
	$userspace/vfio_pci_region_bench -d $((1 << SHIFT)) "\$bdf" | grep '^memory_'
	END
}

# debian_in_guest MODULES: print the commands for the VM with Debian's kernel.
debian_in_guest()
{
	local prog="$userspace/vfio_pci_region_bench -d $((1 << SHIFT)) -o bar_rd4"

	cat <<-END
	set -e -o pipefail
	bdf=\${VM_DEVICES%%=*}
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$prog "\$bdf" | sed -n 's/^bar_rd4\t/debian_rd4\t/p'
	END
	[ "$1" = ours ] || return 0
	cat <<-END
	modprobe vfio_pci_testdrv ids=1234:11e8
	echo 'range 0 0x10 4' >/sys/module/vfio_pci_testdrv/parameters/setup
	$prog -r 0x10 "\$bdf" | sed -n 's/^bar_rd4\t/debian_handled\t/p'
	scripts/guest/without-vendor.sh vfio_pci_testdrv
	mount -t bpf bpf /sys/fs/bpf
	modprobe vfio-pci-bpf
	$bpf/attach $bpf/bench.bpf.o
	$prog -r 0x10 "\$bdf" | sed -n 's/^bar_rd4\t/bpf_rd4\t/p'
	END
}

# measure MODULES: run the benchmark in a VM; results go to $tmp/MODULES.tsv.
measure()
{
	local m=$1 began=$SECONDS

	{
		KERNEL=$kernel MODULES=$m DEVICES="edu port/igb,netdev=pf port/igb,netdev=peer" ACCEL=tcg SMP=1 \
			NAME=bench-$m-$$ APPEND=$NO_VENDOR \
			QEMU="-icount shift=$SHIFT,sleep=on -netdev hubport,id=pf,hubid=0 -netdev hubport,id=peer,hubid=0" \
			"$SCRIPTS/vm.sh" "$(in_guest "$m")" &&
			KERNEL=stock MODULES=$m DEVICES=edu ACCEL=tcg SMP=1 NAME=bench-$m-$$ \
				APPEND=$NO_VENDOR QEMU="-icount shift=$SHIFT,sleep=on" "$SCRIPTS/vm.sh" "$(debian_in_guest "$m")" &&
			KERNEL=$kernel MODULES=$m DEVICES="$NVGRACE_DEVICES" ACCEL=tcg SMP=1 NAME=bench-$m-$$ \
				MEM=$NVGRACE_MEM APPEND="$NVGRACE_APPEND" QEMU="-icount shift=$SHIFT,sleep=on $NVGRACE_QEMU" \
				"$SCRIPTS/vm.sh" "$(memory_in_guest "$m")"
	} >"$tmp/$m.log" 2>"$tmp/$m.err" || {
		tail -n 20 "$tmp/$m.log" "$tmp/$m.err" >&2
		die "the benchmark with $m modules failed (logs: $OUT/vm/bench-$m-$$.*)"
	}
	grep -E "^[a-z_0-9]+	[0-9]+	[0-9]+	[0-9]+	" "$tmp/$m.log" >"$tmp/$m.tsv" ||
		die "the benchmark with $m modules printed no result (logs: $OUT/vm/bench-$m-$$.*)"
	rm -f "$OUT/vm/bench-$m-$$".*
	say "measured $m modules in $((SECONDS - began)) s"
}

# table STOCK OURS: print the rows of out/bench.tsv. Return an error if a metric misses
# its bound or has no result.
table()
{
	awk -F'\t+' -v OFS='\t' '
		file == "stock" { stock[$1] = $2 }
		file == "ours" { ours[$1] = $2 }
		file == "bounds" && NF >= 2 {
			ref = NF > 2 ? $3 : $1
			if (sub(/^=/, "", ref))
				s = (ref in ours) ? ours[ref] : "-"
			else
				s = (ref in stock) ? stock[ref] : "-"
			o = ($1 in ours) ? ours[$1] : "-"
			ratio = "-"
			verdict = "MISSING"
			if (ref == "-" && o > 0)
				verdict = "-"
			if (s > 0 && o > 0) {
				ratio = sprintf("%.4f", o / s)
				verdict = "-"
				if ($2 != "-")
					verdict = o <= s * $2 ? "ok" : "TOO SLOW"
				# Both sides make the same system call. If this
				# ratio is not 1, no ratio is valid.
				if ($1 == "floor")
					verdict = o / s < 1.005 && s / o < 1.005 ? "ok" : "DIFFERS"
			}
			bad += verdict ~ /[A-Z]/
			print $1, s, o, ratio, $2, verdict
		}
		END { exit bad > 0 }' file=stock "$1" file=ours "$2" file=bounds - <<<"$BOUNDS"
}

# show STOCK OURS: print the table for humans; its rows stay in $tmp/rows.
show()
{
	local status=0

	printf 'metric\tstock\tours\tratio\tat most\tresult\n' >"$tmp/rows"
	table "$1" "$2" >>"$tmp/rows" || status=$?
	echo "Instructions per operation, median:"
	awk -F'\t' '{ printf "  %-15s %9s %9s %8s %8s  %s\n", $1, $2, $3, $4, $5, $6 }' "$tmp/rows"
	return "$status"
}

mkdir -p "$run"
# Two benchmarks may run at the same time.
tmp=$(mktemp -d "$run/tmp-XXXXXX")
pids=()
trap 'for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
if [ $# -gt 0 ]; then
	if [ $# -ne 3 ] || [ "$1" != --compare ]; then die "unknown arguments; usage: bench.sh [--compare STOCK OURS]"; fi
	cat "$2" "$3" >/dev/null
	show "$2" "$3"
	exit
fi

userspace=$("$SCRIPTS/userspace.sh")
. "$SCRIPTS/nvgrace-vm.sh"
for m in stock ours; do
	"$SCRIPTS/modules.sh" "$kernel" "$m" >/dev/null
	"$SCRIPTS/modules.sh" stock "$m" >/dev/null
done
bpf=$("$SCRIPTS/bpf.sh" samples)

# One process group for each VM, so that the trap can end all its processes.
set -m
say "measuring on kernel $kernel: modules stock and ours"
for m in stock ours; do
	measure "$m" </dev/null &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
pids=()
set +m

status=0
show "$tmp/stock.tsv" "$tmp/ours.tsv" || status=$?
mv "$tmp"/{stock,ours}.tsv "$run"
mv "$tmp/rows" "$OUT/bench.tsv"
[ "$status" -eq 0 ] || die "a metric missed its bound, see the table above; $run/*.tsv have the spread of the samples"
