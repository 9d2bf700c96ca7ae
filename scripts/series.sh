#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh [--build]: export the series to out/series by git format-patch, with a cover
# letter. Check that git am on the pristine source gives the tested tree. --build also
# compiles every step, with all drivers and with the options of vfio-pci off; a warning
# is an error.

. "$(dirname "$0")/lib.sh"

build=
case ${1:-} in
'') ;;
--build) build=y ;;
*) die "unknown argument '$1'; usage: series.sh [--build]" ;;
esac
if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/series.sh "$@"
fi
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
. "$SCRIPTS/vfio-build.sh"
. "$SCRIPTS/result.sh"

cover=$REPO/patches/cover-letter.txt
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false

# export_series DIR: write the patches of $tree to DIR.
export_series()
{
	# The cover letter has the author and the date of the last patch, so that
	# exports are reproducible.
	GIT_COMMITTER_NAME=$(git -C "$tree" log -1 --format=%an) \
	GIT_COMMITTER_EMAIL=$(git -C "$tree" log -1 --format=%ae) \
	GIT_COMMITTER_DATE=$(git -C "$tree" log -1 --format=%aI) \
		git -C "$tree" format-patch -q -M --zero-commit --no-signature --abbrev=12 \
		--cover-letter --description-file="$cover" --cover-from-description=subject \
		-o "$1" base..series
	# Name the release: nobody else has the base commit.
	printf 'base: %s\n' "$(git -C "$tree" log -1 --format=%s base)" >>"$1/0000-cover-letter.patch"
}

# blobs REPO REV [PATH...]: print mode, hash and name of files.
blobs()
{
	git -C "$1" ls-tree -r "$2" -- "${@:3}"
}

# prove DIR: apply the patches in DIR to the pristine source and compare the result
# with $tree.
prove()
{
	local am=$tmp/am files patches=("$1"/0*.patch)

	git init -q -b main "$am"
	mapfile -t files < <(git -C "$tree" diff --no-renames --name-only base series)
	(cd "$src" && { find "${files[@]}" -prune 2>/dev/null || true; } | cpio -pdm --quiet "$am")
	git -C "$am" add -A -f
	export GIT_COMMITTER_NAME=prove GIT_COMMITTER_EMAIL=prove GIT_AUTHOR_NAME=prove GIT_AUTHOR_EMAIL=prove
	git -C "$am" commit -q --allow-empty -m pristine
	git -C "$am" tag base
	if ! git -C "$am" am "${patches[@]:1}" >"$tmp/why" 2>&1; then
		result 1 "git am applies all $((${#patches[@]} - 1)) patches to the pristine source" "$tmp/why"
		return
	fi
	result 0 "git am applies all $((${#patches[@]} - 1)) patches to the pristine source"

	diff <(blobs "$tree" series "${files[@]}") <(blobs "$am" HEAD) >"$tmp/why" || true
	empty "git am gives the ${#files[@]} tested files" "$tmp/why"
	diff <(git -C "$tree" log --format='%an <%ae> %aI%n%B' base..series) \
		<(git -C "$am" log --format='%an <%ae> %aI%n%B' base..HEAD) >"$tmp/why" || true
	empty "git am gives the tested commits" "$tmp/why"
	blobs "$tree" base | while read -r _ _ blob file; do
		[ -L "$src/$file" ] || [ "$(git hash-object --no-filters "$src/$file")" = "$blob" ] || echo "$file"
	done >"$tmp/why"
	empty "the rest of the tested tree is pristine" "$tmp/why"
}

# build_steps WHAT [PATTERN]: compile every step in the open build folder. With PATTERN,
# compile only steps that change a file with a matching line, and the last one. Skip
# steps that compiled before with the same content.
build_steps()
{
	local n=0 of commit id name status options

	# The options depend on the whole series.
	options=$({ printf '%s\n' ${symbols[@]+"${symbols[@]}"}; new_symbols "$tree"; changed_symbols "$tree"; } | key)

	of=$(git -C "$tree" rev-list --count base..series)
	for commit in $(git -C "$tree" rev-list --reverse base..series); do
		n=$((n + 1))
		[ -z "${2-}" ] || [ "$n" -eq "$of" ] || git -C "$tree" diff --name-only "$commit^" "$commit" |
			sed "s,^,$commit:," | while read -r file; do
				git -C "$tree" show "$file" 2>/dev/null | grep -q "$2" && echo y
			done | grep -q . || continue
		id=$({ git -C "$tree" rev-parse "$commit:drivers" "$commit:include"; echo "$options"; } | key)
		name="step $n of $of compiles, $1: $(git -C "$tree" log -1 --format=%s "$commit")"
		if grep -qsx "$id" "$work/steps"; then
			result 0 "$name"
			continue
		fi
		say "compiling step $n of $of, $1"
		status=0
		build_rev "$tree" "$commit" || status=$?
		[ ! -s "$work/new" ] || status=1
		cat "$work/new" >>"$work/errors"
		result "$status" "$name" "$work/errors"
		[ "$status" -ne 0 ] || echo "$id" >>"$work/steps"
	done
	unlock
}

[ -s "$cover" ] || die "patches/cover-letter.txt is missing; write the subject, an empty line and the text to it"
tree=$("$SCRIPTS/tree.sh")
tmp=$(mktemp -d "$CACHE/tmp-series.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# If the export fails, leave no older series behind.
rm -rf "$OUT/series" "$OUT/series.new"
export_series "$tmp/series"
prove "$tmp/series"
if [ "$failed" -eq 0 ]; then
	mkdir -p "$OUT"
	cp -r "$tmp/series" "$OUT/series.new"
	mv "$OUT/series.new" "$OUT/series"
	say "the series is in out/series"
fi

if [ -n "$build" ]; then
	open_build x86_64 steps plain
	build_steps "all drivers"
	# vfio-pci alone, with its options off.
	mapfile -t off < <(printf '%s n\n' VFIO_PCI_VGA VFIO_PCI_IGD VFIO_PCI_DMABUF
		sed -n -E 's/^CONFIG_([A-Z0-9_]+_VFIO_PCI|VFIO_(PLATFORM[A-Z_]*|AMBA|MDEV|FSL_MC|CDX))=m$/\1 n/p' "$kobj/.config")
	open_build x86_64 steps-off plain "${off[@]}"
	build_steps "VGA, IGD and DMABUF off" 'CONFIG_VFIO_PCI_\(VGA\|IGD\|DMABUF\)'
fi
totals
