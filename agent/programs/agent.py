"""The agent that a program is: each call of the program is the agent's next decision, answered by what is seen next.

The loop asks an agent for a decision; a program calls when it likes. `Desk` turns one into the other, so that there is
no second loop: calls are recorded, limited, replayed and scored like the steps of any other agent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deskbench.agent.agents.asking import results_of
from deskbench.agent.agents.settings import read_values
from deskbench.agent.base import Decision, Goal, Needs, Undecided, Usage
from deskbench.agent.models.messages import Picture
from deskbench.agent.programs.desk import Answer, Desk, ToolCall
from deskbench.agent.programs.process import Place, Program, find_program, named_variables, read_command
from deskbench.agent.programs.tools import read_call
from deskbench.agent.programs.walls import check_walls, walls
from deskbench.agent.prompting.observing import look
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs.errors import AgentCrash, AgentError, ReplyError, UsageError
from deskbench.envs.types import ENDS_EPISODE, Action, Observation, Zoom

if TYPE_CHECKING:
    from deskbench.agent.programs.server import Server

PROMPT = """\
{instruction}

You do this on a desktop that you see and use only through the tools of the MCP server `desktop`: `computer` for the \
mouse, the keyboard and the screen, `ask` for a question to the person whose task this is, `done` when the task is \
done, `fail` if it cannot be done. Without MCP, the command `act` does the same (`act --help`). Begin with a \
screenshot. You have {max_steps} steps, and every call is one. Your own files and shell are not part of the desktop. \
Nobody reads your messages: only `done` or `fail` ends the task.
"""
OVER = "The episode has ended; nothing more is carried out."
LOOK_SECONDS = 0.2
"""Time between two looks at whether the program still runs."""
MOST_REFUSED = 50
"""Calls in a row that cannot be read; then the program is given up."""
LONGEST_NOTE = 500
"""Characters of a call that could not be read, in the record."""


class ProgramSettings(BaseModel):
    """The settings of a run with a program; `docs/programs.md` explains them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    command: str = ""
    env: str = ""
    max_side: Annotated[int, Field(ge=200, le=8192)] = 1280
    walls: Literal["on", "off"] = "on"
    hide: str = ""
    leave_seconds: Annotated[float, Field(ge=0, le=600)] = 30.0


def server_class() -> type[Server]:
    """The server, whose module needs the extra `mcp`.

    Raises:
        UsageError: the extra `mcp` is not installed, or does not fit.
    """
    try:
        from deskbench.agent.programs.server import Server
    except ImportError as error:
        raise UsageError(
            f"programs as agents need a fitting version of the extra `mcp` ({error}): pip install -U 'deskbench[mcp]'"
        ) from None
    return Server


@dataclass(frozen=True)
class Offer:
    """Where the desktop of an episode is offered, and what for."""

    url: str
    token: str
    instruction: str


class DeskAgent:
    """Offers the desktop to whoever has the token, and waits for their calls.

    Args:
        max_side: longer side of the pictures in pixels, at most; they are never enlarged.
        offer: called when calls are accepted, once for each part of a task.
        left: whether nobody will call any more.
    """

    name = "mcp"
    needs = Needs()

    def __init__(
        self,
        max_side: int = 1280,
        offer: Callable[[Offer], None] = lambda offer: None,
        left: Callable[[], bool] = lambda: False,
    ) -> None:
        self._max_side, self._offer, self._left = max_side, offer, left
        self._desk = Desk()
        self._server: Server | None = None
        self._pending: ToolCall | None = None
        self._goal = Goal("", 0, 0)
        self._deadline: float | None = None
        self._steps = 0
        self._zooms: tuple[Zoom, ...] = ()
        self._new = True
        self._called = False

    @property
    def prompt(self) -> str:
        """What a program is told: the task, and how to use the tools."""
        return PROMPT.format(instruction=self._goal.instruction, max_steps=self._goal.max_steps)

    def check(self) -> None:
        """Check before a run that there is what a server needs.

        Raises:
            UsageError: the extra `mcp` is not installed.
        """
        server_class()

    def start(self, goal: Goal) -> None:
        """Start an episode, or the next part of one."""
        self._goal, self._steps, self._new = goal, 0, True
        self._deadline = None if goal.seconds is None else time.monotonic() + goal.seconds
        if self._server is None:
            self._server = server_class()(self._desk, lambda: self.prompt)
        self._desk.open()

    def act(self, observation: Observation) -> Decision:
        """Answer the last call with what is seen now, and wait for the next.

        Raises:
            Undecided: there was no call until the time was up or the run was stopped.
            AgentError: the program has ended without `done` or `fail`, or makes no call that can be read.
            AgentCrash: it has ended without any call.
        """
        began = time.monotonic()
        scale = Scale.fit((observation.width, observation.height), None, self._max_side)
        self._answer(observation, scale)
        if self._new:
            self._new = False
            self._begin()
        refused: list[dict[str, Any]] = []
        try:
            call, actions = self._readable(observation, scale, refused)
        except AgentError as error:
            spent = self._due()
            if spent != Usage():
                error.decision = Decision((), usage=spent, attempts=len(refused), notes=tuple(refused))
            raise
        self._taken(call, actions)
        waited = (time.monotonic() - began) * 1e3
        return Decision(
            actions, _told(call), usage=self._due(), model_ms=waited, attempts=1 + len(refused), notes=tuple(refused)
        )

    def close(self) -> None:
        """Refuse all further calls, and stop the server."""
        self._desk.close(OVER)
        if self._pending is not None:
            self._pending.answer.set_result(Answer(OVER, ended=True))
            self._pending = None
        if self._server is not None:
            self._server.close()

    def _begin(self) -> None:
        """Begin an episode or a part, now that calls are accepted."""
        assert self._server is not None
        self._offer(Offer(self._server.url, self._server.token, self._goal.instruction))

    def _gone(self) -> AgentError | None:
        """The error if nobody will call any more."""
        return self._left_off("the client has left") if self._left() else None

    def _left_off(self, what: str, how: str = "") -> AgentError:
        """The error of one that ends nothing; if it never called, no model decided that, and nothing is scored."""
        if not self._called:
            return AgentCrash(f"{what} without a single call{how}")
        return AgentError(f"{what} without `done` or `fail`{how}")

    def _due(self) -> Usage:
        """What was spent since the last decision."""
        return Usage()

    def _taken(self, call: ToolCall, actions: tuple[Action, ...]) -> None:
        """Keep a call until it can be answered."""
        self._pending, self._called = call, True
        self._zooms = tuple(action for action in actions if isinstance(action, Zoom))
        self._steps += 1

    def _next(self) -> ToolCall:
        gone: AgentError | None = None
        while True:
            left = LOOK_SECONDS if self._deadline is None else self._deadline - time.monotonic()
            call = self._desk.take(min(LOOK_SECONDS, left))
            if call is not None:
                return call
            if left <= 0 or self._goal.interrupted():
                raise Undecided("there was no call until the end of the episode")
            if gone is not None:  # and what it had called before was taken
                raise gone
            gone = self._gone()

    def _readable(
        self, observation: Observation, scale: Scale, refused: list[dict[str, Any]]
    ) -> tuple[ToolCall, tuple[Action, ...]]:
        """The next call that can be read, and its actions; the others are answered and noted in `refused`."""
        while len(refused) < MOST_REFUSED:
            call = self._next()
            try:
                return call, read_call(call.name, call.arguments, scale, observation.cursor)
            except ReplyError as error:
                refused.append({"what": "refused", "call": _told(call)[:LONGEST_NOTE], "error": str(error)})
                call.answer.set_result(Answer(f"Nothing was done: {error}", error=True))
        raise AgentError(f"{MOST_REFUSED} calls in a row could not be read; the last: {refused[-1]['error']}")

    def _answer(self, observation: Observation, scale: Scale) -> None:
        call, self._pending = self._pending, None
        if call is None:
            return
        seen = look(observation, "screenshot", scale, zooms=self._zooms).parts
        pictures = [part.png for part in seen if isinstance(part, Picture)]
        lines = results_of(observation)
        if self._new:
            lines.append(f"That part is over. The next: {self._goal.instruction}")
        left = self._goal.max_steps - self._steps
        time_left = "" if self._deadline is None else f", {max(0.0, self._deadline - time.monotonic()):.0f} s"
        pointer = "({}, {})".format(*scale.to_image(*observation.cursor))
        lines.append(f"Left: {left} steps{time_left}. Pointer at {pointer}. Screen {scale.image[0]}x{scale.image[1]}.")
        failed = any(not result.ok for result in observation.results)
        call.answer.set_result(Answer("\n".join(lines), tuple(pictures[1:] or pictures), error=failed))


class ProgramAgent(DeskAgent):
    """Starts a program for the episode, and ends it with the episode."""

    name = "program"

    def __init__(self, settings: ProgramSettings) -> None:
        super().__init__(settings.max_side)
        self._settings = settings
        self._words = read_command(settings.command)
        self._variables = named_variables(_listed(settings.env))
        self._hide = [Path(name).expanduser() for name in _listed(settings.hide)]
        self._place: Place | None = None
        self._program: Program | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> ProgramAgent:
        """Make an agent from a run's settings (`ProgramSettings`).

        Raises:
            UsageError: a setting is unknown or wrong.
        """
        return cls(read_values("program", settings, ProgramSettings))

    def check(self) -> None:
        """Check before a run that the program is there, and what the server and the walls need.

        Raises:
            UsageError: it is not installed, or the extra `mcp` is not, or bubblewrap.
        """
        find_program(self._words)
        if self._settings.walls == "on":
            check_walls()
        super().check()

    def close(self) -> None:
        """End the program and everything that it has started, and remove its folder."""
        super().close()
        if self._program is not None:
            self._program.end()
        if self._place is not None:
            self._place.close()

    def _begin(self) -> None:
        assert self._server is not None
        if self._program is not None:
            self._program.end()
        if self._place is None:
            self._place = Place(self._server.url, self._server.token, self._variables)
        told = {"instruction": self._goal.instruction, "prompt": self.prompt}
        words = [find_program(self._words), *self._place.words(self._words[1:], told)]
        asked = any(f"{{{name}}}" in word for word in self._words for name in told)
        within = (
            walls(self._place.path, words, [*self._hide, *self._goal.hidden]) if self._settings.walls == "on" else []
        )
        self._program = Program(words, self._place, within, "" if asked else self.prompt, self._goal.files)

    def _gone(self) -> AgentError | None:
        program = self._program
        if program is None or program.status is None:
            return None
        return self._left_off("the program ended", f": {program.told()}")

    def _due(self) -> Usage:
        return Usage() if self._program is None else self._program.bill.due()

    def _taken(self, call: ToolCall, actions: tuple[Action, ...]) -> None:
        """Answer a call that ends the episode at once, and let the program go: it may say then what it has cost."""
        super()._taken(call, actions)
        if not (actions and isinstance(actions[-1], ENDS_EPISODE)) or self._program is None:
            return
        self._pending = None
        self._desk.close(OVER)
        call.answer.set_result(Answer("Recorded. The episode has ended; stop now.", ended=True))
        left = self._settings.leave_seconds
        ends = time.monotonic() + min(left, left if self._deadline is None else self._deadline - time.monotonic())
        while self._program.status is None and time.monotonic() < ends and not self._goal.interrupted():
            self._program.wait(min(LOOK_SECONDS, ends - time.monotonic()))


def _listed(text: str) -> list[str]:
    """The items of a list with commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _told(call: ToolCall) -> str:
    """A call as text, for the record."""
    value = dict(call.arguments) if call.name == "computer" else {"tool": call.name, **call.arguments}
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return f"{call.name}: the arguments are nested too deeply"
