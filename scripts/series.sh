#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh [--build|--build-all]: export each series to out/series/N-NAME by git format-patch, with
# its cover letter. Check that git am on the pristine source gives the tested tree, that
# each patch of the first series applies alone, and that each of the last six series
# applies without the other five. --build also compiles the last step with the options of
# vfio-pci off. --build-all compiles every step twice: with these options off, and with all
# drivers. A warning is an error.

. "$(dirname "$0")/lib.sh"

build=
case ${1:-} in
'') ;;
--build) build=last ;;
--build-all) build=all ;;
*) die "unknown argument '$1'; usage: series.sh [--build|--build-all]" ;;
esac
if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	exec "$SCRIPTS/in-root.sh" scripts/series.sh "$@"
fi
src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
. "$SCRIPTS/vfio-build.sh"
. "$SCRIPTS/result.sh"

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false

# is_start COMMIT: check whether an empty commit starts a series.
is_start()
{
	git -C "$tree" diff --quiet "$1^" "$1"
}

# patches: print the commits of $tree that are patches.
patches()
{
	local commit

	for commit in $(git -C "$tree" rev-list --reverse base..series); do
		is_start "$commit" || echo "$commit"
	done
}

# export_one DIR FOLDER RANGE: write one series to DIR/FOLDER.
export_one()
{
	local last=${3#*..}

	# The cover letter has the author and the date of the last patch, so that
	# exports are reproducible.
	GIT_COMMITTER_NAME=$(git -C "$tree" log -1 --format=%an "$last") \
	GIT_COMMITTER_EMAIL=$(git -C "$tree" log -1 --format=%ae "$last") \
	GIT_COMMITTER_DATE=$(git -C "$tree" log -1 --format=%aI "$last") \
		git -C "$tree" format-patch -q -M --zero-commit --no-signature --abbrev=12 --cover-letter \
		--description-file="$REPO/patches/$2/cover-letter.txt" --cover-from-description=subject \
		-o "$1/$2" "$3"
	# Name the release: nobody else has the base commit.
	printf 'base: %s%s\n' "$(git -C "$tree" log -1 --format=%s base)" "${folders[*]:+ with ${folders[*]}}" \
		>>"$1/$2/0000-cover-letter.patch"
}

# export_series DIR: write each series of $tree to DIR, and set folders.
export_series()
{
	local commit start='' name=''

	for commit in $(git -C "$tree" rev-list --reverse base..series); do
		is_start "$commit" || continue
		[ -z "$name" ] || { export_one "$1" "$name" "$start..$commit^"; folders+=("$name"); }
		start=$commit
		name=$(git -C "$tree" log -1 --format=%s "$commit" | sed 's/^\[\(.*\)\] .*/\1/')
	done
	export_one "$1" "$name" "$start..series"
	folders+=("$name")
}

# blobs REPO REV [PATH...]: print mode, hash and name of files.
blobs()
{
	git -C "$1" ls-tree -r "$2" -- "${@:3}"
}

# exported DIR FOLDER...: print the paths of the patches in these series, in order.
exported()
{
	(cd "$1" && find "${@:2}" -name '0*.patch' ! -name '0000-*' | sort -V | sed "s,^,$1/,")
}

# am WHAT DIR FOLDER...: apply series to the pristine files.
am()
{
	local what=$1 patches status=0

	mapfile -t patches < <(exported "${@:2}")
	git -C "$tmp/am" checkout -q -f -B main base
	git -C "$tmp/am" am "${patches[@]}" >"$tmp/why" 2>&1 || status=1
	result "$status" "git am applies $what: ${#patches[@]} patches" "$tmp/why"
	[ "$status" -eq 0 ] || git -C "$tmp/am" am --abort
	return "$status"
}

# prove DIR: apply the series in DIR to the pristine source, and compare the result with
# $tree.
prove()
{
	local files folder n=${#folders[@]}

	git init -q -b main "$tmp/am"
	mapfile -t files < <(git -C "$tree" diff --no-renames --name-only base series)
	(cd "$src" && { find "${files[@]}" -prune 2>/dev/null || true; } | cpio -pdm --quiet "$tmp/am")
	git -C "$tmp/am" add -A -f
	export GIT_COMMITTER_NAME=prove GIT_COMMITTER_EMAIL=prove GIT_AUTHOR_NAME=prove GIT_AUTHOR_EMAIL=prove
	git -C "$tmp/am" commit -q --allow-empty -m pristine
	git -C "$tmp/am" tag base

	exported "$1" "${folders[0]}" | while read -r patch; do
		git -C "$tmp/am" apply --check "$patch" 2>&1 || true
	done >"$tmp/why"
	empty "each patch of ${folders[0]} applies alone" "$tmp/why"
	for folder in "${folders[@]:n-6}"; do
		am "${folders[*]:0:n-6} $folder" "$1" "${folders[@]:0:n-6}" "$folder" || true
	done
	am "all series" "$1" "${folders[@]}" || return 0

	diff <(blobs "$tree" series "${files[@]}") <(blobs "$tmp/am" HEAD) >"$tmp/why" || true
	empty "git am gives the ${#files[@]} tested files" "$tmp/why"
	diff <(patches | git -C "$tree" log --stdin --no-walk=unsorted --format='%an <%ae> %aI%n%B') \
		<(git -C "$tmp/am" log --reverse --format='%an <%ae> %aI%n%B' base..HEAD) >"$tmp/why" || true
	empty "git am gives the tested commits" "$tmp/why"
	blobs "$tree" base | while read -r _ _ blob file; do
		[ -L "$src/$file" ] || [ "$(git hash-object --no-filters "$src/$file")" = "$blob" ] || echo "$file"
	done >"$tmp/why"
	empty "the rest of the tested tree is pristine" "$tmp/why"
}

# build_steps WHAT COMMIT...: compile these steps in the open build folder. Skip steps that
# compiled before with the same content.
build_steps()
{
	local commit id name status options what=$1
	shift

	# The options depend on the whole series.
	options=$({ printf '%s\n' ${symbols[@]+"${symbols[@]}"}; new_symbols "$tree"; changed_symbols "$tree"; } | key)

	for commit; do
		id=$({ git -C "$tree" rev-parse "$commit:drivers" "$commit:include"; echo "$options"; } | key)
		name="step ${number[$commit]} compiles, $what: $(git -C "$tree" log -1 --format=%s "$commit")"
		if grep -qsx "$id" "$work/steps"; then
			result 0 "$name"
			continue
		fi
		say "compiling ${name%% compiles*}, $what"
		status=0
		build_rev "$tree" "$commit" || status=$?
		[ ! -s "$work/new" ] || status=1
		cat "$work/new" >>"$work/errors"
		result "$status" "$name" "$work/errors"
		[ "$status" -ne 0 ] || echo "$id" >>"$work/steps"
	done
	unlock
}

tree=$("$SCRIPTS/tree.sh")
tmp=$(mktemp -d "$CACHE/tmp-series.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# If the export fails, leave no older series behind.
rm -rf "$OUT/series" "$OUT/series.new"
folders=()
export_series "$tmp/series"
prove "$tmp/series"
if [ "$failed" -eq 0 ]; then
	mkdir -p "$OUT"
	cp -r "$tmp/series" "$OUT/series.new"
	mv "$OUT/series.new" "$OUT/series"
	say "the series are in out/series"
fi

if [ -n "$build" ]; then
	mapfile -t steps < <(patches)
	declare -A number=()
	for commit in "${steps[@]}"; do number[$commit]=$((${#number[@]} + 1)); done
	if [ "$build" = all ]; then
		open_build x86_64 steps plain
		build_steps "all drivers" "${steps[@]}"
	else
		steps=("${steps[-1]}")
	fi
	# vfio-pci alone, with its options off
	kobj=$("$SCRIPTS/allmodconfig.sh" x86_64)
	mapfile -t off < <(printf '%s n\n' VFIO_PCI_VGA VFIO_PCI_IGD VFIO_PCI_DMABUF VFIO_PCI_VENDOR \
			VFIO_PCI_MIGRATION VFIO_PCI_MIGRATION_V1 VFIO_PCI_VENDOR_KUNIT_TEST \
			VFIO_PCI_MIGRATION_KUNIT_TEST VFIO_PCI_TEST_DRIVERS
		sed -n -E 's/^CONFIG_([A-Z0-9_]+_VFIO_PCI|VFIO_(PLATFORM[A-Z_]*|AMBA|MDEV|FSL_MC|CDX))=m$/\1 n/p' "$kobj/.config")
	open_build x86_64 steps-off plain "${off[@]}"
	build_steps "options off" "${steps[@]}"
fi
totals
