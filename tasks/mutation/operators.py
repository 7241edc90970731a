"""Operators and kinds of evidence by name: each operator is a decorated function, found by importing `kinds`.

An operator takes the evidence as its kind reads it, and what is known about it (`About`). It yields changed copies,
each with a sentence that says what changed. It must not modify its input.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

Must = Literal["fail", "stay"]
"""What a changed copy must do to the score: lose it, or keep it at 1."""
MOST = 6
"""How many copies one operator makes of one piece of evidence."""
T = TypeVar("T")
Raw = Any
"""Evidence as it was recorded: the bytes of a file, or a plain value (text, number, list, object)."""
Change = Callable[[Any, "About"], Iterator[tuple[Any, str]]]


class Unlike(ValueError):
    """The evidence is of a different kind."""


@dataclass(frozen=True)
class About:
    """What an operator knows about the evidence.

    Attributes:
        seed: the seed of random choices: the evidence's own hash.
        instruction: the task's instruction.
        named: the text of the check and its getter, with the names that they use.
        settings: whether it is a program's own file or answer, which holds much that no task is about.
    """

    seed: str = ""
    instruction: str = ""
    named: str = ""
    settings: bool = False

    def some(self, items: Sequence[T], most: int = MOST) -> list[T]:
        """At most `most` of the items, in their order, the same each time."""
        if len(items) <= most:
            return list(items)
        draw = random.Random(f"{self.seed} {len(items)}")
        return [items[index] for index in sorted(draw.sample(range(len(items)), most))]

    def matters(self, *names: str) -> bool:
        """Whether a part with these names matters to the task: always, except in settings."""
        named = _bare(self.named)
        return not self.settings or all(_bare(name) in named for name in names if name)

    @property
    def exact(self) -> bool:
        """Whether the instruction asks for one thing and nothing else."""
        return any(word in self.instruction.lower() for word in ("only", "nothing else", "exactly"))


def _bare(text: str) -> str:
    """A text without the backslashes that patterns and JSON add to names."""
    return text.replace("\\", "").casefold()


@dataclass(frozen=True)
class Kind:
    """A kind of evidence.

    Attributes:
        name: the first part of its operators' names.
        title: its name in words, for the table of operators.
        read: makes a model of the recorded evidence; raises Unlike.
        write: makes the recorded form of a model; it also gets the old form, to keep its style.
        key: two models differ if their keys differ; the difference is also shown, as JSON.
    """

    name: str
    title: str
    read: Callable[[Raw], Any]
    write: Callable[[Any, Raw], Raw]
    key: Callable[[Any], Any]


@dataclass(frozen=True)
class Operator:
    """One operator; `name` is `kind/what`, `title` is the first line of its docstring."""

    name: str
    kind: str
    must: Must
    change: Change

    @property
    def title(self) -> str:
        """What its copies look like, in words."""
        return (self.change.__doc__ or "").strip().splitlines()[0].rstrip(".")


_kinds: dict[str, Kind] = {}
_operators: dict[str, Operator] = {}


def kind(
    name: str,
    title: str,
    *,
    read: Callable[[Raw], Any],
    write: Callable[[Any, Raw], Raw],
    key: Callable[[Any], Any] = lambda model: model,
) -> None:
    """Register a kind of evidence."""
    _kinds[name] = Kind(name, title, read, write, key)


def operator(name: str, *, kind: str, must: Must) -> Callable[[Change], Change]:
    """Register `def change(model, about) -> Iterator[(model, words)]` under `kind/what`."""

    def register(change: Change) -> Change:
        if name in _operators or not name.startswith(f"{kind}/"):
            raise ValueError(f"operator {name!r} of kind {kind!r} is there already, or named for another kind")
        _operators[name] = Operator(name, kind, must, change)
        return change

    return register


@cache
def _import_all() -> None:
    package = importlib.import_module("deskbench.tasks.mutation.kinds")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def find_kind(name: str) -> Kind:
    """A kind by its name, which must be registered."""
    _import_all()
    return _kinds[name]


def kinds() -> list[Kind]:
    """Every kind of evidence."""
    _import_all()
    return list(_kinds.values())


def operators(kind: str | None = None) -> list[Operator]:
    """Every operator, or those of one kind."""
    _import_all()
    return [one for one in _operators.values() if kind in (None, one.kind)]


def seed_of(raw: Raw) -> str:
    """The seed for random choices about a piece of evidence."""
    data = raw if isinstance(raw, bytes) else repr(raw).encode("utf-8", "replace")
    return hashlib.sha256(data).hexdigest()


def table(kind: str) -> list[str]:
    """A Markdown table of a kind's operators, for `docs/tables/mutation.md`."""
    rows = [f"| `{one.name}` | {one.title[0].lower()}{one.title[1:]} | {_MUST[one.must]} |" for one in operators(kind)]
    return ["| operator | what its copies are | the score |", "|---|---|---|", *rows]


_MUST: dict[Must, str] = {"fail": "must be lost", "stay": "must stay"}
