"""Set-up steps that put files into the desktop."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from deskbench.envs.errors import SetupError
from deskbench.tasks.assets import fetch
from deskbench.tasks.registry import setup_step
from deskbench.tasks.world import Context


class Download(TypedDict):
    """One file of `download`; `sha256` is the hash that it must have."""

    url: str
    path: str
    sha256: NotRequired[str]


class Upload(TypedDict):
    """One file of `upload_file`; `local_path` is relative to the task file."""

    local_path: str
    path: str


@setup_step("download")
def download(context: Context, *, files: list[Download]) -> None:
    """Download each URL into the controller's cache (once for all episodes) and copy the file to the desktop."""
    for file in files:
        found = fetch(file["url"], context.assets, context.task, file.get("sha256", ""))
        put(context, file["path"], found.read_bytes())


@setup_step("upload_file")
def upload_file(context: Context, *, files: list[Upload]) -> None:
    """Copy files next to the task file to the desktop."""
    for file in files:
        put(context, file["path"], context.task.asset(file["local_path"]).read_bytes())


@setup_step("write_file")
def write_file(context: Context, *, path: str, text: str) -> None:
    """Write text to a file in the desktop."""
    put(context, path, text.encode())


def put(context: Context, path: str, data: bytes) -> None:
    """Write a file and read it back.

    Raises:
        SetupError: the desktop holds something else.
    """
    context.desktop.write_file(path, data)
    found = context.desktop.read_file(path, max_bytes=len(data) + 1)
    if found != data:
        raise SetupError(f"{path} has {len(found)} bytes after writing {len(data)}")
