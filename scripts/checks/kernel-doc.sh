# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Run kernel-doc on the kernel files of the series. Warnings of the same file in
# stock do not count.

# report DIR FILE: print the warnings for DIR/FILE without line numbers.
report()
{
	[ -e "$1/$2" ] || return 0
	(cd "$1" && PYTHONDONTWRITEBYTECODE=1 python3 "$src/tools/docs/kernel-doc" -none -Wall "$2") 2>&1 |
		sed -E -e '/^(Warning|Error|Info): .*no structured comments found/d' -e 's/:[0-9]+ /: /' | sort
}

for file in $(touched AMR 'drivers/*.[ch]' 'include/*.h' 'samples/*.[ch]'); do
	comm -13 <(report "$src" "$file") <(report "$tree" "$file") >"$tmp/new"
	empty "kernel-doc: $file" "$tmp/new"
done
