"""Archives and e-books, unpacked only into a scratch folder and within size limits."""

from __future__ import annotations

import difflib
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from deskbench.tasks.metrics.data.text import lines_alike
from deskbench.tasks.metrics.media.pdf import pdf_text
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.packages import (
    BROKEN,
    MAX_MEMBERS,
    MAX_UNPACKED,
    Unreadable,
    member,
    opened_zip,
)
from deskbench.tasks.registry import closed, find, metric

Kind = Literal["text", "pdf", "docx", "ppt", "image", "csv", "table", "audio", "video"]
_METRICS: dict[str, str] = {
    "text": "compare_text_file", "pdf": "compare_pdfs", "docx": "compare_docx_files", "ppt": "compare_pptx_files",
    "image": "compare_images", "csv": "compare_csv", "table": "compare_table", "audio": "compare_audios",
    "video": "compare_videos",
}  # fmt: skip
PDF_LIKENESS = 0.95
"""The minimum similarity of the texts of PDF files in archives (OSWorld's)."""


@closed
class Members(TypedDict):
    """The files of an archive by name, with their text; None for any text."""

    expected: dict[str, str | None]
    others: NotRequired[bool]


@metric("archive_contains")
def archive_contains(result: Path, rules: Members) -> float:
    """1 when a ZIP file has each name in `expected` with its text (null: any); `others` allows more names."""
    wanted: Mapping[str, str | None] = rules["expected"]
    with opened_zip(result) as archive:
        files = {i.filename for i in archive.infolist() if not i.is_dir()}
        if set(wanted) - files or (files - set(wanted) and not rules.get("others")):
            return 0.0
        return float(all(text is None or _text(archive, name) == text for name, text in wanted.items()))


def _text(archive: zipfile.ZipFile, name: str) -> str:
    return (member(archive, name) or b"").decode("utf-8", "replace")


def unpack(path: Path, folder: Path) -> None:
    """Unpack a ZIP or tar file into an empty folder.

    Raises:
        Unreadable: it is neither, it is too large, or a member would land outside the folder.
    """
    if tarfile.is_tarfile(path):
        _unpack_tar(path, folder)
        return
    with opened_zip(path) as archive:
        for info in archive.infolist():
            target = (folder / info.filename).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise Unreadable(f"a member would be unpacked outside: {info.filename}", path)
        try:
            archive.extractall(folder)
        except BROKEN as error:
            raise Unreadable(str(error), path) from None


def _unpack_tar(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            size = 0
            for count, info in enumerate(archive):
                size += info.size
                if count >= MAX_MEMBERS or size > MAX_UNPACKED:
                    raise Unreadable("the archive is larger than any that a task makes", path)
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, *BROKEN) as error:
        raise Unreadable(str(error), path) from None


@metric("compare_archive")
def compare_archive(
    result: Path, expected: Path, *, file_path: str = "", file_type: Kind = "text", **options: Any
) -> float:
    """The mean score of the files, at any depth, in a folder of two archives, which must have the same paths.

    Args:
        result, expected: archives.
        file_path: the folder in the archives; the top by default.
        file_type: the type of the files, which selects the metric that compares them.
        options: options for that metric.
    """
    with tempfile.TemporaryDirectory(prefix="deskbench-archive-") as scratch:
        folders = [Path(scratch) / "result", Path(scratch) / "expected"]
        files = [_unpacked(a, folder, file_path) for a, folder in zip((result, expected), folders, strict=True)]
        if not files[1]:
            raise Unreadable(f"{expected.name} has no files in {file_path or 'its top folder'}", expected)
        if list(files[0]) != list(files[1]):
            return 0.0
        compare = find("metric", _METRICS[file_type]).function
        try:
            return sum(
                _scored(compare, a, b, options) for a, b in zip(*(side.values() for side in files), strict=True)
            ) / len(files[1])
        except Unreadable as error:
            raise Unreadable(str(error), expected) from None


def _unpacked(archive: Path, folder: Path, inner: str) -> dict[str, Path]:
    """The files in a folder of an archive, by their path in that folder."""
    folder.mkdir()
    unpack(archive, folder)
    chosen = (folder / inner).resolve()
    if not chosen.is_relative_to(folder.resolve()) or not chosen.is_dir():
        return {}
    found = {file.relative_to(chosen).as_posix(): file for file in chosen.rglob("*") if not file.is_dir()}
    return dict(sorted(found.items()))


def _scored(compare: Callable[..., float], found: Path, wanted: Path, options: Mapping[str, Any]) -> float:
    if found.is_symlink() or not found.is_file():
        return 0.0
    try:
        return float(compare(found, wanted, **options))
    except Unreadable as error:
        if error.file == wanted:
            raise
        return 0.0


@metric("compare_zip_files")
def compare_zip_files(result: Path, expected: Path) -> float:
    """1 when two ZIP files have the same members and bytes; PDF members need only similar text."""
    with opened_zip(result) as found, opened_zip(expected) as wanted:
        names = set(wanted.namelist())
        if set(found.namelist()) != names:
            return 0.0
        return float(all(_same_member(name, member(found, name), member(wanted, name)) for name in names))


def _same_member(name: str, found: bytes | None, wanted: bytes | None) -> bool:
    if found == wanted or not name.lower().endswith(".pdf"):
        return found == wanted
    one, other = (pdf_text(data or b"") for data in (found, wanted))
    return difflib.SequenceMatcher(None, one, other).ratio() >= PDF_LIKENESS


@metric("compare_epub")
def compare_epub(result: Path, expected: Path) -> float:
    """The similarity of two e-books, 0 to 1: the mean, by lines, over table of contents, manifest and chapters."""
    found, wanted = _chapters(result), _chapters(expected)
    if not wanted:
        raise Unreadable(f"{expected.name} has no chapters", expected)
    if as_upstream("epub-names"):
        pairs = list(
            zip([found[name] for name in sorted(found)], [wanted[name] for name in sorted(wanted)], strict=False)
        )
        return sum(lines_alike(a, b) for a, b in pairs) / len(found) if found else 0.0
    names = found.keys() | wanted.keys()
    return sum(lines_alike(found.get(n, ""), wanted.get(n, "")) for n in names if n in found and n in wanted) / len(
        names
    )


def _chapters(book: Path) -> dict[str, str]:
    """The texts to compare: the pages, and two lists without the lines that differ between conversions."""
    varying = {"toc.ncx": "navPoint", "content.opf": "dc:identifier"}
    with opened_zip(book) as archive:
        texts = {n: _text(archive, n) for n in archive.namelist() if n in varying or n.endswith(".html")}
    return {
        name: "".join(f"{line}\n" for line in text.splitlines() if varying[name] not in line)
        if name in varying
        else _pretty(text)
        for name, text in texts.items()
    }


def _pretty(page: str) -> str:
    """HTML reformatted, one element a line."""
    from lxml import etree, html

    flat = page.replace("\n", "").replace("\r", "").encode()
    try:
        return str(html.tostring(html.fromstring(flat), pretty_print=True, encoding="unicode"))
    except (etree.ParserError, ValueError):
        return page
