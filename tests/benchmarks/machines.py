"""Marks of the qemu provider, compared with a boot through QEMU's command line."""

import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deskbench.envs import wait
from deskbench.envs.clients.http import Client, new_tokens
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import EnvError
from deskbench.envs.providers.qemu.image import VmImage, build_vm, first_files
from deskbench.envs.providers.qemu.machine import QEMU
from deskbench.envs.providers.qemu.provider import QemuProvider, plan_of
from deskbench.envs.providers.qemu.speed import Speed, speed
from tests.benchmarks.arms import Row, free_port, limit_row, ratio_row

SPEC = DesktopSpec()
BOOTS, RESTORES = 3, 3
"""Number of boots by hand, and of restores between two boots."""


def machines() -> list[Row]:
    """A start, which restores a snapshot, and a boot by hand."""
    image = build_vm("light", print)
    pace = speed(image)
    answered, shown, booted, ends = [], [], [], []
    provider = QemuProvider()
    try:
        provider.stop(provider.start(SPEC))  # make sure that the snapshot exists
        for _ in range(BOOTS):
            booted.append(_by_hand(image, pace))
            for _ in range(RESTORES):
                began = time.perf_counter()
                desktop = provider.start(SPEC)  # returns after its server has answered
                answered.append(time.perf_counter() - began)
                assert desktop.observe().settled
                shown.append(time.perf_counter() - began)
                began = time.perf_counter()
                provider.stop(desktop)
                ends.append(time.perf_counter() - began)
    finally:
        provider.close()
    ours, theirs = statistics.median(answered), statistics.median(booted)
    name = f"virtual machine ({pace.accelerator.name})"
    return [
        limit_row(f"{name}, restore to first settled screenshot", statistics.median(shown), "s", 2),
        ratio_row(f"{name}, restore to first answer, beside its boot by hand", ours * 1e3, theirs * 1e3, 30),
        limit_row("virtual machine, removal", statistics.median(ends), "s", 0.3),
    ]


def _by_hand(image: VmImage, pace: Speed) -> float:
    with tempfile.TemporaryDirectory(prefix="deskbench-by-hand-") as folder:
        tokens = new_tokens()
        Path(folder, "tokens").write_text(json.dumps(tokens) + "\n")
        Path(folder, "first").write_bytes(first_files(image))
        port = free_port()
        began = time.perf_counter()
        with _qemu(image, pace, Path(folder), port):
            client = Client("by-hand", f"http://127.0.0.1:{port}", token=tokens["control_token"])
            client.answer_seconds = 2.0

            def answers() -> bool:
                try:
                    return bool(client.health())
                except EnvError:
                    return False

            assert wait.until(answers, timeout=300, max_interval=0.1), "the machine did not come up"
            took = time.perf_counter() - began
            client.close()
    return took


@contextlib.contextmanager
def _qemu(image: VmImage, pace: Speed, folder: Path, port: int) -> Iterator[None]:
    plan = plan_of(image, SPEC, pace)
    assert plan.boot is not None
    process = subprocess.Popen(
        [
            QEMU, "-M", "pc", "-accel", plan.accelerator.name, "-cpu", plan.accelerator.cpu,
            "-smp", str(plan.processors), "-m", str(plan.memory), "-nodefaults", "-display", "none", "-vga", "std",
            "-drive", f"file={image.disk},if=virtio,snapshot=on", "-kernel", str(image.kernel),
            "-initrd", str(folder / "first"), "-append", plan.boot.line,
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5000",
            "-device", "virtio-net-pci,netdev=net", "-serial", f"file:{folder / 'serial'}", "-serial", "null",
            "-fw_cfg", f"name=opt/deskbench/tokens,file={folder / 'tokens'}",
        ],
        stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        yield
    finally:
        process.kill()
        process.wait()
