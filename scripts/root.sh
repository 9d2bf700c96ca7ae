#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh [--update | --add PACKAGE...]: make sure that the root exists, a Debian trixie
# with trixie-backports, and print its path. It is the build environment and
# the guest's root file system. --add installs more packages in it, --update
# fetches the archive's package lists anew.
#
# Downloaded packages stay in $CACHE/apt, so that an interrupted build resumes.

# shellcheck disable=SC2016 # apt and mmdebstrap expand these themselves

. "$(dirname "$0")/lib.sh"

SUITE=trixie
PACKAGES=$REPO/configs/packages
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# mirrors: print "MAIN SECURITY" as this host's apt has them; either may be
# empty.
mirrors()
{
	local targets

	targets=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' \
		'Created-By: Packages' 2>/dev/null | sort -u || true)
	# Without package lists apt knows neither origin nor label.
	[[ "$targets" == *"|Debian|"* ]] ||
		targets=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
			sort -u | sed -E -e 's,(.*debian-security/?)$,\1|Debian|Debian-Security,' \
				-e 's,(.*/debian/?)$,\1|Debian|Debian,')
	awk -F'|' '$2 == "Debian" && $3 == "Debian" && !main { main = $1 }
		$2 == "Debian" && $3 == "Debian-Security" && !sec { sec = $1 }
		END { print (main ? main : "-"), (sec ? sec : "-") }' <<<"$targets"
}

# sources MAIN SECURITY: the lines of sources.list.
sources()
{
	echo "deb $1 $SUITE main"
	echo "deb $1 $SUITE-updates main"
	echo "deb $1 $SUITE-backports main"
	[ "$2" = - ] || echo "deb $2 $SUITE-security main"
}

# proxies: this host's apt options that say how to reach the mirror.
proxies()
{
	apt-config dump | grep -E '^Acquire::(http|https)::(Proxy|CaInfo|Timeout)' || true
}

install_mmdebstrap()
{
	local sudo=()

	command -v mmdebstrap >/dev/null && [ -e "$KEYRING" ] && return
	command -v apt-get >/dev/null ||
		die "unsupported host: no apt here; use Debian 12 or later, or a container of it"
	if [ "$(id -u)" -ne 0 ]; then
		sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; } ||
			die "mmdebstrap is missing; run: apt-get install --no-install-recommends mmdebstrap debian-archive-keyring"
		sudo=(sudo)
	fi
	step "installing mmdebstrap on this machine" "$CACHE/log/mmdebstrap-install.log" \
		"${sudo[@]}" sh -c 'apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring ||
			{ apt-get update && apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring; }'
}

# in_chroot ROOT COMMAND...: with what a package's scripts need.
in_chroot()
{
	local root=$1
	shift

	mountpoint -q "$root/proc" || mount --rbind /proc "$root/proc"
	mountpoint -q "$root/dev" || mount --rbind /dev "$root/dev"
	mountpoint -q "$root/var/cache/apt/archives" ||
		mount --bind "$VFIO_REGOPS_CACHE/apt" "$root/var/cache/apt/archives"
	DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		chroot "$root" "$@"
}

# build ROOT: as root in a mount namespace of its own. ROOT appears when done.
build()
{
	local root=$1 tmp=$1.new main security include

	read -r main security < <(mirrors)
	include=$(sed -e 's/#.*//' "$PACKAGES" | xargs | tr ' ' ,)
	rm -rf --one-file-system "$tmp"
	mkdir -p "$tmp.d" "$VFIO_REGOPS_CACHE/apt/partial"
	proxies >"$tmp.d/proxy"
	# Nothing here survives a crash of the machine, so do not wait for the disk;
	# documentation and translations are never read.
	sources "$main" "$security" |
		mmdebstrap --mode=root --variant=minbase --format=directory \
			--architectures=amd64 --keyring="$KEYRING" \
			--skip=essential/unlink,cleanup/apt,cleanup/reproducible \
			--aptopt="$tmp.d/proxy" --aptopt='APT::Sandbox::User "root"' \
			--aptopt='APT::Install-Recommends "false"' \
			--aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
			--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			--setup-hook='mkdir -p "$1/var/cache/apt/archives" &&
				mount --bind "$VFIO_REGOPS_CACHE/apt" "$1/var/cache/apt/archives"' \
			--customize-hook='umount "$1/var/cache/apt/archives"' \
			--include="$include" "$SUITE" "$tmp" -
	rm -r "$tmp.d"
	# Mount points of in-root.sh and of the guest, and the mark by which
	# scripts know that they run inside.
	mkdir -p "$tmp/repo" "$tmp/cache" "$tmp/lib/modules" "$tmp/etc/vfio-regops"
	printf '[safe]\n\tdirectory = *\n' >"$tmp/etc/gitconfig"
	chroot "$tmp" gcc -dumpfullversion >"$tmp/etc/vfio-regops/gcc"
	echo vfio-regops >"$tmp/etc/hostname"
	touch "$tmp/etc/vfio-regops/lists" "$tmp/etc/vfio-regops/complete"
	mv "$tmp" "$root"
}

# add ROOT PACKAGE...: as root in a mount namespace of its own.
add()
{
	local root=$1
	shift

	cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
	# An installation that was interrupted is finished first.
	in_chroot "$root" dpkg --configure -a
	in_chroot "$root" apt-get install -y --no-install-recommends "$@" ||
		{
			in_chroot "$root" apt-get update
			in_chroot "$root" apt-get install -y --no-install-recommends "$@"
		}
	touch "$root/etc/vfio-regops/added-$(printf '%s\n' "$@" | key)"
}

# update ROOT: as root in a mount namespace of its own.
update()
{
	cp -L /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null || true
	in_chroot "$1" apt-get -q --error-on=any update
	touch "$1/etc/vfio-regops/lists"
}

case "${1-}" in
--as-root) shift; as_root "$0" "$@" ;;
--build) build "$2"; exit ;;
--update-in) update "$2"; exit ;;
--add-to) shift; add "$@"; exit ;;
--update) ;;
--add) shift; [ $# -gt 0 ] || die "no package; usage: root.sh [--update | --add PACKAGE...]" ;;
'') ;;
*) die "unknown argument '$1'; usage: root.sh [--update | --add PACKAGE...]" ;;
esac

[ -z "$IN_ROOT" ] || { echo /; exit; }
[ "$(uname -m)" = x86_64 ] || die "unsupported host: $(uname -m); an x86-64 one is needed"

export VFIO_REGOPS_CACHE=$CACHE
# The number changes when build() makes a different root.
ROOT=$CACHE/root-$({ echo 1; sed -e 's/#.*//' "$PACKAGES" | xargs; } | key)

if [ ! -e "$ROOT/etc/vfio-regops/complete" ]; then
	lock root
	if [ ! -e "$ROOT/etc/vfio-regops/complete" ]; then
		need_space 5000 "the root"
		install_mmdebstrap
		read -r main _ < <(mirrors)
		[ "$main" != - ] ||
			die "apt on this machine has no Debian mirror in its sources; add one (deb ... $SUITE main) and run apt-get update"
		(as_root true) || exit 1
		step "building the Debian $SUITE root from $main" "$CACHE/log/root.log" \
			"$SCRIPTS/root.sh" --as-root --build "$ROOT"
	fi
	unlock
fi

if [ "${1-}" = --update ]; then
	lock root
	"$SCRIPTS/root.sh" --as-root --update-in "$ROOT"
	unlock
elif [ $# -gt 0 ]; then
	mark=$ROOT/etc/vfio-regops/added-$(printf '%s\n' "$@" | key)
	if [ ! -e "$mark" ]; then
		lock root
		step "adding $* to the root" "$CACHE/log/root-add.log" \
			"$SCRIPTS/root.sh" --as-root --add-to "$ROOT" "$@"
		unlock
	fi
fi
used "${ROOT##*/}"
echo "$ROOT"
