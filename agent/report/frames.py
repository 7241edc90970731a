"""Read the frames of a run folder for a page: only pictures that are inside the folder and not too large.

A run folder may come from a stranger. A name in it never leads out of the folder, and every picture is checked before
it is shown.
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

from PIL import Image

from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.types import MAX_PIXELS

MAX_BYTES = 64 * 2**20
"""Largest file of a frame; a 7680x4320 screen of noise has 100 MB, a real one less than a tenth of that."""
LARGEST_TREE = 16 << 20
"""Bytes of an accessibility tree."""
_NAME = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR(.{8})", re.DOTALL)
"""A PNG's first bytes: its signature, and the chunk that holds width and height (W3C PNG, 5.2 and 11.2.1)."""
WEBP_QUALITY = 80
"""Lossy, to save space: about 20 kB for a 1280x800 desktop. The lossless PNGs stay in the run folder."""
SMALL_QUALITY = 55
"""For pictures that are made smaller: about 2 kB at a width of 320 pixels."""


def read_frame(episode: EpisodeFolder, name: object) -> bytes | None:
    """The PNG of a frame, or None if there is no such frame or it cannot be shown.

    Args:
        episode: the episode's folder.
        name: the frame's name: the SHA-256 of its bytes in hex.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    data = _read(episode.frame(name), EpisodeFolder(episode.path.resolve()).frame(name), MAX_BYTES)
    return data if data is not None and is_picture(data) else None


def is_picture(data: bytes) -> bool:
    """Whether bytes begin like a PNG whose size may be decoded."""
    header = _HEADER.match(data)
    if header is None:
        return False
    width, height = struct.unpack(">II", header[1])
    return bool(0 < width * height <= MAX_PIXELS)


def webp(data: bytes, width: int | None = None) -> bytes | None:
    """A frame's PNG as WebP, at most `width` pixels wide; None if it cannot be decoded."""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:  # a second header may say more than the first
                return None
            shown = picture.convert("RGB")
            if width is None or shown.width <= width:
                shown.save(buffer, "WEBP", quality=WEBP_QUALITY, method=0)
            else:
                height = max(1, shown.height * width // shown.width)
                small = shown.resize((width, height), Image.Resampling.BOX)
                small.save(buffer, "WEBP", quality=SMALL_QUALITY, method=0)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError):
        return None  # Pillow raises these for broken files
    return buffer.getvalue()


def read_difference(run: RunFolder, step: int) -> bytes | None:
    """The picture of both screens where a replay first differs, or None if it does not differ at this step."""
    data = _read(run.difference(step), RunFolder(run.path.resolve()).difference(step), MAX_BYTES)
    return data if data is not None and is_picture(data) else None


def read_tree(episode: EpisodeFolder, name: str) -> str | None:
    """The text of an accessibility tree, or None if there is no such file or it is too large.

    Args:
        episode: the episode's folder.
        name: the file's name: the SHA-256 of its bytes in hex.
    """
    if not _NAME.fullmatch(name):
        return None
    data = _read(episode.file(name), EpisodeFolder(episode.path.resolve()).file(name), LARGEST_TREE)
    return None if data is None else data.decode("utf-8", "replace")


def find_film(episode: EpisodeFolder) -> Path | None:
    """The film of an episode; None if there is none, if it is a link, or if it does not begin like an MP4."""
    path = episode.video
    try:
        if not path.is_file() or path.resolve() != EpisodeFolder(episode.path.resolve()).video:
            return None
        with path.open("rb") as file:
            return path if file.read(8)[4:] == b"ftyp" else None
    except (OSError, ValueError):
        return None


def _read(path: Path, real: Path, limit: int) -> bytes | None:
    """A file that is no link and is not larger than the limit."""
    try:
        if not path.is_file() or path.resolve() != real:
            return None
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= limit else None
