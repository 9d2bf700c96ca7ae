#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# clean.sh [--cache]: remove the results in out/; with --cache, also everything
# built or downloaded.

. "$(dirname "$0")/lib.sh"

case "${1-}" in
'' | --cache) ;;
--as-root)
	# This runs as root of the user namespace, which may remove the files of all its
	# users. Mounts of other commands are in their own namespaces.
	rm -rf --one-file-system "$2"
	exit
	;;
*) die "unknown argument '$1'; usage: clean.sh [--cache]" ;;
esac

[ -z "$IN_ROOT" ] || die "clean.sh cannot run inside the root; run it on the host"
rm -rf "$OUT"
if [ "${1-}" = --cache ] && [ -e "$CACHE" ]; then
	exec {fd}>>"$CACHE/lock-use"
	flock -n "$fd" || die "$CACHE is in use by another command; end that first"
	(as_root "$SCRIPTS/clean.sh" --as-root "$CACHE")
fi
