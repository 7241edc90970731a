"""Tasks for the desktop in memory, agents and providers with faults, all real classes that a run can be told to use."""

import itertools
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from PIL.Image import DecompressionBombError

from deskbench.agent.base import AgentError, Decision, Goal, ModelError, ModelFatal, Needs, Usage
from deskbench.agent.build import Prepared, prepare
from deskbench.agent.config import RunConfig
from deskbench.agent.episode import Plan
from deskbench.envs import wait
from deskbench.envs.desktop import Check, Desktop, DesktopSpec
from deskbench.envs.errors import GuestTimeout, StartError
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.types import Action, Done, Fail, Key, Observation, Type
from deskbench.envs.wire import Observe
from deskbench.tasks.load import load
from deskbench.tasks.types import Task

WRITE: list[Action] = [Type("hello"), Key(("ctrl", "s"))]


def write_task(folder: Path, name: str, **changes: Any) -> Path:
    """A task for the editor in memory: write hello and save."""
    value = {
        "id": name,
        "instruction": "Write hello and save.",
        "config": [{"type": "launch", "parameters": {"command": ["editor", "~/note.txt"]}}],
        "evaluator": {
            "func": "exact_match",
            "result": {"type": "vm_command_line", "command": ["cat", "/home/user/note.txt"]},
            "expected": {"type": "rule", "rules": {"expected": "hello"}},
        },
        "oracle": [
            {"type": "type", "text": "hello"},
            {"type": "click", "target": {"role": "push-button", "name": "Save"}},
        ],
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))
    return path


def write_suite(folder: Path, count: int = 3) -> Path:
    """`count` feasible tasks and one that is infeasible."""
    for index in range(count):
        write_task(folder, f"write-{index}")
    write_task(folder, "impossible", evaluator={"func": "infeasible"}, oracle=[{"type": "fail"}])
    return folder


def task(folder: Path, **changes: Any) -> Task:
    return load(write_task(folder / "paper", "write", **changes))[0]


def plan(one: Task, assets: Path, **changes: Any) -> Plan:
    return Plan(one, agent_name="test", provider_name="fake", assets=assets, **changes)


def prepared(source: Path, **changes: Any) -> Prepared:
    return prepare(RunConfig(source=str(source), **{"agent": "oracle", "provider": "fake", **changes}))


class Script:
    """An agent that answers what it is given: actions, or an error to raise."""

    name = "script"

    def __init__(self, *answers: Sequence[Action] | Exception, needs: Needs | None = None, cost: float | None = None):
        self.answers = list(answers)
        self.needs = needs or Needs()
        self.cost = cost
        self.seen: list[Observation] = []
        self.goal: Goal | None = None
        self.closed = False

    def start(self, goal: Goal) -> None:
        self.goal = goal

    def act(self, observation: Observation) -> Decision:
        self.seen.append(observation)
        answer = self.answers.pop(0) if self.answers else ()
        if isinstance(answer, Exception):
            raise answer
        return Decision(tuple(answer), usage=Usage(10, 1, self.cost), model_ms=5.0)

    def close(self) -> None:
        self.closed = True


class SlowWriter(Script):
    """Solves the tasks above, a tenth of a second a step: time to be killed in."""

    name = "slow-writer"

    def __init__(self) -> None:
        super().__init__([Type("hel")], [Type("lo")], [Key(("ctrl", "s"))], [Done()])

    def act(self, observation: Observation) -> Decision:
        wait.sleep(0.1)
        return super().act(observation)


class Stubborn(Script):
    """Never ends."""

    def __init__(self) -> None:
        super().__init__(*([[Type("x")]] * 10_000))

    def act(self, observation: Observation) -> Decision:
        wait.sleep(0.02)
        return super().act(observation)


class Wordy(Script):
    """Writes a long text, and it is wrong."""

    def __init__(self) -> None:
        super().__init__(*([[Type("words " * 1000)]] * 8), [Done()])


class Idle(Script):
    """Looks, and does nothing, for as long as it may."""

    def act(self, observation: Observation) -> Decision:
        return Decision(())


class Asleep(Script):
    """Waits for a model that does not answer."""

    def act(self, observation: Observation) -> Decision:
        wait.sleep(300)
        return super().act(observation)


class HangsOnce(Script):
    """Its first model never answers; the next solves the task."""

    begun: ClassVar[Iterator[int]] = itertools.count()
    released: ClassVar[threading.Event] = threading.Event()

    def __init__(self) -> None:
        super().__init__(WRITE, [Done()])

    def start(self, goal: Goal) -> None:
        if next(HangsOnce.begun) == 0:
            HangsOnce.released.wait(120)


class Unending(FakeProvider):
    """It takes forever to stop its first desktop."""

    released: ClassVar[threading.Event] = threading.Event()

    def stop(self, desktop: Desktop) -> None:
        if desktop.name == "fake-1":
            Unending.released.wait(120)
        super().stop(desktop)


class Refused(Script):
    """Its endpoint does not take the key."""

    def __init__(self) -> None:
        super().__init__(ModelFatal("the endpoint answers 401"))


class Costly(Script):
    """Ends at once, for a dollar."""

    def __init__(self) -> None:
        super().__init__([Fail()], cost=1.0)


class Broken(FakeDesktop):
    """Dies at the first action."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        raise GuestTimeout(f"{self.name}: /v1/step did not answer within 30 s")


class Flaky(FakeProvider):
    """Every other desktop does not start, or dies at the first action."""

    faults: ClassVar[Iterator[str]] = itertools.cycle(("start", "act", ""))
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def start(self, spec: DesktopSpec) -> Desktop:
        with Flaky._lock:
            fault = next(Flaky.faults)
        if fault == "start":
            raise StartError("Xvfb ended with status 1")
        if fault == "act":
            return Broken("broken", spec)
        return super().start(spec)


class Ailing(FakeProvider):
    """Works, but not as well as it could."""

    def doctor(self) -> list[Check]:
        optional = Check("extra", False, "not installed", "pip install it", weight="optional")
        return [*super().doctor(), Check("kvm", False, "slow", weight="note"), optional]


class Ill(FakeProvider):
    """Lacks what it needs."""

    def doctor(self) -> list[Check]:
        return [Check("engine", False, "it does not run", "start it")]


class Mortal(FakeProvider):
    """Desktops that die by the word "poison", typed; an agent that does not type it lives on."""

    def start(self, spec: DesktopSpec) -> Desktop:
        return Poisoned("mortal", spec)


class Poisoned(FakeDesktop):
    """Dies of what is typed."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        if any(isinstance(action, Type) and action.text == "poison" for action in actions):
            self.running = False
        return super().act(actions, observe)


class Killer(Script):
    """Ends its desktop, where that can be ended."""

    name = "killer"

    def __init__(self) -> None:
        super().__init__([Type("poison")], [Done()])


class SessionKiller(Script):
    """Types into the terminal that is open: every process of the session is to end, at once."""

    name = "session-killer"

    def __init__(self) -> None:
        super().__init__([Type("kill -9 -1"), Key(("enter",))], [], [Done()])


class KillerOnce(Script):
    """Ends its first desktop, and solves the task on the next."""

    begun: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__(WRITE, [Done()])

    def start(self, goal: Goal) -> None:
        if next(KillerOnce.begun) == 0:
            self.answers = [[Type("poison")]]


class Unready(Mortal):
    """Desktops that do not live long enough to be acted on."""

    def start(self, spec: DesktopSpec) -> Desktop:
        desktop = Poisoned("unready", spec)
        desktop.running = False
        return desktop


class Confused(Script):
    """Has a fault in its own code before it has begun."""

    def start(self, goal: Goal) -> None:
        raise KeyError("confused")


class Buggy(FakeProvider):
    """Its desktops fail in ways that nobody foresaw, but for every third; and it cannot end them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = itertools.count()
        self.used = False

    def start(self, spec: DesktopSpec) -> Desktop:
        self.used, number = True, next(self.asked)
        if number % 3 == 0:
            raise RecursionError("maximum recursion depth exceeded")
        return BuggyDesktop("buggy", spec) if number % 3 == 1 else super().start(spec)

    def stop(self, desktop: Desktop) -> None:
        raise KeyError(desktop.name)

    def close(self) -> None:
        if self.used:
            raise OSError("a desktop does not end")


class BuggyDesktop(FakeDesktop):
    """Says what no part of deskbench expects."""

    def act(self, actions: Sequence[Action], observe: Observe | None = None) -> Observation:
        raise DecompressionBombError("a picture of 900 megapixels")


class Dead(FakeProvider):
    """No desktop ever starts."""

    def start(self, spec: DesktopSpec) -> Desktop:
        raise StartError("Xvfb ended with status 1")


class Settled(Script):
    """Has settings."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> "Settled":
        assert settings
        return cls([Done()])


class Watched(FakeProvider):
    """Can be asked afterwards what it left running."""

    made: ClassVar[list[FakeProvider]] = []

    def __init__(self) -> None:
        super().__init__()
        Watched.made.append(self)


STARTS = "DESKBENCH_TEST_STARTS"
"""An environment variable: the folder where `Counted` leaves a file for every desktop."""


class Counted(FakeProvider):
    """Counts its desktops, whatever process it is in."""

    def start(self, spec: DesktopSpec) -> Desktop:
        (Path(os.environ[STARTS]) / uuid4().hex).touch()
        return super().start(spec)


__all__ = ["WRITE", "AgentError", "ModelError", "Script", "plan", "prepared", "task", "write_suite", "write_task"]
