"""What a vision-language agent can be told: one frozen config, made from a run's settings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from deskbench.agent.models.client import ClientConfig
from deskbench.agent.models.prices import Price
from deskbench.agent.replies.fenced import ActionSpace
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError

OBSERVATIONS = ("screenshot", "a11y_tree", "screenshot_a11y_tree", "som")
ACTION_SPACES: tuple[str, ...] = get_args(ActionSpace)


@dataclass(frozen=True)
class VlmConfig:
    """How the agent looks, remembers and asks.

    Attributes:
        chat: the endpoint and its limits.
        observation: one of OSWorld's four observation types.
        action_space: OSWorld's two, or `actions` (our canonical JSON).
        history: earlier steps that are shown with what was seen then; still older ones are text only.
        image_size: exact (width, height) in pixels of the pictures sent, or None.
        max_side: longest side in pixels of the pictures sent, or None for as they are.
        retries: how often a reply that is not an action is shown to the model and asked for again.
        tree_tokens: estimated tokens of an accessibility tree, after which it is cut.
        prompt: an exact system prompt in place of ours; {instruction}, {width}, {height} and {platform} are filled in.
    """

    chat: ClientConfig
    observation: str = "screenshot"
    action_space: ActionSpace = "pyautogui"
    history: int = 3
    image_size: tuple[int, int] | None = None
    max_side: int | None = None
    retries: int = 3
    tree_tokens: int = 10_000
    prompt: str | None = None

    def __post_init__(self) -> None:
        _one_of("observation", self.observation, OBSERVATIONS)
        _one_of("action_space", self.action_space, ACTION_SPACES)

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> VlmConfig:
        """Read a run's settings, all of them text: `base_url` and `model`, and any of `SETTINGS`.

        Raises:
            UsageError: naming the setting, its bad value and what would be right, or the nearest known name.
        """
        values: dict[str, Any] = {}
        for name, text in settings.items():
            if name not in SETTINGS:
                raise UsageError(f"vlm: unknown setting {name!r}{nearest(name, SETTINGS)}")
            values[name] = _read(name, text)
        missing = [name for name in ("base_url", "model") if name not in values]
        if missing:
            raise UsageError(f"vlm: missing {' and '.join(missing)}, for example {_EXAMPLE}")
        values |= _price(values)
        own = {name: values.pop(name) for name in list(values) if name in cls.__dataclass_fields__}
        return cls(chat=ClientConfig(**values), **own)


_EXAMPLE = "base_url=http://127.0.0.1:8000/v1 model=kimi-vl"


def _read(name: str, text: str) -> Any:
    try:
        return SETTINGS[name](text)
    except (ValueError, OSError) as error:
        raise UsageError(f"vlm: {name} is {text!r}: {error}") from None


def _price(values: dict[str, Any]) -> dict[str, Any]:
    given = [values.pop(name, None) for name in ("price_input", "price_output", "price_cached")]
    if given == [None, None, None]:
        return {}
    if given[0] is None or given[1] is None:
        raise UsageError("vlm: price_input and price_output go together (US dollars per million tokens)")
    return {"price": Price(*given)}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"vlm: {name} is {value!r}{nearest(value, known)}")


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,12}", text.strip()) or int(text) < least:
            raise ValueError(f"it must be a whole number of at least {least}")
        return int(text)

    return read


def _number(least: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"it must be a number of at least {least:g}")
        return value

    return read


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.strip().lower() in ("", "none") else read(text)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip())
    if not found:
        raise ValueError("it must be WIDTHxHEIGHT in pixels, for example 1280x720")
    return int(found[1]), int(found[2])


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it must be a JSON object")
    return value


def _file(text: str) -> str:
    return Path(text).expanduser().read_text(encoding="utf-8")


SETTINGS: dict[str, Callable[[str], Any]] = {
    "base_url": str.strip,
    "model": str.strip,
    "api_key_env": _optional(str.strip),
    "temperature": _optional(_number(0)),
    "top_p": _optional(_number(0)),
    "seed": _optional(_whole(0)),
    "max_tokens": _optional(_whole(1)),
    "max_tokens_name": str.strip,
    "detail": _optional(str.strip),
    "extra": _object,
    "price_input": _number(0),
    "price_output": _number(0),
    "price_cached": _number(0),
    "connect_timeout": _number(0.001),
    "read_timeout": _number(0.001),
    "total_timeout": _number(0.001),
    "attempts": _whole(1),
    "first_pause": _number(0),
    "longest_pause": _number(0),
    "longest_retry_after": _number(0),
    "observation": str.strip,
    "action_space": str.strip,
    "history": _whole(0),
    "image_size": _optional(_size),
    "max_side": _optional(_whole(1)),
    "retries": _whole(0),
    "tree_tokens": _whole(1),
    "prompt": _file,
}
"""Every setting and how its text is read; `prompt` is the path of a UTF-8 file, `extra` a JSON object."""
