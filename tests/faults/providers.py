"""Providers that harm their desktops: `tests.faults.providers:fake/dies-acting/2`.

The last number is how often it happens; the run's first desktops are affected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from PIL.Image import DecompressionBombError

from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import GuestTimeout, StartError
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.providers.local import LocalDesktop, LocalProvider

SHORT = 2.0
"""Seconds to wait for a desktop that has been stopped."""
Method = Callable[..., Any]


@dataclass(frozen=True)
class Harm:
    """A harm, and the desktop's methods where it happens; `start` and `stop` are the provider's."""

    at: tuple[str, ...]
    does: Callable[[Any, Method], Method]


class Unstartable(LocalProvider):
    """The server in its desktops ends at once."""

    def _inside(self, listener: int, spec: DesktopSpec, chosen: Any) -> list[str]:
        return ["/bin/false"]


class Lacking(LocalProvider):
    """Its desktops lack a program."""

    def _binds(self) -> list[str]:
        return ["--ro-bind", "/dev/null", "/usr/bin/xclip"]


def _unstarted(provider: Any, start: Method) -> Method:
    """The program inside does not start."""
    if isinstance(provider, FakeProvider):
        raise StartError("Xvfb ended with status 1")
    return Unstartable().start


def _lacking(provider: Any, start: Method) -> Method:
    """There is no xclip; a desktop in memory never has it."""
    return start if isinstance(provider, FakeProvider) else Lacking().start


def _kill(desktop: Any, method: Method) -> Method:
    """Kill its processes from outside."""
    if isinstance(desktop, FakeDesktop):
        desktop.running = False
    else:
        _signal(desktop, signal.SIGKILL)
    return method


def _stop(desktop: Any, method: Method) -> Method:
    """Stop its processes."""
    if isinstance(desktop, FakeDesktop):
        return functools.partial(_silent, desktop.name)
    _signal(desktop, signal.SIGSTOP)
    desktop.answer_seconds = SHORT
    return method


def _signal(desktop: LocalDesktop, number: signal.Signals, *, named: str = "") -> None:
    for child in psutil.Process(desktop.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if named in " ".join(child.cmdline()):
                child.send_signal(number)


def _silent(name: str, *args: Any, **more: Any) -> Any:
    raise GuestTimeout(f"{name} did not answer within {SHORT:g} s")


def _no_tree(desktop: Any, method: Method) -> Method:
    """Take away the source of accessibility trees."""
    if isinstance(desktop, LocalDesktop):
        _signal(desktop, signal.SIGSTOP, named="at-spi2/accessibility.conf")  # its bus, which restarts when killed
        return method

    def without(*args: Any, **more: Any) -> Any:
        return dataclasses.replace(method(*args, **more), accessibility=None, problems=("accessibility: no bus",))

    return without


def _surprise(desktop: Any, method: Method) -> Method:
    """Raise an exception that no part of deskbench expects."""

    def raises(*args: Any, **more: Any) -> Any:
        raise DecompressionBombError("a picture of 900 megapixels")

    return raises


def _unread(desktop: Any, method: Method) -> Method:
    """Pretend to write, but write nothing."""
    return lambda *args, **more: None


def _half_a_pair(desktop: Any, method: Method) -> Method:
    """A command's output ends in half a surrogate pair."""

    def printed(*args: Any, **more: Any) -> Any:
        done = method(*args, **more)
        return dataclasses.replace(done, stdout=done.stdout + "\ud83d")

    return printed


HARMS = {
    "never-starts": Harm(("start",), _unstarted),
    "lacks-xclip": Harm(("start",), _lacking),
    "dies-in-setup": Harm(("launch",), _kill),
    "dies-acting": Harm(("act",), _kill),
    "dies-scored": Harm(("run",), _kill),
    "hangs": Harm(("act",), _stop),
    "no-tree": Harm(("observe", "act"), _no_tree),
    "surprises": Harm(("act",), _surprise),
    "surprises-looking": Harm(("observe",), _surprise),
    "forgets": Harm(("write_file",), _unread),
    "half-a-pair": Harm(("run",), _half_a_pair),
    "does-not-end": Harm(("stop",), _surprise),
}


class Trapped:
    """A desktop that may be harmed when one of its methods is first called, and stays so."""

    def __init__(self, desktop: Desktop, owner: Harmed) -> None:
        self.desktop, self._owner = desktop, owner
        self._sprung: bool | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.desktop, name)
        harm = self._owner.harm
        if name not in harm.at:
            return found

        def called(*args: Any, **more: Any) -> Any:
            if self._sprung is None:
                self._sprung = self._owner.due()
            return (harm.does(self.desktop, found) if self._sprung else found)(*args, **more)

        return called


class Harmed:
    """A provider that wraps another and harms its desktops a number of times."""

    def __init__(self, provider: FakeProvider | LocalProvider, harm: Harm, times: int) -> None:
        self.name, self.platform = provider.name, provider.platform
        self.capacity = 1  # start no desktop ahead, so the first ones belong to the first task
        self.harm = harm
        self._provider = provider
        self._numbers, self._times = itertools.count(), times
        self._lock = threading.Lock()

    def due(self) -> bool:
        """Whether the harm happens now; counts calls."""
        with self._lock:
            return next(self._numbers) < self._times

    def describe(self) -> dict[str, str]:
        """The description of the wrapped provider."""
        return self._provider.describe()

    def start(self, spec: DesktopSpec) -> Any:
        """A desktop of the wrapped provider, with the harm."""
        start: Method = self._provider.start
        if "start" in self.harm.at and self.due():
            start = self.harm.does(self._provider, start)
        return Trapped(start(spec), self)

    def stop(self, desktop: Any) -> None:
        """Stop a desktop."""
        self._provider.stop(desktop.desktop)
        if "stop" in self.harm.at and self.due():
            raise KeyError(desktop.desktop.name)

    def close(self) -> None:
        """Stop all desktops."""
        self._provider.close()

    def doctor(self) -> list[Check]:
        """The checks of the wrapped provider."""
        return self._provider.doctor()


BASES: dict[str, Callable[[], FakeProvider | LocalProvider]] = {"fake": FakeProvider, "local": LocalProvider}


def __getattr__(name: str) -> Callable[[], Harmed]:
    """A provider class by its name, for `package.module:Class`."""
    base, _, rest = name.partition("/")
    harm, _, times = rest.partition("/")
    if base not in BASES or harm not in HARMS:
        raise AttributeError(f"{Path(__file__).stem} has no {name!r}")
    return lambda: Harmed(BASES[base](), HARMS[harm], int(times))
