# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Sphinx on the documents of the series, with the kernel's own extensions, so
# that the kernel-doc that they take in is read, too; each warning is an error.

mkdir "$tmp/in"
while read -r file; do
	cp "$tree/$file" "$tmp/in/"
	printf '%s\n' "$(basename "$file" .rst)" >>"$tmp/names"
done < <(touched AMR 'Documentation/*.rst' | grep -v -e '/index\.rst$')
{
	printf 'Documents\n=========\n\n.. toctree::\n\n'
	sed 's/^/   /' "$tmp/names"
} >"$tmp/in/index.rst"
cat >"$tmp/in/conf.py" <<END
import sys
sys.path[:0] = ["$src/Documentation/sphinx", "$src/tools/lib/python"]
extensions = ["kerneldoc", "automarkup"]
project = "vfio-pci"
html_theme = "basic"
kerneldoc_bin = "$src/tools/docs/kernel-doc.py"
kerneldoc_srctree = "$tree"
c_id_attributes = ["__user", "__iomem"]
END
status=0
(cd "$tree" && PYTHONDONTWRITEBYTECODE=1 srctree=$tree sphinx-build -q -W --keep-going -d "$tmp/doctrees" \
	"$tmp/in" "$tmp/out") >"$tmp/log" 2>&1 || status=$?
result "$status" "docs: sphinx has nothing to say of $(xargs <"$tmp/names")" "$tmp/log"
status=0
while read -r name; do
	# What it takes in of the kernel-doc of functions and structures
	grep -c 'class="sig sig-object c"' "$tmp/out/$name.html"
done <"$tmp/names" | awk '{ n += $1 } END { exit n < 20 }' || status=1
result "$status" "docs: the kernel-doc is in them" "$tmp/log"
