"""The picture behind everything: set on X's root window, as desktops without a desktop program have it."""

from __future__ import annotations

from pathlib import Path

from deskbench.envs.server import files
from deskbench.envs.server.http import HttpError

NOTE = "~/.config/deskbench-wallpaper"
"""Names the file that was set last; X keeps the pixels only."""


def current() -> bytes | None:
    """The bytes of the file that was set last, or None.

    Raises:
        HttpError: it is gone.
    """
    note = Path(NOTE).expanduser()
    return files.read(note.read_text(encoding="utf-8")) if note.exists() else None


def change(path: str, width: int, height: int) -> None:
    """Cover the screen of that size (pixels) with a picture, scaled; and remember its file.

    Raises:
        HttpError: 500, it is not a picture that can be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            pixels = ImageOps.fit(picture.convert("RGB"), (width, height))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise HttpError(500, f"{path} is not a picture: {error}") from None
    _show(pixels.tobytes("raw", "BGRX"), width, height)
    files.write(NOTE, path.encode())


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
