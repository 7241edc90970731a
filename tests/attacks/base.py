"""What an attack is, what becomes of it, and the list of all."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from tests.attacks.arenas import Arena


class Verdict(StrEnum):
    """What became of an attack on one provider."""

    BLOCKED = "blocked"
    OPEN = "open"
    NOT_APPLICABLE = "n/a"
    NOT_RUN = "not run"
    ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """A verdict, and one line that shows it.

    Attributes:
        verdict: `open` where the attack succeeded; `error` where the harness could not tell.
        evidence: what was seen, from outside the desktop where it can be.
    """

    verdict: Verdict
    evidence: str


def blocked(evidence: object) -> Outcome:
    """It did not succeed."""
    return Outcome(Verdict.BLOCKED, line(evidence))


def succeeded(evidence: object) -> Outcome:
    """It did."""
    return Outcome(Verdict.OPEN, line(evidence))


def judged(success: bool, evidence: object) -> Outcome:
    """Either."""
    return succeeded(evidence) if success else blocked(evidence)


def not_applicable(why: str) -> Outcome:
    """There is nothing of the kind in this provider."""
    return Outcome(Verdict.NOT_APPLICABLE, line(why))


def not_run(why: str) -> Outcome:
    """This machine cannot try it now."""
    return Outcome(Verdict.NOT_RUN, line(why))


def line(text: object) -> str:
    """One line, not too long for a table."""
    return " ".join(str(text).split())[:220]


ROOT, USER, DOCKER, QEMU, WINE, REMOTE = "local (root)", "local (user)", "docker", "qemu", "wine", "remote"
CONTROLLER = "controller"
"""Attacks on the controller itself, which need no desktop of any kind: its client, its pages, its caches."""
DESKTOPS = (ROOT, USER, DOCKER, QEMU, WINE, REMOTE)
COLUMNS = (*DESKTOPS, CONTROLLER)
SHARED = (ROOT, USER, DOCKER, WINE)
"""Desktops whose kernel is the controller's machine's."""
LINUX = (ROOT, USER, DOCKER, QEMU, REMOTE)

KINDS = {
    "escape": "Out of the desktop",
    "impostor": "In the server's place",
    "answers": "Hostile answers to the controller",
    "files": "Files and values that are read for a score",
    "exhaustion": "Using everything up",
    "persistence": "Staying for the next episode",
    "limits": "The server's own limits",
    "pages": "Pages made of what an agent wrote",
    "secrets": "Secrets",
}

Run = Callable[["Arena"], Outcome]
SECONDS, CLEANING = 120.0, 60.0
"""An attack's deadline, and how long it may then take to put things away."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        id: a name, unique.
        kind: one of KINDS.
        title: what it is after, in a few words.
        run: carries it out on a provider, and looks whether it succeeded.
        columns: where there is something to attack.
        fresh: it may break its desktop, and gets one of its own.
        accepted: column to the reason why its success breaks no promise there.
        seconds: its deadline, several times longer where everything is slow.
    """

    id: str
    kind: str
    title: str
    run: Run = field(repr=False)
    columns: tuple[str, ...] = DESKTOPS
    fresh: bool = False
    accepted: Mapping[str, str] = field(default_factory=dict)
    seconds: float = SECONDS


ATTACKS: dict[str, Attack] = {}


def attack(
    name: str,
    kind: str,
    title: str,
    columns: tuple[str, ...] = DESKTOPS,
    *,
    fresh: bool = False,
    accepted: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Callable[[Run], Run]:
    """Add a function to the list."""
    assert kind in KINDS, kind
    assert name not in ATTACKS, name

    def add(run: Run) -> Run:
        ATTACKS[name] = Attack(name, kind, title, run, columns, fresh, accepted or {}, seconds)
        return run

    return add


class TookTooLong(BaseException):
    """The deadline is over; no `except Exception` on the way holds it up."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End what hangs in this block, in the main thread, and what then hangs in putting things away.

    Raises:
        TookTooLong: it did.
    """

    def over(number: int, frame: object) -> None:
        raise TookTooLong(f"it did not end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, CLEANING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(one: Attack, arena: Arena) -> Outcome:
    """Carry one out; what goes wrong in the harness, or never ends, is no verdict on the wall."""
    if arena.name not in one.columns:
        return not_applicable("there is nothing of the kind")
    try:
        with deadline(one.seconds * arena.slow), arena.fresh() if one.fresh else contextlib.nullcontext():
            return one.run(arena)
    except UsageError as error:  # of a kind of desktop that this machine cannot make
        return not_run(str(error))
    except (Exception, TookTooLong) as error:  # noqa: BLE001  (the boundary: the table says that it could not be told)
        return Outcome(Verdict.ERROR, line(f"{type(error).__name__}: {error}"))


def is_breach(one: Attack, column: str, outcome: Outcome) -> bool:
    """Whether a promise is broken, or not kept track of."""
    return outcome.verdict is Verdict.ERROR or (outcome.verdict is Verdict.OPEN and column not in one.accepted)
