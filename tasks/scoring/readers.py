"""How getters parse bytes from the desktop: named functions that run in a separate process (`worker.read`).

Each takes and returns JSON values and files, and raises Unreadable for anything it cannot read.
"""

from __future__ import annotations

import json
import os
import posixpath
import random
import re
import shutil
import sqlite3
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import unquote, urlsplit

from deskbench.tasks.metrics.data.databases import opened_database
from deskbench.tasks.metrics.support.packages import Unreadable, checked_package, member, needs, opened_zip, parse_xml

MAX_ROWS = 100_000
"""The most rows that are read from a table."""
NAMES = ("Google Chrome", "Chromium", "Google-chrome", "Chromium-browser")
"""Chrome's names in the accessibility tree."""
ADDRESS_BAR = "Address and search bar"


def json_at(file: Path, paths: Sequence[Sequence[str]]) -> list[Any]:
    """The values of a JSON object at some paths of keys; None for a missing key or if the file is no JSON object."""
    try:
        value = json.loads(file.read_bytes(), parse_constant=_no_number)
    except ValueError:
        value = None
    return [_at(value, path) for path in paths]


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def extensions(file: Path, path: Sequence[str]) -> list[str]:
    """The string that each extension in a profile's preferences has at a path of keys, where there is one."""
    [settings] = json_at(file, [["extensions", "settings"]])
    found = [_at(one, path) for one in settings.values()] if isinstance(settings, dict) else []
    return [str(one) for one in found if isinstance(one, str)]


def table(file: Path, name: str, columns: Sequence[str]) -> list[list[Any]] | None:
    """The rows of a plain table of an SQLite file; all columns by default. None if there is no such file or table.

    Raises:
        Unreadable: the name is a view or a virtual table, whose length is up to whoever made it.
    """
    chosen = ", ".join(columns) or "*"
    try:
        with opened_database(file) as connection:
            made = connection.execute("SELECT type, sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
            if made is None:
                return None
            if made[0] != "table" or re.match(r"\s*CREATE\s+VIRTUAL", str(made[1]), re.IGNORECASE):
                raise Unreadable(f"{name} is not a plain table", file)
            rows = connection.execute(f'SELECT {chosen} FROM "{name}"').fetchmany(MAX_ROWS)
    except sqlite3.DatabaseError:
        return None
    return [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows]


def last_row(file: Path) -> list[str] | None:
    """The last row of a workbook's first sheet, each value as printed; None if there is no workbook or no row."""
    try:
        import pandas
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        frame = pandas.read_excel(checked_package(file), engine="openpyxl")
    except (Unreadable, ValueError, KeyError):
        return None
    return None if frame.empty else [str(value) for value in frame.iloc[-1].astype(str)]


def address(tree: str, prefix: str) -> str | None:
    """The text of Chrome's address bar in an accessibility tree, with the prefix that Chrome hides; None if missing."""
    try:
        root = parse_xml(tree)
    except Unreadable:
        return None
    for application in root.iter("application"):
        if application.get("name") in NAMES:
            bars = [e.text for e in application.iter("entry") if e.get("name") == ADDRESS_BAR and e.text]
            if bars:
                return bars[0] if re.match(r"[a-z-]+:/", bars[0]) else prefix + bars[0]
    return None


def of_slide(file: Path, index: int, kind: Literal["image", "audio"], into: Path) -> list[Any] | None:
    """A slide's relation: its target, and whether its content was written to `into`; None if missing.

    `index` is from 0.
    """
    try:
        target, data = _target(file, index, kind)
    except Unreadable:
        return None
    if data is not None:
        into.write_bytes(data)
    return [target, data is not None]


def _target(file: Path, index: int, kind: str) -> tuple[str, bytes | None]:
    with opened_zip(file) as archive:
        relations = member(archive, f"ppt/slides/_rels/slide{index + 1}.xml.rels")
        if relations is None:
            return "", None
        wanted = _background_id(member(archive, f"ppt/slides/slide{index + 1}.xml")) if kind == "image" else None
        for relation in parse_xml(relations, file):
            same = wanted is None if kind == "audio" else relation.get("Id") == wanted
            if same and kind in (relation.get("Type") or "").rpartition("/")[2]:
                return _resolved(archive, relation.get("Target") or "", relation.get("TargetMode") == "External")
    return "", None


def _resolved(archive: Any, target: str, external: bool) -> tuple[str, bytes | None]:
    if external or target.startswith("file:"):
        return unquote(urlsplit(target).path), None
    inner = posixpath.normpath(posixpath.join("ppt/slides", target)).lstrip("/")
    return inner, member(archive, inner)


_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def _background_id(slide: bytes | None) -> str:
    if slide is None:
        return ""
    for background in parse_xml(slide).iter(f"{_P}bgPr"):
        for picture in background.iter(f"{_A}blip"):
            return picture.get(f"{_R}embed") or picture.get(f"{_R}link") or ""
    return ""


def fetched(url: str, user: str, password: str, into: Path, most: int) -> bool:
    """Download what a program of the desktop serves into a file; False if it serves nothing.

    Raises:
        Unreadable: it is larger than `most` bytes.
    """
    import requests

    try:
        with requests.get(url, auth=(user, password), timeout=30, stream=True, allow_redirects=False) as answer:
            if answer.status_code != 200:
                return False
            _spool(answer.iter_content(65536), into, most)
    except requests.RequestException:
        return False
    return True


def _spool(parts: Iterator[bytes], into: Path, most: int) -> None:
    with into.open("wb") as file:
        for part in parts:
            if file.tell() + len(part) > most:
                raise Unreadable(f"the file has more than {most} bytes")
            file.write(part)


CHROME_EPOCH = 11_644_473_600
"""Seconds from 1601-01-01, the epoch of Chrome's clock, to 1970-01-01."""
TYPED_LINK = 0x30000000
"""Chrome's PAGE_TRANSITION_CHAIN_START and _END with the type LINK: a single visit through a link."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR);
CREATE TABLE IF NOT EXISTS urls (id INTEGER PRIMARY KEY AUTOINCREMENT, url LONGVARCHAR, title LONGVARCHAR,
  visit_count INTEGER DEFAULT 0 NOT NULL, typed_count INTEGER DEFAULT 0 NOT NULL,
  last_visit_time INTEGER NOT NULL, hidden INTEGER DEFAULT 0 NOT NULL);
CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, url INTEGER NOT NULL, visit_time INTEGER NOT NULL,
  from_visit INTEGER, transition INTEGER DEFAULT 0 NOT NULL, segment_id INTEGER,
  visit_duration INTEGER DEFAULT 0 NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('version', '32'), ('last_compatible_version', '16');
"""
"""Chrome's history in version 32 of its schema; newer Chromes migrate it when they start."""


def with_visits(file: Path, visits: Sequence[Mapping[str, Any]], now: float, into: Path) -> None:
    """Write a history with added visits to `into`; times are seconds before now. An empty file starts a new history."""
    shutil.copyfile(file, into)
    connection = sqlite3.connect(into)
    try:
        connection.executescript(_SCHEMA)
        for visit in visits:
            at = int((now - visit["visit_time_from_now_in_seconds"] + CHROME_EPOCH) * 1e6)
            row = connection.execute(
                "INSERT INTO urls (url, title, visit_count, typed_count, last_visit_time, hidden) "
                "VALUES (?, ?, 1, 0, ?, 0)",
                (visit["url"], visit["title"], at),
            ).lastrowid
            connection.execute(
                "INSERT INTO visits (url, visit_time, from_visit, transition, segment_id, visit_duration) "
                "VALUES (?, ?, 0, ?, 0, 0)",
                (row, at, TYPED_LINK),
            )
        connection.commit()
    finally:
        connection.close()


def compile_sound(into: Path) -> None:
    """Make numba compile the code that `compare_audios` uses, into the folder of `into`."""
    os.environ["NUMBA_CACHE_DIR"] = str(into.parent)  # numba reads this on import
    from deskbench.tasks.metrics.media.sound import compare_audios

    noise = Path("noise.wav")
    with wave.open(str(noise), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(random.Random(1).randbytes(2 * 44_100))
    compare_audios(noise, noise)


READERS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (json_at, extensions, table, last_row, address, of_slide, fetched, with_visits, compile_sound)
}
"""All readers by name."""
