"""Shell completion of suites, files, task ids, agents, providers and runs.

These functions run whenever the user presses the tab key. They import little and print nothing; after an error they
complete nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from deskbench.agent.runs.latest import LATEST, RUNS, find

Complete = Callable[[Any, str], list[str]]


def quietly(function: Callable[[Any, str], Iterable[str]]) -> Complete:
    """A completion with the names that begin with what was typed; none after an error."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        try:
            return sorted({name for name in function(ctx, incomplete) if name.startswith(incomplete)})
        except Exception:  # noqa: BLE001  (the boundary to the shell, where an error would stand in the command line)
            return []

    return complete


def files(incomplete: str, suffix: str = "") -> Iterator[str]:
    """Folders, and files that end in `suffix`, that begin with what was typed."""
    folder, _, _ = incomplete.rpartition("/")
    start = f"{folder}/" if "/" in incomplete else ""
    for path in Path(start or ".").iterdir():
        if path.is_dir():
            yield f"{start}{path.name}/"
        elif path.name.endswith(suffix):
            yield f"{start}{path.name}"


@quietly
def sources(ctx: Any, incomplete: str) -> Iterator[str]:
    """Suites, and files and folders of tasks."""
    from deskbench.tasks.load import LIBRARY

    yield from (folder.name for folder in LIBRARY.iterdir() if any(folder.glob("*.json")))
    yield from files(incomplete, ".json")


@quietly
def tasks(ctx: Any, incomplete: str) -> Iterator[str]:
    """The ids of the tasks in the source that is already on the command line."""
    from deskbench.tasks.load import load

    source = ctx.params.get("source") or next(iter(ctx.params.get("sources") or ()), None) or "basics"
    for task in load(source):
        yield from (task.id, task.key)


@quietly
def agents(ctx: Any, incomplete: str) -> Iterator[str]:
    """Agents and families of models."""
    from deskbench.agent.agents.profile import profile_names
    from deskbench.agent.build import AGENTS

    yield from (*AGENTS, *profile_names(), *files(incomplete, ".toml"))


@quietly
def families(ctx: Any, incomplete: str) -> Iterator[str]:
    """Families of models."""
    from deskbench.agent.agents.profile import profile_names

    yield from (*profile_names(), *files(incomplete, ".toml"))


@quietly
def providers(ctx: Any, incomplete: str) -> Iterator[str]:
    """Providers of desktops."""
    from deskbench.agent.build import PROVIDERS

    yield from PROVIDERS


@quietly
def runs(ctx: Any, incomplete: str) -> Iterator[str]:
    """Names below `runs`, and folders."""
    folder, slash, _ = incomplete.rpartition("/")
    if slash and Path(folder).exists():
        yield from (name for name in files(incomplete) if name.endswith("/"))
        return
    for path in (find(folder) if slash else RUNS).iterdir():
        if path.name == LATEST or path.is_dir():
            yield f"{folder}/{path.name}" if slash else path.name


def choices(*names: str) -> Complete:
    """A completion of fixed words."""
    return quietly(lambda ctx, incomplete: names)


RUN: dict[str, Any] = {"parser": find, "metavar": "RUN", "autocompletion": runs}
"""For an argument or an option that is a run: `latest` and names below `runs` work, and the shell completes them."""
