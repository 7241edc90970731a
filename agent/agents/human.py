"""A person as the agent, who sees each screenshot as a file and answers in the terminal."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal, TextIO

from deskbench.agent.base import Decision, Goal, Needs
from deskbench.agent.replies.fenced import parse_reply
from deskbench.envs.errors import AgentError, ReplyError
from deskbench.envs.types import Action, Observation

HELP = """\
Answer with one action as JSON, for example {"type": "click", "x": 100, "y": 200}, or as pyautogui source, for example
pyautogui.click(100, 200). {"type": "done"} or DONE ends the episode; {"type": "fail"} or FAIL says that the task
cannot be done. An empty line takes another look.
"""


class HumanAgent:
    """Prints the screenshot's path and asks for an action, again and again until it can read the answer.

    Args:
        asks: where to write questions; None for standard error.
        answers: where to read answers, one per line; None for standard input.
    """

    name = "human"
    needs = Needs()

    def __init__(self, asks: TextIO | None = None, answers: TextIO | None = None) -> None:
        self._asks, self._answers = asks or sys.stderr, answers or sys.stdin
        self._folder = tempfile.TemporaryDirectory(prefix="deskbench-human-")
        self._goal = Goal("", 0, 0)
        self._steps = 0

    def start(self, goal: Goal) -> None:
        """Print the task and how to answer."""
        self._goal = goal
        self._say(f"The task: {goal.instruction}\n\n{HELP}")

    def act(self, observation: Observation) -> Decision:
        """Ask until the answer is an action.

        Raises:
            AgentError: the input has ended.
        """
        self._show(observation)
        while True:
            self._say("action> ", end="")
            line = self._answers.readline()
            if not line:
                raise AgentError("human: the input has ended")
            try:
                return Decision(self._read(line.strip(), observation), reply=line.strip())
            except ReplyError as error:
                self._say(f"That cannot be carried out: {error}")

    def close(self) -> None:
        """Remove the pictures."""
        self._folder.cleanup()

    def _show(self, observation: Observation) -> None:
        self._steps += 1
        for number, result in enumerate(observation.results, 1):
            if not result.ok or result.output:
                self._say(f"action {number}: {result.output if result.ok else f'failed: {result.error}'}")
        if observation.answer is not None:
            self._say(f"answer: {observation.answer}")
        where = "no screenshot"
        if observation.screenshot is not None:
            path = Path(self._folder.name) / f"{self._steps:03}.png"
            path.write_bytes(observation.screenshot.png)
            where = str(path)
        self._say(f"step {self._steps} of at most {self._goal.max_steps}: {where}")

    def _read(self, line: str, observation: Observation) -> tuple[Action, ...]:
        if not line:
            return ()
        space: Literal["actions", "pyautogui"] = "actions" if line[0] in "{[" else "pyautogui"
        _, actions = parse_reply(
            line,
            action_space=space,
            screen=(observation.width, observation.height),
            pointer=observation.cursor,
            names={},
            code_allowed=self._goal.code_allowed,
        )
        return tuple(actions)

    def _say(self, text: str, end: str = "\n") -> None:
        self._asks.write(text + end)
        self._asks.flush()
