"""Where a person may take over the desktop of a running episode: known to this user's other processes, and to no run.

The addresses hold secrets, so they are in the user's own cache folder and not in the run's, which may be copied.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from deskbench.agent.runs.names import name_of

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d{1,5}/\w+\.html#[\w-]{1,100}")
"""An address of `envs.clients.vnc.Viewer`."""


def offer(episode: Path, address: str) -> None:
    """Keep the address for an episode until `withdraw`.

    Raises:
        OSError: the cache folder cannot be written.
    """
    place = _place(episode)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    withdraw(episode)
    with open(place, "x", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(address)


def withdraw(episode: Path) -> None:
    """Forget the address of an episode."""
    with suppress(OSError):
        _place(episode).unlink()


def offered(episode: Path) -> str | None:
    """The address for an episode, or None. It may be a dead one if the run's process was killed."""
    try:
        address = _place(episode).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return address if _ADDRESS.fullmatch(address) else None


def _place(episode: Path) -> Path:
    return user_cache_path("deskbench") / "take-over" / name_of(episode.resolve())
