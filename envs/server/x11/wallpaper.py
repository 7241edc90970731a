"""The background: the desktop program's picture, or X's root window if no program covers it.

Windows uses SystemParametersInfo, macOS System Events (untested on a Mac), and XFCE its settings.
"""

from __future__ import annotations

import io
import json
import os
import sys

from deskbench.envs.server import commands, files
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.x11 import session
from deskbench.envs.wire import MAX_PIXELS

NOTE = "~/.config/deskbench-wallpaper"
"""A file with the path of the last picture, because X keeps only the pixels."""
XFCONF = ("xfconf-query", "-c", "xfce4-desktop")
XFCE_KEY = "/workspace0/last-image"
"""The end of the settings that name a monitor's backdrop (xfdesktop 4.18)."""
ASK_SECONDS = 10.0
OF_MAC = 'tell application "System Events" to {} picture of every desktop'


def current() -> bytes | None:
    """The bytes of the picture file that is shown, or None.

    Raises:
        HttpError: the file is gone, or the desktop does not say which one it is.
    """
    path = _path().strip()
    return files.read(path) if path else None


def _path() -> str:
    if sys.platform == "win32":
        from deskbench.envs.server.win32 import background

        return background.path()
    if sys.platform == "darwin":
        return _ask("osascript", "-e", OF_MAC.format("get")).partition(", ")[0]
    if _under_xfce():
        return _ask(*XFCONF, "-p", _backdrops()[0])
    try:
        return files.read(NOTE).decode("utf-8", "replace").replace("\0", "")
    except HttpError as error:
        if error.status == 404:
            return ""
        raise


def change(path: str, width: int, height: int) -> None:
    """Cover the screen of this size (pixels) with a picture, scaled.

    Raises:
        HttpError: 500, the picture cannot be read, or the desktop does not accept it.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(files.read(path))) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has {picture.width}x{picture.height} pixels")
            pixels = ImageOps.fit(picture.convert("RGB"), (width, height))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HttpError(500, f"{path} is not a picture: {error}") from None
    if sys.platform == "win32":
        from deskbench.envs.server.win32 import background

        background.change(path)
    elif sys.platform == "darwin":
        _ask("osascript", "-e", OF_MAC.format("set") + f" to POSIX file {json.dumps(path)}")
    elif _under_xfce():
        for key in _backdrops():
            _ask(*XFCONF, "-p", key, "-s", path)
    else:
        _show(pixels.tobytes("raw", "BGRX"), width, height)
        files.write(NOTE, path.encode())


def _under_xfce() -> bool:
    return os.environ.get(session.STYLE) == "xfce"


def _backdrops() -> list[str]:
    """The settings that name the monitors' pictures."""
    found = [key for key in _ask(*XFCONF, "-l").split() if key.endswith(XFCE_KEY)]
    if not found:
        raise HttpError(500, "the desktop shows no picture yet")
    return found


def _ask(*command: str) -> str:
    done = commands.run([commands.system(command[0]), *command[1:]], timeout=ASK_SECONDS, env=commands.clean())
    if done.returncode != 0:
        raise HttpError(500, f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def _show(pixels: bytes, width: int, height: int) -> None:
    from Xlib import X, Xatom, display

    connection = display.Display()
    try:
        screen = connection.screen()
        pixmap = screen.root.create_pixmap(width, height, screen.root_depth)
        context = pixmap.create_gc()
        row = width * 4
        rows = max(1, 200_000 // row)  # a request has at most 256 kB
        for top in range(0, height, rows):
            part = pixels[top * row : (top + rows) * row]
            pixmap.put_image(context, 0, top, width, len(part) // row, X.ZPixmap, screen.root_depth, 0, part)
        for name in ("_XROOTPMAP_ID", "ESETROOT_PMAP_ID"):  # where panels look for it
            screen.root.change_property(connection.intern_atom(name), Xatom.PIXMAP, 32, [pixmap.id])
        screen.root.change_attributes(background_pixmap=pixmap)
        screen.root.clear_area(0, 0, width, height)
        connection.set_close_down_mode(X.RetainPermanent)
        connection.sync()
    finally:
        connection.close()
