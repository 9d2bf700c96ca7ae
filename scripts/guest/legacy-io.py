#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""legacy-io.py BDF: in the guest, open a virtio function by type1, access its BAR for
legacy I/O and the emulated registers in config space, and print the results."""

import errno
import fcntl
import os
import struct
import sys

COMMAND = 4
IO, MEMORY = 1, 2
BAR0 = 0
CONFIG = 7 << 40
MSIX = 2
DATA_EVENTFD, TRIGGER = 4, 32


def vfio(fd, number, arg):
    return fcntl.ioctl(fd, ord(";") << 8 | 100 + number, arg)


def show(name, function, *args):
    try:
        result = function(*args)
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(name, "=", result.hex() if isinstance(result, bytes) else result, flush=True)


def read(name, offset, count):
    show(f"{name} {offset & 0xff:#x}+{count}", os.pread, device, count, offset)


def write(name, offset, data):
    show(f"{name} {offset & 0xff:#x}={data.hex()}", os.pwrite, device, data, offset)


bdf = sys.argv[1]
container = os.open("/dev/vfio/vfio", os.O_RDWR)
link = os.readlink(f"/sys/bus/pci/devices/{bdf}/iommu_group")
group = os.open("/dev/vfio/" + os.path.basename(link), os.O_RDWR)
vfio(group, 4, struct.pack("i", container))
vfio(container, 2, 3)
device = vfio(group, 6, bytearray(bdf.encode() + b"\0"))

write("off", CONFIG + COMMAND, struct.pack("<H", MEMORY))
read("off", BAR0, 4)
write("on", CONFIG + COMMAND, struct.pack("<H", IO | MEMORY))
read("on", CONFIG + COMMAND, 2)
for offset in range(0, 16, 4):
    read("common", BAR0 + offset, 4)
read("common", BAR0 + 18, 1)
read("device", BAR0 + 20, 4)
write("common", BAR0 + 8, b"\xa1\xb2\xc3\xd4")
write("device", BAR0 + 25, b"\xe5")
read("common", BAR0 + 6, 8)
read("device", BAR0 + 20, 8)
write("notify", BAR0 + 16, b"\0\0")
write("notify", BAR0 + 16, b"\0\0\0\0")
read("notify", BAR0 + 16, 2)

# The device registers move
vfio(device, 10, struct.pack("IIIIIi", 24, DATA_EVENTFD | TRIGGER, MSIX, 0, 1, os.eventfd(0)))
read("msix", BAR0 + 24, 8)
read("clipped", BAR0 + 24, 64)
read("msix", BAR0 + 32, 1)

write("bar", CONFIG + 0x10, b"\xff\xff\xff\xff")
read("bar", CONFIG + 0x10, 4)
write("bar", CONFIG + 0x11, b"\x12")
read("bar", CONFIG + 0x10, 4)
read("bar", CONFIG + 0x12, 2)
