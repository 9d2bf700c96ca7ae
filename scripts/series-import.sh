#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series-import.sh [--shrink] [--overwrite] TREE BASE: import the commits BASE..HEAD of
# the kernel git tree TREE. TREE may be a copy of the tree that scripts/tree.sh makes.
#
# A series starts with an empty commit, "[FOLDER] subject", whose message becomes
# patches/FOLDER/cover-letter.txt. Each other commit becomes
# patches/FOLDER/NNNN-name.patch with its edits of existing files. A file that a commit
# adds goes to its kernel path, with the content of the last commit. patches/series lists
# the patches and their new files.
#
#     --shrink     accept fewer patches or fewer new files than before
#     --overwrite  replace files with uncommitted changes

set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)

die() { echo "error: $*" >&2; exit 1; }

usage="usage: scripts/series-import.sh [--shrink] [--overwrite] TREE BASE"
shrink=
overwrite=
while [[ "${1-}" == --* ]]; do
	case $1 in
	--shrink) shrink=y ;;
	--overwrite) overwrite=y ;;
	*) die "unknown option '$1'; $usage" ;;
	esac
	shift
done
[ $# -eq 2 ] || die "two arguments needed; $usage"
git -C "$1" rev-parse --git-dir >/dev/null 2>&1 || die "$1 is not a git tree; name the tree with the commits"
tree=$(git -C "$1" rev-parse --show-toplevel)

# During a rebase or similar, HEAD is not the last commit of the series.
while read -r state what; do
	[ ! -e "$(git -C "$tree" rev-parse --path-format=absolute --git-path "$state")" ] ||
		die "$what is in progress in $tree, so HEAD may lack later commits; finish or abort it, then import"
done <<-END
	rebase-merge a rebase
	rebase-apply a rebase or git am
	MERGE_HEAD a merge
	CHERRY_PICK_HEAD a cherry-pick
	REVERT_HEAD a revert
	sequencer a cherry-pick or revert
	BISECT_LOG a bisection
END
base=$(git -C "$tree" rev-parse --quiet --verify "$2^{commit}") ||
	die "$2 is not a commit in $tree; name the commit before the series"
git -C "$tree" merge-base --is-ancestor "$base" HEAD ||
	die "$2 is not an ancestor of HEAD in $tree; rebase the series onto it"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/patches" "$tmp/new" "$tmp/objects"

# tgit: run git in TREE without the user's configuration.
tgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C "$tree" \
		-c core.quotePath=false -c diff.noprefix=false -c diff.mnemonicPrefix=false "$@"
}

# sgit: run git with a temporary index and object store, so that TREE stays unchanged.
objects=$(realpath "$(git -C "$tree" rev-parse --path-format=absolute --git-path objects)")
sgit() {
	GIT_INDEX_FILE=$tmp/index GIT_OBJECT_DIRECTORY=$tmp/objects \
		GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects tgit "$@"
}

# slug COMMIT: print the name that git format-patch would choose, without its number.
slug() {
	tgit show -s --format=%f "$1" | cut -c1-52 | sed 's/[-.]*$//'
}

# message COMMIT: print the head of a patch, without a sign-off and with a zero hash:
# the sender signs the series off, and no reader has this commit.
message() {
	tgit show -s --pretty=email "$1" |
		sed -e '1s/^From [0-9a-f]*/From 0000000000000000000000000000000000000000/' -e '/^Signed-off-by:/d' |
		sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
	echo ---
}

declare -A added_by=()
number=0
total=0
folder=

# start_series COMMIT SUBJECT: write the cover letter of a series.
start_series() {
	[[ "$2" =~ ^\[([0-9]+-[a-z0-9-]+)\]\ (.+)$ ]] ||
		die "commit \"$2\" is empty; drop it, or call it \"[N-name] subject\" to start a series"
	folder=${BASH_REMATCH[1]}
	[ ! -e "$tmp/patches/$folder" ] || die "two commits start the series $folder; drop or rename one"
	number=0
	mkdir "$tmp/patches/$folder"
	{ echo "${BASH_REMATCH[2]}"; echo; tgit show -s --format=%b "$1"; } | git stripspace \
		>"$tmp/patches/$folder/cover-letter.txt"
	[ "$(wc -l <"$tmp/patches/$folder/cover-letter.txt")" -gt 2 ] ||
		die "commit \"$2\" has no text; write the cover letter of the series in its message"
	echo "$folder/cover-letter.txt: ${BASH_REMATCH[2]}"
}

import() {
	local commit=$1 name new=() keep=() status path to mode subject
	subject=$(tgit show -s --format=%s "$commit")

	[ "$(tgit show -s --format=%P "$commit" | wc -w)" -eq 1 ] ||
		die "commit \"$subject\" is a merge; make the series linear"
	if tgit diff --quiet "$commit^" "$commit"; then
		start_series "$commit" "$subject"
		return
	fi
	[ -n "$folder" ] || die "commit \"$subject\" is before the first series; start one by an empty commit, \"[N-name] subject\""
	number=$((number + 1))
	total=$((total + 1))
	name=$folder/$(printf '%04d-%s.patch' "$number" "$(slug "$commit")")

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
			# A new file of the series gets the content of its last commit.
			if [ -n "${added_by[$path]:-}" ]; then
				[ "$status" = M ] || die "commit \"$subject\" moves or removes $path," \
					"which \"${added_by[$path]}\" of the same series adds; fold it"
				tgit cat-file blob "$commit:$path" >"$tmp/new/$path"
			fi
			keep+=("$path")
			[ "$to" = "$path" ] || keep+=("$to")
		fi
	done < <(tgit diff-tree -r -z -M --no-commit-id --name-status "$commit^" "$commit")

	message "$commit" >"$tmp/patches/$name"
	if [ ${#keep[@]} -gt 0 ]; then
		# An index line would change with each edit of an earlier patch.
		tgit diff -M -U3 --no-ext-diff --no-textconv "$commit^" "$commit" -- "${keep[@]}" >"$tmp/diff"
		! grep -q '^Binary files ' "$tmp/diff" || die "commit \"$subject\" changes a binary file; only text can be changed"
		{ echo; sed '/^index [0-9a-f]*\.\./d' "$tmp/diff"; } >>"$tmp/patches/$name"
	fi
	echo "$name${new[*]:+ ${new[*]}}" >>"$tmp/patches/series"

	# The patch and the new files must give the tree of the commit.
	[ ${#keep[@]} -eq 0 ] || sgit apply --cached --whitespace=nowarn "$tmp/patches/$name" ||
		die "commit \"$subject\": $name does not apply; report a bug of series-import.sh"
	for path in ${new[@]+"${new[@]}"}; do
		mode=100644
		[ ! -x "$tmp/new/$path" ] || mode=100755
		sgit update-index --add --cacheinfo "$mode,$(sgit hash-object -w "$tmp/new/$path"),$path"
	done
	[ "$(sgit write-tree)" = "$(tgit rev-parse "$commit^{tree}")" ] ||
		die "commit \"$subject\": $name gives a different tree; report a bug of series-import.sh"
	echo "$name: $((${#keep[@]})) edited files, ${#new[@]} new files"
}

commits=$(tgit rev-list --reverse --topo-order "$base..HEAD")
[ -n "$commits" ] || die "no commits between $2 and HEAD in $tree; commit your changes first"
sgit read-tree "$base"
for commit in $commits; do
	import "$commit"
done
[ -z "$(tgit status --porcelain --untracked-files=no)" ] ||
	echo "note: uncommitted changes in $tree are not imported" >&2
tgit ls-files --others --exclude-standard -- '*.[chS]' '*.rst' '*.sh' '*.py' '*Kconfig*' '*Makefile*' ':!*.mod.c' |
	sed "s,^,note: an uncommitted file in $tree is not imported: ," >&2

# old_files, new_files: print the files that the series adds, before and after the
# import.
old_files() { [ ! -f "$repo/patches/series" ] || cut -s -d' ' -f2- "$repo/patches/series" | tr ' ' '\n' | sed '/^$/d' | sort; }
new_files() { cut -s -d' ' -f2- "$tmp/patches/series" | tr ' ' '\n' | sed '/^$/d' | sort; }

# A smaller series is most likely a mistake.
if [ -z "$shrink" ] && [ -f "$repo/patches/series" ]; then
	old=$(grep -c . "$repo/patches/series" || true)
	[ "$total" -ge "$old" ] ||
		die "the import has $total patches and patches/series has $old; pass --shrink to accept that." \
			"Missing: $(comm -23 <(sed -n 's,^.*/[0-9]*-\([^ ]*\)\.patch.*,\1,p' "$repo/patches/series" | sort) \
				<(sed -n 's,^.*/[0-9]*-\([^ ]*\)\.patch.*,\1,p' "$tmp/patches/series" | sort) | xargs)"
	[ "$(new_files | wc -l)" -ge "$(old_files | wc -l)" ] ||
		die "the import has $(new_files | wc -l) new files and patches/series has $(old_files | wc -l);" \
			"pass --shrink to accept that. Missing: $(comm -23 <(old_files) <(new_files) | xargs)"
fi

# known FILE: return success if git has the content of FILE, because it was committed,
# staged, or written by an earlier import.
known() {
	local blob

	blob=$(git -C "$repo" hash-object --no-filters -- "$1") && git -C "$repo" cat-file -e "$blob" 2>/dev/null
}

if [ -z "$overwrite" ] && git -C "$repo" rev-parse --git-dir >/dev/null 2>&1; then
	lost=$({
		(cd "$tmp/new" && find . -type f -printf '%P\n')
		(cd "$repo" && ls -d patches/series patches/*/*.patch patches/*/cover-letter.txt 2>/dev/null) || true
	} | while read -r path; do
		[ -f "$repo/$path" ] || continue
		by=$tmp/new/$path
		[[ "$path" != patches/* ]] || by=$tmp/$path
		cmp -s "$by" "$repo/$path" || known "$path" || echo "$path"
	done | xargs)
	[ -z "$lost" ] ||
		die "uncommitted changes in these files would be lost: $lost; commit them, or pass --overwrite"
fi

# Remove files that only the old series added, if git has them; name the others.
comm -23 <(old_files) <(new_files) | while read -r path; do
	[ -e "$repo/$path" ] || continue
	if git -C "$repo" ls-files --error-unmatch "$path" >/dev/null 2>&1 &&
	   git -C "$repo" diff --quiet HEAD -- "$path"; then
		rm -- "$repo/$path"
		echo "removed $path: no patch adds it now"
	else
		echo "note: no patch adds $path now, and it has uncommitted changes; remove it" >&2
	fi
done
(cd "$tmp/new" && find . -type f -printf '%P\n') | while read -r path; do
	if ! cmp -s "$tmp/new/$path" "$repo/$path"; then echo "updated $path"; fi
	mkdir -p "$repo/$(dirname "$path")"
	cp -p "$tmp/new/$path" "$repo/$path"
done
mkdir -p "$repo/patches"
rm -f "$repo"/patches/*/[0-9][0-9][0-9][0-9]-*.patch "$repo"/patches/*/cover-letter.txt
cp -r "$tmp"/patches/. "$repo/patches/"
find "$repo/patches" -mindepth 1 -type d -empty -delete
# Store the files in git, so that known() finds them at the next import.
if git -C "$repo" rev-parse --git-dir >/dev/null 2>&1; then
	{
		(cd "$tmp/new" && find . -type f -printf '%P\n')
		(cd "$tmp" && find patches -type f)
	} | git -C "$repo" hash-object -w --no-filters --stdin-paths >/dev/null
fi
echo "imported: $total patches"
