"""Words in a message that end the episode: they count only at its end, and the rest is the answer or reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deskbench.envs.types import Done, Fail

DONE_WORDS = ("[DONE]",)
FAIL_WORDS = ("[INFEASIBLE]",)


def ended(
    text: str,
    done_words: Sequence[str] = DONE_WORDS,
    fail_words: Sequence[str] = FAIL_WORDS,
    *,
    first: bool = False,
) -> Done | Fail | None:
    """The ending that a message names, with the text before it as the answer or reason; None if it names none.

    A word in quotes is only mentioned, unless it has its own line. Marks of emphasis and parentheses around it are
    ignored. With `first`, a word at the beginning of the message counts, too.
    """
    for words, kind in ((fail_words, Fail), (done_words, Done)):
        for word in words:
            said = _before(text, word)
            if said is None and first and text.lstrip("*_ \n").upper().startswith(word.upper()):
                said = text.lstrip("*_ \n")[len(word) :].lstrip("*_:., \n").strip()
            if said is not None:
                return kind(said or None)
    return None


def _before(text: str, word: str) -> str | None:
    """The text before a word at the end, or None if the text does not end with this word."""
    end = rf"{re.escape(word)}(?P=mark)[\s.!]*\Z"
    inside = rf"\([ \t]*(?P<mark>[*_]{{0,3}}){re.escape(word)}(?P=mark)[\s.!]*\)[\s.!]*\Z"
    found = re.search(inside, text, re.IGNORECASE)
    found = found or re.search(rf"(?<![`'\"])(?P<mark>[*_]{{0,3}}){end}", text, re.IGNORECASE)
    found = found or re.search(rf"(?:^|\n)[ \t]*(?P<mark>[`'\"*_]{{1,4}}){end}", text, re.IGNORECASE)
    return None if found is None else text[: found.start()].strip()
