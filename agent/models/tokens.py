"""Texts cut to a budget of tokens: counted by the model's own tokenizer where its file is at hand, else estimated."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.models.messages import text_tokens
from deskbench.envs.errors import UsageError

Count = Callable[[str], int]

# The pattern that splits words before pairs are merged, as tiktoken_ext.openai_public has it for o200k and its kin.
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Budget:
    """How long a text may be.

    Attributes:
        tokens: at most.
        count: of a text.
        counter: how it counts, for the record: `estimate` (four characters a token) or the tokenizer's file.
    """

    tokens: int
    count: Count = text_tokens
    counter: str = "estimate"


@dataclass(frozen=True)
class Fitted:
    """A text within its budget.

    Attributes:
        text: with a last line that says how much was left out, where anything was.
        kept, left_out: lines.
        tokens: of the text.
        counter: how they were counted.
    """

    text: str
    kept: int
    left_out: int
    tokens: int
    counter: str

    @property
    def note(self) -> dict[str, Any] | None:
        """What belongs on the record when lines were left out, else None."""
        if not self.left_out:
            return None
        counted = {"tokens": self.tokens, "counter": self.counter}
        return {"what": "text_budget", "kept": self.kept, "left_out": self.left_out, **counted}


def fit_lines(header: str, lines: Sequence[str], budget: Budget) -> Fitted:
    """A header and as many whole lines as the budget allows; says how many were left out, within the budget.

    A header that is too long by itself stands all the same.
    """
    whole = "\n".join([header, *lines])
    tokens = budget.count(whole)
    if tokens <= budget.tokens:
        return Fitted(whole, len(lines), 0, tokens, budget.counter)
    few, many = 0, len(lines) - 1  # the most lines that fit lie between these
    while few < many:
        middle = (few + many + 1) // 2
        if budget.count(_cut(header, lines, middle)) <= budget.tokens:
            few = middle
        else:
            many = middle - 1
    text = _cut(header, lines, few)
    return Fitted(text, few, len(lines) - few, budget.count(text), budget.counter)


def _cut(header: str, lines: Sequence[str], kept: int) -> str:
    return "\n".join([header, *lines[:kept], f"[... {len(lines) - kept} more left out]"])


def budget_of(tokens: int, tokenizer: str | None) -> Budget:
    """A budget counted by a tokenizer's file.

    Args:
        tokens: at most.
        tokenizer: path of a `tokenizer.json` (as models on the hub have it) or of a `.tiktoken` file; None estimates.

    Raises:
        UsageError: it cannot be read, or the extra `agents` is not installed.
    """
    if tokenizer is None:
        return Budget(tokens)
    path = Path(tokenizer).expanduser()
    if not path.is_file():
        raise UsageError(f"tokenizer: there is no file {path}")
    try:
        count = _tiktoken(path) if path.suffix == ".tiktoken" else _tokenizers(path)
    except ImportError as error:
        raise UsageError(f"tokenizer: {error.name} is not installed: pip install 'deskbench[agents]'") from None
    return Budget(tokens, count, path.name)


def _tokenizers(path: Path) -> Count:
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  (the library raises nothing more precise)
        raise UsageError(f"tokenizer: {path} is not a tokenizer.json: {error}") from None
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


def _tiktoken(path: Path) -> Count:
    import tiktoken

    try:
        pairs = [line.split() for line in path.read_bytes().splitlines() if line]
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
        found = tiktoken.Encoding(path.stem, pat_str=_O200K, mergeable_ranks=ranks, special_tokens={})
    except ValueError as error:
        raise UsageError(f"tokenizer: {path} is not a .tiktoken file: {error}") from None
    return lambda text: len(found.encode_ordinary(text))
