"""Virtual environments with another framework beside this tree, since their pins clash with ours or each other's."""

import fcntl
import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parents[3]


def python_with(*requirements: str) -> Path:
    """The interpreter of an environment with these packages and this tree, made once for all tests of this user.

    What the tests' own environment has need not be installed again: the new one sees it behind its own packages.
    """
    settings = (ROOT / "pyproject.toml").read_text()
    name = hashlib.sha256("\n".join([str(ROOT), sys.prefix, sys.version, settings, *requirements]).encode()).hexdigest()
    folder = user_cache_path("deskbench") / "consumers" / f"venv-{name[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, finished = folder / "bin/python", folder / "finished"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want it
        if not finished.exists():
            venv.create(folder, with_pip=True, clear=True)
            _install(python, "--no-deps", "-e", str(ROOT))
            own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
            behind = sysconfig.get_path("purelib")
            (own / "behind.pth").write_text(f"import site; site.addsitedir({behind!r})\n")
            _install(python, "--no-compile", *requirements)
            finished.touch()
    return python


def _install(python: Path, *words: str) -> None:
    done = subprocess.run([python, "-m", "pip", "install", "-q", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
