# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# All semantic patches of the kernel on the C files that the series touches,
# those of drivers/vfio/pci among them; what they report of the same files in
# stock does not count. Not on programs for userspace, which have no use of the
# helpers of the kernel that semantic patches ask for. COCCI=/path runs one.

mapfile -t files < <({ touched AMR '*.[ch]' ':!tools'; cd "$tree" && find drivers/vfio/pci -maxdepth 1 -name '*.[ch]'; } | sort -u)
kobj=$("$SCRIPTS/allmod.sh" x86_64)

# coccicheck NAME DIR: run the kernel's coccicheck on the files in DIR; once
# for the same content.
coccicheck()
{
	local dir=$tmp/$1/src result status=0

	mkdir -p "$dir"
	(cd "$2" && { find "${files[@]}" -prune 2>/dev/null || true; }) >"$tmp/list"
	(cd "$2" && cpio -pdm --quiet "$dir" <"$tmp/list")
	result=$CACHE/coccicheck-$({ echo "$src ${COCCI-}"; cd "$dir" && find . -type f -exec sha256sum {} + | sort; } | key)
	if [ ! -e "$result" ]; then
		say "coccicheck of $1: $(wc -l <"$tmp/list") files"
		make -C "$kobj" coccicheck MODE=report "M=$dir" "J=$JOBS" DEBUG_FILE="$tmp/debug-$1" \
			>"$CACHE/log/coccicheck-$1.log" 2>&1 || status=$?
		if [ "$status" -ne 0 ]; then
			# Without libpython, the reports' scripts cannot run.
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

if coccicheck stock "$src" && coccicheck ours "$tree"; then
	comm -13 "$tmp/stock/report" "$tmp/ours/report" >"$tmp/new"
	empty "coccicheck: ${#files[@]} files have nothing new ($(wc -l <"$tmp/stock/report") reports in stock)" "$tmp/new"
fi
