"""From the difference of a start and an end to checks, each in words."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from deskbench.agent.recording.snapshot import Snapshot

MAX_TEXT = 20_000
"""Characters of a text that a task file holds."""
SHOWN = 60
"""Characters of a text that words quote."""
MAX_LINES = 20
"""New lines of a settings file that are wanted."""
SETTINGS = frozenset({".ini", ".conf", ".cfg", ".rc", ".desktop", ".list"})
OF_WINDOWS = re.compile(
    r"(?i)(^|[^a-z])(x|y|w|h|width|height|pos|position|geometry|maximi[sz]ed|splitter|size|last|recent|history|window)"
    r"($|[^a-z])"
)
"""Keys that say where a window was, or what was open: they change by themselves."""
DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    ".docx": ("compare_docx_files", {}), ".odt": ("compare_docx_files", {}), ".pptx": ("compare_pptx_files", {}),
    ".xlsx": ("compare_table", {"rules": [{"type": "sheet_data", "sheet_idx0": "RI0", "sheet_idx1": "EI0"}]}),
    ".pdf": ("compare_pdfs", {}), ".png": ("images_equal", {}), ".jpg": ("images_equal", {"tolerance": 3.0}),
    ".jpeg": ("images_equal", {"tolerance": 3.0}),
}  # fmt: skip
"""Metrics that compare a document with what was recorded, and their options."""


@dataclass(frozen=True)
class Proposal:
    """A check that a task may have.

    Attributes:
        words: what it asks for.
        metric, result, expected, options: as an evaluator has them.
        assets: files that it needs beside the task, by name.
    """

    words: str
    metric: str
    result: dict[str, Any]
    expected: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    assets: Mapping[str, bytes] = field(default_factory=dict)


def proposals(before: Snapshot, after: Snapshot) -> list[Proposal]:
    """Checks that the end meets and the start does not, files first."""
    changed = [path for path in sorted(after.files) if before.files.get(path) != after.files[path]]
    found = [one for path in changed for one in _of_file(path, before.files.get(path), after.files[path])]
    found += _of_folders(before, after)
    text = after.clipboard
    if text.strip() and text != before.clipboard and len(text) <= MAX_TEXT:
        found.append(
            Proposal(f"the clipboard holds {_quoted(text)}", "text_equals", {"type": "vm_clipboard"}, _rule(text))
        )
    return found


def _of_file(path: str, before: bytes | None, after: bytes) -> Iterator[Proposal]:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in DOCUMENTS:
        metric, options = DOCUMENTS[suffix]
        name = f"assets/{PurePosixPath(path).stem}-{hashlib.sha256(after).hexdigest()[:8]}{suffix}"
        words = f"{_home(path)} is as it was when the recording ended ({metric})"
        yield Proposal(words, metric, _file(path), {"type": "task_file", "path": name}, options, {name: after})
        return
    text, old = _text(after), _text(before or b"")
    if text is None or old is None:
        return  # its content cannot be told in words; its name is told by the folder
    hidden = path.startswith(".")
    if suffix == ".json":
        yield from _of_json(path, old, text, hidden)
    elif hidden or (suffix in SETTINGS and before is not None):
        yield from _of_settings(path, old, text)
    else:
        yield Proposal(f"{_home(path)} holds {_quoted(text)}", "text_equals", _file(path), _rule(text))


def _of_json(path: str, old: str, text: str, hidden: bool) -> Iterator[Proposal]:
    try:
        value, was = json.loads(text), json.loads(old or "null")
    except (ValueError, RecursionError):
        return
    if not hidden:
        yield Proposal(f"{_home(path)} holds {_quoted(text)}", "json_equals", _file(path), _rule(value))
        return
    for keys, now in _changed(was, value):
        if not OF_WINDOWS.search(str(keys[-1])):
            where = ".".join(map(str, keys))
            rule = {"type": "rule", "rules": {"expect": [{"path": keys, "equals": now}]}}
            yield Proposal(f"in {_home(path)}, {where} is {now!r}", "json_value", _file(path), rule)


def _changed(was: Any, now: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[list[str | int], Any]]:
    """Values that are other than they were, by their paths."""
    if isinstance(now, dict):
        for key, value in now.items():
            yield from _changed(was.get(key) if isinstance(was, dict) else None, value, (*above, key))
    elif was != now and above:
        yield list(above), now


def _of_settings(path: str, old: str, text: str) -> Iterator[Proposal]:
    """The keys of an INI file, or the new lines of another."""
    was, now = _ini(old), _ini(text)
    if was is None or now is None:
        lines = [line.strip() for line in text.splitlines() if line.strip() and line not in old.splitlines()]
        lines = [line for line in lines if not OF_WINDOWS.search(line)]
        if 0 < len(lines) <= MAX_LINES:
            rule = {"type": "rule", "rules": {"expected": lines}}
            yield Proposal(f"{_home(path)} has {', '.join(map(_quoted, lines))}", "file_contains", _file(path), rule)
        return
    for (section, key), value in now.items():
        if was.get((section, key)) != value and not OF_WINDOWS.search(key.replace("_", " ")):
            place = f"[{section}] {key}" if section else key
            rule = {"type": "rule", "rules": {"expect": [{"section": section, "key": key, "equals": value}]}}
            yield Proposal(f"in {_home(path)}, {place} is {_quoted(value)}", "ini_value", _file(path), rule)


def _ini(text: str) -> dict[tuple[str | None, str], str] | None:
    """Values by section and key, as `ini_value` reads them; None for a text that is no such file."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string("[\0]\n" + text)
    except (configparser.Error, AttributeError):  # before 3.13, for an indented line after a key without a value
        return None
    found = {
        (None if section == "\0" else section, key): value.strip().strip('"')
        for section in parser.sections() for key, value in parser.items(section) if value is not None
    }  # fmt: skip
    return found if found or not text.strip() else None


def _of_folders(before: Snapshot, after: Snapshot) -> Iterator[Proposal]:
    """Folders in which something has gone, come as a folder, or come with a content that no check can tell."""
    gone = {path for path in (*before.files, *before.folders) if path not in after.files and path not in after.folders}
    come = {path for path in after.folders if path not in before.folders}
    come |= {path for path in after.files if path not in before.files and not _is_told(path, after.files[path])}
    parents = {_parent(path): path in gone for path in sorted(come) + sorted(gone) if not path.startswith(".")}
    for folder in sorted(parents):
        if any(path in gone or path in come for path in _above(folder)):
            continue  # what holds it is told
        exact = parents[folder]
        tree = _tree(after, folder)
        names = ", ".join(sorted(tree)) or "nothing"
        words = f"the folder {_home(folder)} holds {names}{' and nothing else' if exact and tree else ''}"
        wanted = tree if exact else {name: tree[name] for name in tree if _join(folder, name) in come}
        if not exact:
            words = f"the folder {_home(folder)} holds {', '.join(sorted(wanted))}"
        yield Proposal(words, "directory_tree", {"type": "list_directory", "path": _home(folder)}, _rule(wanted),
                       {} if exact else {"exact": False})  # fmt: skip


def _is_told(path: str, data: bytes) -> bool:
    return PurePosixPath(path).suffix.lower() in DOCUMENTS or _text(data) is not None


def _tree(state: Snapshot, folder: str) -> dict[str, Any]:
    """What a folder holds, hidden files apart: None for a file, the same again for a folder."""
    inside = [path for path in (*state.files, *state.folders) if _parent(path) == folder]
    names = {PurePosixPath(path).name: path for path in inside}
    return {
        name: _tree(state, path) if path in state.folders else None
        for name, path in sorted(names.items()) if not name.startswith(".")
    }  # fmt: skip


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _above(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = _parent(folder)


def _text(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if len(text) <= MAX_TEXT and "\0" not in text else None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= SHOWN else f'"{line[:SHOWN]}..."'


def _home(path: str) -> str:
    return f"~/{path}" if path else "~"


def _file(path: str) -> dict[str, Any]:
    return {"type": "vm_file", "path": _home(path), "dest": PurePosixPath(path).name}


def _rule(expected: Any) -> dict[str, Any]:
    return {"type": "rule", "rules": {"expected": expected}}
