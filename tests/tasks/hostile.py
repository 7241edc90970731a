"""Files that an agent might leave to break their readers."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
from PIL import Image

SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def good(kind: str) -> bytes:
    """A small valid file of a type."""
    out = io.BytesIO()
    if kind == "docx":
        made = docx.Document()
        made.add_paragraph("text")
        made.save(out)
    elif kind == "pptx":
        deck = pptx.Presentation()
        deck.slides.add_slide(deck.slide_layouts[0])
        deck.save(out)
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.append(["a", "b"])
        book.active.append([1, 2])
        book.save(out)
    else:
        Image.new("RGB", (16, 16), (200, 100, 50)).save(out, kind.upper())
    return out.getvalue()


def replaced(kind: str, name: str, part: bytes) -> bytes:
    """A valid package with one part replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good(kind))) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, part if info.filename == name else old.read(info))
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A PNG with the given size in its header and content that compresses well."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(3 * width + 1)) for _ in range(min(height, 2000))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif(frames: int) -> bytes:
    """A GIF with many frames, each as large as possible."""
    head = b"GIF89a" + struct.pack("<HHBBB", 9000, 9000, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 9000, 9000, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def deep_word() -> bytes:
    """A document whose body is deeply nested."""
    body = "<w:p>" * 100_000 + "</w:p>" * 100_000
    text = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return replaced("docx", "word/document.xml", text.encode())


def wide_sheet() -> bytes:
    """A workbook of a hundred kilobytes with millions of cells."""
    row = "<row>" + "<c><v>1</v></c>" * 10_000 + "</row>"
    text = SHEET + row * 1_000 + "</sheetData></worksheet>"
    return replaced("xlsx", "xl/worksheets/sheet1.xml", text.encode())


def far_cell() -> bytes:
    """A workbook with one cell in the last corner: a million rows of 16,384 cells to a reader that reads all."""
    text = SHEET + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    return replaced("xlsx", "xl/worksheets/sheet1.xml", text.encode())


def many_members() -> bytes:
    """An archive with more members than are read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(30_000):
            archive.writestr(str(number), "")
    return out.getvalue()


def outside() -> bytes:
    """An archive with members outside its folder, and links."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../deskbench-escaped", "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def devices() -> bytes:
    """A tar file with a device, a pipe, and links to the outside."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in (
            ("disk", tarfile.BLKTYPE, ""), ("pipe", tarfile.FIFOTYPE, ""), ("link", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "../../../etc/passwd"),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o666
            archive.addfile(info)
    return out.getvalue()


def pdf_loop() -> bytes:
    """A PDF whose page tree is its own child."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )


def wave(seconds: int, data: bytes) -> bytes:
    """A sound with the given length in its header."""
    size = min(2**32 - 1, seconds * 44_100 * 4)
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 44_100 * 4, 4, 16)
    return b"RIFF" + struct.pack("<I", min(2**32 - 1, size + 36)) + head + b"data" + struct.pack("<I", size) + data


def database(folder: Path, script: str) -> bytes:
    """An SQLite file made by a script."""
    path = folder / "made.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path.read_bytes()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'a', 'b', x FROM n"
XML_BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
) + b"]><a>&j;</a>"  # fmt: skip
XML_OUTSIDE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><a>&a;</a>'
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%s\n#EXT-X-ENDLIST\n"

FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "zeros": lambda: bytes(1_000_000),
    "deep.json": lambda: b"[" * 200_000 + b"]" * 200_000,
    "object.json": lambda: b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "number.json": lambda: b'{"a": ' + b"9" * 5000 + b"}",
    "nan.json": lambda: b'{"a": NaN, "b": Infinity}',
    "text.json": lambda: json.dumps({"a": "\ud800"}).encode(),
    "deep.yaml": lambda: b"[" * 100_000,
    "bomb.yaml": lambda: b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9) if i else b"x") for i in range(12)
    ),
    "field.csv": lambda: b"n,c\n" + b"x" * 300_000 + b",1\n",
    "null.csv": lambda: b"n,c\n\0,\0\n\"",
    "large.png": lambda: png(30_000, 30_000),
    "tall.png": lambda: png(1, 2_000_000_000),
    "broad.png": lambda: png(60_000, 1_600),
    "frames.gif": lambda: gif(100_000),
    "cut.png": lambda: good("png")[:60],
    "nested.html": lambda: b"<div>" * 2_000_000,
    "tables.html": lambda: b"<table><tr><td>" * 300_000,
    "bomb.xml": lambda: XML_BOMB,
    "outside.xml": lambda: XML_OUTSIDE,
    "deep.xml": lambda: b"<a>" * 300_000,
    "bomb.docx": lambda: replaced("docx", "word/document.xml", XML_BOMB),
    "deep.docx": deep_word,
    "styles.docx": lambda: replaced("docx", "word/styles.xml", XML_OUTSIDE),
    "types.docx": lambda: replaced("docx", "[Content_Types].xml", b"<Types/>"),
    "none.docx": lambda: replaced("docx", "word/document.xml", b"<none/>"),
    "wide.xlsx": wide_sheet,
    "far.xlsx": far_cell,
    "bomb.xlsx": lambda: replaced("xlsx", "xl/worksheets/sheet1.xml", XML_BOMB),
    "none.xlsx": lambda: replaced("xlsx", "xl/workbook.xml", b"<none/>"),
    "styles.xlsx": lambda: replaced("xlsx", "xl/styles.xml", b"<none/>"),
    "none.pptx": lambda: replaced("pptx", "ppt/presentation.xml", b"<none/>"),
    "bomb.pptx": lambda: replaced("pptx", "ppt/slides/slide1.xml", XML_BOMB),
    "slide.pptx": lambda: replaced("pptx", "ppt/slides/slide1.xml", b"<none/>"),
    "members.zip": many_members,
    "outside.zip": outside,
    "devices.tar": devices,
    "loop.pdf": pdf_loop,
    "cut.pdf": lambda: b"%PDF-1.7\n" + b"(" * 500_000,
    "long.wav": lambda: wave(20_000, bytes(400_000)),
    "silent.wav": lambda: wave(1, bytes(176_400)),
    "playlist.mp4": lambda: PLAYLIST % b"file:///etc/passwd",
    "head.mp4": lambda: struct.pack(">I", 2**31 - 1) + b"ftypisom" + b"\xff" * 100_000,
    "view.sqlite": lambda: b"",  # tests create it
    "font.ttf": lambda: b"\x00\x01\x00\x00\xff\xff" + b"\xff" * 100_000,
}  # fmt: skip
