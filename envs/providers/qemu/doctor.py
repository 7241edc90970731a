"""Checks what the qemu provider needs on this machine, each check with its fix."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from deskbench.envs.desktop import Check, Provider
from deskbench.envs.errors import DeskbenchError
from deskbench.envs.providers.doctor import try_desktop
from deskbench.envs.providers.qemu.image import HOME, VmImage
from deskbench.envs.providers.qemu.machine import qemu_version
from deskbench.envs.providers.qemu.speed import speed

LEAST_DISK, LEAST_MEMORY = 4 * 2**30, 2 * 2**30
"""Bytes. An image takes 1 GB and a snapshot half of that; a machine takes what its guest touches, 1 GiB or more."""


def examine(provider: Provider, image: VmImage | None, disk: Path | None) -> list[Check]:
    """Run every check. The last one starts a desktop of our image; other disks are not booted, because that takes
    minutes.
    """
    checks = [Check("qemu", True, qemu_version()), _room(), _memory()]
    if image is None:
        return [*checks, Check("disk", True, str(disk))]
    checks += [Check("image", True, f"{image.programs} {image.digest[:19]}"), *_speed(image)]
    if not any(check.fails for check in checks):
        checks.append(try_desktop(provider))
    return checks


def _speed(image: VmImage) -> list[Check]:
    """Measure the machine's speed. Being slow without KVM is not a failure."""
    try:
        found = speed(image)
    except DeskbenchError as error:
        return [
            Check("speed", False, str(error), "read QEMU's output there; apt-get install --reinstall qemu-system-x86")
        ]
    used = f"a kernel boots in {found.seconds:.1f} s; time limits are {found.patience:.1f} times as long as usual"
    kvm = f"used ({found.tcg_seconds / found.seconds:.1f} times as fast as without)" if not found.kvm else found.kvm
    return [Check("kvm", True, kvm), Check("speed", True, used)]


def _room() -> Check:
    HOME.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(HOME).free
    detail = f"{free / 2**30:.1f} GB free in {HOME}"
    fix = "" if free >= LEAST_DISK else "free up 4 GB or more"
    return Check("disk space", free >= LEAST_DISK, detail, fix, weight="note")


def _memory() -> Check:
    free = psutil.virtual_memory().available
    enough = free >= LEAST_MEMORY
    detail = f"{free / 2**30:.1f} GB free"
    return Check("memory", enough, detail, "" if enough else "end other programs", weight="note")
