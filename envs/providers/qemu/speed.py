"""How fast this machine runs virtual machines, with KVM or without: measured once, by booting a kernel.

A /dev/kvm does not always work well: under some hypervisors, a guest's kernel never comes up with it, or more slowly
than without. So the image's kernel is booted both ways up to its first program, and the faster way is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.errors import StartError
from deskbench.envs.providers.qemu.image import HOME, VmImage, first_files, locked
from deskbench.envs.providers.qemu.machine import KVM, TCG, Accelerator, Boot, Machine, Plan, qemu_version

PROBE_SECONDS = 120.0
SWIFT = 0.5
"""Seconds that the same boot takes on a machine of 2023 with KVM, whose patience is 1."""
MEMORY = 256


@dataclass(frozen=True)
class Speed:
    """The measurements.

    Attributes:
        accelerator: the faster one.
        seconds: from the start of QEMU to the kernel's first program, with that accelerator.
        tcg_seconds: the same without KVM.
        kvm: why KVM is not used, or "" if it is.
    """

    accelerator: Accelerator
    seconds: float
    tcg_seconds: float
    kvm: str

    @property
    def patience(self) -> float:
        """The factor for time limits."""
        return max(1.0, self.seconds / SWIFT)


def speed(image: VmImage) -> Speed:
    """This machine's speed, saved or measured now, which takes a few seconds.

    Raises:
        StartError: the kernel does not come up at all; the message has its output.
    """
    with locked("speed"):
        key, known = _key(image), HOME / "speed.json"
        try:
            saved = json.loads(known.read_text(encoding="utf-8"))
            if saved.pop("key") == key:
                return Speed(KVM if not saved["kvm"] else TCG, **saved)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        found = _measure(image)
        values = {name: value for name, value in vars(found).items() if name != "accelerator"}
        known.write_text(json.dumps({"key": key, **values}), encoding="utf-8")
    return found


def _key(image: VmImage) -> str:
    """A key for what the result depends on: QEMU, the kernels of host and guest, the processor, and access to KVM."""
    parts = [qemu_version(), image.digest, platform.release(), platform.machine(), _processor(), _refusal()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), "")


def _refusal() -> str:
    """Why KVM cannot be used, or an empty string."""
    device = Path("/dev/kvm")
    if not device.exists():
        return "there is no /dev/kvm"
    if not os.access(device, os.R_OK | os.W_OK):
        return "you may not open /dev/kvm: add yourself to its group (usermod -aG kvm)"
    return ""


def _measure(image: VmImage) -> Speed:
    with tempfile.TemporaryDirectory(prefix="deskbench-probe-") as folder:
        files = Path(folder, "first")
        files.write_bytes(first_files(image))
        boot = Boot(image.kernel, files, "console=ttyS0 panic=-1 -- probe")
        tcg, said = _probe(boot, TCG, PROBE_SECONDS)
        if tcg is None:
            raise StartError(f"the kernel of {image.folder} does not boot without KVM: {said}")
        why = _refusal()
        if not why:
            kvm, said = _probe(boot, KVM, tcg)
            if kvm is not None:
                return Speed(KVM, kvm, tcg, "")
            why = f"/dev/kvm exists, but it is no faster: {said}"
    return Speed(TCG, tcg, tcg, why)


def _probe(boot: Boot, accelerator: Accelerator, limit: float) -> tuple[float | None, str]:
    """Seconds until the first program runs (it reboots, which ends QEMU), or None and the reason."""
    began = time.monotonic()
    machine = Machine(Plan(accelerator, MEMORY, 1, boot=boot))
    try:
        wait.until(lambda: machine.ended, timeout=limit, max_interval=0.01)
        took = time.monotonic() - began
        said = (machine.last_words().splitlines() or ["it said nothing"])[-1]
        if not machine.ended:
            return None, f"a kernel did not boot within {took:.1f} s"
        if fault := machine.sandbox_fault():
            raise fault
        return (took, "") if machine.process.returncode == 0 else (None, said)
    finally:
        machine.end()
