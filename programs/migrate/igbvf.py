#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""
igbvf.py KERNEL PROGRAMS FOLDER QEMU type1|iommufd PEER VF VF CASE...: in the guest, let
QEMU migrate a nested Linux guest between two virtual functions of different 82576
devices. The nested guest boots the uncompressed kernel in the folder KERNEL (see
scripts/kernel.sh) with PROGRAMS/traffic_guest. It exchanges numbered datagrams and a stream
with PROGRAMS/traffic_peer, which uses the interface of the igb device PEER. Each CASE
continues with the nested guest of the previous case. A case passes only if

- each end gets the datagrams once and in order, and the right bytes of the stream,
- the peer gets all datagrams of the guest, and the guest loses datagrams only while
  it does not run,
- the kernel of the guest prints no message.

Print a result and times for each case. Write the output of the guests and of QEMU to
FOLDER.
"""

import filecmp
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import qemu
from common import Failure, expect, wait_for
from stream import Proxy

PEER_ADDRESS = "10.0.0.1"
GUEST_ADDRESS = "10.0.0.2"
MEMORY = 64 << 20
# Datagrams per second
RATE = 50

# QEMU reports a stop late and a start early
MARGIN_MS = 500

GUEST_LINE = re.compile(r"round \d+ received \d+ lost \d+ stream \d+|lost \d+-\d+ sent \d+-\d+|total .*|done")
# On a slow machine, a timer comes late. The kernel may print this in the middle of a line.
TIMER_LINE = re.compile(r"CE: \S+ increased min_delta_ns to \d+ nsec\n")
LINK_LINE = re.compile(r"igbvf .*: (Link is (Up|Down)|PF still resetting).*")
TOTALS = re.compile(r"^total sent (\d+) received (\d+) lost (\d+) stream-sent (\d+) stream-received (\d+)$",
                    re.MULTILINE)


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def interface(device):
    """Return the network interface of a PCI device"""
    return os.path.basename(glob.glob("/sys/bus/pci/devices/%s/net/*" % device)[0])


def physical_function(device):
    """Return the address of the physical function of a virtual function"""
    return os.path.basename(os.readlink("/sys/bus/pci/devices/%s/physfn" % device))


def make_initramfs(folder, kernel, init):
    os.makedirs(folder)
    module, = glob.glob(kernel + "/modules/lib/modules/*/kernel/drivers/net/ethernet/intel/igbvf/igbvf.ko")
    shutil.copy(module, folder + "/igbvf.ko")
    shutil.copy(init, folder + "/init")
    with open(folder + ".cpio", "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], check=True, cwd=folder,
                       input=b"init\nigbvf.ko\n", stdout=file)
    return folder + ".cpio"


class Peer:
    """The other end of the traffic"""

    def __init__(self, setup, number):
        self.path = "%s/peer-%d.serial" % (setup.work, number)
        with open(self.path, "w") as file:
            self.process = subprocess.Popen([setup.programs + "/traffic_peer", str(RATE)],
                                            stdout=file, stderr=file)

    def output(self):
        with open(self.path) as file:
            return file.read()

    def check(self, may_lose):
        for line in self.output().splitlines():
            if line.startswith("wrong") or line.startswith("lost") and not may_lose:
                raise Failure("the peer reports: " + line)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Setup(qemu.Setup):
    """A nested Linux guest with a virtual function"""

    def __init__(self, kernel, programs, program, iommu, peer, *devices):
        super().__init__(program, iommu, devices, None)
        self.programs = programs
        self.interface = interface(peer)
        self.peers = []
        # Times in ms in which the guest does not run
        self.gaps = []
        # The guest resets its device when the interface of the physical function goes down
        self.link_may_change = False
        initramfs = make_initramfs(self.work + "/initramfs", kernel, programs + "/traffic_guest")
        with open("/proc/cmdline") as file:
            tsc = re.search(r"tsc_early_khz=\d+", file.read())[0]
        self.arguments = ["-m", str(MEMORY >> 20), "-cpu", "max", "-kernel", kernel + "/build/vmlinux",
                          "-initrd", initramfs, "-append",
                          "console=ttyS0 loglevel=5 panic=-1 oops=panic tsc=reliable no_timer_check "
                          "traffic_rate=%d %s" % (RATE, tsc)]
        for device in devices:
            # Linux would answer for PEER_ADDRESS on each interface. A failed case may have left
            # the interface down.
            run("ip", "link", "set", interface(physical_function(device)), "arp", "off", "up")
        run("ip", "address", "replace", PEER_ADDRESS + "/24", "dev", self.interface)
        run("ip", "link", "set", self.interface, "up")

    def boot(self):
        """Start a new guest with the first device"""
        self.link_may_change = False
        self.start_peer()
        super().boot()
        self.wait_connected()

    def start_peer(self):
        """Start a new peer, for a guest that boots"""
        for peer in self.peers[-1:]:
            peer.kill()
        # Each boot gives the guest a random address
        run("ip", "neigh", "flush", "dev", self.interface, "nud", "permanent")
        self.peers.append(Peer(self, len(self.peers) + 1))

    def wait_connected(self):
        """Wait until a guest has booted and traffic runs"""
        wait_for("connection of the guest", lambda:
                 self.guest.ended() or "connected" in self.peers[-1].output() or self.has_panicked())
        if "connected" not in self.peers[-1].output():
            raise Failure("the guest does not boot: " + self.guest.diagnostics())
        # While the guest does not run, it does not answer
        address = run("ip", "neigh", "show", GUEST_ADDRESS, "dev", self.interface).split()
        run("ip", "neigh", "replace", GUEST_ADDRESS, "dev", self.interface,
            "lladdr", address[address.index("lladdr") + 1], "nud", "permanent")

    def has_panicked(self):
        """
        Check whether the guest has panicked. On a busy machine, a timer interrupt may find no
        data in setup_IO_APIC() of the kernel; the guest then boots again.
        """
        text = self.guest.guest_output()
        return "Kernel panic" in text and "setup_IO_APIC" not in text

    def output(self):
        """Return the output of the guest since it has a link"""
        text = self.earlier_output + self.guest.guest_output()
        text = text.rpartition("up\n")[2].replace("\r", "") if "up\n" in text else ""
        return TIMER_LINE.sub("", text)

    def boots(self):
        text = self.earlier_output + self.guest.guest_output()
        return text.count("up\n")

    def rounds(self):
        """Return the number of rounds of the guest; check its output and that of the peer"""
        self.peers[-1].check(self.link_may_change)
        rounds = 0
        for line in self.output().split("\n")[:-1]:
            rounds += line.startswith("round")
            if line.startswith("lost"):
                self.check_loss(line)
            elif not GUEST_LINE.fullmatch(line) and not (self.link_may_change and LINK_LINE.fullmatch(line)):
                raise Failure("the guest prints: " + line)
        return rounds

    def received(self):
        """Return the number of datagrams that the guest and the peer have received"""
        return [int((re.findall(r"^round \d+ received (\d+)", output, re.M) or [0])[-1])
                for output in (self.output(), self.peers[-1].output())]

    def run_rounds(self, count):
        """Wait for more rounds of the guest, and for datagrams in both directions"""
        before = self.received()
        super().run_rounds(count)
        wait_for("traffic in both directions", lambda: self.guest.ended() or
                 all(now > then for now, then in zip(self.received(), before)))
        self.rounds()

    def check_loss(self, line):
        before, after = map(int, re.search(r"sent (\d+)-(\d+)", line).groups())
        if not any(start - MARGIN_MS <= before and after <= end + MARGIN_MS for start, end in self.gaps):
            raise Failure("%s, but the guest ran; it did not run at %s" % (
                line, ", ".join("%d-%d" % gap for gap in self.gaps) or "no time"))

    def lost(self):
        return sum(int(b) - int(a) + 1 for a, b in re.findall(r"^lost (\d+)-(\d+) ", self.output(), re.M))

    def migrate(self, path, proxy, bandwidth=1 << 40, stop=True):
        """Start a migration; let QEMU copy dirty memory a few times before the guest stops"""
        self.limit(bandwidth, 1)
        self.guest.command("migrate", uri="unix:" + path)
        if not stop:
            return
        wait_for("copy of the dirty memory", lambda: self.copies() >= 3)
        self.stop_guest()

    def copies(self):
        """Return how often QEMU has looked for dirty memory"""
        info = self.progress()
        if info["status"] not in ("setup", "active"):
            return 1000
        return info.get("ram", {}).get("dirty-sync-count", 0)

    def stop_guest(self):
        """Let QEMU stop the guest and end the migration"""
        self.limit(1 << 40, 2000000)

    def end(self):
        for peer in self.peers:
            peer.kill()

    def finish(self):
        """End the traffic and compare what each end has sent and received"""
        peer = self.peers[-1]
        peer.process.send_signal(signal.SIGTERM)
        wait_for("end of the traffic", lambda: peer.process.poll() is not None and "done" in self.output())
        self.rounds()
        found = [TOTALS.search(text) for text in (self.output(), peer.output())]
        if None in found:
            raise Failure("the guest or the peer prints no totals")
        guest, other = [dict(zip(("sent", "received", "lost", "stream_sent", "stream_received"),
                                 map(int, match.groups()))) for match in found]
        for name, one, two in ("guest", guest, other), ("peer", other, guest):
            expect("the number of datagrams that the %s knows of" % name,
                   one["received"] + one["lost"], two["sent"])
            expect("the number of bytes that the %s has received" % name,
                   one["stream_received"], two["stream_sent"])
        peer.check(self.link_may_change)
        print("# %d and %d datagrams, %d lost; %d and %d bytes" % (
            guest["sent"], other["sent"], guest["lost"], guest["stream_sent"], other["stream_sent"]))


def finish_move(setup, destination, compare):
    """Wait for the end of a migration; with `compare`, the destination is paused"""
    info = setup.wait_completed(destination, compare)
    setup.guest.status()
    if compare:
        compare_memory(setup, destination)
        destination.command("cont")
    destination.status()
    setup.gaps.append((setup.guest.times("STOP")[-1], destination.times("RESUME")[-1]))
    setup.switch_to(destination)
    setup.run_rounds(1)
    return "%d ms, downtime %d ms; %d bytes, %s of the device; %d datagrams lost in all" % (
        info["total-time"], info["downtime"], info["ram"]["transferred"],
        info.get("vfio", {}).get("transferred", "unknown"), setup.lost())


def difference(address, source, destination):
    """Describe the difference of two pages, or return None"""
    if source == destination:
        return None
    bytes_ = [index for index in range(len(source)) if source[index] != destination[index]]
    start = bytes_[0] & ~15
    return "%d bytes from %#x to %#x, %s and %s" % (
        len(bytes_), address + bytes_[0], address + bytes_[-1],
        source[start:start + 64].hex(), destination[start:start + 64].hex())


def compare_memory(setup, destination):
    """Compare the memory of the source and of the destination, both of which do not run"""
    paths = []
    for process in setup.guest, destination:
        paths.append(process.name + ".memory")
        process.command("pmemsave", val=0, size=MEMORY, filename=paths[-1])
    if not filecmp.cmp(*paths, shallow=False):
        with open(paths[0], "rb") as one, open(paths[1], "rb") as two:
            differences = [difference(page << 12, one.read(4096), two.read(4096))
                           for page in range(MEMORY >> 12)]
        differences = list(filter(None, differences))
        raise Failure("%d pages of memory differ: %s" % (len(differences), "; ".join(differences[:8])))
    for path in paths:
        os.unlink(path)


def move(setup, path, compare=False):
    """Migrate the guest to the other device"""
    destination = setup.start_destination(path + ".to", paused=compare)
    setup.migrate(path, Proxy(path, path + ".to"))
    return finish_move(setup, destination, compare)


def move_compare(setup, path):
    """Migrate the guest, and compare its memory on both sides"""
    return move(setup, path, compare=True)


def ten_moves(setup, path):
    return "".join("\n#   " + move(setup, "%s-%d" % (path, number), compare=True) for number in range(10))


def reboot(setup, path):
    """The guest reboots while QEMU copies memory: this resets the device"""
    destination = setup.start_destination(path + ".to", paused=True)
    setup.migrate(path, Proxy(path, path + ".to"), 1 << 22, stop=False)
    wait_for("copy of the dirty memory", lambda: setup.copies() >= 2)
    boots = setup.boots()
    setup.guest.command("system_reset")
    setup.start_peer()
    wait_for("boot of the guest", lambda: setup.boots() > boots)
    setup.wait_connected()
    setup.run_rounds(2)
    expect("the migration", setup.progress()["status"], "active")
    setup.stop_guest()
    return finish_move(setup, destination, True)


def kill_destination_early(setup, path):
    """Kill the destination while QEMU copies memory"""
    destination = setup.start_destination(path + ".to")
    setup.migrate(path, Proxy(path, path + ".to"), 1 << 20, stop=False)
    wait_for("memory", lambda: setup.progress().get("ram", {}).get("transferred"))
    destination.kill()
    expect("the migration", setup.wait_end()["status"], "failed")


def kill_source_early(setup, path):
    """Kill the source while QEMU copies memory; a new guest works with the same device"""
    destination = setup.start_destination(path + ".to")
    setup.migrate(path, Proxy(path, path + ".to"), 1 << 20, stop=False)
    wait_for("memory", lambda: setup.progress().get("ram", {}).get("transferred"))
    setup.guest.kill()
    wait_for("exit of the destination", destination.ended, 20)
    setup.boot()


def stopped(function):
    """Return a case in which QEMU stops the guest, and continues it on the source"""
    def case(setup, path):
        stops = len(setup.guest.times("STOP"))
        note = function(setup, path)
        wait_for("guest that runs again", lambda: setup.guest.status() == "running" and
                 len(setup.guest.times("STOP")) > stops)
        setup.gaps.append((setup.guest.times("STOP")[-1], setup.guest.times("RESUME")[-1]))
        return note
    return case


def set_link(device, state):
    """Set the interface of the physical function of a virtual function up or down"""
    physical = physical_function(device)
    run("ip", "link", "set", interface(physical), state)
    if state == "up":
        wait_for("link of " + physical, lambda:
                 "LOWER_UP" in run("ip", "link", "show", interface(physical)))


def expect_message(text):
    """Check that the last message of the vendor driver but one has this text"""
    lines = [line for line in run("dmesg").splitlines() if "vfio-pci-igbvf: " in line]
    if not lines or text not in lines[-2]:
        raise Failure("the driver does not print '%s', but '%s'" % (text, lines[-2:]))


def destination_down(setup, path):
    """The interface of the destination's physical function is down: the load fails"""
    device = setup.other_device()
    set_link(device, "down")
    destination = setup.start_destination(path + ".to")
    setup.migrate(path, Proxy(path, path + ".to"))
    expect("the migration", setup.wait_end()["status"], "failed")
    wait_for("exit of the destination", destination.ended, 60)
    expect_message("cannot restore the VF")
    set_link(device, "up")


def source_down(setup, path):
    """The interface of the source's physical function is down: the save fails"""
    began = time.monotonic() * 1000
    setup.gaps.append((began, sys.maxsize))
    setup.link_may_change = True
    set_link(setup.guest.device, "down")
    destination = setup.start_destination(path + ".to")
    setup.migrate(path, Proxy(path, path + ".to"))
    expect("the migration", setup.wait_end()["status"], "failed")
    if setup.version < (8, 0):
        # A thread of QEMU 7.2 still reads from the closed connection, which keeps it open
        destination.kill()
    else:
        wait_for("exit of the destination", destination.ended, 60)
    expect_message("cannot save the VF")
    set_link(setup.guest.device, "up")
    setup.run_rounds(1)
    setup.gaps[-1] = (began, time.monotonic() * 1000)


CASES = {
    "move": move,
    "move-compare": move_compare,
    "ten-moves": ten_moves,
    "reboot": reboot,
    "cancel": qemu.cancel,
    "cancel-data": stopped(qemu.cancel_data),
    "kill-destination-early": kill_destination_early,
    "kill-destination": stopped(qemu.kill_destination),
    "kill-source-early": kill_source_early,
    "kill-source": qemu.kill_source,
    "destination-down": stopped(destination_down),
    "source-down": source_down,
}


def main(kernel, programs, folder, program, iommu, peer, first, second, *cases):
    return qemu.run_cases(lambda: Setup(kernel, programs, program, iommu, peer, first, second),
                          cases, CASES, folder)


sys.exit(main(*sys.argv[1:]))
