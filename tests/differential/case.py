"""A case: inputs of one metric, and which difference of ours explains it if OSWorld's function disagrees."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.metrics.applied import apply
from deskbench.tasks.metrics.differences import DIFFERENCES
from deskbench.tasks.metrics.fidelity import osworld_strict
from tests.differential import reference

BY_KEY = {d.key: d for d in DIFFERENCES}
NEAR = 1e-6


@dataclass(frozen=True)
class Case:
    """One call of a metric.

    Attributes:
        metric: its name.
        name: what the inputs are.
        arguments: result, and expected if there is one.
        options: keyword arguments.
        differs: the key of the listed difference that the case shows; empty where both must agree.
        near: how far apart two scores may be.
        theirs: arguments for OSWorld's function, where it takes others.
    """

    metric: str
    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    differs: str = ""
    near: float = NEAR
    theirs: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of a case: scores, or the text of what was raised."""

    case: Case
    ours: float | str
    strict: float | str
    upstream: float | str | None

    @cached_property
    def problem(self) -> str:
        """Why the case is no proof; empty if it is one."""
        case = self.case
        if not case.differs:
            return (
                "" if self._same(self.ours) and self._same(self.strict) else "disagreement that no difference explains"
            )
        difference = BY_KEY.get(case.differs)
        if difference is None or not ({"*", case.metric} & set(difference.metrics)):
            return f"{case.differs} is no listed difference of {case.metric}"
        if self._same(self.ours):
            return f"agrees, though {case.differs} is said to differ"
        if difference.switched and not isinstance(self.upstream, str) and not self._same(self.strict):
            return "--osworld-strict does not bring OSWorld's score back"
        return ""

    def _same(self, ours: float | str) -> bool:
        theirs = self.upstream
        if isinstance(ours, str) or isinstance(theirs, str) or theirs is None:
            return isinstance(ours, str) and isinstance(theirs, str)
        return abs(ours - theirs) <= self.case.near

    def __str__(self) -> str:
        """One line."""
        return f"{self.case.metric}: {self.case.name}: ours {self.ours}, strict {self.strict}, OSWorld {self.upstream}"


def judge(case: Case, folder: Path) -> Verdict:
    """Run both."""
    upstream: float | str | None
    try:
        arguments = case.arguments if case.theirs is None else case.theirs
        upstream = reference.score(case.metric, copy.deepcopy(list(arguments)), copy.deepcopy(case.options), folder)
    except reference.Raised as raised:
        upstream = str(raised)
    return Verdict(case, _ours(case, strict=False), _ours(case, strict=True), upstream)


def _ours(case: Case, *, strict: bool) -> float | str:
    result, expected = (*case.arguments, None)[:2]
    entry = registry.find("metric", case.metric)
    try:
        with osworld_strict("1.0.2" if strict else None):
            return float(apply(entry, result, expected, case.options, trusted=_files(expected)))
    except CheckError as error:
        return str(error)


def _files(value: Any) -> list[Path]:
    return (
        [value]
        if isinstance(value, Path)
        else [v for v in value if isinstance(v, Path)]
        if isinstance(value, list)
        else []
    )


Maker = Callable[["Files"], Iterator[Case]]


@dataclass(frozen=True)
class Files:
    """A folder for a family's inputs."""

    folder: Path

    def text(self, name: str, content: str | bytes) -> Path:
        """A file with this content, in a folder of its own, so that names may be chosen."""
        count = sum(1 for _ in self.folder.iterdir())
        path = self.folder / f"{count:04}" / name
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def new(self, name: str) -> Path:
        """A path for a file that is yet to be written."""
        path = self.text(name, "")
        path.unlink()
        return path
