# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# codespell on what this repository holds; of patches, their messages and the
# lines that they add. AER is what PCI calls its error reporting.

if command -v codespell >/dev/null; then
	mkdir "$tmp/patches"
	for patch in "$REPO"/patches/*.patch; do
		sed '/^[-@ ]/s/.*//' "$patch" >"$tmp/patches/${patch##*/}"
	done
	{
		own_files | grep -v '^patches/.*\.patch$' | (cd "$REPO" && xargs -d '\n' codespell -L aer)
		cd "$tmp" && codespell -L aer patches
	} >"$tmp/out" 2>&1 || true
	empty "codespell finds nothing" "$tmp/out"
else
	skip codespell "codespell is not in the root"
fi
