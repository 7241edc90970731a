"""Fast lossless PNG: only the part of the screen that has changed is encoded again.

A picture is made in bands of rows, each a piece of the file that can be deflated alone. A band whose pixels are those
of the frame before is taken from there. In the others, numpy subtracts each row from the one above, and ISA-L deflates
the result; without libisal, the standard library's zlib does the same work more slowly. docs/performance.md has the
times.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import struct
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BAND = 64
"""Rows of a band. Its data stays in the processor's cache, and few bands hold a caret or a menu."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP, _AVERAGE = 2, 3
_PHOTO = 0.08
"""Bytes of PNG per byte of pixels. A band above this counts as a photograph, and is filtered as such."""
_ZLIB_HEADER = b"\x78\x01"
"""Deflate with a window of 32 kB, at the fastest level (RFC 1950)."""
_LAST = b"\x03\x00"
"""The last block of a deflated stream, with nothing in it (RFC 1951)."""
_ADLER = 65521
"""The modulus of zlib's checksum (RFC 1950)."""

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes, _memcmp.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int

# struct isal_zstream of libisal's igzip_lib.h (ABI version 2): the public fields, then its internal state.
_STATE_BYTES = 1 << 18  # 82 kB in version 2.30
_LEVEL_BYTES = 1 << 19
_RAW, _FULL_FLUSH = 0, 2


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
    """Deflates with libisal, one array at a time."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libisal.so.2")
        self._lib.isal_deflate.argtypes = self._lib.isal_deflate_init.argtypes = [ctypes.c_void_p]
        self._stream = _Stream()
        self._level = ctypes.create_string_buffer(_LEVEL_BYTES)
        self._room: Any = None
        self._lock = threading.Lock()

    def compress(self, source: Any) -> bytes:
        """Deflate a contiguous numpy array of bytes at level 1. Another piece may follow the result."""
        import numpy as np

        wanted = source.nbytes + source.nbytes // 8 + 4096
        with self._lock:
            if self._room is None or self._room.size < wanted:
                self._room = np.empty(wanted, np.uint8)  # memory that is never written to takes no space
            stream, room = self._stream, self._room
            self._lib.isal_deflate_init(ctypes.byref(stream))
            stream.level, stream.gzip_flag, stream.flush, stream.end_of_stream = 1, _RAW, _FULL_FLUSH, 0
            stream.level_buf, stream.level_buf_size = ctypes.addressof(self._level), _LEVEL_BYTES
            stream.next_in, stream.avail_in = source.ctypes.data, source.nbytes
            stream.next_out, stream.avail_out = room.ctypes.data, room.size
            failed = self._lib.isal_deflate(ctypes.byref(stream))
            left = stream.avail_in
            if failed or left:
                raise RuntimeError(f"libisal: isal_deflate returned {failed} with {left} bytes left")
            return bytes(memoryview(room)[: stream.total_out])


@dataclass
class _Band:
    """A band of the last picture.

    Attributes:
        chunk: its IDAT chunk.
        adler: the checksum of its filtered rows.
        photo: it compressed badly.
    """

    chunk: bytes = b""
    adler: int = 1
    photo: bool = False


class Encoder:
    """Encodes BGRX frames. Keeps the last one, so use one per screen, from one thread at a time."""

    def __init__(self) -> None:
        try:
            self._isal: _Isal | None = _Isal()
        except OSError:
            self._isal = None
        self._rows: Any = None
        self._last: Any = None
        self._bands: list[_Band] = []
        self.compressor = "isal" if self._isal else "zlib"

    def encode(self, bgrx: Any) -> bytes:
        """Encode a frame as a PNG file.

        Args:
            bgrx: uint8 array (height, width, 4); the fourth byte is ignored. It is the encoder's from now on: `update`
                writes to it, and nobody else may.
        """
        import numpy as np

        bgrx = np.ascontiguousarray(bgrx)
        height, width = bgrx.shape[:2]
        last = self._last
        if last is None or last.shape != bgrx.shape:
            self._bands = [_Band() for _ in range(0, height, BAND)]
            self._rows = np.empty((min(BAND, height), 1 + width * 3), np.uint8)
            return self._file(bgrx, range(len(self._bands)))
        tops = range(0, height, BAND)
        stale = [number for number, top in enumerate(tops) if not _same(bgrx, last, max(top - 1, 0), top + BAND)]
        return self._file(bgrx, stale)

    def update(self, pieces: Sequence[tuple[int, Any]]) -> bytes:
        """Encode the last frame again, of which only some rows may have changed.

        Args:
            pieces: the number of the first row, and uint8 (rows, width, 4), of each part that may have changed. All lie
                inside the frame.

        Raises:
            ValueError: there is no last frame, or it could not be encoded.
        """
        frame = self._last
        if frame is None:
            raise ValueError("there is no frame to update")
        frame = frame if frame.flags.writeable else frame.copy()
        self._last = None
        stale: set[int] = set()
        for top, rows in pieces:
            for number in range(top // BAND, (top + len(rows) - 1) // BAND + 1):
                first, end = max(number * BAND, top), min((number + 1) * BAND, top + len(rows))
                new, old = rows[first - top : end - top], frame[first:end]
                if not _same(new, old, 0, len(new)):
                    below = end % BAND == 0 and end < len(frame) and not _same(new, old, len(new) - 1, len(new))
                    stale.update((number, number + 1) if below else (number,))
                    old[:] = new
        return self._file(frame, stale)

    def _file(self, bgrx: Any, stale: Iterable[int]) -> bytes:
        """Encode the bands with these numbers, and put the file together."""
        height, width = bgrx.shape[:2]
        self._last = None  # if a band cannot be encoded, no band is taken from this frame
        for number in stale:
            self._encode(self._bands[number], bgrx, number * BAND)
        self._last = bgrx
        adler = 1
        for number, band in enumerate(self._bands):
            adler = _appended(adler, band.adler, min(BAND, height - number * BAND) * (1 + width * 3))
        header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        end = _chunk(b"IDAT", _LAST + struct.pack(">I", adler)) + _chunk(b"IEND", b"")
        return b"".join((_SIGNATURE, header, *(band.chunk for band in self._bands), end))

    def _encode(self, band: _Band, bgrx: Any, top: int) -> None:
        """Encode the band whose first row is `top`."""
        import numpy as np

        rgb = _packed(bgrx[max(top - 1, 0) : top + BAND])
        if top == 0:  # for PNG, the row above the first is all zeros
            rgb = np.concatenate((np.zeros_like(rgb[:1]), rgb))
        data = self._deflated(rgb, photo=band.photo)
        photo = len(data) > _PHOTO * rgb[1:].size
        if photo and not band.photo:
            data = self._deflated(rgb, photo=True)
        band.photo = photo
        band.adler = zlib.adler32(self._rows[: len(rgb) - 1])
        band.chunk = _chunk(b"IDAT", data if top else _ZLIB_HEADER + data)

    def _deflated(self, rgb: Any, *, photo: bool) -> bytes:
        """Filter and deflate rows; the first is the one above. The filtered rows are left in `_rows`."""
        rows = self._rows[: len(rgb) - 1]
        rows[:, 0] = _AVERAGE if photo else _UP
        (_filter_average if photo else _filter_up)(rows[:, 1:], rgb)
        if self._isal:
            return self._isal.compress(rows)
        deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        return deflater.compress(rows) + deflater.flush(zlib.Z_FULL_FLUSH)


def _same(one: Any, other: Any, top: int, bottom: int) -> bool:
    """Whether two frames have the same rows from `top` to `bottom`. Comparing arrays would take three times as long."""
    first, second = one[top:bottom], other[top:bottom]
    return not _memcmp(first.ctypes.data, second.ctypes.data, first.nbytes)


def _appended(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two pieces, from theirs; `length` is the second one's in bytes (RFC 1950)."""
    low, high = first & 0xFFFF, first >> 16
    sums = (low + (second & 0xFFFF) - 1) % _ADLER
    sums_of_sums = (high + (second >> 16) + length * (low - 1)) % _ADLER
    return sums_of_sums << 16 | sums


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
