# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Run codespell on this repository; in patches, on the messages and the added lines.
# "aer" is PCI's Advanced Error Reporting, "Nd" is a macro of man pages.

if command -v codespell >/dev/null; then
	mkdir "$tmp/patches"
	for patch in "$REPO"/patches/*/*.patch; do
		sed '/^[-@ ]/s/.*//' "$patch" >"$tmp/patches/$(basename "${patch%/*}")-${patch##*/}"
	done
	{
		own_files | grep -v '^patches/.*\.patch$' | (cd "$REPO" && xargs -d '\n' codespell -L aer,embedd,nd)
		cd "$tmp" && codespell -L aer,embedd,nd patches
	} >"$tmp/out" 2>&1 || true
	empty "codespell finds no misspelling" "$tmp/out"
else
	skip codespell "codespell is not in the root"
fi
