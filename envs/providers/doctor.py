"""Checks what the local provider needs on this machine, each check with its fix."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil

from deskbench.envs.desktop import Check, DesktopSpec, Provider
from deskbench.envs.errors import DeskbenchError
from deskbench.envs.providers import ids, limits

PACKAGES = Path(__file__).resolve().parent.parent / "packages.txt"
"""Debian packages, one per line; # starts a comment."""
SERVER_PYTHON = "/usr/bin/python3"
SERVER_NEEDS = ("Xlib", "numpy", "PIL", "gi", "tkinter")
SERVER_OLDEST = (3, 10)
ESSENTIAL = frozenset({"screenshot", "input"})
"""Features without which no agent can work."""
LEAST_DISK, LEAST_MEMORY = 2 * 2**30, 2**30
"""Bytes. A run of a hundred episodes writes a few hundred megabytes; a desktop with a program takes up to 300 MB."""


def examine(provider: Provider, *, packages: Path = PACKAGES, python: str = SERVER_PYTHON) -> list[Check]:
    """Run every check. The last one starts a desktop, unless an earlier one failed.

    If the desktop starts, packages that are missing are no failure: only the tasks that use them cannot run.

    Args:
        provider: the local provider.
        packages: the list of Debian packages.
        python: the interpreter that runs the server in the desktop.
    """
    found = list(_packages(packages))
    checks = [_server_python(python), _sandbox(), _ids(), _limits(), _disk(), _memory(), _ocr()]
    if not any(check.fails for check in checks):
        checks.append(try_desktop(provider))
        if not checks[-1].fails:
            found = [replace(check, weight="note") for check in found]
    return [*found, *checks]


def _packages(path: Path) -> Iterator[Check]:
    """One check for all installed packages, and one for each missing package."""
    names = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    names = [name for name in names if name]
    if shutil.which("dpkg-query") is None:
        yield Check("packages", True, "this is not Debian: install the equivalents of: " + ", ".join(names))
        return
    missing = [name for name in names if _said("dpkg-query", "-W", "-f=${db:Status-Status}", name) != "installed"]
    yield Check("packages", not missing, f"{len(names) - len(missing)} of {len(names)} installed", _install(missing))
    for name in missing:
        yield Check(f"package {name}", False, "not installed", _install([name]))


def _install(names: list[str]) -> str:
    return f"apt-get install --no-install-recommends {' '.join(names)}" if names else ""


def _said(*command: str) -> str:
    """What a command prints, or nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _server_python(python: str) -> Check:
    """Check the interpreter that runs inside the desktop: the system's own, with the system's libraries."""
    oldest = ".".join(map(str, SERVER_OLDEST))
    version = _said(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    if not version:
        return Check("server's python", False, f"{python} does not run", "apt-get install python3")
    if tuple(map(int, version.split("."))) < SERVER_OLDEST:
        return Check("server's python", False, f"{python} is {version}", f"use {oldest} or newer")
    lacking = [name for name in SERVER_NEEDS if not _said(python, "-c", f"import {name}; print(1)")]
    fix = "apt-get install python3-xlib python3-numpy python3-pil python3-gi python3-tk" if lacking else ""
    detail = f"{python} is {version}" + (f" and cannot import {', '.join(lacking)}" if lacking else "")
    return Check("server's python", not lacking, detail, fix)


def _sandbox() -> Check:
    """Whether bubblewrap can make namespaces here."""
    if shutil.which("bwrap") is None:
        return Check("sandbox", False, "bubblewrap is not installed", "apt-get install bubblewrap")
    links = [part for name in ("lib", "lib64", "bin") for part in ("--symlink", f"usr/{name}", f"/{name}")]
    command = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev"]
    done = subprocess.run([*command, "/usr/bin/true"], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode == 0:
        return Check("sandbox", True, _said("bwrap", "--version"))
    return Check(
        "sandbox",
        False,
        done.stderr.strip() or f"bwrap ended with status {done.returncode}",
        "allow unprivileged user namespaces (on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0), "
        "or run with --unisolated",
    )


def _ids() -> Check:
    """Without separate ids, programs could end the server and so their own desktop. That is a risk, not a failure."""
    why = ids.why_not()
    common = "a desktop's server and programs run under ids that own nothing on this machine"
    return Check("ids", not why, why or common, weight="note")


def _limits() -> Check:
    """Without a cgroup, one desktop can take what others need. That is a risk, not a failure."""
    why = limits.why_not()
    common = f"a desktop has {_gigabytes(limits.MEMORY)} and {limits.PIDS} processes at most"
    return Check("limits", not why, why or common, weight="note")


def _disk() -> Check:
    """Space for run folders (in the current folder) and for desktops (in the temporary folder)."""
    free = {str(path): shutil.disk_usage(path).free for path in (Path.cwd(), Path(tempfile.gettempdir()))}
    detail = ", ".join(f"{_gigabytes(size)} free in {path}" for path, size in free.items())
    enough = min(free.values()) >= LEAST_DISK
    return Check("disk", enough, detail, "" if enough else f"free up {_gigabytes(LEAST_DISK)} or more", weight="note")


def _memory() -> Check:
    free = psutil.virtual_memory().available
    enough = free >= LEAST_MEMORY
    fix = "" if enough else "end other programs, or run with -n 1"
    return Check("memory", enough, f"{_gigabytes(free)} free", fix, weight="note")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GB"


def _ocr() -> Check:
    """Only two commands need this extra, so its absence is not a failure."""
    if find_spec("rapidocr") is not None:
        return Check("extra ocr", True, "installed")
    detail = "not installed; only `demo` and `serve ocr` need it"
    return Check("extra ocr", False, detail, "pip install 'deskbench[ocr]'", weight="optional")


def try_desktop(provider: Provider) -> Check:
    """The proof: start a desktop and look at it."""
    began = time.monotonic()
    try:
        desktop = provider.start(DesktopSpec())
        try:
            seen = desktop.observe()
            faults = {name: why for name, why in desktop.health().features.items() if why}
        finally:
            provider.stop(desktop)
    except DeskbenchError as error:
        return Check("desktop", False, str(error), "run `deskbench desktop --debug` and read its output")
    detail = f"{seen.width}x{seen.height} shown after {time.monotonic() - began:.1f} s"
    return Check(
        "desktop", not faults, "; ".join([detail, *(f"{name}: {why}" for name, why in faults.items())]),
        weight="needed" if ESSENTIAL & set(faults) else "note",
    )  # fmt: skip
