"""Replaces the agent's values in a check, to see whether the check works without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_MOST = 20
"""How many files of a list are replaced."""


def harmless(values: Sequence[Any], theirs: Sequence[bool], folder: Path) -> list[Any]:
    """The result and the expected value, with the agent's values replaced.

    The replacement is the other value if that is not the agent's and is of the same kind; else a small value of the
    same kind.

    Args:
        values: the two values.
        theirs: for each, whether it comes from the desktop.
        folder: where to create small files.
    """
    replaced = []
    for place, value in enumerate(values):
        other = values[1 - place]
        if not theirs[place]:
            replaced.append(value)
        elif not theirs[1 - place] and _files(value) and _files(other):
            replaced.append(other)
        else:
            replaced.append(_small(value, folder))
    return replaced


def _files(value: Any) -> bool:
    """Whether a value is a file or a list with files."""
    return isinstance(value, Path) or (isinstance(value, list) and any(isinstance(item, Path) for item in value))


def _small(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return _file(folder / f"small{value.suffix.lower()}")
    if isinstance(value, list):
        return [_small(item, folder) for item in value[:_MOST]]
    if isinstance(value, Mapping):
        return {}
    return None if value is None else type(value)()


def _file(path: Path) -> Path:
    """A small file of the type that the name says; an empty one if the type is unknown."""
    if not path.exists():
        make = _KINDS.get(path.suffix)
        path.write_bytes(b"") if make is None else make(path)
    return path


def _document(path: Path) -> None:
    import docx

    docx.Document().save(str(path))


def _presentation(path: Path) -> None:
    import pptx

    pptx.Presentation().save(str(path))


def _workbook(path: Path) -> None:
    import openpyxl

    openpyxl.Workbook().save(path)


def _picture(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (16, 16), (200, 100, 50)).save(path)


def _archive(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small.txt", "small\n")


def _text(text: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return make


_KINDS: dict[str, Callable[[Path], None]] = {
    ".docx": _document, ".pptx": _presentation, ".xlsx": _workbook, ".zip": _archive,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tiff", ".webp"), _picture),
    ".json": _text("{}\n"), ".xml": _text("<small/>\n"), ".xcu": _text("<small/>\n"), ".csv": _text("a,b\n1,2\n"),
    ".html": _text("<html><body>small</body></html>\n"), ".txt": _text("small\n"),
}  # fmt: skip
