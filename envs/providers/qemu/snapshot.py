"""A machine's memory with the desktop up, saved so that a start is a restore.

The first start boots once and saves three files: the memory, the disk as of that moment, and the devices' state. A
restored machine maps the memory privately: it reads what it touches and keeps its changes to itself. So nothing is
copied, and machines of one snapshot share the memory that they do not change. Its disk is an unnamed overlay.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.clients.http import new_tokens
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.qemu.image import HOME, VmImage, first_files, locked
from deskbench.envs.providers.qemu.machine import INSIDE, Boot, Machine, Plan, qemu_version, run_tool
from deskbench.envs.providers.qemu.qmp import Command, Event

FOLDER = HOME / "snapshots"
KEPT = 8
"""How many snapshots to keep, counting other sizes and older sources. Each has a few hundred megabytes."""
SAVE_SECONDS, LOAD_SECONDS = 120.0, 30.0
UNHURRIED = 1 << 40
"""Bytes per second. QEMU's default limit is meant for a network."""

Settle = Callable[[Machine, dict[str, str]], None]
"""Waits until a booting machine has its desktop up, and leaves no connection behind.

Raises:
    StartError: it does not start.
"""


@dataclass(frozen=True)
class Snapshot:
    """A saved machine.

    Attributes:
        folder: the folder of its files.
        tokens: the tokens that it was booted with.
        boot_seconds: how long the boot took.
    """

    folder: Path
    tokens: dict[str, str]
    boot_seconds: float

    def plan(self, plan: Plan) -> Plan:
        """The plan of a machine that is restored from this snapshot."""
        return replace(plan, disk=self.folder / "disk.qcow2", ram=self.folder / "ram", boot=_boot(self.folder, plan))


def _boot(folder: Path, plan: Plan) -> Boot:
    assert plan.boot is not None
    return replace(plan.boot, first_files=folder / "first")


def snapshot(image: VmImage, plan: Plan, settle: Settle) -> Snapshot:
    """The snapshot for a plan. The first caller makes it.

    Args:
        image: its disk is the base.
        plan: without disk and memory; `boot` has the kernel and its command line.
        settle: waits until the desktop is up.

    Raises:
        StartError: the machine did not come up, or could not be saved.
    """
    files = first_files(image)
    name = _key(image, plan, files)
    found = _read(FOLDER / name)
    if found is None:
        with locked("snapshots"):  # one boot at a time: two would each take twice as long
            found = _read(FOLDER / name)
            if found is None:
                _make(FOLDER / name, image, plan, files, settle)
                found = _read(FOLDER / name)
                _prune()
    assert found is not None
    with contextlib.suppress(FileNotFoundError):  # somebody has just removed it; a restore will say so
        os.utime(found.folder)
    return found


def forget(bad: Snapshot) -> None:
    """Remove a snapshot that does not load, unless another has already replaced it."""
    with locked("snapshots"):
        if _read(bad.folder) == bad:
            shutil.rmtree(bad.folder, ignore_errors=True)


def _key(image: VmImage, plan: Plan, files: bytes) -> str:
    assert plan.boot is not None
    parts = [image.digest, hashlib.sha256(files).hexdigest(), qemu_version(), repr(plan.accelerator)]
    parts += [str(plan.memory), str(plan.processors), plan.boot.line]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _read(folder: Path) -> Snapshot | None:
    try:
        known = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
        return Snapshot(folder, known["tokens"], known["boot_seconds"])
    except (OSError, ValueError, KeyError):
        return None


def _make(folder: Path, image: VmImage, plan: Plan, files: bytes, settle: Settle) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=FOLDER, prefix=f".{folder.name}-"))  # readable only by us: it has tokens
    try:
        (made / "first").write_bytes(files)
        disk = made / "disk.qcow2"
        run_tool(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.disk), "-F", "qcow2", str(disk)])
        (made / "ram").touch()
        tokens = new_tokens()
        kept = replace(plan, disk=disk, ram=made / "ram", boot=_boot(made, plan), kept=True, network=False)
        began = time.monotonic()
        machine = Machine(kept, json.dumps(tokens).encode() + b"\n")
        try:
            settle(machine, tokens)
            took = time.monotonic() - began
            _save(machine, made / "state")
        finally:
            machine.end()
        # Free the pages that the guest has cleared; they are zeros in the file.
        subprocess.run(["fallocate", "--dig-holes", str(made / "ram")], check=False, stderr=subprocess.DEVNULL)
        (made / "snapshot.json").write_text(json.dumps({"tokens": tokens, "boot_seconds": took}), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _save(machine: Machine, into: Path) -> None:
    """Let QEMU stop the guest, write memory and disk to their files, and save the rest."""
    try:
        *_, told = machine.monitor(
            _capabilities("x-ignore-shared", "events"),
            ("migrate-set-parameters", {"max-bandwidth": UNHURRIED}),
            ("migrate", {"uri": f"exec:cat > {INSIDE}/state"}),
            awaited=Event("MIGRATION", ("completed", "failed")), seconds=SAVE_SECONDS,
        )  # fmt: skip
        if told["status"] == "completed":
            machine.monitor(("quit", {}), awaited=Event("SHUTDOWN"))  # QEMU then flushes its caches
    except EnvError as error:
        raise machine.fault(f"cannot save its memory: {error}") from None
    if told["status"] != "completed" or not wait.until(lambda: machine.ended, timeout=SAVE_SECONDS):
        raise machine.fault(f"its memory was not saved: {told['status']}")
    shutil.copyfile(machine.folder / "state", into)  # copy it to our own file: the machine could write to that one


def _capabilities(*names: str) -> Command:
    """The command for capabilities; x-ignore-shared leaves memory files out of the state (QEMU's
    docs/devel/migration.rst).
    """
    return "migrate-set-capabilities", {"capabilities": [{"capability": name, "state": True} for name in names]}


def restore(saved: Snapshot, plan: Plan) -> Machine:
    """Start a machine where the snapshot was taken; the guest runs when this returns.

    Args:
        saved: the snapshot.
        plan: as passed to `snapshot`, except for the network.

    Raises:
        StartError: it does not load.
    """
    machine = Machine(saved.plan(replace(plan, incoming=True)))
    try:
        shutil.copyfile(saved.folder / "state", machine.folder / "state")
        load = ("migrate-incoming", {"uri": f"exec:cat {INSIDE}/state"})
        machine.monitor(_capabilities("x-ignore-shared"), load, awaited=Event("RESUME"), seconds=LOAD_SECONDS)
    except (EnvError, OSError) as error:
        wait.until(lambda: machine.ended, timeout=0.5)
        fault = machine.sandbox_fault() or machine.fault(f"cannot load its snapshot: {error}")
        machine.end()
        raise fault from None
    except BaseException:
        machine.end()
        raise
    return machine


def _prune() -> None:
    """Keep the snapshots that were used last. Running machines keep the deleted files open."""
    there = [path for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for old in sorted(there, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
