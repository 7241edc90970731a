"""`deskbench.VectorEnv`: several desktops over one pool and one record."""

from pathlib import Path

import pytest

import deskbench
from deskbench.envs import wait
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Done, Type

from .. import paper
from ..paper import WRITE, write_suite, write_task

HERE = paper.__name__


def test_all_step_at_the_same_time_and_each_has_its_own_desktop(tmp_path: Path) -> None:
    with deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 3, provider="fake") as env:
        seen, infos = env.reset(seed=5)
        assert (len(seen), len(env), [info["seed"] for info in infos]) == (3, 3, [5, 6, 7])
        first = env.step([WRITE, None, Type("x")])
        assert [None if one is None else one[1:4] for one in first] == [(0.0, False, False), None, (0.0, False, False)]
        assert [found.value for found in env.score()] == [1.0, 0.0, 0.0]
        last = env.step([Done()] * 3)
        assert [one and one[1] for one in last] == [1.0, 0.0, 0.0]


def test_those_that_have_ended_are_reset_alone(tmp_path: Path) -> None:
    with deskbench.VectorEnv(write_suite(tmp_path / "suite"), 2, provider="fake", record=tmp_path / "run") as env:
        env.reset(task=["write-0", "write-1"], seed=[1, 2])
        env.step([WRITE, Done()])
        _, infos = env.reset(only=[1], task="write-2", seed=9)
        assert [(info["task"], info["seed"]) for info in infos] == [("suite/write-2", 9)]
        assert [one and one[1] for one in env.step([Done(), Done()])] == [1.0, 0.0]
        assert {(one.task, one.seed) for one in env.recorded()} == {
            ("suite/write-0", 1),
            ("suite/write-1", 2),
            ("suite/write-2", 9),
        }
        assert len(list(env.todo((1,)))) == len(env.tasks) - 1


def test_a_desktop_that_fails_is_masked_and_the_others_go_on(tmp_path: Path) -> None:
    with deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 2, provider=f"{HERE}:Mortal") as env:
        env.reset()
        bad, good = env.step([Type("poison"), WRITE])
        assert bad and bad[1] is None and bad[4]["masked"]
        assert good and good[1:4] == (0.0, False, False)


def test_steps_can_be_received_as_they_are_made(tmp_path: Path) -> None:
    with deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 3, provider="fake") as env:
        env.reset()
        for place in range(3):
            env.send(place, WRITE)
        with pytest.raises(UsageError, match=r"^environment 1 already makes a step: receive\(\) its result first$"):
            env.send(1, WRITE)
        assert {env.receive()[0] for _ in range(3)} == {0, 1, 2}
        with pytest.raises(UsageError, match=r"^receive\(\) has nothing to wait for: send\(\) actions first$"):
            env.receive()
        env.send(2, Done())
        place, (_, reward, terminated, *_) = env.receive()
        assert (place, reward, terminated) == (2, 1.0, True)
        with pytest.raises(UsageError, match=r"^send\(\) got the number 3; there are 3 environments, from 0$"):
            env.send(3, Done())


def test_two_environments_never_write_the_same_episode(tmp_path: Path) -> None:
    with deskbench.VectorEnv(
        write_task(tmp_path / "suite", "write"), 4, provider="fake", record=tmp_path / "run"
    ) as env:
        env.reset(seed=[0, 0, 0, 0])
        env.step([Done()] * 4)
        assert [(one.repeat, one.attempt) for one in env.recorded()] == [(n, m) for n, m in enumerate(
            sorted(one.attempt for one in env.recorded()))]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda env: env.step([Done()]), r"^step\(\) got 1 actions for 2 environments$"),
        (lambda env: env.reset(seed=[1, 2, 3]), r"^reset\(\) got 3 of seed for 2 environments$"),
        (lambda env: env.reset(only=[0], task=["a", "b"]), r"^reset\(\) got 2 of task for 1 environments$"),
        (lambda env: env.step([Done(), Done()]), r"^there is no episode yet: call reset\(\) first$"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, call, told: str) -> None:
    with (
        deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 2, provider="fake") as env,
        pytest.raises(UsageError, match=told),
    ):
        call(env)


def test_closing_twice_is_safe_and_leaves_nothing_running(tmp_path: Path) -> None:
    paper.Watched.made.clear()
    env = deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 2, provider=f"{HERE}:Watched", warm=1)
    env.reset()
    provider = paper.Watched.made[-1]
    assert wait.until(lambda: len(provider.running) == 3, timeout=10)  # one is warm
    env.close()
    env.close()
    assert provider.running == {}


def test_it_has_at_least_one_environment(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^count is 0; it must be 1 or more$"):
        deskbench.VectorEnv(write_task(tmp_path / "suite", "write"), 0, provider="fake")
