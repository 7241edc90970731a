"""Detects tasks of OSWorld that need the live web or your Google Drive, which their files do not state.

Such tasks are skipped with the reason, unless `--network` is given and, for the drive, there are credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from deskbench.envs.errors import SetupError
from deskbench.tasks.types import Call, Task
from deskbench.tasks.web.drive import settings_of

PAGES = frozenset({
    "open_tabs_info", "page_info", "active_tab_info", "info_from_website", "active_tab_html_parse", "url_dashPart",
    "gotoRecreationPage_and_get_html_content", "active_url_from_accessTree", "active_tab_url_parse", "url_path_parse",
    "number_of_search_results", "extensions_installed_from_shop", "timezone_from_ip",
})  # fmt: skip
"""Getters that read a web page or its effects."""
DRIVE = frozenset({"googledrive", "login", "googledrive_file"})
FETCHES = re.compile(r"\b(wget|curl|git clone|pip3? install (?!/)|apt(-get)? (-y )?install|snap install)\b")
"""Commands that download something into the desktop."""
HERE = ("localhost", "127.0.0.1", "")


def live_web(task: Task) -> str | None:
    """Why the task needs the live web, or None."""
    if task.proxy:
        return "it requests a proxy to the live web"
    for call in (*task.config, *task.evaluator.postconfig):
        address = next(_addresses(call.parameters), None)
        if call.type == "chrome_open_tabs" and address:
            return f"it opens {address}"
        if call.type in ("launch", "execute", "command") and (fetch := FETCHES.search(_command(call))):
            return f"its set-up says {fetch[0]}"
    for call in _getters(task):
        if call.type in PAGES:
            return f"its check reads pages of the web ({call.type})"
    return None


def drive(task: Task) -> str | None:
    """What the task needs for Google Drive and does not have, or None."""
    for call in (*task.config, *_getters(task)):
        if call.type in DRIVE:
            try:
                settings_of(task, str(call.parameters.get("settings_file", "")))
            except SetupError as error:
                return str(error)
    return None


def _command(call: Call) -> str:
    """A command as one line, whether the file gives it as text or as a list."""
    command = call.parameters.get("command", "")
    return " ".join(str(part) for part in command) if isinstance(command, list) else str(command)


def _getters(task: Task) -> Iterator[Call]:
    for check in task.evaluator.checks:
        yield from (call for call in (check.result, check.expected) if call is not None)


def _addresses(value: Any) -> Iterator[str]:
    """Addresses of other machines anywhere in a value."""
    if isinstance(value, str):
        if value.startswith(("http://", "https://", "www.")) and _elsewhere(value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from _addresses(item)


def _elsewhere(url: str) -> bool:
    """Whether an address belongs to another machine; false for text that is not a URL."""
    try:
        return urlsplit(url).hostname not in HERE
    except ValueError:
        return False
