#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# external-source.sh SOURCE TREE TO FOLDER...: in the root, copy FOLDERs of TREE to TO, so
# that external-build.sh can build them for a kernel of the pristine SOURCE. TO/include
# gets the headers of TREE that differ from those in SOURCE. An unchanged file keeps its
# time, so that make skips it.

set -euo pipefail

[ $# -ge 4 ] || { echo "error: usage: external-source.sh SOURCE TREE TO FOLDER..." >&2; exit 1; }
src=$1 tree=$2 to=$3
shift 3

# The changed headers precede the kernel's. Include a changed header of include/uapi as
# <uapi/...>.
mkdir -p "$to/include"
{ [ "$tree" = "$src" ] || (cd "$tree" && find include -type f); } | while read -r file; do
	cmp -s "$tree/$file" "$src/$file" || echo "$file"
done >"$to/headers"
rsync -rc --files-from="$to/headers" "$tree/" "$to/"
(cd "$to" && find include -type f) | sort | comm -23 - <(sort "$to/headers") |
	sed "s,^,$to/," | xargs -r rm
rm "$to/headers"

for folder; do
	# iommufd includes private headers of drivers/iommu
	[ "$folder" != drivers/iommu/iommufd ] || rsync -rcR "$tree"/./drivers/iommu/*.h "$to/"
	mkdir -p "$to/$folder"
	rsync -rc --delete --exclude=.git "$tree/$folder/" "$to/$folder/"
done
