"""Valid and invalid pictures from desktops."""

import io
import zlib

from PIL import Image


def png(width: int, height: int) -> bytes:
    """A black picture."""
    made = io.BytesIO()
    Image.new("L", (width, height)).save(made, "PNG")
    return made.getvalue()


def headed(width: int, height: int) -> bytes:
    """A picture with this size in its first chunk; the rest belongs to a different picture."""
    whole = bytearray(png(30, 20))
    whole[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    return bytes(whole)


def two_headed(width: int, height: int) -> bytes:
    """A picture of 30x20 pixels with a second header chunk, which readers use."""
    small = png(30, 20)
    return small[:33] + headed(width, height)[8:33] + small[33:]
