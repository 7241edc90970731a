"""What tokens cost, in US dollars per million, where it is known; a run's settings override it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens.

    `cached` is for input that the endpoint had in its cache, `written` for input that it put there (None: as input).
    """

    input: float
    output: float
    cached: float | None = None
    written: float | None = None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0, written_tokens: int = 0) -> float:
        """US dollars for so many tokens; `cached_tokens` and `written_tokens` are a part of `input_tokens`."""
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
    # Our own endpoint runs on the machine at hand.
    "deskbench-ocr": Price(0.0, 0.0),
}

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def price_of(model: str) -> Price | None:
    """The price of a model by its name, a date at the end left off; None where it is unknown."""
    return PRICES.get(model) or PRICES.get(_DATED.sub("", model))
