"""Cut texts to a token budget: counted with the model's own tokenizer if its file is available, else estimated."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.agent.models.messages import text_tokens
from deskbench.envs.errors import UsageError

Count = Callable[[str], int]

# The pattern that splits words before pairs are merged; from tiktoken_ext.openai_public, for o200k and its variants.
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Budget:
    """The limit of a text.

    Attributes:
        tokens: most tokens.
        count: counts the tokens of a text.
        counter: how it counts, for the record: `estimate` (four characters per token) or the tokenizer's file.
    """

    tokens: int
    count: Count = text_tokens
    counter: str = "estimate"


@dataclass(frozen=True)
class Fitted:
    """A text within its budget.

    Attributes:
        text: the text; if lines were left out, its last line says how many.
        kept, left_out: numbers of lines.
        tokens: number of tokens of the text.
        counter: how the tokens were counted.
    """

    text: str
    kept: int
    left_out: int
    tokens: int
    counter: str

    @property
    def note(self) -> dict[str, Any] | None:
        """The note to record if lines were left out, else None."""
        if not self.left_out:
            return None
        counted = {"tokens": self.tokens, "counter": self.counter}
        return {"what": "text_budget", "kept": self.kept, "left_out": self.left_out, **counted}


def fit_lines(header: str, lines: Sequence[str], budget: Budget) -> Fitted:
    """A header and as many whole lines as fit the budget, including a last line that says how many were left out.

    The header is kept even if it is too long by itself.
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
    """A budget whose tokens are counted with a tokenizer's file.

    Args:
        tokens: most tokens.
        tokenizer: path of a `tokenizer.json` (which models on the hub include) or a `.tiktoken` file; None estimates.

    Raises:
        UsageError: the file cannot be read, or the extra `agents` is not installed.
    """
    if tokenizer is None:
        return Budget(tokens)
    path = Path(tokenizer).expanduser()
    if not path.is_file():
        raise UsageError(f"tokenizer: file not found: {path}")
    try:
        count = _tiktoken(path) if path.suffix == ".tiktoken" else _tokenizers(path)
    except ImportError as error:
        raise UsageError(f"tokenizer: {error.name} is not installed: pip install 'deskbench[agents]'") from None
    return Budget(tokens, count, path.name)


def _tokenizers(path: Path) -> Count:
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  (the library raises nothing more specific)
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
