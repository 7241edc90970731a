"""Determines the kinds of a piece of evidence from its getter, its file name and its content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from deskbench.tasks.mutation.kinds.settings import has_entries, is_registry
from deskbench.tasks.mutation.operators import About, Raw, seed_of

MAX_TEXT = 2**18
"""The most bytes or characters of a text to change. To larger files only the operators for any file apply."""
MAX_BYTES = 16 * 2**20
"""The same limit for the kinds in `_PACKED`."""
_PACKED = ("xlsx", "docx", "pptx", "png", "jpeg", "pdf", "wav", "sqlite", "archive")
_BY_GETTER = {"list_directory": "tree", "agent_answer": "answer", "vm_clipboard": "clipboard",
              "vm_window_titles": "windows"}  # fmt: skip
_BY_SUFFIX = {
    ".json": "json", ".jsonl": "text", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".xml": "xml", ".html": "xml",
    ".xhtml": "xml", ".svg": "xml", ".xcu": "xml", ".csv": "csv", ".tsv": "csv", ".ini": "ini", ".conf": "ini",
    ".cfg": "ini", ".desktop": "ini", ".xlsx": "xlsx", ".xlsm": "xlsx", ".docx": "docx", ".pptx": "pptx",
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".pdf": "pdf", ".wav": "wav", ".rtf": "rtf",
    ".zip": "archive", ".tar": "archive", ".gz": "archive", ".tgz": "archive", ".xz": "archive", ".bz2": "archive",
    ".eml": "mail", ".mbox": "mail", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip
_MAGIC = {b"\x89PNG\r\n": "png", b"\xff\xd8\xff": "jpeg", b"%PDF-": "pdf", b"SQLite format 3\0": "sqlite",
          b"{\\rtf": "rtf", b"From ": "mail"}  # fmt: skip
_OF_PROGRAMS = ("/.", "\\AppData\\", "~/.")
"""Marks in the paths of files that belong to a program."""


@dataclass(frozen=True)
class Evidence:
    """What one getter read, or one file of it.

    Attributes:
        label: the name of the file or the getter.
        getter: the getter's name.
        value: a file, or a plain value.
        about: what operators may know.
    """

    label: str
    getter: str
    value: Any
    about: About

    @property
    def raw(self) -> Raw:
        """The recorded form, which kinds read."""
        return self.value.read_bytes() if isinstance(self.value, Path) else self.value


def evidence(getter: str, parameters: Mapping[str, Any], value: Any, *, named: str, instruction: str) -> Evidence:
    """A piece of evidence with what operators may know about it.

    Args:
        getter, parameters: the getter's call.
        value: what it read: a file or a plain value.
        named: the names that the check uses, as text.
        instruction: the task's instruction.
    """
    path = parameters.get("path")
    own = isinstance(value, Path) and isinstance(path, str) and any(mark in path for mark in _OF_PROGRAMS)
    registry = isinstance(value, str) and is_registry(value)
    settings = own or registry or getter in ("accessibility_tree", "vm_terminal_output")
    label = value.name if isinstance(value, Path) else _label(getter, parameters)
    told = f"{named} {json.dumps({**parameters, 'path': ''}, default=str)}"
    raw = value.read_bytes() if isinstance(value, Path) else value
    return Evidence(label, getter, value, About(seed_of(raw), instruction, told, settings))


def _label(getter: str, parameters: Mapping[str, Any]) -> str:
    path = parameters.get("path")
    return PurePosixPath(path.replace("\\", "/")).name or getter if isinstance(path, str) else getter


def kinds_of(one: Evidence) -> Iterator[str]:
    """The kinds whose operators apply to the evidence."""
    if isinstance(one.value, Path):
        yield "files"
        data = one.value.read_bytes()
        found = _content(one.value, data)
        if found == "text" and one.about.settings and has_entries(data[:MAX_TEXT].decode("utf-8", "replace")):
            found = "ini"
        yield from (found,) if found else ()
    elif one.getter in _BY_GETTER:
        yield _BY_GETTER[one.getter]
    elif isinstance(one.value, str):
        yield _of_text(one)
    elif isinstance(one.value, (bool, int, float)):
        yield "number"
    elif isinstance(one.value, (list, dict)):
        yield "object"


def too_large(kind: str, raw: Raw) -> bool:
    """Whether evidence is too large for the operators of a kind."""
    most = MAX_BYTES if kind in _PACKED else MAX_TEXT
    return kind != "files" and (len(raw) if isinstance(raw, (bytes, str)) else len(json.dumps(raw))) > most


def _content(file: Path, data: bytes) -> str:
    """The kind of a file's content; empty if there is no such kind."""
    magic = next((kind for head, kind in _MAGIC.items() if data.startswith(head)), None)
    found = magic or _BY_SUFFIX.get(file.suffix.lower())
    if found is None and data.lstrip().startswith(b"<?xml"):
        found = "xml"
    return found or ("" if b"\0" in data[:4096] else "text")


def _of_text(one: Evidence) -> str:
    if is_registry(one.value):
        return "registry"
    if one.value.lstrip().startswith("<?xml") or one.getter == "accessibility_tree":
        return "xml"
    return "text" if one.getter == "vm_file_text" or "\n" in one.value.strip() else "output"
