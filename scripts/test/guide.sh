#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# guide.sh: the modules that the guides for writers of vendor drivers show are
# built by make vendor as they stand there, without a warning. In a VM they are
# loaded when their device is bound, and do what the guides say.
#
# One processor is enough for it, for 40 s.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

guides=("$REPO"/Documentation/driver-api/vfio-pci-{regops,migration}.rst)
"$SCRIPTS/modules.sh" release ours >/dev/null
userspace=$("$SCRIPTS/userspace.sh")
folder=$OUT/guide
rm -rf "$folder"
mkdir -p "$folder/modules"

# A listing is what is indented after a line that ends in "::", if it begins as
# a module does; it is named as its driver.
awk -v folder="$folder/modules" '
	function end() {
		if (text ~ /#include <linux\/module.h>/ && match(text, /\.name\t\t= "[a-z_]+"/)) {
			name = substr(text, RSTART + 10, RLENGTH - 11)
			printf "%s", text >(folder "/" name ".c")
			print name
		}
		text = ""
		inside = 0
	}
	inside && /^[^\t]/ { end() }
	inside { sub(/^\t/, ""); if (text != "" || $0 != "") text = text $0 "\n" }
	/::$/ { inside = 1 }
	END { end() }' "${guides[@]}" >"$folder/names"
mapfile -t names <"$folder/names"
status=0
[ "${#names[@]}" -eq "$(cat "${guides[@]}" | grep -c 'MODULE_LICENSE')" ] || status=1
result "$status" "the guides show ${#names[@]} modules: ${names[*]}" "$folder/names"

printf 'obj-m += %s.o\n' "${names[@]}" >"$folder/modules/Kbuild"
status=0
KERNEL=release "$SCRIPTS/vendor.sh" "$folder/modules" out/guide/installed >"$folder/log" 2>&1 || status=$?
! grep -q '[0-9]: warning:\|WARNING:' "$folder/log" || status=1
result "$status" "they are built without a warning" "$folder/log"

# That a region, a count and a ROM are there; and a register that is migrated, to
# the device itself.
cat >"$folder/look.c" <<'EOS'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <libvfio.h>

#define FEATURE(size) (sizeof(struct vfio_device_feature) + (size))

static int set_state(int fd, __u32 state)
{
	struct vfio_device_feature_mig_state *mig;
	struct vfio_device_feature *feature = calloc(1, FEATURE(sizeof(*mig)));

	mig = (void *)feature->data;
	feature->argsz = FEATURE(sizeof(*mig));
	feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	mig->device_state = state;
	return ioctl(fd, VFIO_DEVICE_FEATURE, feature) ? -1 : mig->data_fd;
}

/* What a register reads as after 5 was written, saved, 6 written and 5 loaded */
static unsigned int migrate(int fd)
{
	unsigned int val = 5;
	char data[4096];
	int data_fd;
	ssize_t size;

	pwrite(fd, &val, 4, 4);
	data_fd = set_state(fd, VFIO_DEVICE_STATE_STOP_COPY);
	size = read(data_fd, data, sizeof(data));
	while (read(data_fd, data + size, 1) == 1)
		size++;
	set_state(fd, VFIO_DEVICE_STATE_RUNNING);
	val = 6;
	pwrite(fd, &val, 4, 4);
	data_fd = set_state(fd, VFIO_DEVICE_STATE_RESUMING);
	if (write(data_fd, data, size) != size)
		return 0;
	set_state(fd, VFIO_DEVICE_STATE_RUNNING);
	pread(fd, &val, 4, 4);
	return val;
}

int main(int argc, char *argv[])
{
	const char *bdf = vfio_selftests_get_bdf(&argc, argv);
	struct iommu *iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	struct vfio_pci_device *device = vfio_pci_device_init(bdf, iommu);
	unsigned char rom[4] = {};
	unsigned int irq = 1;
	char text[64] = {};

	pread(device->fd, text, sizeof(text) - 1, (__u64)VFIO_PCI_NUM_REGIONS << 40);
	pread(device->fd, rom, 2, (__u64)VFIO_PCI_ROM_REGION_INDEX << 40);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	pwrite(device->fd, &irq, 4, 0x60);
	pwrite(device->fd, &irq, 4, 0x64);
	printf("region: %s, ROM: %02x%02x\n", text, rom[0], rom[1]);
	printf("register: %x\n", migrate(device->fd));
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	return 0;
}
EOS
status=0
src=$("$SCRIPTS/source.sh")
# shellcheck disable=SC2016 # expanded in the root
"$SCRIPTS/in-root.sh" bash -c 'cc -O2 -isystem "$1/upstream/headers/usr/include" -I"$1/self/vfio/lib/include" \
	-I"$2/tools/include" -D_GNU_SOURCE -o /repo/out/guide/look /repo/out/guide/look.c \
	$(find "$1/libvfio" -name "*.o") -luuid -lpthread' - "$userspace" "$src" >"$folder/cc.log" 2>&1 || status=$?
result "$status" "so does what looks at them" "$folder/cc.log"

in_guest=$(cat <<END
set -e
bdf=\${VM_DEVICES%%=*}
scripts/guest/bind.sh "\$bdf" vfio-pci
cd out/guide
lsmod >bound
# Its devices are named by the module option
modprobe give_rom ids=1234:11e8
./look "\$bdf" >looked
dmesg >dmesg
END
)
status=0
KERNEL=release MODULES=ours DEVICES=edu NAME=guide APPEND=$NO_VENDOR INSTALLED=out/guide/installed \
	"$SCRIPTS/vm.sh" "$in_guest" </dev/null >"$folder/vm.log" 2>&1 || status=$?
result "$status" "they load" "$folder/vm.log"
status=0
for name in my_driver count_interrupts migrate_register; do
	grep -q "^$name " "$folder/bound" || status=1
done
result "$status" "those of one device are loaded when it is bound" "$folder/bound"
status=0
grep -q '^region: This is an edu device., ROM: 55aa$' "$folder/looked" || status=1
result "$status" "the device has the region and the ROM that they add" "$folder/looked"
status=0
grep -q '^register: fffffffa$' "$folder/looked" || status=1
result "$status" "one migrates a register of it" "$folder/looked"
status=0
grep -q ': 1 interrupts were raised$' "$folder/dmesg" || status=1
result "$status" "and one counts the interrupts of it" "$folder/dmesg"
totals
