"""Windows in the sandbox, by Wine: `python3 -m deskbench.envs.server.wine.session --session 1280x800`.

It lays its own prefix over the template's: Windows' own files come from the template, read-only, while the registry and
the user's folders are copies. Then it starts an X server, and our server under Windows' Python, which listens on a
loopback port. It answers the controller in front of that (`wine.front`).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from deskbench.envs.server import identity
from deskbench.envs.server.http.server import Server, Tokens
from deskbench.envs.server.win32.activity import WINE_PORT
from deskbench.envs.server.wine.front import PORT, Behind, others, routes, tell
from deskbench.envs.server.x11 import session
from deskbench.envs.server.x11.activity import programs

TEMPLATE = Path("/opt/wine")
PREFIX = Path("/home/wine")
"""Outside the home folder, which is also Windows' documents folder."""
SHARED = frozenset({"system32", "syswow64", "winsxs", "resources", "globalization", "Fonts", "Microsoft.NET"})
"""Folders of C:\\windows that nobody changes."""
DESKTOP = "deskbench"
"""The virtual desktop's name."""
WINE = "/usr/lib/wine/wine64"
PR_SET_DUMPABLE = 4


def main() -> int:
    """Run until the server ends; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--user")
    parser.add_argument("--no-auth", action="store_true")
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    line = json.loads(sys.stdin.readline())
    tokens = Tokens(line["agent_token"], line["control_token"], open=args.no_auth)
    if args.user:
        identity.serve(args.user)
    width, height = (int(side) for side in args.session.split("x"))
    PREFIX.mkdir()
    identity.give(PREFIX)
    with identity.rights():
        lay(TEMPLATE / "prefix", PREFIX)
        _set_desktop_size(width, height)
    os.environ.update(environment())
    os.environ["DISPLAY"] = f":{session.start_x(width, height)}"
    explorer = ["explorer", f"/desktop={DESKTOP},{width}x{height}"]
    subprocess.Popen(
        [WINE, *explorer], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        **identity.popen_options(),
    )  # fmt: skip
    behind = Behind()
    server = Server(socket.socket(fileno=args.listen), routes(PREFIX), tokens, others(behind))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    telling = socket.create_server(("127.0.0.1", WINE_PORT))
    threading.Thread(target=_tell_programs, args=(telling,), daemon=True).start()
    python = str(TEMPLATE / "python/python.exe")
    command = [WINE, python, "-m", "deskbench.envs.server", "--port", str(PORT)]
    inside = subprocess.Popen(command, stdin=subprocess.PIPE, **identity.popen_options())
    assert inside.stdin
    inside.stdin.write(tell(behind.tokens))
    inside.stdin.flush()
    return inside.wait()


def _set_desktop_size(width: int, height: int) -> None:
    """Write the size to the registry file before Wine reads it. Wine's own `reg` takes a second, and fails now and
    then.
    """
    with (PREFIX / "user.reg").open("a", encoding="ascii") as file:
        file.write(f'\n[Software\\\\Wine\\\\Explorer\\\\Desktops]\n"{DESKTOP}"="{width}x{height}"\n')


def environment() -> dict[str, str]:
    """Wine's environment."""
    return {
        "WINEPREFIX": str(PREFIX),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=",  # do not offer to install .NET or a browser
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def lay(template: Path, prefix: Path) -> None:
    """Make a prefix from the template, and share the folders that nobody changes."""
    (prefix / "drive_c/windows").mkdir(parents=True, exist_ok=True)
    for entry in template.iterdir():
        if entry.name not in ("drive_c", "wineserver"):
            _copy(entry, prefix / entry.name)
    for entry in (template / "drive_c").iterdir():
        if entry.name != "windows":
            _copy(entry, prefix / "drive_c" / entry.name)
    for entry in (template / "drive_c/windows").iterdir():
        there = prefix / "drive_c/windows" / entry.name
        if entry.name in SHARED:
            there.symlink_to(entry)
        else:
            _copy(entry, there)


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _tell_programs(listener: socket.socket) -> None:
    """Tell the server which programs run. It sends a line with those that it knows, and gets a line with the answer."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client, client.makefile("rw", encoding="ascii") as stream:
        for line in stream:
            known = json.loads(line)
            found, running = programs(os.getpid(), None if known is None else frozenset(known))
            stream.write(json.dumps([found, running]) + "\n")
            stream.flush()


if __name__ == "__main__":
    sys.exit(main())
