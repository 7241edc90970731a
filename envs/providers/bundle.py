"""A folder that turns a Windows or macOS machine into a desktop: `python -m deskbench.envs.providers.bundle windows
OUT`.

It holds the server, an installer (`docker/windows`, `docker/macos`) and its own tokens. For Windows it also holds a
Python with Pillow, so the machine needs no network. Mount `OUT` at `/oem` of a container that installs Windows by
itself, or copy it to any machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from deskbench.envs.clients.http import new_tokens
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.payload import ENVS, SHARED_FILES
from deskbench.envs.providers.wine import fetch_pillow, unpack_python

INSTALLERS = ENVS.parent / "docker"
SEARCH = "python311.zip\n.\n..\n..\\site\n"
"""Where the Python in the bundle looks for modules, relative to its own folder."""
SYSTEMS = ("windows", "macos")


def make(system: str, folder: Path) -> dict[str, str]:
    """Create and fill a new folder; return its tokens.

    Raises:
        UsageError: the folder exists, or a part cannot be fetched.
    """
    if folder.exists():
        raise UsageError(f"{folder} already exists: name a new folder, or remove it")
    shutil.copytree(INSTALLERS / system, folder)
    _copy_server(folder / "deskbench" / "envs")
    tokens = new_tokens()
    file = folder / "tokens.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(tokens), encoding="ascii")
    if system == "windows":
        unpack_python(folder / "python", SEARCH)
        fetch_pillow(folder / "site")
    return tokens


def _copy_server(envs: Path) -> None:
    envs.mkdir(parents=True)
    for name in SHARED_FILES:
        shutil.copy2(ENVS / name, envs)
    shutil.copytree(ENVS / "server", envs / "server", ignore=shutil.ignore_patterns("__pycache__", "config"))


def main() -> int:
    """Make a bundle and say how to use it; returns 2 if that fails."""
    parser = argparse.ArgumentParser(prog="deskbench.envs.providers.bundle", description=__doc__)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    try:
        make(args.system, args.folder)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{args.folder}: read README.md in it; its control token is in tokens.json\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
