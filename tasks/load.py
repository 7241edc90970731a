"""Loads tasks from a file, a folder, a suite or a checkout, and reports all problems before a machine starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.envs import foreign
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.tasks.checking import SYSTEMS, check
from deskbench.tasks.classes.process import describe
from deskbench.tasks.classes.reading import Unusable, read_class
from deskbench.tasks.taskfile import Problem, Problems, read_tasks
from deskbench.tasks.types import Task
from deskbench.tasks.web.live import drive, live_web

LIBRARY = Path(__file__).resolve().parent / "library"
VALIDATION = "validation.json"
"""The record that `tasks verify` writes next to task files."""
CLASS_FILES = "task_*.py"
"""File names of task classes in OSWorld-V2."""
EXAMPLES = ("examples", "examples_windows")
"""Folders of an OSWorld checkout that hold task files."""


@dataclass(frozen=True)
class Checked:
    """The result of checking task files: the tasks that can run, and all problems."""

    source: str | Path
    tasks: tuple[Task, ...]
    problems: tuple[Problem, ...]

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems that do not keep a task from running."""
        return tuple(problem for problem in self.problems if problem.warning)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep a file from being run."""
        return tuple(problem for problem in self.problems if not problem.warning)

    def usable(self) -> tuple[Task, ...]:
        """The tasks, if every file is correct.

        Raises:
            UsageError: the first problem, and the number of the others.
        """
        if self.errors:
            others = len(self.errors) - 1
            more = f" (and {others} more: deskbench tasks check {self.source})" if others else ""
            raise UsageError(f"{self.errors[0]}{more}")
        return self.tasks


def load(source: str | Path, *, split: str | None = None, host_files: bool = False) -> list[Task]:
    """Load every task of a file, a folder, a named suite or an OSWorld checkout (`evaluation_examples`).

    Args:
        source: the file, folder, suite or checkout.
        split: a split of an OSWorld checkout.
        host_files: allow tasks to upload files of this machine from outside their own folder.

    Raises:
        UsageError: the first problem, and the number of the others.
    """
    return list(check_all(source, split=split, host_files=host_files).usable())


def check_all(source: str | Path, *, split: str | None = None, host_files: bool = False) -> Checked:
    """Load every task, and collect every problem of every task file."""
    tasks, problems = [], []
    for read_one in _read(source, split, host_files):
        found = [problem for task in read_one.tasks for problem in check(task)]
        mine = [*read_one.problems, *dict.fromkeys(found)]  # tasks of one template share their problems
        problems += mine
        if all(problem.warning for problem in mine):
            tasks += read_one.tasks
    return Checked(source, tuple(tasks), (*problems, *_duplicates(tasks)))


def read(source: str | Path, *, split: str | None = None, host_files: bool = False) -> tuple[list[Task], list[Problem]]:
    """Parse the files without resolving names. A file with problems yields no task."""
    tasks: list[Task] = []
    problems: list[Problem] = []
    for found in _read(source, split, host_files):
        problems += found.problems
        if all(problem.warning for problem in found.problems):
            tasks += found.tasks
    return tasks, problems + list(_duplicates(tasks))


@dataclass(frozen=True)
class _Read:
    """One file: the tasks made from it, and the errors in its form."""

    tasks: list[Task]
    problems: list[Problem]


def _read(source: str | Path, split: str | None, host_files: bool) -> Iterator[_Read]:
    files, left_out = _files(source, split)
    classes = describe(file for _, file in files if file.suffix == ".py")
    for suite, file in files:
        problems = Problems(file)
        tasks = _class(suite, file, classes[file], problems) if file in classes else read_tasks(suite, file, problems)
        yield _Read([task.model_copy(update={"host_files": host_files}) for task in tasks], problems.found)
    for file in left_out:
        yield _Read([], [Problem(file, "", "is not read: a task file cannot be in this folder", warning=True)])


def _class(suite: str, file: Path, facts: dict[str, Any] | str, problems: Problems) -> list[Task]:
    try:
        if isinstance(facts, str):
            raise Unusable(facts)
        return [read_class(suite, file, facts)]
    except Unusable as error:
        problems.add("", str(error))
        return []


def _files(source: str | Path, split: str | None) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The (suite, file) pairs of a source, and the files that only look like tasks."""
    path = Path(source)
    suites = sorted(p.name for p in LIBRARY.iterdir() if p.is_dir() and not p.name.startswith("_"))
    if not path.exists() and str(source) in suites:
        path = LIBRARY / str(source)
    if not path.exists():
        raise UsageError(f"no such file, folder or suite: {source}; suites: {', '.join(suites)}")
    if path.is_file():
        return [(_suite(path), path)], []
    for inner in (path, path / "evaluation_examples"):
        if (inner / "examples").is_dir() or (inner / "test_v2.json").is_file():
            return _osworld_files(inner) if split is None else (_split_files(inner, split), [])
    if split is not None:
        raise UsageError(f"{source} is not an OSWorld checkout: it has no split {split!r}")
    found = [
        (_suite(file), file)
        for file in sorted([*path.rglob("*.json"), *path.rglob(CLASS_FILES)])
        if not _asset(file, path)
    ]
    if not found:
        hidden = f"; it hides the suite {source}: rename it, or start from elsewhere" if str(source) in suites else ""
        raise UsageError(f"the folder {source} holds no task files (*.json, {CLASS_FILES}){hidden}")
    return found, []


def _suite(file: Path) -> str:
    """The name of the folder that holds a file, as text that every program can write."""
    return os.fsencode(file.parent.resolve().name).decode("utf-8", "replace")


def _asset(file: Path, root: Path) -> bool:
    """Whether a file next to the tasks is not a task."""
    return "assets" in file.relative_to(root).parts[:-1] or file.name == VALIDATION


def _osworld_files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The task files of a checkout at any depth, and the other JSON files below its example folders."""
    found = [file for folder in EXAMPLES for file in sorted((root / folder).rglob("*.json"))]
    tasks = [file for file in found if not _asset(file, root)]
    others = [file for folder in sorted(root.glob("examples*")) if folder.name not in EXAMPLES
              for file in sorted(folder.rglob("*.json"))]  # fmt: skip
    classes = sorted(root.rglob(CLASS_FILES))
    left_out = [*(file for file in found if _asset(file, root)), *others]
    return [(_suite(file), file) for file in [*tasks, *classes]], left_out


def _split_files(root: Path, split: str) -> list[tuple[str, Path]]:
    listing = root / f"{split.removesuffix('.json')}.json"
    if not listing.exists():
        known = sorted(p.stem for p in root.glob("test_*.json"))
        raise UsageError(f"{root} has no split {split!r}{nearest(split, known)}")
    try:
        value = foreign.listing(listing.read_bytes())
    except (OSError, foreign.Unread) as error:
        raise UsageError(f"{listing}: {error}") from None
    classes = {file.name: file for file in root.rglob(CLASS_FILES)}
    return [
        (_suite(file), file)
        for domain, names in value.items()
        for name in names
        for file in [classes.get(f"task_{name}.py", root / "examples" / domain / f"{name}.json")]
    ]


def _duplicates(tasks: Iterable[Task]) -> Iterator[Problem]:
    first: dict[str, Task] = {}
    for task in tasks:
        other = first.setdefault(task.key, task)
        if other is not task:
            yield Problem(task.path, "$.id", f"{task.key!r} is also the id of {other.path}", rule="DB002")


def task_set_hash(tasks: Iterable[Task]) -> str:
    """SHA-256 over the ids and files of a set of tasks, in any order."""
    lines = sorted(f"{task.key} {task.sha256}" for task in tasks)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def skip_reason(task: Task, *, platform: str | None, network: bool, has_app: Mapping[str, bool]) -> str | None:
    """The reason why this desktop cannot run the task, or None.

    Args:
        platform: `Linux`, `Windows` or `Darwin`; None if unknown.
        network: whether the desktop may use the network.
        has_app: for each program that tasks require, whether the desktop has it.
    """
    wanted = {SYSTEMS.get(name.lower(), name) for name in task.requires.os}
    if wanted and platform is not None and platform not in wanted:
        return f"needs {' or '.join(task.requires.os)}; the desktop is {platform}"
    lacking = [app for app in task.requires.apps if not has_app.get(app, False)]
    if lacking:
        return f"needs {', '.join(lacking)}, which the desktop does not have"
    if task.requires.network != "off" and not network:
        return f"needs the network, which is off (--network){_why_network(task)}"
    return task.lacks or drive(task)


def _why_network(task: Task) -> str:
    why = live_web(task)
    return f": {why}" if why else ""
