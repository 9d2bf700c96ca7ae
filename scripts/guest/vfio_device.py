# SPDX-License-Identifier: GPL-2.0-only
"""In the guest: open a PCI device by type1, and access its regions."""

import fcntl
import os
import struct

CONFIG = 7


class Device:
    def __init__(self, bdf):
        self.container = os.open("/dev/vfio/vfio", os.O_RDWR)
        link = os.readlink(f"/sys/bus/pci/devices/{bdf}/iommu_group")
        self.group = os.open("/dev/vfio/" + os.path.basename(link), os.O_RDWR)
        self.ioctl(4, struct.pack("i", self.container), self.group)
        self.ioctl(2, 3, self.container)
        self.fd = self.ioctl(6, bytearray(bdf.encode() + b"\0"), self.group)

    def ioctl(self, number, arg, fd=None):
        return fcntl.ioctl(self.fd if fd is None else fd, ord(";") << 8 | 100 + number, arg)

    def read(self, region, pos, count):
        return os.pread(self.fd, count, region << 40 | pos)

    def write(self, region, pos, data):
        return os.pwrite(self.fd, data, region << 40 | pos)

    def close(self):
        for fd in self.fd, self.group, self.container:
            os.close(fd)
