"""Metrics for text and lists of text from values, files and commands. Shared ones have OSWorld's names and rules."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import likeness
from deskbench.tasks.metrics.support.told import Told
from deskbench.tasks.registry import Regex, closed, metric


@closed
class Expected(TypedDict):
    """The expected value."""

    expected: Any


@closed
class Texts(TypedDict):
    """Texts that must all occur."""

    expected: list[str]


@closed
class IncludeExclude(TypedDict):
    """Strings that must occur, and strings that must not."""

    include: NotRequired[list[str]]
    exclude: NotRequired[list[str]]


@closed
class Patterns(TypedDict):
    """Regular expressions that some line must match, and those that no line may match."""

    expect: NotRequired[list[Regex]]
    unexpect: NotRequired[list[Regex]]


@closed
class Contain(TypedDict):
    """A text that must, or must not, occur."""

    type: Literal["contain", "not_contain"]
    expected: str


BOM = "\ufeff"
"""A byte order mark: editors put it at the start of a file, and it is invisible."""


def text_of(value: object) -> str:
    """A value's text: a file's content (UTF-8, invalid bytes replaced), or `str` of the value."""
    return value.read_text(encoding="utf-8", errors="replace") if isinstance(value, Path) else str(value)


@metric("exact_match", "compare_answer", linear=True)
def exact_match(result: Any, rules: Expected) -> float:
    """1 when the result equals `expected`."""
    return float(result == rules["expected"])


@metric("text_equals", linear=True)
def text_equals(
    result: Any,
    rules: Expected,
    *,
    ignore_case: bool = False,
    ignore_blanks: bool = False,
    strip: bool = True,
) -> float:
    """1 when the text of a value or file is `expected`.

    It ignores a byte order mark and DOS line ends; with `strip` also blanks around the text and at the ends of lines.
    """
    found, wanted = text_of(result), str(rules["expected"])

    def plain(text: str) -> str:
        text = text.removeprefix(BOM).replace("\r\n", "\n")
        text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip() if strip else text
        text = re.sub(r"\s+", " ", text) if ignore_blanks else text
        return text.casefold() if ignore_case else text

    return float(plain(found) == plain(wanted))


@metric("check_include_exclude", linear=True)
def check_include_exclude(result: Any, rules: IncludeExclude) -> float:
    """1 when the text contains every string of `include` and none of `exclude`."""
    text = text_of(result)
    return float(
        all(s in text for s in rules.get("include", [])) and not any(s in text for s in rules.get("exclude", []))
    )


@metric("is_in_list", linear=True)
def is_in_list(result: Any, rules: Expected) -> float:
    """1 when `expected` is one of the result's items."""
    return float(isinstance(result, (str, list, dict)) and rules["expected"] in result)


@metric("match_in_list", linear=True)
def match_in_list(result: Any, rules: Expected) -> float:
    """1 when the result is one of `expected`."""
    return float(result in rules["expected"])


@metric("fuzzy_match")
def fuzzy_match(result: Any, rules: Expected) -> float:
    """The similarity of the result and `expected`, 0 to 1."""
    return likeness(text_of(result), str(rules["expected"]))


@metric("literal_match", linear=True)
def literal_match(
    result: Any, expected: Any, *, type: Literal["str", "list"] = "str", ignore_case: bool = False
) -> float:
    """1 when both are equal, as text (`str`) or item by item (`list`)."""
    wanted = expected["expected"] if isinstance(expected, Mapping) and "expected" in expected else expected
    if type == "list":
        lists = isinstance(result, (list, tuple)) and isinstance(wanted, (list, tuple))
        return float(lists and _folded(result, ignore_case) == _folded(wanted, ignore_case))
    found, text = text_of(result), text_of(wanted)
    return float(found.lower() == text.lower() if ignore_case else found == text)


def _folded(values: Sequence[Any], ignore_case: bool) -> list[str]:
    return [str(v).lower() if ignore_case else str(v) for v in values]


@metric("compare_text_file")
def compare_text_file(result: Path, expected: Path, *, ignore_blanks: bool = False, ignore_case: bool = False) -> float:
    """1 when two text files are equal."""

    def plain(file: Path) -> str:
        text = text_of(file)
        text = re.sub(r"\s+", " ", text.strip()) if ignore_blanks else text
        return text.lower() if ignore_case else text

    return float(plain(result) == plain(expected))


@metric("compare_terminal_and_txt")
def compare_terminal_and_txt(result: Path, terminal: str | None) -> float:
    """1 when a text file equals the terminal's text; 0 when the terminal is empty."""
    return float(bool(terminal) and text_of(result) == terminal)


@metric("compare_result_files")
def compare_result_files(result: Path, expected: Path) -> float:
    """1 when two texts are equal; an expected number may be among words, or differ by less than 1e-4."""
    found, wanted = text_of(result).strip(), text_of(expected).strip()
    number = _number(wanted)
    if number is None:
        return float(found == wanted)
    alone = re.escape(wanted) if as_upstream("number-inside") else rf"(?<![\d.]){re.escape(wanted)}(?!\.?\d)"
    other = _number(found)
    return float(re.search(alone, found) is not None or (other is not None and abs(other - number) < 1e-4))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@metric("compare_python_pure_text")
def compare_python_pure_text(result: Path, expected: Path) -> float:
    """1 when two Python files have the same lines, except blank lines, trailing blanks and a first metadata line."""
    return float(_python_lines(text_of(result)) == _python_lines(text_of(expected)))


def _python_lines(text: str) -> list[str]:
    lines = text.splitlines()
    # A shebang and an encoding are not code. OSWorld looks for them in the first three lines.
    start = 0
    while start < min(3, len(lines)) and re.match(r"\s*(#!|# -\*- coding:|# coding[:=])", lines[start]):
        start += 1
    return [line.expandtabs(4).rstrip() for line in lines[start:] if line.strip()]


@metric("diff_text_file")
def diff_text_file(result: Path, expected: Path) -> float:
    """The similarity of two text files, line by line, 0 to 1."""
    return lines_alike(text_of(result), text_of(expected))


def lines_alike(one: str, other: str) -> float:
    """The similarity of two texts by lines, after Ratcliff and Obershelp."""
    junk = as_upstream("autojunk")
    return difflib.SequenceMatcher(None, one.splitlines(), other.splitlines(), autojunk=junk).ratio()


@metric("file_contains")
def file_contains(result: Path, rules: Texts) -> float:
    """1 when the file contains every string of `expected`."""
    text = text_of(result)
    return float(all(s in text for s in rules["expected"]))


_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)")


@metric("check_line_number")
def check_line_number(result: Path, rules: Expected) -> float:
    """1 when exactly `expected` lines of the file contain a time (HH:MM:SS), as the lines of a log do."""
    count = sum(_TIME.search(line) is not None for line in io.StringIO(text_of(result)))
    return float(count == int(rules["expected"]))


@metric("check_list")
def check_list(result: Path, rules: Patterns) -> float:
    """1 when each regular expression of `expect` matches a line and none of `unexpect` matches any."""
    lines = list(io.StringIO(text_of(result)))
    wanted = all(any(re.search(p, line) for line in lines) for p in rules.get("expect", []))
    unwanted = any(re.search(p, line) for line in lines for p in rules.get("unexpect", []))
    return float(wanted and not unwanted)


@metric("is_extension_installed", linear=True)
def is_extension_installed(result: Any, rules: Contain) -> float:
    """1 when a command's output contains `expected` (`contain`), or does not (`not_contain`)."""
    return float((rules["expected"] in text_of(result)) == (rules["type"] == "contain"))


@metric("is_in_vm_clickboard", linear=True)
def is_in_vm_clickboard(result: Expected, terminal: str | None) -> float:
    """1 when the terminal's output contains `expected`, or each of a list."""
    wanted = result["expected"]
    texts = wanted if isinstance(wanted, list) else [wanted]
    return float(terminal is not None and all(text in terminal for text in texts))


@closed
class Places(TypedDict):
    """Every right answer, and how many the task requires."""

    expected: list[str]
    count: NotRequired[int]


@metric("fuzzy_place_math")
def fuzzy_place_math(result: Path, rules: Places) -> float:
    """The mean similarity of a document's places to known ones; 0 when it does not name `count` places.

    `rules` has `expected`, every right answer, and optionally `count`: 5 by default, as OSWorld's task requires.
    """
    from deskbench.tasks.metrics.office.documents import docx_paragraphs

    paragraphs = docx_paragraphs(result)
    if as_upstream("five-places"):
        places, count = [word for text in paragraphs for word in text.split()], 3
    else:
        places, count = ["".join(text.split()) for text in paragraphs if text.strip()], int(rules.get("count", 5))
    if len(places) != count:
        return Told(0.0, f"names {len(places)} places; the task requires {count}")
    return sum(max(likeness(place, known) for known in rules["expected"]) for place in places) / count


@metric("compare_time_in_speedtest_results")
def compare_time_in_speedtest_results(result: Path, minutes: str | int | None) -> float:
    """1 when the first record of a speed test's CSV is recent enough (minutes, by this machine's clock)."""
    lines = text_of(result).splitlines()
    time = (
        re.search(r"([01]\d|2[0-3]):([0-5]\d)$", lines[1].split(",")[1]) if len(lines) > 1 and "," in lines[1] else None
    )
    if minutes is None:
        raise CheckError("time_diff_range gives no minutes")
    if time is None:
        return 0.0
    now = datetime.now()
    apart = abs(int(time[1]) * 60 + int(time[2]) - now.hour * 60 - now.minute)
    # The file has hours and minutes only: 23:59 and 00:01 are two minutes apart.
    apart = apart if as_upstream("midnight") else min(apart, 24 * 60 - apart)
    return float(apart < int(minutes))


@closed
class Pattern(TypedDict):
    """A regular expression that the whole text must match."""

    pattern: Regex


@metric("text_matches")
def text_matches(result: Any, rules: Pattern) -> float:
    """1 when the regular expression `pattern` matches the whole text, ignoring outer blanks."""
    return float(re.fullmatch(rules["pattern"], text_of(result).strip(), re.DOTALL) is not None)


@closed
class Number(TypedDict):
    """A number and its tolerance."""

    expected: float
    tolerance: NotRequired[float]


@metric("number_equals", linear=True)
def number_equals(result: Any, rules: Number) -> float:
    """1 when the text is a number within `tolerance` (default 1e-9) of `expected`; it may have commas for thousands."""
    try:
        found = float(re.sub(r"(?<=\d),(?=\d)", "", text_of(result).removeprefix(BOM).strip()))
    except ValueError:
        return 0.0
    return float(abs(found - float(rules["expected"])) <= float(rules.get("tolerance", 1e-9)))
