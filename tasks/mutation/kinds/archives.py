"""Archives: ZIP and TAR files. The model is the list of their files, without folders."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from deskbench.tasks.metrics.support.packages import BROKEN
from deskbench.tasks.mutation.kinds.packages import MOST_UNPACKED
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

MOST_MEMBERS = 2000


@dataclass(frozen=True)
class Archive:
    """Names and contents of the files in an archive; `form` is `zip`, or the mode for `tarfile`."""

    form: str
    members: tuple[tuple[str, bytes], ...]
    packed: bool = True


Change = Iterator[tuple[Archive, str]]


def _read(raw: Raw) -> Archive:
    data = bytes(raw)
    try:
        found = _zip(data) if data.startswith(b"PK") else _tar(data)
    except (*BROKEN, tarfile.TarError) as error:
        raise Unlike(f"not an archive: {error}") from None
    return found


def _zip(data: bytes) -> Archive:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        _bounded(len(infos), sum(info.file_size for info in infos))
        return Archive("zip", tuple((info.filename, archive.read(info)) for info in infos))


def _tar(data: bytes) -> Archive:
    form = {b"\x1f\x8b": "gz", b"BZ": "bz2", b"\xfd7": "xz"}.get(data[:2], "")
    members: list[tuple[str, bytes]] = []
    total = 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as archive:
        for member in archive:
            total += member.size
            _bounded(len(members) + 1, total)
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                members.append((member.name, file.read()))
    return Archive(form, tuple(members))


def _bounded(members: int, size: int) -> None:
    if members > MOST_MEMBERS or size > MOST_UNPACKED:
        raise Unlike("its files are too many or too large")


def _write(model: Archive, raw: Raw) -> bytes:
    out = io.BytesIO()
    if model.form == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if model.packed else zipfile.ZIP_STORED) as archive:
            for name, data in model.members:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, archive.compression)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in model.members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return _packed(out.getvalue(), model.form)


def _packed(data: bytes, form: str) -> bytes:
    import bz2
    import gzip
    import lzma

    pack = {"gz": lambda: gzip.compress(data, mtime=0), "bz2": lambda: bz2.compress(data),
            "xz": lambda: lzma.compress(data)}.get(form)  # fmt: skip
    return data if pack is None else pack()


def _key(model: Archive) -> list[str]:
    return [f"{name}: {len(data)} bytes, {data[:32].hex()}..{data[-32:].hex()}" for name, data in sorted(model.members)]


kind("archive", "ZIP and TAR archives", read=_read, write=_write, key=_key)


def _instead(archive: Archive, place: int, *new: tuple[str, bytes]) -> Archive:
    return replace(archive, members=(*archive.members[:place], *new, *archive.members[place + 1 :]))


@operator("archive/missing", kind="archive", must="fail")
def missing(archive: Archive, about: About) -> Change:
    """A file is missing."""
    for place in about.some(range(len(archive.members))):
        yield _instead(archive, place), f"{archive.members[place][0]} is missing"


@operator("archive/extra", kind="archive", must="fail")
def extra(archive: Archive, about: About) -> Change:
    """There is an extra file."""
    yield replace(archive, members=(*archive.members, ("one more.txt", b"more\n"))), "'one more.txt' is in it as well"


@operator("archive/renamed", kind="archive", must="fail")
def renamed(archive: Archive, about: About) -> Change:
    """A file has a different name, or is in a different folder."""
    for place in about.some(range(len(archive.members)), 3):
        name, data = archive.members[place]
        for new in (f"{name}~", f"other/{name}"):
            yield _instead(archive, place, (new, data)), f"{name} is called {new}"


@operator("archive/folder", kind="archive", must="fail")
def folder(archive: Archive, about: About) -> Change:
    """All files are in a new folder."""
    yield (
        replace(archive, members=tuple((f"all/{name}", data) for name, data in archive.members)),
        "all files are in a folder",
    )


@operator("archive/content", kind="archive", must="fail")
def content(archive: Archive, about: About) -> Change:
    """A file is empty, or has different content."""
    for place in about.some(range(len(archive.members)), 3):
        name, data = archive.members[place]
        yield _instead(archive, place, (name, b"")), f"{name} is empty"
        yield _instead(archive, place, (name, data + b"x")), f"{name} is one byte longer"


@operator("archive/order", kind="archive", must="stay")
def order(archive: Archive, about: About) -> Change:
    """The files are in reverse order."""
    yield replace(archive, members=archive.members[::-1]), "its files are in reverse order"


@operator("archive/stored", kind="archive", must="stay")
def stored(archive: Archive, about: About) -> Change:
    """The files are not compressed."""
    if archive.form == "zip":
        yield replace(archive, packed=False), "its files are not compressed"
