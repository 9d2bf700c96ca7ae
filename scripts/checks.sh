#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# checks.sh [NAME...]: run the static checks scripts/checks/NAME.sh, by default all
# of them. Print "ok - NAME" or "not ok - NAME" with the reason for each result,
# and the totals as the last line.

. "$(dirname "$0")/lib.sh"

mapfile -t all < <(find "$SCRIPTS/checks" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort)
for name; do
	[ -e "$SCRIPTS/checks/$name.sh" ] || die "there is no check '$name'; choose from: ${all[*]}"
done
if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	# Coccinelle's semantic patches contain Python and OCaml scripts.
	"$SCRIPTS/root.sh" --add libpython3-dev ocaml pahole python3-sphinx >/dev/null
	exec "$SCRIPTS/in-root.sh" scripts/checks.sh "$@"
fi
. "$SCRIPTS/result.sh"
[ $# -gt 0 ] || set -- "${all[@]}"

# Each check gets src (the pristine source), tree (the patched tree, with the
# revisions "base" and "series") and tmp (a folder of its own).
# shellcheck disable=SC2034 # the checks read it
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
tree=$("$SCRIPTS/tree.sh")
tmp=$(mktemp -d "$CACHE/tmp-checks.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# Ignore the user's git configuration.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false

# touched FILTER PATTERN...: print the files that the series touches. FILTER is
# --diff-filter of git diff: A for new files, AMR for all.
# shellcheck disable=SC2317,SC2329 # the checks call it
touched()
{
	git -C "$tree" diff -M --name-only --diff-filter="$1" base series -- "${@:2}"
}

# own_files: print the files of this repository that git does not ignore.
# shellcheck disable=SC2317,SC2329 # the checks call it
own_files()
{
	(cd "$REPO" && find . \( -path ./.git -o -path ./out -o -path "./edit*" \) -prune -o -type f \
		! -name '.*.sw?' ! -name '*~' ! -name '.checkpatch-*' ! -name '*.o' ! -path ./tools/vfio/lsvfio -printf '%P\n') | sort
}

# run NAME: source a check.
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
	# "|| status=..." would disable set -e inside the check.
	set +e
	(set -e; run "$name") | tee "$tmp/log"
	status=${PIPESTATUS[0]}
	set -e
	s=$(grep -c '^ok .*# SKIP' "$tmp/log" || true)
	p=$(($(grep -c '^ok ' "$tmp/log" || true) - s))
	f=$(grep -c '^not ok ' "$tmp/log" || true)
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$status" -ne 0 ] || [ $((p + f + s)) -eq 0 ]; then
		result 1 "$name: the check completes"
	fi
done
totals
