# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh inside the root: compile drivers/vfio and iommufd of several
# revisions of the patched tree, in one folder for fast incremental builds. A "strict"
# build uses W=1 and sparse, and compares the messages with those of stock.
#
#	open_build ARCH NAME strict|plain [SYMBOL...]
#	build_rev TREE REV		results: errors, modules, symbols, new in $work

# sync_tree DIR TREE REV: check out REV of TREE in DIR. Git writes only files that
# differ, so make compiles only those.
sync_tree()
{
	local git=(git -C "$1" -c gc.auto=0)

	[ -d "$1/.git" ] || git init -q -b none "$1"
	"${git[@]}" fetch -q --no-tags "$2" +refs/heads/series:refs/heads/series +refs/tags/base:refs/tags/base
	"${git[@]}" checkout -q -f --detach "$3"
}

# new_symbols SRC: print the configuration symbols that the series adds, as "NAME m" or
# "NAME y"; the configured kernel lacks them. All steps use the symbols of the last one:
# other options would cause a full rebuild.
new_symbols()
{
	git -C "$1" diff base series -- '*Kconfig*' | awk '
		/^\+(menu)?config [A-Z]/ { name = $2 }
		/^\+\t(def_)?tristate/ && name { print name, "m"; name = "" }
		/^\+\t(def_)?bool/ && name { print name, "y"; name = "" }'
}

# changed_symbols SRC: print the symbols that the series changes to tristate. The code of
# earlier steps needs y. make treats m like y.
changed_symbols()
{
	git -C "$1" diff base series -- '*Kconfig*' | awk '
		/^ (menu)?config [A-Z]/ { name = $2 }
		/^\+\ttristate/ && name { print name, "make-m" }
		/^\+(menu)?config / || /^[ +]$/ { name = "" }'
}

# messages SRC: print the warnings and errors in the build log on stdin, without paths
# and line numbers. Drop messages about the version of pahole, which depend on installed
# packages, and errors of Debian's sparse 0.6.4 about MODULE_* and module_param* lines.
messages()
{
	awk -F: '/: error: bad constant expression$/ {
			source = ""
			command = "sed -n " $2 "p " $1
			command | getline source
			close(command)
			if (source ~ /^(MODULE_|module_param)/)
				next
		} { print }' | sed -n -E -e '/^WARNING: modpost: (.* undefined!$|suppressed )|^WARNING: .*Module.symvers/d' \
		-e '/^warning: pahole version differs /d' \
		-e "s,(\.\./)*(cache/|/cache/)?${1#/cache/}/,,g" \
		-e '/warning: |error: |WARNING|objtool: |\*\*\*/{s/:[0-9]+(:[0-9]+)?:/:/g;p}' | sort
}

# make_vfio LOG: compile $work/src.
make_vfio()
{
	local cross='' symbol name value folder status=0 args=() header='' all=() options=()
	local folders=(drivers/iommu/iommufd drivers/vfio) last

	case $arch in
	arm64) cross=aarch64-linux-gnu- ;;
	s390) cross=s390x-linux-gnu- ;;
	esac
	# make uses the last value of a symbol
	mapfile -t all < <(changed_symbols "$work/src"; new_symbols "$work/src"
		printf '%s\n' ${symbols[@]+"${symbols[@]}"})
	for symbol in "${all[@]}"; do
		read -r name value <<<"$symbol"
		[ -n "$name" ] || continue
		if [ "$value" = make-m ]; then
			! grep -q "^CONFIG_$name=y" "$kobj/.config" || args+=("CONFIG_$name=m")
			continue
		fi
		header+="#undef CONFIG_$name"$'\n'"#undef CONFIG_${name}_MODULE"$'\n'
		case $value in
		y) header+="#define CONFIG_$name 1"$'\n' args+=("CONFIG_$name=y") ;;
		m) header+="#define CONFIG_${name}_MODULE 1"$'\n' args+=("CONFIG_$name=m") ;;
		n) args+=("CONFIG_$name=") ;;
		esac
	done

	# Messages appear only when a file is compiled: after a build with messages, rebuild
	# everything.
	[ ! -e "$work/unclean" ] || rm -rf "$work/out"
	mkdir -p "$work/out"
	touch "$work/unclean"
	cmp -s "$work/out/symbols.h" - <<<"$header" || cat >"$work/out/symbols.h" <<<"$header"

	if [ "$kind" = plain ]; then
		# modpost finds missing symbols, so the steps of a series need no final link.
		options=(KBUILD_MODPOST_NOFINAL=1)
		# iommufd does not depend on vfio-pci.
		last=$(cat "$work/out/built" 2>/dev/null || true)
		[ -z "$last" ] || ! git -C "$work/src" diff --quiet "$last" HEAD -- \
			drivers/iommu include ':!include/linux/vfio_pci_*' || folders=(drivers/vfio)
	else
		# Debian's sparse 0.6.4 lacks __typeof_unqual__, and make would silently skip
		# sparse.
		options=(W=1 C=1 "CHECK=sparse -D__typeof_unqual__=__typeof__")
		# Remove the modules of an earlier build.
		find "$work/out" \( -name '*.ko' -o -name '*.mod' -o -name Module.symvers \) -delete
	fi
	for folder in "${folders[@]}"; do
		mkdir -p "$work/out/$folder"
		make -C "$kobj" -k "-j$JOBS" "ARCH=$arch" "CROSS_COMPILE=$cross" KBUILD_MODPOST_WARN=1 "${options[@]}" \
			"M=$work/src/$folder" "MO=$work/out/$folder" "KCFLAGS=-include $work/out/symbols.h" \
			"NOSTDINC_FLAGS=-nostdinc -I$work/src/include -I$work/src/include/uapi" \
			"${args[@]}" modules || status=$?
	done >"$1" 2>&1
	! grep -q 'C=1 specified, but' "$1" || die "sparse does not work here; see scripts/checker-valid.sh in the kernel (log: $1)"
	messages "$work/src" <"$1" >"$work/messages"
	grep -E 'error:|Error [0-9]|No rule|\*\*\*' "$1" >"$work/errors" || true
	git -C "$work/src" rev-parse HEAD >"$work/out/built"
	find "$work/out" -name '*.mod' -printf '%f\n' | sed 's/\.mod$//' | sort >"$work/modules"
	cut -f2 "$work"/out/drivers/{iommu/iommufd,vfio}/Module.symvers 2>/dev/null | sort >"$work/symbols" || true
	return "$status"
}

# open_build ARCH NAME strict|plain [SYMBOL...]: select and lock the build folder NAME
# for ARCH. A SYMBOL sets an option: "NAME y", "NAME m" or "NAME n".
open_build()
{
	arch=$1
	kobj=$("$SCRIPTS/allmodconfig.sh" "$arch")
	work=${kobj/allmod-/vfio-}-$(declare -f make_vfio messages | key | cut -c1-4)-$2
	log=$CACHE/log/vfio-$arch-$2.log
	kind=$3
	symbols=("${@:4}")
	lock "vfio-$arch-$2"
	mkdir -p "$work" "$CACHE/log"
	used "${work##*/}"
}

# build_rev TREE REV: compile one revision and return the status of make. $work/new gets
# the messages; in a strict build, only those that stock does not have.
build_rev()
{
	local status=0 file

	if [ "$kind" != plain ] && [ ! -e "$work/stock" ]; then
		say "$arch: compiling stock's drivers/vfio once"
		sync_tree "$work/src" "$1" base
		make_vfio "$log.stock" || { head -n 20 "$work/errors" >&2; die "stock does not compile for $arch (log: $log.stock)"; }
		rm -rf "$work/stock.new" "$work/unclean"
		mkdir "$work/stock.new"
		for file in messages modules symbols; do
			cp "$work/$file" "$work/stock.new/"
		done
		mv "$work/stock.new" "$work/stock"
	fi
	sync_tree "$work/src" "$1" "$2"
	make_vfio "$log" || status=$?
	case $kind in
	plain) cp "$work/messages" "$work/new" ;;
	*) comm -13 "$work/stock/messages" "$work/messages" >"$work/new" ;;
	esac
	if [ "$status" -eq 0 ] && [ ! -s "$work/new" ]; then rm "$work/unclean"; fi
	return "$status"
}
