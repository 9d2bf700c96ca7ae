#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh [--only ours|stock] [--metric NAME]
# bench.sh --compare STOCK OURS
#
# Count the instructions of frequent system calls, with stock vfio modules and with
# ours, on the same kernel. Write out/bench.tsv; fail if a metric misses its bound.
#
# Under QEMU's -icount, the guest's clock counts instructions. The results do not
# depend on the machine or its load, so the two VMs run in parallel.
#
#     --only     measure one side. "ours" is compared with the last results of
#                stock; if those are stale, measure both.
#     --metric   measure one metric
#     --compare  compare two result files; out/bench has the last ones

. "$(dirname "$0")/lib.sh"

USAGE='usage: bench.sh [--only ours|stock] [--metric NAME] | --compare STOCK OURS'

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
mig_first_byte	-	-'

# An instruction takes 2^SHIFT ns. The kernel spins for fixed times at boot, so
# slower instructions boot faster: 3 takes a third of the time of 0.
SHIFT=3

only=
metric=
full=1
compare=()
while [ $# -gt 0 ]; do
	case "$1" in
	--only) only=${2-}; shift ;;
	--metric) metric=${2-}; shift ;;
	--compare)
		[ $# -eq 3 ] || die "--compare needs two files; $USAGE"
		compare=("$2" "$3")
		shift 2
		;;
	*) die "unknown argument '$1'; $USAGE" ;;
	esac
	shift || die "$USAGE"
done
case "$only" in
''|ours|stock) ;;
*) die "--only does not accept '$only'; $USAGE" ;;
esac
[ -z "$metric" ] || grep -q "^$metric	" <<<"$BOUNDS" ||
	die "there is no metric '$metric'; choose from: $(cut -f 1 <<<"$BOUNDS" | xargs)"

[ -z "$only$metric" ] || full=0
kernel=${KERNEL:-release}
run=$OUT/bench

# in_guest USERSPACE MODULES METRIC: print the commands for the VM. For
# open_enabled they enable the device before vfio-pci binds it.
in_guest()
{
	local prog="$1/vfio_pci_region_bench -d $((1 << SHIFT))" only=${3:+-o $3}

	cat <<-END
	# vendor METRIC CALL SETUP: measure a call under a vendor driver
	vendor()
	{
		[ -z "$3" ] || [ "$3" = "\$1" ] || return 0
		echo "\$3" >/sys/module/vfio_pci_testdrv/parameters/setup
		$prog -r 0x10 -o "\$2" "\$bdf" | sed -n "s/^\$2\t/\$1\t/p"
	}
	set -e
	bdf=\${VM_DEVICES%%=*}
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$prog ${only/open_enabled/nothing} "\$bdf"
	scripts/guest/bind.sh "\$bdf" none
	echo 1 >/sys/bus/pci/devices/\$bdf/enable
	scripts/guest/bind.sh "\$bdf" vfio-pci
	$prog -o open "\$bdf" | sed -n 's/^open\t/open_enabled\t/p'
	END
	case "${3:-mig}" in
	mig* | memfd*) [ "$2" = ours ] || echo "$1/vfio_pci_migration_bench -d $((1 << SHIFT)) -m" ;;
	esac
	[ "$2" = ours ] || return 0
	case "${3:-mig}" in
	mig* | memfd*) cat <<-END ;;
		scripts/guest/bind.sh "\$bdf" none
		modprobe vfio_pci_testdrv_migration ids=1234:11e8 size=$((17 << 20)) cheap=1
		scripts/guest/bind.sh "\$bdf" vfio-pci
		$1/vfio_pci_migration_bench -d $((1 << SHIFT)) "\$bdf"
		scripts/guest/bind.sh "\$bdf" none
		rmmod vfio_pci_testdrv_migration
		END
	esac
	cat <<-END
	scripts/guest/bind.sh "\$bdf" none
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
		[ -z "$3" ] || [ "$3" = "\$1" ] || return 0
		$prog \$3 -o "\$2" "\$bdf" | sed -n "s/^\$2\t/\$1\t/p"
	}
	sample samples_info region_info ""
	sample samples_rd4096 bar_rd4096 "-b 0"
	sample samples_wr4 bar_wr4 "-w 0x80"
	END
}

# measure MODULES: run the benchmark in a VM; results go to $tmp/MODULES.tsv.
measure()
{
	local m=$1 began=$SECONDS

	KERNEL=$kernel MODULES=$m DEVICES=edu ACCEL=tcg SMP=1 NAME=bench-$m-$$ \
		APPEND=$NO_VENDOR QEMU="-icount shift=$SHIFT,sleep=on" \
			"$SCRIPTS/vm.sh" "$(in_guest "$userspace" "$m" "$metric")" >"$tmp/$m.log" 2>"$tmp/$m.err" || {
		tail -n 20 "$tmp/$m.log" "$tmp/$m.err" >&2
		die "the benchmark with $m modules failed (logs: $OUT/vm/bench-$m-$$.*)"
	}
	grep -E "^[a-z_0-9]+	[0-9]+	[0-9]+	[0-9]+	" "$tmp/$m.log" >"$tmp/$m.tsv" ||
		die "the benchmark with $m modules printed no result (logs: $OUT/vm/bench-$m-$$.*)"
	rm -f "$OUT/vm/bench-$m-$$".*
	say "measured $m modules in $((SECONDS - began)) s"
}

# identity: print everything that determines the results of the stock modules.
identity()
{
	"$SCRIPTS/modules.sh" "$kernel" stock
	"$SCRIPTS/in-root.sh" qemu-system-x86_64 --version | head -n 1
	cat "$REPO"/programs/{bench.h,vfio_pci_{region,migration}_bench.c} "$SCRIPTS"/{bench,vm}.sh | key
}

# table STOCK OURS: print the rows of out/bench.tsv. Return an error if a metric
# misses its bound, or, without --only and --metric, has no result.
table()
{
	awk -F'\t+' -v OFS='\t' '
		file == "stock" { stock[$1] = $2 }
		file == "ours" { ours[$1] = $2 }
		file == "bounds" && NF >= 2 && (full || ($1 in stock) || ($1 in ours)) {
			ref = NF > 2 ? $3 : $1
			if (sub(/^=/, "", ref))
				s = (ref in ours) ? ours[ref] : "-"
			else
				s = (ref in stock) ? stock[ref] : "-"
			o = ($1 in ours) ? ours[$1] : "-"
			ratio = "-"
			verdict = full ? "MISSING" : "-"
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
		END { exit bad > 0 }' full="$full" file=stock "$1" file=ours "$2" file=bounds - <<<"$BOUNDS"
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
if [ ${#compare[@]} -gt 0 ]; then
	cat "${compare[@]}" >/dev/null || die "--compare needs two files; $USAGE"
	show "${compare[@]}"
	exit
fi

userspace=$("$SCRIPTS/userspace.sh")
if [ "$only" = ours ] && ! cmp -s <(identity) "$run/stock.id"; then
	say "no valid results of stock; measuring both"
	only=
	[ -n "$metric" ] || full=1
fi
modules=(stock ours)
[ -z "$only" ] || modules=("$only")
for m in "${modules[@]}"; do
	"$SCRIPTS/modules.sh" "$kernel" "$m" >/dev/null
done

# One process group for each VM, so that the trap can end all its processes.
set -m
say "measuring on kernel $kernel: modules ${modules[*]}"
for m in "${modules[@]}"; do
	measure "$m" </dev/null &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
pids=()
set +m

declare -A result=([stock]=/dev/null [ours]=/dev/null)
for m in "${modules[@]}"; do
	result[$m]=$tmp/$m.tsv
done
[ "$only" != ours ] || result[stock]=$run/stock.tsv

show "${result[stock]}" "${result[ours]}" || status=$?
if [ -z "$metric" ]; then
	[ "$only" = ours ] || identity >"$tmp/stock.id"
	find "$tmp" \( -name '*.tsv' -o -name '*.id' \) -exec mv -t "$run" {} +
fi
[ "$full" -eq 0 ] || mv "$tmp/rows" "$OUT/bench.tsv"
[ "${status-0}" -eq 0 ] || die "a metric missed its bound, see the table above; $run/*.tsv have the spread of the samples"
