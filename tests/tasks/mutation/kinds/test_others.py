"""Changes of pictures, PDF, databases, sounds, RTF, folders and values, read back by their own readers."""

from __future__ import annotations

import email
import io
import re
import sqlite3
import tarfile
import wave
import zipfile
from collections.abc import Mapping
from contextlib import closing
from email.message import Message

import pypdfium2
import pytest
from PIL import Image, ImageChops

from deskbench.tasks.mutation.operators import About, Unlike, find_kind, operators
from tests.tasks.mutation.samples import TREE, archive, changes, database, pages, picture, sound


def opened(raw: bytes) -> Image.Image:
    return Image.open(io.BytesIO(raw))


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and not ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getbbox(
        alpha_only=False
    )


OLD = opened(picture())


@pytest.mark.parametrize("operator", [one.name.partition("/")[2] for one in operators("png")])
def test_a_picture(operator: str) -> None:
    must = next(one.must for one in operators("png") if one.name == f"png/{operator}")
    for raw, words in changes("png", operator):
        new = opened(raw)
        if must == "stay":
            assert same(new, OLD) and new.format == "PNG"
        else:
            assert not same(new, OLD) or new.format != "PNG", words


def test_a_picture_is_what_the_words_say() -> None:
    assert opened(changes("png", "turned")[0][0]).size == (40, 60)
    assert opened(changes("png", "scaled")[0][0]).size == (54, 36)
    assert opened(changes("png", "cropped")[0][0]).size == (54, 36)
    assert opened(changes("png", "mirrored")[0][0]).getpixel((0, 0)) == OLD.getpixel((59, 0))
    assert [opened(raw).format for raw, _ in changes("png", "other-form")] == ["BMP", "JPEG"]
    assert [opened(raw).format for raw, _ in changes("jpeg", "other-form")] == ["PNG"]
    assert opened(changes("jpeg", "comment")[0][0]).info["comment"] == b"another on"
    assert opened(changes("png", "metadata")[0][0]).info["Software"] == "another program"
    assert opened(changes("jpeg", "recompressed")[1][0]).info["progressive"]


def test_an_opaque_picture_cannot_lose_what_shines_through() -> None:
    raw = io.BytesIO()
    OLD.convert("RGB").convert("RGBA").save(raw, "PNG")
    assert changes("png", "opaque", raw.getvalue()) == []


def test_pages() -> None:
    def colours(raw: bytes) -> list[tuple[int, ...]]:
        with closing(pypdfium2.PdfDocument(raw)) as document:
            return [page.render().to_pil().convert("RGB").getpixel((2, 2)) for page in document]

    red, green, blue = colours(pages())
    assert [colours(raw) for raw, _ in changes("pdf", "drop-page")] == [[green, blue], [red, blue], [red, green]]
    assert colours(changes("pdf", "repeat-page")[0][0]) == [red, red, green, blue]
    assert colours(changes("pdf", "swap-pages")[1][0]) == [red, blue, green]
    with closing(pypdfium2.PdfDocument(changes("pdf", "turn-page")[0][0])) as turned:
        assert [page.get_rotation() for page in turned] == [90, 0, 0]


def rows(raw: bytes) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(raw)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}


def test_a_database() -> None:
    chalk, paper = ("chalk", 3), ("paper", 5)
    assert [rows(raw)["orders"] for raw, _ in changes("sqlite", "drop-row")] == [[paper], [chalk]]
    assert rows(changes("sqlite", "repeat-row")[0][0])["orders"] == [chalk, chalk, paper]
    values = {words: rows(raw)["orders"] for raw, words in changes("sqlite", "change-value")}
    assert values["count of orders is 4, not 3"] == [("chalk", 4), paper]
    assert rows(changes("sqlite", "null")[0][0])["orders"] == [("chalk", None), paper]
    assert list(rows(changes("sqlite", "rename-table")[0][0])) == ["orders_2"]
    [(packed, _)] = changes("sqlite", "vacuum")
    assert packed != database() and rows(packed) == rows(database())


def test_a_sound() -> None:
    def heard(raw: bytes) -> tuple[int, int, bytes]:
        with wave.open(io.BytesIO(raw)) as file:
            return file.getframerate(), file.getnframes(), file.readframes(file.getnframes())

    rate, length, data = heard(sound())
    assert heard(changes("wav", "cut")[0][0]) == (rate, length - rate, data[: -2 * rate])
    assert heard(changes("wav", "silent")[0][0]) == (rate, length, bytes(len(data)))
    assert heard(changes("wav", "rate")[0][0])[0] == 2 * rate
    backwards = heard(changes("wav", "reversed")[0][0])[2]
    assert backwards[:2] == data[-2:] and backwards[-2:] == data[:2]


def test_an_archive() -> None:
    def inside(raw: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(raw)) as made:
            return {name: made.read(name) for name in made.namelist()}

    old = inside(archive())
    found = {
        words: inside(raw) for name in ("missing", "renamed", "content") for raw, words in changes("archive", name)
    }
    assert found["a.txt is missing"] == {"b/c.txt": old["b/c.txt"]}
    assert found["a.txt is called other/a.txt"] == {"other/a.txt": old["a.txt"], "b/c.txt": old["b/c.txt"]}
    assert found["b/c.txt is empty"] == {**old, "b/c.txt": b""}
    assert list(inside(changes("archive", "folder")[0][0])) == ["all/a.txt", "all/b/c.txt"]
    for name in ("order", "stored"):
        [(raw, _)] = changes("archive", name)
        assert raw != archive() and inside(raw) == old


@pytest.mark.parametrize("form", ["", "gz", "bz2", "xz"])
def test_an_archive_of_tapes_keeps_its_form(form: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{form}") as made:  # type: ignore[call-overload]
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size = 3
            made.addfile(info, io.BytesIO(b"abc"))
    [(first, _), (second, _)] = changes("archive", "missing", out.getvalue())
    for raw, left in ((first, "b.txt"), (second, "a.txt")):
        with tarfile.open(fileobj=io.BytesIO(raw), mode=f"r:{form}") as read:  # type: ignore[call-overload]
            assert read.getnames() == [left]


def test_mail() -> None:
    def folder(raw: bytes) -> list[Message]:
        parts = [part for part in re.split(rb"^From -.*\n", raw, flags=re.MULTILINE) if part]
        return [email.message_from_bytes(part) for part in parts]

    assert [[m["Subject"] for m in folder(raw)] for raw, _ in changes("mail", "missing")] == [["Plan 2"], ["Plan 1"]]
    assert len(folder(changes("mail", "twice")[0][0])) == 3
    assert folder(changes("mail", "to")[0][0])[0]["To"] == "other.ben@hill.example"
    assert folder(changes("mail", "cc")[0][0])[0]["Cc"] == "other.eva@lake.example"
    assert folder(changes("mail", "subject")[1][0])[1]["Subject"] == "Plan 2 2"
    assert folder(changes("mail", "body")[0][0])[0].get_payload() == "One more line.\nText of 1.\n\n"
    [(lost, words)] = changes("mail", "attachment")
    assert words == "the message 'Plan 2' has no attachment"
    assert [part.get_filename() for part in folder(lost)[1].walk()] == [None, None]
    [(renumbered, _)] = changes("mail", "id")
    assert [m["Message-ID"] for m in folder(renumbered)].count("<another@mail.example>") == 1


def test_rich_text() -> None:
    words = {words: raw.decode("latin-1") for raw, words in changes("rtf", "word")}
    assert "Invoice 2048" in words["2047 is 2048"]
    assert "\\b Invoice" not in changes("rtf", "plain")[0][0].decode("latin-1")
    assert "\\i Invoice 2047\\i0" in changes("rtf", "other-mark")[0][0].decode("latin-1")
    bold = changes("rtf", "all-bold")[0][0].decode("latin-1")
    assert "\\b0" not in bold and "\\pard\\b " in bold
    first = changes("rtf", "drop-paragraph")[0][0].decode("latin-1")
    assert "Invoice" not in first and "chalk" in first
    assert "Another Editor" in changes("rtf", "generator")[0][0].decode("latin-1")


def names(tree: Mapping[str, object], above: str = "") -> set[str]:
    here = f"{above}{tree['name']}"
    children: list[dict[str, object]] = tree.get("children") or []  # type: ignore[assignment]
    slash = "/" if tree["type"] == "directory" else ""
    return {here + slash}.union(*(names(child, f"{here}/") for child in children))


ALL = {"Pictures/", "Pictures/Texts/", "Pictures/Texts/a.txt", "Pictures/sunset.png"}


@pytest.mark.parametrize(
    ("operator", "words", "gone", "there"),
    [
        ("missing", "a.txt is missing", {"Pictures/Texts/a.txt"}, set()),
        ("extra", "'New' is in Texts as well", set(), {"Pictures/Texts/New/"}),
        ("renamed", "a.txt is called a (2).txt", {"Pictures/Texts/a.txt"}, {"Pictures/Texts/a (2).txt"}),
        ("renamed", "sunset.png is called SUNSET.PNG", {"Pictures/sunset.png"}, {"Pictures/SUNSET.PNG"}),
        ("moved-up", "a.txt is one level higher", {"Pictures/Texts/a.txt"}, {"Pictures/a.txt"}),
        ("moved-down", "sunset.png is in a folder 'Other'", {"Pictures/sunset.png"},
         {"Pictures/Other/", "Pictures/Other/sunset.png"}),
        ("other-type", "sunset.png is a folder", {"Pictures/sunset.png"}, {"Pictures/sunset.png/"}),
        ("hidden", ".directory is there", set(), {"Pictures/.directory"}),
        ("order", "everything is listed in reverse order", set(), set()),
    ],
)  # fmt: skip
def test_a_folder(operator: str, words: str, gone: set[str], there: set[str]) -> None:
    found = {words: names(tree) for tree, words in changes("tree", operator)}
    assert names(TREE) == ALL
    assert found[words] == (ALL - gone) | there


def test_an_answer() -> None:
    only = About(instruction="Answer with the number only.")
    assert {text for text, _ in changes("answer", "other")} == {"54330", "54328", "543290"}
    assert changes("answer", "empty")[0][0] == ""
    assert changes("answer", "candidates")[0][0] == "54328, 54329, 54330"
    assert changes("answer", "contradicted")[0][0] == "54329. No, it is 54328."
    assert changes("answer", "unit")[0][0] == "54329 km"
    assert changes("answer", "blanks")[0][0] == " 54329\n"
    assert changes("answer", "sentence", about=About())[0][0] == "The answer is 54329."
    assert changes("answer", "sentence", about=only) == [] == changes("answer", "case", "yes", only)


def test_values() -> None:
    assert ("false\n", "it is 'false\\n', not 'true\\n'") in changes("output", "other")
    assert changes("clipboard", "newline") == [("beta 0815\n", "the end of the line is copied as well")]
    assert [value for value, _ in changes("number", "other")] == [6, 4, -5, 50]
    assert changes("number", "other", True) == [(False, "it is False")]
    named = About(named="Notes")
    assert [titles for titles, _ in changes("windows", "closed", about=named)] == [["report.txt - Editor"]]
    assert [titles for titles, _ in changes("windows", "unsaved", about=named)] == [["*Notes", "report.txt - Editor"]]


@pytest.mark.parametrize("kind", ["png", "jpeg", "pdf", "sqlite", "wav", "rtf", "archive", "mail"])
def test_what_is_none_is_not_changed_as_one(kind: str) -> None:
    with pytest.raises(Unlike):
        find_kind(kind).read(b"not at all")


def test_any_file() -> None:
    assert changes("files", "missing") == [(None, "the file is missing")]
    assert changes("files", "half") == [(b"some ", "the file ends after 5 of 10 bytes")]
    assert changes("files", "half", b"5\n") == [] == changes("files", "half", about=About(settings=True))
