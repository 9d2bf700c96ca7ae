#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""registers.py BDF [REGION:OFFSET:WIDTH[=VALUE] | caps | regions]...: in the guest, open a device
by type1, access registers, and print a line for each. REGION is an index, or "config". caps
prints the ids of the capabilities in config space, regions the region table in debugfs."""

import errno
import sys

from vfio_device import CONFIG, Device


def capabilities(device):
    pos = device.read(CONFIG, 0x34, 1)[0]
    while pos:
        cap, following = device.read(CONFIG, pos, 2)
        yield f"{cap:02x}"
        pos = following
    pos = 0x100
    while pos:
        header = int.from_bytes(device.read(CONFIG, pos, 4), "little")
        if header & 0xffff:
            yield f"ext-{header & 0xffff:02x}"
        pos = header >> 20


def access(device, what):
    place, _, value = what.partition("=")
    region, offset, width = place.split(":")
    region = CONFIG if region == "config" else int(region, 0)
    offset, width = int(offset, 0), int(width, 0)
    try:
        if value:
            device.write(region, offset, int(value, 0).to_bytes(width, "little"))
            return "written"
        return f"{int.from_bytes(device.read(region, offset, width), 'little'):#x}"
    except OSError as error:
        return errno.errorcode[error.errno]


device = Device(sys.argv[1])
for what in sys.argv[2:]:
    if what == "caps":
        result = " ".join(capabilities(device))
    elif what == "regions":
        with open(f"/sys/kernel/debug/vfio/{sys.argv[1]}/pci/regions") as file:
            result = "\n" + file.read()
    else:
        result = access(device, what)
    print(what, result, flush=True)
