#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor.sh [FOLDER [INSTALLED]]: build the vendor modules in FOLDER for our vfio
# modules. Install them in INSTALLED, a folder in the checkout, for VMs. In a VM, binding
# a device to vfio-pci loads the matching module by its alias.
#
#     M       FOLDER, if there are no arguments. It has a Kbuild or Makefile with obj-m,
#             like any external module.
#     KERNEL  release (default), debug or stock, as for the VM

. "$(dirname "$0")/lib.sh"

usage="usage: make vendor M=FOLDER [KERNEL=release|debug|stock]"
[ $# -le 2 ] || die "unknown argument '$3'; $usage"
folder=${1:-${M-}}
installed=${2:-out/vendor-modules}
KERNEL=${KERNEL:-release}
[ -n "$folder" ] || die "no folder with a vendor module given; $usage"
[ -d "$folder" ] || die "there is no folder $folder; $usage"
folder=$(realpath "$folder")
grep -q -s -E '^[[:space:]]*obj-m\b' "$folder/Kbuild" "$folder/Makefile" ||
	die "$folder has no Kbuild or Makefile with obj-m; write one: obj-m += my_driver.o"
[[ "$KERNEL" =~ ^(release|debug|stock)$ ]] || die "unknown KERNEL '$KERNEL'; use release, debug or stock"

# compile OBJ KERNEL MODULES JOBS: in the root, build the modules in OBJ.
compile()
{
	local args

	set -euo pipefail
	mapfile -t args <"$3/devel/args"
	make -C "$2/build" -j"$4" M=/run/bind MO="$1" W=1 "${args[@]}" modules
	# modpost of an unpatched kernel makes no aliases of vendor drivers.
	sed 's/\.o$/.ko/' "$1/modules.order" | while read -r file; do
		/repo/scripts/vendor-aliases.sh "$1/${file#"$1/"}"
	done
}

# add INSTALLED OBJ KERNEL MODULES NAME: in the root, add the modules to INSTALLED,
# which may have modules of other folders.
add()
{
	local to=$1 obj=$2 kernel=$3 modules=$4 name=$5 release dir file ko module

	set -euo pipefail
	release=$(cat "$kernel/release")
	dir=$to/lib/modules/$release
	[ "$(cat "$to/base" 2>/dev/null)" = "$modules" ] || rm -rf "${to:?}/base" "${to:?}/lib"
	mkdir -p "$dir/vendor"
	ln -sfn "$kernel/modules/lib/modules/$release/kernel" "$dir/kernel"
	ln -sfn "$modules/lib/modules/$release/updates" "$dir/updates"
	cp "$modules/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$dir/"
	rm -rf "$dir/vendor/$name"
	mkdir "$dir/vendor/$name"
	while read -r file; do
		ko=${file%.o}.ko
		module=$(basename "$ko")
		[ -z "$(find -L "$dir" -name "${module%.ko}.ko*" -print -quit)" ] || {
			rm -rf "$dir/vendor/$name"
			echo "error: another module has the name $module; rename yours"
			exit 1
		}
		strip --strip-debug -o "$dir/vendor/$name/$module" "$obj/${ko#"$obj/"}"
	done <"$obj/modules.order"
	depmod -b "$to" "$release"
	echo "$modules" >"$to/base"
}

# aliases MODULE: print the aliases of a vendor module.
aliases()
{
	"$SCRIPTS/in-root.sh" modinfo -F alias "$1" | grep '^vfio-pci-vendor:' || true
}

kernel=$("$SCRIPTS/kernel.sh" "$KERNEL")
modules=$("$SCRIPTS/modules.sh" "$KERNEL" ours)
name=$(basename "$folder")
to=$installed/$KERNEL
# The file "of" names the source folder and the vfio modules that the objects in build/ were
# built for.
obj=$to/build/$name
log=$REPO/$to/$name.log
lock "vendor-$(echo "$REPO/$obj" | key)"
if [ "$(cat "$REPO/$obj/of" 2>/dev/null)" != "$folder $modules" ]; then
	rm -rf "${REPO:?}/$obj"
	mkdir -p "$REPO/$obj"
	echo "$folder $modules" >"$REPO/$obj/of"
fi
status=0
BIND=$folder "$SCRIPTS/in-root.sh" bash -c "$(declare -f compile)"'; compile "$@"' - \
	"/repo/$obj" "$kernel" "$modules" "$JOBS" >"$log" 2>&1 </dev/null || status=$?
# Print paths of the host, not of the root.
sed -i "s,/run/bind/,$folder/,g" "$log"
# Without BTF, it does not matter if pahole was installed after the kernel was built.
grep -E '(warning|error|WARNING|ERROR|fatal|undefined)( |:|!)' "$log" |
	grep -v -e '^make' -e '^warning: pahole version differs' >&2 || true
[ "$status" -eq 0 ] || die "$folder does not build for the kernel $KERNEL (log: $log)"
[ -s "$REPO/$obj/modules.order" ] || die "$folder builds no module; name one in obj-m"

loaded=()
while read -r file; do
	mapfile -t found < <(aliases "/repo/$obj/${file#"/repo/$obj/"}")
	[ ${#found[@]} -gt 0 ] ||
		say "warning: $(basename "$file") has no alias vfio-pci-vendor:..., so only modprobe loads it"
	loaded+=("${found[@]}")
done < <(sed 's/\.o$/.ko/' "$REPO/$obj/modules.order")
[ ${#loaded[@]} -gt 0 ] ||
	die "no module in $folder has an alias vfio-pci-vendor:..., so binding a device loads none; add MODULE_DEVICE_TABLE(vfio_pci_vendor, ...), see Documentation/driver-api/vfio-pci-regops.rst"
"$SCRIPTS/in-root.sh" bash -c "$(declare -f add)"'; add "$@"' - "/repo/$to" "/repo/$obj" "$kernel" "$modules" "$name" \
	>>"$log" 2>&1 || die "$(sed -n 's/^error: //p' "$log" | tail -n 1) (log: $log)"
unlock
printf 'installed for make vm KERNEL=%s:\n' "$KERNEL"
(cd "$REPO/$to/lib/modules"/*/vendor/"$name" && printf '  %s\n' *.ko)
printf 'binding a device with these ids to vfio-pci loads them:\n'
printf '  %s\n' "${loaded[@]}"
