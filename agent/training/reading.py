"""What a trainer sends to `step`: actions, their JSON, a decision, or the text of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deskbench.agent.agents.profile import load_profile
from deskbench.agent.base import Decision, Goal, ReplyError
from deskbench.agent.prompting.pictures import scale_for
from deskbench.agent.replies.grammars import read_reply
from deskbench.agent.replies.spaces import Space
from deskbench.envs.errors import UsageError
from deskbench.envs.types import ACTION_TYPES, Action, ActionError, Observation, parse_action

Sent = Action | Mapping[str, object] | Sequence[Action | Mapping[str, object]] | Decision | str
"""What `step` takes: an action or several, each as an object or as its JSON, a decision, or a reply's text."""
_ACTIONS = tuple(ACTION_TYPES.values())


class Replies:
    """Reads the replies of a family of models.

    Raises:
        UsageError: the family is unknown, or its replies cannot be read from text alone.
    """

    def __init__(self, family: str) -> None:
        self._profile = load_profile(family)
        form = self._profile.reply.form
        called = form == "native" or "tools" in self._profile.request
        if called or self._profile.grounder is not None or form in ("planner", "comments"):
            why = "answers with calls of its endpoint" if called else "needs a grounder"
            raise UsageError(f"grammar {family}: this family {why}, so its text is no action; send actions instead")

    def actions(self, text: str, observation: Observation, goal: Goal) -> tuple[tuple[Action, ...], str | None]:
        """The actions of a reply about an observation, and the thought before them.

        Raises:
            ReplyError: the reply is not an action; the message can be shown to the model.
        """
        screen = observation.width, observation.height
        rules = self._profile.space
        space = Space(rules.kind, screen, scale_for(self._profile.image, screen).image, rules.grid)
        found = read_reply(
            text, (), self._profile.reply.grammar, space, pointer=observation.cursor, code_allowed=goal.code_allowed
        )
        return found.actions, found.thought


def read(sent: Sent, replies: Replies | None, observation: Observation, goal: Goal) -> tuple[Decision, str | None]:
    """The decision that was sent, and what is wrong with a reply.

    A reply that is not an action is a step that does nothing: it is what a model in training does, and no mistake of
    the trainer.

    Raises:
        ActionError: an action is not one, or is off the screen; the message names it.
        UsageError: text was sent, and there is no grammar for it.
    """
    if isinstance(sent, Decision):
        return _inside(sent, observation), None
    if isinstance(sent, str):
        if replies is None:
            raise UsageError("step() got text: name the family of the model that wrote it, Env(..., grammar=NAME)")
        try:
            actions, thought = replies.actions(sent, observation, goal)
        except ReplyError as error:
            return Decision((), reply=sent, notes=({"what": "malformed", "why": str(error)},)), str(error)
        return Decision(actions, reply=sent, thought=thought), None
    several = isinstance(sent, Sequence)
    listed: Sequence[object] = sent if several else (sent,)  # type: ignore[assignment]
    actions = tuple(_action(one, f"actions[{index}]: " if several else "") for index, one in enumerate(listed))
    return _inside(Decision(actions), observation), None


def _action(value: object, where: str) -> Action:
    if isinstance(value, _ACTIONS):
        return value
    try:
        return parse_action(value)
    except ActionError as error:
        raise ActionError(f"{where}{error}") from None


def _inside(decision: Decision, observation: Observation) -> Decision:
    """The decision, if all its points are on the screen.

    Raises:
        ActionError: names the action and the point.
    """
    for index, action in enumerate(decision.actions):
        if not isinstance(action, _ACTIONS):
            raise ActionError(f"actions[{index}]: {type(action).__name__} is not an action")
        for x, y in action.points:
            if not (0 <= x < observation.width and 0 <= y < observation.height):
                size = f"{observation.width}x{observation.height}"
                raise ActionError(f"actions[{index}]: {action.type}: ({x}, {y}) is off the screen, which is {size}")
    return decision
