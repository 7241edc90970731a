"""The desktop's background, through SystemParametersInfo (as Microsoft documents that call)."""

from __future__ import annotations

import ctypes

from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.win32 import api

GET, SET = 0x0073, 0x0014
KEEP_AND_TELL = 0x0003
"""Write it to the user's profile, and notify every window."""
LONGEST = 4096


def path() -> str:
    """The picture's path; empty if there is no picture."""
    found = ctypes.create_unicode_buffer(LONGEST)
    if not api.user32().SystemParametersInfoW(GET, LONGEST, found, 0):
        raise HttpError(500, "Windows does not report its background")
    return found.value


def change(path: str) -> None:
    """Show a picture.

    Raises:
        HttpError: 500, Windows rejects it.
    """
    if not api.user32().SystemParametersInfoW(SET, 0, ctypes.create_unicode_buffer(path), KEEP_AND_TELL):
        raise HttpError(500, f"Windows does not accept {path} as its background")
