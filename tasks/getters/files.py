"""Files from the desktop, from the web and from the episode's cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from deskbench.envs.errors import AssetError, CheckError
from deskbench.envs.foreign import read_text
from deskbench.tasks.assets import fetch
from deskbench.tasks.registry import getter
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.world import MAX_TEXT, World

Files = Path | list[Path | None] | None
"""One file, or those that `gives` selects; None for a missing one."""


def _paired(given: Mapping[str, Any]) -> None:
    """Check that there is a name and a hash for each file, and that `gives` selects existing ones."""
    path, dest = given["path"], given.get("dest", "")
    count = len(path) if isinstance(path, list) else 1
    names = len(dest) if isinstance(dest, list) else count if dest == "" or count == 1 else 1
    if names != count:
        raise ValueError(f"path has {count} entries, but dest has {names}")
    if any(not 0 <= index < count for index in given.get("gives") or ()):
        raise ValueError(f"gives is {given['gives']}, but path has {count} entries")
    pins = given.get("sha256", "")
    if pins and count != (len(pins) if isinstance(pins, list) else 1):
        raise ValueError(f"path has {count} entries, but sha256 has a different number")


@getter("vm_file", source="file", fits=_paired)
def vm_file(
    world: World,
    *,
    path: str | list[str],
    dest: str | list[str] = "",
    multi: bool = False,
    gives: list[int] | None = None,
    time_suffix: bool = False,
    time_format: str = "%Y%m%d_%H%M%S",
) -> Files:
    """A file of the desktop, as a path on the controller; None if there is no such file.

    With `multi`, `path` and `dest` are lists, and `gives` says which files to return (default: the first). All are
    kept together under the names of `dest`, because some metrics find one file by another's name. `time_suffix` adds
    the time to the name under which a file is kept.
    """
    paths, names = _named(path, dest)
    if time_suffix and not multi:
        stamp = datetime.now(UTC).strftime(time_format)
        names = [f"{PurePosixPath(n).with_suffix('')}_{stamp}{PurePosixPath(n).suffix}" for n in names]
    with ExitStack() as rooms:
        found: dict[str, Path] = {}
        for name, where in zip(names, paths, strict=True):
            data = world.read(where)
            if data is not None:
                found[name] = rooms.enter_context(world.room())
                world.count(len(data))
                found[name].write_bytes(data)
        return _given(world, names, found, gives if multi else None)


def _named(path: str | list[str], dest: str | list[str]) -> tuple[list[str], list[str]]:
    """The paths, and the names under which their files are stored."""
    paths = path if isinstance(path, list) else [path]
    names = dest if isinstance(dest, list) else [dest or p for p in paths]
    if len(names) != len(paths):
        raise CheckError(f"path has {len(paths)} entries, but dest has {len(names)}")
    plain = [name.replace("\\", "/").rpartition("/")[2] for name in names]
    return paths, [name if plain.count(name) == 1 else f"{index}-{name}" for index, name in enumerate(plain)]


def _given(world: World, names: list[str], found: Mapping[str, Path], gives: list[int] | None) -> Files:
    kept = dict(zip(found, world.keep_together(found), strict=True)) if found else {}
    chosen = [kept.get(names[index]) for index in sorted(set(gives or [0]))]
    return chosen[0] if len(chosen) == 1 else chosen


@getter("vm_file_text", source="file")
def vm_file_text(world: World, *, path: str) -> str | None:
    """A file of the desktop as text (UTF-8, invalid bytes replaced); None if there is no such file."""
    data = world.read(path, max_bytes=MAX_TEXT)
    return None if data is None else data.decode("utf-8", "replace")


@getter("cloud_file", source="task", fits=_paired)
def cloud_file(
    world: World,
    *,
    path: str | list[str],
    dest: str | list[str] = "",
    multi: bool = False,
    gives: list[int] | None = None,
    sha256: str | list[str] = "",
) -> Files:
    """A file from the web, downloaded once for all episodes; `multi` and `gives` as in `vm_file`.

    `sha256` is the hash that the file must have, or a list with one for each file.

    Raises:
        AssetError: it cannot be downloaded now; the episode is retried.
        CheckError: it can never be downloaded (`assets.GONE`, not a URL), or its hash differs; the desktop is not at
            fault.
    """
    paths, names = _named(path, dest)
    pins = [sha256] * len(paths) if isinstance(sha256, str) else sha256
    try:
        wanted = zip(names, paths, pins, strict=True)
        found = {name: fetch(url, world.assets, world.task, pin) for name, url, pin in wanted}
    except AssetError as error:
        if error.permanent:
            raise CheckError(str(error)) from error
        raise
    return _given(world, names, found, gives if multi else None)


@getter("task_file", source="task")
def task_file(world: World, *, path: str) -> Path:
    """A file next to the task file."""
    found = world.task.asset(path)
    if not found.is_file():
        raise CheckError(f"no such file next to the task file: {path}")
    return found


@getter("cache_file", source="file")
def cache_file(world: World, *, path: str) -> Path | None:
    """A file that a set-up step put into the episode's cache (`execute` with `stdout` or `stderr`)."""
    found = world.cache / path.replace("/", "_")
    return found if found.is_file() else None


@getter("content_from_vm_file", source="file")
def content_from_vm_file(
    world: World, *, path: str, file_type: Literal["xlsx"], file_content: Literal["last_row"]
) -> list[str] | None:
    """The last row of a workbook's first sheet, each value as text; None if there is no such file."""
    file = vm_file(world, path=path)
    if not isinstance(file, Path):
        return None
    row = read("last_row", file=file)
    return None if row is None else list(row)


@getter("list_directory", source="file")
def list_directory(world: World, *, path: str) -> dict[str, object] | None:
    """The tree of a folder in OSWorld's form; None if there is no such folder."""
    try:
        return world.desktop.list_directory(path)
    except FileNotFoundError:
        return None


@getter("conference_city_in_order", source="task")
def conference_city_in_order(world: World, *, csv_path: str) -> list[str]:
    """The third column of a CSV file next to the task file, without the header."""
    rows = read_text(task_file(world, path=csv_path)).splitlines()[1:]
    return [row.split(",")[2] for row in rows]
