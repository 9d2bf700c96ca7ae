#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# source.sh: unpack the pristine kernel source if it is missing, and print its path
# in the root. The source is Debian's linux-source package, or a copy of
# LINUX=/path.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; to use a kernel tree, set LINUX=/path"

# unpack_package FOLDER VERSION: in the root, unpack Debian's source package.
unpack_package()
{
	local deb

	set -euo pipefail
	cd /cache/apt
	apt-get -q -o APT::Sandbox::User=root download "linux-source-7.3=$2"
	deb=$(find . -name "linux-source-7.3_${2/:/%3a}_*.deb")
	mkdir -p "$1.new"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -xJ -C "$1.new" --no-same-owner
	mv "$1.new"/linux-source-* "$1.new/linux"
	mv "$1.new" "$1"
}

# unpack_tree FOLDER: in the root, unpack the tar file on stdin.
unpack_tree()
{
	set -euo pipefail
	mkdir -p "$1.new/linux"
	tar -x -C "$1.new/linux" --no-same-owner
	# A build with O= needs a clean source tree.
	make -C "$1.new/linux" mrproper
	mv "$1.new" "$1"
}

# choose [--recent]: select the source; set version and dir.
choose()
{
	read -r version _ < <("$SCRIPTS/version.sh" "$@") || exit 1
	if [ "$version" = tree ]; then
		LINUX=$(cd "$LINUX" && pwd -P)
		dir=src-$({ echo "$LINUX"; git -C "$LINUX" rev-parse HEAD 2>/dev/null || true
			find "$LINUX" -name .git -prune -o -newer "$LINUX/Makefile" -type f -printf '%P %s %T@\n' | sort; } | key)
	else
		dir=src-$(echo "$version" | key)
	fi
}

choose
[ -e "$CACHE/$dir" ] || choose --recent
copy()
{
	tar -c -C "$LINUX" --exclude=.git . |
		"$SCRIPTS/in-root.sh" bash -c "$(declare -f unpack_tree); unpack_tree /cache/$dir"
}

build()
{
	"$SCRIPTS/in-root.sh" rm -rf "/cache/$dir.new"
	if [ "$version" = tree ]; then
		step "copying the kernel source from $LINUX" "$CACHE/log/source.log" copy
	else
		step_in_root "unpacking the kernel source $version" "$CACHE/log/source.log" unpack_package \
			"/cache/$dir" "$version"
	fi
}

once "$dir" source 4000 "the kernel source" build
echo "/cache/$dir/linux"
