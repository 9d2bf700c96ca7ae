# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by every script: paths, messages, elapsed time, locks, cache keys and
# as_root().

set -euo pipefail

# The kernel's make must not inherit the options of our make.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO=$(dirname "$SCRIPTS")

# The cache and the checkout have the same paths in the root and in the guest.
# shellcheck disable=SC2034 # used by other scripts
IN_ROOT=
if [ -e /etc/vfio-regops/complete ]; then
	export IN_ROOT=y
	CACHE=/cache
else
	CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vfio-regops
fi
# shellcheck disable=SC2034 # used by other scripts
OUT=$REPO/out

JOBS=${JOBS:-$(nproc)}

# Kernel parameters: NO_VENDOR blacklists the vendor drivers that tests do not expect,
# NO_MIGRATION only the migration sample.
# shellcheck disable=SC2034 # used by other scripts
NO_VENDOR=modprobe.blacklist=vfio_pci_edu,vfio_pci_edu_migration,vfio_pci_igbvf
# shellcheck disable=SC2034 # used by other scripts
NO_MIGRATION=modprobe.blacklist=vfio_pci_edu_migration

# A command and all scripts that it calls count time from the same start.
export VFIO_REGOPS_T0=${VFIO_REGOPS_T0:-$(date +%s)}

# say TEXT...: print progress and the time since the first script started.
say()
{
	printf '[%4ds] %s\n' $(($(date +%s) - VFIO_REGOPS_T0)) "$*" >&2
}

# die TEXT...: print a one-line error (cause and remedy) and exit.
die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# key: print a short hash of stdin. It names the cache entry built from that input.
key()
{
	sha256sum | cut -c1-12
}

# need_space MB WHAT: exit if the cache's disk has less than MB free for WHAT.
need_space()
{
	local free

	mkdir -p "$CACHE" 2>/dev/null || die "cannot write to $CACHE; set XDG_CACHE_HOME to a writable folder"
	free=$(df --output=avail -m "$CACHE" | tail -n 1)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MB in $CACHE, and $((free)) MB are free; free some space, or set XDG_CACHE_HOME to a larger disk"
}

# lock NAME: take the lock of NAME, so that one process at a time builds it. The
# script holds the lock until unlock or until it exits.
lock()
{
	need_space 16 "the cache"
	exec {LOCK_FD}>"$CACHE/lock-$1" || die "cannot write to $CACHE; set XDG_CACHE_HOME to a writable folder"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another process that builds $1"
		flock "$LOCK_FD"
	fi
}

unlock()
{
	exec {LOCK_FD}>&-
}

# once FILE LOCK MB WHAT FUNCTION: if $CACHE/FILE is missing, call FUNCTION, which makes
# it; one process at a time does so. WHAT needs MB megabytes. The first folder of FILE, or
# FILE, is the cache entry.
once()
{
	if [ ! -e "$CACHE/$1" ]; then
		lock "$2"
		if [ ! -e "$CACHE/$1" ]; then
			need_space "$3" "$4"
			"$5"
		fi
		unlock
	fi
	used "${1%%/*}"
}

# used NAME: record the use of a cache entry, so that prune() keeps it.
used()
{
	mkdir -p "$CACHE/used"
	# The file may belong to root if an earlier command ran under sudo.
	touch "$CACHE/used/$1" 2>/dev/null || true
}

# prune CACHE: remove cache entries that no script used for two weeks. Call it in
# the root, which has the permissions for all files.
prune()
{
	find "$1/used" -type f -mtime +14 -printf '%f\n' | while read -r name; do
		rm -rf --one-file-system "${1:?}/$name" "$1/used/$name"
	done
}

# explain LOG: print the cause if LOG shows a full disk or a network failure.
explain()
{
	if grep -q -e 'No space left on device' -e 'not enough free space' "$1"; then
		printf 'the disk is full; free some space, or set XDG_CACHE_HOME to a larger disk'
	elif grep -q -E 'Temporary failure resolving|Could not resolve|[Uu]nable to connect|Could not connect|Connection (timed out|refused|failed)|Network is unreachable|got .NODATA.' "$1"; then
		printf 'no network: the Debian mirror cannot be reached; check the network and the proxy of apt'
	fi
}

# heartbeat LABEL LOG BEGAN: print every 20 s that a step still runs.
heartbeat()
{
	local never

	# Use read with a timeout: a sleep would outlive this shell.
	exec {never}<> <(:)
	while ! read -rt 20 -u "$never" && kill -0 $$ 2>/dev/null; do
		say "$1: $(($(date +%s) - $3)) s ($(tail -n 1 "$2" 2>/dev/null | tr -s '[:space:]' ' ' | cut -c1-60))"
	done
}

# step LABEL LOG COMMAND...: run a long command with its output in LOG. Print
# progress, the run time and, on failure, the errors in LOG.
step()
{
	local label=$1 log=$2 began status=0 beat why
	shift 2

	mkdir -p "$(dirname "$log")"
	began=$(date +%s)
	say "$label"
	heartbeat "$label" "$log" "$began" &
	beat=$!
	"$@" >"$log" 2>&1 </dev/null || status=$?
	kill "$beat" 2>/dev/null || true
	wait "$beat" 2>/dev/null || true
	if [ "$status" -ne 0 ]; then
		why=$(explain "$log")
		if [ -z "$why" ]; then
			# Skip command lines with -Werror.
			grep -E -i -e 'error|fatal|undefined|not set:|^E:' "$log" | grep -v -e ' -Werror' | head -n 20 >&2 || true
			tail -n 10 "$log" >&2
			why="status $status"
		fi
		die "$label failed: $why (log: $log)"
	fi
	say "$label: done in $(($(date +%s) - began)) s"
}

# step_in_root LABEL LOG FUNCTIONS ARGUMENT...: like step; call the first of FUNCTIONS with
# the arguments, in the root.
step_in_root()
{
	local functions

	read -r -a functions <<<"$3"
	step "$1" "$2" "$SCRIPTS/in-root.sh" bash -c "$(declare -f "${functions[@]}"); ${functions[0]}"' "$@"' - "${@:4}"
}

# as_root COMMAND...: run a command as root in a new mount namespace, so that its
# mounts vanish when it ends. Become root by a user namespace or by sudo. Never
# returns.
as_root()
{
	local vars

	if [ "$(id -u)" -eq 0 ]; then
		unshare -m true 2>/dev/null ||
			die "root may not mount here; give the container CAP_SYS_ADMIN (docker run --privileged)"
		exec unshare -m -- "$@"
	elif unshare --map-root-user --map-auto -m true 2>/dev/null; then
		exec unshare --map-root-user --map-auto -m -- "$@"
	elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then
		mapfile -d '' vars < <(env -0)
		exec sudo env "${vars[@]}" unshare -m -- "$@"
	fi
	die "cannot become root; install sudo, or package uidmap with ranges for this user in /etc/subuid and /etc/subgid"
}
