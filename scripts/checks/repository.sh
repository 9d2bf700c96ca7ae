# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Check that this repository has no copy of an upstream file, no sign-off and no
# local path, and that configs/modules.config matches Kconfig.

# Compare contents. tree.sh refuses an edited file at an upstream path.
(cd "$src" && git hash-object --no-filters --stdin-paths < <(
	find drivers/vfio samples/vfio-mdev include/linux include/uapi/linux tools/testing/selftests/vfio \
		Documentation/driver-api Documentation/ABI -type f)) | sort -u >"$tmp/upstream"
own_files | grep -v -x COPYING | while read -r file; do
	[ -s "$REPO/$file" ] || continue
	# In a git worktree, .git points to a path outside the root.
	blob=$(cd "$REPO" && GIT_DIR=$tree/.git git hash-object --no-filters "$file")
	! grep -qx "$blob" "$tmp/upstream" || echo "$file: a copy of an upstream file"
	[ ! -e "$src/$file" ] || case "$file" in
	MAINTAINERS | Makefile | .gitignore | README*) ;;
	*) echo "$file: the path of an upstream file" ;;
	esac
done >"$tmp/out"
empty "no file is a copy of an upstream file" "$tmp/out"

grep -rn -i '^Signed-off-by:' "$REPO/patches" | sed "s,^$REPO/,," >"$tmp/out" || true
empty "no patch is signed off" "$tmp/out"

# Scripts take the Debian mirror from the host's apt configuration and paths from
# the environment.
own_files | (cd "$REPO" && xargs -d '\n' grep -n -I -E \
	-e 'https?://[^/ ]*(deb|debian|mirror|registry|proxy|artifact)[^ ]*/(debian|dists|pool|simple)' \
	-e '(^|[^[:alnum:]_$}./-])/(home|Users|mnt/data|work)/[[:alnum:]_.-]+' \
	-e '@(localhost|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)\b' -e 'https?://[0-9]+\.[0-9]+\.') >"$tmp/out" || true
empty "no file names a host, a mirror or a home directory" "$tmp/out"

git -C "$tree" diff base series -- '*Kconfig*' | sed -n -E 's/^\+(menu)?config ([A-Z0-9_]+)$/\2/p' | while read -r symbol; do
	grep -q -E "^(CONFIG_$symbol=[ym]|# CONFIG_$symbol is not set)$" "$REPO/configs/modules.config" || echo "CONFIG_$symbol"
done >"$tmp/out"
empty "configs/modules.config sets or unsets every option that the series adds" "$tmp/out"
