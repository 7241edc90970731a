"""A vision-language model behind a chat-completions endpoint, as an agent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deskbench.agent.agents.asking import ask, decision_of, done_by_another, logprobs_note, results_of
from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.vlm_config import VlmConfig
from deskbench.agent.base import Agent, Decision, Goal
from deskbench.agent.models.answers import Answer
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.likelihood import Prompt
from deskbench.agent.models.messages import Message, Text
from deskbench.agent.models.tokens import budget_of
from deskbench.agent.prompting.observing import Seen, look, needs_of
from deskbench.agent.prompting.scaling import Scale
from deskbench.agent.prompting.templates import prompt
from deskbench.agent.replies.calls import Malformed
from deskbench.agent.replies.fenced import parse_reply
from deskbench.envs.errors import AgentError
from deskbench.envs.types import Action, Observation, Zoom

NOT_SHOWN = "(What was on the screen then is not shown any more.)"


@dataclass(frozen=True)
class _Past:
    """An earlier step: what was shown, and what was replied."""

    shown: Message
    reply: str


class VlmAgent:
    """Shows the model what the desktop shows, reads its reply, and asks again when the reply is not an action."""

    def __init__(self, config: VlmConfig) -> None:
        self.name = f"vlm:{config.chat.model}"
        self.config = config
        self.needs = needs_of(config.observation)
        self._client = ModelClient(config.chat)
        self._budget = budget_of(config.tree_tokens, config.tokenizer)
        self._past: list[_Past] = []
        self._goal = Goal("", 0, 0)
        self._deadline: float | None = None
        self._zooms: tuple[Zoom, ...] = ()

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Agent:
        """Make one from a run's settings (`vlm_config.SETTINGS`); with `profile`, an agent of that family.

        Raises:
            UsageError: an unknown setting, or a bad value.
        """
        return FamilyAgent.from_settings(settings) if "profile" in settings else cls.plain(settings)

    @classmethod
    def plain(cls, settings: Mapping[str, str]) -> VlmAgent:
        """The prompt agent itself.

        Raises:
            UsageError: an unknown setting, or a bad value.
        """
        return cls(VlmConfig.from_settings(settings))

    def check(self) -> None:
        """Find out, before a run, whether the endpoint is there.

        Raises:
            ModelError: it cannot be reached, or does not take the key.
        """
        self._client.check()

    def start(self, goal: Goal) -> None:
        """Begin an episode: nothing of an earlier one is remembered."""
        self._goal = goal
        self._past = []
        self._zooms = ()
        self._deadline = time.monotonic() + goal.seconds if goal.seconds is not None else None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def act(self, observation: Observation) -> Decision:
        """Show the observation and return the model's actions, in pixels of the screen.

        Raises:
            AgentError: no reply was an action, after all retries; its `decision` holds what was spent.
            RefusalError: the model declined.
            ModelError: the endpoint failed.
        """
        scale, seen, messages = self._turns(observation)
        spending = Spending()

        def read(answer: Answer) -> tuple[str | None, tuple[Action, ...]]:
            if answer.calls:
                raise Malformed("The reply has a tool call. Write the action in the text, as described.")
            return self._read(answer.text, seen, scale, observation)

        try:
            answer, (thought, actions) = ask(
                self._client, messages, read, spending, retries=self.config.retries, deadline=self._deadline
            )
        except AgentError as error:
            error.decision = decision_of(spending)
            raise
        self._remember(_Past(messages[-1], answer.text))
        self._zooms = tuple(action for action in actions if isinstance(action, Zoom))
        thoughts = [part for part in (answer.reasoning, thought) if part]
        notes = [*seen.notes, *logprobs_note(answer)]
        return decision_of(spending, actions, answer.text, "\n".join(thoughts) or None, notes)

    def likelihood(self, observation: Observation, reply: str, spending: Spending) -> Prompt:
        """How likely its model finds a reply that another has given in its place.

        Raises:
            NotGiven: its endpoint does not say.
            ModelFatal: no request of this run can succeed.
        """
        return self._client.likelihood(self._turns(observation)[2], reply, spending)

    def _turns(self, observation: Observation) -> tuple[Scale, Seen, list[Message]]:
        """The picture's size, what is seen in it, and the turns of a request for this observation."""
        scale = Scale.fit((observation.width, observation.height), self.config.image_size, self.config.max_side)
        seen = look(observation, self.config.observation, scale, self._budget, self._zooms)
        shown = Message.of("user", self._intro(observation), *seen.parts)
        return scale, seen, [Message.of("system", self._system(scale)), *self._history(), shown]

    def witness(self, observation: Observation, actions: Sequence[Action], *, asked: bool) -> None:
        """Another agent did this step: what was seen and done is remembered in place of its own reply, if any."""
        if asked and self._past:
            self._past.pop()
        self._remember(_Past(self._turns(observation)[2][-1], done_by_another(actions)))
        self._zooms = tuple(action for action in actions if isinstance(action, Zoom))

    def _read(
        self, reply: str, seen: Seen, scale: Scale, observation: Observation
    ) -> tuple[str | None, tuple[Action, ...]]:
        thought, actions = parse_reply(
            reply,
            action_space=self.config.action_space,
            screen=scale.image,
            pointer=scale.to_image(*observation.cursor),
            names=seen.names,
            code_allowed=self._goal.code_allowed and self.config.action_space == "pyautogui",
        )
        return thought, tuple(scale.action_to_screen(action) for action in actions)

    def _system(self, scale: Scale) -> str:
        """The system prompt: ours, or the user's exact one."""
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
        for name, value in filled.items():  # no str.format: prompts are full of braces of their own
            text = text.replace(name, value)
        return text.replace("{instruction}", self._goal.instruction)

    def _remember(self, past: _Past) -> None:
        """Keep a step; the one that is now too old to be shown loses its pictures and trees, here and in memory."""
        self._past.append(past)
        index = len(self._past) - 1 - self.config.history
        if index >= 0:
            old = self._past[index]
            texts = [part for part in old.shown.parts if isinstance(part, Text) and not part.droppable]
            self._past[index] = _Past(Message.of("user", *texts, NOT_SHOWN), old.reply)

    def _history(self) -> list[Message]:
        return [turn for past in self._past for turn in (past.shown, Message.of("assistant", past.reply))]

    def _intro(self, observation: Observation) -> str:
        """What a turn begins with: the step's number, and what the last actions gave back."""
        step = f"Step {len(self._past) + 1} of at most {self._goal.max_steps}."
        return "\n".join([step, *results_of(observation)])
