"""What an attack is, what becomes of it, and the list of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

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
    """

    id: str
    kind: str
    title: str
    run: Run = field(repr=False)
    columns: tuple[str, ...] = DESKTOPS
    fresh: bool = False
    accepted: Mapping[str, str] = field(default_factory=dict)


ATTACKS: dict[str, Attack] = {}


def attack(
    name: str,
    kind: str,
    title: str,
    columns: tuple[str, ...] = DESKTOPS,
    *,
    fresh: bool = False,
    accepted: Mapping[str, str] | None = None,
) -> Callable[[Run], Run]:
    """Add a function to the list."""
    assert kind in KINDS, kind
    assert name not in ATTACKS, name

    def add(run: Run) -> Run:
        ATTACKS[name] = Attack(name, kind, title, run, columns, fresh, accepted or {})
        return run

    return add


def attempt(one: Attack, arena: Arena) -> Outcome:
    """Carry one out; what goes wrong in the harness is no verdict on the wall."""
    if arena.name not in one.columns:
        return not_applicable("there is nothing of the kind")
    try:
        if one.fresh:
            with arena.fresh():
                return one.run(arena)
        return one.run(arena)
    except Exception as error:  # noqa: BLE001  (the boundary: the table says that it could not be told)
        return Outcome(Verdict.ERROR, line(f"{type(error).__name__}: {error}"))


def is_breach(one: Attack, column: str, outcome: Outcome) -> bool:
    """Whether a promise is broken, or not kept track of."""
    return outcome.verdict is Verdict.ERROR or (outcome.verdict is Verdict.OPEN and column not in one.accepted)
