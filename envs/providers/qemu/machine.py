"""One virtual machine: QEMU in a sandbox, and how to reach it.

QEMU runs in its own bubblewrap, as the local provider's programs do. It sees /usr, its disks, and a small folder for
its sockets. Its user network ends in the sandbox's network. That is empty, or has slirp4netns without the host's
loopback if the machine may use the network. So the guest's 10.0.2.2, which is the host's loopback under a QEMU without
a sandbox, is the sandbox's here. The controller connects through `porter` and needs no port of the host.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deskbench.envs import wait
from deskbench.envs.errors import EnvError, StartError, UsageError
from deskbench.envs.providers import ids
from deskbench.envs.providers.leftovers import PREFIX, own
from deskbench.envs.providers.qemu import porter as qemu_porter
from deskbench.envs.providers.qemu.image import HOME
from deskbench.envs.providers.qemu.qmp import Command, Event, MonitorAbsentError, execute
from deskbench.envs.providers.sandbox import (
    SLIRP_DNS,
    end_network,
    join_network,
    kill_sandbox,
    masks,
    namespaces,
    system_folders,
)

QEMU = "qemu-system-x86_64"
INSIDE = "/run/machine"
"""The path of a machine's folder in its sandbox."""
PORTER = Path(qemu_porter.__file__)
AS_USER = ("/usr/bin/setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs", "--")
SERVER = 5000
MONITOR_SECONDS = 30.0
ANSWER_SECONDS = 10.0
SCREEN_SECONDS = 5.0
LOG_LINES = 15
LOG_BYTES = 16384
PICTURES = HOME / "failed"
"""The folder for screenshots of machines that failed to start."""

_spawner = ThreadPoolExecutor(1, thread_name_prefix="machine")


@dataclass(frozen=True)
class Accelerator:
    """What executes the guest's instructions: QEMU's names for the accelerator and the processor."""

    name: str
    cpu: str


TCG = Accelerator("tcg,thread=multi", "max")
# On some processors, the host CPU model needs a register (MSR 0x10a) that a nested KVM lacks.
KVM = Accelerator("kvm", "host,-arch-capabilities")


@dataclass(frozen=True)
class Boot:
    """A kernel that QEMU starts without firmware: its file, its initramfs and its command line."""

    kernel: Path
    first_files: Path
    line: str


@dataclass(frozen=True)
class Plan:
    """What a machine is made of.

    Attributes:
        accelerator: the faster one, as measured.
        memory: megabytes.
        processors: how many.
        disk: qcow2; written to only if `kept`. Otherwise QEMU puts all changes in an unnamed temporary file.
        sees: other files and folders that QEMU reads, such as the disk's backing file.
        boot: the kernel to start; None lets the firmware start what is on the disk.
        ram: a file that is the machine's memory; written to only if `kept`.
        kept: the machine becomes a snapshot.
        incoming: wait for a saved state (`migrate-incoming`) instead of booting.
        network: the machine's user network leads to the internet.
        ports: the machine's ports that the controller can connect to.
        firmware: UEFI's code and variables, or None for a BIOS.
        scsi: attach the disk as OSWorld's images expect it, not in the way that boots fastest.
    """

    accelerator: Accelerator
    memory: int
    processors: int
    disk: Path | None = None
    sees: tuple[Path, ...] = ()
    boot: Boot | None = None
    ram: Path | None = None
    kept: bool = False
    incoming: bool = False
    network: bool = False
    ports: tuple[int, ...] = (SERVER,)
    firmware: tuple[Path, Path] | None = None
    scsi: bool = False


class Machine:
    """A running QEMU.

    Args:
        plan: what it is made of.
        tokens: for the server, in the form that it reads from standard input. The guest's root can read them.

    Raises:
        UsageError: this machine cannot make a sandbox or a network; the message gives the fix.
    """

    def __init__(self, plan: Plan, tokens: bytes = b"") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}vm-"))
        self.name = f"qemu-{self.folder.name[len(PREFIX) + 3 :]}"
        self.plan = plan
        self._lock = threading.Lock()
        own(self.folder)
        (self.folder / "tokens").touch(mode=0o600)
        (self.folder / "tokens").write_bytes(tokens or b"{}")
        if plan.firmware is not None:
            shutil.copyfile(plan.firmware[1], self.folder / "variables")
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(ANSWER_SECONDS)
        try:
            with far:
                self.process, self.network = _spawner.submit(_spawn, self.folder, plan, far.fileno()).result()
        except BaseException:
            self._control.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, port: int = SERVER) -> socket.socket:
        """Connect to one of the machine's ports; `Client` takes this as `connect`.

        Raises:
            OSError: the machine has ended, or nothing listens on the port.
        """
        with self._lock:
            try:
                self._control.send(qemu_porter.REQUEST.pack(port))
                said, descriptors, _, _ = socket.recv_fds(self._control, 256, 1)
            except TimeoutError:
                self._control.close()  # a late answer must not be mistaken for the next one
                raise
            except OSError:
                # Do not pass the error on: urllib3 cannot handle a reset before the connection is open.
                raise ConnectionError(f"port {port}: the machine has ended") from None
        if descriptors:
            made = socket.socket(fileno=descriptors[0])
            made.setblocking(True)  # the porter's connect timeout left it non-blocking
            return made
        raise ConnectionError(f"port {port}: {said.decode('utf-8', 'replace') or 'the machine has ended'}")

    def monitor(self, *commands: Command, awaited: Event | None = None, seconds: float = MONITOR_SECONDS) -> list[Any]:
        """Run commands of QEMU's monitor and, if `awaited` is given, wait for that event.

        Raises:
            MonitorError: QEMU refused one, took too long, or has ended.
        """
        return wait.retry(
            lambda: execute(self.folder / "monitor", commands, awaited, seconds), MonitorAbsentError,
            timeout=seconds, max_interval=0.02, final=lambda _: self.ended,
        )  # fmt: skip

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether QEMU has ended."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """The ends of the guest's serial console and of QEMU's own output."""
        parts = [_tail(self.folder / "serial"), _tail(self.folder / "log")]
        return "\n".join(part for part in parts if part)

    def picture(self) -> Path | None:
        """Save a screenshot of the machine for people to look at; None if there is no screen any more."""
        with contextlib.suppress(EnvError):
            self.monitor(("screendump", {"filename": f"{INSIDE}/screen.png", "format": "png"}))
            made = self.folder / "screen.png"
            if wait.until(lambda: made.exists() and made.stat().st_size > 0, timeout=SCREEN_SECONDS):
                PICTURES.mkdir(parents=True, exist_ok=True)
                kept = PICTURES / f"{self.name}.png"
                shutil.copyfile(made, kept)
                return kept
        return None

    def fault(self, why: str) -> StartError:
        """An error with the last state seen of this machine, which still runs or has just ended."""
        if self.ended:
            why = f"{why}; QEMU ended with status {self.process.returncode}"
        seen = self.picture()
        shown = f"\n(its screen: {seen})" if seen else ""
        return StartError(f"{self.name} did not start: {why}\n{self.last_words()}{shown}")

    def sandbox_fault(self) -> UsageError | None:
        """The sandbox's error, if that is why QEMU does not run."""
        said = _tail(self.folder / "log")
        if self.ended and "bwrap:" in said:
            return UsageError(
                f"this machine does not let bubblewrap create namespaces ({said.splitlines()[-1]}); allow unprivileged "
                "user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)"
            )
        return None

    def end(self) -> None:
        """Kill QEMU and leave nothing behind."""
        self._control.close()
        kill_sandbox(self.process)
        if self.network is not None:
            end_network(self.network)
        shutil.rmtree(self.folder, ignore_errors=True)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line.rstrip() for line in lines[-LOG_LINES:] if line.strip())


def _spawn(folder: Path, plan: Plan, control: int) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes] | None]:
    read, write = os.pipe() if plan.network else (-1, -1)
    info = ["--info-fd", str(write)] if plan.network else []
    chosen = _ids()
    inside = [*(AS_USER if chosen else ()), "/usr/bin/python3", "-I", "-S", "/run/porter.py", str(control)]
    command = ["bwrap", *info, *_sandbox(folder, plan, chosen), "--", *inside, *qemu_command(plan)]
    with (folder / "log").open("wb") as log, ids.entry(chosen) as entry:
        process = subprocess.Popen(
            entry.command(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            pass_fds=(control, *entry.descriptors, *((write,) if plan.network else ())),
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
        )  # fmt: skip
        try:
            entry.map(process)
            return process, join_network(read, write, folder) if plan.network else None
        except BaseException:
            kill_sandbox(process)
            raise


def _ids() -> ids.Ids | None:
    """The ids that QEMU runs under. Root gives it an id that owns nothing, so that an escape from the machine gains
    nothing.

    For an ordinary user it is None: QEMU runs under the user's own id. Root owns the files that are mounted into the
    sandbox, so the process that prepares it stays root there.
    """
    found = ids.allocate() if os.geteuid() == 0 else None
    return None if found is None else replace(found, server=0, group=ids.MACHINES)


def _give(chosen: ids.Ids, folder: Path, plan: Plan) -> None:
    """Let QEMU open what it writes: its folder, and files that are kept."""
    for path in (folder, *folder.iterdir()):
        if path.name not in ("log", "owner"):
            os.chown(path, chosen.programs, ids.MACHINES)
    for kept in (plan.ram, plan.disk if plan.kept else None):
        if kept is not None:
            os.chown(kept, 0, ids.MACHINES)
            kept.chmod(0o660)


def _kvm(chosen: ids.Ids | None, folder: Path) -> Path:
    """The device that QEMU opens for KVM; if only root may open that, a new node for the same device."""
    device = Path("/dev/kvm")
    if chosen is None or not device.exists():
        return device
    own = folder / "kvm"
    os.mknod(own, stat.S_IFCHR | 0o600, device.stat().st_rdev)
    return own


def _sandbox(folder: Path, plan: Plan, chosen: ids.Ids | None) -> list[str]:
    (folder / "resolv.conf").write_text(f"nameserver {SLIRP_DNS}\n" if plan.network else "")
    kvm = _kvm(chosen, folder)
    if chosen is not None:
        _give(chosen, folder, plan)
    options = [
        *namespaces(chosen, ("CAP_SETUID", "CAP_SETGID")), "--hostname", "machine", "--new-session",
        "--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr", *system_folders(), "--proc", "/proc", *masks(),
        "--dev", "/dev", "--dev-bind-try", str(kvm), "/dev/kvm", "--perms", "1777", "--tmpfs", "/tmp",
        "--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/run", "--bind", str(folder), INSIDE,
        "--ro-bind", str(PORTER), "/run/porter.py", "--ro-bind", str(folder / "resolv.conf"), "/etc/resolv.conf",
        "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "TMPDIR", INSIDE,
    ]  # fmt: skip
    for name in ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"):
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    read = [*plan.sees, *(plan.firmware or ())]
    if plan.boot is not None:
        read += [plan.boot.kernel, plan.boot.first_files]
    write = [plan.ram] if plan.ram is not None else []  # opened for writing, but mapped privately unless kept
    if plan.disk is not None:
        (write if plan.kept else read).append(plan.disk)
    for option, paths in (("--ro-bind", read), ("--bind", write)):
        for path in paths:
            for parent in reversed(path.parents[:-1]):
                options += ["--perms", "0755", "--dir", str(parent)]
            options += [option, str(path), str(path)]
    return options


def qemu_command(plan: Plan) -> list[str]:
    """QEMU's command line, with paths as seen in its sandbox."""
    backend = f"memory-backend-file,id=ram,size={plan.memory}M,mem-path={plan.ram},share={_switch(plan.kept)}"
    command = [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "std",
        "-M", f"{'q35' if plan.scsi else 'pc'},memory-backend=ram", "-accel", plan.accelerator.name,
        "-cpu", plan.accelerator.cpu, "-smp", str(plan.processors), "-m", str(plan.memory),
        "-object", backend if plan.ram else f"memory-backend-ram,id=ram,size={plan.memory}M",
        "-qmp", f"unix:{INSIDE}/monitor,server=on,wait=off", "-serial", f"file:{INSIDE}/serial",
        "-netdev", _user_network(plan), "-device", "virtio-net-pci,netdev=net,romfile=",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny",
    ]  # fmt: skip
    if plan.boot is not None:
        command += [
            "-kernel", str(plan.boot.kernel), "-initrd", str(plan.boot.first_files), "-append", plan.boot.line,
            "-fw_cfg", f"name=opt/deskbench/tokens,file={INSIDE}/tokens",
            "-serial", f"unix:{INSIDE}/console,server=on,wait=off",
        ]  # fmt: skip
    if plan.disk is not None:
        command += _disk(plan)
    if plan.firmware is not None:
        for file, switch in ((plan.firmware[0], "on"), (Path(INSIDE, "variables"), "off")):
            command += ["-drive", f"if=pflash,format=raw,file={_escaped(file)},readonly={switch}"]
    if plan.scsi:
        command += ["-device", "qemu-xhci", "-device", "usb-tablet"]
    return [*command, "-incoming", "defer"] if plan.incoming else command


def _disk(plan: Plan) -> list[str]:
    """The disk's options. Nothing on it outlives the machine, so no flush is worth its time."""
    assert plan.disk is not None
    drive = f"file={_escaped(plan.disk)},if=none,id=disk,cache=unsafe,snapshot={_switch(not plan.kept)}"
    if plan.scsi:
        return ["-drive", drive, "-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,drive=disk,bus=scsi.0"]
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk"]


def _user_network(plan: Plan) -> str:
    forwards = [f"hostfwd=tcp:127.0.0.1:{port}-:{port}" for port in plan.ports]
    return ",".join(["user,id=net", f"restrict={_switch(not plan.network)}", *forwards])


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _escaped(path: Path) -> str:
    """A path for QEMU's options, where a doubled comma stands for one."""
    return str(path).replace(",", ",,")


@functools.cache
def qemu_version() -> str:
    """QEMU's version, in its own words.

    Raises:
        UsageError: QEMU or bubblewrap is not installed; the message gives the fix.
    """
    needs = {QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "bwrap": "bubblewrap"}
    missing = [package for program, package in needs.items() if shutil.which(program) is None]
    if missing:
        raise UsageError(f"virtual machines need: apt-get install --no-install-recommends {' '.join(missing)}")
    return subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def run_tool(command: Sequence[str]) -> None:
    """Run a short command of QEMU's tools.

    Raises:
        StartError: it failed; the message has its error output.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartError(f"{command[0]}: {done.stderr.strip()}")
