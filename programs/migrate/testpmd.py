#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""
testpmd.py TESTPMD LIBRARY VF_A VF_B PEER TRIPS FOLDER: in the guest, move DPDK's
testpmd from one virtual function of igb to another one and back, TRIPS times. If TRIPS is
0, only move it once. All the time, the network interface of PEER sends numbered frames to
testpmd, and testpmd sends them back. Print a result for each check. Write the output of
testpmd to FOLDER.

testpmd opens VF_A, and maps its memory for DMA. VF_B joins the same container, so it uses
the same memory. LIBRARY (preload/mmio_socket.c) asks this script before each access of
testpmd to a register, and then accesses the current function. A VMM does the same for a
guest.
"""

import collections
import contextlib
import ctypes
import fcntl
import functools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import common
from common import Failure

# linux/vfio.h
VFIO_GROUP_SET_CONTAINER = 0x3b68
VFIO_GROUP_GET_DEVICE_FD = 0x3b6a
VFIO_DEVICE_FEATURE = 0x3b75
FEATURE_GET = 1 << 16
FEATURE_SET = 1 << 17
FEATURE_PROBE = 1 << 18
FEATURE_MIG_STATE = FEATURE_SET | 2
FEATURE_START_LOG = FEATURE_SET | 6
FEATURE_STOP_LOG = FEATURE_SET | 7
FEATURE_REPORT_LOG = FEATURE_GET | 8
STOP, RUNNING, STOP_COPY, RESUMING = range(1, 5)
CONFIG_OFFSET = 7 << 40

SYS_PIDFD_GETFD = 438

PCI_COMMAND = 4
PCI_COMMAND_MASTER = 4

PAGE = 4096

# A local experimental protocol
ETHERTYPE = 0x88b5
ETH_P_ALL = 3
HEADER = struct.Struct("!6s6sHI")
PAYLOAD = bytes(index * 13 & 0xff for index in range(2048))
SIZES = range(60, 1515)

# Use one CPU, because testpmd polls. On its own CPU it would take most of the time of an
# emulated VM, which runs one CPU at a time.
OPTIONS = ["--lcores", "0@0,1@0", "--in-memory"]

# Frames between two moves
BETWEEN = 100
# Frames that the peer waits for. While testpmd is stopped, the peer sends STOPPED more before
# the other function runs, and STOPPED more after that. All must fit in the ring; testpmd
# keeps up to 32 of its descriptors.
WINDOW = 64
STOPPED = 40
LOGGED_MOVES = 4
RING = 256
# Head of the receive queue
RDH = 0x2810

VLAN = 100
OTHER_VLAN = 101
SO_RCVBUFFORCE = 33
PACKET_ADD_MEMBERSHIP = 1
PACKET_MR_PROMISC = 1
PACKET_AUXDATA = 8
SOL_PACKET = 263
AUXDATA = struct.Struct("IIIHHHH")

HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

# Seconds
DEADLINE = 60
wait_for = functools.partial(common.wait_for, seconds=DEADLINE)
SETTLE = 20


def read(path):
    with open(path) as file:
        return file.read()


class Function:
    """An open virtual function"""

    def __init__(self, fd):
        self.fd = fd

    def set_state(self, state):
        """Set the migration state; return the file of the data, or -1"""
        feature = bytearray(struct.pack("IIIi", 16, FEATURE_MIG_STATE, state, -1))
        fcntl.ioctl(self.fd, VFIO_DEVICE_FEATURE, feature)
        return struct.unpack("IIIi", feature)[3]

    def save(self):
        """Stop the device, and return its state"""
        with os.fdopen(self.set_state(STOP_COPY), "rb", 0) as file:
            return file.readall()

    def load(self, data):
        """Load a state, and run the device"""
        with os.fdopen(self.set_state(RESUMING), "wb") as file:
            file.write(data)
        self.set_state(RUNNING)

    def read(self, register):
        return struct.unpack("I", os.pread(self.fd, 4, register))[0]

    def logs(self):
        """Return whether the function can log DMA"""
        try:
            fcntl.ioctl(self.fd, VFIO_DEVICE_FEATURE, struct.pack("II", 8, FEATURE_PROBE | FEATURE_START_LOG))
        except OSError:
            return False
        return True

    def start_log(self, memory):
        span = struct.pack("QQ", memory.start, len(memory))
        span = ctypes.create_string_buffer(span, len(span))
        fcntl.ioctl(self.fd, VFIO_DEVICE_FEATURE, struct.pack(
            "IIQIIQ", 32, FEATURE_START_LOG, PAGE, 1, 0, ctypes.addressof(span)))

    def stop_log(self, memory):
        """Stop the log; return the numbers of the pages in it"""
        bitmap = (ctypes.c_uint64 * (len(memory) // PAGE // 64))()
        fcntl.ioctl(self.fd, VFIO_DEVICE_FEATURE, struct.pack(
            "IIQQQQ", 40, FEATURE_REPORT_LOG, memory.start, len(memory), PAGE, ctypes.addressof(bitmap)))
        fcntl.ioctl(self.fd, VFIO_DEVICE_FEATURE, struct.pack("II", 8, FEATURE_STOP_LOG))
        return {64 * index + bit for index, word in enumerate(bitmap) if word
                for bit in range(64) if word >> bit & 1}


def open_function(bdf, container):
    """Open a function in a container"""
    group = os.path.basename(os.readlink("/sys/bus/pci/devices/%s/iommu_group" % bdf))
    group = os.open("/dev/vfio/" + group, os.O_RDWR)
    fcntl.ioctl(group, VFIO_GROUP_SET_CONTAINER, struct.pack("i", container))
    function = Function(fcntl.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bytearray(bdf.encode() + b"\0")))
    # As a guest driver does; testpmd did so with its own function
    command, = struct.unpack("H", os.pread(function.fd, 2, CONFIG_OFFSET + PCI_COMMAND))
    os.pwrite(function.fd, struct.pack("H", command | PCI_COMMAND_MASTER), CONFIG_OFFSET + PCI_COMMAND)
    return function


class Testpmd:
    """testpmd, and the function that it uses"""

    def __init__(self, program, library, bdf):
        # 9p is unreliable for files that are read while they are written
        self.log = tempfile.mkstemp(dir="/run")[1]
        self.function = None
        # The holder blocks accesses of testpmd to registers
        self.registers = threading.Lock()
        self.failure = None
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["stdbuf", "-oL", program, *OPTIONS, "-a", bdf, "--", "-i", "--total-num-mbufs=4096",
                 "--rxd=%d" % RING, "--txd=%d" % RING, "--forward-mode=macswap", "--port-topology=loop"],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True, bufsize=1,
                pass_fds=[other.fileno()],
                env={**os.environ, "LD_PRELOAD": library, "MMIO_SOCKET": str(other.fileno())})
        other.close()
        self.pid = self.process.pid
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """Let testpmd access registers of its function"""
        try:
            while self.socket.recv(1):
                with self.registers:
                    if not self.function:
                        self.function = Function(self.file("anon_inode:[vfio-device]"))
                    socket.send_fds(self.socket, [b"f"], [self.function.fd])
                    # Wait for the end of the access
                    self.socket.recv(1)
        except Exception as failure:
            self.failure = failure
            self.socket.close()

    def file(self, name):
        """Get an open file of testpmd"""
        folder = "/proc/%d/fd/" % self.pid

        def link(fd):
            # Another thread of testpmd may close a file meanwhile
            with contextlib.suppress(FileNotFoundError):
                return os.readlink(folder + fd)

        number = next(int(fd) for fd in os.listdir(folder) if link(fd) == name)
        pidfd = os.pidfd_open(self.pid)
        fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        os.close(pidfd)
        return fd

    def output(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def describe(self):
        """Return text for a failure"""
        text = "testpmd printed last: " + " | ".join(self.output().splitlines()[-4:])
        return text + ("\n# its access to a register failed: %r" % self.failure if self.failure else "")

    def prints(self, pattern, known=0):
        """Wait for new output, and return the match"""
        def search():
            if self.failure:
                raise Failure("testpmd cannot access a register")
            match = re.search(pattern, self.output()[known:])
            if not match and self.process.poll() is not None:
                raise Failure("testpmd exited with status %d" % self.process.returncode)
            return match
        return wait_for("'%s' in the output of testpmd" % pattern, search)

    def command(self, text, pattern):
        """Give a command; wait for its output, and return the match"""
        known = len(self.output())
        self.process.stdin.write(text + "\n")
        return self.prints(pattern, known)

    def memory(self):
        """Return the addresses of the memory for DMA: all huge pages"""
        areas = re.findall(r"^(\w+)-(\w+) rw.*memfd:seg", read("/proc/%d/maps" % self.pid), re.MULTILINE)
        return range(int(areas[0][0], 16), int(areas[-1][1], 16))

    def pages(self, memory):
        """Return the content of each page"""
        with open("/proc/%d/mem" % self.pid, "rb") as file:
            file.seek(memory.start)
            content = file.read(len(memory))
        return [content[start:start + PAGE] for start in range(0, len(memory), PAGE)]

    def stats(self):
        """Return the counters of the port"""
        text = self.command("show port stats 0", r"NIC statistics(?s:.*?)Throughput")[0]
        return {name: int(value) for name, value in re.findall(r"([RT]X-[a-z]+): +(\d+)", text)}

    def stop(self):
        """Stop all threads of the process, but not during an access"""
        self.registers.acquire()
        os.kill(self.pid, signal.SIGSTOP)
        wait_for("stopped testpmd", lambda: all(
            read("/proc/%d/task/%s/stat" % (self.pid, task)).rpartition(")")[2].split()[0] == "T"
            for task in os.listdir("/proc/%d/task" % self.pid)))

    def resume(self):
        self.registers.release()
        os.kill(self.pid, signal.SIGCONT)


class Peer:
    """The sender, and the receiver of the frames that come back"""

    def __init__(self, bdf, to):
        interface, = os.listdir("/sys/bus/pci/devices/%s/net" % bdf)
        subprocess.run(["busybox", "ifconfig", interface, "up"], check=True)
        path = "/sys/class/net/%s/" % interface
        wait_for("link of the peer", lambda: read(path + "carrier") == "1\n")
        self.mac = bytes.fromhex(read(path + "address").replace(":", ""))
        self.to = to
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((interface, ETH_P_ALL))
        # Receive all VLANs, and their tags. The kernel shows the tags only to a socket that
        # receives all protocols.
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack(
            "IHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b""))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
        # Protects the members below
        self.lock = threading.Lock()
        self.sends = False
        self.window = WINDOW
        self.is_up = True
        # Frames that may be sent while no function runs
        self.spare = 0
        # Numbers of frames: the next one, the last one that came back
        self.next = 0
        self.last = -1
        self.returned = 0
        self.expected = set()
        # The peer sent these while no function ran, so they may come back or not
        self.possible = set()
        self.late = []
        self.repeated = []
        self.damaged = []
        self.tags = collections.Counter()
        for target in self.send_all, self.receive_all:
            threading.Thread(target=target, daemon=True).start()

    def frame(self, number):
        size = SIZES[number * 37 % len(SIZES)]
        start = number % 256
        head = HEADER.pack(self.to, self.mac, ETHERTYPE, number)
        return head + PAYLOAD[start:start + size - len(head)]

    def send_all(self):
        while True:
            with self.lock:
                send = self.sends and (len(self.expected) < self.window if self.is_up else self.spare > 0)
                if send:
                    self.socket.send(self.frame(self.next))
                    (self.expected if self.is_up else self.possible).add(self.next)
                    self.spare -= not self.is_up
                    self.next += 1
            if not send or not self.is_up:
                time.sleep(0.002)

    def receive_all(self):
        while True:
            frame, extra, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(AUXDATA.size))
            with self.lock:
                self.receive(frame, AUXDATA.unpack(extra[0][2])[5])

    def receive(self, frame, tag):
        """Account for a frame"""
        to, sender, ethertype, number = HEADER.unpack(frame[:HEADER.size])
        # The socket also gets the frames that it sends
        if sender == self.mac or ethertype != ETHERTYPE:
            return
        self.returned += 1
        self.tags[tag] += 1
        if (to, sender) != (self.mac, self.to) or number >= self.next or frame[12:] != self.frame(number)[12:]:
            self.damaged.append(number)
        elif number in self.expected or number in self.possible:
            self.expected.discard(number)
            self.possible.discard(number)
            if number < self.last:
                self.late.append(number)
            self.last = number
        else:
            self.repeated.append(number)

    def run(self, count):
        """Send frames, and wait until so many more of them came back"""
        with self.lock:
            self.sends = True
            number = self.last + count
        try:
            wait_for("frame %d" % number, lambda: self.last >= number)
        except Failure as failure:
            raise Failure("%s; %s" % (failure, self.summary()))

    def fill(self):
        """Send frames to the ring of the stopped testpmd"""
        self.window = WINDOW + STOPPED
        wait_for("full window", lambda: len(self.expected) >= self.window)
        self.window = WINDOW

    def settle(self):
        """Send no more frames, and wait for the others; return those that are lost"""
        with self.lock:
            self.sends = False
        end = time.monotonic() + SETTLE
        while self.expected and time.monotonic() < end:
            time.sleep(0.1)
        with self.lock:
            lost = sorted(self.expected)
            self.expected.clear()
        return lost

    def summary(self):
        return "sent %d, returned %d, lost between functions %d; repeated %s, late %s, damaged %s" % (
            self.next, self.returned, len(self.possible), self.repeated, self.late, self.damaged)

    def tags_of(self, count):
        """Send frames. Return the VLAN tags of the returned frames, and the lost frames."""
        self.tags.clear()
        self.run(count)
        lost = self.settle()
        return set(self.tags), lost


class Log:
    """The pages that a function writes while testpmd is stopped, and those that it logs"""

    def __init__(self, testpmd, function):
        self.testpmd = testpmd
        self.function = function
        self.memory = testpmd.memory()
        function.start_log(self.memory)
        self.before = testpmd.pages(self.memory)

    def stop(self):
        after = self.testpmd.pages(self.memory)
        self.logged = self.function.stop_log(self.memory)
        self.written = {number for number, content in enumerate(after) if content != self.before[number]}


def move(testpmd, peer, to, logs=None):
    """
    Move testpmd to another function. Return the number of frames that the peer sent while
    testpmd was stopped and the other function ran, and how many this function received.
    Append a log of the function to `logs`.
    """
    began = time.monotonic()
    testpmd.stop()
    with peer.lock:
        peer.is_up = False
        peer.spare = STOPPED
    data = testpmd.function.save()
    to.load(data)
    log = Log(testpmd, to) if logs is not None else None
    with peer.lock:
        head = to.read(RDH)
        first = peer.next
        peer.is_up = True
        peer.sends = True
    # Afterwards, the function can be a destination
    testpmd.function.set_state(STOP)
    testpmd.function = to
    peer.fill()
    # The last frames may still wait in the queue of the peer
    end = time.monotonic() + SETTLE
    received, sent = 0, -1
    while received != sent and time.monotonic() < end:
        with peer.lock:
            sent = peer.next - first
            received = (to.read(RDH) - head) % RING
    if log:
        log.stop()
        logs.append(log)
    testpmd.resume()
    testpmd.last_move = ((time.monotonic() - began) * 1000, len(data))
    return sent, received


class Results:
    """Print results in the format of kselftest"""

    def __init__(self, count):
        self.failed = 0
        print("TAP version 13\n1..%d" % count)

    def add(self, ok, name, note=None):
        self.failed += not ok
        if note is not None:
            print("# %s" % note)
        print("%sok - testpmd: %s" % ("" if ok else "not ", name), flush=True)

    def skip(self, name, why):
        print("ok - testpmd: %s # SKIP %s" % (name, why), flush=True)


def kernel_errors():
    return subprocess.run(["dmesg", "--level", "emerg,alert,crit,err"], capture_output=True, text=True,
                          check=True).stdout.splitlines()


def crash(results, program, bdf):
    """Without LIBRARY, testpmd cannot access the overridden registers"""
    status = subprocess.run([program, *OPTIONS, "-a", bdf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, timeout=DEADLINE, check=False).returncode
    results.add(status == -signal.SIGSEGV, "crashes if it cannot map the first page of BAR0", "status %d" % status)


def start(testpmd):
    testpmd.command("start", r"TX RS bit threshold(?s:.*)testpmd> ")


def restart_port(testpmd, *commands):
    """Stop the port, give commands, and start the port"""
    testpmd.command("stop", r"Done\.")
    testpmd.command("port stop 0", r"Done")
    for command in commands:
        testpmd.command(command, "testpmd> ")
    testpmd.command("port start 0", r"Done")
    start(testpmd)


def test_moves(results, testpmd, functions, peer, moves):
    longest = 0
    wrong = []
    total = 0

    start(testpmd)
    peer.run(BETWEEN)
    results.add(True, "sends frames back")

    for number in range(1, moves + 1):
        sent, received = move(testpmd, peer, functions[number % 2])
        longest = max(longest, testpmd.last_move[0])
        total += sent
        if sent != received or sent < STOPPED:
            wrong.append("move %d: %d of %d" % (number, received, sent))
        peer.run(BETWEEN)
    results.add(True, "runs on after each of %d moves" % moves, "the longest one took %d ms" % longest)
    results.add(not wrong, "while it is stopped, the other function fills its ring",
                "%d frames; wrong: %s" % (total, wrong))

    lost = peer.settle()
    results.add(not lost, "no frame is lost while a function runs", "lost %s" % lost)
    results.add(not peer.repeated and not peer.late and not peer.damaged,
                "each frame comes back once, in order, and unchanged", peer.summary())
    stats = testpmd.stats()
    results.add(all(stats[name] == (peer.returned if name[3:] == "packets" else 0) for name in
                    ("RX-packets", "TX-packets", "RX-missed", "RX-errors", "RX-nombuf", "TX-errors")),
                "its counters include the frames of both functions", stats)


def show_move(results, testpmd, functions, peer):
    """Move once, and print numbers"""
    start(testpmd)
    peer.run(BETWEEN)
    sent, received = move(testpmd, peer, functions[1])
    peer.run(BETWEEN)
    lost = peer.settle()
    results.add(not lost and sent == received and not peer.repeated and not peer.late and not peer.damaged,
                "a move loses no frame while a function runs",
                "%d frames came back, %d lost; stopped for %d ms, %d frames came meanwhile, %d lost in the gap; "
                "%d bytes of the device" % (peer.returned, len(lost), testpmd.last_move[0], sent, len(peer.possible),
                                            testpmd.last_move[1]))


def test_log(results, testpmd, functions, peer):
    """The driver finds the buffers of testpmd in its ring, and moves the list of them"""
    name = "after a move, the log has each page that the function writes, and few others"
    logs = []

    if not functions[0].logs():
        results.skip(name, "the module does not log DMA")
        return
    for number in range(1, LOGGED_MOVES + 1):
        peer.run(BETWEEN)
        move(testpmd, peer, functions[number % 2], logs)
    peer.settle()
    # A frame has a page or two
    results.add(all(log.written <= log.logged and STOPPED // 4 < len(log.written) and len(log.logged) <= 2 * RING + 8
                    for log in logs), name, "of %d pages: %s" % (len(logs[0].memory) // PAGE, "; ".join(
                        "%d written, %d logged, %d missing" % (
                            len(log.written), len(log.logged), len(log.written - log.logged)) for log in logs)))


def test_contexts(results, testpmd, functions, peer):
    """testpmd sets up a transmit context once, and a move loses it"""
    def expect(ok, name):
        tags, lost = peer.tags_of(BETWEEN)
        results.add(ok(tags) and not lost, name, "tags %s, lost %s" % (tags, lost))

    # The first function keeps a context with another VLAN
    restart_port(testpmd, "tx_vlan set 0 %d" % OTHER_VLAN)
    expect(lambda tags: tags == {OTHER_VLAN}, "adds a VLAN tag to each frame")
    move(testpmd, peer, functions[1])
    peer.settle()
    restart_port(testpmd, "tx_vlan set 0 %d" % VLAN)
    expect(lambda tags: tags == {VLAN}, "restarts its port on the other function, and changes the VLAN tag")
    move(testpmd, peer, functions[0])
    peer.settle()
    expect(lambda tags: VLAN not in tags, "a move loses the VLAN tag, because it is in a transmit context")
    restart_port(testpmd)
    expect(lambda tags: tags == {VLAN}, "a restart of the port restores the VLAN tag")


def main(program, library, vf_a, vf_b, peer_bdf, trips, folder):
    results = Results(14 if int(trips) else 1)
    testpmd = None
    errors = len(kernel_errors())
    try:
        with open(HUGE_PAGES, "w") as file:
            file.write("64")
        number = int(read(HUGE_PAGES))
        if number < 64:
            raise Failure("the kernel reserved only %d huge pages" % number)
        if int(trips):
            crash(results, program, vf_a)
        testpmd = Testpmd(program, library, vf_a)
        mac = testpmd.prints(r"Port 0: ([0-9A-F:]{17})(?s:.*)testpmd> ")[1]
        functions = [testpmd.function, open_function(vf_b, testpmd.file("/dev/vfio/vfio"))]
        peer = Peer(peer_bdf, bytes.fromhex(mac.replace(":", "")))
        if not int(trips):
            show_move(results, testpmd, functions, peer)
            return results.failed > 0
        # An even number of moves, so the first function is the current one
        test_moves(results, testpmd, functions, peer, 2 * int(trips))
        test_log(results, testpmd, functions, peer)
        test_contexts(results, testpmd, functions, peer)
        testpmd.process.stdin.write("quit\n")
        results.add(testpmd.process.wait(DEADLINE) == 0, "exits without an error")
        new = kernel_errors()[errors:]
        results.add(not new, "the kernel reports no error", new)
    except Exception as failure:
        note = str(failure) if isinstance(failure, Failure) else traceback.format_exc().replace("\n", "\n# ")
        if testpmd:
            note += "\n# " + testpmd.describe()
        results.add(False, "all checks complete", note)
    finally:
        if testpmd:
            testpmd.process.kill()
            shutil.copy(testpmd.log, folder + "/testpmd.log")
    return results.failed > 0


sys.exit(main(*sys.argv[1:]))
