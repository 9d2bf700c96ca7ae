# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# What this repository must not hold, and what its parts must agree on.

# By content: the same path with another content is refused by tree.sh.
(cd "$src" && git hash-object --no-filters --stdin-paths < <(
	find drivers/vfio samples/vfio-mdev include/linux include/uapi/linux tools/testing/selftests/vfio \
		Documentation/driver-api Documentation/ABI -type f)) | sort -u >"$tmp/upstream"
own_files | grep -v -x COPYING | while read -r file; do
	[ -s "$REPO/$file" ] || continue
	# A .git of a git worktree leads nowhere in the root.
	blob=$(cd "$REPO" && GIT_DIR=$tree/.git git hash-object --no-filters "$file")
	! grep -qx "$blob" "$tmp/upstream" || echo "$file: a copy of an upstream file"
	[ ! -e "$src/$file" ] || case "$file" in
	MAINTAINERS | Makefile | .gitignore | README*) ;;
	*) echo "$file: the path of an upstream file" ;;
	esac
done >"$tmp/out"
empty "no file is a copy of upstream's" "$tmp/out"

grep -n -i '^Signed-off-by:' "$REPO"/patches/* | sed "s,^$REPO/,," >"$tmp/out" || true
empty "no patch is signed off" "$tmp/out"

# The mirror comes from the configuration of the host's apt, paths from the
# environment: neither names, nor addresses, nor homes.
own_files | (cd "$REPO" && xargs -d '\n' grep -n -I -E \
	-e 'https?://[^/ ]*(deb|debian|mirror|registry|proxy|artifact)[^ ]*/(debian|dists|pool|simple)' \
	-e '(^|[^[:alnum:]_$}./-])/(home|Users|mnt/data|work)/[[:alnum:]_.-]+' \
	-e '@(localhost|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)\b' -e 'https?://[0-9]+\.[0-9]+\.') >"$tmp/out" || true
empty "no host, mirror or home is named" "$tmp/out"

git -C "$tree" diff base series -- '*Kconfig*' | sed -n -E 's/^\+(menu)?config ([A-Z0-9_]+)$/\2/p' | while read -r symbol; do
	grep -q -E "^(CONFIG_$symbol=[ym]|# CONFIG_$symbol is not set)$" "$REPO/configs/modules.config" || echo "CONFIG_$symbol"
done >"$tmp/out"
empty "configs/modules.config sets every option that the series adds, or says that it does not" "$tmp/out"
