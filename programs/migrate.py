#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
migrate.py PAYLOAD FOLDER QEMU type1|iommufd CASE...: in the guest, let QEMU migrate
a nested guest that runs PAYLOAD (see guest_dma.c) between the first two devices of
VM_DEVICES. Each CASE continues with the nested guest of the previous case, and passes
only if the guest and its device keep working. Print a result and times for each case.
Write the output of the guests and of QEMU to FOLDER.

The version of QEMU determines the migration protocol. If the test driver
vfio_pci_testdrv_migration is loaded, it migrates the devices with a large synthetic
state; PAYLOAD must then be guest_memory.c.
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

# The format of migration data: Documentation/driver-api/vfio-pci-migration.rst
MAGIC = b"VFIO-PCI"
HEADER = 80
HEADER_DEVICE = 18
PARTS = {1: "precopy", 2: "data", 3: "end"}
RECORD = re.compile(rb"(?=([\1-\3])\0{3}(..[\0-\3]\0)\0{4}(.{4}))", re.DOTALL)
RECORD_HEAD = 16

MODULE = "/sys/module/vfio_pci_testdrv_migration/parameters/"

DEADLINE = 600          # seconds


class Failure(Exception):
    """A check failed"""


def crc32c_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
        yield value


CRC32C = tuple(crc32c_table())


def crc32c(crc, data):
    """The kernel's crc32c()"""
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xff]
    return crc


class StreamParser:
    """
    Find the migration data of a device in QEMU's stream: its "header", and the
    records "precopy", "data" and "end". QEMU's own data surrounds them; a matching
    checksum identifies a record.
    """

    def __init__(self):
        self.pending = b""
        # The checksums up to the last part and up to the part before it
        self.crc = None
        self.previous_crc = None
        self.ended = False

    def feed(self, data):
        """
        Yield pairs of a part (None for QEMU's data) and its bytes. Keep back bytes
        that may be the start of an incomplete part.
        """
        self.pending += data
        while found := self.next_part():
            self.previous_crc = self.crc
            start, end, part, self.crc = found
            if start:
                yield None, self.pending[:start]
            yield part, self.pending[start:end]
            self.pending = self.pending[end:]
            # Nothing follows the last part, so keep no bytes back
            self.ended = part == "end"
        keep = self.incomplete()
        if keep < len(self.pending):
            yield None, self.pending[:len(self.pending) - keep]
            self.pending = self.pending[len(self.pending) - keep:]

    def next_part(self):
        """Return the first complete part: start, end, name, checksum"""
        self.candidate = None
        if self.ended:
            return None
        if self.crc is None:
            start = self.pending.find(MAGIC)
            if start < 0:
                return None
            end = start + HEADER
            self.candidate = start
            if len(self.pending) < end:
                return None
            return start, end, "header", int.from_bytes(self.pending[end - 4:end], "little")
        for record in RECORD.finditer(self.pending):
            start = record.start()
            payload = start + RECORD_HEAD
            end = payload + int.from_bytes(record[2], "little")
            if end > len(self.pending):
                self.candidate = start if self.candidate is None else self.candidate
                continue
            crc = crc32c(crc32c(self.crc, self.pending[start:payload - 4]), self.pending[payload:end])
            if crc == int.from_bytes(record[3], "little"):
                return start, end, PARTS[record[1][0]], crc
        return None

    def incomplete(self):
        """Return the number of bytes at the end that may start a part"""
        if self.ended:
            return 0
        if self.candidate is not None:
            return len(self.pending) - self.candidate
        if self.crc is not None:
            return min(RECORD_HEAD - 1, len(self.pending))
        keep = len(MAGIC) - 1
        while not self.pending.endswith(MAGIC[:keep]):
            keep -= 1
        return keep


def wait_for(what, condition, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failure("timeout: no %s after %d s" % (what, seconds))


class Proxy:
    """
    Forward the stream of a migration from the socket `path` to the socket `to`, and
    do one action in a part of the migration data (see StreamParser):

    watch        nothing
    flip         flip a bit in the middle of the part
    forge        flip a bit of a record and correct the checksum
    id-mismatch  change the device id in the header and correct the checksum
    cut          close the connection in the middle of the part
    stall        stop forwarding in the middle of the part, until close()

    `done` is set after the action; `head` has the first bytes of the part. `parts`
    lists all parts so far, and `sent` is their size.
    """

    def __init__(self, path, to, action=None, part="header"):
        self.to = to
        self.action = action
        self.part = part
        self.done = threading.Event()
        self.parts = []
        self.sent = 0
        self.sockets = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            source, _ = self.server.accept()
            destination = socket.socket(socket.AF_UNIX)
            self.sockets = [source, destination]
            destination.connect(self.to)
        except OSError:
            return self.close()
        threading.Thread(target=self.backward, args=(source, destination), daemon=True).start()
        try:
            self.forward(source, destination)
        except OSError:
            pass
        self.close()

    def backward(self, source, destination):
        try:
            while data := destination.recv(65536):
                source.sendall(data)
        except OSError:
            pass
        self.close()

    def forward(self, source, destination):
        parser = StreamParser()
        while data := source.recv(1 << 20):
            if not self.action:
                destination.sendall(data)
                continue
            for part, piece in parser.feed(data):
                if part:
                    self.parts.append(part)
                    self.sent += len(piece)
                if self.action and part == self.part and not self.done.is_set():
                    piece = self.act(bytearray(piece), parser.previous_crc, source, destination)
                    self.done.set()
                destination.sendall(piece)
        destination.sendall(parser.pending)

    def act(self, piece, crc, source, destination):
        self.head = bytes(piece[:256])
        middle = HEADER // 2 if self.part == "header" else RECORD_HEAD + 4
        if self.action == "flip":
            piece[middle] ^= 1
        elif self.action == "id-mismatch":
            piece[HEADER_DEVICE] ^= 1
            piece[-4:] = crc32c(0xffffffff, piece[:-4]).to_bytes(4, "little")
        elif self.action == "forge":
            piece[RECORD_HEAD] ^= 1
            crc = crc32c(crc32c(crc, piece[:RECORD_HEAD - 4]), piece[RECORD_HEAD:])
            piece[RECORD_HEAD - 4:RECORD_HEAD] = crc.to_bytes(4, "little")
        elif self.action in ("cut", "stall"):
            destination.sendall(piece[:middle])
            self.done.set()
            # Keep reading: QEMU answers its monitor only if it can send
            while self.action == "stall" and source.recv(1 << 20):
                pass
            raise OSError
        return bytes(piece)

    def close(self):
        self.server.close()
        for connection in self.sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Qemu:
    """A QEMU process with a device; with the socket `incoming`, it waits for a migration"""
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
        self.monitor = wait_for("QEMU monitor", lambda: self.connect(monitor)).makefile("rwb")
        self.receive()
        self.command("qmp_capabilities")
        self.capability("return-path", True)
        if incoming:
            wait_for("QEMU migration socket", lambda: self.ended() or os.path.exists(incoming))

    def connect(self, path):
        if self.ended():
            raise Failure("QEMU exited at startup: " + self.diagnostics())
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
                raise Failure("QEMU exited: " + self.diagnostics())
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

    def diagnostics(self):
        """Return the last errors of QEMU and of its guest"""
        with open(self.name + ".errors", errors="replace") as file:
            lines = file.read().splitlines()[-3:]
        lines += [line for line in self.guest_output().splitlines() if "wrong" in line]
        return " | ".join(lines)

    def guest_output(self):
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
        """Set a migration capability; a QEMU that lacks it counts as off"""
        known = self.command("query-migrate-capabilities")
        if state or any(capability["capability"] == name for capability in known):
            self.command("migrate-set-capabilities",
                         capabilities=[{"capability": name, "state": state}])

    def status(self):
        return self.command("query-status")["status"]


class Setup:
    """The nested guest, and the QEMU process that runs it now"""

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
        self.earlier_output = ""
        self.test_driver = os.path.exists(MODULE)
        # QEMU 8 and later log DMA, if the kernel has dirty bitmaps for it
        self.dma_logging = self.version >= (8, 0) and os.path.exists("/dev/iommu")
        self.seed = 0
        # 9p is unreliable for files that are read while they are written
        self.work = tempfile.mkdtemp(dir="/run")

    def boot(self):
        """Start a new guest with the first device"""
        self.earlier_output = ""
        self.guest = Qemu(self, self.devices[0])

    def start_destination(self, path, ack=False):
        """Start a destination with the other device"""
        destination = Qemu(self, self.devices[self.guest.device == self.devices[0]], path)
        for qemu in self.guest, destination:
            qemu.capability("switchover-ack", ack)
        return destination

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

    def run_rounds(self, count):
        """Wait for more rounds of the guest"""
        until = self.rounds() + count
        wait_for("new round of the guest",
                 lambda: self.guest.ended() or self.rounds() >= until)
        if self.guest.ended():
            self.rounds()
            raise Failure("QEMU exited: " + self.guest.diagnostics())

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

    def limit(self, bandwidth, downtime):
        self.guest.command("migrate-set-parameters", **{"max-bandwidth": bandwidth,
                                                        "downtime-limit": downtime})

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

    def progress(self):
        return self.guest.command("query-migrate")

    def wait_end(self):
        """Wait for the end of the migration and return its information"""
        return wait_for("end of the migration", lambda:
                        (info := self.progress())["status"] in ("completed", "failed", "cancelled")
                        and info)

    def switch_to(self, destination):
        """Make the destination the current guest, and kill the source"""
        self.earlier_output += self.guest.guest_output()
        self.guest.kill()
        self.guest = destination


def expect(what, found, *expected):
    if found not in expected:
        raise Failure("%s is %s, not %s" % (what, found, " or ".join(map(str, expected))))


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
    info = setup.wait_end()
    if info["status"] != "completed":
        raise Failure("the status of the migration is %s: %s; destination: %s" % (
            info["status"], info.get("error-desc", setup.guest.diagnostics()), destination.diagnostics()))
    expect("the state of the source", setup.guest.status(), "postmigrate")
    wait_for("migrated guest", lambda: destination.status() != "inmigrate")
    expect("the state of the destination", destination.status(), "paused" if paused else "running")
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


def refused(setup, path, action, part, error=""):
    """The destination refuses manipulated data, and QEMU reports the expected error"""
    destination = setup.start_destination(path + ".to")
    proxy = Proxy(path, path + ".to", action, part)
    setup.migrate(path, proxy)
    info = setup.wait_end()
    if not proxy.done.is_set():
        raise Failure("QEMU sent no %s of the device" % part)
    expect("the migration", info["status"], "failed")
    wait_for("exit of the destination", destination.ended, 20)
    if error not in destination.diagnostics():
        raise Failure("QEMU did not report '%s': %s" % (error, destination.diagnostics()))
    destination.kill()


def stall(setup, path):
    """Start a migration that stalls in the device data"""
    destination = setup.start_destination(path + ".to")
    proxy = Proxy(path, path + ".to", "stall", "data")
    setup.migrate(path, proxy)
    wait_for("device data", proxy.done.is_set)
    return destination, proxy


def cancel_migration(setup, destination, proxy):
    expect("the migration", setup.progress()["status"], "active", "device")
    setup.guest.command("migrate_cancel")
    proxy.close()
    # QEMU 7.2 may report the socket that it closed itself as a failure
    expect("the migration", setup.wait_end()["status"], "cancelled", "failed")
    destination.kill()


def cancel(setup, path):
    """Cancel while QEMU sends memory"""
    destination = setup.start_destination(path + ".to")
    proxy = Proxy(path, path + ".to")
    setup.migrate(path, proxy, 1 << 16, False)
    wait_for("memory", lambda: setup.progress().get("ram", {}).get("transferred"))
    cancel_migration(setup, destination, proxy)


def cancel_data(setup, path):
    """Cancel while QEMU sends device data"""
    cancel_migration(setup, *stall(setup, path))


def kill_destination(setup, path):
    """Kill the destination while QEMU sends device data"""
    destination, proxy = stall(setup, path)
    destination.kill()
    proxy.close()
    expect("the migration", setup.wait_end()["status"], "failed")


def kill_source(setup, path):
    """Kill the source while it sends device data; a new guest works with the same device"""
    destination, proxy = stall(setup, path)
    setup.guest.kill()
    proxy.close()
    wait_for("exit of the destination", destination.ended, 20)
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
    "id-mismatch": lambda *args: refused(*args, "id-mismatch", "header", "Invalid argument"),
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
        setup.run_rounds(3)
        for number, case in enumerate(cases, 1):
            began = time.monotonic()
            note = CASES[case](setup, "%s/%d" % (setup.work, number))
            setup.run_rounds(3)
            print("ok - %s, %s: the guest keeps running" % (label, case))
            print("# %.1f s%s" % (time.monotonic() - began, ": " + note if note else ""), flush=True)
    except Exception as failure:
        print("not ok - %s, %s: the guest keeps running" % (label, case))
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
