"""Text and lists of text, from values, files and commands. Names and rules of the shared ones are OSWorld's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.tasks.registry import metric


def text_of(value: object) -> str:
    """A value's text: a file's content (UTF-8, what is not is replaced), or the value as it prints."""
    return value.read_text(encoding="utf-8", errors="replace") if isinstance(value, Path) else str(value)


@metric("exact_match")
def exact_match(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the result is `expected`."""
    return float(result == rules["expected"])


@metric("text_equals")
def text_equals(
    result: Any,
    rules: Mapping[str, Any],
    *,
    ignore_case: bool = False,
    ignore_blanks: bool = False,
    strip: bool = True,
) -> float:
    """1 when the text of a value or file is `expected`, line ends of DOS and outer blanks apart."""
    found, wanted = text_of(result), str(rules["expected"])

    def plain(text: str) -> str:
        text = text.replace("\r\n", "\n")
        text = text.strip() if strip else text
        text = re.sub(r"\s+", " ", text) if ignore_blanks else text
        return text.casefold() if ignore_case else text

    return float(plain(found) == plain(wanted))


@metric("check_include_exclude")
def check_include_exclude(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when every string of `include` and none of `exclude` is in the text."""
    text = text_of(result)
    return float(
        all(s in text for s in rules.get("include", [])) and not any(s in text for s in rules.get("exclude", []))
    )


@metric("is_in_list")
def is_in_list(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when `expected` is one of the result's items."""
    return float(rules["expected"] in result)


@metric("match_in_list")
def match_in_list(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the result is one of `expected`."""
    return float(result in rules["expected"])


@metric("fuzzy_match")
def fuzzy_match(result: Any, rules: Mapping[str, Any]) -> float:
    """How alike the result and `expected` are, 0 to 1 (Ratcliff and Obershelp)."""
    return difflib.SequenceMatcher(None, text_of(result), str(rules["expected"]), autojunk=False).ratio()


@metric("literal_match")
def literal_match(result: Any, expected: Any, *, type: str = "str", ignore_case: bool = False) -> float:
    """1 when both are equal, as text (`str`) or item by item (`list`)."""
    wanted = expected["expected"] if isinstance(expected, Mapping) else expected
    if type == "list":
        return float(_folded(result, ignore_case) == _folded(wanted, ignore_case))
    found, text = text_of(result), text_of(wanted)
    return float(found.lower() == text.lower() if ignore_case else found == text)


def _folded(values: Sequence[Any], ignore_case: bool) -> list[str]:
    return [str(v).lower() if ignore_case else str(v) for v in values]


@metric("compare_text_file")
def compare_text_file(result: Path, expected: Path, *, ignore_blanks: bool = False, ignore_case: bool = False) -> float:
    """1 when two text files are equal."""
    return text_equals(
        result, {"expected": text_of(expected)}, ignore_case=ignore_case, ignore_blanks=ignore_blanks, strip=False
    )


@metric("diff_text_file")
def diff_text_file(result: Path, expected: Path) -> float:
    """How alike two text files are line by line, 0 to 1."""
    lines = [text_of(file).splitlines() for file in (result, expected)]
    return difflib.SequenceMatcher(None, lines[0], lines[1], autojunk=False).ratio()


@metric("file_contains")
def file_contains(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when the file holds every string of `expected`."""
    text = text_of(result)
    return float(all(s in text for s in rules["expected"]))


@metric("check_line_number")
def check_line_number(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when the file has `expected` lines that are not blank."""
    count = sum(bool(line.strip()) for line in text_of(result).splitlines())
    return float(count == int(rules["expected"]))


@metric("check_list")
def check_list(result: Path, rules: Mapping[str, Any]) -> float:
    """1 when each regular expression of `expect` matches a line and none of `unexpect` matches any."""
    lines = text_of(result).splitlines()
    wanted = all(any(re.search(p, line) for line in lines) for p in rules.get("expect", []))
    unwanted = any(re.search(p, line) for line in lines for p in rules.get("unexpect", []))
    return float(wanted and not unwanted)


@metric("text_matches")
def text_matches(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the regular expression `pattern` matches the whole text (outer blanks apart)."""
    return float(re.fullmatch(rules["pattern"], text_of(result).strip(), re.DOTALL) is not None)


@metric("number_equals")
def number_equals(result: Any, rules: Mapping[str, Any]) -> float:
    """1 when the text is a number within `tolerance` (default 1e-9) of `expected`; thousands may have commas."""
    try:
        found = float(re.sub(r"(?<=\d),(?=\d)", "", text_of(result).strip()))
    except ValueError:
        return 0.0
    return float(abs(found - float(rules["expected"])) <= float(rules.get("tolerance", 1e-9)))


@metric("is_utc_0")
def is_utc_0(result: str) -> float:
    """1 when `timedatectl` says that the time zone is UTC."""
    zone = next((line for line in text_of(result).splitlines() if "Time zone" in line), "")
    return float("+0000" in zone)
