"""Two arms on one display: our server and the reference arm."""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop, LocalProvider

HERE = Path(__file__).parent
ROUNDS = 9


@dataclass(frozen=True)
class Row:
    """One mark: the measurements of both arms, and the promise."""

    name: str
    ours: str
    reference: str
    result: str
    mark: str
    met: bool


def ratio_row(name: str, ours: float, reference: float, least: float) -> Row:
    """A mark for the ratio of two medians in milliseconds."""
    ratio = reference / ours
    return Row(name, f"{ours:.2f} ms", f"{reference:.1f} ms", f"{ratio:.1f}x", f">= {least:g}x", ratio >= least)


def limit_row(name: str, value: float, unit: str, most: float) -> Row:
    """A mark with an upper limit."""
    return Row(name, f"{value:.3g} {unit}", "", f"{value:.3g} {unit}", f"<= {most:g} {unit}", value <= most)


def interleaved(*arms: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median milliseconds of each arm, run alternately after one warm-up round."""
    times: list[list[float]] = [[] for _ in arms]
    for number in range(rounds + 1):
        for arm, found in zip(arms, times, strict=True):
            began = time.perf_counter()
            arm()
            if number:
                found.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(found) for found in times]


class Reference:
    """The reference arm over HTTP, used as OSWorld's client does: a new connection for each request."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> bytes:
        answer = requests.get(self.base + path, timeout=120)
        answer.raise_for_status()
        return answer.content

    def pyautogui(self, code: str) -> None:
        """Run one action in the way OSWorld's controller sends it."""
        source = f"import pyautogui; import time; pyautogui.FAILSAFE = False; {code}"
        body = {"command": [sys.executable, "-c", source], "shell": False}
        requests.post(self.base + "/execute", json=body, timeout=120).raise_for_status()


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def session_environment(desktop: LocalDesktop) -> dict[str, str]:
    """The session's environment, for a program to start in that session."""
    lines = desktop.run("env").stdout.splitlines()
    session = dict(line.split("=", 1) for line in lines if "=" in line)
    wanted = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME")
    return {**os.environ, **{name: session[name] for name in wanted}, "XAUTHORITY": "/dev/null"}


@contextmanager
def serving(
    desktop: LocalDesktop, python: str, script: str, path: str, *, as_user: bool = False
) -> Iterator[Reference]:
    """Run one of the reference arm's servers in a desktop's session, as us or as the user of its programs."""
    port = free_port()
    environment = session_environment(desktop)
    user = int(desktop.run("id -u", shell=True).stdout) if as_user else None
    process = subprocess.Popen(
        [python, "-c", (HERE / script).read_text(), str(port)], env=environment, cwd="/", user=user
    )
    reference = Reference(port)

    def answers() -> bool:
        try:
            return bool(reference.get(path))
        except requests.RequestException:
            return False

    try:
        if not wait.until(answers, timeout=60):
            raise RuntimeError(f"the reference arm's {script} did not come up")
        yield reference
    finally:
        process.kill()
        process.wait()


@contextmanager
def desktops(count: int = 1, *, isolated: bool = False) -> Iterator[list[LocalDesktop]]:
    """Desktops of 1920x1080, by default without a sandbox, so that the reference arm can run in them."""
    provider = LocalProvider()
    try:
        yield [provider.start(DesktopSpec(1920, 1080, isolated=isolated)) for _ in range(count)]
    finally:
        provider.close()
