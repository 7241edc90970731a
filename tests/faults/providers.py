"""Providers whose desktops something happens to: `tests.faults.providers:fake/dies-acting/2`.

The last number says how often it happens; it happens to the run's first desktops.
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
"""Seconds that a desktop which has been stopped is waited for."""
Method = Callable[..., Any]


@dataclass(frozen=True)
class Harm:
    """What happens, and at which of the desktop's methods; `start` and `stop` are the provider's."""

    at: tuple[str, ...]
    does: Callable[[Any, Method], Method]


class Unstartable(LocalProvider):
    """The server in its desktops ends at once."""

    def _inside(self, listener: int, spec: DesktopSpec, chosen: Any) -> list[str]:
        return ["/bin/false"]


class Lacking(LocalProvider):
    """Its desktops have a program less."""

    def _binds(self) -> list[str]:
        return ["--ro-bind", "/dev/null", "/usr/bin/xclip"]


def _unstarted(provider: Any, start: Method) -> Method:
    """What is to run in it does not."""
    if isinstance(provider, FakeProvider):
        raise StartError("Xvfb ended with status 1")
    return Unstartable().start


def _lacking(provider: Any, start: Method) -> Method:
    """It has no xclip; one in memory has none ever."""
    return start if isinstance(provider, FakeProvider) else Lacking().start


def _kill(desktop: Any, method: Method) -> Method:
    """Its processes are ended from outside."""
    if isinstance(desktop, FakeDesktop):
        desktop.running = False
    else:
        _signal(desktop, signal.SIGKILL)
    return method


def _stop(desktop: Any, method: Method) -> Method:
    """Its processes stand still."""
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
    """What accessibility trees are read from is gone."""
    if isinstance(desktop, LocalDesktop):
        _signal(desktop, signal.SIGSTOP, named="at-spi2/accessibility.conf")  # its bus: one that is killed comes again
        return method

    def without(*args: Any, **more: Any) -> Any:
        return dataclasses.replace(method(*args, **more), accessibility=None, problems=("accessibility: no bus",))

    return without


def _surprise(desktop: Any, method: Method) -> Method:
    """What no part of deskbench expects."""

    def raises(*args: Any, **more: Any) -> Any:
        raise DecompressionBombError("a picture of 900 megapixels")

    return raises


def _unread(desktop: Any, method: Method) -> Method:
    """Nothing is written, though it is said to be."""
    return lambda *args, **more: None


def _half_a_pair(desktop: Any, method: Method) -> Method:
    """What a command prints ends in half of a surrogate pair."""

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
    """A desktop whose trap springs, or does not, when one of its methods is first called; then it stays so."""

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
    """A provider over another, whose desktops something happens to, so many times."""

    def __init__(self, provider: FakeProvider | LocalProvider, harm: Harm, times: int) -> None:
        self.name, self.platform = provider.name, provider.platform
        self.capacity = 1  # none is started ahead: the first desktops are those of the first task
        self.harm = harm
        self._provider = provider
        self._numbers, self._times = itertools.count(), times
        self._lock = threading.Lock()

    def due(self) -> bool:
        """Whether it happens now; it is counted."""
        with self._lock:
            return next(self._numbers) < self._times

    def describe(self) -> dict[str, str]:
        """What the other says."""
        return self._provider.describe()

    def start(self, spec: DesktopSpec) -> Any:
        """One of the other's, with a trap."""
        start: Method = self._provider.start
        if "start" in self.harm.at and self.due():
            start = self.harm.does(self._provider, start)
        return Trapped(start(spec), self)

    def stop(self, desktop: Any) -> None:
        """End it."""
        self._provider.stop(desktop.desktop)
        if "stop" in self.harm.at and self.due():
            raise KeyError(desktop.desktop.name)

    def close(self) -> None:
        """End all."""
        self._provider.close()

    def doctor(self) -> list[Check]:
        """What the other says."""
        return self._provider.doctor()


BASES: dict[str, Callable[[], FakeProvider | LocalProvider]] = {"fake": FakeProvider, "local": LocalProvider}


def __getattr__(name: str) -> Callable[[], Harmed]:
    """A class of providers by its name, as `package.module:Class` finds one."""
    base, _, rest = name.partition("/")
    harm, _, times = rest.partition("/")
    if base not in BASES or harm not in HARMS:
        raise AttributeError(f"{Path(__file__).stem} has no {name!r}")
    return lambda: Harmed(BASES[base](), HARMS[harm], int(times))
