"""inspect_ai: a sandbox for its own `computer()` tool, and a task for any suite of ours (extra `inspect`).

Providers use their native computer use only for inspect's own tool. That tool runs a script in the sandbox; this
sandbox takes the script's arguments as an action of an episode, so limits, records and scores are those of `Env`.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from deskbench.agent.harnesses import require

require("inspect-ai", "inspect", (0, 3, 285), (0, 4))

import anyio
import anyio.to_thread
from inspect_ai import Task, task
from inspect_ai.agent import AgentPrompt, AgentSubmit, react
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState
from inspect_ai.tool import computer
from inspect_ai.util import (
    ExecResult,
    SandboxEnvironment,
    SandboxEnvironmentSpec,
    SandboxUserUnsupportedError,
    sandbox,
    sandboxenv,
)
from pydantic import BaseModel, ConfigDict

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.calls import Call
from deskbench.agent.replies.endings import ended
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.vocabularies import VOCABULARIES
from deskbench.agent.replies.vocabulary import to_actions
from deskbench.agent.training.env import Env, House, Info, Step
from deskbench.agent.training.settings import Settings, prepared_for
from deskbench.envs.types import Action, ActionError, CursorPosition, Done, Observation, Zoom

SCRIPT = "/opt/inspect/tool/computer_tool.py"
"""Where the tool looks for its script (inspect_ai/tool/_tools/_computer/_common.py, 0.3.285)."""
LENGTHS = {"coordinate": 2, "start_coordinate": 2, "region": 4}
"""How many values an option of the script has, if not one."""
TEXTS = ("text", "scroll_direction")
"""Options whose value is no number."""
WIDTH, HEIGHT = 1366, 768
"""The screen that inspect tells Claude and Gemini of (inspect_ai/model/_providers/anthropic.py and
_google_computer_use.py, 0.3.285); with another one their points would be off."""
ROLE = """You use a desktop through the tool `computer`: it shows you the screen, and moves the mouse and keyboard.
Nobody answers questions. If you are sure that the task cannot be done on this desktop, submit [INFEASIBLE]."""
Found = TypeVar("Found")


class Desktops(BaseModel):
    """The tasks of an evaluation and the desktops for them; the fields are settings of `deskbench.Env`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    provider: str = "local"
    max_steps: int | None = None
    max_seconds: float | None = None
    width: int = WIDTH
    height: int = HEIGHT
    network: bool = False
    isolated: bool = True
    record: str | None = None
    name: str = "inspect"

    def settings(self) -> Settings:
        """Them as settings of an environment."""
        given: Any = self.model_dump(exclude={"source"}, exclude_none=True) | {"on_failure": "mask"}
        settings: Settings = given
        return settings


@sandboxenv(name="deskbench")
class DesktopSandbox(SandboxEnvironment):  # type: ignore[misc]
    """One sample's desktop. It answers the computer tool, and gives the model no other access."""

    houses: dict[Desktops, House] = {}  # noqa: RUF012  (inspect makes no object for an evaluation)
    begun: Counter[tuple[Desktops, str]] = Counter()  # noqa: RUF012

    def __init__(self, env: Env, observation: Observation) -> None:
        super().__init__()
        self._env, self._shown = env, observation
        self._last: Step | None = None
        self._lock = anyio.Lock()

    @classmethod
    async def task_init(cls, task_name: str, config: Any) -> None:
        """Read the tasks and make the pool of desktops."""
        cls.houses[config] = await anyio.to_thread.run_sync(partial(House, config.source, config.settings()))

    @classmethod
    async def task_cleanup(cls, task_name: str, config: Any, cleanup: bool) -> None:
        """Stop all desktops."""
        if (house := cls.houses.pop(config, None)) is not None:
            await anyio.to_thread.run_sync(house.close)

    @classmethod
    async def sample_init(cls, task_name: str, config: Any, metadata: dict[str, Any]) -> dict[str, SandboxEnvironment]:
        """Begin the sample's episode; its nth one (an epoch) has the seed n - 1."""
        key = metadata["task"]
        seed = cls.begun[config, key]
        cls.begun[config, key] += 1
        env: Env = Env.sharing(cls.houses[config])
        observation, _ = await anyio.to_thread.run_sync(partial(env.reset, seed=seed, task=key))
        return {"default": cls(env, observation)}

    @classmethod
    async def sample_cleanup(
        cls, task_name: str, config: Any, environments: dict[str, SandboxEnvironment], interrupted: bool
    ) -> None:
        """End the episode if it still runs."""
        for one in environments.values():
            await one.as_type(cls)._do(one.as_type(cls)._env.leave)

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """The settings of an evaluation that is tried again from its log."""
        return Desktops(**config)

    async def exec(
        self, cmd: list[str], input: str | bytes | None = None, cwd: str | None = None, env: Any = None,
        user: str | None = None, timeout: int | None = None, timeout_retry: bool = True, concurrency: bool = True,
    ) -> ExecResult[str]:  # fmt: skip
        """Carry out a call of the computer tool; other commands fail, and so do calls after its end."""
        if user is not None:
            raise SandboxUserUnsupportedError("this desktop runs no commands")
        if cmd[:2] != ["python3", SCRIPT]:
            return ExecResult(False, 126, "", "this desktop runs no commands: use the computer tool")
        try:
            actions = self._read(cmd[2:])
        except (ReplyError, ActionError) as error:
            return _told(error=str(error))
        if self._last is None:
            step = await self._do(partial(self._env.step, actions))
            self._shown = step[0]
            if step[2] or step[3]:
                self._last = step
        if self._last is not None:
            return _told(error=_over(self._last[4]))
        return _answer(actions, self._shown)

    async def read_file(self, file: str, text: bool = True) -> Any:
        """Nothing but the script can be read, and it is empty."""
        if file != SCRIPT:
            raise FileNotFoundError(file)
        return "" if text else b""

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Nothing can be written: set-up belongs into the task."""
        raise PermissionError(f"{file}: files come from the task's own set-up")

    async def finish(self, answer: str) -> Step:
        """The episode's last step: with the answer, unless it is over already."""
        if self._last is None:
            said = answer.strip()
            self._last = await self._do(partial(self._env.step, ended(said) or Done(said or None)))
        return self._last

    def _read(self, words: list[str]) -> list[Action]:
        space = Space("screen", (size := (self._shown.width, self._shown.height)), size)
        return to_actions([_call(words)], VOCABULARIES["inspect"], space, self._shown.cursor)

    async def _do(self, call: Callable[[], Found]) -> Found:
        async with self._lock:
            found: Found = await anyio.to_thread.run_sync(call)
            return found


def _call(words: Sequence[str]) -> Call:
    """The call that the script's arguments say."""
    name, *rest = words
    arguments: dict[str, Any] = {}
    while rest:
        option, equals, value = rest.pop(0).removeprefix("--").partition("=")
        count = LENGTHS.get(option, 1)
        values = [value] if equals else [rest.pop(0) for _ in range(count)]
        read: list[Any] = values if option in TEXTS else [int(one) for one in values]
        arguments[option] = read if count > 1 else read[0]
    return Call(name, arguments)


def _answer(actions: Sequence[Action], shown: Observation) -> ExecResult[str]:
    """What the script would print for actions that were carried out."""
    wrong = next((one.error for one in shown.results if not one.ok), None)
    if wrong is not None:
        return _told(error=wrong)
    if any(isinstance(one, CursorPosition) for one in actions):
        return _told(output=f"X={shown.cursor[0]},Y={shown.cursor[1]}")
    if shown.screenshot is None:
        return _told(error="there is no picture of the screen")
    png = shown.screenshot.png
    for one in actions:
        if isinstance(one, Zoom):
            png = _part(shown, one)
    return _told(base64_image=base64.b64encode(png).decode())


def _part(shown: Observation, zoom: Zoom) -> bytes:
    assert shown.screenshot is not None
    written = io.BytesIO()
    shown.screenshot.image.crop(zoom.region).save(written, "PNG")
    return written.getvalue()


def _told(**fields: str) -> ExecResult[str]:
    """A result as the script prints it: `output`, `error`, `base64_image`."""
    return ExecResult(True, 0, json.dumps(fields), "")


def _over(info: Info) -> str:
    """What the model is told once its episode is over."""
    return f"the episode is over ({info.get('error') or info['ending']}): call submit"


@scorer(metrics=[mean(), stderr(cluster="cluster")])  # type: ignore[untyped-decorator]
def desktop_score() -> Any:
    """The score of the end state, from 0 to 1, with the reasons of its checks.

    A sample without a score, because the desktop or the check failed, is unscored and its reason is the ending.
    """

    async def score(state: TaskState, target: Target) -> Score:
        said = state.output.completion
        _, value, _, _, info = await sandbox().as_type(DesktopSandbox).finish(said)
        metadata: dict[str, Any] = {name: info[name] for name in ("seed", "ending", "folder") if name in info}
        if value is None:
            return Score.unscored(reason=info["ending"], answer=said, explanation=info["error"], metadata=metadata)
        found = info["score"]
        metadata["checks"] = [check.model_dump(mode="json") for check in found.checks]
        return Score(value=value, answer=said, explanation=found.reason, metadata=metadata)

    return score


@task  # type: ignore[untyped-decorator]
def suite(
    source: str = "basics",
    provider: str = "local",
    max_steps: int | None = None,
    record: str | None = None,
    network: bool = False,
    max_screenshots: int | None = 3,
) -> Task:
    """A suite, a task, a task file or a folder of ours, for a model with the computer tool.

    Args:
        source: as `deskbench run` takes it.
        provider: where desktops come from.
        max_steps: calls of the tool, instead of each task's own limit.
        record: a run folder for the episodes.
        network: tasks that require the network get it.
        max_screenshots: how many pictures the model keeps.

    Raises:
        UsageError: the source or a setting is wrong; the message is one line.
    """
    desktops = Desktops(source=source, provider=provider, max_steps=max_steps, record=record, network=network)
    tasks = prepared_for(source, desktops.settings()).tasks
    samples = [
        Sample(id=one.key, input=one.instruction, metadata={"task": one.key, "cluster": one.key.partition("@")[0]})
        for one in tasks
    ]
    submit = AgentSubmit(
        description="Say that you are done, with the answer if the task asks for one.", answer_only=True
    )
    agent = react(
        prompt=AgentPrompt(instructions=ROLE), tools=[computer(max_screenshots=max_screenshots)], submit=submit
    )
    return Task(
        dataset=samples,
        solver=agent,
        scorer=desktop_score(),
        sandbox=SandboxEnvironmentSpec("deskbench", desktops),
        fail_on_error=False,
    )
