# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by scripts that unpack Debian packages into a folder instead of the root.

# unpack_debs WORK PACKAGES SUITE...: in the root, unpack packages of the last SUITE
# and their dependencies into WORK/root. Earlier suites provide packages that the last
# one lacks. The caller removes WORK.
unpack_debs()
{
	local work=$1 packages mirror options suite deb
	read -r -a packages <<<"$2"
	shift 2

	mirror=$(sed -n 's/^deb \([^ ]*\) trixie main$/\1/p' /etc/apt/sources.list)
	rm -rf "$work"
	mkdir -p "$work/lists/partial" "$work/debs/partial" "$work/cache" "$work/root"/usr/{bin,sbin,lib,lib64}
	ln -s usr/{bin,sbin,lib,lib64} "$work/root"
	# Present an empty system to apt, so that it downloads all dependencies.
	: >"$work/status"
	for suite; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$work/sources.list"
	options=(-q -y -o Dir::State="$work" -o Dir::State::status="$work/status"
		-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
		-o Dir::Cache="$work/cache" -o Dir::Cache::archives="$work/debs"
		-o APT::Architecture=amd64 -o APT::Sandbox::User=root -o APT::Install-Recommends=false
		-o Acquire::Languages=none)
	apt-get "${options[@]}" --error-on=any update
	apt-get "${options[@]}" -t "$suite" --download-only install "${packages[@]}"
	for deb in "$work"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/root" --no-same-owner --keep-directory-symlink
	done
	rm -rf "$work/root"/usr/share/{doc,man,locale,info,zoneinfo,perl}
}
