#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# docs.sh [FOLDER]: build the documents of the series, and the page of lsvfio, as HTML in
# FOLDER (default: out/docs). The kernel's Sphinx extensions include the kernel-doc of
# headers and sources. A warning is an error.

. "$(dirname "$0")/lib.sh"

[ $# -le 1 ] || die "unknown argument '$2'; usage: docs.sh [FOLDER]"
folder=${1:-out/docs}
if [ -z "$IN_ROOT" ]; then
	VFIO_REGOPS_SOURCE=$("$SCRIPTS/source.sh")
	export VFIO_REGOPS_SOURCE
	"$SCRIPTS/root.sh" --add libpython3-dev ocaml pahole python3-sphinx >/dev/null
	"$SCRIPTS/screenshots.sh" out/pictures
	"$SCRIPTS/in-root.sh" scripts/docs.sh "$folder"
	echo "open $folder/index.html in a browser"
	exit
fi

src=${VFIO_REGOPS_SOURCE:-$("$SCRIPTS/source.sh")}
tree=$("$SCRIPTS/tree.sh")
tmp=$(mktemp -d "$CACHE/tmp-docs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# Keep the paths of the documents, so that cross-references become links.
git -C "$tree" -c core.quotePath=false diff -M --name-only --diff-filter=AMR base series -- 'Documentation/*.rst' |
	grep -v '/index\.rst$' | sed -e 's,^Documentation/,,' -e 's/\.rst$//' >"$tmp/names"
while read -r name; do
	mkdir -p "$tmp/in/$(dirname "$name")"
	cp "$tree/Documentation/$name.rst" "$tmp/in/$name.rst"
done <"$tmp/names"
mkdir -p "$tmp/in/tools"
cp tools/vfio/lsvfio.rst "$tmp/in/tools/"
echo tools/lsvfio >>"$tmp/names"
sed -n 's/^\.\. image:: //p' tools/vfio/lsvfio.rst | while read -r name; do
	# make checks takes no screenshots: an empty picture stands for each
	cp "out/pictures/$name" "$tmp/in/tools/" 2>/dev/null ||
		echo '<svg xmlns="http://www.w3.org/2000/svg"/>' >"$tmp/in/tools/$name"
done
{
	printf 'Region ops and vendor drivers for vfio-pci\n==========================================\n\n'
	printf '.. toctree::\n   :maxdepth: 2\n\n'
	sed 's/^/   /' "$tmp/names"
} >"$tmp/in/index.rst"
cat >"$tmp/in/conf.py" <<END
import sys
sys.path[:0] = ["$src/Documentation/sphinx", "$src/tools/lib/python"]
extensions = ["kerneldoc", "automarkup"]
project = "vfio-pci"
html_theme = "alabaster"
html_copy_source = False
kerneldoc_bin = "$src/tools/docs/kernel-doc.py"
kerneldoc_srctree = "$tree"
c_id_attributes = ["__user", "__iomem", "__bpf_kfunc"]
END
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
(cd "$tree" && PYTHONDONTWRITEBYTECODE=1 srctree=$tree sphinx-build -q -W --keep-going -d "$tmp/doctrees" \
	"$tmp/in" "$tmp/out")
cp -r "$tmp/out" "$folder"
rm -f "$folder/.buildinfo"
