"""Settings of agents that ask models: how each text is read, in one place for all of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deskbench.agent.models.prices import Price
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import read_text

Reader = Callable[[str], Any]


def read_settings(who: str, settings: Mapping[str, str], known: Mapping[str, Reader]) -> dict[str, Any]:
    """A run's settings, all of them text, as values; the prices become one `price`.

    Raises:
        UsageError: naming the setting, its bad value and what would be right, or the nearest known name.
    """
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in known:
            raise UsageError(f"{who}: unknown setting {name!r}{nearest(name, known)}")
        try:
            values[name] = known[name](text)
        except (ValueError, OSError) as error:
            raise UsageError(f"{who}: {name} is {text!r}: {error}") from None
    return values | _price(who, values)


def _price(who: str, values: dict[str, Any]) -> dict[str, Any]:
    given = [values.pop(name, None) for name in ("price_input", "price_output", "price_cached")]
    if given == [None, None, None]:
        return {}
    if given[0] is None or given[1] is None:
        raise UsageError(f"{who}: price_input and price_output go together (US dollars per million tokens)")
    return {"price": Price(*given)}


def whole(least: int) -> Callable[[str], int]:
    """A whole number of at least so much."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,12}", text.strip()) or int(text) < least:
            raise ValueError(f"it must be a whole number of at least {least}")
        return int(text)

    return read


def number(least: float) -> Callable[[str], float]:
    """A number of at least so much."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"it must be a number of at least {least:g}")
        return value

    return read


def optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same, or None for `none` and nothing."""
    return lambda text: None if text.strip().lower() in ("", "none") else read(text)


def size_text(text: str) -> tuple[int, int]:
    """`1280x720` as (width, height) in pixels."""
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip())
    if not found:
        raise ValueError("it must be WIDTHxHEIGHT in pixels, for example 1280x720")
    return int(found[1]), int(found[2])


def json_object(text: str) -> dict[str, Any]:
    """A JSON object."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it must be a JSON object")
    return value


def file_text(text: str) -> str:
    """The text of a file, in UTF-8 or with a byte order mark."""
    return read_text(Path(text).expanduser())


def yes_or_no(text: str) -> bool:
    """`true` or `false`."""
    lowered = text.strip().lower()
    if lowered not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("it must be true or false")
    return lowered in ("true", "1", "yes")


CLIENT_SETTINGS: dict[str, Reader] = {
    "base_url": str.strip,
    "model": str.strip,
    "api_key_env": optional(str.strip),
    "temperature": optional(number(0)),
    "top_p": optional(number(0)),
    "seed": optional(whole(0)),
    "max_tokens": optional(whole(1)),
    "max_tokens_name": str.strip,
    "detail": optional(str.strip),
    "extra": json_object,
    "price_input": number(0),
    "price_output": number(0),
    "price_cached": number(0),
    "connect_timeout": number(0.001),
    "read_timeout": number(0.001),
    "total_timeout": number(0.001),
    "attempts": whole(1),
    "first_pause": number(0),
    "longest_pause": number(0),
    "longest_retry_after": number(0),
    "stream": yes_or_no,
    "logprobs": whole(0),
}
"""Those of `models.client.ClientConfig`; `extra` is a JSON object."""
