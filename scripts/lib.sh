# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by every script: paths, messages, elapsed time, locks, keys, and the
# way to be root that this machine offers.

set -euo pipefail

# What was given to our make is not meant for the kernel's.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO=$(dirname "$SCRIPTS")

# Inside the root (and so in the guest) the same scripts see the same paths.
# shellcheck disable=SC2034 # for those who source this
IN_ROOT=
if [ -e /etc/vfio-regops/complete ]; then
	export IN_ROOT=y
	CACHE=/cache
else
	CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vfio-regops
fi
# shellcheck disable=SC2034 # for those who source this
OUT=$REPO/out

JOBS=${JOBS:-$(nproc)}

# For the kernel of a VM that is compared with stock, which has no vendor drivers.
# shellcheck disable=SC2034 # for those who source this
NO_VENDOR=modprobe.blacklist=vfio_pci_edu,vfio_pci_edu_migration
# Only the first sample, for what says how a device looks with it.
# shellcheck disable=SC2034 # for those who source this
NO_MIGRATION=modprobe.blacklist=vfio_pci_edu_migration

# One clock for a command and all the scripts that it calls.
export VFIO_REGOPS_T0=${VFIO_REGOPS_T0:-$(date +%s)}

# say TEXT...: progress, with the time since the first script started.
say()
{
	printf '[%4ds] %s\n' $(($(date +%s) - VFIO_REGOPS_T0)) "$*" >&2
}

# die TEXT...: the one line that says what is wrong and what to do.
die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# key: a short hash of stdin, the name of whatever is made from that input.
key()
{
	sha256sum | cut -c1-12
}

# need_space MB WHAT: refuse to start what would fill the disk.
need_space()
{
	local free

	mkdir -p "$CACHE" 2>/dev/null || die "cannot write to $CACHE; set XDG_CACHE_HOME to a writable folder"
	free=$(df --output=avail -m "$CACHE" | tail -n 1)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MB in $CACHE and $((free)) MB are free; free some, or set XDG_CACHE_HOME to a larger disk"
}

# lock NAME: one process at a time makes NAME; held until the script ends, or
# until unlock.
lock()
{
	need_space 16 "the cache"
	exec {LOCK_FD}>"$CACHE/lock-$1" || die "cannot write to $CACHE; set XDG_CACHE_HOME to a writable folder"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another process that makes $1"
		flock "$LOCK_FD"
	fi
}

unlock()
{
	exec {LOCK_FD}>&-
}

# used NAME: this part of the cache is in use; prune() leaves it alone.
used()
{
	mkdir -p "$CACHE/used"
	# It is someone else's if that was by sudo, and then so is all use of it.
	touch "$CACHE/used/$1" 2>/dev/null || true
}

# prune CACHE: remove what nobody used for two weeks: each edit leaves
# something, a new kernel much. Call it in the root, where all of it can be.
prune()
{
	find "$1/used" -type f -mtime +14 -printf '%f\n' | while read -r name; do
		rm -rf --one-file-system "${1:?}/$name" "$1/used/$name"
	done
}

# explain LOG: why did the step that wrote LOG fail? Prints one line for what
# is not the fault of this project.
explain()
{
	if grep -q -e 'No space left on device' -e 'not enough free space' "$1"; then
		printf 'the disk is full; free some space, or set XDG_CACHE_HOME to a larger disk'
	elif grep -q -E 'Temporary failure resolving|Could not resolve|[Uu]nable to connect|Could not connect|Connection (timed out|refused|failed)|Network is unreachable|got .NODATA.' "$1"; then
		printf 'no network: the Debian mirror cannot be reached; check the network and the proxy of apt'
	fi
}

# heartbeat LABEL LOG BEGAN: show every 20 s that a step still runs.
heartbeat()
{
	local never

	# A read that times out, as a sleep would outlive this shell.
	exec {never}<> <(:)
	while ! read -rt 20 -u "$never" && kill -0 $$ 2>/dev/null; do
		say "$1: $(($(date +%s) - $3)) s ($(tail -n 1 "$2" 2>/dev/null | tr -s '[:space:]' ' ' | cut -c1-60))"
	done
}

# step LABEL LOG COMMAND...: run a long command with its output in LOG; show
# that it lives, how long it took, and the lines that failed.
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
			# Not the commands with -Werror, nor all of what fails.
			grep -E -i -e 'error|fatal|undefined|not set:|^E:' "$log" | grep -v -e ' -Werror' | head -n 20 >&2 || true
			tail -n 10 "$log" >&2
			why="status $status"
		fi
		die "$label failed: $why (log: $log)"
	fi
	say "$label: done in $(($(date +%s) - began)) s"
}

# as_root COMMAND...: run a command as root in a mount namespace of its own,
# so that no mount of ours outlives it: as root, in a user namespace, or by
# sudo. Never returns.
as_root()
{
	local vars

	if [ "$(id -u)" -eq 0 ]; then
		unshare -m true 2>/dev/null ||
			die "root may not mount here; a container needs CAP_SYS_ADMIN (docker run --privileged)"
		exec unshare -m -- "$@"
	elif unshare --map-root-user --map-auto -m true 2>/dev/null; then
		exec unshare --map-root-user --map-auto -m -- "$@"
	elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then
		mapfile -d '' vars < <(env -0)
		exec sudo env "${vars[@]}" unshare -m -- "$@"
	fi
	die "an ordinary user needs sudo, or user namespaces with ranges in /etc/subuid and /etc/subgid and newuidmap (package uidmap)"
}
