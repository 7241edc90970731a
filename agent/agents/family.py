"""An agent for any family: the profile says what the model sees, how it is asked and how it answers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from deskbench.agent.agents.asking import complaint, results_of
from deskbench.agent.agents.family_config import FamilyConfig
from deskbench.agent.agents.grounding import Grounder
from deskbench.agent.agents.model import ModelAgent, Turn
from deskbench.agent.agents.profile import Templates
from deskbench.agent.base import Needs
from deskbench.agent.models.answers import Answer
from deskbench.agent.models.client import ModelClient, Spending
from deskbench.agent.models.messages import Message, Native, Picture, Result, Text
from deskbench.agent.models.wires.base import merged
from deskbench.agent.prompting.history import Step, build
from deskbench.agent.prompting.observing import look
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.prompting.scaling import Scale, png_bytes
from deskbench.agent.prompting.templates import expand, fill
from deskbench.agent.replies.calls import Call, Truncated
from deskbench.agent.replies.grammar import Reading
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.agent.replies.spaces import Space
from deskbench.envs.errors import AgentError
from deskbench.envs.types import Observation

_MEMORY = re.compile(r"(?:Memory:|\bsummary:)\s*(.*)", re.DOTALL)
_ENVIRONMENTS = {"Linux": "linux", "Windows": "windows", "Darwin": "mac"}
_KEPT_MEMORY = 4000
"""How many characters of a model's memory are kept."""


class FamilyAgent(ModelAgent[Step, Step]):
    """Shows the desktop to a family's model in the form that it was trained on, and reads its reply."""

    def __init__(self, config: FamilyConfig) -> None:
        name = f"{config.profile.name}:{config.client.model}"
        super().__init__(name, Needs(), ModelClient(config.client), config.retries)
        self.config = config
        self.profile = config.profile
        self._templates = _expanded(config)
        rules = config.profile.grounder
        self._grounder = Grounder(rules, config.grounder) if rules and config.grounder else None

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> FamilyAgent:
        """Make an agent from a run's settings: `profile` and any of `family_config.FamilySettings`.

        Raises:
            UsageError: a family or setting is unknown, or a value is wrong.
        """
        return cls(FamilyConfig.from_settings(settings))

    def check(self) -> None:
        """Check before a run that the agent's endpoints can be reached.

        Raises:
            ModelError: an endpoint cannot be reached, or does not accept the key.
        """
        super().check()
        if self._grounder is not None:
            self._grounder.check()

    def close(self) -> None:
        """Close the connections."""
        super().close()
        if self._grounder is not None:
            self._grounder.close()

    def turn(self, observation: Observation) -> Turn[Step]:
        """The request about an observation, in the family's form."""
        scale = scale_for(self.profile.image, (observation.width, observation.height))
        now = self._step(observation, scale)
        messages = build(self._templates, self.profile.history, self._past, now, self._values(scale))
        return Turn(observation, scale, now, messages, self.request(scale))

    def preview(self, observation: Observation) -> dict[str, Any]:
        """The request for an observation as a run would record it; sends nothing."""
        turn = self.turn(observation)
        return self._client.preview(turn.messages, turn.extra)

    def read(self, text: str, observation: Observation) -> Reading:
        """Read what a reply's text would do on an observation; sends nothing except a grounder's requests.

        Raises:
            ReplyError: the reply is not an action.
        """
        return self._read(Answer(text), self.turn(observation), Spending())

    def request(self, scale: Scale) -> dict[str, Any]:
        """The profile's fields for every request's body, for a picture of this size."""
        values, profile = self._values(scale), self.profile
        makers = profile.key and self.config.client.base_url.rstrip("/") == profile.base_url.rstrip("/")
        body = profile.request if makers else merged(profile.request, profile.served)
        filled: dict[str, Any] = _filled(body, values, {"width", "height"})
        return filled

    def _values(self, scale: Scale) -> dict[str, str]:
        space = self._space(scale)
        return {
            "instruction": self._goal.instruction,
            "platform": self._goal.platform,
            "environment": _ENVIRONMENTS.get(self._goal.platform, "linux"),
            "width": str(scale.image[0]),
            "height": str(scale.image[1]),
            "resolution": "{}x{}".format(*space.resolution),
            "max_steps": str(self._goal.max_steps),
        }

    def _space(self, scale: Scale) -> Space:
        rules = self.profile.space
        return Space(rules.kind, scale.screen, scale.image, rules.grid)

    def _step(self, observation: Observation, scale: Scale) -> Step:
        shown = look(observation, "screenshot", scale, zooms=self._zooms).parts
        shown = (*shown[1:], shown[0])  # the whole screen last: some wires show only one picture
        return Step(len(self._past) + 1, shown, notes="\n".join(results_of(observation)))

    def _read(self, answer: Answer, turn: Turn[Step], spending: Spending) -> Reading:
        def locate(description: str) -> tuple[int, int]:
            assert self._grounder is not None
            return self._grounder.locate(description, turn.observation, spending, self._deadline)

        return read_reply(
            answer.text,
            answer.calls,
            self.profile.reply.grammar,
            self._space(turn.scale),
            pointer=turn.observation.cursor,
            code_allowed=self._goal.code_allowed,
            locate=locate if self._grounder is not None else None,
        )

    def _notes(self, answer: Answer, turn: Turn[Step]) -> Sequence[Mapping[str, object]]:
        """Handle the endpoint's safety checks as the policy says; they are always recorded."""
        if not answer.checks:
            return []
        note = {"what": "safety_checks", "policy": self.config.safety, "checks": [dict(c) for c in answer.checks]}
        if self.config.safety == "stop":
            said = json.dumps(note["checks"])[:300]
            raise AgentError(f"the endpoint asks for confirmation, and the setting safety is stop: {said}")
        return [note]

    def _complain(self, answer: Answer | None, reply: str, again: str, turn: Turn[Step]) -> list[Message]:
        """Turns that say what was wrong, in the wire's own form if the reply was a native call."""
        native = None
        if answer is not None and self.profile.history.native:
            native = self._native(answer, answer.text)
        if answer is None or native is None:
            return complaint(answer, reply if answer is None else self._text(answer), again)
        told = Text(again)
        parts, inside = (told, *self._proof(turn.shown)), self.profile.history.results == "inside"
        results = [Result(str(call.id), call.name, parts, False, call.extra, inside) for call in answer.calls]
        extra = [told] if not results or self._wordless(answer) else []
        return [Message.of("assistant", native), Message("user", (*results, *extra))]

    def _wordless(self, answer: Answer) -> bool:
        """Whether the results hold no text: in Responses the computer's output is a picture alone."""
        return self.profile.endpoint == "responses" and any("type" not in call.extra for call in answer.calls)

    def _proof(self, now: Step) -> tuple[Text | Picture, ...]:
        """In Responses every result comes with a picture, whether or not the call succeeded."""
        return now.shown if self.profile.endpoint == "responses" else ()

    def _remember(self, turn: Turn[Step], answer: Answer, read: Reading) -> None:
        text = self._text(answer)
        try:
            _, rest = split_reasoning(text)
        except Truncated:
            rest = text
        memory = _MEMORY.search(rest)
        native = self._native(answer, rest if not answer.calls else answer.text)
        step = replace(
            turn.shown,
            small=self._small(turn.shown),
            reply=rest,
            thought="\n".join(part for part in (answer.reasoning, read.thought) if part),
            said=read.said,
            memory=memory[1].strip()[:_KEPT_MEMORY] if memory else "",
            native=native,
            calls=answer.calls if native is not None else (),
        )
        self._past.append(step)

    def _remember_other(self, turn: Turn[Step], did: str) -> None:
        self._past.append(replace(turn.shown, small=self._small(turn.shown), reply=did, said=did))

    def _small(self, step: Step) -> tuple[Text | Picture, ...]:
        return tuple(_smaller(part, self.profile.history.past_scale) for part in step.shown)

    def _text(self, answer: Answer) -> str:
        """A reply's text; calls that the server removed are put back in the form that most families use."""
        calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in answer.calls]
        written = [f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in calls]
        return "\n".join([answer.text, *written] if answer.text else written)

    def _native(self, answer: Answer, rest: str) -> Native | None:
        """The turn to send back; chat completions, too, has a form for reasoning and calls (Seed, Kimi)."""
        if answer.native is not None or self.profile.endpoint != "chat" or not self.profile.history.native:
            return answer.native
        reasoning = {"reasoning_content": answer.reasoning} if answer.reasoning else {}
        calls = {"tool_calls": [_tool_call(call) for call in answer.calls]} if answer.calls else {}
        return Native({"role": "assistant", "content": rest, **reasoning, **calls})


def _tool_call(call: Call) -> dict[str, Any]:
    """A call in the form of chat completions; servers require JSON arguments even if the model's were not JSON."""
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": str(call.id), "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _expanded(config: FamilyConfig) -> Templates:
    """The profile's templates with its prompts and texts filled in, or with the user's exact system prompt."""
    texts = config.profile.texts
    fields = config.profile.templates.model_dump(exclude={"role"})
    expanded = {name: None if text is None else expand(text, texts) for name, text in fields.items()}
    if config.prompt is not None:
        expanded["system"] = config.prompt
    return config.profile.templates.model_copy(update=expanded)


def _filled(value: Any, values: Mapping[str, str], numbers: set[str]) -> Any:
    """A request's body with its names filled in; a name that stands alone and is numeric becomes a number."""
    if isinstance(value, str):
        name = value[1:-1] if value[:1] == "{" and value[-1:] == "}" else ""
        return int(values[name]) if name in numbers else fill(value, values)
    if isinstance(value, Mapping):
        return {key: _filled(inner, values, numbers) for key, inner in value.items()}
    return [_filled(inner, values, numbers) for inner in value] if isinstance(value, list) else value


def _smaller(part: Text | Picture, factor: float) -> Text | Picture:
    if factor == 1.0 or isinstance(part, Text):
        return part
    size = max(1, round(part.width * factor)), max(1, round(part.height * factor))
    image = Image.open(io.BytesIO(part.png), formats=["PNG"]).convert("RGB").resize(size, Image.Resampling.LANCZOS)
    return Picture(png_bytes(image), part.sha256, *size, note=f"at {factor:g}")
