"""Values: the agent's answer, the clipboard, a command's output, numbers and window titles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deskbench.tasks.mutation.kinds.settings import neighbours
from deskbench.tasks.mutation.operators import About, kind, operator

Texts = Iterator[tuple[str, str]]


def _plain(raw: Any) -> Any:
    return raw


def _as_is(model: Any, raw: Any) -> Any:
    return model


kind("answer", "The agent's answer", read=_plain, write=_as_is)
kind("clipboard", "The clipboard", read=_plain, write=_as_is)
kind("output", "A line that a command or a program says", read=_plain, write=_as_is, key=lambda model: model.strip())
kind("number", "Numbers and truths", read=_plain, write=_as_is)


def changed(text: str) -> list[str]:
    """Similar texts: a different number or word, one letter less, the opposite case."""
    found = []
    for m in list(re.finditer(r"\d+", text))[:2]:
        for value in {str(int(m[0]) + 1), str(abs(int(m[0]) - 1)), m[0] + "0"}:
            found.append(text[: m.start()] + value + text[m.end() :])
    words = list(re.finditer(r"[^\W\d_]+", text))
    if words:
        found += [other + text[len(text.strip()) :] for other in neighbours(text.strip())]
        found.append(text.replace(words[0][0], words[0][0].swapcase(), 1))
        found.append(text.replace(words[-1][0], words[-1][0][::-1], 1))
    return sorted({value for value in found if value.strip() != text.strip()})


def other(text: str, about: About) -> Texts:
    """The value is different: the next number, a different word, one letter less, the opposite case."""
    for value in about.some(changed(text), 8):
        yield value, f"it is {_shown(value)}, not {_shown(text)}"


def empty(text: str, about: About) -> Texts:
    """The value is empty."""
    yield "", "it is empty"


def more(text: str, about: About) -> Texts:
    """There is something before or after the right value."""
    body, end = text.rstrip(), text[len(text.rstrip()) :]
    yield f"not {body}{end}", f"'not' comes before {_shown(body)}"
    yield f"{body} and more{end}", f"'and more' comes after {_shown(body)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


for _kind in ("answer", "clipboard", "output"):
    operator(f"{_kind}/other", kind=_kind, must="fail")(other)
    operator(f"{_kind}/empty", kind=_kind, must="fail")(empty)
    operator(f"{_kind}/more", kind=_kind, must="fail")(more)


def candidates(text: str, about: About) -> Texts:
    """Several values are listed, including the right one."""
    body = text.strip()
    near = changed(body)
    if near:
        yield f"{near[0]}, {body}, {near[-1]}", f"{_shown(body)} is between two others"
        yield f"{body}\n{near[0]}", f"{_shown(near[0])} is on a second line"


operator("answer/candidates", kind="answer", must="fail")(candidates)
operator("clipboard/candidates", kind="clipboard", must="fail")(candidates)


@operator("clipboard/newline", kind="clipboard", must="fail")
def newline(text: str, about: About) -> Texts:
    """The line end is copied as well."""
    yield text + "\n", "the end of the line is copied as well"


@operator("answer/contradicted", kind="answer", must="fail")
def contradicted(text: str, about: About) -> Texts:
    """A second answer takes back the first one."""
    for value in changed(text)[:1]:
        yield f"{text.strip()}. No, it is {value.strip()}.", f"it is taken back: {_shown(value)}"


@operator("answer/unit", kind="answer", must="fail")
def unit(text: str, about: About) -> Texts:
    """A number has a unit that nobody asked for."""
    if re.fullmatch(r"[\d.,]+", text.strip()):
        yield f"{text.strip()} km", "the number has a unit"


@operator("answer/blanks", kind="answer", must="stay")
def blanks(text: str, about: About) -> Texts:
    """There are blanks or a line end around the answer."""
    yield f" {text}\n", "there is a blank before it and a line end after it"


@operator("answer/case", kind="answer", must="stay")
def case(text: str, about: About) -> Texts:
    """The letters have the opposite case, unless the instruction demands the exact answer."""
    if not about.exact and text.upper() != text:
        yield text.upper(), "it is written in capitals"


@operator("answer/sentence", kind="answer", must="stay")
def sentence(text: str, about: About) -> Texts:
    """The answer is in a sentence, unless the instruction demands it alone."""
    if not about.exact:
        yield f"The answer is {text.strip()}.", "it is in a sentence"


@operator("number/other", kind="number", must="fail")
def other_number(value: Any, about: About) -> Iterator[tuple[Any, str]]:
    """The number is one more, one less, or negative, or a boolean is the opposite."""
    if isinstance(value, bool):
        yield not value, f"it is {not value}"
        return
    for new in dict.fromkeys((value + 1, value - 1, -value, value * 10)):
        if new != value:
            yield new, f"it is {new}, not {value}"


# -- lists of titles

kind("windows", "Titles of windows", read=_plain, write=_as_is)


def _titled(titles: Any) -> list[str]:
    return [str(title) for title in titles]


@operator("windows/closed", kind="windows", must="fail")
def closed(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """A window that the check names is closed."""
    for n in about.some([n for n, title in enumerate(_titled(titles)) if title and title in about.named]):
        yield titles[:n] + titles[n + 1 :], f"the window {titles[n]!r} is closed"


@operator("windows/unsaved", kind="windows", must="fail")
def unsaved(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """A window that the check names shows unsaved changes."""
    for n in about.some([n for n, title in enumerate(_titled(titles)) if title and title in about.named]):
        yield [*titles[:n], f"*{titles[n]}", *titles[n + 1 :]], f"the title of {titles[n]!r} begins with a star"


@operator("windows/order", kind="windows", must="stay")
def window_order(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """Other windows are in front."""
    if len(titles) > 1:
        yield [*titles[1:], titles[0]], "another window is in front"
