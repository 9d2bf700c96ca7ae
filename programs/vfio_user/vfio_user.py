#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
vfio_user.py SOCKET=DESCRIPTION... -- COMMAND...: run COMMAND, and serve PCI devices
to QEMU while it runs, over the vfio-user protocol (docs/interop/vfio-user.rst of
QEMU). COMMAND must connect to the UNIX sockets:

    qemu-system-x86_64 -device '{"driver": "vfio-user-pci", "socket":
        {"type": "unix", "path": "SOCKET"}}' ...

The exit status is the status of COMMAND. If a device fails, this program prints
the reason, terminates COMMAND, and exits with status 125.

A DESCRIPTION is a JSON file. The keys vendor, device and class are required. A
number is a JSON number or a string such as "0x10" or "64K". BYTES is a string of
hexadecimal digits, with or without white space.

    vendor, device, class    the ids, and the class as 24 bits
    subsystem_vendor, subsystem_device, revision
    config_size     256 or 4096
    config          {OFFSET: BYTES}: initial bytes of config space; the byte at 0x34
                    is the capabilities pointer
    writable        {OFFSET: BYTES}: mask of the writable bits of config space, in
                    addition to the command register, BARs and interrupt line
    bars            {NUMBER: {"size": a power of two, "kind": "mem", "mem64" or
                    "io", "prefetch": true, "mmap": true to let QEMU map it,
                    "contents": BYTES at offset 0}}: plain memory
    rom             size of an option ROM, which firmware does not run
    ready           {"region": NUMBER, "registers": {OFFSET: BYTES}, "delay_ms": NUMBER}:
                    registers that have these values at first. A reset clears
                    them, and the device sets them again after the delay
    intx            true if the device has an interrupt pin
    msi             number of vectors in the MSI capability in config
    comment         ignored
    like            base DESCRIPTION, relative to this file; keys of this file override
                    it, and entries of config, writable and bars are merged

Registers behave like memory. To emulate other registers, write a subclass of Device
that overrides read() and write().
"""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

# Commands and message flags
VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO = 1, 2, 3, 4, 5
GET_IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, RESET = 7, 8, 9, 10, 13
TYPE_MASK, TYPE_REPLY, NO_REPLY, ERROR = 0xf, 1, 1 << 4, 1 << 5

HEADER = struct.Struct("<HHIII")
REGION_INFO = struct.Struct("<IIIIQQ")
ACCESS = struct.Struct("<QII")

# From linux/vfio.h
DEVICE_FLAGS = 1 << 0 | 1 << 1          # RESET, PCI
REGION_FLAG_RW, REGION_FLAG_MMAP = 3, 4
ROM_REGION, CONFIG_REGION, NUM_REGIONS = 6, 7, 9
INTX_IRQ, MSI_IRQ, NUM_IRQS = 0, 1, 5
IRQ_EVENTFD, IRQ_INTX = 1 << 0, 7       # and MASKABLE, AUTOMASKED
IRQ_SET_EVENTFD = 1 << 2

MAX_FDS = 8
MAX_MESSAGE = 1 << 21


class Failure(Exception):
    """A one-line reason to stop"""


def number(value):
    """Parse a number of a description"""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(0x[0-9a-fA-F]+|[0-9]+)([KMG]?)", str(value))
    if not match:
        raise Failure(f"{value!r} is not a number")
    return int(match[1], 0) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def describe(path):
    """Read a description, merged with its base descriptions"""
    try:
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}") from error
    if not isinstance(description, dict):
        raise Failure(f"{path}: not a JSON object")
    if "like" not in description:
        return description
    result = describe(os.path.join(os.path.dirname(path), description.pop("like")))
    for key, value in description.items():
        if isinstance(value, dict):
            result[key] = {**result.get(key, {}), **value}
        else:
            result[key] = value
    return result


class Device:
    """A PCI device whose regions are plain memory"""

    KEYS = {"vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision",
            "config_size", "config", "writable", "bars", "rom", "ready", "intx", "msi", "comment"}

    def __init__(self, description):
        for key in description.keys() - self.KEYS:
            raise Failure(f"unknown key {key!r}")
        for key in {"vendor", "device", "class"} - description.keys():
            raise Failure(f"the key {key!r} is missing")
        self.description = description
        self.regions = {}
        self.fds = {}
        self.irqs = {}
        self.num_irqs = {INTX_IRQ: int(bool(description.get("intx"))),
                         MSI_IRQ: number(description.get("msi", 0))}
        self.config = bytearray(number(description.get("config_size", 256)))
        if len(self.config) not in (256, 4096):
            raise Failure(f"config_size must be 256 or 4096, not {len(self.config)}")
        self.writable = bytearray(len(self.config))
        self.regions[CONFIG_REGION] = self.config
        self.fill_config()
        for index, bar in description.get("bars", {}).items():
            self.add_bar(number(index), bar)
        if "rom" in description:
            self.add_rom(number(description["rom"]))
        for offset, data in description.get("config", {}).items():
            self.put(self.config, offset, data)
        for offset, data in description.get("writable", {}).items():
            self.put(self.writable, offset, data)
        self.timer = None
        self.set_ready(True)
        self.initial = bytes(self.config)

    @staticmethod
    def put(region, offset, data):
        """Copy bytes of a description into a region"""
        offset = number(offset)
        try:
            data = bytes.fromhex(data)
        except ValueError as error:
            raise Failure(f"{data!r} is not a string of hexadecimal digits") from error
        if offset + len(data) > len(region):
            raise Failure(f"{len(data)} bytes at {offset:#x} exceed the region size {len(region)}")
        region[offset:offset + len(data)] = data

    def fill_config(self):
        """Fill the header of config space"""
        value = lambda key: number(self.description.get(key, 0))
        struct.pack_into("<HH", self.config, 0, value("vendor"), value("device"))
        struct.pack_into("<I", self.config, 8, value("class") << 8 | value("revision"))
        struct.pack_into("<HH", self.config, 0x2c, value("subsystem_vendor"),
                         value("subsystem_device"))
        self.config[0x3d] = self.num_irqs[INTX_IRQ]
        # I/O and memory decode, bus master, error responses, INTx disable
        struct.pack_into("<H", self.writable, 4, 0x0547)
        self.writable[0x3c] = 0xff
        if 0x34 in (number(offset) for offset in self.description.get("config", {})):
            # PCI_STATUS_CAP_LIST
            self.config[6] = 0x10

    def add_bar(self, index, bar):
        """Add a BAR and its base address register"""
        size = number(bar.get("size", 0))
        kind = bar.get("kind", "mem")
        kinds = ("mem", "mem64", "io") if index < 5 else ("mem", "io")
        if not 0 <= index < 6 or kind not in kinds:
            raise Failure(f"BAR {index} cannot have the kind {kind!r}")
        if size < 16 or size & (size - 1):
            raise Failure(f"the size of BAR {index} must be a power of two, at least 16: {size}")
        if kind == "io" and bar.get("mmap"):
            raise Failure(f"BAR {index} has I/O ports, which QEMU cannot map")
        fd = os.memfd_create(f"bar{index}")
        os.ftruncate(fd, max(size, mmap.PAGESIZE))
        region = memoryview(mmap.mmap(fd, 0))[:size]
        self.regions[index] = region
        if bar.get("mmap"):
            self.fds[index] = fd
        else:
            os.close(fd)
        self.put(region, 0, bar.get("contents", ""))
        register = {"mem": 0, "mem64": 4, "io": 1}[kind] | (8 if bar.get("prefetch") else 0)
        struct.pack_into("<I", self.config, 0x10 + 4 * index, register)
        mask = (1 << 64) - size
        struct.pack_into("<I", self.writable, 0x10 + 4 * index, mask & 0xffffffff)
        if kind == "mem64":
            struct.pack_into("<I", self.writable, 0x14 + 4 * index, mask >> 32)

    def add_rom(self, size):
        """Add an option ROM: header, PCI data structure, a byte pattern"""
        if size < 2048 or size & (size - 1):
            raise Failure(f"the size of the ROM must be a power of two, at least 2048: {size}")
        rom = bytearray((i * 7 + (i >> 8) * 3) & 0xff for i in range(size))
        rom[0:0x1c] = bytes(0x1c)
        struct.pack_into("<H", rom, 0, 0xaa55)
        rom[2] = size // 512
        struct.pack_into("<H", rom, 0x18, 0x1c)
        # One image of the unknown code type 0x7f, so that no firmware runs it
        rom[0x1c:0x34] = b"PCIR" + self.config[0:4] + struct.pack("<HHB3sHHBBH", 0, 24, 3,
            bytes(self.config[9:12]), size // 512, 1, 0x7f, 0x80, 0)
        self.regions[ROM_REGION] = rom
        struct.pack_into("<I", self.writable, 0x30, -size & 0xffffffff | 1)

    def read(self, region, offset, count):
        """Return the bytes that a read of the device gets"""
        return bytes(self.regions[region][offset:offset + count])

    def write(self, region, offset, data):
        """Handle a write to the device"""
        if region == ROM_REGION:
            return
        if region != CONFIG_REGION:
            self.regions[region][offset:offset + len(data)] = data
            return
        for i, byte in enumerate(data, offset):
            mask = self.writable[i]
            self.config[i] = self.config[i] & ~mask | byte & mask

    def set_ready(self, ready):
        """Set or clear the registers of the key ready"""
        registers = self.description.get("ready", {})
        for offset, data in registers.get("registers", {}).items():
            self.put(self.regions[number(registers["region"])], offset,
                     data if ready else "00" * len(bytes.fromhex(data)))

    def reset(self):
        """Reset config space; memory keeps its content, but for the key ready"""
        self.config[:] = self.initial
        if "ready" not in self.description:
            return
        self.set_ready(False)
        if self.timer:
            self.timer.cancel()
        self.timer = threading.Timer(number(self.description["ready"]["delay_ms"]) / 1000,
                                     self.set_ready, [True])
        self.timer.daemon = True
        self.timer.start()

    def set_irqs(self, index, start, fds):
        """Set eventfds of the interrupts from @start on; without fds, close all"""
        irqs = self.irqs.setdefault(index, {})
        for number_ in list(irqs) if not fds else range(start, start + len(fds)):
            if number_ in irqs:
                os.close(irqs.pop(number_))
        irqs.update(enumerate(fds, start))

    def trigger(self, index, number_=0):
        """Raise an interrupt"""
        if number_ in self.irqs.get(index, {}):
            os.eventfd_write(self.irqs[index][number_], 1)


class Connection:
    """A vfio-user connection between QEMU and a device"""

    def __init__(self, connection, device):
        self.connection = connection
        self.device = device
        self.commands = {VERSION: self.version, DMA_MAP: self.nothing, DMA_UNMAP: self.dma_unmap,
                         GET_INFO: self.get_info, GET_REGION_INFO: self.get_region_info,
                         GET_IRQ_INFO: self.get_irq_info, SET_IRQS: self.set_irqs,
                         REGION_READ: self.region_read, REGION_WRITE: self.region_write,
                         RESET: self.reset}

    def receive(self, size, fds):
        """Receive @size bytes, append file descriptors to @fds; return None at EOF"""
        data = b""
        while len(data) < size:
            part, passed, _, _ = socket.recv_fds(self.connection, size - len(data), MAX_FDS)
            fds += passed
            if not part:
                return None
            data += part
        return data

    def serve(self):
        """Answer commands until QEMU closes the connection"""
        fds = []
        while (header := self.receive(HEADER.size, fds)) is not None:
            ident, command, size, flags, _ = HEADER.unpack(header)
            if not HEADER.size <= size <= MAX_MESSAGE or flags & TYPE_MASK == TYPE_REPLY:
                raise Failure(f"invalid message: type {flags & TYPE_MASK}, {size} bytes")
            payload = self.receive(size - HEADER.size, fds)
            if payload is None:
                break
            error, reply, passed = 0, b"", []
            try:
                handler = self.commands.get(command)
                if not handler:
                    raise OSError(errno.ENOTTY, "")
                reply, passed = handler(payload, fds)
            except OSError as failed:
                error = failed.errno
            except struct.error:
                error = errno.EINVAL
            for fd in fds:
                os.close(fd)
            fds = []
            if not flags & NO_REPLY:
                flags = TYPE_REPLY | (ERROR if error else 0)
                size = HEADER.size + len(reply)
                message = HEADER.pack(ident, command, size, flags, error) + reply
                sent = socket.send_fds(self.connection, [message], passed) if passed else 0
                self.connection.sendall(message[sent:])

    def nothing(self, payload, fds):
        """Acknowledge a command and ignore it"""
        return b"", []

    def version(self, payload, fds):
        """Negotiate the protocol version"""
        major, _ = struct.unpack_from("<HH", payload)
        if major:
            raise OSError(errno.EINVAL, "")
        capabilities = {"max_msg_fds": MAX_FDS, "max_data_xfer_size": 1 << 20}
        reply = json.dumps({"capabilities": capabilities}).encode() + b"\0"
        return struct.pack("<HH", 0, 0) + reply, []

    def dma_unmap(self, payload, fds):
        """Acknowledge DMA_UNMAP; the device does not map memory"""
        return payload[:24], []

    def get_info(self, payload, fds):
        """Return the device info"""
        return struct.pack("<IIII", 16, DEVICE_FLAGS, NUM_REGIONS, NUM_IRQS), []

    def get_region_info(self, payload, fds):
        """Return the size and flags of a region, and its fd if QEMU may map it"""
        index = REGION_INFO.unpack_from(payload)[2]
        if index >= NUM_REGIONS:
            raise OSError(errno.EINVAL, "")
        size = len(self.device.regions.get(index, b""))
        flags = REGION_FLAG_RW if size else 0
        passed = [self.device.fds[index]] if index in self.device.fds else []
        if passed:
            flags |= REGION_FLAG_MMAP
        return REGION_INFO.pack(REGION_INFO.size, flags, index, 0, size, 0), passed

    def get_irq_info(self, payload, fds):
        """Return the number of interrupts of one type"""
        index = struct.unpack_from("<IIII", payload)[2]
        if index >= NUM_IRQS:
            raise OSError(errno.EINVAL, "")
        flags = IRQ_INTX if index == INTX_IRQ else IRQ_EVENTFD
        return struct.pack("<IIII", 16, flags, index, self.device.num_irqs.get(index, 0)), []

    def set_irqs(self, payload, fds):
        """Set eventfds of interrupts; QEMU handles masks itself"""
        _, flags, index, start, count = struct.unpack_from("<IIIII", payload)
        if index >= NUM_IRQS or start + count > max(self.device.num_irqs.get(index, 0), 1):
            raise OSError(errno.EINVAL, "")
        if flags & IRQ_SET_EVENTFD or not count:
            self.device.set_irqs(index, start, fds)
            fds.clear()
        return b"", []

    def check(self, payload):
        """Decode an access; fail with EINVAL if it is not inside its region"""
        offset, region, count = ACCESS.unpack_from(payload)
        if offset + count > len(self.device.regions.get(region, b"")):
            raise OSError(errno.EINVAL, "")
        return offset, region, count

    def region_read(self, payload, fds):
        """Read from a region"""
        offset, region, count = self.check(payload)
        return ACCESS.pack(offset, region, count) + self.device.read(region, offset, count), []

    def region_write(self, payload, fds):
        """Write to a region"""
        offset, region, count = self.check(payload)
        if len(payload) < ACCESS.size + count:
            raise OSError(errno.EINVAL, "")
        self.device.write(region, offset, payload[ACCESS.size:ACCESS.size + count])
        return ACCESS.pack(offset, region, count), []

    def reset(self, payload, fds):
        """Reset the device"""
        self.device.reset()
        return b"", []


def accept(listener, device, fail):
    """Thread function: serve the device to one connection after another"""
    try:
        while True:
            with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                Connection(connection, device).serve()
    except Exception as error:          # pylint: disable=broad-exception-caught
        fail(f"{listener.getsockname()}: {type(error).__name__}: {error}")


def run(devices, command):
    """Run the command and serve the devices; return the status of the command"""
    failures = []
    child = None

    def fail(why):
        failures.append(why)
        if child:
            child.terminate()

    for path, device in devices:
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(path)
        except OSError as error:
            raise Failure(f"{path}: {error.strerror}") from error
        listener.listen(1)
        threading.Thread(target=accept, args=(listener, device, fail), daemon=True).start()
    try:
        # Have the kernel kill the command when this process dies.
        libc = ctypes.CDLL(None)
        child = subprocess.Popen(command, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from error
    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(which, lambda number_, frame: child.send_signal(number_))
    status = child.wait()
    for path, _ in devices:
        os.unlink(path)
    if failures:
        raise Failure(failures[0])
    return status if status >= 0 else 128 - status


def main(arguments):
    """Parse the command line"""
    if "--" not in arguments:
        raise Failure("usage: vfio_user.py SOCKET=DESCRIPTION... -- COMMAND...")
    end = arguments.index("--")
    devices = []
    for argument in arguments[:end]:
        path, _, description = argument.partition("=")
        try:
            devices.append((path, Device(describe(description))))
        except Failure as why:
            raise Failure(f"{description}: {why}") from why
    return run(devices, arguments[end + 1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as why:
        print(f"error: vfio-user: {why}", file=sys.stderr)
        sys.exit(125)
