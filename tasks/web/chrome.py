"""Access to the desktop's Chrome: its debugging port, its start and its profile."""

from __future__ import annotations

import contextlib
from typing import Any

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import EnvError, Unfit
from deskbench.tasks import guest
from deskbench.tasks.scoring.sandbox import Limits
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.world import MAX_FILE

PORT = 9222
"""OSWorld's tasks start Chrome with port 1337 and use socat to expose it as 9222."""
INNER_PORT = 1337
START_SECONDS = 75.0
READING = Limits(seconds=60.0, memory=None, network=True)
"""Limits for readers that use playwright: its driver (Node) reserves more address space than it uses."""
_PROFILES = {
    "Linux": ("~/.config/google-chrome", "~/.config/chromium", "~/snap/chromium/common/chromium"),
    "Darwin": ("~/Library/Application Support/Google/Chrome",),
    "Windows": ("$LOCALAPPDATA\\Google\\Chrome\\User Data",),
}


def profile_file(desktop: Desktop, name: str) -> bytes | None:
    """A file of Chrome's profile (`Default/Preferences`, `Local State`); None if Chrome has not written it.

    Raises:
        Unfit: there is something at the path, but not a readable file.
    """
    platform = desktop.health().platform
    for folder in _PROFILES.get(platform, _PROFILES["Linux"]):
        path = f"{folder}/{name}"
        try:
            return desktop.read_file(path.replace("/", "\\") if platform == "Windows" else path, max_bytes=MAX_FILE)
        except FileNotFoundError:
            continue
    return None


def profile_folder(desktop: Desktop) -> str:
    """The profile's folder, which need not exist yet."""
    folders = _PROFILES.get(desktop.health().platform, _PROFILES["Linux"])
    for folder in folders:
        try:
            desktop.read_file(f"{folder}/Local State", max_bytes=MAX_FILE)
        except FileNotFoundError:
            continue
        except Unfit:
            pass
        return folder
    return folders[0]


def shown(desktop: Desktop, reader: str, *, start: bool = True, **arguments: Any) -> Any:
    """Run one of `pages.READERS` on the desktop's Chrome, to read or change something.

    Args:
        desktop: the desktop.
        reader: the reader's name, without `chrome.`.
        start: whether to start Chrome if it does not answer (the agent may have closed it).
        arguments: the reader's arguments.

    Raises:
        Unfit: no Chrome answers, or what it shows cannot be read.
        CheckError: the network does not deliver a page, or the reader has a bug.
    """
    found = _read(desktop, reader, 0.0, arguments)
    if found is None:
        if start:
            _start(desktop)
        found = _read(desktop, reader, START_SECONDS, arguments)
    if found is None:
        raise Unfit(f"Chrome does not answer on the desktop's ports {PORT} and {INNER_PORT}")
    return found[0]


def _read(desktop: Desktop, reader: str, within: float, arguments: dict[str, Any]) -> Any:
    addresses = []
    for port in (PORT, INNER_PORT):
        with contextlib.suppress(EnvError):
            addresses.append(desktop.forward(port))
    return read(f"chrome.{reader}", READING, addresses=addresses, within=within, **arguments)


def _start(desktop: Desktop) -> None:
    for name in ("google-chrome", "chromium"):
        found = guest.ask(desktop, ["which", name])
        if found.returncode == 0:
            desktop.launch([found.stdout.strip(), f"--remote-debugging-port={INNER_PORT}"])
            return
