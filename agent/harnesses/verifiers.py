"""verifiers: any suite of ours as a taskset, for `vf-eval`, `vf-validate` and its trainers (extra `verifiers`).

The model plays an interaction: a turn shows it the screen with the prompt of its family, and its reply is a step of
`deskbench.Env`, which runs beside verifiers and not in its runtime. verifiers finds the classes in `agent/_verifiers`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from deskbench.agent.harnesses import require

require("verifiers", "verifiers", (0, 4), (0, 5))

import verifiers.v1 as vf
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic import Field, model_validator
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.utils.aio import run_shielded

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.scripted import OracleAgent
from deskbench.agent.base import Decision, Goal, Needs, ReplyError
from deskbench.agent.models.messages import Text
from deskbench.agent.models.wires.base import Request
from deskbench.agent.models.wires.chat import ChatWire
from deskbench.agent.training.env import Env, House, Info
from deskbench.agent.training.reading import Replies, Sent
from deskbench.agent.training.settings import Settings, prepared_for
from deskbench.envs.errors import CheckError, DeskbenchError, EnvError
from deskbench.envs.types import Done, Observation
from deskbench.tasks.types import Task

RESULT = "desktop"
"""Where a trace's `info` has the result of the episode."""
OF_AN_ENV = (
    "provider", "grammar", "max_steps", "max_seconds", "width", "height", "network", "isolated", "record",
)  # fmt: skip
"""Fields of the configuration that are settings of `deskbench.Env`."""
OF_AN_EPISODE = ("grammar", "max_steps", "max_seconds", "record")
"""Those that concern a model's episodes only."""
NOBODY = "http://127.0.0.1"
"""An address for a family's agent that makes turns only: with the vendor's, it would need the vendor's key."""
Found = TypeVar("Found")
Act = Callable[[Observation], Sent]


# Settings and tasks.


class DesktopTaskConfig(vf.TaskConfig):  # type: ignore[misc]
    """How tasks are played: `--env.taskset.task.*`."""

    provider: str = "local"
    """Where desktops come from, as `deskbench run --provider` takes it."""
    grammar: str = "prompt-agent-computer-13"
    """The family whose prompt the model gets and whose replies are read (`deskbench models`), or a profile's path."""
    desktops: int = Field(1, ge=1)
    """Desktops at once; other episodes wait."""
    max_steps: int | None = Field(None, ge=1)
    """Steps of an episode, instead of each task's own limit."""
    max_seconds: float | None = Field(None, gt=0)
    """Seconds of an episode, instead of each task's own limit."""
    width: int = 1280
    """Width of the screen in pixels."""
    height: int = 800
    """Height of the screen in pixels."""
    network: bool = False
    """Tasks that require the network get it."""
    isolated: bool = True
    """False runs the local provider's desktops without a sandbox."""
    record: str | None = None
    """A run folder for the episodes."""
    seed: int = Field(0, ge=0)
    """Seed of the first episode of each task; its next one has the next seed."""

    def settings(self) -> Settings:
        """The settings of a model's episodes."""
        given: Any = self.model_dump(include={*OF_AN_ENV}, exclude_none=True) | {"name": "verifiers"}
        settings: Settings = given
        return settings

    def trial(self) -> Settings:
        """The settings of an episode that no model plays. Oracles look for their targets in the accessibility tree."""
        given: Any = {name: value for name, value in self.settings().items() if name not in OF_AN_EPISODE}
        settings: Settings = given | {"needs": Needs(accessibility=True), "warm": 0}
        return settings


class DesktopTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which tasks: `--env.taskset.*`."""

    source: str = "basics"
    """A suite, a task (`suite/task`), a task file or a folder."""
    task: DesktopTaskConfig = DesktopTaskConfig()

    @model_validator(mode="after")
    def _checked(self) -> DesktopTasksetConfig:
        """What a user has set is checked here, because verifiers shows mistakes of a configuration without a traceback.

        Raises:
            ValueError: one line.
        """
        if self.model_fields_set & {"source", "task"}:
            try:
                Replies(self.task.grammar)
                prepared_for(self.source, self.task.settings())
            except DeskbenchError as error:
                raise ValueError(str(error)) from None
        return self


class DesktopData(vf.TaskData):  # type: ignore[misc]
    """A task; `name` is its key, `description` its instruction. There is no prompt, because the screen comes first."""

    source: str


class DesktopTask(vf.Task[DesktopData, vf.State, DesktopTaskConfig]):  # type: ignore[misc]
    """A task of ours, its score and its proof."""

    @property
    def key(self) -> str:
        """The task's key, which stays the same if other tasks join the source."""
        return str(self.data.name)

    @vf.reward  # type: ignore[untyped-decorator]
    async def desktop_score(self, trace: Any) -> float:
        """The score of the episode's end state, 0 to 1; before any turn of a model, that of an untouched desktop.

        Raises:
            TaskError, SandboxError: there is no score.
        """
        if RESULT in trace.info:
            return float(trace.info[RESULT]["score"])
        if trace.num_turns:
            raise vf.TaskError(f"{self.key} was played without a desktop: only the taskset's own environment has them")
        score = await self._tried(lambda task: lambda observation: [Done()])
        assert score is not None
        return score

    async def validate(self, runtime: Any) -> bool | None:
        """Whether the task's oracle scores 1 on a fresh desktop; None if the task has no oracle.

        Raises:
            TaskError: the oracle's target is not there, or a check failed.
            SandboxError: the desktop failed.
        """
        score = await self._tried(lambda task: OracleAgent(task.oracle).act if task.oracle else None)
        return None if score is None else score == 1.0

    async def _tried(self, player: Callable[[Task], Act | None]) -> float | None:
        """The score of an episode without a model, or None if there is nobody to play it."""
        source, config = self.data.source, self.config
        async with desktops_for(source, config.trial(), config.desktops) as desktops:
            house = await desktops.open()
            act = player(house.find(self.key))
            if act is None:
                return None
            async with desktops.desktop() as env:
                return await desktops.do(partial(_played, env, self.key, config.seed, act))


class DesktopTaskset(vf.Taskset[DesktopTask, DesktopTasksetConfig]):  # type: ignore[misc]
    """The tasks of a source that the provider's desktops can run."""

    def load(self) -> Iterator[DesktopTask]:
        """Read them.

        Raises:
            UsageError: the source or a setting is wrong; the message is one line.
        """
        config = self.config
        for one in prepared_for(config.source, config.task.settings()).tasks:
            data = DesktopData(id=one.key, name=one.key, description=one.instruction, source=config.source)
            yield DesktopTask(data, config.task)


def _played(env: Env, task: str, seed: int, act: Act) -> float | None:
    """The score of an episode whose steps `act` chooses."""
    observation, _ = env.reset(seed=seed, task=task)
    over, value = False, None
    while not over:
        observation, value, terminated, truncated, _ = env.step(act(observation))
        over = terminated or truncated
    return value


# Desktops.


class Desktops:
    """The desktops of this process for one source and its settings."""

    def __init__(self, source: str, settings: Settings, count: int) -> None:
        self.users = 0
        self._make = partial(House, source, settings)
        self._house: asyncio.Future[House] | None = None
        self._gate = asyncio.Semaphore(count)
        self._threads = ThreadPoolExecutor(2 * count, thread_name_prefix="verifiers")  # a call and its interruption

    async def open(self) -> House:
        """Read the tasks and make the pool of desktops, once.

        Raises:
            UsageError, StorageError: as `Env`.
        """
        if self._house is None:
            self._house = asyncio.ensure_future(self.do(self._make))
        return await asyncio.shield(self._house)

    @asynccontextmanager
    async def desktop(self) -> AsyncIterator[Env]:
        """An environment for one episode; waits until a desktop is free, and ends the episode however it is left."""
        async with self._gate:
            env: Env = Env.sharing(await self.open())
            try:
                yield env
            finally:
                await run_shielded(self.do(partial(_leave, env)))

    async def do(self, call: Callable[[], Found]) -> Found:
        """Make a call in a thread, with verifiers' errors for ours: it records these as no fault of the model's.

        Raises:
            SandboxError: a desktop failed.
            TaskError: a check or an oracle failed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except EnvError as error:
            raise vf.SandboxError(str(error)) from error
        except CheckError as error:
            raise vf.TaskError(str(error)) from error

    async def close(self) -> None:
        """Stop all desktops."""
        if self._house is not None and not self._house.cancelled() and self._house.exception() is None:
            await self.do(self._house.result().close)
        self._threads.shutdown(wait=False)


def _leave(env: Env) -> None:
    env.interrupt()
    env.leave()


_OPEN: dict[str, Desktops] = {}


@asynccontextmanager
async def desktops_for(source: str, settings: Settings, count: int) -> AsyncIterator[Desktops]:
    """Desktops that all who need the same ones at a time share; the last one who leaves stops them."""
    key = repr((source, count, sorted(settings.items(), key=lambda one: one[0])))
    found = _OPEN.get(key) or _OPEN.setdefault(key, Desktops(source, settings, count))
    found.users += 1
    try:
        yield found
    finally:
        found.users -= 1
        if not found.users:
            del _OPEN[key]
            await run_shielded(found.close())


# Episodes.


class DesktopHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
    """Asks the model once per turn, from this process: no program has to be installed, and no runtime prepared."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self, ctx: Any, trace: Any, runtime: Any, endpoint: str, secret: str, mcp_urls: dict[str, str], data: Any
    ) -> Any:
        """Send the conversation to verifiers' server, which chooses the model and the sampling, and keeps the reply."""
        system, prompt = self.resolve_prompt(data)
        turns = [vf.UserMessage(content=prompt)] if isinstance(prompt, str) else prompt or []
        messages: Any = [message_to_wire(one) for one in turns]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        own = DefaultAsyncHttpxClient(trust_env=False)  # the server is on this machine: no proxy
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, timeout=None, http_client=own) as client:
            completion = await client.chat.completions.create(model=ctx.model, messages=messages)
        return vf.ProgramResult(exit_code=0, stdout=completion.choices[0].message.content or "", stderr="")


class DesktopEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """The model is the `player`: `--env.player.*`. Nothing of it runs in the runtime, so that is this process's own."""

    player: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class DesktopEnv(vf.Env[DesktopEnvConfig]):  # type: ignore[misc]
    """Plays each task on a fresh desktop."""

    def __init__(self, config: DesktopEnvConfig) -> None:
        super().__init__(config)
        self._stack = AsyncExitStack()
        self._begun: Counter[str] = Counter()

    async def start(self) -> None:
        """Read the tasks and make the pool of desktops.

        Raises:
            UsageError, StorageError: a setting is wrong, or the record cannot be written.
        """
        chosen = self.config.taskset
        found = desktops_for(chosen.source, chosen.task.settings(), chosen.task.desktops)
        self._desktops = await self._stack.enter_async_context(found)
        await self._desktops.open()

    async def stop(self) -> None:
        """Stop all desktops."""
        await self._stack.aclose()

    async def run(self, task: Any, agents: Any) -> None:
        """One episode: the model's replies are the steps until the task's or the model's limits.

        Raises:
            SandboxError, TaskError: there is no score, because the desktop or a check failed.
        """
        seed = task.config.seed + self._begun[task.key]
        self._begun[task.key] += 1
        async with self._desktops.desktop() as env, agents.player.interaction(task) as talk:
            await _Episode(self._desktops, env, task, talk).play(seed)


class _Episode:
    """One model on one desktop."""

    def __init__(self, desktops: Desktops, env: Env, task: Any, talk: Any) -> None:
        self._desktops, self._env, self._task, self._talk = desktops, env, task, talk
        self._family = Family(task.config.grammar, system=task.data.system_prompt is None)
        self._malformed = 0

    async def play(self, seed: int) -> None:
        """Play it, and put its result into the trace."""
        do, env, trace = self._desktops.do, self._env, self._talk.trace
        observation, info = await do(partial(env.reset, seed=seed, task=self._task.key))
        stopped = over = False
        while not over:
            if not stopped:
                turns = await do(partial(self._family.turns, observation, env.goal, info["problem"]))
                segment = await self._talk.turn(turns)
                stopped = segment.terminated
            if stopped and trace.errors:
                return  # the model's endpoint failed, and the trace says how
            if stopped:  # by a limit of verifiers': the desktop is scored as it is
                sent: Sent = Decision((Done(),), notes=({"what": "stopped", "why": trace.stop_condition},))
            else:
                sent = reply = segment.last_reply
                await do(partial(self._family.hear, reply, observation))
            observation, value, terminated, truncated, info = await do(partial(env.step, sent))
            self._malformed += info["problem"] is not None
            over = terminated or truncated
        self._told(value, info)

    def _told(self, value: float | None, info: Info) -> None:
        trace, score = self._talk.trace, info["score"]
        result: dict[str, Any] = {"score": value, "reason": score.reason}
        result |= {name: found for name, found in info.items() if name in ("ending", "seed", "folder")}
        trace.info[RESULT] = result | {"checks": [check.model_dump(mode="json") for check in score.checks]}
        trace.record_metrics({"steps": info["step"], "malformed": self._malformed})
        trace.stop(info["ending"])


class Family:
    """What a model of a family is told.

    The conversation only grows, so that it is one sample for a trainer: no family's limit of pictures applies.

    Args:
        name: the family.
        system: whether the family's system prompt is sent.
    """

    def __init__(self, name: str, *, system: bool) -> None:
        self._agent = FamilyAgent.from_settings({"profile": name, "base_url": NOBODY})
        self._single = self._agent.profile.history.shape == "single"
        self._system = system
        self._goal: Goal | None = None

    def turns(self, observation: Observation, goal: Goal, problem: str | None) -> list[dict[str, Any]]:
        """The turns about an observation, as chat completions have them: the system prompt only at first.

        Raises:
            EnvError: there is no picture of the screen.
        """
        first, another = self._goal is None, goal is not self._goal
        if another or self._single:  # a family with one turn would repeat all that the conversation has
            self._agent.start(goal)
        self._goal = goal
        messages = self._agent.turn(observation).messages
        if first:
            messages = [one for one in messages if self._system or one.role != "system"]
        else:
            said = [Text(goal.instruction)] if another else []
            said += [Text(f"Your last reply was no action, and nothing was done. {problem}")] if problem else []
            messages = [replace(messages[-1], parts=(*said, *messages[-1].parts))]
        found: list[dict[str, Any]] = ChatWire().body(Request("", messages))["messages"]
        return found

    def hear(self, reply: str, observation: Observation) -> None:
        """Remember a reply, unless it is no action: some families are told their earlier steps."""
        with suppress(ReplyError):
            self._agent.hear(observation, reply)
