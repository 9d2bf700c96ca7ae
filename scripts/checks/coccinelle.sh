# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Run the kernel's semantic patches on all C files that the series touches and on
# drivers/vfio/pci. Reports that stock also gives for the same file do not count.
# Userspace programs are not checked: they cannot use the kernel helpers that the
# semantic patches suggest. COCCI=/path runs one semantic patch.

mapfile -t files < <({ touched AMR '*.[ch]' ':!tools'; cd "$tree" && find drivers/vfio/pci -maxdepth 1 -name '*.[ch]'; } | sort -u)
kobj=$("$SCRIPTS/allmodconfig.sh" x86_64)

# coccicheck NAME DIR FILE...: run coccicheck on those FILEs that DIR has, and cache the report
# by their content.
coccicheck()
{
	local dir=$tmp/$1/src result status=0

	mkdir -p "$dir"
	(cd "$2" && { find "${@:3}" -prune 2>/dev/null || true; }) >"$tmp/list"
	if [ ! -s "$tmp/list" ]; then
		: >"$tmp/$1/report"
		return 0
	fi
	(cd "$2" && cpio -pdm --quiet "$dir" <"$tmp/list")
	result=$CACHE/coccicheck-$({ echo "$src ${COCCI-}"; cd "$dir" && find . -type f -exec sha256sum {} + | sort; } | key)
	if [ ! -e "$result" ]; then
		say "coccicheck of $1: $(wc -l <"$tmp/list") files"
		make -C "$kobj" coccicheck MODE=report "M=$dir" "J=$JOBS" DEBUG_FILE="$tmp/debug-$1" \
			>"$CACHE/log/coccicheck-$1.log" 2>&1 || status=$?
		if [ "$status" -ne 0 ]; then
			cp "$tmp/debug-$1" "$CACHE/log/coccicheck-$1.debug.log" || true
			result 1 "coccicheck of $1 runs (log: $CACHE/log/coccicheck-$1.log)" <(tail -n 10 "$CACHE/log/coccicheck-$1.log")
			return 1
		fi
		sed -n -E "s,^(\./|$dir/)([^:]*):[0-9:-]+ ,\2: ,p" "$CACHE/log/coccicheck-$1.log" | sed 's/ on line [0-9]*//g' |
			sort >"$tmp/report"
		mv "$tmp/report" "$result"
	fi
	used "${result##*/}"
	cp "$result" "$tmp/$1/report"
}

if coccicheck ours "$tree" "${files[@]}"; then
	mapfile -t reported < <(cut -d: -f1 "$tmp/ours/report" | sort -u)
	if coccicheck stock "$src" "${reported[@]:-none}"; then
		comm -13 "$tmp/stock/report" "$tmp/ours/report" >"$tmp/new"
		empty "coccicheck: no new reports in ${#files[@]} files ($(wc -l <"$tmp/stock/report") also in stock)" "$tmp/new"
	fi
fi
