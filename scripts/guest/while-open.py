#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""while-open.py BDF [COMMAND...]: in the guest, open a vfio-pci device by its group
and type1, print the result, and run a command while the device is open."""

import errno
import subprocess
import sys

from vfio_device import Device

try:
    # The device stays open until this process exits
    device = Device(sys.argv[1])
except OSError as error:
    print("open:", errno.errorcode[error.errno])
    sys.exit(1)
print("open: ok", flush=True)
sys.exit(subprocess.call(sys.argv[2:]) if sys.argv[2:] else 0)
