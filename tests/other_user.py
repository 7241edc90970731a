"""An ordinary user of this machine, created by root for a test of what the controller does without root."""

import contextlib
import os
import pwd
import secrets
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import deskbench.envs

LENT = 65_536
AGAIN = ("/bin/sh", "-c", 'exec "$0" "$@"')
"""A program that setpriv(1) starts still has root's rights; a program started by that one does not."""


@dataclass
class OtherUser:
    """The user's name and writable folder."""

    name: str
    home: Path

    def python(self, script: str, *, lent: bool = True, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a script as this user, with this interpreter's packages; `lent` gives it subordinate ids."""
        entry = pwd.getpwnam(self.name)
        with self._lent() if lent else contextlib.nullcontext():
            return subprocess.run(
                ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--", *AGAIN,
                 *_python(), "-c", textwrap.dedent(script)],
                env={"HOME": str(self.home), "PATH": "/usr/bin:/bin:/usr/sbin", "PYTHONPATH": os.pathsep.join(_path())},
                cwd="/", capture_output=True, text=True, check=False, timeout=seconds,
            )  # fmt: skip

    @contextlib.contextmanager
    def _lent(self) -> Iterator[None]:
        tables = [Path("/etc/subuid"), Path("/etc/subgid")]
        before = [table.read_text() if table.exists() else "" for table in tables]
        start = 2_000_000 + secrets.randbelow(10_000) * LENT
        try:
            for table, text in zip(tables, before, strict=True):
                others = [line for line in text.splitlines() if not line.startswith(f"{self.name}:")]
                table.write_text("\n".join([*others, f"{self.name}:{start}:{LENT}", ""]))
            yield
        finally:
            for table, text in zip(tables, before, strict=True):
                table.write_text(text)


@contextlib.contextmanager
def made(folder: Path) -> Iterator[OtherUser]:
    """A new user with a home in a folder that everyone may enter; deleted afterwards."""
    name = f"deskbench-{secrets.token_hex(4)}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", str(folder), name], check=True)
    try:
        entry = pwd.getpwnam(name)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.chmod(0o755)
        user = OtherUser(name, folder)
        with _forgotten(name):
            yield user
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)


@contextlib.contextmanager
def _forgotten(name: str) -> Iterator[None]:
    """Remove the subordinate ids that useradd assigned."""
    for table in (Path("/etc/subuid"), Path("/etc/subgid")):
        if table.exists():
            lines = [line for line in table.read_text().splitlines() if not line.startswith(f"{name}:")]
            table.write_text("".join(f"{line}\n" for line in lines))
    yield


def _python() -> list[str]:
    """This interpreter, or the system's of the same version if other users may not enter this one's folder.

    Skips the test if they may not enter the checkout or its packages either.
    """
    for program in (sys.executable, "/usr/bin/python3"):
        said = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *AGAIN, program, "-c",
             "import sys, requests, deskbench.envs; print(sys.version_info[:2])"],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(_path())},
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        if said.stdout.strip() == str(sys.version_info[:2]):
            return [program]
    pytest.skip("other users may not enter the checkout here, or run a Python of this version")


def _path() -> list[str]:
    root = Path(deskbench.envs.__file__).resolve().parent.parent
    return [str(root / ".typing"), sysconfig.get_path("purelib")]
