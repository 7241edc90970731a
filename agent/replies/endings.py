"""Words with which a model ends the episode in a message: they count at its end only, and the rest is what it says."""

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
    """What a message ends with, with what it says before that as the answer or the reason; None where it ends nothing.

    A word in quotes is talked about, not said, unless it has a line of its own. Marks of emphasis around it are let go.
    With `first`, a word at the message's beginning counts as well.
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
    """What stands before a word at the end of a text, or None where it does not end so."""
    end = rf"{re.escape(word)}(?P=mark)[\s.!]*\Z"
    found = re.search(rf"(?<![`'\"])(?P<mark>[*_]{{0,3}}){end}", text, re.IGNORECASE)
    found = found or re.search(rf"(?:^|\n)[ \t]*(?P<mark>[`'\"*_]{{1,4}}){end}", text, re.IGNORECASE)
    return None if found is None else text[: found.start()].strip()
