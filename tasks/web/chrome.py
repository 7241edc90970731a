"""Chrome from outside: where its debugging port is, how it is started, and where it keeps its profile."""

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
"""OSWorld's tasks start Chrome with the port 1337 and socat, which shows it as 9222."""
INNER_PORT = 1337
START_SECONDS = 75.0
READING = Limits(seconds=60.0, memory=None, network=True)
"""Of what is read by playwright, whose driver (Node) reserves more address space than it uses."""
_PROFILES = {
    "Linux": ("~/.config/google-chrome", "~/.config/chromium", "~/snap/chromium/common/chromium"),
    "Darwin": ("~/Library/Application Support/Google/Chrome",),
    "Windows": ("$LOCALAPPDATA\\Google\\Chrome\\User Data",),
}


def profile_file(desktop: Desktop, name: str) -> bytes | None:
    """A file of Chrome's profile (`Default/Preferences`, `Local State`); None where it has written none.

    Raises:
        Unfit: what is there is no file that can be read.
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
    """Where the profile is, or would be."""
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
    """What one of `pages.READERS` reads of the desktop's Chrome, or does to it.

    Args:
        desktop: whose.
        reader: its name, without `chrome.`.
        start: start Chrome where nothing answers (the agent may have closed it).
        arguments: the reader's.

    Raises:
        Unfit: no Chrome answers, or what it shows cannot be read.
        CheckError: a page cannot be opened for want of a network, or the reader has a fault.
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
