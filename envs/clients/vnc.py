"""Looking into a desktop with a browser: noVNC here, a VNC server in the desktop, and only loopback between them.

Any web page that is open in the user's browser can connect to loopback. So websockify accepts a connection only from
our own page (by its origin) and with a secret. The secret follows the `#` of the address, which browsers do not send.

noVNC's files are downloaded once from the npm registry, checked against the digest below, and kept in the user's cache.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import secrets
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import requests
from platformdirs import user_cache_path

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import GuestError, StartError, UsageError

VERSION = "1.7.0"
ARCHIVE = f"https://registry.npmjs.org/@novnc/novnc/-/novnc-{VERSION}.tgz"
DIGEST = "ucEJOx4T2avIRCleodk7YobZj5O2Ga2AeLfQ69A/yjG9HHba2+PDgwSkN3FttrmG+70ZGx21sElNFouK13RzyA=="
"""SHA-512 of the archive, as the registry gives it."""
PORT = 5900
SECONDS = 10.0
PAGE_NAME = "deskbench"
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
"""The environment variables that websockify gets. They include no API keys."""
STYLE = "html, body, #screen { height: 100%; margin: 0; background: #222 }"
PAGE = """<!doctype html><meta charset="utf-8"><title>deskbench</title><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<style>{style}</style><div id="screen"></div><script type="module" src="{script}"></script>
"""
SCRIPT = """import RFB from "./core/rfb.js"
const [secret, mode] = location.hash.slice(1).split(",")
const rfb = new RFB(document.getElementById("screen"), `ws://${location.host}/?token=${secret}`)
rfb.scaleViewport = true
rfb.viewOnly = mode === "view"
"""


class Viewer:
    """noVNC for one desktop, until it is closed.

    Args:
        desktop: the desktop to look into; it must have x11vnc.
        view_only: ignore the viewer's mouse and keyboard.
        through: maps the VNC server's address (HOST:PORT) to the one that websockify connects to.

    Raises:
        UsageError: websockify, x11vnc or noVNC is missing; the message gives the fix.
        StartError: websockify did not start.
    """

    def __init__(
        self, desktop: Desktop, *, view_only: bool = False, through: Callable[[str], str] = lambda server: server
    ) -> None:
        if find_spec("websockify") is None:
            raise UsageError("noVNC needs websockify: pip install 'deskbench[vnc]'")
        pages = _pages()
        target = through(_serve_screen(desktop))
        port, secret = _free_port(), secrets.token_urlsafe(24)
        self._private = tempfile.TemporaryDirectory(prefix="deskbench-vnc-")
        known = Path(self._private.name, "tokens")
        known.write_text(f"{secret}: {target}\n", encoding="utf-8")
        origins = f"http://127.0.0.1:{port} http://localhost:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "websockify", "--web", str(pages), "--file-only",
             "--token-plugin", "ReadOnlyTokenFile", "--token-source", str(known),
             "--auth-plugin", "ExpectOrigin", "--auth-source", origins, f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}/{PAGE_NAME}.html#{secret}{',view' if view_only else ''}"
        if not wait.until(lambda: _listens(port) or self._process.poll() is not None, timeout=SECONDS):
            self.close()
            raise StartError("websockify did not start")

    def close(self) -> None:
        """Stop the viewer."""
        self._process.kill()
        self._process.wait()
        self._private.cleanup()


def _serve_screen(desktop: Desktop) -> str:
    """Start a VNC server in the desktop; returns where this machine reaches it, as HOST:PORT."""
    if desktop.run(["sh", "-c", "command -v x11vnc"]).returncode != 0:
        raise UsageError("noVNC needs x11vnc in the desktop: apt-get install x11vnc, or the docker provider's image")
    options = f"-display $DISPLAY -localhost -rfbport {PORT} -forever -shared -nopw -noxdamage -quiet"
    desktop.run(f"setsid x11vnc {options} > /dev/null 2>&1 &", shell=True)
    target = desktop.forward(PORT)
    if not wait.until(lambda: _greets(target), timeout=SECONDS):
        raise GuestError("x11vnc does not answer in the desktop")
    return target


def _greets(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 2.0) as tried:
            return tried.recv(4) == b"RFB "
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _pages() -> Path:
    """The folder to serve: noVNC and our page."""
    folder = user_cache_path("deskbench") / f"novnc-{VERSION}"
    if not (folder / "package/core/rfb.js").exists():
        try:
            answer = requests.get(ARCHIVE, timeout=60)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise UsageError(f"noVNC cannot be fetched from {ARCHIVE}: {error}") from None
        if base64.b64encode(hashlib.sha512(answer.content).digest()).decode() != DIGEST:
            raise UsageError(f"{ARCHIVE} has changed: its SHA-512 differs")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
            archive.extractall(folder, filter="data")
    pages = folder / "package"
    (pages / f"{PAGE_NAME}.js").write_text(SCRIPT, encoding="utf-8")
    (pages / f"{PAGE_NAME}.html").write_text(_page(), encoding="utf-8")
    return pages


def _page() -> str:
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{style}'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    return PAGE.format(policy=policy, style=STYLE, script=f"{PAGE_NAME}.js")
