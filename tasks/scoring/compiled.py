"""Cached machine code of the sound libraries, which numba takes 15 seconds to compile.

A process that has seen nothing of a desktop makes it once. Each check of a sound gets its own copy, so no process ever
loads what another left behind after reading hostile bytes.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from deskbench.tasks.scoring.sandbox import Limits, run

MAKING = Limits(seconds=240.0)
_making = threading.Lock()


def compiled(request: dict[str, Any]) -> Path | None:
    """A folder of machine code for a check, in numba's format; None if the check needs none or it cannot be made."""
    if request["metric"] != "compare_audios" and request["options"].get("file_type") != "audio":
        return None
    try:
        versions = [metadata.version(name) for name in ("numba", "librosa")]
    except metadata.PackageNotFoundError:
        return None
    place = user_cache_path("deskbench") / "numba" / "-".join([sys.implementation.cache_tag or "python", *versions])
    with _making:
        return place if place.is_dir() or _make(place) else None


def _make(place: Path) -> bool:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, ignore_cleanup_errors=True) as folder:
            into = Path(folder, "code", "ready")
            into.parent.mkdir()
            ended = run({"do": "read", "reader": "compile_sound", "arguments": {"into": {"file": str(into)}}}, MAKING,
                        into.parent)  # fmt: skip
            if "value" not in (ended.answer or {}):
                return False
            into.parent.rename(place)
    except OSError:  # the disk is full, or another process was faster
        return place.is_dir()
    return True
