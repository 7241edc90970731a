"""Marks of the docker provider, compared with the docker command; and a soak test of every provider."""

import contextlib
import dataclasses
import json
import os
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import psutil

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec, Provider
from deskbench.envs.providers.docker.provider import DEFAULT_IMAGE, LABEL, DockerProvider
from deskbench.envs.providers.leftovers import PREFIX
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.pool import Pool
from deskbench.envs.providers.qemu.image import build_vm
from deskbench.envs.providers.qemu.provider import QemuProvider
from deskbench.envs.providers.remote import RemoteProvider
from deskbench.envs.providers.wine import WineProvider
from tests.benchmarks.arms import ROUNDS, Row, limit_row
from tests.engine import docker_engine

SPEC = DesktopSpec()
RESETS = 50
GROWTH = 8.0
"""Megabytes by which the controller may grow during the resets: less than one screenshot's buffers for each."""


def containers() -> list[Row]:
    """A container's life, alternating with one made by hand."""
    found: list[tuple[float, float, float, float]] = []
    warm: list[float] = []
    with docker_engine():
        provider = DockerProvider()
        try:
            for number in range(ROUNDS + 1):
                start, end = _ours(provider)
                run, remove = _by_hand(number)
                if number:
                    found.append((start, end, run, remove))
            pool = Pool(provider)
            pool.stop(pool.start(SPEC))
            for _ in range(ROUNDS):
                pool.ready(SPEC)
                began = time.perf_counter()
                given = pool.start(SPEC)
                warm.append((time.perf_counter() - began) * 1e3)
                pool.stop(given)
            pool.close()
        finally:
            provider.close()
    starts, ends, bare, removed = (list(times) for times in zip(*found, strict=True))
    return [
        _beside("container, create to first settled screenshot", starts, "docker run true", bare, 1.5),
        _beside("container, removal", ends, "docker rm -f", removed, 0.3),
        limit_row("container, hand-over from the pool", statistics.median(warm), "ms", 50),
    ]


def _beside(name: str, ours: list[float], what: str, theirs: list[float], most: float) -> Row:
    mine, other = statistics.median(ours), statistics.median(theirs)
    return Row(name, f"{mine:.2f} s", f"{what}: {other:.2f} s", f"{mine:.2f} s", f"<= {most:g} s", mine <= most)


def _ours(provider: DockerProvider) -> tuple[float, float]:
    began = time.perf_counter()
    desktop = provider.start(SPEC)
    assert desktop.observe().settled
    seen = time.perf_counter()
    provider.stop(desktop)
    return seen - began, time.perf_counter() - seen


def _by_hand(number: int) -> tuple[float, float]:
    name = f"deskbench-by-hand-{os.getpid()}-{number}"
    began = time.perf_counter()
    _docker("run", "--rm", "--network", "none", "--entrypoint", "true", DEFAULT_IMAGE)
    ran = time.perf_counter() - began
    _docker("run", "--detach", "--network", "none", "--entrypoint", "sleep", "--name", name, DEFAULT_IMAGE, "60")
    began = time.perf_counter()
    _docker("rm", "--force", name)
    return ran, time.perf_counter() - began


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Stock:
    """Resources in use: the controller's memory (MB), open files and children, and the provider's other objects."""

    memory: float
    files: int
    children: int
    things: int


def soak() -> list[Row]:
    """Reset each provider repeatedly and measure what grows."""
    rows = []
    for name, make in SOAKED.items():
        with make() as (provider, things):
            rows += _soak(name, provider, things, RESETS)
    return rows


@contextlib.contextmanager
def _local() -> Iterator[tuple[Provider, Callable[[], int]]]:
    provider = LocalProvider()
    yield provider, lambda: len(list(Path("/tmp").glob(f"{PREFIX}*")))
    provider.close()


@contextlib.contextmanager
def _docker_provider() -> Iterator[tuple[Provider, Callable[[], int]]]:
    with (
        docker_engine(),
        contextlib.closing(docker.from_env()) as engine,
    ):
        provider = DockerProvider()

        def things() -> int:
            mine = engine.containers.list(all=True, filters={"label": f"{LABEL}={os.getpid()}"})
            return len(mine) + len(engine.networks.list()) + len(engine.volumes.list()) + len(engine.images.list())

        yield provider, things
        provider.close()


@contextlib.contextmanager
def _qemu() -> Iterator[tuple[Provider, Callable[[], int]]]:
    build_vm("light", print)
    provider = QemuProvider()
    yield provider, lambda: len(list(Path("/tmp").glob(f"{PREFIX}vm-*")))
    provider.close()


@contextlib.contextmanager
def _wine() -> Iterator[tuple[Provider, Callable[[], int]]]:
    provider = WineProvider()
    yield provider, lambda: len(list(Path("/tmp").glob(f"{PREFIX}*")))
    provider.close()


@contextlib.contextmanager
def _remote() -> Iterator[tuple[Provider, Callable[[], int]]]:
    """One machine that a command resets; our local provider plays the machine."""
    with contextlib.closing(LocalProvider()) as elsewhere, tempfile.TemporaryDirectory() as folder:
        address = elsewhere.start(dataclasses.replace(SPEC, tokens=False)).expose()
        body = json.dumps({"command": ["pkill", "galculator"], "shell": False, "timeout": 10})
        reset = ["curl", "-fsS", "-o", "/dev/null", "--json", body, f"http://{address}/v1/run"]
        file = Path(folder, "machines.toml")
        file.write_text(f"[[machine]]\nurl = 'http://{address}'\nreset = {json.dumps(shlex.join(reset))}\n")
        provider = RemoteProvider(str(file))
        yield provider, lambda: len(list(Path("/tmp").glob(f"{PREFIX}*")))
        provider.close()


SOAKED = {"local": _local, "docker": _docker_provider, "qemu": _qemu, "wine": _wine, "remote": _remote}


def _soak(name: str, provider: Provider, things: Callable[[], int], resets: int) -> list[Row]:
    pool = Pool(provider, ahead=int(provider.capacity is None))
    for _ in range(10):
        _episode(pool)
    before = _stock(pool, things)
    for _ in range(resets):
        _episode(pool)
    pool.ready(SPEC)
    wait.until(lambda: things() <= before.things, timeout=5.0)  # removals finish a moment after the request
    after = _stock(pool, things)
    pool.close()
    grown = [after.files - before.files, after.children - before.children, after.things - before.things]
    said = f"{after.memory - before.memory:+.1f} MB, files, processes, things: {', '.join(f'{n:+}' for n in grown)}"
    met = after.memory - before.memory <= GROWTH and all(n <= 0 for n in grown)
    return [Row(f"growth after {resets} resets, {name}", said, "", said, f"<= {GROWTH:g} MB, none", met)]


def _episode(pool: Pool) -> None:
    desktop = pool.start(SPEC)
    desktop.launch(["notepad" if desktop.health().platform == "Windows" else "galculator"])
    desktop.observe()
    pool.stop(desktop)


def _stock(pool: Pool, things: Callable[[], int]) -> Stock:
    """Count while one warm desktop waits."""
    pool.ready(SPEC)
    counted = things()  # first: it opens sockets of its own, which then count both times
    me = psutil.Process()
    return Stock(me.memory_info().rss / 1e6, me.num_fds(), len(me.children(recursive=True)), counted)
