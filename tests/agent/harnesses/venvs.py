"""Virtual environments with another framework beside this tree, since their pins clash with ours or each other's."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parents[3]


def python_with(*requirements: str) -> Path:
    """The interpreter of an environment with these packages and this tree, made once for all tests of this user.

    What the tests' own environment has need not be installed again: the new one sees it behind its own packages.
    """
    settings = (ROOT / "pyproject.toml").read_text()
    with _made(str(ROOT), sys.prefix, sys.version, settings, *requirements) as (folder, is_new):
        python = folder / "bin/python"
        if is_new:
            venv.create(folder, with_pip=True, clear=True)
            _install(python, "--no-deps", "-e", str(ROOT))
            own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
            behind = sysconfig.get_path("purelib")
            (own / "behind.pth").write_text(f"import site; site.addsitedir({behind!r})\n")
            _install(python, "--no-compile", *requirements)
    return python


def python_alone(versions: tuple[str, ...], *requirements: str) -> Path:
    """The interpreter of an environment with these packages alone, of the first of these versions that is installed.

    For packages that do not run on the tests' own Python. Without any of the versions the test is skipped.
    """
    base = next((found for version in versions if (found := _interpreter(version))), None)
    if base is None:
        pytest.skip(f"needs Python {' or '.join(versions)}, as `python{versions[0]}` or with pyenv")
    with _made(base, *requirements) as (folder, is_new):
        if is_new:
            subprocess.run([base, "-m", "venv", "--clear", folder], check=True)
            _install(folder / "bin/python", "--no-compile", *requirements)
    return folder / "bin/python"


def _interpreter(version: str) -> str | None:
    """The path of a Python of this version; pyenv's command of that name works once a version is chosen."""
    if (command := shutil.which(f"python{version}")) is None:
        return None
    chosen: list[Mapping[str, str]] = [os.environ]
    if shutil.which("pyenv"):
        listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        chosen += [{**os.environ, "PYENV_VERSION": one} for one in listed.split() if one.startswith(f"{version}.")]
    for environment in chosen:
        words = [command, "-c", "import sys; print(sys.executable)"]
        asked = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout.strip()
    return None


@contextmanager
def _made(*facts: str) -> Iterator[tuple[Path, bool]]:
    """The folder of an environment that depends on these facts, and whether it is to be made."""
    name = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    folder = user_cache_path("deskbench") / "consumers" / f"venv-{name[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    finished = folder / "finished"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want it
        yield folder, not finished.exists()
        finished.touch()


def _install(python: Path, *words: str) -> None:
    done = subprocess.run([python, "-m", "pip", "install", "-q", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
