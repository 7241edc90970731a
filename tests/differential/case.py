"""A case: inputs of one metric, and the differences that explain it if OSWorld's function disagrees."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.metrics.support.applied import apply
from deskbench.tasks.metrics.support.differences import BY_KEY, Difference, Revision
from deskbench.tasks.metrics.support.fidelity import osworld_strict
from tests.differential import mainline, reference

NEAR = 1e-6


@dataclass(frozen=True)
class Case:
    """One call of a metric.

    Attributes:
        metric: its name.
        name: a description of the inputs.
        arguments: the result, and the expected value if there is one.
        options: keyword arguments.
        differs: keys of the listed differences that the case shows, separated by blanks; empty if all agree.
        near: how far apart two scores may be.
        theirs: different arguments for OSWorld's function, if it needs them.
    """

    metric: str
    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    differs: str = ""
    near: float = NEAR
    theirs: tuple[Any, ...] | None = None

    @property
    def asked(self) -> tuple[Any, ...]:
        """The arguments for OSWorld's function."""
        return self.arguments if self.theirs is None else self.theirs

    def differences(self, revision: Revision) -> list[Difference]:
        """The differences that it shows for a revision."""
        return [BY_KEY[key] for key in self.differs.split() if revision in BY_KEY[key].revisions]


@dataclass(frozen=True)
class Answers:
    """The results of one of OSWorld's revisions, and of ours in that revision's mode; a text if the function raised."""

    upstream: float | str | None
    strict: float | str


@dataclass(frozen=True)
class Verdict:
    """The results of a case: scores, or the text of an exception.

    Attributes:
        case: the case.
        ours: our result.
        answers: OSWorld's results by revision; a revision that was not asked is missing.
        unasked: whether main's result is missing and should exist.
    """

    case: Case
    ours: float | str
    answers: dict[Revision, Answers]
    unasked: bool = False

    @cached_property
    def problem(self) -> str:
        """Why the case proves nothing; empty if it does."""
        strange = [key for key in self.case.differs.split()
                   if key not in BY_KEY or not ({"*", self.case.metric} & set(BY_KEY[key].metrics))]  # fmt: skip
        if strange:
            return f"{' '.join(strange)} is no listed difference of {self.case.metric}"
        if self.unasked:
            return "main was never asked about these inputs"
        found = {revision: self._problem(revision, said) for revision, said in self.answers.items()}
        return "; ".join(f"{revision}: {problem}" for revision, problem in found.items() if problem)

    def _problem(self, revision: Revision, said: Answers) -> str:
        listed = self.case.differences(revision)
        if not listed:
            agree = self._same(self.ours, said.upstream) and self._same(said.strict, said.upstream)
            return "" if agree else "disagreement that no difference explains"
        if self._same(self.ours, said.upstream):
            return f"agrees, though {self.case.differs} is said to differ"
        switched = all(one.switched for one in listed)
        if switched and not isinstance(said.upstream, str) and not self._same(said.strict, said.upstream):
            return "--osworld-strict does not bring OSWorld's score back"
        return ""

    def _same(self, ours: float | str, theirs: float | str | None) -> bool:
        if isinstance(ours, str) or isinstance(theirs, str) or theirs is None:
            return isinstance(ours, str) and isinstance(theirs, str)
        return abs(ours - theirs) <= self.case.near

    def __str__(self) -> str:
        """The verdict in one line."""
        said = ", ".join(f"{name} {one.upstream} (strict {one.strict})" for name, one in self.answers.items())
        return f"{self.case.metric}: {self.case.name}: ours {self.ours}; {said}"


def judge(case: Case, folder: Path) -> Verdict:
    """Run our function and the release's, and look up main's result."""
    found: dict[Revision, float | str | None] = {}
    if reference.has(case.metric):
        found["1.0.2"] = asked(case, folder)
    if (stored := mainline.stored(case)) is not None:
        found["main"] = None if stored == mainline.NONE else stored
    answers = {revision: Answers(said, _ours(case, revision)) for revision, said in found.items()}
    return Verdict(case, _ours(case, None), answers, "main" not in answers and mainline.must_be_known(case))


def asked(case: Case, folder: Path) -> float | str | None:
    """The result of OSWorld's function, from the release or from the package in use."""
    try:
        return reference.score(case.metric, copy.deepcopy(list(case.asked)), copy.deepcopy(case.options), folder)
    except reference.Raised as raised:
        return str(raised)


def _ours(case: Case, revision: Revision | None) -> float | str:
    result, expected = (*case.arguments, None)[:2]
    entry = registry.find("metric", case.metric)
    try:
        with osworld_strict(revision):
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
        """A file with this content, in a separate folder, so that any name is free."""
        count = sum(1 for _ in self.folder.iterdir())
        path = self.folder / f"{count:04}" / name
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def new(self, name: str) -> Path:
        """A path for a file to be written."""
        path = self.text(name, "")
        path.unlink()
        return path
