#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""legacy-io.py BDF: in the guest, open a virtio function by type1, access its BAR for
legacy I/O and the emulated registers in config space, and print the results."""

import errno
import os
import struct
import sys

from vfio_device import CONFIG, Device

COMMAND = 4
IO, MEMORY = 1, 2
BAR0 = 0
MSIX = 2
DATA_EVENTFD, TRIGGER = 4, 32


def show(name, function, *args):
    try:
        result = function(*args)
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(name, "=", result.hex() if isinstance(result, bytes) else result, flush=True)


def read(name, region, offset, count):
    show(f"{name} {offset:#x}+{count}", device.read, region, offset, count)


def write(name, region, offset, data):
    show(f"{name} {offset:#x}={data.hex()}", device.write, region, offset, data)


device = Device(sys.argv[1])

write("off", CONFIG, COMMAND, struct.pack("<H", MEMORY))
read("off", BAR0, 0, 4)
write("on", CONFIG, COMMAND, struct.pack("<H", IO | MEMORY))
read("on", CONFIG, COMMAND, 2)
for offset in range(0, 16, 4):
    read("common", BAR0, offset, 4)
read("common", BAR0, 18, 1)
read("device", BAR0, 20, 4)
write("common", BAR0, 8, b"\xa1\xb2\xc3\xd4")
write("device", BAR0, 25, b"\xe5")
read("common", BAR0, 6, 8)
read("device", BAR0, 20, 8)
write("notify", BAR0, 16, b"\0\0")
write("notify", BAR0, 16, b"\0\0\0\0")
read("notify", BAR0, 16, 2)

# The device registers move
device.ioctl(10, struct.pack("IIIIIi", 24, DATA_EVENTFD | TRIGGER, MSIX, 0, 1, os.eventfd(0)))
read("msix", BAR0, 24, 8)
read("clipped", BAR0, 24, 64)
read("msix", BAR0, 32, 1)

write("bar", CONFIG, 0x10, b"\xff\xff\xff\xff")
read("bar", CONFIG, 0x10, 4)
write("bar", CONFIG, 0x11, b"\x12")
read("bar", CONFIG, 0x10, 4)
read("bar", CONFIG, 0x12, 2)
