#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# external-build.sh KERNEL OPTIONS INCLUDE FOLDER...: build the modules in FOLDERs for the
# kernel with the build folder KERNEL. Headers in INCLUDE precede those of the kernel. A
# folder uses symbols of the previous folders. The Debian package has this script, too.
#
# OPTIONS is a file with the options that the configuration of the kernel does not have, as
# CONFIG_X=m or CONFIG_X=y, and with macros, as NAME=VALUE. If the kernel has no KUNIT, the
# options with KUNIT in the name do not count; if it has no BTF, those that end in BPF.
#
# Next to its modules, each folder gets args, the arguments for make, one per line.
#
#     OBJECTS  folder for the objects; OBJECTS/NAME gets those of .../NAME. By default, they
#              are beside the sources
#     SYMBOLS  Module.symvers of other modules that the folders use
#     JOBS     number of compilers

set -euo pipefail

# The kernel's make must not inherit the options of another make.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

[ $# -ge 4 ] || { echo "error: usage: external-build.sh KERNEL OPTIONS INCLUDE FOLDER..." >&2; exit 1; }
kernel=$1 options=$2 include=$(realpath "$3")
shift 3
[ -e "$kernel/.config" ] || { echo "error: there is no configured kernel in $kernel; install its headers" >&2; exit 1; }

args=() macros=()
while IFS='=' read -r name value; do
	[[ "$name" != *KUNIT* ]] || grep -q '^CONFIG_KUNIT=' "$kernel/.config" || continue
	[[ "$name" != *_BPF ]] || grep -q '^CONFIG_DEBUG_INFO_BTF_MODULES=' "$kernel/.config" || continue
	case $name=$value in
	CONFIG_*=m) args+=("$name=m") macros+=("-D${name}_MODULE=1") ;;
	CONFIG_*=y) args+=("$name=y") macros+=("-D$name=1") ;;
	*) macros+=("-D$name=$value") ;;
	esac
done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$options")
args+=("NOSTDINC_FLAGS=-nostdinc -I$include" "KCFLAGS=${macros[*]}")

symbols=(${SYMBOLS:+"$SYMBOLS"})
for folder; do
	folder=$(realpath "$folder")
	objects=${OBJECTS:+$OBJECTS/${folder##*/}}
	[ -z "$objects" ] || mkdir -p "$objects"
	make -C "$kernel" -j"${JOBS:-$(nproc)}" M="$folder" ${objects:+MO="$objects"} \
		KBUILD_EXTRA_SYMBOLS="${symbols[*]}" "${args[@]}" modules
	objects=${objects:-$folder}
	# modpost of an unpatched kernel makes no aliases of vendor drivers.
	sed 's/\.o$/.ko/' "$objects/modules.order" | while read -r file; do
		"$(dirname "$0")/vendor-aliases.sh" "$objects/${file#"$objects/"}"
	done
	printf '%s\n' "${args[@]}" >"$objects/args"
	symbols+=("$objects/Module.symvers")
done
