"""Desktops in virtual machines, run by QEMU: with KVM where it is faster, without it elsewhere.

`qemu` starts our image (`deskbench image build --vm`). The first start of a screen size boots it and saves its memory;
later starts restore that. `qemu:FILE.qcow2` boots any disk that answers OSWorld's routes on port 5000, such as
OSWorld's own Ubuntu and Windows. All changes are thrown away.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.clients.http import ANSWER_SECONDS, Client, Forward, new_tokens
from deskbench.envs.clients.osworld import OsworldClient
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import EnvError, GuestError, StartError, UsageError
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.leftovers import sweep
from deskbench.envs.providers.payload import session_arguments
from deskbench.envs.providers.qemu import qmp as qemu_qmp
from deskbench.envs.providers.qemu.image import VmImage, find_image
from deskbench.envs.providers.qemu.machine import KVM, SERVER, TCG, Boot, Machine, Plan, qemu_version, run_tool
from deskbench.envs.providers.qemu.snapshot import Snapshot, forget, restore, snapshot
from deskbench.envs.providers.qemu.speed import Speed, speed

MEMORY = {"light": 1024, "full": 3072}
"""Megabytes of memory by list of programs. A machine takes only what it touches."""
PROCESSES = {"light": 600, "full": 1500}
"""The most processes and threads of the machine's user; more would not fit in its memory."""
PROCESSORS = 2
BOOT_SECONDS, RESUME_SECONDS = 30.0, 10.0
"""Seconds, to be multiplied by the machine's patience."""
DISK_MEMORY, DISK_PROCESSORS = 4096, 4
"""Megabytes and processors of OSWorld's machines, as its docker provider sets them."""
DISK_PORTS = (SERVER, 9222, 8006, 8080)
"""Server, browser, screen and player: the ports that OSWorld's docker provider publishes."""
DISK_SECONDS, DISK_SECONDS_WITHOUT_KVM = 300.0, 1800.0
"""Seconds that such a machine may take to answer: OSWorld's own limit, and six times that without KVM."""
FIRMWARE = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
)
"""UEFI's files in the ovmf package of Debian and Ubuntu."""
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649").bytes_le
"""GPT partition types: the one that UEFI boots from, and the one that GRUB needs to boot from a BIOS."""


class QemuDesktop(Client):
    """A desktop in one of our machines."""

    def __init__(self, machine: Machine, tokens: Mapping[str, str], patience: float = 1.0) -> None:
        super().__init__(machine.name, token=tokens.get("control_token"), connect=partial(machine.connect, SERVER))
        self.machine, self.tokens, self.patience = machine, dict(tokens), patience
        self.answer_seconds = ANSWER_SECONDS * patience

    def resume(self, *, network: bool, tokens: bool) -> None:
        """Give a restored machine its own tokens (or none), clock, random numbers and network (or none).

        Raises:
            EnvError: its server failed to do so.
        """
        fresh = new_tokens()
        body = {**fresh, "time": time.time(), "entropy": os.urandom(64).hex(), "network": network, "open": not tokens}
        self._send("POST", "/v1/resume", timeout=RESUME_SECONDS * self.patience, json=body)
        self.tokens = fresh
        self._token = fresh["control_token"]


class DiskDesktop(OsworldClient):
    """A machine from a user's disk, on which OSWorld's server answers."""

    def __init__(self, machine: Machine, forwards: Mapping[int, Forward]) -> None:
        ports = {port: forward.address for port, forward in forwards.items()}
        super().__init__(machine.name, f"http://{ports[SERVER]}", ports)
        self.machine, self._ways = machine, tuple(forwards.values())

    def close(self) -> None:
        """Close the connections and the forwarded ports."""
        super().close()
        for way in self._ways:
            way.close()


class QemuProvider:
    """Starts virtual machines; `deskbench.envs.providers.pool` keeps one warm.

    Args:
        image: light (also for "") or full, or the path of a qcow2 file.
        disk_seconds: how long such a disk may take until its first screenshot; None for the default of minutes.

    Raises:
        UsageError: a program, a library or the image is missing; the message gives the fix.
    """

    name = "qemu"
    capacity: int | None = None

    def __init__(self, image: str = "", *, disk_seconds: float | None = None) -> None:
        qemu_version()
        self._disk_seconds = disk_seconds
        qemu_qmp.available()
        self._disk = Path(image).expanduser() if image not in ("", *images.PROGRAMS) else None
        if self._disk is not None and not self._disk.is_file():
            raise UsageError(f"provider qemu: {image} is neither a file nor one of {', '.join(images.PROGRAMS)}")
        self._image = find_image(image or "light") if self._disk is None else None
        self.platform: str | None = None if self._image is None else "Linux"
        self._running: dict[str, tuple[Client, Machine]] = {}
        self._lock = threading.Lock()
        sweep()

    def describe(self) -> dict[str, str]:
        """The image's name and digest, or the disk; and QEMU's version."""
        if self._image is None:
            return {"disk": str(self._disk), "qemu": qemu_version()}
        return {"image": self._image.programs, "digest": self._image.digest, "qemu": qemu_version()}

    def start(self, spec: DesktopSpec) -> Client:
        """Start a fresh machine.

        Raises:
            StartError: it did not start; has the end of its serial console and the path of a screenshot.
            UsageError: this machine cannot do it; the message gives the fix.
        """
        if not spec.isolated:
            raise UsageError("a virtual machine always runs in a sandbox: leave out --unisolated")
        desktop, machine = self._start(self._image, spec) if self._image is not None else self._start_disk(spec)
        with self._lock:
            self._running[desktop.name] = (desktop, machine)
        return desktop

    # -- our image ------------------------------------------------------------------------------------------------

    def _start(self, image: VmImage, spec: DesktopSpec) -> tuple[Client, Machine]:
        pace = speed(image)
        plan = plan_of(image, spec, pace)
        saved = snapshot(image, plan, partial(_settle, pace=pace))
        try:
            return _restored(saved, plan, spec, pace)
        except StartError:
            forget(saved)  # one of its files may be broken: a new snapshot will tell
            return _restored(snapshot(image, plan, partial(_settle, pace=pace)), plan, spec, pace)

    # -- a disk ---------------------------------------------------------------------------------------------------

    def _start_disk(self, spec: DesktopSpec) -> tuple[Client, Machine]:
        assert self._disk is not None
        if isinstance(spec.network, tuple):
            raise UsageError("a machine from a disk has the whole network or none: a list of hosts needs our server")
        machine = Machine(disk_plan(self._disk, network=spec.network == "full"))
        forwards = {port: Forward(partial(machine.connect, port)) for port in DISK_PORTS}
        desktop = DiskDesktop(machine, forwards)
        try:
            _await_disk(machine, desktop, self._disk_seconds)
        except BaseException:
            desktop.close()
            machine.end()
            raise
        return desktop, machine

    def stop(self, desktop: Desktop) -> None:
        """End a machine; all changes in it are lost."""
        with self._lock:
            found = self._running.pop(desktop.name, None)
        if found is not None:
            found[0].close()
            found[1].end()

    def close(self) -> None:
        """End every machine that this provider started."""
        for desktop, _ in list(self._running.values()):
            self.stop(desktop)

    def doctor(self) -> list[Check]:
        """What this machine has and lacks; starts a desktop to prove it."""
        from deskbench.envs.providers.qemu.doctor import examine

        return examine(self, self._image, self._disk)


def plan_of(image: VmImage, spec: DesktopSpec, pace: Speed) -> Plan:
    """The plan for a spec's machine, without disk and memory."""
    # The kernel passes what it does not know to init: NAME=value as environment, the rest as arguments.
    style = f"DESKBENCH_SESSION={images.SESSIONS[image.programs]} DESKBENCH_PROCESSES={PROCESSES[image.programs]}"
    line = f"console=tty0 console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off {style} -- "
    arguments = [*session_arguments(replace(spec, tokens=True)), "--patience", f"{pace.patience:.0f}"]
    boot = Boot(image.kernel, Path(), line + " ".join(arguments))
    processors = min(PROCESSORS, os.cpu_count() or 1)
    network = spec.network == "full"
    return Plan(pace.accelerator, MEMORY[image.programs], processors, sees=(image.disk,), boot=boot, network=network)


def _settle(machine: Machine, tokens: dict[str, str], pace: Speed) -> None:
    """Wait until the desktop of a booting machine is up and quiet."""
    desktop = QemuDesktop(machine, tokens, pace.patience)
    try:
        _await_server(machine, desktop, BOOT_SECONDS * pace.patience)
        desktop.observe()
    except UsageError:
        raise
    except EnvError as error:
        raise machine.fault(str(error)) from None
    finally:
        desktop.close()


def _await_server(machine: Machine, desktop: Client, seconds: float) -> None:
    """Wait until the server in a machine answers.

    Raises:
        UsageError: the sandbox cannot be made.
        StartError: it does not answer; the message gives the last state seen.
    """
    patient, desktop.answer_seconds = desktop.answer_seconds, 2.0  # QEMU accepts connections before the guest does
    try:
        wait.retry(
            desktop.health, EnvError, timeout=seconds, interval=0.05, max_interval=0.2, final=lambda _: machine.ended
        )
    except EnvError as error:
        if fault := machine.sandbox_fault():
            raise fault from None
        why = f"{error}" if machine.ended else f"no answer within {seconds:.0f} s; last: {error}"
        raise StartError(why) from None
    finally:
        desktop.answer_seconds = patient


def _restored(saved: Snapshot, plan: Plan, spec: DesktopSpec, pace: Speed) -> tuple[Client, Machine]:
    machine = restore(saved, plan)
    desktop = QemuDesktop(machine, saved.tokens, pace.patience)
    try:
        desktop.resume(network=plan.network, tokens=spec.tokens)
        if isinstance(spec.network, tuple):
            desktop.allow(spec.network)
    except EnvError as error:
        fault = machine.fault(str(error))
        desktop.close()
        machine.end()
        raise fault from None
    except BaseException:
        desktop.close()
        machine.end()
        raise
    return desktop, machine


# -- disks --------------------------------------------------------------------------------------------------------


def disk_plan(disk: Path, *, network: bool, firmwares: Sequence[tuple[Path, Path]] = FIRMWARE) -> Plan:
    """A machine for a disk, like the one that OSWorld's docker provider makes; `firmwares` lists where UEFI may be.

    Raises:
        UsageError: the disk needs UEFI, which is missing here; the message gives the fix.
    """
    firmware = None
    if needs_uefi(disk):
        firmware = next((pair for pair in firmwares if all(file.exists() for file in pair)), None)
        if firmware is None:
            raise UsageError(f"{disk} needs UEFI to boot: apt-get install ovmf")
    accelerator = KVM if os.access("/dev/kvm", os.R_OK | os.W_OK) else TCG
    with contextlib.suppress(UsageError):  # without one of our images, nothing can be measured
        accelerator = speed(find_image()).accelerator
    processors = min(DISK_PROCESSORS, os.cpu_count() or 1)
    return Plan(
        accelerator, DISK_MEMORY, processors, disk=disk.resolve(), network=network, ports=DISK_PORTS,
        firmware=firmware, scsi=True,
    )  # fmt: skip


def needs_uefi(disk: Path) -> bool:
    """Whether the disk's GPT (a format of UEFI's) has a partition for UEFI and none for a BIOS.

    Raises:
        UsageError: QEMU cannot read the disk.
    """
    with tempfile.TemporaryDirectory(prefix="deskbench-gpt-") as folder:
        head = Path(folder, "head")
        try:
            run_tool(["qemu-img", "dd", "-O", "raw", "bs=512", "count=34", f"if={disk}", f"of={head}"])
        except StartError as error:
            raise UsageError(f"cannot read {disk} as a disk: {error}") from None
        data = head.read_bytes()
    if data[512:520] != b"EFI PART" or len(data) < 34 * 512:
        return False
    count, size = struct.unpack_from("<II", data, 512 + 80)
    types = {data[start : start + 16] for start in range(1024, min(1024 + count * size, 34 * 512), max(size, 128))}
    return ESP in types and BIOS_BOOT not in types


def _await_disk(machine: Machine, desktop: DiskDesktop, seconds: float | None) -> None:
    """Wait until there is a screenshot, as OSWorld's own provider does."""
    emulated = machine.plan.accelerator == TCG
    seconds = seconds or (DISK_SECONDS_WITHOUT_KVM if emulated else DISK_SECONDS)

    def final(error: EnvError) -> bool:
        return machine.ended or _is_no_osworld(error)

    try:
        wait.retry(desktop.observe, EnvError, timeout=seconds, interval=0.2, max_interval=2.0, final=final)
    except EnvError as error:
        if fault := machine.sandbox_fault():
            raise fault from None
        if _is_no_osworld(error):
            raise machine.fault(f"what answers at port {SERVER} is not OSWorld's server: {error}") from None
        raise machine.fault(f"no screenshot within {seconds:g} s; last: {error}") from None


def _is_no_osworld(error: EnvError) -> bool:
    return isinstance(error, GuestError) and error.status == 404
