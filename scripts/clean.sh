#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# clean.sh [--cache]: remove the results in out/; with --cache also the root,
# the kernels and all else that was built or downloaded.

. "$(dirname "$0")/lib.sh"

case "${1-}" in
'' | --cache) ;;
--as-root)
	# Files of other users of the root's user namespace, too. Nothing is
	# mounted in it here: each mount of ours is in its own namespace.
	rm -rf --one-file-system "$2"
	exit
	;;
*) die "unknown argument '$1'; usage: clean.sh [--cache]" ;;
esac

[ -z "$IN_ROOT" ] || die "this cannot be done from inside the root"
rm -rf "$OUT"
if [ "${1-}" = --cache ] && [ -e "$CACHE" ]; then
	exec {fd}>>"$CACHE/lock-use"
	flock -n "$fd" || die "$CACHE is in use by another command; end that first"
	(as_root "$SCRIPTS/clean.sh" --as-root "$CACHE")
fi
