"""Settings of the session: time zone, text size, favourite programs, folders."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deskbench.tasks.metrics.data.text import Texts, text_of
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.registry import metric


@metric("is_utc_0", linear=True)
def is_utc_0(result: str) -> float:
    """1 when `timedatectl` says that the time zone is UTC."""
    lines = text_of(result).split("\n")
    if as_upstream("utc-line"):
        return float(lines[3].endswith("+0000)"))
    return float(any("Time zone" in line and "+0000" in line for line in lines))


@metric("check_text_enlarged", linear=True)
def check_text_enlarged(result: str) -> float:
    """1 when the text scaling factor is more than 1."""
    try:
        return float(float(text_of(result)) > 1.0)
    except ValueError:
        return 0.0


@metric("check_gnome_favorite_apps")
def check_gnome_favorite_apps(result: str, rules: Texts) -> float:
    """1 when gsettings' list of strings has exactly the programs in `expected`, in any order."""
    try:
        apps = ast.literal_eval(text_of(result).strip().removeprefix("@as").strip())
    except (ValueError, SyntaxError):
        return 0.0
    return float(isinstance(apps, list) and sorted(map(str, apps)) == sorted(rules["expected"]))


@metric("check_moved_jpgs", linear=True)
def check_moved_jpgs(result: Mapping[str, Any], rules: Texts) -> float:
    """1 when a folder contains exactly the names in `expected`."""
    return float(sorted(str(c.get("name")) for c in result.get("children") or []) == sorted(rules["expected"]))


@metric("check_file_exists", linear=True)
def check_file_exists(result: Path | Mapping[str, Any], name: str) -> float:
    """1 when a folder (a tree from the desktop, or a folder on the controller) has a file with this name."""
    if isinstance(result, Mapping):
        return float(any(c.get("name") == name and c.get("type") == "file" for c in result.get("children") or []))
    return float(Path(name).name == name and (result / name).is_file())
