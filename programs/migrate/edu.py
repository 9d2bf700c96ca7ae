#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""
edu.py PAYLOAD FOLDER QEMU type1|iommufd CASE...: in the guest, let QEMU migrate
a nested guest that runs PAYLOAD (see guest_dma.c) between the first two devices of
VM_DEVICES. Each CASE continues with the nested guest of the previous case, and passes
only if the guest and its device keep working. Print a result and times for each case.
Write the output of the guests and of QEMU to FOLDER.

The version of QEMU determines the migration protocol. If the test driver
vfio_pci_testdrv_migration is loaded, it migrates the devices with a large synthetic
state; PAYLOAD must then be guest_memory.c.
"""

import os
import re
import sys

import qemu
from common import Failure, expect, wait_for
from stream import RECORD_HEAD, Proxy

MODULE = "/sys/module/vfio_pci_testdrv_migration/parameters/"


class Setup(qemu.Setup):
    """A nested guest with an edu device"""

    def __init__(self, payload, program, iommu):
        devices = [device.split("=")[0] for device in os.environ["VM_DEVICES"].split()[:2]]
        super().__init__(program, iommu, devices,
                         ["-no-reboot", "-m", "32M", "-kernel", payload,
                          "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        self.test_driver = os.path.exists(MODULE)
        # QEMU 8 and later log DMA, if the kernel has dirty bitmaps for it
        self.dma_logging = self.version >= (8, 0) and os.path.exists("/dev/iommu")
        self.seed = 0

    def rounds(self):
        """Return the number of rounds of the guest; check that none is wrong or missing"""
        text = self.earlier_output + self.guest.guest_output()
        if "wrong" in text:
            raise Failure("the guest found an error: " + text[text.index("wrong"):].replace("\n", ", "))
        lines = text.split("\n")[:-1]
        if lines and not re.fullmatch(r"bar 0x\w{5}000", lines[0]) or \
           lines[2:] != ["round 0x%08x" % n for n in range(len(lines) - 2)]:
            raise Failure("the guest's rounds are not consecutive: " + " ".join(lines[-4:]))
        return len(lines[2:])

    def migrate(self, path, proxy, bandwidth=1 << 40, stop=True):
        """
        Start a migration. A low bandwidth makes QEMU send memory for a few rounds of
        the guest before it stops the guest. Without `stop`, it never stops the guest.
        """
        if self.test_driver:
            bandwidth *= 64
        # QEMU 7.2 sends pre-copy data of devices only when no memory is left to send
        if self.version < (8, 0) and stop:
            bandwidth = 1 << 40
        self.limit(bandwidth, 1)
        saves = self.early_saves()
        paused = self.guest.status() == "paused"
        self.guest.command("migrate", uri="unix:" + path)
        if not stop:
            return
        if not paused:
            wait_for("pre-copy data of the device", lambda:
                     proxy.done.is_set() or "precopy" in proxy.parts or
                     self.early_saves() > saves or
                     self.progress()["status"] not in ("setup", "active"))
        # Without DMA logging, all memory counts as dirty, so the migration converges only
        # with a long downtime. On a slow machine, a large state needs one, too.
        self.limit(bandwidth, 1000 if self.dma_logging and not self.test_driver else 2000000)

    def early_saves(self):
        """Return the number of calls of precopy->save() of the test driver"""
        return self.calls("precopy_save") if self.test_driver else 0

    @staticmethod
    def calls(operation):
        """Return the number of calls of an operation of the test driver"""
        with open(MODULE + "calls") as file:
            return int(re.search(r"^%s (\d+)" % operation, file.read(), re.MULTILINE)[1])

    def set_seed(self):
        """Give the device of the guest a new synthetic state"""
        self.seed += 0x123456789
        with open(MODULE + "seed", "w") as file:
            file.write("%s %d" % (self.guest.device, self.seed))

    def check_seed(self):
        """Check that the current device of the guest has the synthetic state and runs"""
        with open(MODULE + "devices") as file:
            expect("the device", next(line for line in file if line.startswith(self.guest.device)).split()[:3],
                   [self.guest.device, "running", "%#x" % self.seed])
        with open(MODULE + "violations") as file:
            expect("the number of violations", file.read().strip(), "0")


def computing(proxy):
    """Return whether edu was computing: `status` in the state of vfio_pci_edu_migration"""
    return proxy.head[RECORD_HEAD + 8] & 1


def move(setup, path, paused=False, ack=False):
    """Migrate the guest to the other device"""
    destination = setup.start_destination(path + ".to", ack)
    proxy = Proxy(path, path + ".to", None if setup.test_driver else "watch", "data")
    if setup.test_driver:
        setup.set_seed()
        before = {operation: setup.calls(operation) for operation in ("log_start", "log_sync")}
    setup.migrate(path, proxy, 1 << 19)
    info = setup.wait_completed(destination, paused)
    setup.switch_to(destination)
    # Debian's QEMU 7.2 does not report the size of device data
    sent = info.get("vfio", {}).get("transferred", proxy.sent or "unknown")
    note = "%d ms, downtime %d ms; %d bytes, %s of the device; " % (
        info["total-time"], info["downtime"], info["ram"]["transferred"], sent)
    if setup.test_driver:
        if not paused:
            setup.check_seed()
        for operation, count in before.items():
            if setup.dma_logging and setup.calls(operation) == count:
                raise Failure("QEMU did not use %s of the driver" % operation)
        if setup.version >= (8, 0):
            with open(MODULE + "size") as size, open(MODULE + "precopy") as precopy:
                # Only with switchover-ack, QEMU waits for all pre-copy data
                least = int(size.read()) + (int(precopy.read()) if ack else 1)
            if sent < least:
                raise Failure("QEMU sent %d bytes of the device, not %d or more" % (sent, least))
        return note + "synthetic state"
    expect("the sequence of device data", proxy.parts, ["header", "precopy", "data", "end"],
           # QEMU may skip pre-copy if the guest is paused, or without switchover-ack
           *[["header", "data", "end"]] * (paused or not ack and setup.version >= (8, 0)))
    return note + ("computing" if computing(proxy) else "not computing")


def move_ack(setup, path):
    """Migrate with switchover-ack: stop the guest when the destination has all pre-copy data"""
    return move(setup, path, ack=True)


def move_paused(setup, path):
    """Migrate a paused guest, and resume it on the destination"""
    setup.guest.command("stop")
    done = setup.rounds()
    note = move(setup, path, True)
    expect("the number of rounds", setup.rounds(), done)
    setup.guest.command("cont")
    return note


def there_and_back(setup, path):
    """
    Migrate back and forth, 20 times or more, until the device was computing in at
    least one migration and idle in another
    """
    notes = []
    while len(notes) < 20 or len({note.split("; ")[-1] for note in notes}) < 2:
        if len(notes) == 60:
            raise Failure("in 60 migrations, the device was always " + notes[0].split("; ")[-1])
        notes.append(move(setup, "%s-%d" % (path, len(notes))))
        setup.run_rounds(2)
    return "".join("\n#   " + note for note in notes)


CASES = {
    "move": move,
    "move-paused": move_paused,
    "move-ack": move_ack,
    "there-and-back": there_and_back,
    "cancel": qemu.cancel,
    "cancel-data": qemu.cancel_data,
    "cut-header": lambda *args: qemu.refused(*args, "cut", "header"),
    "cut-precopy": lambda *args: qemu.refused(*args, "cut", "precopy"),
    "cut-data": lambda *args: qemu.refused(*args, "cut", "data"),
    "cut-end": lambda *args: qemu.refused(*args, "cut", "end"),
    "flip-header": lambda *args: qemu.refused(*args, "flip", "header", "Bad message"),
    "flip-precopy": lambda *args: qemu.refused(*args, "flip", "precopy", "Bad message"),
    "flip-data": lambda *args: qemu.refused(*args, "flip", "data", "Bad message"),
    "flip-end": lambda *args: qemu.refused(*args, "flip", "end", "Bad message"),
    "revision": lambda *args: qemu.refused(*args, "forge", "precopy", "Invalid argument"),
    "id-mismatch": lambda *args: qemu.refused(*args, "id-mismatch", "header", "Invalid argument"),
    "kill-destination": qemu.kill_destination,
    "kill-source": qemu.kill_source,
}


def main(payload, folder, program, iommu, *cases):
    return qemu.run_cases(lambda: Setup(payload, program, iommu), cases, CASES, folder)


sys.exit(main(*sys.argv[1:]))
