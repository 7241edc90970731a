"""Any file, whatever its content. The model is its bytes, or None if it is missing."""

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
    """The file is missing: it has a different name, or is elsewhere."""
    yield None, "the file is missing"


@operator("files/empty", kind="files", must="fail")
def empty(data: bytes, about: About) -> Change:
    """The file is empty."""
    yield b"", "the file is empty"


@operator("files/half", kind="files", must="fail")
def half(data: bytes, about: About) -> Change:
    """The file is cut off in the middle; not for a program's settings, because no task is about that."""
    kept = data[: len(data) // 2]
    if not about.settings and kept.strip() != data.strip():
        yield kept, f"the file ends after {len(data) // 2} of {len(data)} bytes"
