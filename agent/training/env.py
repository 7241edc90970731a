"""`deskbench.Env`: one desktop at a time, with the names of Gymnasium's environments."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from operator import index
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self, SupportsIndex, TypedDict, Unpack

from deskbench.agent.base import Decision, Ending, Goal, Needs
from deskbench.agent.build import make_provider
from deskbench.agent.engines.attempt import plan_of, started, stopped
from deskbench.agent.episode import Ended, Peek, Plan, Playing, play
from deskbench.agent.runs.ledger import Result
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.training.reading import Replies, Sent, read
from deskbench.agent.training.recording import Attempt, Recorder, Scratch
from deskbench.agent.training.settings import Settings, prepared_for
from deskbench.envs.actions import nearest
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import DeskbenchError, EnvError, UsageError
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Observation
from deskbench.tasks.types import Score, Task


class Info(TypedDict, total=False):
    """What `reset` and `step` return beside the observation.

    Attributes:
        task, seed: the episode.
        instruction: what to do; a task of several parts has another one for each part.
        step, steps: decisions so far, and the most that are allowed.
        problem: why the text that was sent is not an action; nothing was carried out. None if it is one.
        masked: whether the episode has no score because the desktop or the task failed: do not learn from it.
        score: at the end the score with its reasons; with `partial_scores` also after each step.
        ending: how the episode ended (`deskbench.agent.base.Ending`); only at the end.
        error: why the episode is masked.
        folder: the folder of the episode's record, if there is one.
    """

    task: str
    seed: int
    instruction: str
    step: int
    steps: int
    problem: str | None
    masked: bool
    score: Score
    ending: str
    error: str
    folder: str


Step = tuple[Observation, float | None, bool, bool, Info]
"""Observation, reward (None if there is no score), terminated, truncated, information."""


ENDED_ITSELF = (Ending.DONE, Ending.FAILED)
"""Endings that what acts has chosen; all others cut the episode off."""


class House:
    """What the environments of one process share: tasks, warm desktops, the record.

    Raises:
        UsageError, StorageError: as `Env`.
    """

    def __init__(self, task: str | Path, settings: Settings, *, environments: int = 1) -> None:
        self.settings = settings
        self.prepared = prepared_for(task, settings)
        self.replies = Replies(settings["grammar"]) if settings.get("grammar") is not None else None  # type: ignore[arg-type]
        self.tasks = {one.key: one for one in self.prepared.tasks}
        provider = make_provider(self.prepared.config.provider)
        ahead = settings.get("warm", 1) if provider.capacity is None else 0
        self.pool = Pool(provider, ahead=ahead)
        folder = settings.get("record")
        try:
            self.recorder = Scratch() if folder is None else Recorder(Path(folder), self.prepared)
        except BaseException:
            self.pool.close()
            raise
        self.close = weakref.finalize(self, _close, self.pool, self.recorder)

    def find(self, name: str) -> Task:
        """A task by its key or its id.

        Raises:
            UsageError: names the nearest one.
        """
        name = str(name)
        found = self.tasks.get(name) or next((task for task in self.tasks.values() if task.id == name), None)
        if found is None:
            raise UsageError(f"no task {name!r}{nearest(name, self.tasks)}")
        return found

    def todo(self, seeds: Iterable[int]) -> Iterator[tuple[str, int]]:
        """As `Env.todo`."""
        scored = {(one.task, one.seed) for one in self.recorder.records() if one.score.value is not None}
        wanted = [(task, seed) for seed in seeds for task in self.tasks]
        return (one for one in wanted if one not in scored)


def _close(pool: Pool, recorder: Recorder | Scratch) -> None:
    try:
        pool.close()
    finally:
        recorder.close()


class Env:
    """A desktop with a task, to be driven from outside.

    ```python
    with deskbench.Env("basics/files-rename") as env:
        observation, info = env.reset(seed=0)
        observation, reward, terminated, truncated, info = env.step([deskbench.actions.Done()])
    ```

    No desktop starts before the first `reset`. Then one is always ready for the next one. One thread at a time uses an
    environment; another one may close it.

    Args:
        task: a task (`suite/id`), a suite, a task file or a folder; with several tasks, `reset` chooses by its seed.
        settings: see `Settings`.

    Raises:
        UsageError: a task or a setting is wrong, or this machine cannot run it; the message is one line.
        StorageError: the record cannot be written.
    """

    def __init__(self, task: str | Path, **settings: Unpack[Settings]) -> None:
        self._move_into(House(task, settings))

    @classmethod
    def sharing(cls, house: House) -> Self:
        """An environment that shares a house with others; closing the house is theirs to do."""
        env = cls.__new__(cls)
        env._move_into(house)
        return env

    def _move_into(self, house: House) -> None:
        self._house = house
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._random = Random()
        self._playing: Playing | None = None
        self._attempt: Attempt | None = None
        self._ended: Ended | None = None
        self._observation: Observation | None = None
        self._goal: Goal | None = None
        self._desktop: Desktop | None = None
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The keys of the tasks."""
        return tuple(self._house.tasks)

    @property
    def goal(self) -> Goal:
        """The instruction, the screen's size and the limits of the current episode.

        Raises:
            UsageError: no episode has begun.
        """
        if self._goal is None:
            raise UsageError("there is no episode yet: call reset() first")
        return self._goal

    @property
    def desktop(self) -> Desktop:
        """The desktop of the running episode, for what no action can do. What is done to it here is not recorded.

        Raises:
            UsageError: there is no running episode.
        """
        self._running()
        assert self._desktop is not None
        return self._desktop

    def todo(self, seeds: Iterable[int] = (0,)) -> Iterator[tuple[str, int]]:
        """The episodes, as task and seed, that have no score in the record yet; all of them if there is no record."""
        return self._house.todo(seeds)

    def recorded(self) -> list[EpisodeRecord]:
        """The recorded episodes that have ended, earlier processes' too; empty if there is no record."""
        return self._house.recorder.records()

    def reset(self, *, seed: int | None = None, task: str | None = None) -> tuple[Observation, Info]:
        """Begin an episode on a fresh desktop; one that is running is recorded as interrupted.

        Args:
            seed: the episode's seed, for the record, the agent and the choice of the task; drawn if not given.
            task: key or id of the task.

        Raises:
            UsageError: there is no such task, or the environment is closed.
            EnvError, CheckError: the desktop or the task's set-up failed, on every desktop that was tried.
        """
        with self._lock:
            if self._closing.is_set() or not self._house.close.alive:
                raise UsageError("the environment is closed")
            chosen, seed = self._chosen(task, seed)
            self._break_off()
            left = self._house.prepared.config.retries
            while isinstance(shown := self._begin(chosen, seed), Ended):
                if not left or self._closing.is_set() or not Result.of(shown.record).again:
                    raise _failure(shown)
                left -= 1
            return shown, self._info()

    def step(self, actions: Sent) -> Step:
        """Carry out one decision, and observe.

        Args:
            actions: an action, a list of actions, their JSON, a `Decision`, or with `grammar=` a model's reply. Text
                that is not an action is a step that does nothing; `info["problem"]` has the reason.

        Returns:
            Observation, reward, terminated, truncated, information. The reward is 0 before the end and the score at the
            end. Done and Fail terminate an episode; its limits truncate it.

        Raises:
            ActionError: it is not an action, or is off the screen; the episode goes on.
            UsageError: there is no running episode.
            EnvError, CheckError: there is no score, because the desktop or the check failed; not with
                `on_failure="mask"`.
        """
        with self._lock:
            observation, goal = self._running(), self.goal
            decision, problem = read(actions, self._house.replies, observation, goal)
            self._step += 1
            shown = self._send(decision)
            info = self._info(problem)
            if isinstance(shown, Observation) and self._house.settings.get("partial_scores"):
                observation, peeked = shown, self._send(Peek())
                if isinstance(peeked, Score):
                    info["score"] = peeked
                else:
                    shown = peeked
            if isinstance(shown, Ended):
                return self._last(shown, observation, info)
            assert isinstance(shown, Observation)
            return shown, 0.0, False, False, info

    def score(self) -> Score:
        """The score with its reasons: of the end state, or while an episode runs of the desktop as it is.

        Its value is None if there is no score, also for a running episode whose checks change the desktop.

        Raises:
            UsageError: there is no episode.
            EnvError: the desktop failed.
        """
        with self._lock:
            if self._ended is not None:
                return self._ended.score
            self._running()
            found = self._send(Peek())
            if isinstance(found, Ended):
                raise _failure(found)
            assert isinstance(found, Score)
            return found

    def close(self) -> None:
        """End the episode, as interrupted, and stop all desktops; a second call does nothing."""
        self.leave()
        self._house.close()

    def ask_to_end(self) -> None:
        """Let a running call end soon; no other one begins."""
        self._closing.set()

    def interrupt(self) -> None:
        """As `ask_to_end`, and stop the desktop of a call that runs in another thread: it need not be waited for."""
        self.ask_to_end()
        if self._lock.acquire(blocking=False):
            self._lock.release()
        elif (desktop := self._desktop) is not None:
            self._house.pool.stop(desktop)

    def leave(self) -> None:
        """End the episode, as interrupted; the desktops that the environment shares with others stay."""
        self.ask_to_end()
        with self._lock:
            self._break_off()

    def _chosen(self, name: str | None, seed: int | None) -> tuple[Task, int]:
        if seed is not None:
            seed = checked_seed(seed)
            self._random = Random(seed)
        chosen = seed if seed is not None else self._random.randrange(2**31)
        if name is not None:
            return self._house.find(name), chosen
        return Random(chosen).choice(list(self._house.tasks.values())), chosen

    def _begin(self, task: Task, seed: int) -> Observation | Ended:
        house, began = self._house, time.monotonic()
        self._step, self._ended, self._observation = 0, None, None
        self._attempt = house.recorder.begin(task.key, seed)
        plan = plan_of(house.prepared, task, self._attempt.episode, self._attempt.number)
        self._playing = self._played(plan, began)
        shown = self._send(None)
        assert not isinstance(shown, Score)
        return shown

    def _played(self, plan: Plan, began: float) -> Playing:
        """One episode, with a desktop that is stopped and a record that is closed when it ends, however it ends."""
        house, attempt = self._house, self._attempt
        assert attempt is not None
        record = None
        writer = house.recorder.writer(attempt)
        try:
            desktop = started(house.pool, house.prepared.spec(plan.task))
            self._desktop = None if isinstance(desktop, Exception) else desktop
            try:
                needs = house.settings.get("needs", Needs())
                ended = yield from play(
                    plan,
                    desktop,
                    writer,
                    needs=lambda: needs,
                    interrupted=self._closing.is_set,
                    reset_ms=(time.monotonic() - began) * 1e3,
                )
                record = ended.record
                return ended
            finally:
                self._desktop = None
                if not isinstance(desktop, Exception):
                    stopped(house.pool, desktop, writer)
        finally:
            writer.close()
            house.recorder.end(attempt, record)

    def _send(self, what: Decision | Peek | None) -> Observation | Score | Ended:
        """Go on until something has to be decided; a goal is kept."""
        assert self._playing is not None
        try:
            shown = self._playing.send(what)
            while isinstance(shown, Goal):
                self._goal = shown
                shown = self._playing.send(None)
        except StopIteration as end:
            self._playing, self._ended = None, end.value
            return self._ended
        except BaseException:
            self._playing = None
            raise
        if isinstance(shown, Observation):
            self._observation = shown
        return shown

    def _running(self) -> Observation:
        if self._playing is None:
            raise UsageError(
                "there is no episode yet: call reset() first"
                if self._goal is None
                else "the episode has ended: call reset() for the next one"
            )
        assert self._observation is not None
        return self._observation

    def _break_off(self) -> None:
        """End a running episode as interrupted."""
        if self._playing is not None:
            self._send(None)

    def _info(self, problem: str | None = None) -> Info:
        attempt, goal = self._attempt, self._goal
        assert attempt is not None
        info = Info(
            task=attempt.episode.task, seed=attempt.episode.seed, step=self._step, problem=problem, masked=False
        )
        if goal is not None:
            info["instruction"] = goal.instruction
        if isinstance(self._house.recorder, Recorder):
            info["folder"] = str(attempt.folder)
        return info

    def _last(self, ended: Ended, before: Observation, info: Info) -> Step:
        """The last step of an episode.

        Raises:
            EnvError, CheckError: it has no score, and that is not to be masked.
        """
        value, ending = ended.score.value, ended.record.ending
        masked = value is None
        if masked and self._house.settings.get("on_failure", "raise") == "raise":
            raise _failure(ended)
        info |= Info(score=ended.score, ending=ending.value, masked=masked)
        if masked:
            info["error"] = ended.score.reason
        truncated = ending not in ENDED_ITSELF
        return ended.observation or before, value, not truncated, truncated, info


def checked_seed(seed: SupportsIndex) -> int:
    """A seed as a whole number.

    Raises:
        UsageError: it is not a whole number, or a record cannot hold it.
    """
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise UsageError(f"seed is {seed!r}; it must be a whole number from 0 to 2**63 - 1")
    return number


def _failure(ended: Ended) -> Exception:
    """The error of an episode that has no score, or that ended before its first step."""
    if ended.score.value is not None:
        return EnvError(f"the episode ended before its first step: {ended.record.ending}")
    if isinstance(ended.error, DeskbenchError):
        return ended.error
    error = EnvError(ended.score.reason)
    error.__cause__ = ended.error
    return error
