"""Changes of text: each matches its description, and neutral ones are the same to a reader."""

from __future__ import annotations

import pytest

from deskbench.tasks.mutation.operators import Unlike, find_kind
from tests.tasks.mutation.samples import TEXT, changes


def texts(operator: str, text: str = TEXT) -> list[tuple[str, str]]:
    return [(raw.decode(), words) for raw, words in changes("text", operator, text.encode())]


@pytest.mark.parametrize(
    ("operator", "text", "changed", "words"),
    [
        ("drop-line", "a\nb\n", "b\n", "line 1 is missing"),
        ("repeat-line", "a\nb\n", "a\na\nb\n", "line 1 occurs twice"),
        ("swap-lines", "a\nb\n", "b\na\n", "lines 1 and 2 are swapped"),
        ("join-lines", "a\nb\n", "a b\n", "lines 1 and 2 are one line"),
        ("drop-word", "go home", " home", "the word 'go' is missing"),
        ("change-word", "go home", "og home", "'go' is 'og'"),
        ("change-digit", "at 9", "at 0", "character 4 is 0, not 9"),
        ("change-case", "go Home", "GO Home", "'go' is 'GO'"),
        ("misspell", "home", "hmoe", "'home' is misspelt 'hmoe'"),
        ("plain-letters", "café", "caf?", "every character outside ASCII is a question mark"),
        ("not", "It is good.", "It is not good.", "'is' is followed by 'not'"),
        ("append-line", "a\n", "a\nAnd one more line.\n", "there is a line after the last one"),
        ("append-words", "a", "a and more", "line 1 ends with 'and more'"),
        ("candidates", "5\n", "6\n5\n7\n", "the right line is between two others"),
        ("blank-twice", "a b", "a  b", "there are two blanks at character 2"),
        ("blank-gone", "a b", "ab", "there is no blank at character 2"),
        ("blank-line", "a\nb", "a\n\nb", "there is an empty line before line 2"),
        ("final-newline", "a\n", "a", "the last line has no line end"),
        ("crlf", "a\nb", "a\r\nb", "lines end with CR and LF"),
        ("bom", "a", "\ufeffa", "the file begins with a byte order mark"),
        ("trailing-blanks", "a\nb", "a \nb", "line 1 ends with a blank"),
    ],
)
def test_the_first_copy(operator: str, text: str, changed: str, words: str) -> None:
    assert texts(operator, text)[0] == (changed, words)


def test_a_long_text_has_a_few_copies_of_each_change() -> None:
    assert len(texts("drop-line", "\n".join(f"line {n}" for n in range(500)))) == 6


def test_a_value_stays_a_value() -> None:
    assert all(isinstance(raw, str) for raw, _ in changes("text", "drop-line", "a\nb"))


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"a\0b"])
def test_what_is_no_text_is_not_changed_as_one(raw: bytes) -> None:
    with pytest.raises(Unlike):
        find_kind("text").read(raw)
