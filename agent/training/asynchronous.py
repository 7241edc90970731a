"""`deskbench.AsyncEnv`: an environment for asyncio, with the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, Unpack

from deskbench.agent.base import Goal
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.training.env import Env, Info, Step
from deskbench.agent.training.reading import Sent
from deskbench.agent.training.settings import Settings
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Observation
from deskbench.tasks.types import Score

Found = TypeVar("Found")


class AsyncEnv:
    """As `Env`, in a thread of its own, so that the event loop goes on meanwhile.

    A call that is cancelled is finished in the thread, and its result is dropped: call `reset` next, or `close`.

    Args:
        task, settings: as for `Env`.

    Raises:
        UsageError, StorageError: as `Env`.
    """

    def __init__(self, task: str | Path, **settings: Unpack[Settings]) -> None:
        self._env = Env(task, **settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="env")
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def tasks(self) -> tuple[str, ...]:
        """As `Env.tasks`."""
        return self._env.tasks

    @property
    def goal(self) -> Goal:
        """As `Env.goal`."""
        return self._env.goal

    @property
    def desktop(self) -> Desktop:
        """As `Env.desktop`."""
        return self._env.desktop

    def todo(self, seeds: Iterable[int] = (0,)) -> Iterator[tuple[str, int]]:
        """As `Env.todo`."""
        return self._env.todo(seeds)

    def recorded(self) -> list[EpisodeRecord]:
        """As `Env.recorded`."""
        return self._env.recorded()

    async def reset(self, *, seed: int | None = None, task: str | None = None) -> tuple[Observation, Info]:
        """As `Env.reset`."""
        return await self._do(lambda: self._env.reset(seed=seed, task=task))

    async def step(self, actions: Sent) -> Step:
        """As `Env.step`."""
        return await self._do(lambda: self._env.step(actions))

    async def score(self) -> Score:
        """As `Env.score`."""
        return await self._do(self._env.score)

    async def close(self) -> None:
        """As `Env.close`; a call that still runs is asked to end."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._env.close))

    async def _do(self, call: Callable[[], Found]) -> Found:
        if self._closed:
            raise UsageError("the environment is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
