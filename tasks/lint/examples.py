"""The task that the rules' examples modify (RFC 7396, JSON Merge Patch)."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TASK: dict[str, Any] = {
    "id": "replace-word",
    "instruction": 'In the open file letter.txt replace "Monday" by "Thursday", and save the file.',
    "config": [
        {"type": "write_file", "parameters": {"path": "~/Documents/letter.txt", "text": "We meet on Monday.\n"}},
        {"type": "launch", "parameters": {"command": ["mousepad", "~/Documents/letter.txt"]}},
    ],
    "evaluator": {
        "func": "text_equals",
        "result": {"type": "vm_file", "path": "~/Documents/letter.txt", "dest": "letter.txt"},
        "expected": {"type": "rule", "rules": {"expected": "We meet on Thursday."}},
    },
    "oracle": [
        {"type": "key", "keys": ["ctrl", "a"]},
        {"type": "type", "text": "We meet on Thursday."},
        {"type": "key", "keys": ["ctrl", "s"]},
    ],
    "requires": {"os": ["linux"], "apps": ["mousepad"]},
    "mutants": [
        {"name": "another day", "steps": [{"type": "write_file", "parameters": {
            "path": "~/Documents/letter.txt", "text": "We meet on Tuesday.\n"}}]},
    ],
}  # fmt: skip
"""A task without findings."""
ASSETS = {"assets/list.txt": "one\ntwo\n"}


def merged(value: Any, patch: Any) -> Any:
    """A copy of a value with a merge patch applied (RFC 7396): null removes a key, and only objects are merged."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    kept = copy.deepcopy(dict(value)) if isinstance(value, Mapping) else {}
    for key, inner in patch.items():
        if inner is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), inner)
    return kept


def write(folder: Path, patches: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write the example task with each of some patches to a folder, together with its assets.

    The first file has the unchanged task's name; the others are named by their ids.
    """
    files = []
    for name, text in ASSETS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for number, patch in enumerate([patches] if isinstance(patches, Mapping) else patches):
        task = merged(TASK, patch)
        files.append(folder / f"{task['id'] if number else TASK['id']}.json")
        files[-1].write_text(json.dumps(task, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files
