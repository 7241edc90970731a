"""`deskbench.VectorEnv`: several desktops at once, each in a thread, over one pool and one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar, Unpack

from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.training.env import Env, House, Info, Step, checked_seed
from deskbench.agent.training.reading import Sent
from deskbench.agent.training.settings import Settings
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Observation
from deskbench.tasks.types import Score

Found = TypeVar("Found")


class VectorEnv:
    """Several environments that step at the same time.

    Nothing is reset on its own: `reset(only=...)` begins new episodes where old ones have ended. With several
    desktops one that fails should not stop the others, so `on_failure` is `mask` unless told otherwise.

    Args:
        task, settings: as for `Env`; `warm` is one desktop for every four environments unless told otherwise.
        count: how many environments.

    Raises:
        UsageError, StorageError: as `Env`; or the provider cannot have that many desktops.
    """

    def __init__(self, task: str | Path, count: int, **settings: Unpack[Settings]) -> None:
        if count < 1:
            raise UsageError(f"count is {count}; it must be 1 or more")
        settings.setdefault("on_failure", "mask")
        settings.setdefault("warm", max(1, count // 4))
        self._house = House(task, settings)
        capacity = self._house.pool.capacity
        if capacity is not None and count > capacity:
            self._house.close()
            raise UsageError(f"count is {count}; the provider {self._house.pool.name} has {capacity} desktops at most")
        self.envs = tuple(Env.sharing(self._house) for _ in range(count))
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="env")
        self._sent: set[int] = set()
        self._made: SimpleQueue[tuple[int, Future[Step]]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many environments it has."""
        return len(self.envs)

    @property
    def tasks(self) -> tuple[str, ...]:
        """As `Env.tasks`."""
        return tuple(self._house.tasks)

    def todo(self, seeds: Iterable[int] = (0,)) -> Iterator[tuple[str, int]]:
        """As `Env.todo`."""
        return self._house.todo(seeds)

    def recorded(self) -> list[EpisodeRecord]:
        """As `Env.recorded`."""
        return self._house.recorder.records()

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        task: str | Sequence[str] | None = None,
        only: Iterable[int] | None = None,
    ) -> tuple[list[Observation], list[Info]]:
        """Begin episodes, in all environments or in those whose numbers are given, in this order.

        Args:
            seed: one for each environment that is reset, or a number that the first gets and the others count on from.
            task: one for all, or one for each.
            only: the numbers of the environments, from 0.

        Raises:
            UsageError, EnvError, CheckError: as `Env.reset`, when all have ended.
        """
        chosen = list(range(len(self.envs)) if only is None else only)
        seeds: Sequence[int | None] = (
            [None] * len(chosen)
            if seed is None
            else (seed if isinstance(seed, Sequence) else [checked_seed(seed) + place for place in range(len(chosen))])
        )
        tasks: Sequence[str | None] = [task] * len(chosen) if task is None or isinstance(task, str) else task
        for name, given in (("seed", seeds), ("task", tasks)):
            if len(given) != len(chosen):
                raise UsageError(f"reset() got {len(given)} of {name} for {len(chosen)} environments")

        def begin(place: int) -> tuple[Observation, Info]:
            return self.envs[chosen[place]].reset(seed=seeds[place], task=tasks[place])

        found = self._each(begin, range(len(chosen)))
        return [one[0] for one in found], [one[1] for one in found]

    def step(self, actions: Sequence[Sent | None]) -> list[Step | None]:
        """Step all environments at the same time; None leaves one as it is, and its result is None.

        Raises:
            ActionError, UsageError: as `Env.step`, when all have ended.
        """
        if len(actions) != len(self.envs):
            raise UsageError(f"step() got {len(actions)} actions for {len(self.envs)} environments")

        def go(place: int) -> Step | None:
            sent = actions[place]
            return None if sent is None else self.envs[place].step(sent)

        return self._each(go, range(len(self.envs)))

    def send(self, place: int, actions: Sent) -> None:
        """Begin a step of one environment; `receive` has its result. So no desktop waits for a slower one.

        Raises:
            UsageError: there is no such environment, or it already makes a step.
        """
        if not 0 <= place < len(self.envs):
            raise UsageError(f"send() got the number {place}; there are {len(self.envs)} environments, from 0")
        if place in self._sent:
            raise UsageError(f"environment {place} already makes a step: receive() its result first")
        self._sent.add(place)
        step = self._threads.submit(self.envs[place].step, actions)
        step.add_done_callback(lambda done: self._made.put((place, done)))

    def receive(self) -> tuple[int, Step]:
        """The next step that has been made: the environment's number and the result; waits for it.

        Raises:
            ActionError, UsageError: as `Env.step`, or no environment makes a step.
        """
        if not self._sent:
            raise UsageError("receive() has nothing to wait for: send() actions first")
        place, step = self._made.get()
        self._sent.discard(place)
        return place, step.result()

    def score(self) -> list[Score]:
        """As `Env.score`, of each."""
        return self._each(lambda place: self.envs[place].score(), range(len(self.envs)))

    def close(self) -> None:
        """End all episodes, as interrupted, and stop all desktops; a second call does nothing."""
        for env in self.envs:
            env.ask_to_end()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for env in self.envs:
            env.leave()
        self._house.close()

    def _each(self, call: Callable[[int], Found], places: Iterable[int]) -> list[Found]:
        """The results of a call for each; an error is raised when all have ended."""
        running: list[Future[Found]] = [self._threads.submit(call, place) for place in places]
        wait(running)
        return [one.result() for one in running]
