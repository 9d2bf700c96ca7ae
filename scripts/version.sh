#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# version.sh [--recent]: print "SOURCE ABI" of the newest 7.3.y in the root's package
# lists. SOURCE is the version of linux-source-7.3, ABI the kernel release of its Debian
# image. --recent updates package lists older than a day; use it before a download,
# because the archive drops old packages. With LINUX=/path, print "tree -".

. "$(dirname "$0")/lib.sh"

SERIES=7.3

if [ -n "${LINUX-}" ]; then
	[ -d "$LINUX/drivers/vfio" ] || die "LINUX=$LINUX is not a kernel tree; name the top folder of a tree of Linux $SERIES"
	version=$(awk '$1 == "VERSION" { v = $3 } $1 == "PATCHLEVEL" { p = $3 } END { print v "." p }' "$LINUX/Makefile")
	[ "$version" = "$SERIES" ] || die "LINUX=$LINUX is Linux $version; use a tree of Linux $SERIES"
	echo "tree -"
	exit
fi

root=$("$SCRIPTS/root.sh")
file=$root/etc/vfio-regops/linux

# resolve SERIES: in the root, find the newest source and its image. During an
# update of the archive, the newest image may have another version than the source.
resolve()
{
	local source abi

	source=$(apt-cache show "linux-source-$1" 2>/dev/null | awk '$1 == "Version:" { print $2 }' |
		sort -V | tail -n 1)
	[ -n "$source" ] || exit 0
	abi=$(apt-cache pkgnames "linux-headers-$1." |
		sed -n -E "s/^linux-headers-(${1//./\\.}\.[0-9]+\+[^-]*-amd64)$/\1/p" |
		while read -r abi; do
			apt-cache show "linux-headers-$abi" |
				awk -v abi="$abi" -v v="$source" '$1 == "Version:" && $2 == v { print abi }'
		done | sort -V | tail -n 1)
	echo "$source ${abi:--}" >/etc/vfio-regops/linux.new
	mv /etc/vfio-regops/linux.new /etc/vfio-regops/linux
}

# write: write the version to $file. Call it with the lock.
write()
{
	"$SCRIPTS/in-root.sh" bash -c "$(declare -f resolve); resolve $SERIES"
}

lists_are_old()
{
	[ -n "$(find "$root/etc/vfio-regops/lists" -mtime +0)" ]
}

case "${1-}" in
'') recent= ;;
--recent) recent=y ;;
*) die "unknown argument '$1'; usage: version.sh [--recent]" ;;
esac

if [ -n "$recent" ] && lists_are_old; then
	lock version
	if lists_are_old; then
		step "asking the mirror for its newest kernel" "$CACHE/log/update.log" "$SCRIPTS/root.sh" --update
		write
	fi
	unlock
fi
if [ ! -e "$file" ]; then
	lock version
	[ -e "$file" ] || write
	unlock
fi
[ -e "$file" ] || die "the Debian archive has no Linux $SERIES; set LINUX=/path to a kernel tree"
cat "$file"
