"""A vision-language model behind a chat-completions endpoint, as an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.agents.asking import results_of
from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.model import ModelAgent, Turn
from deskbench.agent.agents.vlm_config import VlmConfig
from deskbench.agent.models.answers import Answer
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.messages import Message, Text
from deskbench.agent.models.tokens import budget_of
from deskbench.agent.prompting.observing import Seen, look, needs_of
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.prompting.templates import prompt
from deskbench.agent.replies.calls import Malformed
from deskbench.agent.replies.fenced import parse_reply
from deskbench.agent.replies.grammar import Reading
from deskbench.envs.types import Observation

NOT_SHOWN = "(What was on the screen then is not shown any more.)"


@dataclass(frozen=True)
class _Past:
    """An earlier step: what the model saw, and its reply."""

    shown: Message
    reply: str


class VlmAgent(ModelAgent[Seen, _Past]):
    """The prompt agent for any model, with OSWorld's four observation types and OSWorld's two action spaces or ours."""

    def __init__(self, config: VlmConfig) -> None:
        super().__init__(
            f"vlm:{config.chat.model}", needs_of(config.observation), ModelClient(config.chat), config.retries
        )
        self.config = config
        self._budget = budget_of(config.tree_tokens, config.tokenizer)

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> ModelAgent[Any, Any]:
        """Make an agent from a run's settings (`VlmConfig`); with `profile`, an agent of that family.

        Raises:
            UsageError: a setting is unknown, or a value is wrong.
        """
        if "profile" in settings:
            return FamilyAgent.from_settings(settings)
        return cls(VlmConfig.from_settings(settings))

    def turn(self, observation: Observation) -> Turn[Seen]:
        """The picture's scale, its content, and the turns of the request for this observation."""
        scale = Scale.fit((observation.width, observation.height), self.config.image_size, self.config.max_side)
        seen = look(observation, self.config.observation, scale, self._budget, self._zooms)
        shown = Message.of("user", self._intro(observation), *seen.parts)
        messages = [Message.of("system", self._system(scale)), *self._history(), shown]
        return Turn(observation, scale, seen, messages)

    def _notes(self, answer: Answer, turn: Turn[Seen]) -> Sequence[Mapping[str, object]]:
        return turn.shown.notes

    def _read(self, answer: Answer, turn: Turn[Seen], spending: Spending) -> Reading:
        if answer.calls:
            raise Malformed("The reply has a tool call. Write the action in the text, as described.")
        thought, actions = parse_reply(
            answer.text,
            action_space=self.config.action_space,
            screen=turn.scale.image,
            pointer=turn.scale.to_image(*turn.observation.cursor),
            names=turn.shown.names,
            code_allowed=self._goal.code_allowed and self.config.action_space == "pyautogui",
        )
        return Reading(thought, tuple(turn.scale.action_to_screen(action) for action in actions))

    def _system(self, scale: Scale) -> str:
        """The system prompt: ours, or exactly the user's."""
        own = self.config.prompt is None
        text = prompt("frame") if self.config.prompt is None else self.config.prompt
        filled = {
            "{seen}": prompt(f"seen_{self.config.observation}") if own else "{seen}",
            "{actions}": prompt(f"actions_{self.config.action_space}") if own else "{actions}",
            "{platform}": self._goal.platform,
            "{width}": str(scale.image[0]),
            "{height}": str(scale.image[1]),
        }
        if "{instruction}" not in text:
            text += "\n\nThe task: {instruction}"
        for name, value in filled.items():  # no str.format, because prompts contain braces
            text = text.replace(name, value)
        return text.replace("{instruction}", self._goal.instruction)

    def _remember(self, turn: Turn[Seen], answer: Answer, read: Reading) -> None:
        self._keep(_Past(turn.messages[-1], answer.text))

    def _remember_other(self, turn: Turn[Seen], did: str) -> None:
        self._keep(_Past(turn.messages[-1], did))

    def _keep(self, past: _Past) -> None:
        """Keep a step; a step that is now too old to show loses its pictures and trees, which frees memory."""
        self._past.append(past)
        index = len(self._past) - 1 - self.config.history
        if index >= 0:
            old = self._past[index]
            texts = [part for part in old.shown.parts if isinstance(part, Text) and not part.droppable]
            self._past[index] = _Past(Message.of("user", *texts, NOT_SHOWN), old.reply)

    def _history(self) -> list[Message]:
        return [turn for past in self._past for turn in (past.shown, Message.of("assistant", past.reply))]

    def _intro(self, observation: Observation) -> str:
        """The start of a turn: the step's number and the results of the last actions."""
        step = f"Step {len(self._past) + 1} of at most {self._goal.max_steps}."
        return "\n".join([step, *results_of(observation)])
