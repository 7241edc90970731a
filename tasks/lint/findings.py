"""What a rule finds: place, severity, message, and the edits that would fix it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "information")


@dataclass(frozen=True)
class Pin:
    """Stands in an edit for the SHA-256 of what addresses give: one, or a list where the file has a list of them."""

    addresses: tuple[str, ...]
    many: bool = False


@dataclass(frozen=True)
class Edit:
    """One change of a task file.

    Attributes:
        kind: `rename` a key, `replace` a value, `remove` a key or an item, `insert` a key into an object or an item at
            a list's end.
        where: the JSON path of what is changed; of the object or list for `insert`.
        key: the new key of `rename` and `insert`; empty for an item of a list.
        value: the new value of `replace` and `insert`.
    """

    kind: Literal["rename", "replace", "remove", "insert"]
    where: str
    key: str = ""
    value: Any = None


@dataclass(frozen=True)
class Hit:
    """What a rule says of one place of a task file."""

    where: str
    message: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One rule's word on one place of a file.

    Attributes:
        rule: its id, `DB011`.
        severity: how bad it is; an error is exit status 1.
        file: the task file.
        where: the JSON path; empty for the whole file.
        message: what is wrong here, in a sentence.
        help: how to put it right.
        line: of the place in the file, from 1; None where it cannot be known.
        edits: what `--fix` does; empty where no change is safe.
        blocking: it keeps the task from being run, so that nothing can allow it.
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
        """One line: file, line, rule, severity, JSON path, what."""
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        where = f"{self.where}: " if self.where else ""
        return f"{place}: {self.rule} {self.severity}: {where}{self.message}"
