# SPDX-License-Identifier: GPL-2.0-only
"""
The stream of a migration on its way from one QEMU to the other: find the data of
the device in it, and manipulate them.
"""

import re
import socket
import threading

# The format of migration data: Documentation/driver-api/vfio-pci-migration.rst
MAGIC = b"VFIO-PCI"
HEADER = 80
HEADER_DEVICE = 18
PARTS = {1: "precopy", 2: "data", 3: "end"}
RECORD = re.compile(rb"(?=([\1-\3])\0{3}(..[\0-\3]\0)\0{4}(.{4}))", re.DOTALL)
RECORD_HEAD = 16


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
