"""Read a member of a zip file of somebody else's: Zstandard on every Python, and never more than it says it holds."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

ZSTANDARD = 93
"""APPNOTE.TXT 6.3.10, section 4.4.5. The module zipfile knows it since Python 3.14."""
_LOCAL = struct.Struct("<26xHH")
"""A member's local header, up to the lengths of its name and of its extra field (section 4.3.7)."""
_WINDOW = 1 << 27
"""The most memory in bytes that decompressing Zstandard takes: what `zstd` itself accepts."""


def member(packed: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a member that is stored, deflated, or compressed with Zstandard.

    Raises:
        ValueError: it is compressed in another way, or there is more than it says, or `zstandard` is not installed.
        KeyError, BadZipFile, OSError, EOFError, RuntimeError, zlib.error: as `ZipFile.read`.
    """
    one = packed.getinfo(name)
    if one.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return packed.read(one)
    if one.compress_type != ZSTANDARD or packed.fp is None:
        raise ValueError(f"{name} is compressed in a way that is not read (method {one.compress_type})")
    try:
        import zstandard
    except ImportError:
        raise ValueError("it is compressed with Zstandard: pip install 'deskbench[inspect]'") from None
    packed.fp.seek(one.header_offset)
    header = packed.fp.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        raise ValueError(f"{name} is not in the file")
    name_length, extra_length = _LOCAL.unpack(header)
    packed.fp.seek(name_length + extra_length, io.SEEK_CUR)
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
        io.BytesIO(packed.fp.read(one.compress_size)), read_across_frames=True
    )
    try:
        data = reader.read(one.file_size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(f"{name} cannot be unpacked: {error}") from None
    if len(data) != one.file_size or zlib.crc32(data) != one.CRC:
        raise ValueError(f"{name} is not what its header says")
    return data
