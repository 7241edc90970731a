r"""Text: files and values. The model is a string with `\\n` as line end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Change = Iterator[tuple[str, str]]
BOM = "\ufeff"
_WORD = re.compile(r"[^\W\d_]{2,}")
_DIGIT = re.compile(r"\d")
_VERBS = re.compile(r"\b(?:is|are|was|were|do|does|did|has|have|had|can|will|must|shall|should|may)\b", re.IGNORECASE)


def decoded(raw: Raw) -> str:
    """The text in a file's bytes or in a value."""
    if isinstance(raw, str):
        return raw
    try:
        text = bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unlike(f"not UTF-8: {error}") from None
    if "\0" in text:
        raise Unlike("it holds zero bytes")
    return text


def encoded(text: str, raw: Raw) -> Raw:
    """A text in the recorded form: bytes or a string."""
    return text if isinstance(raw, str) else text.encode("utf-8", "surrogatepass")


def _key(text: str) -> list[str]:
    return [line.rstrip() for line in text.removeprefix(BOM).replace("\r\n", "\n").rstrip().split("\n")]


kind("text", "Text files and long texts", read=decoded, write=encoded, key=_key)


def _lines(text: str) -> tuple[list[str], str]:
    """The lines, and the line ends after the last one."""
    body = text.rstrip("\r\n")
    return body.split("\n"), text[len(body) :]


def _told(line: str) -> str:
    shown = line.strip()
    return repr(shown if len(shown) <= 40 else shown[:37] + "...")


def _at(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


@operator("text/drop-line", kind="text", must="fail")
def drop_line(text: str, about: About) -> Change:
    """A line is missing."""
    lines, end = _lines(text)
    for number in about.some([n for n, line in enumerate(lines) if line.strip()]):
        yield "\n".join(lines[:number] + lines[number + 1 :]) + end, f"line {number + 1} is missing"


@operator("text/repeat-line", kind="text", must="fail")
def repeat_line(text: str, about: About) -> Change:
    """A line occurs twice."""
    lines, end = _lines(text)
    for number in about.some([n for n, line in enumerate(lines) if line.strip()]):
        yield "\n".join(lines[: number + 1] + lines[number:]) + end, f"line {number + 1} occurs twice"


@operator("text/swap-lines", kind="text", must="fail")
def swap_lines(text: str, about: About) -> Change:
    """Two consecutive lines are swapped."""
    lines, end = _lines(text)
    for n in about.some(range(len(lines) - 1)):
        swapped = [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]
        yield "\n".join(swapped) + end, f"lines {n + 1} and {n + 2} are swapped"


@operator("text/join-lines", kind="text", must="fail")
def join_lines(text: str, about: About) -> Change:
    """Two lines are joined with a blank."""
    lines, end = _lines(text)
    for n in about.some(range(len(lines) - 1), 3):
        joined = [*lines[:n], f"{lines[n].rstrip()} {lines[n + 1]}", *lines[n + 2 :]]
        yield "\n".join(joined) + end, f"lines {n + 1} and {n + 2} are one line"


@operator("text/drop-word", kind="text", must="fail")
def drop_word(text: str, about: About) -> Change:
    """A word is missing."""
    for m in about.some(list(_WORD.finditer(text))):
        yield _at(text, *m.span(), ""), f"the word {_told(m[0])} is missing"


@operator("text/change-word", kind="text", must="fail")
def change_word(text: str, about: About) -> Change:
    """A word is replaced by one of the same length."""
    for m in about.some(list(_WORD.finditer(text))):
        new = m[0][::-1] if m[0][::-1] != m[0] else m[0][:-1] + ("x" if m[0][-1] != "x" else "y")
        yield _at(text, *m.span(), new), f"{_told(m[0])} is {_told(new)}"


@operator("text/change-digit", kind="text", must="fail")
def change_digit(text: str, about: About) -> Change:
    """A digit is one higher."""
    for m in about.some(list(_DIGIT.finditer(text))):
        new = str((int(m[0]) + 1) % 10)
        yield _at(text, *m.span(), new), f"character {m.start() + 1} is {new}, not {m[0]}"


@operator("text/change-case", kind="text", must="fail")
def change_case(text: str, about: About) -> Change:
    """A word's letters have the opposite case."""
    for m in about.some([m for m in _WORD.finditer(text) if m[0].swapcase() != m[0]]):
        yield _at(text, *m.span(), m[0].swapcase()), f"{_told(m[0])} is {_told(m[0].swapcase())}"


@operator("text/misspell", kind="text", must="fail")
def misspell(text: str, about: About) -> Change:
    """Two letters of a word are swapped."""
    words = [m for m in _WORD.finditer(text) if len(m[0]) > 2 and m[0][1] != m[0][2]]
    for m in about.some(words, 3):
        new = m[0][0] + m[0][2] + m[0][1] + m[0][3:]
        yield _at(text, *m.span(), new), f"{_told(m[0])} is misspelt {_told(new)}"


@operator("text/plain-letters", kind="text", must="fail")
def plain_letters(text: str, about: About) -> Change:
    """Non-ASCII characters are question marks, as after saving in a wrong encoding."""
    yield text.encode("ascii", "replace").decode(), "every character outside ASCII is a question mark"


@operator("text/not", kind="text", must="fail")
def insert_not(text: str, about: About) -> Change:
    """A sentence is negated."""
    for m in about.some(list(_VERBS.finditer(text)), 2):
        yield _at(text, m.end(), m.end(), " not"), f"{_told(m[0])} is followed by 'not'"


@operator("text/append-line", kind="text", must="fail")
def append_line(text: str, about: About) -> Change:
    """There is an extra line at the end."""
    lines, end = _lines(text)
    yield "\n".join([*lines, "And one more line."]) + end, "there is a line after the last one"


@operator("text/prepend-line", kind="text", must="fail")
def prepend_line(text: str, about: About) -> Change:
    """There is an extra line at the start."""
    yield "One more line.\n" + text, "there is a line before the first one"


@operator("text/append-words", kind="text", must="fail")
def append_words(text: str, about: About) -> Change:
    """There are extra words at the end of a line."""
    lines, end = _lines(text)
    for n in about.some([n for n, line in enumerate(lines) if line.strip()], 3):
        longer = [*lines[:n], lines[n].rstrip() + " and more", *lines[n + 1 :]]
        yield "\n".join(longer) + end, f"line {n + 1} ends with 'and more'"


@operator("text/candidates", kind="text", must="fail")
def candidates(text: str, about: About) -> Change:
    """Several answers are listed, including the right one."""
    lines, end = _lines(text)
    if len(lines) == 1 and lines[0].strip():
        line = lines[0].strip()
        others = (_neighbour(line), line, _neighbour(_neighbour(line)))
        yield "\n".join(others) + end, "the right line is between two others"


def _neighbour(text: str) -> str:
    number = re.search(r"\d+", text)
    return _at(text, *number.span(), str(int(number[0]) + 1)) if number else text + "s"


@operator("text/blank-twice", kind="text", must="fail")
def blank_twice(text: str, about: About) -> Change:
    """There are two blanks between two words."""
    for m in about.some(list(re.finditer(r"(?<=\S) (?=\S)", text)), 2):
        yield _at(text, *m.span(), "  "), f"there are two blanks at character {m.start() + 1}"


@operator("text/blank-gone", kind="text", must="fail")
def blank_gone(text: str, about: About) -> Change:
    """The blank between two words is missing."""
    for m in about.some(list(re.finditer(r"(?<=\S) (?=\S)", text)), 2):
        yield _at(text, *m.span(), ""), f"there is no blank at character {m.start() + 1}"


@operator("text/blank-line", kind="text", must="fail")
def blank_line(text: str, about: About) -> Change:
    """There is an empty line between two lines."""
    lines, end = _lines(text)
    for n in about.some(range(1, len(lines)), 2):
        yield "\n".join([*lines[:n], "", *lines[n:]]) + end, f"there is an empty line before line {n + 1}"


@operator("text/final-newline", kind="text", must="stay")
def final_newline(text: str, about: About) -> Change:
    """The final line end is missing, or is added."""
    if text.endswith("\n"):
        yield text[:-1].removesuffix("\r"), "the last line has no line end"
    else:
        yield text + "\n", "the last line has a line end"


@operator("text/crlf", kind="text", must="stay")
def crlf(text: str, about: About) -> Change:
    """Lines end as on the other operating system."""
    if "\r\n" in text:
        yield text.replace("\r\n", "\n"), "lines end with LF"
    else:
        yield text.replace("\n", "\r\n"), "lines end with CR and LF"


@operator("text/bom", kind="text", must="stay")
def bom(text: str, about: About) -> Change:
    """There is a byte order mark at the start."""
    if not text.startswith(BOM):
        yield BOM + text, "the file begins with a byte order mark"


@operator("text/trailing-blanks", kind="text", must="stay")
def trailing_blanks(text: str, about: About) -> Change:
    """There is an invisible blank at the end of a line."""
    lines, end = _lines(text)
    for n in about.some([n for n, line in enumerate(lines) if line.strip()], 2):
        longer = [*lines[:n], lines[n].rstrip("\r") + " " + "\r" * lines[n].endswith("\r"), *lines[n + 1 :]]
        yield "\n".join(longer) + end, f"line {n + 1} ends with a blank"
