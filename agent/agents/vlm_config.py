"""The configuration of a vision-language agent, made from a run's settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from deskbench.agent.agents.settings import ClientSettings, Count, FileText, Optional, Size, read_settings
from deskbench.agent.models.client import ClientConfig
from deskbench.agent.replies.blocks import ActionSpace
from deskbench.envs.errors import UsageError

_EXAMPLE = "base_url=http://127.0.0.1:8000/v1 model=kimi-vl"


class VlmConfig(ClientSettings):
    """How the agent looks, remembers and asks.

    Attributes:
        observation: one of OSWorld's four observation types.
        action_space: one of OSWorld's two, or `actions` (our canonical JSON).
        history: number of earlier steps shown with their screens; still older steps are text only.
        image_size: exact (width, height) of the pictures in pixels, or None.
        max_side: longest side of the pictures in pixels, or None for no limit.
        retries: how often to ask again after a reply that is not an action.
        tree_tokens: most tokens of an accessibility tree; the rest is cut.
        tokenizer: the model's own tokenizer, to count them: path of a tokenizer.json or a .tiktoken file; None
            estimates.
        prompt: path of a file with a system prompt that replaces ours; {instruction}, {width}, {height} and {platform}
            are filled in.
    """

    observation: Literal["screenshot", "a11y_tree", "screenshot_a11y_tree", "som"] = "screenshot"
    action_space: ActionSpace = "pyautogui"
    history: Count = 3
    image_size: Optional[Size] = None
    max_side: Optional[Annotated[int, Field(ge=1)]] = None
    retries: Count = 3
    tree_tokens: Annotated[int, Field(ge=1)] = 10_000
    tokenizer: Optional[str] = None
    prompt: FileText | None = None

    @cached_property
    def chat(self) -> ClientConfig:
        """The endpoint and its limits. Raises UsageError if they are wrong."""
        return ClientConfig(**self.given())

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> VlmConfig:
        """Read a run's settings, which are all text: `base_url` and `model`, and any of the others.

        Raises:
            UsageError: names the setting, its bad value and what would be right, or the nearest known name.
        """
        config = read_settings("vlm", settings, cls)
        missing = [name for name in ("base_url", "model") if name not in config.model_fields_set]
        if missing:
            raise UsageError(f"vlm: missing {' and '.join(missing)}, for example {_EXAMPLE}")
        config.chat  # noqa: B018  (raises now if it is wrong)
        return config
