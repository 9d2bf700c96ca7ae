#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""while-open.py BDF [COMMAND...]: in the guest, open a vfio-pci device by its group
and type1, print the result, and run a command while the device is open."""

import errno
import fcntl
import os
import struct
import subprocess
import sys


def vfio(fd, number, arg):
    return fcntl.ioctl(fd, ord(";") << 8 | 100 + number, arg)


bdf = sys.argv[1]
container = os.open("/dev/vfio/vfio", os.O_RDWR)
link = os.readlink(f"/sys/bus/pci/devices/{bdf}/iommu_group")
group = os.open("/dev/vfio/" + os.path.basename(link), os.O_RDWR)
vfio(group, 4, struct.pack("i", container))
vfio(container, 2, 3)
try:
    # The device stays open until this process exits
    vfio(group, 6, bdf.encode() + b"\0")
except OSError as error:
    print("open:", errno.errorcode[error.errno])
    sys.exit(1)
print("open: ok", flush=True)
sys.exit(subprocess.call(sys.argv[2:]) if sys.argv[2:] else 0)
