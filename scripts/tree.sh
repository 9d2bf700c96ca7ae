#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh: create the patched tree if it changed, and print its path in the root. The
# tree is a git repository. The tag "base" is the pristine kernel; each line of
# patches/series is one commit, with a patch and the new files in the line. This checkout
# holds each new file as of the last patch. To get the first version, tree.sh reverts the
# edits of later patches.
#
# The patches are in folders, one for each series. A series starts with an empty commit,
# "[FOLDER] subject", whose message is the cover letter. WITHOUT='FOLDER...' leaves series
# out.
#
# Every build runs this script. To keep it fast, the tree has only files of vfio and files
# that the series touches.

. "$(dirname "$0")/lib.sh"

if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/tree.sh "$@"
fi
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
series=$REPO/patches/series
without=" ${WITHOUT-} "

# The upstream files in every tree
base_files=(
	Documentation/ABI/testing/debugfs-vfio
	'Documentation/driver-api/vfio*.rst'
	MAINTAINERS
	'drivers/iommu/*.h'
	drivers/iommu/iommufd
	drivers/vfio
	include/linux/iommufd.h
	'include/linux/vfio*.h'
	'include/uapi/linux/vfio*.h'
	samples/Kconfig
	samples/Makefile
	samples/vfio-mdev
	tools/testing/selftests/vfio
)

# Ignore the user's git configuration.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false

# ours: print the new files at kernel paths. scripts/ and tools/vfio/ of this checkout are
# not part of the kernel.
ours()
{
	local dir

	for dir in "$src"/*/; do
		dir=$(basename "$dir")
		[ "$dir" != scripts ] || continue
		[ ! -d "$REPO/$dir" ] || (cd "$REPO" && find "$dir" ! -type d ! -path 'tools/vfio/*' ! -name '.*.sw?' ! -name '*~' \
			! -name '.checkpatch-*')
	done | sort
}

# read_series: check patches/series against the files; set patches and adds.
read_series()
{
	local patch new file
	local -A adder=()

	[ -s "$series" ] || die "patches/series is missing or empty; list the patches in it, one per line"
	patches=()
	while read -r patch new; do
		[ -n "$patch" ] || continue
		[[ "$patch" == */* ]] || die "patches/series: $patch is in no folder; write FOLDER/NAME"
		[ -s "$REPO/patches/${patch%%/*}/cover-letter.txt" ] ||
			die "patches/${patch%%/*}/cover-letter.txt is missing; write the subject, an empty line and the text to it"
		[ -f "$REPO/patches/$patch" ] || die "patches/series lists $patch, which is not in patches/; add the file or remove the line"
		[ -z "${adds[$patch]+x}" ] || die "patches/series lists $patch twice; remove one line"
		patches+=("$patch")
		adds[$patch]=$new
		for file in $new; do
			[ -z "${adder[$file]:-}" ] || die "${adder[$file]} and $patch both add $file; keep it in one line of patches/series"
			[ -f "$REPO/$file" ] || die "patches/series: $patch adds $file, which does not exist; add the file or remove its name"
			[ ! -e "$src/$file" ] || die "patches/series: $patch adds $file, which is upstream's file; edit it in a patch instead"
			adder[$file]=$patch
		done
	done <"$series"
	for patch in "$REPO"/patches/*/*.patch; do
		patch=${patch#"$REPO"/patches/}
		[ -n "${adds[$patch]+x}" ] || die "patches/$patch is not in patches/series; add it there or remove it"
	done
	while read -r file; do
		[ -n "${adder[$file]:-}" ] || die "no line of patches/series has $file; add it to the line of its patch"
	done < <(ours)
}

# touched: print the files that the patches edit.
touched()
{
	(cd "$REPO/patches" && sed -n -E 's,^diff --git a/(.*) b/(.*)$,\1\n\2,p' "${patches[@]}") | sort -u
}

# tree_key: print a key of the source, the patches, the new files and this script.
tree_key()
{
	local file

	{
		echo "$src"
		cat "$0" "$series"
		(cd "$REPO/patches" && sha256sum "${patches[@]}" ./*/cover-letter.txt)
		echo "$without"
		ours | while read -r file; do
			stat -c %A "$REPO/$file" | cut -c4
			sha256sum "$REPO/$file"
		done
	} | key
}

# commit MESSAGE [PARENT]: commit the index and print the hash. The environment has
# the author and the dates.
commit()
{
	GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE \
		git commit-tree ${2:+-p "$2"} -F "$1" "$(git write-tree)"
}

commit_base()
{
	{
		cd "$src" || exit
		for file in "${base_files[@]}"; do
			# shellcheck disable=SC2086 # one entry may be a pattern
			find $file ! -type d ! -name '.*.cmd' 2>/dev/null || true
		done
		touched | while read -r file; do
			[ ! -e "$file" ] || echo "$file"
		done
	} | sort -u >"$tmp/base"
	(cd "$src" && GIT_WORK_TREE=$src git update-index --add --stdin) <"$tmp/base"
	printf 'Linux %s\n' "$(make -s -C "$src" kernelversion)" >"$tmp/message"
	export GIT_AUTHOR_NAME=pristine GIT_AUTHOR_EMAIL=pristine GIT_AUTHOR_DATE='@0 +0000'
	parent=$(commit "$tmp/message")
	git tag base "$parent"
}

# first_version PATCH FILE: write FILE as PATCH adds it.
first_version()
{
	local patch later=() seen=''

	for patch in "${patches[@]}"; do
		if [ -n "$seen" ] && grep -qxF "diff --git a/$2 b/$2" "$REPO/patches/$patch"; then
			later=("$patch" ${later[@]+"${later[@]}"})
		fi
		[ "$patch" != "$1" ] || seen=y
	done
	mkdir -p "$tmp/first/$(dirname "$2")"
	cp "$REPO/$2" "$tmp/first/$2"
	for patch in ${later[@]+"${later[@]}"}; do
		(cd "$tmp/first" && env -u GIT_DIR -u GIT_WORK_TREE GIT_CEILING_DIRECTORIES="$tmp" \
			git apply -R --include="$2" --whitespace=nowarn "$REPO/patches/$patch" 2>"$tmp/errors") ||
			die "$2 does not match patches/$patch: $(sed -n 's/^error: //p;q' "$tmp/errors"); restore the file, and change it in a tree of make edit"
	done
	mkdir -p "$(dirname "$2")"
	cp "$tmp/first/$2" "$2"
}

# left_out PATCH: check whether WITHOUT leaves the series of a patch out.
left_out()
{
	[[ "$without" == *" ${1%%/*} "* ]]
}

# start_series FOLDER: commit the cover letter of a series.
start_series()
{
	{ printf '[%s] ' "$1"; cat "$REPO/patches/$1/cover-letter.txt"; } | git stripspace >"$tmp/message"
	parent=$(commit "$tmp/message" "$parent")
}

# commit_patch PATCH: commit one line of patches/series.
commit_patch()
{
	local patch=$1 file hunk

	git mailinfo "$tmp/body" "$tmp/diff" <"$REPO/patches/$patch" >"$tmp/info"
	GIT_AUTHOR_NAME=$(sed -n 's/^Author: //p' "$tmp/info")
	GIT_AUTHOR_EMAIL=$(sed -n 's/^Email: //p' "$tmp/info")
	GIT_AUTHOR_DATE=$(sed -n 's/^Date: //p' "$tmp/info")
	{ sed -n 's/^Subject: //p' "$tmp/info"; echo; cat "$tmp/body"; } | git stripspace >"$tmp/message"
	if [ -z "$GIT_AUTHOR_NAME" ] || [ -z "$GIT_AUTHOR_EMAIL" ] || [ -z "$GIT_AUTHOR_DATE" ] || [ ! -s "$tmp/message" ]; then
		die "patches/$patch lacks From:, Date: or Subject:; write it by git format-patch"
	fi

	if [ "${patch%%/*}" != "$folder" ]; then
		folder=${patch%%/*}
		cp "$tmp/message" "$tmp/message.patch"
		start_series "$folder"
		mv "$tmp/message.patch" "$tmp/message"
	fi

	file=$(awk '
		/^diff --git / { name = $NF }
		/^(new file mode|copy from) / { sub("^b/", "", name); print name; exit }' "$tmp/diff")
	[ -z "$file" ] || die "patches/$patch creates $file in its diff; put the file into this repository and list it in patches/series"

	if grep -q '^diff --git ' "$tmp/diff" && ! git apply --cached --whitespace=nowarn "$tmp/diff" 2>"$tmp/errors"; then
		file=$(sed -n -E 's/^error: patch failed: (.*):([0-9]+)$/\1/p;T;q' "$tmp/errors")
		hunk=$(sed -n -E 's/^error: patch failed: (.*):([0-9]+)$/\2/p;T;q' "$tmp/errors")
		[ -z "$file" ] || die "patches/$patch does not apply: $file, hunk" \
			"$(grep -m 1 -E "^@@ -${hunk}[, ]" "$tmp/diff" || echo "at line $hunk")"
		die "patches/$patch does not apply: $(sed -n 's/^error: //p;q' "$tmp/errors")"
	fi
	for file in ${adds[$patch]}; do
		first_version "$patch" "$file"
		if [ -x "$REPO/$file" ]; then chmod 755 "$file"; else chmod 644 "$file"; fi
		git update-index --add -- "$file"
	done
	parent=$(commit "$tmp/message" "$parent")
}

declare -A adds=()
read_series
name=tree-$(tree_key)
result=$CACHE/$name

lock tree
if [ ! -d "$result" ]; then
	tmp=$(mktemp -d "$CACHE/tmp-$name.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	git init -q -b series "$tmp/tree"
	export GIT_DIR=$tmp/tree/.git
	commit_base
	export GIT_WORK_TREE=$tmp/tree
	cd "$tmp/tree"
	folder=''
	for patch in "${patches[@]}"; do
		left_out "$patch" || commit_patch "$patch"
	done
	git update-ref HEAD "$parent"
	git checkout-index -q -f -a
	git update-index -q --refresh
	for file in $([ "$without" != "  " ] || ours); do
		cmp -s "$REPO/$file" "$file" || die "$file differs from the result of the series; check the patches that edit it"
	done
	cd "$CACHE"
	mv "$tmp/tree" "$result"
fi
used "$name"
echo "$result"
