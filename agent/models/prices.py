"""Known prices of tokens, in US dollars per million.

The user's own table takes precedence: `prices.toml` in deskbench's configuration folder, or the file that the
environment variable DESKBENCH_PRICES names. It has one table per model: `["my-model"]`, `input = 1.0`, `output = 2.0`,
and, if they differ, `cached` and `written`. A run's settings `price_input` and `price_output` override both.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_config_path
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import read_toml

_Dollars = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens.

    `cached` is for input that the endpoint read from its cache, `written` for input that it stored there (None: the
    same as input).
    """

    input: _Dollars
    output: _Dollars
    cached: _Dollars | None = None
    written: _Dollars | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0, written_tokens: int = 0) -> float:
        """The cost in US dollars; `cached_tokens` and `written_tokens` are part of `input_tokens`."""
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.written is None else self.written
        fresh = input_tokens - cached_tokens - written_tokens
        given = fresh * self.input + cached_tokens * cached + written_tokens * written
        return (given + output_tokens * self.output) / 1e6


PRICES: dict[str, Price] = {
    # OpenAI's price list for the chat-completions endpoint, standard tier. Prices change: set your own for a
    # number that you publish.
    "gpt-4o": Price(2.5, 10.0, 1.25),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "gpt-4.1": Price(2.0, 8.0, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "o3": Price(2.0, 8.0, 0.5),
    "computer-use-preview": Price(3.0, 12.0),
    # Anthropic's price list: reading the cache costs a tenth of input, writing to it a quarter more (5 minutes).
    "claude-opus-4-5": Price(5.0, 25.0, 0.5, 6.25),
    "claude-sonnet-4-5": Price(3.0, 15.0, 0.3, 3.75),
    "claude-sonnet-4": Price(3.0, 15.0, 0.3, 3.75),
    "claude-haiku-4-5": Price(1.0, 5.0, 0.1, 1.25),
    "claude-3-5-sonnet": Price(3.0, 15.0, 0.3, 3.75),
    # Google's price list, prompts of up to 200,000 tokens.
    "gemini-2.5-computer-use-preview-10-2025": Price(1.25, 10.0),
    # Meta's price list, standard tier.
    **dict.fromkeys(("muse-spark-1.1", "muse-spark-1.2", "muse-spark-1.3"), Price(1.25, 4.25, 0.15)),
    # Our own endpoint runs on this machine.
    "deskbench-ocr": Price(0.0, 0.0),
}

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


def price_of(model: str) -> Price | None:
    """The price of a model by its name, without a date at the end; None if it is unknown.

    Raises:
        UsageError: the user's own table cannot be read.
    """
    named = os.environ.get("DESKBENCH_PRICES")
    path = Path(named).expanduser() if named else user_config_path("deskbench") / "prices.toml"
    tables: list[Mapping[str, Price]] = [PRICES]
    if named or path.is_file():
        tables.insert(0, read_prices(path))
    undated = _DATED.sub("", model)
    return next((table[name] for table in tables for name in (model, undated) if name in table), None)


_PRICE = TypeAdapter(Price)


@functools.cache
def read_prices(path: Path) -> Mapping[str, Price]:
    """Read a user's own table.

    Raises:
        UsageError: the file cannot be read; the message is one line.
    """
    found = read_toml(path, f"the prices {path}")
    return {model: _price(path, model, value) for model, value in found.items()}


def _price(path: Path, model: str, value: Any) -> Price:
    try:
        return _PRICE.validate_python(value)
    except ValidationError:
        raise UsageError(
            f"prices: {path}: {model} needs the prices input and output, and may have cached and written, in US dollars"
        ) from None
