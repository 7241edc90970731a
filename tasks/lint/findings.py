"""A rule's findings: place, severity, message, and the edits that would fix them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "information")


@dataclass(frozen=True)
class Pin:
    """Stands for the SHA-256 of the files at some addresses in an edit: one, or a list if the file has a list."""

    addresses: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Edit:
    """One change to a task file.

    Attributes:
        kind: `rename` a key, `replace` a value, `remove` a key or an item, `insert` a key into an object or an item at
            the end of a list.
        where: the JSON path of the changed value; for `insert`, of the object or list.
        key: the new key for `rename` and `insert`; empty for a list item.
        value: the new value for `replace` and `insert`.
    """

    kind: Literal["rename", "replace", "remove", "insert"]
    where: str
    key: str = ""
    value: Any = None


@dataclass(frozen=True)
class Hit:
    """A rule's message about one place in a task file."""

    where: str
    message: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What one rule found at one place in a file.

    Attributes:
        rule: the rule's id, `DB011`.
        severity: how serious it is; an error means exit status 1.
        file: the task file.
        where: the JSON path; empty for the whole file.
        message: what is wrong here, in a sentence.
        help: how to fix it.
        line: the line in the file, from 1; None if unknown.
        edits: the changes that `--fix` makes; empty if no change is safe.
        blocking: whether it keeps the task from running, so it cannot be allowed.
    """

    rule: str
    severity: Severity
    file: Path
    where: str
    message: str
    help: str = ""
    line: int | None = None
    edits: tuple[Edit, ...] = ()
    blocking: bool = False

    def __str__(self) -> str:
        """One line: file, line, rule, severity, JSON path, message."""
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        where = f"{self.where}: " if self.where else ""
        return f"{place}: {self.rule} {self.severity}: {where}{self.message}"
