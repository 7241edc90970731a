"""RTF documents. The model is the source, which is ASCII."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Change = Iterator[tuple[str, str]]
_VISIBLE = re.compile(r"(?<![\\A-Za-z0-9*-])[A-Za-z]{3,}|(?<![\\A-Za-z0-9-])\d{2,}")
_GENERATOR = re.compile(r"\{\\\*\\generator [^{}]*\}")


def _read(raw: Raw) -> str:
    source = raw if isinstance(raw, str) else bytes(raw).decode("latin-1")
    if not source.startswith("{\\rtf"):
        raise Unlike("it does not start like RTF")
    return source


def _write(model: str, raw: Raw) -> Raw:
    return model if isinstance(raw, str) else model.encode("latin-1", "replace")


kind("rtf", "RTF documents", read=_read, write=_write, key=lambda model: model.splitlines())


def _body(source: str) -> int:
    """Where the text begins: after the tables of fonts and colours."""
    found = re.search(r"\\pard", source)
    return found.start() if found else 0


def _words(source: str) -> list[re.Match[str]]:
    return list(_VISIBLE.finditer(source, _body(source)))


@operator("rtf/word", kind="rtf", must="fail")
def word(source: str, about: About) -> Change:
    """A word or number is replaced."""
    for m in about.some(_words(source)):
        new = str(int(m[0]) + 1) if m[0].isdigit() else m[0][::-1] if m[0][::-1] != m[0] else m[0] + "x"
        yield source[: m.start()] + new + source[m.end() :], f"{m[0]} is {new}"


@operator("rtf/drop-paragraph", kind="rtf", must="fail")
def drop_paragraph(source: str, about: About) -> Change:
    """A paragraph is missing; marks that end in it stay."""
    parts = re.split(r"(?<=\\par)\b", source[_body(source) :])
    for number in about.some([n for n, part in enumerate(parts[:-1]) if _VISIBLE.search(part)]):
        marks = "".join(re.findall(r"\\(?:b|i|ul)(?:0|none)?(?![A-Za-z])", parts[number]))
        kept = [*parts[:number], f"{marks} " if marks else "", *parts[number + 1 :]]
        yield source[: _body(source)] + "".join(kept), f"paragraph {number + 1} is missing"


@operator("rtf/plain", kind="rtf", must="fail")
def plain(source: str, about: About) -> Change:
    """Nothing is bold, italic or underlined."""
    for mark, words in (("b", "bold"), ("i", "in italics"), ("ul", "underlined")):
        changed = re.sub(rf"\\{mark}(?:0|1|none)?(?![A-Za-z0-9]) ?", "", source)
        yield changed, f"nothing is {words}"


@operator("rtf/all-bold", kind="rtf", must="fail")
def all_bold(source: str, about: About) -> Change:
    """The whole text is bold."""
    start = _body(source)
    rest = re.sub(r"\\b(?:0|1)?(?![A-Za-z0-9]) ?", "", source[start:])
    rest = re.sub(r"\\pard", r"\\pard\\b ", rest, count=1)
    yield source[:start] + rest, "all of it is bold"


@operator("rtf/other-mark", kind="rtf", must="fail")
def other_mark(source: str, about: About) -> Change:
    """Bold text is italic instead."""
    changed = re.sub(r"\\b(0|1)?(?![A-Za-z0-9])", lambda m: f"\\i{m[1] or ''}", source)
    yield changed, "bold text is italic"


@operator("rtf/generator", kind="rtf", must="stay")
def generator(source: str, about: About) -> Change:
    """A different program wrote the file."""
    if _GENERATOR.search(source):
        yield _GENERATOR.sub(r"{\\*\\generator Another Editor 2;}", source), "another program wrote it"
    else:
        yield re.sub(r"\\pard", r"{\\*\\generator Another;}\\pard", source, count=1), "it names the program"
