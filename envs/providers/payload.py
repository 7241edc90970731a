"""What goes into a desktop: the server, the files that it shares with the controller, and its pure-Python libraries.

A sandbox's programs have ids that may not enter the user's folders. So they get a copy in a cache folder that everybody
may read, made once for each version of the sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from platformdirs import site_cache_path, user_cache_path

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import UsageError

ENVS = Path(__file__).resolve().parent.parent
SHARED_FILES = ("__init__.py", "wire.py", "actions.py", "keys.py", "wait.py", "pipe.py")
"""Files that the server needs outside its own folder. Nothing from `tasks`, which contains the answers."""
PURE_LIBRARIES = ("mss", "jeepney", "pyautogui", "pyscreeze", "pytweening", "pymsgbox", "mouseinfo", "pyperclip")
KEPT_SECONDS = 7 * 86400.0
"""How long to keep a version that nobody starts."""
SERVER = ("/usr/bin/python3", "-s", "-m", "deskbench.envs.server")
"""The server's command; -s ignores packages in users' own site folders."""


def session_arguments(spec: DesktopSpec) -> list[str]:
    """The server's arguments for a desktop of this spec."""
    proxy = ["--proxy"] if isinstance(spec.network, tuple) else []
    no_auth = [] if spec.tokens else ["--no-auth"]
    return ["--session", f"{spec.width}x{spec.height}", *proxy, *no_auth]


def library_paths() -> dict[str, Path]:
    """The pure-Python libraries that the server and OSWorld's commands import, from this installation."""
    found = {}
    for name in PURE_LIBRARIES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            found[origin.parent.name if origin.name == "__init__.py" else origin.name] = (
                origin.parent if origin.name == "__init__.py" else origin
            )
    return found


def server_files(under: str) -> Iterator[tuple[str, bytes]]:
    """The server and the files that it shares with the controller, as paths below a folder and their bytes."""
    return tree({name: ENVS / name for name in (*SHARED_FILES, "server")}, under)


def library_files(under: str) -> Iterator[tuple[str, bytes]]:
    """The server's pure-Python libraries, as paths below a folder and their bytes."""
    return tree(library_paths(), under)


def tree(paths: dict[str, Path], under: str) -> Iterator[tuple[str, bytes]]:
    """Named files and folders, as paths below a folder and their bytes."""
    for name, path in paths.items():
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            inside = f"/{file.relative_to(path)}" if path.is_dir() else ""
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{under}/{name}{inside}".lstrip("/"), file.read_bytes()


def digest(files: dict[str, bytes]) -> str:
    """SHA-256, in hexadecimal, over the names and bytes of files."""
    found = hashlib.sha256()
    for name, data in sorted(files.items()):
        found.update(f"{name}\0{len(data)}\0".encode() + data)
    return found.hexdigest()


def cache_folder() -> Path:
    """The folder for what desktops share: the user's cache, or for root a cache that other ids may enter."""
    return site_cache_path("deskbench") if os.geteuid() == 0 else user_cache_path("deskbench")


@cache
def payload() -> Path:
    """The folder that desktops see as /opt/deskbench. Makes it if this version does not exist yet.

    Raises:
        UsageError: the cache cannot be written.
    """
    files = dict(library_files("")) | dict(server_files("deskbench/envs"))
    kept = cache_folder() / f"payload-{digest(files)[:16]}"

    def make(folder: Path) -> None:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        subprocess.run(
            ["/usr/bin/python3", "-m", "compileall", "-q", str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )  # fmt: skip  (a file that does not compile fails when it is run)

    made = keep(kept, make)
    with contextlib.suppress(OSError):
        os.utime(made)
        _forget(kept)
    return made


def _forget(kept: Path) -> None:
    for other in kept.parent.glob("payload-*"):
        if other != kept and time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)


def keep(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder in the cache under a temporary name, open it to all users, and rename it when it is complete.

    Raises:
        UsageError: the cache cannot be written.
    """
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UsageError(f"{folder.parent} cannot be written: {error.strerror}") from None
    try:
        make(making)
        _open_to_all(making)
        try:
            making.rename(folder)
        except OSError:  # somebody else was faster
            shutil.rmtree(making)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return folder


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
