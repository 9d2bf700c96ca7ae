#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bring the commits BASE..HEAD of a kernel git tree into this repository: edits of upstream files become
# patches/NNNN-name.patch, files that the commits add are copied to their kernel paths (as the last commit
# leaves them; what later ones change in them is in their patches, too), patches/series ties the two together. This is the way back from a tree made by scripts/tree.sh, or from any kernel tree.
# A patch of this repository that only adds files, none of which TREE has, stays at the end of the series:
# its files (tests, say) are worked on here.
#
# usage: scripts/series-import.sh TREE BASE
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)

die() { echo "error: $*" >&2; exit 1; }

[ $# -eq 2 ] || die "two arguments needed; usage: scripts/series-import.sh TREE BASE"
git -C "$1" rev-parse --git-dir >/dev/null 2>&1 || die "$1 is not a git tree; name the tree that holds the commits"
tree=$(git -C "$1" rev-parse --show-toplevel)
base=$(git -C "$tree" rev-parse --quiet --verify "$2^{commit}") ||
	die "$2 is no commit in $tree; name the commit that the series starts from"
git -C "$tree" merge-base --is-ancestor "$base" HEAD ||
	die "$2 is not an ancestor of HEAD in $tree; rebase the series onto it"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/patches" "$tmp/new" "$tmp/objects"

# One result whatever the user's git configuration says.
tgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C "$tree" \
		-c core.quotePath=false -c diff.noprefix=false -c diff.mnemonicPrefix=false "$@"
}

# A scratch index and object store, to prove every step without writing to the tree.
objects=$(realpath "$(git -C "$tree" rev-parse --path-format=absolute --git-path objects)")
sgit() {
	GIT_INDEX_FILE=$tmp/index GIT_OBJECT_DIRECTORY=$tmp/objects \
		GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects tgit "$@"
}

# The slug that git format-patch would choose, without its number.
slug() {
	tgit show -s --format=%f "$1" | cut -c1-52 | sed 's/[-.]*$//'
}

message() {
	# The person who sends the series signs it off; the hash of a working tree's commit means nothing to others.
	tgit show -s --pretty=email "$1" |
		sed -e '1s/^From [0-9a-f]*/From 0000000000000000000000000000000000000000/' -e '/^Signed-off-by:/d' |
		sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
	echo ---
}

declare -A added_by=()
number=0

import() {
	local commit=$1 name new=() keep=() status path to mode subject
	number=$((number + 1))
	name=$(printf '%04d-%s.patch' "$number" "$(slug "$commit")")
	subject=$(tgit show -s --format=%s "$commit")

	[ "$(tgit show -s --format=%P "$commit" | wc -w)" -eq 1 ] ||
		die "commit \"$subject\" is a merge; make the series linear"

	while IFS= read -r -d '' status; do
		IFS= read -r -d '' path
		to=$path
		case $status in R*) IFS= read -r -d '' to ;; esac
		case "$path$to" in *[[:space:]]*) die "commit \"$subject\": white space in the file name $to; rename it" ;; esac
		if [ "$status" = A ]; then
			mode=$(tgit ls-tree "$commit" -- "$path" | cut -d' ' -f1)
			case $mode in
			100644|100755) ;;
			*) die "commit \"$subject\" adds $path with mode $mode; only plain files can be added" ;;
			esac
			added_by[$path]=$subject
			new+=("$path")
			mkdir -p "$tmp/new/$(dirname "$path")"
			tgit cat-file blob "$commit:$path" >"$tmp/new/$path"
			[ "$mode" = 100644 ] || chmod +x "$tmp/new/$path"
		else
			# This repository holds a file of ours as the last commit leaves it.
			if [ -n "${added_by[$path]:-}" ]; then
				[ "$status" = M ] || die "commit \"$subject\" moves or removes $path," \
					"which \"${added_by[$path]}\" of the same series adds; fold it"
				tgit cat-file blob "$commit:$path" >"$tmp/new/$path"
			fi
			keep+=("$path")
			[ "$to" = "$path" ] || keep+=("$to")
		fi
	done < <(tgit diff-tree -r -z -M --no-commit-id --name-status "$commit^" "$commit")
	[ $((${#new[@]} + ${#keep[@]})) -gt 0 ] || die "commit \"$subject\" is empty; drop it"

	message "$commit" >"$tmp/patches/$name"
	if [ ${#keep[@]} -gt 0 ]; then
		tgit diff -M -U3 --abbrev=12 --no-ext-diff --no-textconv --binary "$commit^" "$commit" -- "${keep[@]}" >"$tmp/diff"
		{ echo; cat "$tmp/diff"; } >>"$tmp/patches/$name"
	fi
	echo "$name${new[*]:+ ${new[*]}}" >>"$tmp/patches/series"

	# The step that was written must be the step that was read.
	[ ${#keep[@]} -eq 0 ] || sgit apply --cached --whitespace=nowarn "$tmp/patches/$name" ||
		die "commit \"$subject\" does not survive the way through $name"
	for path in ${new[@]+"${new[@]}"}; do
		mode=100644
		[ ! -x "$tmp/new/$path" ] || mode=100755
		sgit update-index --add --cacheinfo "$mode,$(sgit hash-object -w "$tmp/new/$path"),$path"
	done
	[ "$(sgit write-tree)" = "$(tgit rev-parse "$commit^{tree}")" ] ||
		die "commit \"$subject\" does not survive the way through $name"
	echo "$name: $((${#keep[@]})) edited files, ${#new[@]} new files"
}

commits=$(tgit rev-list --reverse --topo-order "$base..HEAD")
[ -n "$commits" ] || die "no commits between $2 and HEAD in $tree; commit the work first"
sgit read-tree "$base"
for commit in $commits; do
	import "$commit"
done
[ -z "$(tgit status --porcelain --untracked-files=no)" ] ||
	echo "note: $tree has changes that are not committed; they are not imported" >&2

# A patch of only new files, all unknown to TREE, keeps its place at the end.
keep_patch() {
	local name=$1 path to
	shift
	[ $# -gt 0 ] && ! grep -q '^diff --git ' "$repo/patches/$name" || return 0
	for path; do
		[ ! -e "$tmp/new/$path" ] && [ -f "$repo/$path" ] || return 0
	done
	number=$((number + 1))
	to=$(printf '%04d-%s' "$number" "${name#[0-9][0-9][0-9][0-9]-}")
	cp "$repo/patches/$name" "$tmp/patches/$to"
	echo "$to $*" >>"$tmp/patches/series"
	kept+=" $*"
	echo "$to: kept, $# new files"
}

kept=
if [ -f "$repo/patches/series" ]; then
	while read -r name paths; do
		# shellcheck disable=SC2086 # a list of files without white space
		[ ! -f "$repo/patches/$name" ] || keep_patch "$name" $paths
	done <"$repo/patches/series"
fi

# Files that the old series added and the new one does not: remove what git can give back, name the rest.
if [ -f "$repo/patches/series" ]; then
	cut -s -d' ' -f2- "$repo/patches/series" | tr ' ' '\n' | while read -r path; do
		if [ -e "$tmp/new/$path" ] || [ ! -e "$repo/$path" ]; then continue; fi
		case " $kept " in *" $path "*) continue ;; esac
		if git -C "$repo" ls-files --error-unmatch "$path" >/dev/null 2>&1 &&
		   git -C "$repo" diff --quiet HEAD -- "$path"; then
			rm -- "$repo/$path"
			echo "removed $path: no patch adds it any more"
		else
			echo "note: no patch adds $path any more; remove it" >&2
		fi
	done
fi
(cd "$tmp/new" && find . -type f -printf '%P\n') | while read -r path; do
	if ! cmp -s "$tmp/new/$path" "$repo/$path"; then echo "updated $path"; fi
	mkdir -p "$repo/$(dirname "$path")"
	cp -p "$tmp/new/$path" "$repo/$path"
done
mkdir -p "$repo/patches"
rm -f "$repo"/patches/[0-9][0-9][0-9][0-9]-*.patch
cp "$tmp"/patches/* "$repo/patches/"
echo "patches/ has $number patches now"
