"""What a program does not see of this machine: the desktops, other processes, scratch files, and what the user hides.

Bubblewrap gives it a `/proc`, a folder for scratch files and processes of its own; everything else stays as it is, the
network too, since most programs call a model.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from deskbench.envs.errors import UsageError

SOURCE = Path(__file__).resolve().parents[2]
"""The folder of deskbench's packages: what the program calls the desktop with is in it."""
LIBRARY = SOURCE / "tasks" / "library"
"""The tasks that come with deskbench, with their expected values."""
SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
"""Whoever reaches these can do anything on this machine."""
FOLDERS = ("/run/user", "/tmp", "/var/tmp")


def check_walls() -> str:
    """The path of bubblewrap.

    Raises:
        UsageError: it is not installed.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise UsageError("program: install bubblewrap, or let the program see all that you see: --set walls=off")
    return found


def walls(place: Path, words: Sequence[str], hide: Sequence[Path]) -> list[str]:
    """Bubblewrap's command, up to the program's.

    Args:
        place: the program's own folder.
        words: its command; what it needs of hidden folders stays visible.
        hide: more files and folders that the program finds empty.
    """
    options = ["--die-with-parent", "--dev-bind", "/", "/", "--unshare-pid", "--unshare-ipc", "--proc", "/proc"]
    scratch = map(Path, {*FOLDERS, tempfile.gettempdir()})
    hidden = {path.resolve() for path in (*scratch, LIBRARY, *hide) if path.exists()} - {Path("/")}
    mounts = [(path, ["--ro-bind", str(path), str(path)]) for path in _needed(words, hidden)]
    mounts += [(path, _covered(path)) for path in hidden]
    for _, mount in sorted(
        mounts, key=lambda mount: len(mount[0].parts)
    ):  # what is inside comes later; sorts are stable
        options += mount
    for socket in filter(Path.exists, map(Path, SOCKETS)):
        options += _covered(socket.resolve())
    return [check_walls(), *options, "--bind", str(place), str(place), "--"]


def _covered(path: Path) -> list[str]:
    return ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", "/dev/null", str(path)]


def _needed(words: Sequence[str], hidden: Collection[Path]) -> Iterator[Path]:
    """What the start needs of the hidden folders: Python with its libraries, deskbench, and what the command names."""
    ours = [str(SOURCE / name) for name in ("agent", "envs", "tasks")]
    for path in map(Path, dict.fromkeys([sys.prefix, sys.base_prefix, *sys.path, *ours, *words])):
        if path.is_absolute() and path.exists() and any(path.resolve().is_relative_to(folder) for folder in hidden):
            yield _installed(path)


def _installed(path: Path) -> Path:
    """The environment of Python or Node that a file belongs to, or the file itself."""
    found = [one for one in path.parents if one.name == "node_modules" or (one / "pyvenv.cfg").is_file()]
    return found[-1] if found else path
