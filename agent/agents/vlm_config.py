"""What a vision-language agent can be told: one frozen config, made from a run's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from deskbench.agent.agents.settings import (
    CLIENT_SETTINGS,
    Reader,
    file_text,
    optional,
    read_settings,
    size_text,
    whole,
)
from deskbench.agent.models.client import ClientConfig
from deskbench.agent.replies.blocks import ActionSpace
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError

_EXAMPLE = "base_url=http://127.0.0.1:8000/v1 model=kimi-vl"
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
        tree_tokens: tokens of an accessibility tree, after which it is cut.
        tokenizer: the model's own, which counts them: the path of a tokenizer.json or a .tiktoken file; None estimates.
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
    tokenizer: str | None = None
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
        values = read_settings("vlm", settings, SETTINGS)
        missing = [name for name in ("base_url", "model") if name not in values]
        if missing:
            raise UsageError(f"vlm: missing {' and '.join(missing)}, for example {_EXAMPLE}")
        own = {name: values.pop(name) for name in list(values) if name in cls.__dataclass_fields__}
        return cls(chat=ClientConfig(**values), **own)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"vlm: {name} is {value!r}{nearest(value, known)}")


SETTINGS: dict[str, Reader] = {
    **CLIENT_SETTINGS,
    "observation": str.strip,
    "action_space": str.strip,
    "history": whole(0),
    "image_size": optional(size_text),
    "max_side": optional(whole(1)),
    "retries": whole(0),
    "tree_tokens": whole(1),
    "tokenizer": optional(str.strip),
    "prompt": file_text,
}
"""Every setting and how its text is read; `prompt` is the path of a UTF-8 file."""
