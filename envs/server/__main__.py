"""Run the server: `python3 -m deskbench.envs.server --listen FD | --socket PATH | --port N [--session 1280x800]`."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from deskbench.envs.server import identity
from deskbench.envs.server.http.server import Route, Server, Tokens

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk

PR_SET_DUMPABLE = 4
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
FIRST_FRAME = 5.0
"""Seconds that the first screen may take to settle. After that, a desktop that still draws is accepted."""


def main() -> int:
    """Start the session and the server, report that in one line of JSON on stdout, and serve until SIGTERM."""
    began = time.monotonic()
    _leave_folder()
    _have_streams()
    args = _parse()
    if args.filter:
        from deskbench.envs.server import seccomp

        seccomp.install()
    # Programs in the desktop run as the same user and must not read the tokens out of this process.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        _keep_memory(libc)
    signal.signal(signal.SIGTERM, _stop)
    # A controller always signs its requests, even if others need no token.
    told = args.leash or args.listen is not None or args.tokens is not None or not args.no_auth
    tokens = _tokens(args.tokens, open_to_all=args.no_auth) if told else Tokens()
    if args.user:
        identity.serve(args.user)
    say = os.fdopen(os.dup(1), "w")  # the programs that this server starts must not write into the answer
    os.dup2(2, 1)
    try:
        server = _serve(args, tokens)
    except Exception as error:  # (the boundary: whoever started us needs one line of error)
        print(json.dumps({"ready": False, "error": f"{type(error).__name__}: {error}"}), file=say, flush=True)
        raise
    print(json.dumps({"ready": True, "seconds": time.monotonic() - began}), file=say, flush=True)
    if args.leash:
        sys.stdin.buffer.read()
        os._exit(0)
    threading.Event().wait()
    server.shutdown()
    return 0


def _leave_folder() -> None:
    """Change to a folder where no program writes: later imports must not find modules in the folder we came from."""
    here = str(Path.cwd())
    sys.path[:] = [path for path in sys.path if path not in ("", ".", here)]
    if os.name == "posix":
        os.chdir("/")


def _have_streams() -> None:
    """A Windows program without a console (`pythonw`) has no standard streams; open a log file in their place."""
    if sys.stderr is None:
        log = Path(tempfile.gettempdir(), "deskbench-server.log").open("a", buffering=1, encoding="utf-8")  # noqa: SIM115  (open to the end)
        sys.stdin, sys.stdout, sys.stderr = Path(os.devnull).open(encoding="utf-8"), log, log  # noqa: SIM115
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)


def _keep_memory(libc: ctypes.CDLL) -> None:
    """Reuse frames' buffers instead of giving them back: page faults took most of a screenshot's time."""
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 64 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 24 << 20)
        libc.mallopt(M_ARENA_MAX, 1)  # otherwise, each connection's thread keeps its own frames


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deskbench.envs.server", description=__doc__)
    parser.add_argument("--listen", type=int, metavar="FD", help="serve on this socket, which is already listening")
    parser.add_argument("--socket", help="listen on this Unix socket")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (OSWorld's is 5000)")
    parser.add_argument(
        "--session", metavar="WIDTHxHEIGHT", nargs="?", const=os.environ.get("SCREEN", "1280x800"),
        help="start an X server and a session of this size first",
    )  # fmt: skip
    parser.add_argument(
        "--proxy", action="store_true", help="give programs a proxy; the controller decides what passes"
    )
    parser.add_argument("--filter", action="store_true", help="forbid system calls that can lead out of a container")
    parser.add_argument("--leash", action="store_true", help="end when standard input ends: whoever started us is gone")
    parser.add_argument(
        "--machine", action="store_true", help="the server owns the machine: it may set its clock and tokens"
    )
    parser.add_argument("--patience", type=float, default=1.0, help="how many times slower an emulated machine is")
    parser.add_argument("--user", help="the user of the desktop, for a server that runs as root")
    parser.add_argument("--tokens", type=Path, help="read the line of tokens from this file instead of stdin")
    parser.add_argument("--no-auth", action="store_true", help="require no tokens, for clients that have none")
    return parser.parse_args()


def _tokens(file: Path | None, *, open_to_all: bool) -> Tokens:
    """The tokens, from one line of JSON on stdin. Other programs can see arguments and the environment.

    A file is for machines that start by themselves; whoever may read it has the tokens.
    """
    given = json.loads(file.read_text(encoding="utf-8-sig") if file else sys.stdin.readline())
    return Tokens(agent=given["agent_token"], control=given["control_token"], open=open_to_all)


def _serve(args: argparse.Namespace, tokens: Tokens) -> Server:
    if args.proxy:
        from deskbench.envs.server import tunnel

        tunnel.listen()
    if args.session:
        from deskbench.envs.server.x11 import session

        width, height = (int(side) for side in args.session.split("x"))
        loading = threading.Thread(target=_load, daemon=True)
        loading.start()
        with identity.rights():
            session.start(width, height)
        loading.join()
    desk = _desk(args.patience)
    if args.session:
        # Not with the user's rights: a container judges by quiet, as XFCE sleeps between parts of its first screen.
        desk.settle(desk.begin_settling(), FIRST_FRAME * args.patience)
        desk.screen.capture()
    if args.socket:
        Path(args.socket).unlink(missing_ok=True)
    listener = socket.socket(fileno=args.listen) if args.listen is not None else None
    server = Server(listener or args.socket or (args.host, args.port), all_routes(desk), tokens)
    if args.machine:
        from deskbench.envs.server import machine

        server.routes |= {(route.method, route.path): route for route in machine.routes(server)}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    return server


def _desk(patience: float) -> Desk:
    """The desktop of this platform."""
    if sys.platform == "win32":
        from deskbench.envs.server.win32.desk import Desk as WindowsDesk

        return WindowsDesk()
    if sys.platform == "darwin":
        from deskbench.envs.server.macos.desk import Desk as MacDesk

        return MacDesk()
    from deskbench.envs.server.accessibility import bus
    from deskbench.envs.server.x11.desk import Desk as LinuxDesk

    bus.wait_longer(patience)
    return LinuxDesk(patience=patience)


def all_routes(desk: Desk) -> list[Route]:
    """Every route that this server answers."""
    from deskbench.envs.server import control, launch, osworld, steps, tunnel

    return [
        *control.routes(desk), *launch.routes(desk), *steps.routes(desk), *osworld.routes(desk), *tunnel.routes(),
    ]  # fmt: skip


def _load() -> None:
    """Import the slow modules while the X server starts."""
    import mss  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import Xlib.display  # noqa: F401


def _stop(signum: int, frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
