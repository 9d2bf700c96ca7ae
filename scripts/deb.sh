#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh: build the Debian packages into out/deb if they changed, and check them by lintian.
# packaging/debian documents the packages; each has a README.Debian.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: deb.sh"

# What the packages consist of, besides the series
inputs=(packaging configs tools/vfio scripts/{deb,deb-symbols,external-source,external-build,vendor-aliases}.sh)

# pack DIR SOURCE TREE VERSION DATE MAINTAINER: in the root, build the packages in DIR.
pack()
{
	local dir=$1 src=$2 tree=$3 version=$4 date=$5 maintainer=$6
	local top=$dir.new/vfio-pci-regops-$4 symbols

	set -euo pipefail
	rm -rf "$dir.new"
	mkdir -p "$top/src"
	cp -r packaging/debian "$top/"
	# dpkg accepts no comment in this file
	mkdir "$top/debian/source"
	echo '3.0 (native)' >"$top/debian/source/format"
	sed -i "s/@MAINTAINER@/$maintainer/" "$top/debian/control" "$top/debian/copyright"
	cat >"$top/debian/changelog" <<-END
	vfio-pci-regops ($version) unstable; urgency=medium

	  * Build the current series.

	 -- $maintainer  $date
	END

	scripts/external-source.sh "$src" "$tree" "$top/src" drivers/vfio
	cp scripts/external-build.sh scripts/vendor-aliases.sh "$top/src/"
	{
		echo "# SPDX-License-Identifier: GPL-2.0-only"
		cat configs/modules.config configs/drivers.config |
			sed -e '/^#/d' -e '/KUNIT\|SAMPLE\|TEST_DRIVERS\|NVGRACE/d'
	} >"$top/src/options"
	symbols=$(scripts/deb-symbols.sh "$top/src")
	echo "$symbols" >>"$top/src/options"

	mkdir -p "$top/doc" "$top/examples"/{edu,bpf}
	cp "$tree"/Documentation/driver-api/vfio-pci-{regops,migration}.rst "$tree/Documentation/admin-guide/vfio-pci-bpf.rst" "$top/doc/"
	cp "$tree/samples/vfio-pci/vfio_pci_edu.c" packaging/example/* "$top/examples/edu/"
	cp "$tree"/samples/vfio-pci/bpf/* "$top/examples/bpf/"
	cp -r tools/vfio "$top/tools"
	rm -f "$top"/tools/{*.o,lsvfio}

	cd "$top"
	DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -us -uc
	cd ..
	rm -r "$top"
	lintian --allow-root --fail-on error,warning --info --display-info ./*.changes
	mv -T "$dir.new" "$dir"
}

src=$("$SCRIPTS/source.sh")
tree=$("$SCRIPTS/tree.sh")
# The time of the last change is a version that increases.
IFS='|' read -r version date maintainer < <("$SCRIPTS/in-root.sh" env TZ=UTC git log -1 --date=format-local:%Y%m%d.%H%M%S \
	--format='7.3+%cd|%cD|%an <%ae>' -- "${inputs[@]}" drivers include patches samples Documentation) ||
	die "git has no history here; run make deb in a git clone, not in a worktree"
dir=deb-$({ echo "$src $tree $version"; cd "$REPO"; find "${inputs[@]}" -type f -print | sort | xargs sha256sum; } | key)

build()
{
	"$SCRIPTS/root.sh" --add debhelper dh-dkms lintian >/dev/null
	step_in_root "building the Debian packages" "$CACHE/log/deb.log" pack \
		"/cache/$dir" "$src" "$tree" "$version" "$date" "$maintainer"
}

once "$dir" deb 200 "the Debian packages" build
rm -rf "$OUT/deb"
mkdir -p "$OUT"
cp -r "$CACHE/$dir" "$OUT/deb"
(cd "$REPO" && ls out/deb/*.deb)
