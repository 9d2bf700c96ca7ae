#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selfcheck.sh: the scripts in scripts/ work. vm.sh returns the status of its command
# and detects failures. Bad input gives one line of errors and leaves no partial result.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

. "$(dirname "$0")/../lib.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TIMEOUT=600
unset RUN KERNEL MODULES DEVICES QEMU ACCEL SMP MEM ICOUNT NAME T M INSTALLED LINUX

# try COMMAND...: run a command; set status, and write $tmp/out and $tmp/err.
try()
{
	status=0
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

# check NAME COMMAND...: print one result; it passes if the command succeeds.
check()
{
	local name=$1
	shift

	if "$@"; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		echo "# status $status; output: $(head -c 300 "$tmp/out" | tr '\n' '|')"
		echo "# errors: $(tail -n 5 "$tmp/err" | tr '\n' '|')"
	fi
}

# Checks for the last command of try: its status, text in its errors, its output.
status_is() { [ "$status" -eq "$1" ]; }
says() { grep -q -F -e "$1" "$tmp/err"; }
prints() { [ "$(cat "$tmp/out")" = "$1" ]; }

# refused TEXT: the command failed with one line of errors, which contains TEXT. Lines of
# progress do not count: a script may wait for a lock.
refused()
{
	[ "$status" -ne 0 ] && [ "$(grep -c -v -E '^$|^\[ *[0-9]+s\] ' "$tmp/err")" -eq 1 ] && says "$1"
}

# gives NAME STATUS COMMAND...: check the status of a command.
gives()
{
	try "${@:3}"
	check "$1" status_is "$2"
}

# refuses NAME TEXT COMMAND...: check that a command is refused.
refuses()
{
	try "${@:3}"
	check "$1" refused "$2"
}

vm=$SCRIPTS/vm.sh

# --- the status and output of a VM ---
gives "in-root.sh: returns the status of the command" 9 "$SCRIPTS/in-root.sh" sh -c 'pwd; exit 9'
check "in-root.sh: runs the command in /repo" prints /repo

gives "vm.sh: returns status 255" 255 "$vm" 'echo out; echo err >&2; echo again >/dev/stderr; seq 20000 | tail -n 1; exit 255'
check "vm.sh: prints only the output of the command" prints $'out\nerr\nagain\n20000'
gives "vm.sh: returns status 0" 0 "$vm" 'exit 0'
check "vm.sh: prints nothing itself" prints ""
# shellcheck disable=SC2016 # for the guest
try make --no-print-directory -C "$REPO" vm RUN='x=$(head -c 300000 /dev/zero | wc -c); echo "$x"; exit 7'
check "make vm: does not expand \$ in a command" prints 300000
check "make vm: fails if the command fails" says 'Error 7'

# shellcheck disable=SC2016 # for the guest
DEVICES='edu igb nvme port/e1000e pci-testdev VGA' try "$vm" '
	echo $VM_DEVICES
	for device in $VM_DEVICES; do
		bdf=${device%%=*}
		cat /sys/bus/pci/devices/$bdf/device
		ls /sys/bus/pci/devices/$bdf/iommu_group/devices | wc -l
	done | xargs
	scripts/guest/bind.sh all vfio-pci && ls /dev/vfio | wc -l
	scripts/guest/bind.sh 0000:00:02.0 none && ls /dev/vfio | wc -l
	scripts/guest/bind.sh 0000:00:1a.0 vfio-pci 2>&1'
check "vm.sh: devices have their addresses and groups; bind.sh binds and unbinds" \
	prints '0000:00:02.0=edu 0000:00:03.0=igb 0000:00:04.0=nvme 0000:01:00.0=e1000e 0000:00:06.0=pci-testdev 0000:00:07.0=VGA
0x11e8 1 0x10c9 1 0x0010 1 0x10d3 1 0x0005 1 0x1111 1
8
7
error: there is no PCI device 0000:00:1a.0; see lspci'

# --- the clock of a VM ---
# busy COMMAND...: run a command while three processes keep the CPUs busy.
busy()
{
	local pids=() status=0

	for _ in 1 2 3; do
		while :; do :; done &
		pids+=($!)
	done
	"$@" || status=$?
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null || true
	return "$status"
}
# near A B: check that two numbers differ by at most 1 %.
near() { [ -n "$1" ] && [ $((($1 - $2) * 100)) -le "$2" ] && [ $((($2 - $1) * 100)) -le "$2" ]; }
tsc=$("$SCRIPTS/host-tsc.sh")
try busy "$SCRIPTS/host-tsc.sh"
check "host-tsc.sh: prints the same frequency on a busy machine" near "$(cat "$tmp/out")" "$tsc"
# shellcheck disable=SC2016 # for the guest
try busy "$vm" 'rate=$(tr " " "\n" </proc/cmdline | sed -n "s/^tsc_early_khz=//p"); echo "$rate"
	dmesg | sed -n "s/.*tsc: Detected \([0-9]*\)\.\([0-9]*\) MHz.*/\1\2/p" | tail -n 1'
if [ "$("$SCRIPTS/accel.sh")" = kvm ]; then
	echo "ok - vm.sh: passes the TSC frequency to the kernel # SKIP KVM does"
else
	check "vm.sh: passes the TSC frequency to the kernel" near "$(head -n 1 "$tmp/out")" "$tsc"
fi
check "vm.sh: the kernel uses the TSC frequency on a busy machine" near "$(tail -n 1 "$tmp/out")" "$tsc"
# With a 25th of the frequency, the clock runs 25 times too fast.
APPEND=tsc_early_khz=$((tsc / 25)) NAME=selfcheck-clock try "$vm" 'echo never'
if [ "$("$SCRIPTS/accel.sh")" = kvm ]; then
	echo "ok - vm.sh: a fast clock gives status 125 # SKIP KVM reports the TSC frequency"
else
	check "vm.sh: a fast clock gives status 125" status_is 125
	check "vm.sh: a fast clock restarts the VM twice" [ "$(grep -c 'restarting the VM' "$tmp/err")" -eq 2 ]
	check "vm.sh: a fast clock gives an error in the end" says 'error: the clock of the VM runs too fast'
	check "vm.sh: a fast clock keeps the command from running" prints ''
fi
rm -f "$OUT"/vm/selfcheck-clock.*
# Stand-ins for scripts: the clock is too fast at the first start only.
mkdir -p "$tmp/clock/scripts"
cp "$SCRIPTS/lib.sh" "$vm" "$tmp/clock/scripts/"
for name in kernel modules accel host-tsc in-root; do
	# shellcheck disable=SC2016 # for the stand-ins
	printf '#!/bin/sh\n%s\n' '[ "${0##*/}" != accel.sh ] || echo tcg
		[ "${0##*/}" = in-root.sh ] || exit 0
		cd "${0%/*}/.."
		if [ ! -e second ]; then
			touch second
			echo 99 s in 5 s >out/vm/again.run.clock
			echo clock >out/vm/again.status
		else
			echo started
			echo 7 >out/vm/again.status
		fi' >"$tmp/clock/scripts/$name.sh"
	chmod +x "$tmp/clock/scripts/$name.sh"
done
NAME=again gives "vm.sh: a restarted VM returns the status of the command" 7 "$tmp/clock/scripts/vm.sh" true
check "vm.sh: reports the restart" says 'the clock of the VM runs too fast (99 s in 5 s); restarting the VM'
check "vm.sh: a restarted VM prints the output of the command" prints started

# --- failures of a VM ---
TIMEOUT=15 gives "vm.sh: the time limit ends the VM" 124 "$vm" 'sleep 300'
check "vm.sh: reports the time limit" says 'error: time limit'
for text in 'BUG: KASAN: use-after-free' 'WARNING: possible circular locking dependency detected' \
	'UBSAN: shift-out-of-bounds'; do
	try "$vm" "echo '<4>$text in a test' >/dev/kmsg"
	check "vm.sh: a kernel report fails the run: ${text%%:*}" status_is 99
	check "vm.sh: prints the kernel report: ${text%%:*}" says "$text"
done
# shellcheck disable=SC2016 # for the guest
NAME=selfcheck-leak try "$vm" 'printf "%s\n" "unreferenced object 0x1 (size 8):" "  comm \"swapper/0\", pid 0" "    at_boot+0x1" \
	"unreferenced object 0x2 (size 8):" "  comm \"modprobe\", pid 99" "    in_a_test+0x1" >out/vm/selfcheck-leak.run.kmemleak'
check "vm.sh: a memory leak fails the run" status_is 99
check "vm.sh: prints the memory leak" says in_a_test
check "vm.sh: ignores memory leaks of the boot" eval '! says at_boot'
rm -f "$OUT"/vm/selfcheck-leak.*
gives "vm.sh: a panic fails the run" 99 "$vm" 'echo c >/proc/sysrq-trigger; sleep 60'
check "vm.sh: prints the panic" says "Kernel panic - not syncing: sysrq triggered crash"
gives "vm.sh: a VM that powers off early gives status 125" 125 "$vm" 'echo o >/proc/sysrq-trigger; sleep 60'

# --- bad arguments ---
refuses "vm.sh: refuses a missing command" 'nothing to run' "$vm"
KERNEL=new refuses "vm.sh: refuses an unknown KERNEL" "unknown KERNEL 'new'" "$vm" true
MODULES=new refuses "vm.sh: refuses unknown MODULES" "unknown MODULES 'new'" "$vm" true
SMP=none refuses "vm.sh: refuses a bad SMP" 'SMP is' "$vm" true
MEM=2T refuses "vm.sh: refuses a bad MEM" 'MEM is' "$vm" true
TIMEOUT=1h refuses "vm.sh: refuses a bad TIMEOUT" 'TIMEOUT is' "$vm" true
ICOUNT=1 ACCEL=kvm refuses "vm.sh: refuses ICOUNT with KVM" 'ICOUNT=1' "$vm" true
DEVICES=nosuch try "$vm" true
check "vm.sh: reports an unknown QEMU device" says "'nosuch' is not a valid device"
check "vm.sh: an unknown QEMU device gives status 125" status_is 125
DEVICES=user:nosuch try "$vm" true
check "vm.sh: refuses a user: device without a description" says 'DEVICES: there is no'
mkdir -p "$OUT/selfcheck"
echo '{ "vendor": 1, "device": 2, "class": "0x20000", "bars": { "0": { "size": 3000 } } }' >"$OUT/selfcheck/odd.json"
DEVICES=user:out/selfcheck/odd.json try "$vm" true
check "vm.sh: reports an invalid description of a device" says 'out/selfcheck/odd.json: the size of BAR 0 must be a power of two, at least 16: 3000'
check "vm.sh: an invalid description gives status 125" status_is 125
echo '{ "like": "/repo/programs/vfio_user/gpu.json", "class": "0x28000" }' >"$OUT/selfcheck/odd.json"
# shellcheck disable=SC2016 # for the guest
DEVICES='user:out/selfcheck/odd.json port/user:gpu,rombar=0' try "$vm" 'echo $VM_DEVICES; cat /sys/bus/pci/devices/0000:0[0-1]:0[0-2].0/class | tail -n 2 | xargs'
check "vm.sh: boots with two user: devices, one derived from the other" \
	prints $'0000:00:02.0=user:out/selfcheck/odd.json 0000:01:00.0=user:gpu\n0x028000 0x030000'
NAME=selfcheck-user TIMEOUT=15 DEVICES=user:gpu gives "vm.sh: the time limit ends a VM with a user: device" 124 "$vm" 'sleep 300'
gives "vm.sh: no process of that VM is left" 1 "$SCRIPTS/in-root.sh" pgrep -f 'out/vm/[s]elfcheck-user'
rm -rf "$OUT/selfcheck" "$OUT"/vm/selfcheck-user.*
refuses "vm.sh: refuses a shell without a terminal" 'a shell needs a terminal' "$vm" --shell
refuses "make: refuses an unknown argument" 'unknown argument RNU' make -C "$REPO" vm RNU=true
refuses "kernel.sh: refuses an unknown kernel" "unknown kernel 'other'" "$SCRIPTS/kernel.sh" other
refuses "modules.sh: refuses unknown modules" "unknown modules 'other'" "$SCRIPTS/modules.sh" release other
refuses "qemu.sh: refuses an unknown suite" "unknown suite 'other'" "$SCRIPTS/qemu.sh" other
try env MODULES=ours KERNEL=stock JOBS=1 "$SCRIPTS/kernel.sh" stock
check "kernel.sh: ignores KERNEL, MODULES and JOBS" prints "$(env -u MODULES -u KERNEL "$SCRIPTS/kernel.sh" stock)"
refuses "test.sh: refuses an unknown suite" "no test suite 'nosuch'" "$SCRIPTS/test.sh" nosuch

# --- make vendor, in a copy of the checkout ---
mkdir -p "$tmp/clone" "$tmp/driver"
tar -c -C "$REPO" --exclude=./out --exclude=./edit --exclude=./.git . | tar -x -C "$tmp/clone"
cp "$REPO/samples/vfio-pci/vfio_pci_edu.c" "$tmp/driver/my_edu.c"
vendor() { try make --no-print-directory -C "$tmp/clone" vendor M="$tmp/driver"; }
refuses "make vendor: refuses a missing argument" 'no folder with a vendor module' "$SCRIPTS/vendor.sh"
refuses "make vendor: refuses a missing folder" 'there is no folder' "$SCRIPTS/vendor.sh" "$tmp/nosuch"
refuses "make vendor: refuses a folder without obj-m" 'has no Kbuild or Makefile with obj-m' "$SCRIPTS/vendor.sh" "$tmp/driver"
echo 'obj-m += my_edu.o' >"$tmp/driver/Kbuild"
KERNEL=new refuses "make vendor: refuses an unknown KERNEL" "unknown KERNEL 'new'" "$SCRIPTS/vendor.sh" "$tmp/driver"
vendor
check "make vendor: builds a module" status_is 0
check "make vendor: prints the module's alias" \
	grep -q -i 'vfio-pci-vendor:v\(0000\)\?1234d\(0000\)\?11e8' "$tmp/out"
check "make vendor: leaves the folder unchanged" [ "$(find "$tmp/driver" -type f | wc -l)" -eq 2 ]
in_vm='scripts/guest/bind.sh all vfio-pci; lsmod | grep -c ^my_edu'
DEVICES=edu try make --no-print-directory -C "$tmp/clone" vm RUN="$in_vm"
check "make vm: binding the device loads the vendor module" prints 1
DEVICES=edu MODULES=stock try make --no-print-directory -C "$tmp/clone" vm RUN="$in_vm"
check "make vm: stock modules do not load the vendor module" prints 0
DEVICES=edu try "$tmp/clone/scripts/vm.sh" "$in_vm"
check "vm.sh: tests do not load the vendor module" prints 0
echo other >"$tmp/clone/out/vendor-modules/release/base"
INSTALLED=out/vendor-modules refuses "make vm: refuses a vendor module for other vfio modules" 'run make vendor M=... KERNEL=release again' "$tmp/clone/scripts/vm.sh" true
echo 'no C at all' >>"$tmp/driver/my_edu.c"
vendor
check "make vendor: fails if a module does not compile" says "does not build for the kernel release"
check "make vendor: prints the compiler error" says "$tmp/driver/my_edu.c:"
sed -i -e '$d' -e '/^MODULE_.*\(ALIAS\|TABLE\)/d' "$tmp/driver/my_edu.c"
vendor
check "make vendor: warns of a module without an alias" says 'my_edu.ko has no alias'
check "make vendor: fails if no module has an alias" says 'so binding a device loads none'
echo 'obj-m := vfio_pci_edu.o' >"$tmp/driver/Kbuild"
cp "$REPO/samples/vfio-pci/vfio_pci_edu.c" "$tmp/driver/"
vendor
check "make vendor: refuses the name of an existing module" says 'another module has the name vfio_pci_edu.ko'

# --- test.sh, with suites of this script ---
mkdir -p "$tmp/checkout/scripts/test"
cp "$SCRIPTS/lib.sh" "$SCRIPTS/test.sh" "$tmp/checkout/scripts/"
suite()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/checkout/scripts/test/$1.sh"
	chmod +x "$tmp/checkout/scripts/test/$1.sh"
}
suite good 'echo "ok - a"; echo "ok - b # SKIP no reason"'
suite bad 'echo "ok - a"; echo "not ok - b"'
suite dies 'echo "ok - a"; exit 3'
suite empty 'true'
gives "test.sh: succeeds if no test fails" 0 "$tmp/checkout/scripts/test.sh" good
check "test.sh: prints the totals" [ "$(tail -n 1 "$tmp/out")" = "1 passed, 0 failed, 1 skipped" ]
gives "test.sh: fails if a test fails" 1 "$tmp/checkout/scripts/test.sh"
check "test.sh: counts a failed test, an error and an empty suite" \
	[ "$(tail -n 1 "$tmp/out")" = "3 passed, 3 failed, 1 skipped" ]
suite slow 'echo "ok - a"; echo "ok - b"; echo "ok - c"'
sed -i '1a SUITE_LONG=1' "$tmp/checkout/scripts/test/slow.sh"
try "$tmp/checkout/scripts/test.sh"
check "test.sh: a long suite does not run by default" \
	[ "$(tail -n 1 "$tmp/out")" = "3 passed, 3 failed, 1 skipped" ]
try "$tmp/checkout/scripts/test.sh" good slow
check "test.sh: a long suite runs if it is named" \
	[ "$(tail -n 1 "$tmp/out")" = "4 passed, 0 failed, 1 skipped" ]
try "$tmp/checkout/scripts/test.sh" long
check "test.sh: 'long' selects the long suites" \
	[ "$(tail -n 1 "$tmp/out")" = "3 passed, 0 failed, 0 skipped" ]
for name in good dies; do
	sed -i '1a SUITE_SECONDS=60' "$tmp/checkout/scripts/test/$name.sh"
done
try "$tmp/checkout/scripts/test.sh"
check "test.sh: starts slow suites first" \
	[ "$(sed -n 's/.*test suite \(.*\) (output .*/\1/p' "$tmp/err" | head -n 2 | sort | xargs)" = "dies good" ]

# --- series-import.sh ---
# Import a series with a cover letter and three patches. Each patch adds a file and edits
# an upstream file.
import=$tmp/import/scripts/series-import.sh
kernel=$tmp/kernel
mkdir -p "$tmp/import/scripts" "$kernel"
cp "$SCRIPTS/series-import.sh" "$tmp/import/scripts/"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org
in_tree() { git -C "$kernel" -c core.editor=true "$@" >/dev/null 2>&1; }
git init -q -b main "$tmp/import"
git init -q -b main "$kernel"
seq 100 >"$kernel/Makefile"
in_tree add -A
in_tree commit -m base
in_tree tag base
in_tree commit --allow-empty -m '[1-test] vfio: Add files' -m 'The text of the cover letter.'
for n in 1 2 3; do
	mkdir -p "$kernel/drivers"
	echo "$n" >"$kernel/drivers/file$n.c"
	sed -i "${n}0s/\$/ changed/" "$kernel/Makefile"
	in_tree add -A
	in_tree commit -m "vfio: Add file $n"
done
# imported FILES PATCHES: check the new files and the number of patches.
imported()
{
	[ "$(find "$tmp/import/drivers" -type f -printf "%f\n" | sort | xargs)" = "$1" ] &&
		[ "$(grep -c . "$tmp/import/patches/series")" -eq "$2" ] &&
		[ "$(find "$tmp/import/patches/1-test" -name '*.patch' | wc -l)" -eq "$2" ] &&
		[ "$(head -n 1 "$tmp/import/patches/1-test/cover-letter.txt")" = 'vfio: Add files' ]
}
all='file1.c file2.c file3.c'
gives "series-import.sh: succeeds" 0 "$import" "$kernel" base
check "series-import.sh: writes files and patches" imported "$all" 3
gives "series-import.sh: imports the same series again" 0 "$import" "$kernel" base
check "series-import.sh: writes no index lines" [ -z "$(grep -r '^index ' "$tmp/import/patches")" ]
in_tree commit --allow-empty -m 'vfio: Empty'
refuses "series-import.sh: refuses an empty commit that starts no series" 'is empty; drop it' "$import" "$kernel" base
in_tree commit --allow-empty --amend -m '[1-test] vfio: Again' -m 'Text.'
refuses "series-import.sh: refuses two series of one name" 'two commits start the series 1-test' "$import" "$kernel" base
in_tree reset --hard HEAD~1
refuses "series-import.sh: refuses a patch before the first series" 'is before the first series' "$import" "$kernel" "$(git -C "$kernel" rev-list --reverse base..HEAD | head -n 1)"
refuses "series-import.sh: refuses one argument" 'two arguments needed' "$import" "$kernel"
refuses "series-import.sh: refuses an unknown option" "unknown option '--force'" "$import" --force "$kernel" base

GIT_SEQUENCE_EDITOR='sed -i 2s/^pick/edit/' in_tree rebase -i base
refuses "series-import.sh: refuses to run during a rebase" 'a rebase is in progress' "$import" "$kernel" base
check "series-import.sh: changes nothing during a rebase" imported "$all" 3
in_tree rebase --continue
in_tree format-patch -1 -o "$tmp/am" HEAD
in_tree checkout -b other HEAD~1
sed -i '30s/$/ otherwise/' "$kernel/Makefile"
in_tree commit -a -m other
in_tree am --3way "$tmp/am/0001-vfio-Add-file-3.patch" || true
refuses "series-import.sh: refuses to run during git am" 'git am is in progress' "$import" "$kernel" base
in_tree am --abort
in_tree cherry-pick main || true
refuses "series-import.sh: refuses to run during a cherry-pick" 'a cherry-pick is in progress' "$import" "$kernel" base
in_tree cherry-pick --abort
in_tree merge main || true
refuses "series-import.sh: refuses to run during a merge" 'a merge is in progress' "$import" "$kernel" base
in_tree merge --abort
in_tree checkout main
in_tree bisect start HEAD base
refuses "series-import.sh: refuses to run during a bisection" 'a bisection is in progress' "$import" "$kernel" base
in_tree bisect reset

in_tree checkout main~1
refuses "series-import.sh: refuses fewer patches" 'has 2 patches and patches/series has 3' "$import" "$kernel" base
check "series-import.sh: names the missing patch" says 'Missing: vfio-Add-file-3'
check "series-import.sh: keeps all patches" imported "$all" 3
in_tree checkout main
in_tree rm drivers/file3.c
in_tree commit -a --amend -m 'vfio: Edit more'
refuses "series-import.sh: refuses fewer new files" 'has 2 new files and patches/series has 3' "$import" "$kernel" base
check "series-import.sh: names the missing file" says 'Missing: drivers/file3.c'
check "series-import.sh: keeps all files" imported "$all" 3
git -C "$tmp/import" add -A
git -C "$tmp/import" commit -q -m imported
try "$import" --shrink "$kernel" base
check "series-import.sh --shrink: accepts fewer files" imported 'file1.c file2.c' 3
in_tree checkout main~1
try "$import" --shrink "$kernel" base
check "series-import.sh --shrink: accepts fewer patches" imported 'file1.c file2.c' 2

echo edited >>"$tmp/import/drivers/file1.c"
refuses "series-import.sh: refuses to overwrite an uncommitted file" 'would be lost: drivers/file1.c' "$import" "$kernel" base
check "series-import.sh: keeps the uncommitted file" grep -q edited "$tmp/import/drivers/file1.c"
git -C "$tmp/import" add drivers/file1.c
try "$import" "$kernel" base
# shellcheck disable=SC2016 # for eval
check "series-import.sh: overwrites a staged file" eval 'status_is 0 && ! grep -q edited "$tmp/import/drivers/file1.c"'
echo edited >>"$tmp/import/patches/1-test/0001-vfio-Add-file-1.patch"
refuses "series-import.sh: refuses to overwrite an uncommitted patch" 'would be lost: patches/1-test/0001-vfio-Add-file-1.patch' "$import" "$kernel" base
gives "series-import.sh --overwrite: overwrites an uncommitted patch" 0 "$import" --overwrite "$kernel" base
echo new >"$kernel/drivers/file4.c"
try "$import" "$kernel" base
check "series-import.sh: names an uncommitted file in the tree" says "is not imported: drivers/file4.c"
unset GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL

# --- make edit and make import ---
edit=$tmp/clone/edit
edit() { try "$tmp/clone/scripts/edit.sh"; }
git -C "$tmp/clone" init -q -b main
git -C "$tmp/clone" add -A
git -C "$tmp/clone" -c user.name=test -c user.email=test@example.org commit -q -m clone
before=$(grep -c . "$tmp/clone/patches/series")
folders=$(find "$tmp/clone/patches" -mindepth 1 -type d | wc -l)
edit
check "make edit: succeeds" status_is 0
check "make edit: makes one commit per patch and series" \
	[ "$(git -C "$edit" rev-list --count base..HEAD)" -eq $((before + folders)) ]
edit
check "make edit: keeps an unchanged tree" says 'edit/ is up to date'
echo '/* edited */' >>"$edit/drivers/vfio/pci/vfio_pci_range.c"
edit
check "make edit: refuses to drop uncommitted changes" refused 'has uncommitted changes'
git -C "$edit" -c user.name=test -c user.email=test@example.org commit -q -a -m 'vfio/pci: Test'
edit
check "make edit: refuses to drop commits" refused 'has commits that patches/ lacks'
gives "make import: succeeds" 0 "$tmp/clone/scripts/import.sh"
check "make import: adds a patch" [ "$(grep -c . "$tmp/clone/patches/series")" -eq $((before + 1)) ]
check "make import: updates the file" grep -q '/[*] edited' "$tmp/clone/drivers/vfio/pci/vfio_pci_range.c"
git -C "$edit" branch other
edit
check "make edit: refuses to drop branches" refused 'has other branches'
git -C "$edit" branch -D -q other
edit
# shellcheck disable=SC2016 # for eval
check "make edit: follows an import" eval 'status_is 0 && [ "$(git -C "$edit" log -1 --format=%s)" = "vfio/pci: Test" ]'
rm -rf "$edit"
refuses "make import: refuses to run without edit/" 'run make edit' "$tmp/clone/scripts/import.sh"

# --- problems of the host ---
LINUX=$tmp refuses "source.sh: refuses a LINUX= that is not a kernel tree" 'is not a kernel tree' "$SCRIPTS/source.sh"
mkdir -p "$tmp/linux/drivers/vfio"
printf 'VERSION = 6\nPATCHLEVEL = 12\n' >"$tmp/linux/Makefile"
LINUX=$tmp/linux refuses "source.sh: refuses a LINUX= of another version" 'is Linux 6.12; use a tree of Linux 7.3' "$SCRIPTS/source.sh"

# try_with NAME SCRIPT COMMAND...: run a command with an empty cache, and with SCRIPT
# instead of the program NAME.
try_with()
{
	rm -rf "${tmp:?}/bin" "$tmp/cache"
	mkdir -p "$tmp/bin" "$tmp/cache"
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
	shift 2
	PATH=$tmp/bin:$PATH XDG_CACHE_HOME=$tmp/cache try "$@"
}
no_root()
{
	[ -z "$(find "$tmp/cache/vfio-regops" -maxdepth 1 -name 'root-*' ! -name '*.new*' 2>/dev/null)" ]
}
if [ "$(df --output=avail -m "$tmp" | tail -n 1)" -lt 6000 ]; then
	echo "ok - root.sh: failed builds leave no root # SKIP $tmp has less than 6 GB"
else
	try_with mmdebstrap 'echo "E: Could not connect to deb.test:80" >&2; exit 25' "$SCRIPTS/root.sh"
	check "root.sh: reports a missing network" says 'no network: the Debian mirror cannot be reached'
	check "root.sh: a missing network leaves no root" no_root
	try_with mmdebstrap 'echo "tar: x: Cannot write: No space left on device" >&2; exit 25' "$SCRIPTS/root.sh"
	check "root.sh: reports a full disk" says 'the disk is full'
	check "root.sh: a full disk leaves no root" no_root
	# shellcheck disable=SC2016 # for the stand-in
	try_with mmdebstrap 'for dir; do :; done; mkdir -p "${dir%/*}"; exit 1' "$SCRIPTS/root.sh"
	check "root.sh: a failure of mmdebstrap leaves no root" no_root
	try_with apt-get 'exit 0' "$SCRIPTS/root.sh"
	check "root.sh: reports a missing Debian mirror" refused 'no Debian mirror'
	try_with uname 'echo riscv64' "$SCRIPTS/root.sh"
	check "root.sh: refuses another architecture" refused 'unsupported host: riscv64'
fi
cp "$SCRIPTS/qemu.sh" "$SCRIPTS/debs.sh" "$tmp/checkout/scripts/"
printf '#!/bin/sh\necho "E: Could not connect to deb.test:80"; exit 100\n' \
	>"$tmp/checkout/scripts/in-root.sh"
chmod +x "$tmp/checkout/scripts/in-root.sh"
XDG_CACHE_HOME=$tmp/cache try "$tmp/checkout/scripts/qemu.sh" bookworm
check "qemu.sh: reports a missing network" says 'no network: the Debian mirror cannot be reached'
check "qemu.sh: prints no path without network" prints ''
try_with df 'echo Avail; echo 100' "$SCRIPTS/root.sh"
check "root.sh: refuses a disk with too little space" refused 'and 100 MB are free'
# Even root cannot create a folder below a file.
XDG_CACHE_HOME=$tmp/linux/Makefile try "$SCRIPTS/root.sh"
check "root.sh: refuses a read-only cache" says 'cannot write to'
