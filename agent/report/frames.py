"""Read the frames of a run folder for a page: only pictures that are inside the folder and not too large.

A run folder may come from a stranger. A name in it never leads out of the folder, and every picture is checked before
it is shown.
"""

from __future__ import annotations

import io
import re
import struct

from PIL import Image

from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.types import MAX_PIXELS

MAX_BYTES = 64 * 2**20
"""Largest file of a frame; a 7680x4320 screen of noise has 100 MB, a real one less than a tenth of that."""
_NAME = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR(.{8})", re.DOTALL)
"""A PNG's first bytes: its signature, and the chunk that holds width and height (W3C PNG, 5.2 and 11.2.1)."""
WEBP_QUALITY = 80
"""Lossy, to save space: about 30 kB for a 1280x800 desktop. The lossless PNGs stay in the run folder."""


def read_frame(episode: EpisodeFolder, name: object) -> bytes | None:
    """The PNG of a frame, or None if there is no such frame or it cannot be shown.

    Args:
        episode: the episode's folder.
        name: the frame's name: the SHA-256 of its bytes in hex.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    path = episode.frame(name)
    try:
        if not path.is_file() or path.resolve() != EpisodeFolder(episode.path.resolve()).frame(name):
            return None
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= MAX_BYTES and is_picture(data) else None


def is_picture(data: bytes) -> bool:
    """Whether bytes begin like a PNG whose size may be decoded."""
    header = _HEADER.match(data)
    if header is None:
        return False
    width, height = struct.unpack(">II", header[1])
    return bool(0 < width * height <= MAX_PIXELS)


def webp(data: bytes) -> bytes | None:
    """A frame's PNG as WebP, or None if it cannot be decoded."""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.convert("RGB").save(buffer, "WEBP", quality=WEBP_QUALITY, method=0)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError):
        return None  # Pillow raises these for broken files
    return buffer.getvalue()
