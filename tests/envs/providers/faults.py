"""Each fault becomes an error of ours and the episode continues elsewhere: tests that every provider inherits."""

import signal
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs import wait
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import Desktop, DesktopSpec, Provider
from deskbench.envs.errors import EnvError, GuestError, GuestTimeout, Unfit
from deskbench.envs.types import Key, Type, Wait

from ...agent.paper import prepared, write_task

NOTE = "~/Documents/fault.txt"
WRITE_HELLO: dict[str, Any] = {
    "config": [{"type": "launch", "parameters": {"command": "mousepad ~/note.txt", "shell": True}}],
    "evaluator": {
        "func": "exact_match",
        "result": {"type": "vm_command_line", "command": "cat ~/note.txt", "shell": True},
        "expected": {"type": "rule", "rules": {"expected": "hello"}},
    },
    "oracle": [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}],
}
"""A task for a real desktop's editor."""


@dataclass(frozen=True)
class Means:
    """How to cause the faults on a platform: commands of its shell, and a task for its editor.

    Attributes:
        where: prints NOTE's full path.
        fill, empty: fill the disk with a file, and remove it.
        flood: prints a hundred million letters.
        large: creates ~/large with three million bytes.
        task: keys of a task that is solved in an editor.
    """

    where: str = f"echo {NOTE}"
    fill: str = "head -c 64G /dev/zero > ~/full"
    empty: str = "rm ~/full"
    flood: str = "head -c 100M /dev/zero | tr '\\0' x"
    large: str = "head -c 3M /dev/zero > ~/large"
    task: Mapping[str, Any] = field(default_factory=lambda: WRITE_HELLO)


class Faults:
    """Inherit it, and define how to hit the server and the whole desktop from outside; set `means` unless on Linux."""

    means: ClassVar[Means] = Means()

    @abstractmethod
    def hit_server(self, desktop: Any, number: int) -> None:
        """Send a signal to the server."""

    @abstractmethod
    def kill(self, desktop: Any) -> None:
        """Kill everything: the sandbox, the container, the machine."""

    @abstractmethod
    def left(self) -> object:
        """Everything outside that belongs to desktops; equal before and after if nothing is left."""

    def test_a_killed_server_is_an_error_of_ours(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        self.hit_server(desktop, signal.SIGKILL)
        with pytest.raises(EnvError, match=desktop.name):
            desktop.act([Key(("a",))])
        assert make().observe().screenshot is not None

    def test_a_server_that_hangs_is_a_timeout(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        assert isinstance(desktop, Client)
        desktop.answer_seconds = 0.5
        self.hit_server(desktop, signal.SIGSTOP)
        with pytest.raises(GuestTimeout, match="did not answer within"):
            desktop.health()

    def test_a_server_that_answers_slowly_acts_once(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        desktop.write_file(NOTE, b"")
        desktop.open(desktop.run(self.means.where, shell=True).stdout.strip())
        self.hit_server(desktop, signal.SIGSTOP)
        late = threading.Timer(1.0, self.hit_server, (desktop, signal.SIGCONT))
        late.start()
        desktop.act([Type("once")])
        late.join()
        desktop.act([Key(("ctrl", "s"))])
        assert wait.until(lambda: desktop.read_file(NOTE).strip(), timeout=10) == b"once"

    def test_a_death_in_the_middle_of_a_step_is_an_error_of_ours(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        with ThreadPoolExecutor(1) as one:
            acting = one.submit(desktop.act, [Wait(30)])
            threading.Timer(0.5, self.kill, (desktop,)).start()
            with pytest.raises(EnvError, match=desktop.name):
                acting.result()

    def test_a_full_disk_is_said_and_the_screen_is_still_seen(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        filled = desktop.run(self.means.fill, shell=True)
        assert "No space left" in filled.stderr or filled.returncode != 0
        with pytest.raises(GuestError, match="No space left"):
            desktop.write_file("~/more.bin", b"x" * 2**20)
        assert desktop.observe().screenshot is not None
        desktop.run(self.means.empty, shell=True)
        desktop.write_file("~/more.bin", b"x" * 2**20)

    def test_a_flood_is_cut_or_refused(self, make: Callable[[], Desktop]) -> None:
        desktop = make()
        flood = desktop.run(self.means.flood, shell=True)
        assert len(flood.stdout) == 16 * 2**20
        desktop.run(self.means.large, shell=True)
        with pytest.raises(Unfit, match="1000000"):
            desktop.read_file("~/large", max_bytes=1_000_000)
        assert desktop.observe().screenshot is not None

    def test_the_episode_is_tried_again_on_a_fresh_desktop(self, provider: Provider, tmp_path: Path) -> None:
        before = self.left()
        Frail.wrapped, Frail.kill, Frail.killed = provider, self.kill, 0
        write_task(tmp_path / "suite", "write", **self.means.task)
        ready = prepared(tmp_path / "suite", provider=f"{__name__}:Frail", retries=1)
        summary = Batch(ready, tmp_path / "run").run()
        first, second = RunFolder(tmp_path / "run").records()
        assert (first.ending, first.score.value) == ("env_error", None)
        assert first.error and first.error.startswith("Guest")
        assert (second.ending, second.score.value) == ("done", 1.0)
        assert (summary.scored, Frail.killed) == (1, 1)
        assert self.left() == before


class Frail:
    """A provider that wraps another and kills its first desktop before the first step."""

    name = "frail"
    capacity = 1  # starts no desktop ahead
    platform = None
    wrapped: ClassVar[Provider]
    kill: ClassVar[Callable[[Any], None]]
    killed: ClassVar[int] = 0

    def start(self, spec: DesktopSpec) -> Desktop:
        desktop = Frail.wrapped.start(spec)
        if not Frail.killed:
            Frail.killed += 1
            Frail.kill(desktop)
        return desktop

    def stop(self, desktop: Desktop) -> None:
        Frail.wrapped.stop(desktop)

    def describe(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        """Does nothing: the owner closes the wrapped provider."""
