#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh: every metric of the benchmark meets its bound, and the comparison detects
# metrics that do not.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=100

. "$(dirname "$0")/../lib.sh"

. "$SCRIPTS/result.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

rm -f "$OUT/bench.tsv"
status=0
"$SCRIPTS/bench.sh" >"$tmp/table" || status=$?
sed 's/^/# /' "$tmp/table"
[ -s "$OUT/bench.tsv" ] || die "make bench wrote no out/bench.tsv"
result "$status" "make bench succeeds"

tail -n +2 "$OUT/bench.tsv" >"$tmp/rows"
while IFS=$'\t' read -r name stock ours ratio bound verdict; do
	[ "$verdict" != - ] || continue
	status=0
	[ "$verdict" = ok ] || status=1
	result "$status" "$name meets its bound: $ours instructions, stock $stock, ratio $ratio, at most $bound"
done <"$tmp/rows"

# Test the comparison with results derived from the run above.
stock=$OUT/bench/stock.tsv

# open and memfd take long enough to contain interrupts, and some page faults allocate page
# tables.
status=0
awk -F'\t' '$1 !~ /^(open|memfd|memory_fault)/ && $4 > $3 * 1.005 { exit 1 }' "$stock" || status=$?
result "$status" "90 % of the samples are within 0.5 % of the minimum"

# compare OURS: compare stock with OURS by bench.sh; the table goes to $tmp/out.
compare()
{
	"$SCRIPTS/bench.sh" --compare "$stock" "$1" >"$tmp/out" 2>&1
}

# refused NAME ROW: check that $tmp/ours.tsv fails the comparison with this row.
refused()
{
	local status=0

	compare "$tmp/ours.tsv" && status=1
	grep -q "^ *$2\$" "$tmp/out" || status=1
	result "$status" "$1" "$tmp/out"
}

# change METRIC PERCENT: change a metric of the results on stdin.
change()
{
	awk -F'\t' -v OFS='\t' -v m="$1" -v p="$2" '$1 == m { $2 = int($2 * (1 + p / 100) + (p > 0)) } 1'
}

# add_vendor_metrics: add the metrics that stock lacks to the results on stdin.
add_vendor_metrics()
{
	awk -F'\t' -v OFS='\t' '{ print } $1 == "bar_rd4" { split("near_rd4 handled_rd4 near1000_rd4 handled1000_rd4", m, " ")
		for (i in m) { $1 = m[i]; print } } $1 == "open" { $1 = "ids_open"; print }
		$1 == "region_info" { $1 = "samples_info"; print } $1 == "bar_wr4" { $1 = "samples_wr4"; print }
		$1 == "bar_rd4096" { $1 = "samples_rd4096"; print }
		$1 == "memfd_rd64k" { split("save_fd load_fd save_rw load_rw save_mmap load_mmap first_byte", m, " ")
		for (i in m) { $1 = "mig_" m[i]; print } }
		$1 == "debian_rd4" { split("debian_handled bpf_rd4", m, " "); for (i in m) { $1 = m[i]; print } }
		$1 == "vf_frame" { split("vf_frame_nolog vf_frame_log", m, " "); for (i in m) { $1 = m[i]; print } }'
}

status=0
add_vendor_metrics <"$stock" | change cfg_rd256 -26 | change bar_rd4096 -76 | change bar_wr4096 -76 |
	change samples_rd4096 -71 >"$tmp/good.tsv"
compare "$tmp/good.tsv" || status=$?
result "$status" "results at the bounds pass" "$tmp/out"

cp "$stock" "$tmp/ours.tsv"
for metric in cfg_rd256 bar_rd4096 bar_wr4096; do
	refused "results equal to stock fail for $metric" "$metric .* 1\.0000 .*TOO SLOW"
done
for metric in region_info cfg_rd2 cfg_rd64 cfg_wr2 bar_rd4 bar_wr4 bar_rd64 bar_wr64 memory_info memory_rd4096 \
	memory_wr4096 memory_fault4k memory_fault2m; do
	change "$metric" 0.6 <"$tmp/good.tsv" >"$tmp/ours.tsv"
	refused "0.6 % more for $metric fails" "$metric .*TOO SLOW"
done
change open 2.1 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "2.1 % more for open fails" "open .*TOO SLOW"
change floor 2 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "a different floor fails" "floor .*DIFFERS"
for metric in near_rd4 near1000_rd4; do
	change "$metric" 30 <"$tmp/good.tsv" >"$tmp/ours.tsv"
	refused "30 % more for $metric fails" "$metric .*TOO SLOW"
done
for metric in handled_rd4 handled1000_rd4; do
	change "$metric" 40 <"$tmp/good.tsv" >"$tmp/ours.tsv"
	refused "40 % more for $metric fails" "$metric .*TOO SLOW"
done
change ids_open 2.1 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "2.1 % more for an open with 10,000 ids fails" "ids_open .*TOO SLOW"
change debian_rd4 0.6 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "0.6 % more for debian_rd4 fails" "debian_rd4 .*TOO SLOW"
for metric in debian_handled bpf_rd4; do
	change "$metric" 40 <"$tmp/good.tsv" >"$tmp/ours.tsv"
	refused "40 % more for $metric fails" "$metric .*TOO SLOW"
done
for metric in mig_save_fd mig_load_fd; do
	change "$metric" 15.1 <"$tmp/good.tsv" >"$tmp/ours.tsv"
	refused "15.1 % more for $metric than for a memfd fails" "$metric .*TOO SLOW"
done
change vf_tail_rw 101 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "101 % more for a trapped tail fails" "vf_tail_rw .*TOO SLOW"
change vf_frame16 151 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "151 % more for 16 frames with a trapped tail fails" "vf_frame16 .*TOO SLOW"
change mig_save_mmap 0.6 <"$tmp/good.tsv" >"$tmp/ours.tsv"
refused "0.6 % more for mig_save_mmap than for mig_save_fd fails" "mig_save_mmap .*TOO SLOW"
grep -v '^mig_first_byte	' "$tmp/good.tsv" >"$tmp/ours.tsv"
refused "a missing result of a vendor metric fails" "mig_first_byte .*MISSING"
grep -v '^bar_wr4	' "$tmp/good.tsv" >"$tmp/ours.tsv"
refused "a missing result fails" "bar_wr4 .*MISSING"

totals
