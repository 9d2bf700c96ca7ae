#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh [--only ours|stock] [--metric NAME]
# bench.sh --compare STOCK OURS
#
# What the calls that userspace makes most cost in instructions, with stock vfio modules and with ours, on
# the same kernel. Writes out/bench.tsv and fails if a metric misses its bound.
#
# Both run under QEMU's -icount, where the clock counts instructions: neither
# the machine nor what else it does matters, so the two VMs run side by side.
# --only runs one VM; ours is then compared with the last numbers of stock, and
# if these do not hold any more, both are run. --compare takes two files of numbers, as out/bench has them.

. "$(dirname "$0")/lib.sh"

USAGE='usage: bench.sh [--only ours|stock] [--metric NAME] | --compare STOCK OURS'

# metric and the ratio of ours to stock that it must not exceed. The bound 1 is
# given as 1.005: the compiler may lay the same code out anew. open_enabled is
# there to look at: most of open is spent in pci_enable_device(), in ACPI's
# interrupt routing, which hides what vfio-pci itself does. A third word names
# the metric of stock's that a metric of ours is compared with: those under a
# vendor driver, which handles one register of BAR0 or a thousand (near_ is the
# access to one that it does not handle), an open for which it has 10,000 other
# ids, BAR0 of edu under both sample drivers (all of its first page, and a write
# that both handle), and 64 KiB of the state of a device that is migrated, by device features
# (_fd) and by the region (_rw, _mmap). One with a = is one of ours, and to - there
# is nothing to compare.
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

# An instruction takes 2^SHIFT ns. What the kernel waits for by spinning while it
# boots takes the fewer instructions the longer they are: 3 is three times as
# fast as 0, which would need no division.
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
*) die "--only '$only'; $USAGE" ;;
esac
[ -z "$metric" ] || grep -q "^$metric	" <<<"$BOUNDS" ||
	die "no metric '$metric'; one of: $(cut -f 1 <<<"$BOUNDS" | xargs)"

[ -z "$only$metric" ] || full=0
kernel=${KERNEL:-release}
run=$OUT/bench

# in_guest: the command that the VM runs. An edu device that someone has
# enabled before it is bound stays enabled, so open has no need to.
in_guest()
{
	local prog="$1/vfio_pci_region_bench -d $((1 << SHIFT))" only=${3:+-o $3}

	cat <<-END
	# vendor METRIC COMMON SETUP: a metric under a vendor driver
	vendor()
	{
		[ -z "$3" ] || [ "$3" = "\$1" ] || return 0
		echo "\$3" >/sys/module/vfio_pci_torture/parameters/setup
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
		modprobe vfio_pci_torture_migration ids=1234:11e8 size=$((17 << 20)) cheap=1
		scripts/guest/bind.sh "\$bdf" vfio-pci
		$1/vfio_pci_migration_bench -d $((1 << SHIFT)) "\$bdf"
		scripts/guest/bind.sh "\$bdf" none
		rmmod vfio_pci_torture_migration
		END
	esac
	cat <<-END
	scripts/guest/bind.sh "\$bdf" none
	echo 0 >/sys/bus/pci/devices/\$bdf/enable
	scripts/guest/bind.sh "\$bdf" vfio-pci
	modprobe vfio_pci_torture ids=1234:11e8
	vendor near_rd4 bar_rd4 "range 0 0x80 4"
	vendor handled_rd4 bar_rd4 "range 0 0x10 4"
	vendor near1000_rd4 bar_rd4 "ranges 0 0x80 4 8 1000"
	vendor handled1000_rd4 bar_rd4 "range 0 0x10 4; ranges 0 0x80 4 8 999"
	scripts/guest/without-vendor.sh vfio_pci_torture
	modprobe vfio_pci_torture nr_ids=10000
	vendor ids_open open ""
	rmmod vfio_pci_torture
	scripts/guest/bind.sh "\$bdf" none
	modprobe -a vfio_pci_edu vfio_pci_edu_migration
	scripts/guest/bind.sh "\$bdf" vfio-pci
	# sample METRIC COMMON OPTIONS: a metric under the sample drivers
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

# measure MODULES: run the program in a VM; leaves its lines in $tmp/MODULES.tsv.
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

# identity: all that the numbers of the stock modules depend on.
identity()
{
	"$SCRIPTS/modules.sh" "$kernel" stock
	"$SCRIPTS/in-root.sh" qemu-system-x86_64 --version | head -n 1
	cat "$REPO"/tools/testing/selftests/vfio/vfio_pci_{region,migration}_bench.c "$SCRIPTS"/{bench,vm}.sh | key
}

# table STOCK OURS: the rows of out/bench.tsv. Fails if a bound is not met, or a
# number that should be there is not; --only and --metric want fewer of them.
table()
{
	awk -F'\t+' -v OFS='\t' '
		file == "stock" { stock[$1] = $2 }
		file == "ours" { ours[$1] = $2 }
		file == "bounds" && NF >= 2 && (full || ($1 in stock) || ($1 in ours)) {
			of = NF > 2 ? $3 : $1
			if (sub(/^=/, "", of))
				s = (of in ours) ? ours[of] : "-"
			else
				s = (of in stock) ? stock[of] : "-"
			o = ($1 in ours) ? ours[$1] : "-"
			ratio = "-"
			verdict = full ? "MISSING" : "-"
			if (of == "-" && o > 0)
				verdict = "-"
			if (s > 0 && o > 0) {
				ratio = sprintf("%.4f", o / s)
				verdict = "-"
				if ($2 != "-")
					verdict = o <= s * $2 ? "ok" : "TOO SLOW"
				# The same call of the same kernel: no ratio means
				# anything if this one is not 1.
				if ($1 == "floor")
					verdict = o / s < 1.005 && s / o < 1.005 ? "ok" : "DIFFERS"
			}
			bad += verdict ~ /[A-Z]/
			print $1, s, o, ratio, $2, verdict
		}
		END { exit bad > 0 }' full="$full" file=stock "$1" file=ours "$2" file=bounds - <<<"$BOUNDS"
}

# show STOCK OURS: the table, for people; its rows stay in $tmp/rows.
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
# Runs at the same time must not mix.
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
	say "there are no numbers of stock that hold, so both are measured"
	only=
	[ -n "$metric" ] || full=1
fi
modules=(stock ours)
[ -z "$only" ] || modules=("$only")
for m in "${modules[@]}"; do
	"$SCRIPTS/modules.sh" "$kernel" "$m" >/dev/null
done

# A group of processes for each VM, so that all of it ends if we are stopped.
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
[ "${status-0}" -eq 0 ] || die "a metric is not as it must be, see its result above; $run/*.tsv have the spread of the samples"
