#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
opregions.py FOLDER: write descriptions of graphics devices for vfio_user.py, with
different OpRegions, to FOLDER/NAME.json. Write all OpRegions to FOLDER/opregions; the
VM must load this file at address 0x30000000. Print each name with its expected result:

opens    userspace can open the device
fails    the open fails
"""

import json
import os
import random
import struct
import sys

BASE = 0x30000000
SLICE = 0x10000         # bytes of the file for each device
ASLS = "0xfc"

SIGNATURE = b"IntelGraphicsMem"
SIZE, VERSION, RVDA, RVDS = 0x10, 0x16, 0x3ba, 0x3c2
OPREGION = 0x2000


class OpRegion:
    """The OpRegion that firmware leaves in memory for a device"""

    def __init__(self, name, version, vbt=0, length=0, relative=True, kilobytes=8,
                 signature=SIGNATURE, asls=None, result="opens"):
        self.name, self.result = name, result
        self.asls = asls
        self.header = signature, kilobytes, version
        # Offset of the extended VBT in the slice, and its length
        self.vbt, self.length, self.relative = vbt, length, relative

    def contents(self, base):
        """Return the bytes of the slice at address `base`"""
        data = bytearray(random.Random(self.name).randbytes(SLICE))
        signature, kilobytes, version = self.header
        data[0:16] = signature
        struct.pack_into("<I", data, SIZE, kilobytes)
        struct.pack_into("<H", data, VERSION, version)
        rvda = self.vbt + (0 if self.relative or not self.vbt else base)
        struct.pack_into("<QI", data, RVDA, rvda, self.length)
        return data


REGIONS = (
    OpRegion("vbt20", 0x0200, vbt=0x4000, length=0x1c01, relative=False),
    OpRegion("vbt21", 0x0201, vbt=0x2000, length=0x2400),
    OpRegion("far21", 0x0201, vbt=0x8000, length=0x6003),
    OpRegion("vbt23", 0x0203, vbt=0x3000, length=0x1000),
    OpRegion("plain20", 0x0200),
    OpRegion("plain21", 0x0201),
    # An extended VBT needs both an address and a length
    OpRegion("half20", 0x0200, vbt=0x4000, relative=False),
    OpRegion("half21", 0x0201, length=0x1000),
    # Before version 2.0, these fields have another meaning
    OpRegion("old10", 0x0100, vbt=0x4000, length=0x1000),
    OpRegion("small", 0x0201, vbt=0x2000, length=0x2000, kilobytes=4),
    OpRegion("large", 0x0100, kilobytes=16),
    OpRegion("none", 0x0200, asls=0),
    OpRegion("ones", 0x0200, asls=0xffffffff),
    OpRegion("unsigned", 0x0200, signature=b"IntelGraphicsMeM", result="fails"),
    OpRegion("nothing", 0x0200, kilobytes=0, result="fails"),
    # Invalid sizes: the maximum, 4 GB + 2 KB, a VBT above the end of memory, and an
    # OpRegion that overlaps its VBT
    OpRegion("most", 0x0200, kilobytes=0xffffffff),
    OpRegion("wraps", 0x0201, vbt=0x2000, length=0x1800, kilobytes=0x400002),
    OpRegion("vast", 0x0200, vbt=0x40000000, length=0xbfff0000),
    OpRegion("past", 0x0201, vbt=0x2000, length=0x2000, kilobytes=16),
    # Without the fixes, the first one exposes memory after its VBT, and the second one
    # is an empty region
    OpRegion("leaks", 0x0201, vbt=0x2000, length=0x1c01, kilobytes=16),
    OpRegion("empty", 0x0200, kilobytes=0x400000),
)


def main(folder):
    """Write the descriptions and the OpRegions to a folder"""
    with open(os.path.join(folder, "opregions"), "wb") as file:
        for index, region in enumerate(REGIONS):
            base = BASE + index * SLICE
            file.write(region.contents(base))
            asls = base if region.asls is None else region.asls
            with open(os.path.join(folder, region.name + ".json"), "w", encoding="utf-8") as out:
                json.dump({
                    "like": "/repo/programs/vfio_user/gpu.json",
                    "config": {ASLS: struct.pack("<I", asls).hex()},
                }, out)
            print(region.name, region.result)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: opregions.py FOLDER")
    main(sys.argv[1])
