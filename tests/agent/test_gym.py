"""Gymnasium: its own checker has nothing to say, and its spaces hold what desktops show and do."""

import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces.utils import flatten, unflatten
from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

import deskbench.agent.gym
from deskbench.agent.training.spaces import Unicode, action_space, checked, decoded, encoded
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.fake import FakeProvider
from deskbench.envs.types import (
    Action,
    ActionError,
    Click,
    Done,
    Drag,
    Fail,
    Key,
    KeyDown,
    Move,
    Scroll,
    Type,
    Wait,
)
from deskbench.tasks.load import load

from . import paper
from .paper import write_task

HERE = paper.__name__
PATIENT = {"limits": {"steps": 40}}
TEXTS = ["", "é", "日本語 ✓", "🎉\n\t\x00", "\udc80"]


def spec(task: Path) -> dict[str, Any]:
    return {"id": "deskbench/Desktop-v0", "task": str(task), "provider": "fake"}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "suite", "write", instruction="Écrivez « hello » — 保存する 💾", **PATIENT)


@pytest.fixture
def env(task: Path) -> Iterator[gymnasium.Env]:
    env = gymnasium.make(**spec(task))
    yield env
    env.close()


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def act(action: Action) -> dict[str, Any]:
    return encoded(action)


@pytest.mark.parametrize("more", [{}, {"grammar": "ui-tars-1.5"}, {"partial_scores": True}], ids=str)
def test_gymnasiums_checker_has_nothing_to_say(task: Path, no_warnings: None, more: dict[str, Any]) -> None:
    env = gymnasium.make(**spec(task), **more)
    check_env(env.unwrapped)
    env.close()
    env.close()


def test_an_episode(env: gymnasium.Env, no_warnings: None) -> None:
    seen, info = env.reset(seed=4)
    assert seen["screenshot"].shape == (800, 1280, 3) and seen["screenshot"].dtype == np.uint8
    assert (info["seed"], seen["instruction"]) == (4, "Écrivez « hello » — 保存する 💾")
    for action in (Type("hello"), Key(("ctrl", "s"))):
        assert env.step(act(action))[1:4] == (0.0, False, False)
    _, *rest, info = env.step(act(Done()))
    assert rest == [1.0, True, False] and (info["score"], info["reason"]) == (1.0, "passed")


def test_every_task_of_the_library_has_an_environment() -> None:
    names = {f"deskbench/{task.suite}.{task.id.partition('@')[0]}-v0" for task in load("basics")}
    assert names | {"deskbench/basics-v0", "deskbench/Desktop-v0"} <= set(gymnasium.registry)
    env = gymnasium.make("deskbench/basics.files-rename-v0")
    assert env.unwrapped.env.tasks == ("basics/files-rename",)
    env.close()


def test_a_masked_episode_has_no_number_for_a_reward(task: Path) -> None:
    env = gymnasium.make(**{**spec(task), "provider": f"{HERE}:Mortal", "on_failure": "mask"}, disable_env_checker=True)
    env.reset()
    _, reward, terminated, truncated, info = env.step(act(Type("poison")))
    assert math.isnan(reward) and (terminated, truncated, info["masked"]) == (False, True, True)
    assert math.isnan(info["score"])
    env.close()


def test_it_renders_the_screen(task: Path) -> None:
    env = gymnasium.make(**spec(task), render_mode="rgb_array")
    seen, _ = env.reset()
    assert np.array_equal(env.render(), seen["screenshot"])
    env.close()


# Spaces.


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_fits(text: str) -> None:
    space = Unicode(16)
    assert text in space and "x" * 17 not in space and 7 not in space
    assert unflatten(space, flatten(space, text)) == text
    shared = create_shared_memory(space, n=2)
    write_to_shared_memory(space, 1, text, shared)
    assert read_from_shared_memory(space, shared, n=2)[1] == text


def test_what_is_drawn_at_random_is_an_action() -> None:
    space = action_space(1280, 800)
    space.seed(1)
    drawn = [space.sample() for _ in range(300)]
    assert all(one in space for one in drawn)
    assert len({type(decoded(one)) for one in drawn}) == 9


@pytest.mark.parametrize(
    "action",
    [
        Click(x=1, y=2, button="right", count=2, modifiers=("ctrl",)),
        Move(1279, 799),
        Drag(((1, 2), (3, 4)), button="middle", modifiers=("shift",)),
        Scroll(dx=-3, dy=5, x=7, y=8),
        *(Type(text) for text in TEXTS),
        Key(("ctrl", "shift", "t")),
        Key(("enter",)),
        Wait(),
        Done("42"),
        Fail(),
    ],
)
def test_an_action_of_ours_is_one_of_the_space_and_back(action: Action) -> None:
    value = encoded(action)
    assert value in action_space(1280, 800) and decoded(value) == action


@pytest.mark.parametrize("action", [KeyDown("a"), Click(), Wait(3.0), Drag(((1, 1), (2, 2), (3, 3))), Key(("é",))])
def test_what_the_space_cannot_express_is_an_error(action: Action) -> None:
    with pytest.raises(ActionError, match=r"^the action space (cannot express|has no) "):
        encoded(action)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x": np.int64(1280)}, r"^the action is not in the action space: x is .*1280.*, not Discrete\(1280\)$"),
        ({"text": 7}, r": text is 7, not Unicode\(100000\)$"),
        ({"more": 1}, r"^the action .* is not in the action space: it needs button, "),
    ],
)
def test_an_action_out_of_the_space_is_one_line(env: gymnasium.Env, change: dict[str, Any], told: str) -> None:
    env.reset()
    with pytest.raises(ActionError, match=told):
        env.step({**act(Wait()), **change})
    assert env.step(act(Wait()))[4]["step"] == 1


def test_text_out_of_the_space_is_one_line() -> None:
    with pytest.raises(ActionError, match=r"^the action 7 is not in the action space Unicode\(3\)$"):
        checked(Unicode(3), 7)


def test_a_desktop_of_another_size_is_an_error(task: Path) -> None:
    env = gymnasium.make(**{**spec(task), "provider": f"{__name__}:Small"}, disable_env_checker=True)
    with pytest.raises(UsageError, match=r"640x400 pixels, the spaces 1280x800: pass width=640, height=400$"):
        env.reset()
    env.close()


class Small(FakeProvider):
    """Desktops of one size, whatever is asked for."""

    def start(self, spec: DesktopSpec) -> Desktop:
        return super().start(DesktopSpec(640, 400))


# Several.


def test_several_step_at_the_same_time_and_go_on_to_the_next_episode(task: Path, no_warnings: None) -> None:
    env = gymnasium.make_vec(**spec(task), num_envs=2)
    assert isinstance(env, deskbench.agent.gym.DesktopVectorEnv)
    seen, infos = env.reset(seed=5)
    assert seen in env.observation_space and seen["screenshot"].shape == (2, 800, 1280, 3)
    assert list(infos["seed"]) == [5, 6]
    batch = gymnasium.vector.utils.concatenate(
        env.single_action_space,
        [act(Done()), act(Wait())],
        gymnasium.vector.utils.create_empty_array(env.single_action_space, 2),
    )
    _, rewards, terminated, truncated, infos = env.step(batch)
    assert (list(rewards), list(terminated), list(truncated)) == ([0.0, 0.0], [True, False], [False, False])
    assert (infos["ending"][0], list(infos["_ending"]), list(infos["step"])) == ("done", [True, False], [1, 1])
    seen, rewards, terminated, _, infos = env.step(batch)
    assert (list(terminated), list(infos["step"])) == ([False, False], [0, 2])
    seen, infos = env.reset(options={"reset_mask": np.array([False, True])})
    assert list(infos["_seed"]) == [False, True] and seen in env.observation_space
    env.close()
    env.close()


def test_gymnasiums_own_vectors_work_too(task: Path, no_warnings: None) -> None:
    env = gymnasium.make_vec(**spec(task), num_envs=2, vectorization_mode="sync")
    seen, _ = env.reset(seed=1)
    assert seen["instruction"] == ("Écrivez « hello » — 保存する 💾",) * 2
    env.step(env.action_space.sample())
    env.close()


# Mistakes.


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("deskbench/basics.files-renam-v0", {}, r"Did you mean.*files-rename"),
        (
            "deskbench/Desktop-v0",
            {"task": "basics/files-renam"},
            r"^no task 'files-renam'; did you mean 'files-rename'",
        ),
        ("deskbench/basics-v0", {"provder": "fake"}, r"^unknown setting 'provder'"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises((gymnasium.error.Error, UsageError), match=told):
        gymnasium.make(name, **settings)


def test_without_gymnasium_one_line_names_the_extra() -> None:
    code = "import sys; sys.modules['gymnasium'] = None; import deskbench.agent.gym"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last == "ImportError: Gymnasium environments need the extra `gym`: pip install 'deskbench[gym]'"
