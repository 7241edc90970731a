"""Any file, whatever is in it; the model is its bytes, or None where it is not there."""

from __future__ import annotations

from collections.abc import Iterator

from deskbench.tasks.mutation.operators import About, Raw, kind, operator

Change = Iterator[tuple[bytes | None, str]]


def _read(raw: Raw) -> bytes:
    return bytes(raw)


def _write(model: bytes | None, raw: Raw) -> bytes | None:
    return model


def _key(model: bytes | None) -> object:
    return "no file" if model is None else {"bytes": len(model), "hex": model[:2048].hex(" ", 32)}


kind("files", "Any file", read=_read, write=_write, key=_key)


@operator("files/missing", kind="files", must="fail")
def missing(data: bytes, about: About) -> Change:
    """It is not there: it has another name, or stands elsewhere."""
    yield None, "the file is not there"


@operator("files/empty", kind="files", must="fail")
def empty(data: bytes, about: About) -> Change:
    """It is empty."""
    yield b"", "the file is empty"


@operator("files/half", kind="files", must="fail")
def half(data: bytes, about: About) -> Change:
    """It breaks off in the middle; of a program's settings that is left out, since no task is about it."""
    kept = data[: len(data) // 2]
    if not about.settings and kept.strip() != data.strip():
        yield kept, f"the file ends after {len(data) // 2} of {len(data)} bytes"
