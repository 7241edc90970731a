"""What a desktop holds at one moment: the files of the home folder and the clipboard."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from fnmatch import fnmatch

from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestError

MAX_KIB = 16 * 1024
"""A larger file is no document of a person."""
ARCHIVE = "/tmp/.deskbench-home.tar"
PACK = (
    f"cd ~ && find . -xdev -path ./.cache -prune -o \\( -type d -o -type f -size -{MAX_KIB}k \\) -print0 "
    f"| tar --null --no-recursion --ignore-failed-read -cf {ARCHIVE} -T -"
)
CLIPBOARD = "timeout 3 xclip -selection clipboard -out -target UTF8_STRING 2>/dev/null || true"
NOISE = (
    "*.lock", "*.log", "*.pid", "*.tmp", "*.swp", "*~", "*.bak", "*/lock", "*/Singleton*", ".~lock.*", "*/.~lock.*",
    ".cache/*", ".thumbnails/*", ".dbus/*", ".gvfs/*", ".mozilla/*", ".thunderbird/*", ".pki/*", ".config/chromium/*",
    ".config/google-chrome/*", ".config/dconf/*", ".config/pulse/*", ".config/libreoffice/*", ".config/ibus/*",
    ".config/gtk-*/bookmarks", ".config/user-dirs.*", ".config/mimeapps.list", ".config/autostart/*",
    ".local/share/recently-used.xbel*", ".local/share/Trash/*", ".local/share/gvfs-metadata/*", ".local/state/*",
    ".recently-used*", ".xsession-errors*", ".ICEauthority", ".Xauthority", ".bash_history", ".python_history",
    ".lesshst", ".viminfo", ".wget-hsts", ".sudo_as_admin_successful",
)  # fmt: skip
"""Caches, locks, lists of what was open, thumbnails, logs, profiles of browsers: what changes by itself."""


@dataclass(frozen=True)
class Snapshot:
    """One moment.

    Attributes:
        files: content by path below the home folder, without what changes by itself.
        folders: their paths.
        clipboard: its text.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    clipboard: str = ""


def take(desktop: Desktop) -> Snapshot:
    """What is there now.

    Raises:
        GuestError: the home folder cannot be packed.
        EnvError: the desktop broke off.
    """
    done = desktop.run(PACK, shell=True)
    try:
        archive = desktop.read_file(ARCHIVE)
    except FileNotFoundError:
        raise GuestError(f"the home folder cannot be read: {done.stderr.strip() or 'no archive'}") from None
    desktop.run(["rm", "-f", ARCHIVE])
    files, folders = _unpacked(archive)
    return Snapshot(files, folders, desktop.run(CLIPBOARD, shell=True).stdout)


def is_noise(path: str) -> bool:
    """Whether a path below the home folder is one that changes by itself."""
    return any(fnmatch(path, pattern) for pattern in NOISE)


def _unpacked(archive: bytes) -> tuple[dict[str, bytes], frozenset[str]]:
    files, folders = {}, set()
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            for member in packed:
                path = member.name.removeprefix("./")
                stream = packed.extractfile(member) if member.isfile() else None
                if is_noise(path) or path in {".", ""}:
                    continue
                if stream is not None:
                    files[path] = stream.read()
                elif member.isdir():
                    folders.add(path)
    except tarfile.TarError as error:
        raise GuestError(f"the home folder cannot be read: {error}") from None
    return files, frozenset(folders)
