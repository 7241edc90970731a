"""Reads hostile files from the desktop: archives are checked against limits first, XML is read without entities."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from deskbench.envs.errors import CheckError

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_UNPACKED = 1024 * 2**20
"""The most bytes of all members of an archive together; a larger one is a bomb."""
MAX_MEMBER = 256 * 2**20
"""The most bytes to read from one member."""
MAX_MEMBERS = 20_000
BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What `zipfile` raises for files that are not archives, are truncated or encrypted, or use an unknown compression."""


class Unreadable(Exception):
    """A file is not what it should be: a 0 if it comes from the desktop, else a CheckError.

    `file` is the file; None if it certainly comes from the desktop.
    """

    def __init__(self, message: str, file: Path | None = None) -> None:
        super().__init__(message)
        self.file = file


def parse_xml(data: bytes | str, file: Path | None = None) -> _Element:
    """Parse XML without entities, DTDs, network or size tricks; `file` is for the error.

    Raises:
        Unreadable: it is not XML.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data.encode() if isinstance(data, str) else data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"not XML: {error}", file) from None


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A ZIP file whose directory stays within the limits (`zipfile` holds members to the sizes in it).

    Raises:
        Unreadable: it is not a ZIP file, or too large.
    """
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise Unreadable(f"not a ZIP file: {error}", path) from None
    with archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
            raise Unreadable("the archive is larger than any that a task makes", path)
        yield archive


def member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """A member's bytes; None if there is no such member.

    Raises:
        Unreadable: it is broken or too large.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    if info.file_size > MAX_MEMBER:
        raise Unreadable(f"{name} is larger than any that a task makes", _file_of(archive))
    try:
        return archive.read(info)
    except BROKEN as error:
        raise Unreadable(f"{name}: {error}", _file_of(archive)) from None


def _file_of(archive: zipfile.ZipFile) -> Path | None:
    return None if archive.filename is None else Path(archive.filename)


def checked_package(path: Path) -> Path:
    """The path of a ZIP-based document (docx, xlsx, pptx, odt, ...), after a check of its limits."""
    with opened_zip(path):
        return path


def needs(extra: str, error: ImportError) -> CheckError:
    """The error for a missing library of an extra.

    Raises:
        MemoryError: the library is installed, but earlier reads left no memory to load it.
    """
    if "map segment" in str(error) or "allocate memory" in str(error):
        raise MemoryError(str(error))
    return CheckError(f"{error.name or error} is not installed: pip install 'deskbench[{extra}]'")
