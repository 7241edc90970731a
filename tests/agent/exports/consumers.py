"""What reads the exports, and writes what is imported: other programs' own code, from their releases on PyPI."""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

HARBOR, CUA_BENCH = "0.26.0", "0.3.1"


def harbor_trajectory() -> Any:
    """Harbor's own model of a trajectory. Its release is unpacked: the whole needs a newer Python and much else."""
    folder = _unpacked("harbor", HARBOR, "harbor/models/trajectories/")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module("harbor.models.trajectories").Trajectory


def cua_bench_results() -> Any:
    """The module by which cua-bench writes a variant's result and trajectory."""
    folder = _unpacked("cua-bench", CUA_BENCH, "cua_bench/results.py")
    spec = importlib.util.spec_from_file_location("cua_bench_results", folder / "cua_bench/results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _unpacked(package: str, version: str, part: str) -> Path:
    """A part of a release, fetched once for all tests of this user."""
    folder = user_cache_path("deskbench") / "consumers" / f"{package}-{version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", scratch]
            newest = ["--python-version", "3.13", "--only-binary", ":all:"]
            subprocess.run([*command, *newest, f"{package}=={version}"], check=True, capture_output=True)
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
                wheel.extractall(made, [name for name in wheel.namelist() if name.startswith(part)])
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was first
                    raise
    return folder
