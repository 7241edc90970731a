"""Set-up steps for Chrome: tabs, history, accounts."""

from __future__ import annotations

import json
import time
from typing import Literal

from typing_extensions import TypedDict

from deskbench.envs.errors import SetupError
from deskbench.tasks.assets import fetch
from deskbench.tasks.getters.drive import SETTINGS
from deskbench.tasks.registry import setup_step
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.setup.files import put
from deskbench.tasks.web.chrome import profile_file, profile_folder, shown
from deskbench.tasks.web.drive import Drive, settings_of
from deskbench.tasks.world import MAX_FILE, Context


@setup_step("chrome_open_tabs")
def chrome_open_tabs(context: Context, *, urls_to_open: list[str]) -> None:
    """Open a tab for each address in the Chrome that an earlier step started, and close its first tab."""
    shown(context.desktop, "open_tabs", start=False, urls=urls_to_open)


@setup_step("chrome_close_tabs")
def chrome_close_tabs(context: Context, *, urls_to_close: list[str]) -> None:
    """Close every tab that shows one of the given addresses."""
    shown(context.desktop, "close_tabs", start=False, urls=urls_to_close)


class Visit(TypedDict):
    """A page, and how many seconds ago it was visited."""

    url: str
    title: str
    visit_time_from_now_in_seconds: float


@setup_step("update_browse_history")
def update_browse_history(context: Context, *, history: list[Visit]) -> None:
    """Add visits to Chrome's history. Chrome must not be running: it keeps its own copy."""
    desktop = context.desktop
    with context.room() as before, context.room() as after:
        before.write_bytes(profile_file(desktop, "Default/History") or b"")
        read("with_visits", file=before, visits=list(history), now=time.time(), into=after)
        put(context, f"{profile_folder(desktop)}/Default/History", after.read_bytes())


@setup_step("login")
def login(context: Context, *, settings_file: str, platform: Literal["googledrive"]) -> None:
    """Log in to Google Drive in the desktop's Chrome, with the account in a settings file (email, password)."""
    account = json.loads(settings_of(context.task, settings_file).read_text(encoding="utf-8"))
    shown(context.desktop, "login", start=False, email=str(account["email"]), password=str(account["password"]))


class DriveArguments(TypedDict, total=False):
    """The arguments of one operation on the drive."""

    query: str
    trash: bool
    path: str | list[str]
    url: str


@setup_step("googledrive")
def googledrive(
    context: Context,
    *,
    operation: list[Literal["delete", "mkdirs", "upload"]],
    args: list[DriveArguments],
    settings_file: str = SETTINGS,
) -> None:
    """Put Google Drive into the start state of the task."""
    drive = Drive.of(context.task, settings_file)
    for name, one in zip(operation, args, strict=True):
        path = one.get("path", [])
        parts = path if isinstance(path, list) else [path]
        if name == "delete":
            drive.delete(one.get("query", ""), trash=one.get("trash", False))
        elif name == "mkdirs":
            drive.make_folders(parts)
        else:
            drive.upload(fetch(one["url"], context.assets, context.task), parts)


@setup_step("proxy")
def proxy(context: Context, *, client_password: str = "") -> None:
    """OSWorld's proxy inside the desktop; no task file uses it, and deskbench does not support it."""
    raise SetupError("the set-up type proxy is not supported: it would put a proxy's password where the agent can "
                     "read it; give the desktop the network itself (--network)")  # fmt: skip


@setup_step("change_wallpaper")
def change_wallpaper(context: Context, *, path: str) -> None:
    """Set the desktop's background to a picture, and verify it."""
    desktop = context.desktop
    wanted = desktop.read_file(path, max_bytes=MAX_FILE)
    desktop.set_wallpaper(path)
    if desktop.wallpaper() != wanted:
        raise SetupError(f"the background is not {path} after it was set")
