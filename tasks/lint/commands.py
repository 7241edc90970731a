"""Parses the command lines of checks, as far as the rules need."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_RUNNERS = frozenset({"bash", "sh", "python", "python3", "source", ".", "perl", "node", "sudo", "timeout"})


def script_of(line: str) -> str:
    """The name of the task's own script that a command runs; empty if there is none."""
    words = line.split()
    for index, word in enumerate(words):
        name = PurePosixPath(word.strip("'\"")).name
        runs = index == 0 or words[index - 1].strip("'\"").split("/")[-1] in _RUNNERS
        if runs and re.search(r"\.(sh|py|pl|js|bash)$", name):
            return name
    return ""
