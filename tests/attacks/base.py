"""Attacks, their outcomes, and the list of all attacks."""

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
    """The result of an attack on one provider."""

    BLOCKED = "blocked"
    OPEN = "open"
    NOT_APPLICABLE = "n/a"
    NOT_RUN = "not run"
    ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """A verdict, and one line of evidence.

    Attributes:
        verdict: `open` if the attack succeeded; `error` if the harness could not tell.
        evidence: what was seen, from outside the desktop if possible.
    """

    verdict: Verdict
    evidence: str


def blocked(evidence: object) -> Outcome:
    """The attack failed."""
    return Outcome(Verdict.BLOCKED, line(evidence))


def succeeded(evidence: object) -> Outcome:
    """The attack succeeded."""
    return Outcome(Verdict.OPEN, line(evidence))


def judged(success: bool, evidence: object) -> Outcome:
    """The outcome for a success or a failure."""
    return succeeded(evidence) if success else blocked(evidence)


def not_applicable(why: str) -> Outcome:
    """This provider has nothing to attack in this way."""
    return Outcome(Verdict.NOT_APPLICABLE, line(why))


def not_run(why: str) -> Outcome:
    """This machine cannot run the attack now."""
    return Outcome(Verdict.NOT_RUN, line(why))


def line(text: object) -> str:
    """One line, short enough for a table."""
    return " ".join(str(text).split())[:220]


ROOT, USER, DOCKER, QEMU, WINE, REMOTE = "local (root)", "local (user)", "docker", "qemu", "wine", "remote"
CONTROLLER = "controller"
"""The column for attacks on the controller itself, which need no desktop: its client, its pages, its caches."""
DESKTOPS = (ROOT, USER, DOCKER, QEMU, WINE, REMOTE)
COLUMNS = (*DESKTOPS, CONTROLLER)
SHARED = (ROOT, USER, DOCKER, WINE)
"""Desktops that share the kernel of the controller's machine."""
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
"""Deadlines for an attack, and for its clean-up, in seconds."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        id: a unique name.
        kind: one of KINDS.
        title: its aim, in a few words.
        run: runs it on a provider, and checks whether it succeeded.
        columns: providers that it applies to.
        fresh: whether it may break its desktop and therefore gets a fresh one.
        accepted: for some columns, why its success breaks no promise there.
        seconds: its deadline, multiplied on slow providers.
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
    """The deadline passed. Not an `Exception`, so that nothing on the way catches it."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block, in the main thread, when it hangs, and its clean-up when that hangs.

    Raises:
        TookTooLong: the deadline passed.
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
    """Run an attack. A failure or hang of the harness is no verdict on the defence."""
    if arena.name not in one.columns:
        return not_applicable("there is nothing of the kind")
    try:
        with deadline(one.seconds * arena.slow), arena.fresh() if one.fresh else contextlib.nullcontext():
            return one.run(arena)
    except UsageError as error:  # this machine cannot make this kind of desktop
        return not_run(str(error))
    except (Exception, TookTooLong) as error:  # noqa: BLE001  (the boundary: the table says that it could not be told)
        return Outcome(Verdict.ERROR, line(f"{type(error).__name__}: {error}"))


def is_breach(one: Attack, column: str, outcome: Outcome) -> bool:
    """Whether a promise is broken, or its test failed."""
    return outcome.verdict is Verdict.ERROR or (outcome.verdict is Verdict.OPEN and column not in one.accepted)
