#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# checks.sh [NAME...]: run the static checks scripts/checks/NAME.sh, all of
# them or those that are named: lines "ok - what" and "not ok - what" with what
# is wrong, and the totals as the last line.

. "$(dirname "$0")/lib.sh"

mapfile -t all < <(find "$SCRIPTS/checks" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort)
for name; do
	[ -e "$SCRIPTS/checks/$name.sh" ] || die "there is no check '$name'; there are: ${all[*]}"
done
if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	# coccinelle's semantic patches have scripts in python and in OCaml.
	"$SCRIPTS/root.sh" --add libpython3-dev ocaml python3-sphinx >/dev/null
	exec "$SCRIPTS/in-root.sh" scripts/checks.sh "$@"
fi
. "$SCRIPTS/result.sh"
[ $# -gt 0 ] || set -- "${all[@]}"

# What each check is given: the pristine source, the patched tree (its base is
# the revision "base", the series "series"), and a folder of its own.
# shellcheck disable=SC2034 # the checks read it
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
tree=$("$SCRIPTS/tree.sh")
tmp=$(mktemp -d "$CACHE/tmp-checks.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# The result must not depend on anyone's git configuration.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false

# touched FILTER PATTERN...: the files of the series; FILTER as that of git
# diff: A for those that are new, AMR for all.
# shellcheck disable=SC2317,SC2329 # the checks call it
touched()
{
	git -C "$tree" diff -M --name-only --diff-filter="$1" base series -- "${@:2}"
}

# Only what is not ignored; out/ and .git/ are not ours to check.
# shellcheck disable=SC2317,SC2329 # the checks call it
own_files()
{
	(cd "$REPO" && find . \( -path ./.git -o -path ./out \) -prune -o -type f \
		! -name '.*.sw?' ! -name '*~' ! -name '.checkpatch-*' -printf '%P\n') | sort
}

# run NAME: a check is a few lines on top of what is here.
run()
{
	# shellcheck disable=SC2034 # the checks read it
	local tmp=$tmp/$1

	mkdir "$tmp"
	# shellcheck source=/dev/null
	. "$SCRIPTS/checks/$1.sh"
}

mkdir -p "$CACHE/log" "$OUT"
for name; do
	say "checking: $name"
	# Not "|| status=...", which would let a check go on after an error.
	set +e
	(set -e; run "$name") | tee "$tmp/log"
	status=${PIPESTATUS[0]}
	set -e
	s=$(grep -c '^ok .*# SKIP' "$tmp/log" || true)
	p=$(($(grep -c '^ok ' "$tmp/log" || true) - s))
	f=$(grep -c '^not ok ' "$tmp/log" || true)
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$status" -ne 0 ] || [ $((p + f + s)) -eq 0 ]; then
		result 1 "$name: the check runs to its end"
	fi
done
totals
