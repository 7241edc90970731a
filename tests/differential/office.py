"""Runs LibreOffice for several families: headless, with its own profile."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.differential.case import Files


@cache
def _office() -> str | None:
    return shutil.which("soffice")


def has_office() -> bool:
    """Whether LibreOffice is installed."""
    return _office() is not None


def converted(files: Files, paths: list[Path], kind: str) -> list[Path]:
    """Convert files with LibreOffice, all in one run, because it takes seconds to start."""
    target = files.text("made", "").parent
    with tempfile.TemporaryDirectory(prefix="deskbench-office-") as scratch:
        inputs = []
        for index, path in enumerate(paths):  # LibreOffice derives the output's name from the input's
            copy = Path(scratch) / f"{index}{path.suffix}"
            shutil.copy(path, copy)
            inputs.append(str(copy))
        command = [
            str(_office()),
            "--headless",
            f"-env:UserInstallation=file://{scratch}/profile",
            "--convert-to",
            kind,
        ]
        subprocess.run([*command, "--outdir", str(target), *inputs], check=True, capture_output=True, timeout=240)
    suffix = kind.partition(":")[0]
    found = [target / f"{index}.{suffix}" for index in range(len(paths))]
    assert all(path.is_file() for path in found), f"LibreOffice wrote no {suffix}: is its program for it installed?"
    return found
