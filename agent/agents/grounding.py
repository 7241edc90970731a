"""The second model of a planner: it finds the point of a described target on a screenshot."""

from __future__ import annotations

import re

from deskbench.agent.agents.profile import GrounderRules
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.agent.prompting.observing import look
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.prompting.templates import expand, fill, parts_of
from deskbench.agent.replies.calls import NoAction
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.tagged import parse_tagged
from deskbench.envs.types import Observation

_PAIR = re.compile(r"[(\[<]\s*(-?\d+(?:\.\d+)?)\s*[,\s]\s*(-?\d+(?:\.\d+)?)\s*[)\]<]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def find_point(reply: str, space: Space) -> tuple[int, int]:
    """The point in a grounder's reply, in pixels of the screen.

    In a tool call this is the coordinate, else the first pair in brackets, else the first two numbers. A box stands for
    its centre.

    Raises:
        ReplyError: there is no point, or it is outside the space.
    """
    _, rest = split_reasoning(reply)
    calls, _ = parse_tagged(rest)
    for call in calls:
        given = call.arguments.get("coordinate", call.arguments.get("point"))
        if given is not None:
            rest = str(given)
    pair = _PAIR.search(rest)
    numbers = [float(n) for n in (pair.groups() if pair else _NUMBER.findall(rest)[:4])]
    if len(numbers) == 4:
        numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
    if len(numbers) < 2:
        raise NoAction(f"the grounder gave no point: {rest[:100]!r}")
    return space.place(numbers[0], numbers[1])


class Grounder:
    """Finds a planner's targets. Only one thread may use it; its requests count as the planner's."""

    def __init__(self, rules: GrounderRules, config: ClientConfig) -> None:
        self._rules = rules
        self._client = ModelClient(config)
        self._system = expand(rules.system, rules.texts)
        self._ask = expand(rules.ask, rules.texts)

    def check(self) -> None:
        """Check before a run that the endpoint can be reached.

        Raises:
            ModelError: it cannot be reached, or does not accept the key.
        """
        self._client.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def locate(
        self, description: str, observation: Observation, spending: Spending, deadline: float | None
    ) -> tuple[int, int]:
        """The point of the target, in pixels of the screen.

        Raises:
            ReplyError: the reply has no point.
            ModelError: the endpoint failed.
        """
        screen = (observation.width, observation.height)
        scale = scale_for(self._rules.image, screen)
        space = Space(self._rules.space.kind, screen, scale.image, self._rules.space.grid)
        values = {
            "width": str(scale.image[0]),
            "height": str(scale.image[1]),
            "resolution": "{}x{}".format(*space.resolution),
            "description": description,
            "platform": "Linux",
        }
        system = fill(self._system, values)
        messages = [Message.of("system", system)] if system else []
        messages.append(
            Message("user", tuple(parts_of(self._ask, values, look(observation, "screenshot", scale).parts)))
        )
        return find_point(self._client.complete(messages, spending, deadline).text, space)
