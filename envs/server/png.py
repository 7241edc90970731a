"""Fast lossless PNG: numpy subtracts each row from the one above, and ISA-L deflates the result.

A screenshot of 1920x1080 takes 5 to 15 ms this way; Pillow needs 50 to 600 (docs/performance.md). Without libisal or
numpy, the standard library's zlib does the same work more slowly.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import struct
import threading
import zlib
from typing import Any

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP, _AVERAGE = 2, 3
_BAND = 64
"""Rows filtered at a time. This keeps the data in the processor's cache and needs little memory."""
_PHOTO = 0.08
"""Bytes of PNG per byte of pixels. Above this, a frame counts as a photograph, and the next one is filtered as such."""

# struct isal_zstream of libisal's igzip_lib.h (ABI version 2): the public fields, then its internal state.
_STATE_BYTES = 1 << 18  # 82 kB in version 2.30
_LEVEL_BYTES = 1 << 19
_ZLIB_WRAPPER = 3


class _Stream(ctypes.Structure):
    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint32),
        ("total_in", ctypes.c_uint32),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint32),
        ("total_out", ctypes.c_uint32),
        ("hufftables", ctypes.c_void_p),
        ("level", ctypes.c_uint32),
        ("level_buf_size", ctypes.c_uint32),
        ("level_buf", ctypes.c_void_p),
        ("end_of_stream", ctypes.c_uint16),
        ("flush", ctypes.c_uint16),
        ("gzip_flag", ctypes.c_uint16),
        ("hist_bits", ctypes.c_uint16),
        ("internal_state", ctypes.c_uint8 * _STATE_BYTES),
    )


class _Isal:
    """Makes zlib streams with libisal, one at a time."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libisal.so.2")
        self._lib.isal_deflate.argtypes = self._lib.isal_deflate_init.argtypes = [ctypes.c_void_p]
        self._stream = _Stream()
        self._level = ctypes.create_string_buffer(_LEVEL_BYTES)
        self._room: Any = None
        self._lock = threading.Lock()

    def compress(self, source: Any) -> bytes:
        """Deflate a contiguous numpy array of bytes at level 1."""
        import numpy as np

        wanted = source.nbytes + source.nbytes // 8 + 4096
        with self._lock:
            if self._room is None or self._room.size < wanted:
                self._room = np.empty(wanted, np.uint8)  # memory that is never written to takes no space
            stream, room = self._stream, self._room
            self._lib.isal_deflate_init(ctypes.byref(stream))
            stream.level, stream.gzip_flag, stream.end_of_stream = 1, _ZLIB_WRAPPER, 1
            stream.level_buf, stream.level_buf_size = ctypes.addressof(self._level), _LEVEL_BYTES
            stream.next_in, stream.avail_in = source.ctypes.data, source.nbytes
            stream.next_out, stream.avail_out = room.ctypes.data, room.size
            failed = self._lib.isal_deflate(ctypes.byref(stream))
            left = stream.avail_in
            if failed or left:
                raise RuntimeError(f"libisal: isal_deflate returned {failed} with {left} bytes left")
            return bytes(memoryview(room)[: stream.total_out])


class Encoder:
    """Encodes BGRX frames. Keeps its buffers, so use one per screen, from one thread at a time."""

    def __init__(self) -> None:
        try:
            self._isal: _Isal | None = _Isal()
        except OSError:
            self._isal = None
        self._rows: Any = None
        self._photo = False
        self.compressor = "isal" if self._isal else "zlib"

    def encode(self, bgrx: Any) -> bytes:
        """Encode a frame as a PNG file.

        Args:
            bgrx: uint8 array (height, width, 4); the fourth byte is ignored.
        """
        import numpy as np

        height, width = bgrx.shape[:2]
        if self._rows is None or self._rows.shape != (height, 1 + width * 3):
            self._rows = np.empty((height, 1 + width * 3), np.uint8)
        rows = self._rows
        rows[:, 0] = _AVERAGE if self._photo else _UP
        for top in range(0, height, _BAND):
            rgb = _packed(bgrx[max(top - 1, 0) : top + _BAND])
            if top == 0:  # for PNG, the row above the first is all zeros
                rgb = np.concatenate((np.zeros_like(rgb[:1]), rgb))
            (_filter_average if self._photo else _filter_up)(rows[top : top + _BAND, 1:], rgb)
        data = self._isal.compress(rows) if self._isal else zlib.compress(rows.tobytes(), 1)
        self._photo = len(data) > _PHOTO * rows.size
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def _packed(bgrx: Any) -> Any:
    """Convert rows of BGRX to uint8 (height, 3 * width) of RGB.

    Pillow swaps and drops channels ten times faster than a strided numpy copy. Reading the rows as RGBX and writing BGR
    avoids another copy.
    """
    import numpy as np
    from PIL import Image

    height, width = bgrx.shape[:2]
    packed = Image.frombuffer("RGBX", (width, height), bgrx, "raw", "RGBX", 0, 1).tobytes("raw", "BGR")
    return np.frombuffer(packed, np.uint8).reshape(height, width * 3)


def _filter_up(rows: Any, rgb: Any) -> None:
    """PNG's filter 2: each byte minus the one above.

    Args:
        rows: uint8 (height, 3 * width), written to.
        rgb: uint8 (1 + height, 3 * width): the row above, then the rows.
    """
    import numpy as np

    np.subtract(rgb[1:], rgb[:-1], out=rows)


def _filter_average(rows: Any, rgb: Any) -> None:
    """PNG's filter 3: each byte minus the mean of its left and upper neighbours; a tenth smaller on photographs.

    Args:
        rows: uint8 (height, 3 * width), written to.
        rgb: uint8 (1 + height, 3 * width): the row above, then the rows.
    """
    import numpy as np

    rows[:, :3] = rgb[1:, :3] - (rgb[:-1, :3] >> 1)
    left, above = rgb[1:, :-3], rgb[:-1, 3:]
    mean = np.bitwise_xor(left, above)
    mean >>= 1
    mean += left & above  # (a ^ b) / 2 + (a & b) is the mean, without a carry out of a byte
    np.subtract(rgb[1:, 3:], mean, out=rows[:, 3:])


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
