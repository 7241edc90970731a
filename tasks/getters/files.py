"""Files: from the desktop, from the web, from the episode's cache."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from deskbench.envs.errors import CheckError
from deskbench.tasks.registry import getter
from deskbench.tasks.setup.files import fetch
from deskbench.tasks.world import World


@getter("vm_file")
def vm_file(
    world: World,
    *,
    path: str | list[str],
    dest: str | list[str] = "",
    multi: bool = False,
    gives: list[int] | None = None,
    time_suffix: bool = False,
    time_format: str = "%Y%m%d_%H%M%S",
) -> Path | list[Path | None] | None:
    """A file of the desktop as a path on the controller; None when there is no such file.

    With `multi`, `path` is a list and `gives` says which of them are returned (default: the first).
    """
    paths = path if isinstance(path, list) else [path]
    if time_suffix:
        stamp = datetime.now(UTC).strftime(time_format)
        paths = [f"{Path(p).with_suffix('')}_{stamp}{Path(p).suffix}" for p in paths]
    found = [_read(world, p) for p in paths]
    return _given(found, gives) if multi else found[0]


def _read(world: World, path: str) -> Path | None:
    try:
        return world.keep(path, world.desktop.read_file(path))
    except FileNotFoundError:
        return None


def _given(found: list[Path | None], gives: list[int] | None) -> Path | list[Path | None] | None:
    chosen = [found[i] for i in (gives or [0])]
    return chosen[0] if len(chosen) == 1 else chosen


@getter("vm_file_text")
def vm_file_text(world: World, *, path: str) -> str | None:
    """A file of the desktop as text (UTF-8, what is not is replaced); None when there is no such file."""
    try:
        return world.desktop.read_file(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


@getter("cloud_file")
def cloud_file(
    world: World,
    *,
    path: str | list[str],
    dest: str | list[str] = "",
    multi: bool = False,
    gives: list[int] | None = None,
) -> Path | list[Path | None] | None:
    """A file from the web, fetched once for all episodes."""
    found: list[Path | None] = [fetch(url, world.assets) for url in (path if isinstance(path, list) else [path])]
    return _given(found, gives) if multi else found[0]


@getter("task_file")
def task_file(world: World, *, path: str) -> Path:
    """A file that stands beside the task file."""
    found = world.task.folder / path
    if not found.is_file():
        raise CheckError(f"no such file beside the task: {path}")
    return found


@getter("cache_file")
def cache_file(world: World, *, path: str) -> Path | None:
    """A file that a set-up step left in the episode's cache (`execute` with `stdout` or `stderr`)."""
    found = world.cache / path.replace("/", "_")
    return found if found.is_file() else None


@getter("list_directory")
def list_directory(world: World, *, path: str) -> dict[str, object] | None:
    """OSWorld's directory tree; None when there is no such folder."""
    try:
        return world.desktop.list_directory(path)
    except FileNotFoundError:
        return None
