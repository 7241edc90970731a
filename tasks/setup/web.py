"""Set-up steps for Chrome: tabs, history, accounts."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from deskbench.envs.errors import SetupError
from deskbench.tasks.assets import fetch
from deskbench.tasks.chrome import PAGE_MS, browser, context_of, pages_of, profile_file, profile_folder
from deskbench.tasks.drive import Drive, settings_of
from deskbench.tasks.getters.drive import SETTINGS
from deskbench.tasks.metrics.matching import same_url
from deskbench.tasks.registry import setup_step
from deskbench.tasks.setup.files import put
from deskbench.tasks.world import Context


@setup_step("chrome_open_tabs")
def chrome_open_tabs(context: Context, *, urls_to_open: list[str]) -> None:
    """Open a tab for each address in the Chrome that a step before started, and close the one it began with."""
    with browser(context.desktop, start=False) as found:
        first = pages_of(found)
        for url in urls_to_open:
            _open(context_of(found).new_page(), url)
        for page in first if urls_to_open else []:
            page.close()


def _open(page: Any, url: str) -> None:
    """A page that loads slowly is left to load; one that Chrome cannot open is an error."""
    from playwright.sync_api import Error, TimeoutError

    try:
        page.goto(url, timeout=PAGE_MS)
    except TimeoutError:
        if page.url in ("", "about:blank"):
            raise SetupError(f"{url} did not begin to load within {PAGE_MS / 1000:g} s") from None
    except Error as error:
        raise SetupError(f"Chrome cannot open {url}: {error.message.splitlines()[0]}") from None


@setup_step("chrome_close_tabs")
def chrome_close_tabs(context: Context, *, urls_to_close: list[str]) -> None:
    """Close every tab that shows one of these addresses."""
    with browser(context.desktop, start=False) as found:
        for url in urls_to_close:
            shown = [page for page in pages_of(found) if same_url(page.url, url)]
            if not shown:
                open_now = ", ".join(page.url for page in pages_of(found))
                raise SetupError(f"no tab shows {url}; open are: {open_now or 'none'}")
            for page in shown:
                page.close()


class Visit(TypedDict):
    """A page that was visited so many seconds ago."""

    url: str
    title: str
    visit_time_from_now_in_seconds: float


CHROME_EPOCH = 11_644_473_600
"""Seconds from 1601-01-01, where Chrome's clock begins, to 1970-01-01."""
TYPED_LINK = 0x30000000
"""Chrome's PAGE_TRANSITION_CHAIN_START and _END with the type LINK: a visit of its own, by a link."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR);
CREATE TABLE IF NOT EXISTS urls (id INTEGER PRIMARY KEY AUTOINCREMENT, url LONGVARCHAR, title LONGVARCHAR,
  visit_count INTEGER DEFAULT 0 NOT NULL, typed_count INTEGER DEFAULT 0 NOT NULL,
  last_visit_time INTEGER NOT NULL, hidden INTEGER DEFAULT 0 NOT NULL);
CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, url INTEGER NOT NULL, visit_time INTEGER NOT NULL,
  from_visit INTEGER, transition INTEGER DEFAULT 0 NOT NULL, segment_id INTEGER,
  visit_duration INTEGER DEFAULT 0 NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('version', '32'), ('last_compatible_version', '16');
"""
"""A history as Chrome of version 32 of its schema had it; newer ones bring it up to date when they start."""


@setup_step("update_browse_history")
def update_browse_history(context: Context, *, history: list[Visit]) -> None:
    """Add visits to Chrome's history. Chrome must not be running: it keeps its own copy."""
    desktop = context.desktop
    data = profile_file(desktop, "Default/History")
    with tempfile.TemporaryDirectory(prefix="deskbench-history-") as scratch:
        file = Path(scratch) / "History"
        file.write_bytes(data or b"")
        _add_visits(file, history, time.time())
        put(context, f"{profile_folder(desktop)}/Default/History", file.read_bytes())


def _add_visits(file: Path, history: list[Visit], now: float) -> None:
    connection = sqlite3.connect(file)
    try:
        connection.executescript(_SCHEMA)
        for visit in history:
            at = int((now - visit["visit_time_from_now_in_seconds"] + CHROME_EPOCH) * 1e6)
            row = connection.execute(
                "INSERT INTO urls (url, title, visit_count, typed_count, last_visit_time, hidden) "
                "VALUES (?, ?, 1, 0, ?, 0)",
                (visit["url"], visit["title"], at),
            ).lastrowid
            connection.execute(
                "INSERT INTO visits (url, visit_time, from_visit, transition, segment_id, visit_duration) "
                "VALUES (?, ?, 0, ?, 0, 0)",
                (row, at, TYPED_LINK),
            )
        connection.commit()
    finally:
        connection.close()


@setup_step("login")
def login(context: Context, *, settings_file: str, platform: Literal["googledrive"]) -> None:
    """Log into Google Drive in the desktop's Chrome, with the account of a file of settings (email, password)."""
    account = json.loads(settings_of(context.task, settings_file).read_text(encoding="utf-8"))
    with browser(context.desktop, start=False) as found:
        page = context_of(found).new_page()
        _open(page, "https://drive.google.com/drive/my-drive")
        for kind, value, button in (
            ("email", account["email"], "#identifierNext button"),
            ("password", account["password"], "#passwordNext button"),
        ):
            page.fill(f'input[type="{kind}"]', value, timeout=15_000)
            page.click(button)
        page.wait_for_url("**/drive.google.com/**", timeout=30_000)


class DriveArguments(TypedDict, total=False):
    """Of one operation on the drive."""

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
    """Bring Google Drive into the state that the task begins with."""
    drive = Drive.of(context.task, settings_file)
    for name, one in zip(operation, args, strict=True):
        path = one.get("path", [])
        parts = path if isinstance(path, list) else [path]
        if name == "delete":
            drive.delete(one.get("query", ""), trash=one.get("trash", False))
        elif name == "mkdirs":
            drive.make_folders(parts)
        else:
            drive.upload(fetch(one["url"], context.assets), parts)


@setup_step("proxy")
def proxy(context: Context, *, client_password: str = "") -> None:
    """OSWorld's proxy inside the desktop, which no task file names and we do not make."""
    raise SetupError("the set-up type proxy is not supported: it would put a proxy's password where the agent can "
                     "read it; give the desktop the network itself (--network)")  # fmt: skip


@setup_step("change_wallpaper")
def change_wallpaper(context: Context, *, path: str) -> None:
    """Set the desktop's background to a picture, and prove that it is set."""
    desktop = context.desktop
    wanted = desktop.read_file(path)
    desktop.set_wallpaper(path)
    if desktop.wallpaper() != wanted:
        raise SetupError(f"the background is another picture after setting it to {path}")
