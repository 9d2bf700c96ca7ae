#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
vfio_user.py SOCKET=DESCRIPTION... -- COMMAND...: be PCI devices of QEMU's, by the
vfio-user protocol (docs/interop/vfio-user.rst of QEMU), for as long as COMMAND
runs, which is to connect to the UNIX sockets, as

    qemu-system-x86_64 -device '{"driver": "vfio-user-pci", "socket":
        {"type": "unix", "path": "SOCKET"}}' ...

Ends with the status of COMMAND, or with 125 and a message that says why the
devices cannot be, and then COMMAND ends, too.

A DESCRIPTION is a JSON file with these keys, all of them optional but the first
three. Numbers are JSON's, or strings as "0x10" or "64K"; bytes are hexadecimal
strings, with or without white space.

    vendor, device, class    the ids, and the class as 24 bits
    subsystem_vendor, subsystem_device, revision
    config_size     256 or 4096
    config          {OFFSET: BYTES}: more of config space; a byte at 0x34 says where
                    the list of capabilities begins
    writable        {OFFSET: BYTES}: bits of it that can be written, besides those
                    of the command register, the BARs and the interrupt line
    bars            {NUMBER: {"size": a power of two, "kind": "mem", "mem64" or
                    "io", "prefetch": true, "mmap": true for QEMU to map it,
                    "contents": BYTES from its start on}}, plain memory
    rom             size; an option ROM of these ids that no firmware runs
    intx            true for a device that has the pin of an interrupt
    msi             number of interrupts in the MSI capability in config
    comment         not looked at
    like            another DESCRIPTION, relative to this one, that this one adds
                    to; what is in config and so on is added offset by offset

The registers are memory: they read what was written. A device with a behaviour
is a subclass of Device that overrides read() and write().
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

# Commands, and flags of a message
VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO = 1, 2, 3, 4, 5
GET_IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, RESET = 7, 8, 9, 10, 13
TYPE_MASK, TYPE_REPLY, NO_REPLY, ERROR = 0xf, 1, 1 << 4, 1 << 5

HEADER = struct.Struct("<HHIII")
REGION_INFO = struct.Struct("<IIIIQQ")
ACCESS = struct.Struct("<QII")

# Of linux/vfio.h
DEVICE_FLAGS = 1 << 0 | 1 << 1          # RESET, PCI
REGION_FLAG_RW, REGION_FLAG_MMAP = 3, 4
ROM_REGION, CONFIG_REGION, NUM_REGIONS = 6, 7, 9
INTX_IRQ, MSI_IRQ, NUM_IRQS = 0, 1, 5
IRQ_EVENTFD, IRQ_INTX = 1 << 0, 7       # and MASKABLE, AUTOMASKED
IRQ_SET_EVENTFD = 1 << 2

MAX_FDS = 8
MAX_MESSAGE = 1 << 21


class Failure(Exception):
    """Why the device cannot be; one line"""


def number(value):
    """A number of a description"""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(0x[0-9a-fA-F]+|[0-9]+)([KMG]?)", str(value))
    if not match:
        raise Failure(f"{value!r} is no number")
    return int(match[1], 0) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def describe(path):
    """The description in a file, with those that it is like"""
    try:
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}") from error
    if not isinstance(description, dict):
        raise Failure(f"{path}: there are no keys in it")
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
    """A PCI device: its regions, as bytes"""

    KEYS = {"vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision",
            "config_size", "config", "writable", "bars", "rom", "intx", "msi", "comment"}

    def __init__(self, description):
        for key in description.keys() - self.KEYS:
            raise Failure(f"there is no key {key!r}")
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
            raise Failure(f"config space has 256 or 4096 bytes, not {len(self.config)}")
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
        self.initial = bytes(self.config)

    @staticmethod
    def put(region, offset, data):
        """Bytes of a description, into a region"""
        offset = number(offset)
        try:
            data = bytes.fromhex(data)
        except ValueError as error:
            raise Failure(f"{data!r} are no bytes") from error
        if offset + len(data) > len(region):
            raise Failure(f"{len(data)} bytes at {offset:#x} do not fit into {len(region)}")
        region[offset:offset + len(data)] = data

    def fill_config(self):
        """The registers of config space that each device has"""
        value = lambda key: number(self.description.get(key, 0))
        struct.pack_into("<HH", self.config, 0, value("vendor"), value("device"))
        struct.pack_into("<I", self.config, 8, value("class") << 8 | value("revision"))
        struct.pack_into("<HH", self.config, 0x2c, value("subsystem_vendor"),
                         value("subsystem_device"))
        self.config[0x3d] = self.num_irqs[INTX_IRQ]
        # Decoding, bus mastering, error responses, and no INTx
        struct.pack_into("<H", self.writable, 4, 0x0547)
        self.writable[0x3c] = 0xff
        if 0x34 in (number(offset) for offset in self.description.get("config", {})):
            # There is a list of capabilities
            self.config[6] = 0x10

    def add_bar(self, index, bar):
        """A BAR, and the register that it is named by"""
        size = number(bar.get("size", 0))
        kind = bar.get("kind", "mem")
        kinds = ("mem", "mem64", "io") if index < 5 else ("mem", "io")
        if not 0 <= index < 6 or kind not in kinds:
            raise Failure(f"BAR {index} cannot be {kind!r}")
        if size < 16 or size & (size - 1):
            raise Failure(f"the size of BAR {index} is no power of two: {size}")
        if kind == "io" and bar.get("mmap"):
            raise Failure(f"BAR {index} has ports, which cannot be mapped")
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
        """An option ROM: a header, what it is for, and bytes that tell where they are"""
        if size < 2048 or size & (size - 1):
            raise Failure(f"the size of the ROM is no power of two from 2048 on: {size}")
        rom = bytearray((i * 7 + (i >> 8) * 3) & 0xff for i in range(size))
        rom[0:0x1c] = bytes(0x1c)
        struct.pack_into("<H", rom, 0, 0xaa55)
        rom[2] = size // 512
        struct.pack_into("<H", rom, 0x18, 0x1c)
        # Code for a processor that no one has, in the one and only image
        rom[0x1c:0x34] = b"PCIR" + self.config[0:4] + struct.pack("<HHB3sHHBBH", 0, 24, 3,
            bytes(self.config[9:12]), size // 512, 1, 0x7f, 0x80, 0)
        self.regions[ROM_REGION] = rom
        struct.pack_into("<I", self.writable, 0x30, -size & 0xffffffff | 1)

    def read(self, region, offset, count):
        """What the device answers to a read"""
        return bytes(self.regions[region][offset:offset + count])

    def write(self, region, offset, data):
        """What a write does to the device"""
        if region == ROM_REGION:
            return
        if region != CONFIG_REGION:
            self.regions[region][offset:offset + len(data)] = data
            return
        for i, byte in enumerate(data, offset):
            mask = self.writable[i]
            self.config[i] = self.config[i] & ~mask | byte & mask

    def reset(self):
        """Registers are as at first, memory stays"""
        self.config[:] = self.initial

    def set_irqs(self, index, start, fds):
        """The eventfds of interrupts from @start on; none to take them back"""
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
    """The protocol, between QEMU and a device"""

    def __init__(self, connection, device):
        self.connection = connection
        self.device = device
        self.commands = {VERSION: self.version, DMA_MAP: self.nothing, DMA_UNMAP: self.dma_unmap,
                         GET_INFO: self.get_info, GET_REGION_INFO: self.get_region_info,
                         GET_IRQ_INFO: self.get_irq_info, SET_IRQS: self.set_irqs,
                         REGION_READ: self.region_read, REGION_WRITE: self.region_write,
                         RESET: self.reset}

    def receive(self, size, fds):
        """So many bytes, None at the end; file descriptors are added to @fds"""
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
                raise Failure(f"a message of type {flags & TYPE_MASK} with {size} bytes")
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
        """A command to which no answer is needed"""
        return b"", []

    def version(self, payload, fds):
        """The first command"""
        major, _ = struct.unpack_from("<HH", payload)
        if major:
            raise OSError(errno.EINVAL, "")
        capabilities = {"max_msg_fds": MAX_FDS, "max_data_xfer_size": 1 << 20}
        reply = json.dumps({"capabilities": capabilities}).encode() + b"\0"
        return struct.pack("<HH", 0, 0) + reply, []

    def dma_unmap(self, payload, fds):
        """Nothing was mapped"""
        return payload[:24], []

    def get_info(self, payload, fds):
        """What there is of the device"""
        return struct.pack("<IIII", 16, DEVICE_FLAGS, NUM_REGIONS, NUM_IRQS), []

    def get_region_info(self, payload, fds):
        """How large a region is, and its file to map"""
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
        """How many interrupts of a kind there are"""
        index = struct.unpack_from("<IIII", payload)[2]
        if index >= NUM_IRQS:
            raise OSError(errno.EINVAL, "")
        flags = IRQ_INTX if index == INTX_IRQ else IRQ_EVENTFD
        return struct.pack("<IIII", 16, flags, index, self.device.num_irqs.get(index, 0)), []

    def set_irqs(self, payload, fds):
        """The eventfds of interrupts; masks are QEMU's"""
        _, flags, index, start, count = struct.unpack_from("<IIIII", payload)
        if index >= NUM_IRQS or start + count > max(self.device.num_irqs.get(index, 0), 1):
            raise OSError(errno.EINVAL, "")
        if flags & IRQ_SET_EVENTFD or not count:
            self.device.set_irqs(index, start, fds)
            fds.clear()
        return b"", []

    def check(self, payload):
        """Where an access is; all of it has to be in the region"""
        offset, region, count = ACCESS.unpack_from(payload)
        if offset + count > len(self.device.regions.get(region, b"")):
            raise OSError(errno.EINVAL, "")
        return offset, region, count

    def region_read(self, payload, fds):
        """An access"""
        offset, region, count = self.check(payload)
        return ACCESS.pack(offset, region, count) + self.device.read(region, offset, count), []

    def region_write(self, payload, fds):
        """An access"""
        offset, region, count = self.check(payload)
        if len(payload) < ACCESS.size + count:
            raise OSError(errno.EINVAL, "")
        self.device.write(region, offset, payload[ACCESS.size:ACCESS.size + count])
        return ACCESS.pack(offset, region, count), []

    def reset(self, payload, fds):
        """QEMU resets the device"""
        self.device.reset()
        return b"", []


def accept(listener, device, fail):
    """In a thread of its own: be the device of whoever connects, one after another"""
    try:
        while True:
            with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                Connection(connection, device).serve()
    except Exception as error:          # pylint: disable=broad-exception-caught
        fail(f"{listener.getsockname()}: {type(error).__name__}: {error}")


def run(devices, command):
    """Run the command with the devices at their sockets; returns its status"""
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
        # It may not live longer than this process, which may be killed.
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
    """See above"""
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
