#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh [--update | --add PACKAGE...]: create the root if it is missing, and print
# its path. The root is a Debian trixie with trixie-backports. It is the build
# environment and the guest's root file system.
#
#     --add     install more packages in the root
#     --update  download new package lists
#
# $CACHE/apt keeps downloaded packages, so that an interrupted build can resume.

# shellcheck disable=SC2016 # for apt and mmdebstrap

. "$(dirname "$0")/lib.sh"

SUITE=trixie
PACKAGES=$REPO/configs/packages
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# mirrors: print "MAIN SECURITY", the Debian mirrors of this host's apt, or - for a
# missing one.
mirrors()
{
	local targets

	targets=$(apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' \
		'Created-By: Packages' 2>/dev/null | sort -u || true)
	# Without package lists, apt has no origin and no label: use the URL.
	[[ "$targets" == *"|Debian|"* ]] ||
		targets=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
			sort -u | sed -E -e 's,(.*debian-security/?)$,\1|Debian|Debian-Security,' \
				-e 's,(.*/debian/?)$,\1|Debian|Debian,')
	awk -F'|' '$2 == "Debian" && $3 == "Debian" && !main { main = $1 }
		$2 == "Debian" && $3 == "Debian-Security" && !sec { sec = $1 }
		END { print (main ? main : "-"), (sec ? sec : "-") }' <<<"$targets"
}

# sources MAIN SECURITY: print sources.list.
sources()
{
	echo "deb $1 $SUITE main"
	echo "deb $1 $SUITE-updates main"
	echo "deb $1 $SUITE-backports main"
	[ "$2" = - ] || echo "deb $2 $SUITE-security main"
}

# proxies: print this host's apt options for proxies, certificates and timeouts.
proxies()
{
	apt-config dump | grep -E '^Acquire::(http|https)::(Proxy|CaInfo|Timeout)' || true
}

install_mmdebstrap()
{
	local sudo=()

	command -v mmdebstrap >/dev/null && [ -e "$KEYRING" ] && return
	command -v apt-get >/dev/null ||
		die "unsupported host: it has no apt-get; use Debian 12 or later, or a container of it"
	if [ "$(id -u)" -ne 0 ]; then
		sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; } ||
			die "mmdebstrap is missing; run: apt-get install --no-install-recommends mmdebstrap debian-archive-keyring"
		sudo=(sudo)
	fi
	step "installing mmdebstrap on this machine" "$CACHE/log/mmdebstrap-install.log" \
		"${sudo[@]}" sh -c 'apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring ||
			{ apt-get update && apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring; }'
}

# in_chroot ROOT COMMAND...: run a command with the mounts that package scripts need.
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

# build ROOT: create the root. Call by as_root; ROOT appears when it is complete.
build()
{
	local root=$1 tmp=$1.new main security include

	read -r main security < <(mirrors)
	include=$(sed -e 's/#.*//' "$PACKAGES" | xargs | tr ' ' ,)
	rm -rf --one-file-system "$tmp"
	mkdir -p "$tmp.d" "$VFIO_REGOPS_CACHE/apt/partial"
	proxies >"$tmp.d/proxy"
	# force-unsafe-io: a crash loses nothing but a build, so skip fsync.
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
	# Mount points for in-root.sh and the guest. lib.sh detects the root by
	# etc/vfio-regops/complete.
	mkdir -p "$tmp/repo" "$tmp/cache" "$tmp/lib/modules" "$tmp/etc/vfio-regops"
	printf '[safe]\n\tdirectory = *\n' >"$tmp/etc/gitconfig"
	chroot "$tmp" gcc -dumpfullversion >"$tmp/etc/vfio-regops/gcc"
	echo vfio-regops >"$tmp/etc/hostname"
	touch "$tmp/etc/vfio-regops/lists" "$tmp/etc/vfio-regops/complete"
	mv "$tmp" "$root"
}

# add ROOT PACKAGE...: install packages. Call by as_root.
add()
{
	local root=$1
	shift

	cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
	# Finish an interrupted installation first.
	in_chroot "$root" dpkg --configure -a
	in_chroot "$root" apt-get install -y --no-install-recommends "$@" ||
		{
			in_chroot "$root" apt-get update
			in_chroot "$root" apt-get install -y --no-install-recommends "$@"
		}
	touch "$root/etc/vfio-regops/added-$(printf '%s\n' "$@" | key)"
}

# update ROOT: download the package lists. Call by as_root.
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
[ "$(uname -m)" = x86_64 ] || die "unsupported host: $(uname -m); use an x86-64 machine"

export VFIO_REGOPS_CACHE=$CACHE
# Increment the number when build() changes the root.
ROOT=$CACHE/root-$({ echo 1; sed -e 's/#.*//' "$PACKAGES" | xargs; } | key)

make_root()
{
	local main

	install_mmdebstrap
	read -r main _ < <(mirrors)
	[ "$main" != - ] ||
		die "apt on this machine has no Debian mirror in its sources; add a line \"deb URL $SUITE main\" and run apt-get update"
	(as_root true) || exit 1
	step "building the Debian $SUITE root from $main" "$CACHE/log/root.log" \
		"$SCRIPTS/root.sh" --as-root --build "$ROOT"
}

once "${ROOT##*/}/etc/vfio-regops/complete" root 5000 "the root" make_root
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
echo "$ROOT"
