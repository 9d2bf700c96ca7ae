#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# in-root.sh COMMAND...: run a command as root inside the root and return its status.
# The checkout is at /repo (the working directory), the cache at /cache.
#
#     BIND  a folder outside the checkout, to mount at /run/bind

. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "no command; usage: in-root.sh COMMAND..."

# as_root runs this script again with --mounted, in a new mount namespace.
if [ "$1" = --mounted ]; then
	root=$2
	shift 2
	# A user namespace may only bind inherited mounts with their submounts.
	for dir in proc dev sys; do
		mount --rbind "/$dir" "$root/$dir"
	done
	mount --bind "$VFIO_REGOPS_REPO" "$root/repo"
	mount --bind "$VFIO_REGOPS_CACHE" "$root/cache"
	mount -t tmpfs -o mode=1777 tmp "$root/tmp"
	mount -t tmpfs -o mode=755 run "$root/run"
	if [ -n "${BIND-}" ]; then
		mkdir "$root/run/bind"
		mount --rbind "$BIND" "$root/run/bind"
		unset BIND
	fi
	unset VFIO_REGOPS_REPO VFIO_REGOPS_CACHE XDG_CACHE_HOME XDG_RUNTIME_DIR TMPDIR
	# These variables would change a build.
	unset ARCH CROSS_COMPILE CC LD CFLAGS CPPFLAGS LDFLAGS KCFLAGS KCPPFLAGS "${!KBUILD_@}" V O M C W
	unset LANG LANGUAGE "${!LC_@}"
	export HOME=/root LC_ALL=C.UTF-8
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	exec chroot "$root" /usr/bin/env -C /repo -- "$@"
fi

[ -z "$IN_ROOT" ] || exec "$@"
root=$("$SCRIPTS/root.sh")
# clean.sh --cache refuses to run while a command holds this lock.
exec {use}>>"$CACHE/lock-use"
flock -s "$use"
export VFIO_REGOPS_REPO=$REPO VFIO_REGOPS_CACHE=$CACHE
as_root "$SCRIPTS/in-root.sh" --mounted "$root" "$@"
