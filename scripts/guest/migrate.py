#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
migrate.py PAYLOAD FOLDER QEMU type1|iommufd CASE...: in the guest, let QEMU
migrate a guest of its own, which runs PAYLOAD (see guest_dma.c), between the first
two devices of VM_DEVICES. Each CASE is what befalls the migration, and is tried
on the guest that the one before has left, so that the guest has to run on, its
device at work, after each. Prints a line for each thing that is as it should be,
or not, and how long it took; leaves in FOLDER what the guests and QEMU print.

QEMU is a program whose version says by which protocol devices are migrated. If
the module vfio_pci_torture_migration is there, it migrates them, with a state that
is made up and large; PAYLOAD is guest_memory.c then.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

# What the data of a device is made of: Documentation/driver-api/vfio-pci-migration.rst
MAGIC = b"VFIO-PCI"
HEADER = 80
HEADER_DEVICE = 18
PARTS = {1: "precopy", 2: "data", 3: "end"}
RECORD = re.compile(rb"(?=([\1-\3])\0{3}(..[\0-\3]\0)\0{4}(.{4}))", re.DOTALL)
RECORD_HEAD = 16

MODULE = "/sys/module/vfio_pci_torture_migration/parameters/"

DEADLINE = 600          # seconds; for firmware, or for a few rounds


class Failure(Exception):
    """What was expected did not happen"""


def crc32c_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
        yield value


CRC32C = tuple(crc32c_table())


def crc32c(crc, data):
    """As the kernel's"""
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xff]
    return crc


class Parts:
    """
    Tells in a stream of QEMU's the parts that the data of a device has: its
    "header", and the records of "precopy", "data" and "end". QEMU has other things
    between them, but their checksums tell which they are.
    """

    def __init__(self):
        self.held = b""
        # The checksum until here, and until the part before
        self.crc = None
        self.before = None
        self.over = False

    def feed(self, data):
        """
        What has come whole: pairs of a part, or None, and its bytes. What may be
        the begin of a part waits for more.
        """
        self.held += data
        while found := self.find():
            self.before = self.crc
            start, end, part, self.crc = found
            if start:
                yield None, self.held[:start]
            yield part, self.held[start:end]
            self.held = self.held[end:]
            # Nobody would send what the last bytes may wait for
            self.over = part == "end"
        keep = self.unknown()
        if keep < len(self.held):
            yield None, self.held[:len(self.held) - keep]
            self.held = self.held[len(self.held) - keep:]

    def find(self):
        """The first part that is whole"""
        self.maybe = None
        if self.over:
            return None
        if self.crc is None:
            start = self.held.find(MAGIC)
            if start < 0:
                return None
            end = start + HEADER
            self.maybe = start
            if len(self.held) < end:
                return None
            return start, end, "header", int.from_bytes(self.held[end - 4:end], "little")
        for record in RECORD.finditer(self.held):
            start = record.start()
            payload = start + RECORD_HEAD
            end = payload + int.from_bytes(record[2], "little")
            if end > len(self.held):
                self.maybe = start if self.maybe is None else self.maybe
                continue
            crc = crc32c(crc32c(self.crc, self.held[start:payload - 4]), self.held[payload:end])
            if crc == int.from_bytes(record[3], "little"):
                return start, end, PARTS[record[1][0]], crc
        return None

    def unknown(self):
        """How many of the last bytes wait"""
        if self.over:
            return 0
        if self.maybe is not None:
            return len(self.held) - self.maybe
        if self.crc is not None:
            return min(RECORD_HEAD - 1, len(self.held))
        keep = len(MAGIC) - 1
        while not self.held.endswith(MAGIC[:keep]):
            keep -= 1
        return keep


def wait_for(what, condition, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure("no %s after %d s" % (what, seconds))


class Proxy:
    """
    Is between two QEMUs: what one sends to `path` goes to `to`. It does something
    in the middle of a part of the data of a device (see Parts): "cut" the
    connection, "flip" a bit, or "stall" until it is closed; or it says that it is
    of "other" devices; or has it "forge" what is in a record, with a checksum that
    is right; or does nothing but "see" it. Then it is `done`, and `seen`
    is the begin of that part; `parts` are the names of all that there were, of
    `sent` bytes.
    """

    def __init__(self, path, to, what=None, part="header"):
        self.to = to
        self.what = what
        self.part = part
        self.done = threading.Event()
        self.parts = []
        self.sent = 0
        self.ends = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            source, _ = self.server.accept()
            destination = socket.socket(socket.AF_UNIX)
            self.ends = [source, destination]
            destination.connect(self.to)
        except OSError:
            return self.close()
        threading.Thread(target=self.back, args=(source, destination), daemon=True).start()
        try:
            self.forward(source, destination)
        except OSError:
            pass
        self.close()

    def back(self, source, destination):
        try:
            while data := destination.recv(65536):
                source.sendall(data)
        except OSError:
            pass
        self.close()

    def forward(self, source, destination):
        parts = Parts()
        while data := source.recv(1 << 20):
            if not self.what:
                destination.sendall(data)
                continue
            for part, piece in parts.feed(data):
                if part:
                    self.parts.append(part)
                    self.sent += len(piece)
                if self.what and part == self.part and not self.done.is_set():
                    piece = self.act(bytearray(piece), parts.before, source, destination)
                    self.done.set()
                destination.sendall(piece)
        destination.sendall(parts.held)

    def act(self, piece, crc, source, destination):
        self.seen = bytes(piece[:256])
        middle = HEADER // 2 if self.part == "header" else RECORD_HEAD + 4
        if self.what == "flip":
            piece[middle] ^= 1
        elif self.what == "other":
            piece[HEADER_DEVICE] ^= 1
            piece[-4:] = crc32c(0xffffffff, piece[:-4]).to_bytes(4, "little")
        elif self.what == "forge":
            piece[RECORD_HEAD] ^= 1
            crc = crc32c(crc32c(crc, piece[:RECORD_HEAD - 4]), piece[RECORD_HEAD:])
            piece[RECORD_HEAD - 4:RECORD_HEAD] = crc.to_bytes(4, "little")
        elif self.what in ("cut", "stall"):
            destination.sendall(piece[:middle])
            self.done.set()
            # While it sends to us, QEMU does nothing else
            while self.what == "stall" and source.recv(1 << 20):
                pass
            raise OSError
        return bytes(piece)

    def close(self):
        self.server.close()
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Qemu:
    """A QEMU with a device; `incoming` is where it waits for a guest"""
    all = []

    def __init__(self, setup, device, incoming=None):
        Qemu.all.append(self)
        self.name = "%s/%02d-%s" % (setup.work, len(Qemu.all), "to" if incoming else "from")
        self.device = device
        monitor = self.name + ".monitor"
        vfio = "vfio-pci,id=edu,host=%s,%s" % (device, setup.option)
        args = [setup.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "pc", "-accel", "tcg", "-m", "32M", "-kernel", setup.payload,
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-serial", "file:%s.serial" % self.name,
                "-chardev", "socket,id=monitor,server=on,wait=off,path=%s" % monitor,
                "-mon", "chardev=monitor,mode=control"]
        if setup.iommu == "iommufd":
            args += ["-object", "iommufd,id=iommufd0"]
            vfio += ",iommufd=iommufd0"
        args += ["-device", vfio]
        if incoming:
            args += ["-incoming", "unix:" + incoming]
        self.monitor = None
        self.errors = open(self.name + ".errors", "wb")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=self.errors,
                                        stderr=self.errors)
        self.monitor = wait_for("monitor of QEMU", lambda: self.connect(monitor)).makefile("rwb")
        self.receive()
        self.command("qmp_capabilities")
        self.capability("return-path", True)
        if incoming:
            wait_for("socket of QEMU", lambda: self.ended() or os.path.exists(incoming))

    def connect(self, path):
        if self.ended():
            raise Failure("QEMU ended at once: " + self.said())
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        try:
            connection.connect(path)
        except OSError:
            return None
        return connection

    def receive(self):
        while True:
            try:
                line = self.monitor.readline()
            except OSError:
                line = b""
            if not line:
                raise Failure("QEMU is gone: " + self.said())
            message = json.loads(line)
            if "event" not in message:
                return message

    def command(self, name, **arguments):
        message = {"execute": name, "arguments": arguments}
        try:
            self.monitor.write(json.dumps(message).encode())
            self.monitor.flush()
        except OSError:
            pass
        message = self.receive()
        if "return" not in message:
            raise Failure("%s: %s" % (name, message["error"]["desc"]))
        return message["return"]

    def said(self):
        """The last words of QEMU, and what its guest has found wrong"""
        with open(self.name + ".errors", errors="replace") as file:
            lines = file.read().splitlines()[-3:]
        lines += [line for line in self.printed().splitlines() if "wrong" in line]
        return " | ".join(lines)

    def printed(self):
        try:
            with open(self.name + ".serial") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def ended(self):
        return self.process.poll() is not None

    def kill(self):
        self.process.kill()
        self.process.wait()
        try:
            if self.monitor:
                self.monitor.close()
        except OSError:
            pass

    def capability(self, name, state):
        """Where there is none of that name it is off"""
        known = self.command("query-migrate-capabilities")
        if state or any(capability["capability"] == name for capability in known):
            self.command("migrate-set-capabilities",
                         capabilities=[{"capability": name, "state": state}])

    def status(self):
        return self.command("query-status")["status"]


class Setup:
    """The guest, wherever it is"""

    def __init__(self, payload, qemu, iommu):
        self.payload = payload
        self.qemu = qemu
        self.iommu = iommu
        version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
        self.version = tuple(map(int, re.search(r"version (\d+)\.(\d+)", version).groups()))
        self.option = "enable-migration=on"
        if self.version < (8, 0):
            self.option = "x-enable-migration=on"
        self.devices = [device.split("=")[0] for device in os.environ["VM_DEVICES"].split()[:2]]
        self.guest = None
        self.before = ""
        self.large = os.path.exists(MODULE)
        # Whether it asks what a device has written, for which the kernel must have bitmaps
        self.logs = self.version >= (8, 0) and os.path.exists("/dev/iommu")
        self.seed = 0
        # Files that are read while they are written are no good on 9p
        self.work = tempfile.mkdtemp(dir="/run")

    def boot(self):
        """A new guest, with the first device"""
        self.before = ""
        self.guest = Qemu(self, self.devices[0])

    def other(self, path, ack=False):
        """A destination, with the device that the guest has not"""
        destination = Qemu(self, self.devices[self.guest.device == self.devices[0]], path)
        for qemu in self.guest, destination:
            qemu.capability("switchover-ack", ack)
        return destination

    def rounds(self):
        """All rounds of the guest; fails if they are not as they should be"""
        text = self.before + self.guest.printed()
        if "wrong" in text:
            raise Failure("the guest says: " + text[text.index("wrong"):].replace("\n", ", "))
        lines = text.split("\n")[:-1]
        if lines and not re.fullmatch(r"bar 0x\w{5}000", lines[0]) or \
           lines[2:] != ["round 0x%08x" % n for n in range(len(lines) - 2)]:
            raise Failure("the guest has not printed one round after the other: " + " ".join(lines[-4:]))
        return len(lines[2:])

    def run(self, more):
        """Let the guest do so many rounds more, and a part of one"""
        until = self.rounds() + more
        wait_for("further round of the guest",
                 lambda: self.guest.ended() or self.rounds() >= until)
        if self.guest.ended():
            self.rounds()
            raise Failure("QEMU has ended: " + self.guest.said())

    def migrate(self, path, proxy, bandwidth=1 << 40, stop=True):
        """
        With little bandwidth, memory is sent for a few rounds before the guest
        stops, which it does only if it is to "stop".
        """
        if self.large:
            bandwidth *= 64
        # QEMU 7.2 has data of devices sent early only if there is nothing else to send
        if self.version < (8, 0) and stop:
            bandwidth = 1 << 40
        self.limit(bandwidth, 1)
        saves = self.early_saves()
        paused = self.guest.status() == "paused"
        self.guest.command("migrate", uri="unix:" + path)
        if not stop:
            return
        if not paused:
            wait_for("data of a device that runs", lambda:
                     proxy.done.is_set() or "precopy" in proxy.parts or
                     self.early_saves() > saves or
                     self.progress()["status"] not in ("setup", "active"))
        # Under QEMU 7.2 all of memory is always dirty, as it is under a kernel without
        # iommufd, which has no bitmaps to log DMA to; so this would never end if the
        # guest were not allowed to be stopped for long. Nor might it with a large state,
        # if the machine is slow.
        self.limit(bandwidth, 1000 if self.logs and not self.large else 2000000)

    def limit(self, bandwidth, downtime):
        self.guest.command("migrate-set-parameters", **{"max-bandwidth": bandwidth,
                                                        "downtime-limit": downtime})

    def early_saves(self):
        """How often a driver that counts that was asked for data of a device that runs"""
        return self.calls("precopy_save") if self.large else 0

    @staticmethod
    def calls(operation):
        """How often a driver that counts that was asked for something"""
        with open(MODULE + "calls") as file:
            return int(re.search(r"^%s (\d+)" % operation, file.read(), re.MULTILINE)[1])

    def give_seed(self):
        """A state that no device has had"""
        self.seed += 0x123456789
        with open(MODULE + "seed", "w") as file:
            file.write("%s %d" % (self.guest.device, self.seed))

    def expect_seed(self):
        """The state is that of the device that the guest has now, which runs"""
        with open(MODULE + "devices") as file:
            expect("the device", next(line for line in file if line.startswith(self.guest.device)).split()[:3],
                   [self.guest.device, "running", "%#x" % self.seed])
        with open(MODULE + "violations") as file:
            expect("the number of violations", file.read().strip(), "0")

    def progress(self):
        return self.guest.command("query-migrate")

    def end(self):
        """What the migration has come to"""
        return wait_for("end of the migration", lambda:
                        (info := self.progress())["status"] in ("completed", "failed", "cancelled")
                        and info)

    def moved(self, destination):
        """The guest is there now"""
        self.before += self.guest.printed()
        self.guest.kill()
        self.guest = destination


def expect(what, found, *expected):
    if found not in expected:
        raise Failure("%s is %s, not %s" % (what, found, " or ".join(map(str, expected))))


def computing(proxy):
    """Whether edu was computing: `status` in the state of vfio_pci_edu_migration"""
    return proxy.seen[RECORD_HEAD + 8] & 1


def move(setup, path, paused=False, ack=False):
    """It reaches the other device, a few rounds after it began"""
    destination = setup.other(path + ".to", ack)
    proxy = Proxy(path, path + ".to", None if setup.large else "see", "data")
    if setup.large:
        setup.give_seed()
        before = {operation: setup.calls(operation) for operation in ("log_start", "log_sync")}
    setup.migrate(path, proxy, 1 << 19)
    info = setup.end()
    if info["status"] != "completed":
        raise Failure("the migration has %s: %s; destination: %s" % (
            info["status"], info.get("error-desc", setup.guest.said()), destination.said()))
    expect("the state of the source", setup.guest.status(), "postmigrate")
    wait_for("guest that came", lambda: destination.status() != "inmigrate")
    expect("the state of the destination", destination.status(), "paused" if paused else "running")
    setup.moved(destination)
    # Debian's QEMU 7.2 does not say that of devices
    sent = info.get("vfio", {}).get("transferred", proxy.sent or "unknown")
    note = "%d ms, of these %d ms stopped; %d bytes, of devices %s; " % (
        info["total-time"], info["downtime"], info["ram"]["transferred"], sent)
    if setup.large:
        if not paused:
            setup.expect_seed()
        for operation, count in before.items():
            if setup.logs and setup.calls(operation) == count:
                raise Failure("the driver was not asked for %s" % operation)
        if setup.version >= (8, 0):
            with open(MODULE + "size") as size, open(MODULE + "precopy") as precopy:
                # All of what comes first is only waited for if the destination is
                least = int(size.read()) + (int(precopy.read()) if ack else 1)
            if sent < least:
                raise Failure("%d bytes of the device were sent, not %d" % (sent, least))
        return note + "made up"
    expect("what was sent of the device", proxy.parts, ["header", "precopy", "data", "end"],
           # If it was stopped before; or just then QEMU had nothing to wait for
           *[["header", "data", "end"]] * (paused or not ack and setup.version >= (8, 0)))
    return note + ("computing" if computing(proxy) else "not computing")


def move_ack(setup, path):
    """It waits for the destination to say that it has what is sent first of the device"""
    return move(setup, path, ack=True)


def move_paused(setup, path):
    """So does one that was stopped before, and goes on when it is told to"""
    setup.guest.command("stop")
    done = setup.rounds()
    note = move(setup, path, True)
    expect("the number of rounds", setup.rounds(), done)
    setup.guest.command("cont")
    return note


def there_and_back(setup, path):
    """Ten times each, or as often as it takes for a factorial to be on its way, and none"""
    notes = []
    while len(notes) < 20 or len({note.split("; ")[-1] for note in notes}) < 2:
        if len(notes) == 60:
            raise Failure("the device was always " + notes[0].split("; ")[-1])
        notes.append(move(setup, "%s-%d" % (path, len(notes))))
        setup.run(2)
    return "".join("\n#   " + note for note in notes)


def refused(setup, path, what, part, error=""):
    """The destination does not take what it gets, and QEMU is told the right error"""
    destination = setup.other(path + ".to")
    proxy = Proxy(path, path + ".to", what, part)
    setup.migrate(path, proxy)
    info = setup.end()
    if not proxy.done.is_set():
        raise Failure("there was no such data of a device")
    expect("the migration", info["status"], "failed")
    wait_for("end of the destination", destination.ended, 20)
    if error not in destination.said():
        raise Failure("there is no '%s' in: %s" % (error, destination.said()))
    destination.kill()


def begin(setup, path):
    """A migration that goes no further than to a part of the data of a device"""
    destination = setup.other(path + ".to")
    proxy = Proxy(path, path + ".to", "stall", "data")
    setup.migrate(path, proxy)
    wait_for("data of a device", proxy.done.is_set)
    return destination, proxy


def give_up(setup, destination, proxy):
    expect("the migration", setup.progress()["status"], "active", "device")
    setup.guest.command("migrate_cancel")
    proxy.close()
    # QEMU 7.2 may notice first that it has shut its socket
    expect("the migration", setup.end()["status"], "cancelled", "failed")
    destination.kill()


def cancel(setup, path):
    """It is given up while memory is sent"""
    destination = setup.other(path + ".to")
    proxy = Proxy(path, path + ".to")
    setup.migrate(path, proxy, 1 << 16, False)
    wait_for("memory", lambda: setup.progress().get("ram", {}).get("transferred"))
    give_up(setup, destination, proxy)


def cancel_data(setup, path):
    """It is given up while the data of the device is sent"""
    give_up(setup, *begin(setup, path))


def kill_destination(setup, path):
    destination, proxy = begin(setup, path)
    destination.kill()
    proxy.close()
    expect("the migration", setup.end()["status"], "failed")


def kill_source(setup, path):
    """Neither device is in the way of a new guest"""
    destination, proxy = begin(setup, path)
    setup.guest.kill()
    proxy.close()
    wait_for("end of the destination", destination.ended, 20)
    destination.kill()
    setup.boot()


CASES = {
    "move": move,
    "move-paused": move_paused,
    "move-ack": move_ack,
    "there-and-back": there_and_back,
    "cancel": cancel,
    "cancel-data": cancel_data,
    "cut-header": lambda *args: refused(*args, "cut", "header"),
    "cut-precopy": lambda *args: refused(*args, "cut", "precopy"),
    "cut-data": lambda *args: refused(*args, "cut", "data"),
    "cut-end": lambda *args: refused(*args, "cut", "end"),
    "flip-header": lambda *args: refused(*args, "flip", "header", "Bad message"),
    "flip-precopy": lambda *args: refused(*args, "flip", "precopy", "Bad message"),
    "flip-data": lambda *args: refused(*args, "flip", "data", "Bad message"),
    "flip-end": lambda *args: refused(*args, "flip", "end", "Bad message"),
    "revision": lambda *args: refused(*args, "forge", "precopy", "Invalid argument"),
    "other": lambda *args: refused(*args, "other", "header", "Invalid argument"),
    "kill-destination": kill_destination,
    "kill-source": kill_source,
}


def main(payload, folder, qemu, iommu, *cases):
    setup = Setup(payload, qemu, iommu)
    case = "boot"
    label = "QEMU %d.%d, %s" % (*setup.version, iommu)
    status = 0

    try:
        setup.boot()
        setup.run(3)
        for number, case in enumerate(cases, 1):
            began = time.monotonic()
            note = CASES[case](setup, "%s/%d" % (setup.work, number))
            setup.run(3)
            print("ok - %s: %s, and the guest runs on" % (label, case))
            print("# %.1f s%s" % (time.monotonic() - began, ": " + note if note else ""), flush=True)
    except Exception as failure:
        print("not ok - %s: %s, and the guest runs on" % (label, case))
        if isinstance(failure, Failure):
            print("#   %s" % failure)
        else:
            print(re.sub("^", "#   ", traceback.format_exc(), flags=re.M))
        status = 1
    for process in Qemu.all:
        process.kill()
    shutil.copytree(setup.work, folder, dirs_exist_ok=True,
                    ignore=lambda path, names: [name for name in names
                                                if not name.endswith((".serial", ".errors"))])
    return status


sys.exit(main(*sys.argv[1:]))
