# SPDX-License-Identifier: GPL-2.0-only
"""
Run QEMU processes that migrate a nested guest between two devices, and inject failures
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import traceback

from common import DEADLINE, Failure, expect, wait_for
from stream import Proxy


class Qemu:
    """
    A QEMU process with a device. With the socket `incoming`, it waits for a migration; with
    `paused`, it does not start the guest afterwards.
    """
    all = []

    def __init__(self, setup, device, incoming=None, paused=False):
        Qemu.all.append(self)
        self.name = "%s/%02d-%s" % (setup.work, len(Qemu.all), "to" if incoming else "from")
        self.device = device
        monitor = self.name + ".monitor"
        vfio = "vfio-pci,id=device,host=%s,%s" % (device, setup.option)
        args = [setup.qemu, "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", "pc", "-accel", "tcg", *setup.arguments,
                "-serial", "file:%s.serial" % self.name,
                "-chardev", "socket,id=monitor,server=on,wait=off,path=%s" % monitor,
                "-mon", "chardev=monitor,mode=control"]
        if setup.iommu == "iommufd":
            args += ["-object", "iommufd,id=iommufd0"]
            vfio += ",iommufd=iommufd0"
        args += ["-device", vfio]
        if incoming:
            args += ["-incoming", "unix:" + incoming]
        if paused:
            args += ["-S"]
        self.monitor = None
        self.events = []
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
            self.events.append(message)

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

    def times(self, name):
        """Return the times of an event up to the last command, in ms of time.monotonic()"""
        offset = time.monotonic() - time.time()
        return [(event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6 + offset) * 1000
                for event in self.events if event["event"] == name]


class Setup:
    """
    The nested guest, and the QEMU process that runs it now. `arguments` are the
    arguments of QEMU for the guest.
    """

    def __init__(self, qemu, iommu, devices, arguments):
        self.qemu = qemu
        self.iommu = iommu
        self.devices = devices
        self.arguments = arguments
        version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
        self.version = tuple(map(int, re.search(r"version (\d+)\.(\d+)", version).groups()))
        self.option = "enable-migration=on"
        if self.version < (8, 0):
            self.option = "x-enable-migration=on"
        self.guest = None
        self.earlier_output = ""
        # 9p is unreliable for files that are read while they are written
        self.work = tempfile.mkdtemp(dir="/run")

    def boot(self):
        """Start a new guest with the first device"""
        self.earlier_output = ""
        self.guest = Qemu(self, self.devices[0])

    def other_device(self):
        return self.devices[self.guest.device == self.devices[0]]

    def start_destination(self, path, ack=False, paused=False):
        """Start a destination with the other device"""
        destination = Qemu(self, self.other_device(), path, paused)
        for qemu in self.guest, destination:
            qemu.capability("switchover-ack", ack)
        return destination

    def rounds(self):
        """Return the number of rounds of the guest; check its output"""
        raise NotImplementedError

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
        raise NotImplementedError

    def limit(self, bandwidth, downtime):
        self.guest.command("migrate-set-parameters", **{"max-bandwidth": bandwidth,
                                                        "downtime-limit": downtime})

    def progress(self):
        return self.guest.command("query-migrate")

    def wait_end(self):
        """Wait for the end of the migration and return its information"""
        return wait_for("end of the migration", lambda:
                        (info := self.progress())["status"] in ("completed", "failed", "cancelled")
                        and info)

    def wait_completed(self, destination, paused):
        """Wait until the destination runs or is paused; return the migration's information"""
        info = self.wait_end()
        if info["status"] != "completed":
            raise Failure("the status of the migration is %s: %s; destination: %s" % (
                info["status"], info.get("error-desc", self.guest.diagnostics()),
                destination.diagnostics()))
        expect("the state of the source", self.guest.status(), "postmigrate")
        wait_for("migrated guest", lambda: destination.status() != "inmigrate")
        expect("the state of the destination", destination.status(), "paused" if paused else "running")
        return info

    def finish(self):
        """Check what can be checked only at the end"""

    def end(self):
        """End processes other than QEMU"""

    def switch_to(self, destination):
        """Make the destination the current guest, and kill the source"""
        self.earlier_output += self.guest.guest_output()
        self.guest.kill()
        self.guest = destination


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


def run_cases(make_setup, cases, functions, folder):
    """
    Boot a guest, and run the functions of these cases. Print a result for each,
    and write the output of the guests and of QEMU to a folder. Return an exit status.
    """
    case = "boot"
    label = "QEMU"
    setup = None
    status = 0

    try:
        setup = make_setup()
        label = "QEMU %d.%d, %s" % (*setup.version, setup.iommu)
        setup.boot()
        setup.run_rounds(3)
        for number, case in enumerate(cases, 1):
            began = time.monotonic()
            note = functions[case](setup, "%s/%d" % (setup.work, number))
            setup.run_rounds(3)
            print("ok - %s, %s: the guest keeps running" % (label, case))
            print("# %.1f s%s" % (time.monotonic() - began, ": " + note if note else ""), flush=True)
        case = "end"
        setup.finish()
    except Exception as failure:
        print("not ok - %s, %s: the guest keeps running" % (label, case))
        if isinstance(failure, Failure):
            print("#   %s" % failure)
        else:
            print(re.sub("^", "#   ", traceback.format_exc(), flags=re.M))
        status = 1
    for process in Qemu.all:
        process.kill()
    if setup:
        setup.end()
        shutil.copytree(setup.work, folder, dirs_exist_ok=True,
                        ignore=lambda path, names: [name for name in names
                                                    if not name.endswith((".serial", ".errors"))])
    return status
