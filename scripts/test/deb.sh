#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh [all]: the Debian packages in a fresh Debian trixie with Debian's kernel: install, a
# vendor module, remove, a failing build and purge; the long suite deb-long adds "all":
# upgrade and a second kernel. Boot the modules after the installation and after the
# removal, run the demo programs, and load modules of both builds together. Results are in
# out/test-deb.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=120

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

all=${1-}
folder=$OUT/test-deb
rm -rf "$folder"
mkdir -p "$folder"

"$SCRIPTS/deb.sh" >"$folder/packages"
debian=$("$SCRIPTS/debian.sh")
programs=$("$SCRIPTS/userspace.sh")
samples=$("$SCRIPTS/bpf.sh" samples)
kernel=$("$SCRIPTS/kernel.sh" stock)
abi=$(cat "$CACHE/${kernel#/cache/}/release")
# For patterns
release=${abi//./[.]}
release=${release//+/[+]}
ours=/lib/modules/$release/updates/dkms
stock=/lib/modules/$release/kernel/drivers/vfio

# The same packages give the same results.
work=deb-lifecycle-$({ echo "$debian $all"; cat "$SCRIPTS/deb-"{lifecycle,symbols}.sh "$SCRIPTS/debian-copy.sh"; grep 'apt install' "$REPO/README.md"; cd "$OUT/deb"; sha256sum ./*.deb; } | key)
lifecycle()
{
	step "installing and removing the packages" "$CACHE/log/deb-lifecycle.log" \
		"$SCRIPTS/in-root.sh" scripts/deb-lifecycle.sh "$debian" "/cache/$work" ${all:+"$all"}
}
once "$work" deb-lifecycle 2500 "the test of the packages" lifecycle
cp "$CACHE/$work/results/"* "$folder/"

# replaces STEP NAME: after STEP, modprobe loads our modules instead of each vfio module of the
# kernel.
replaces()
{
	sed -n -E "s,^([^ ]*) ($stock/.*)?\$,\1,p" "$folder/before.modules" | while read -r module; do
		grep -q -E "^$module $ours/$module\.ko" "$folder/$1.modules" || echo "not ours: $module"
	done >"$folder/why"
	[ -s "$folder/before.modules" ] || echo "no modules before" >>"$folder/why"
	empty "$2" "$folder/why"
}

# unchanged STEP NAME: check that /lib/modules is the same after STEP as before the installation.
unchanged()
{
	diff "$folder/before.files" "$folder/$1.files" >"$folder/why" 2>&1 || true
	grep -q ' [.]/.*/vfio-pci-core[.]ko' "$folder/before.files" || echo "no modules before" >>"$folder/why"
	empty "$2" "$folder/why"
}

has before.modules "^vfio-pci $stock/pci/vfio-pci.ko" "before: modprobe loads the kernel's vfio-pci"
has before.initramfs '^vfio-pci.ko' "before: the initramfs has vfio-pci"
has readme '^Inst linux-headers-amd64 ' "README: apt also installs the headers"
has readme '^Inst vfio-pci-regops-dkms ' "README: apt installs the packages"
has install '^status 0$' "install: apt succeeds"
replaces install "install: modprobe loads our modules"
for module in vfio-pci-igd vfio-pci-igbvf vfio-pci-bpf virtio-vfio-pci; do
	has install.modules "^$module $ours/$module.ko" "install: there is $module"
done
has install.status '^vfio-pci-regops/.*: installed' "install: dkms shows the modules"
has install.signer '^DKMS module signing key$' "install: DKMS signs the modules"
has_not install.modules 'edu|kunit|testdrv|nvgrace' "install: there are no samples and tests"
has install.initramfs '^vfio-pci-igbvf.ko' "install: the initramfs has the vendor drivers"
has tools '^status 0$' "install: lsvfio runs, and has a man page and a completion"
has example '^status 0$' "example: a vendor module builds by the makefile fragment"
dpkg-deb -c "$OUT"/deb/vfio-pci-regops-dev_*.deb >"$folder/dev"
for file in "$REPO"/samples/vfio-pci/bpf/*; do
	grep -q "/examples/bpf/${file##*/}\$" "$folder/dev" || echo "no ${file##*/}"
done >"$folder/why"
empty "example: the package has the BPF programs" "$folder/why"
has other 'BUILD_EXCLUSIVE' "other kernel: DKMS says that the modules do not fit"
has_not other.status ', 7[.]2' "other kernel: DKMS does not build the modules"
has no-headers 'install the linux-headers-7[.]3[.]0[+]deb13-amd64 package' "no headers: DKMS names them"
has_not no-headers.status ', 7[.]3[.]0[+]' "no headers: DKMS does not list the kernel"
if [ -n "$all" ]; then
	has upgrade '^status 0$' "upgrade: apt succeeds"
	replaces upgrade "upgrade: modprobe loads our modules"
	has upgrade.status 'vfio-pci-regops/.*[.]1, .*: installed' "upgrade: DKMS has the new version"
	has_not upgrade.status 'vfio-pci-regops/[0-9.+]*[0-9]{6}, ' "upgrade: DKMS does not have the old version"
	has kernel '^status 0$' "a second kernel: apt succeeds"
	has kernel.modinfo "^vermagic: +${release%-amd64}-rt-amd64 " "a second kernel: the modules are for it"
	has kernel-removed '^status 0$' "a second kernel: apt removes its headers"
fi
has remove '^status 0$' "remove: apt succeeds"
unchanged remove "remove: the kernel's modules are back"
has_not remove.initramfs '^vfio-pci-igbvf.ko' "remove: the initramfs has no vendor drivers"
has remove.initramfs '^vfio-pci.ko' "remove: the initramfs has the kernel's vfio-pci"
has broken '^status 100$' "a failing build: apt fails"
has broken 'Consult /var/lib/dkms/vfio-pci-regops/.*/make.log' "a failing build: DKMS names the log"
has broken "The kernel's own vfio modules stay in use" "a failing build: the package says what is in use"
unchanged broken "a failing build: the kernel's modules are in use"
has_not broken.initramfs '^vfio-pci-igbvf.ko' "a failing build: the initramfs has no vendor drivers"
has purge '^status 0$' "purge: apt succeeds"
unchanged purge "purge: the kernel's modules are back"
empty "purge: no file is left over" "$folder/purge.left"

export KERNEL=stock APPEND=''
# boots MODULES COMMAND: boot a VM with the modules after a step.
boots()
{
	local status=0

	MODULES=/cache/$work/$1 DEVICES=edu NAME=deb-$1 "$SCRIPTS/vm.sh" "$2" </dev/null >"$folder/$1.log" 2>&1 || status=$?
	result "$status" "$1: the VM succeeds" "$folder/$1.log"
}

boots installed "scripts/guest/deb.sh demo out/test-deb/installed $programs &&
	scripts/guest/bind.sh all none && scripts/guest/deb.sh mixtures out/test-deb/mixtures $debian/lib/modules/$abi /cache/$work/other &&
	scripts/guest/deb.sh bpf out/test-deb/bpf $samples"
upgraded=''
if [ -n "$all" ]; then
	upgraded=upgraded
	boots upgraded "scripts/guest/deb.sh demo out/test-deb/upgraded $programs"
fi
boots removed "scripts/guest/deb.sh demo out/test-deb/removed $programs"

for module in vfio vfio_iommu_type1 vfio_pci vfio_pci_core; do
	for name in installed $upgraded; do
		has "$name/loaded" "^$module .* updates/dkms/${module//_/[-_]}.ko.* same\$" "$name: the loaded $module is ours"
	done
	has removed/loaded "^$module .* kernel/drivers/vfio/.*${module//_/[-_]}.ko.* same\$" "removed: the loaded $module is the kernel's"
done
has installed/loaded "^vfio_pci_edu .* updates/vfio_pci_edu.ko same\$" "installed: binding the device loads the vendor module"
has installed/vendor-demo '^ +ok +the driver refuses to start it: Operation not permitted$' "installed: the vendor driver guards a register"
for name in installed $upgraded removed; do
	has "$name/edu-demo" '^ +ok +10! = 3628800$' "$name: the device computes by read and write"
	has "$name/edu-demo" '^ +ok +12! = 479001600$' "$name: the device computes by mmap"
done
has mixtures/all-ours '^loads$' "mixtures: our modules load together"
has mixtures/all-stock '^loads$' "mixtures: the kernel's modules load together"
for name in stock-vfio-our-core our-vfio-stock-core our-core-stock-pci stock-core-our-pci stock-core-our-igbvf \
	stock-vfio-our-type1 our-vfio-stock-type1 our-core-other-bpf; do
	has "mixtures/$name" '^refused$' "mixtures: ${name//-/ }: the last module does not load"
	has "mixtures/$name" ': Unknown symbol (vfio|__vfio)_' "mixtures: ${name//-/ }: the log names the symbol"
done
has mixtures/our-core-other-bpf '^vfio_pci_bpf: Unknown symbol vfio_pci_register_bpf_driver_' "mixtures: our core other bpf: a private header differs"
has mixtures/our-vfio-stock-kvmgt '^kvmgt: Unknown symbol vfio_register_emulated_iommu_dev' "mixtures: the kernel's kvmgt does not fit our vfio"
has_not mixtures/stock-vfio-stock-kvmgt '^kvmgt: Unknown symbol (vfio|mdev)_' "mixtures: the kernel's kvmgt fits its vfio"
has bpf/loaded '^vfio_pci_bpf .* updates/dkms/vfio-pci-bpf.ko.* same$' "installed: the loaded vfio_pci_bpf is ours"
# Without BTF, the module loads, but has no struct_ops
has bpf/attach '^lock_eeprom is attached;' "installed: a BPF program can be attached"
totals
