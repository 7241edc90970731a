"""Gymnasium environments. Importing this module registers one for each task of the library and for each suite.

`deskbench/basics.files-rename-v0` is the task basics/files-rename (Gymnasium's names have one slash),
`deskbench/basics-v0` is the suite, and `deskbench/Desktop-v0` takes any task as `task=`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

try:
    import gymnasium
except ModuleNotFoundError as missing:
    if missing.name != "gymnasium":
        raise
    raise ImportError("Gymnasium environments need the extra `gym`: pip install 'deskbench[gym]'") from None
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from deskbench.agent.base import Needs
from deskbench.agent.training import vector
from deskbench.agent.training.env import Env, Info, Step
from deskbench.agent.training.settings import Settings
from deskbench.agent.training.spaces import (
    LONGEST_REPLY,
    Unicode,
    action_space,
    checked,
    decoded,
    observation_space,
    observed,
)
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.types import Observation
from deskbench.tasks.load import LIBRARY, VALIDATION

MODES = (None, "rgb_array")
SIZE = (1280, 800)
"""Width and height in pixels unless the settings have others."""


class _Spaces:
    """The spaces that the settings of an environment ask for."""

    def __init__(self, settings: Settings, render_mode: str | None) -> None:
        if render_mode not in MODES:
            raise UsageError(f"unknown render mode {render_mode!r}{nearest(str(render_mode), ['rgb_array'])}")
        width, height = settings.get("width", SIZE[0]), settings.get("height", SIZE[1])
        self.text = settings.get("grammar") is not None
        self.action = Unicode(LONGEST_REPLY) if self.text else action_space(width, height)
        self.observation = observation_space(width, height, settings.get("needs", Needs()))

    def sent(self, action: Any) -> Any:
        """What `Env.step` takes for an action of the space; raises ActionError."""
        checked(self.action, action)
        return action if self.text else decoded(action)

    def seen(self, observation: Observation, info: Info) -> dict[str, Any]:
        """An observation of the space."""
        return observed(observation, info.get("instruction", ""), self.observation)


def _reward(step: Step) -> float:
    """The reward as a number: NaN if there is none, which no trainer takes for a 0."""
    return math.nan if step[1] is None else float(step[1])


def _told(info: Info) -> dict[str, Any]:
    """The information with a score as a number (NaN for none) and its reason."""
    told: dict[str, Any] = {name: value for name, value in info.items() if name not in ("score", "problem")}
    if (score := info.get("score")) is not None:
        told["score"] = math.nan if score.value is None else float(score.value)
        told["reason"] = score.reason
    if info.get("problem") is not None:
        told["problem"] = info["problem"]
    return told


class DesktopEnv(gymnasium.Env):  # type: ignore[misc]
    """One task or suite as a Gymnasium environment.

    Args:
        task: as for `deskbench.Env`.
        render_mode: `rgb_array`, or None.
        settings: as for `deskbench.Env`. With `grammar` an action is a model's reply as text. The reward of an episode
            that is masked (`on_failure="mask"`) is NaN.

    Raises:
        UsageError: a task or a setting is wrong; the message is one line.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(self, task: str, render_mode: str | None = None, **settings: Unpack[Settings]) -> None:
        self._spaces = _Spaces(settings, render_mode)
        self.action_space, self.observation_space = self._spaces.action, self._spaces.observation
        self.render_mode = render_mode
        self.env = Env(task, **settings)
        self._shown: Observation | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; `options={"task": NAME}` chooses the task."""
        super().reset(seed=seed)
        chosen = int(self.np_random.integers(2**31)) if seed is None else seed
        self._shown, info = self.env.reset(seed=chosen, task=(options or {}).get("task"))
        return self._spaces.seen(self._shown, info), _told(info)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Carry out an action of the space; raises ActionError if it is not in it."""
        found = self.env.step(self._spaces.sent(action))
        self._shown, _, terminated, truncated, info = found
        return self._spaces.seen(self._shown, info), _reward(found), terminated, truncated, _told(info)

    def render(self) -> Any:
        """The screen that was shown last as RGB, with `render_mode="rgb_array"`."""
        if self.render_mode is None or self._shown is None or self._shown.screenshot is None:
            return None
        return np.array(self._shown.screenshot.image)

    def close(self) -> None:
        """Stop all desktops."""
        self.env.close()


class DesktopVectorEnv(VectorEnv):  # type: ignore[misc]
    """Several desktops that step at the same time, in threads over one pool (`deskbench.VectorEnv`).

    An episode that ended is followed by the next one at the next step (`AutoresetMode.NEXT_STEP`). Episodes that failed
    are masked, unless `on_failure` says otherwise.

    Args:
        num_envs: how many.
        task, render_mode, settings: as for `DesktopEnv`.
    """

    def __init__(
        self, task: str, num_envs: int = 1, render_mode: str | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._spaces = _Spaces(settings, render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.metadata = {**DesktopEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_action_space, self.single_observation_space = self._spaces.action, self._spaces.observation
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.env = vector.VectorEnv(task, num_envs, **settings)
        self._shown: list[Observation | None] = [None] * num_envs
        self._over: Any = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes in all environments, or in those of `options={"reset_mask": array of bool}`."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        chosen = dict(options or {})
        mask = chosen.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        places = [int(place) for place in np.flatnonzero(mask)]
        seeds = [int(one) for one in self.np_random.integers(2**31, size=self.num_envs)]
        if isinstance(seed, int):
            seeds = [seed + place for place in range(self.num_envs)]
        elif seed is not None:
            seeds = [drawn if given is None else given for given, drawn in zip(seed, seeds, strict=True)]
        infos = self._begin(places, seeds, chosen.get("task"))
        return self._seen(infos), self._together(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all; an environment whose episode has ended begins the next one instead, with the reward 0."""
        sent = [
            None if over else self._spaces.sent(action)
            for action, over in zip(iterate(self.action_space, actions), self._over, strict=True)
        ]
        places = [int(place) for place in np.flatnonzero(self._over)]
        steps = self.env.step(sent)
        drawn = [int(one) for one in self.np_random.integers(2**31, size=self.num_envs)]
        infos = self._begin(places, drawn, None) if places else {}
        rewards: Any = np.zeros(self.num_envs, dtype=np.float64)
        ends: Any = np.zeros((2, self.num_envs), dtype=np.bool_)
        for place, found in enumerate(steps):
            if found is not None:
                self._shown[place], infos[place] = found[0], found[4]
                rewards[place], ends[:, place] = _reward(found), found[2:4]
        self._over = ends.any(axis=0)
        return self._seen(infos), rewards, ends[0].copy(), ends[1].copy(), self._together(infos)

    def render(self) -> Any:
        """The screens that were shown last, with `render_mode="rgb_array"`."""
        if self.render_mode is None:
            return None
        return tuple(np.array(one.screenshot.image) for one in self._shown if one and one.screenshot)

    def close_extras(self, **named: Any) -> None:
        """Stop all desktops."""
        self.env.close()

    def _begin(self, places: list[int], seeds: list[int], task: str | None) -> dict[int, Info]:
        shown, infos = self.env.reset(only=places, seed=[seeds[place] for place in places], task=task)
        for place, one in zip(places, shown, strict=True):
            self._shown[place], self._over[place] = one, False
        return dict(zip(places, infos, strict=True))

    def _seen(self, infos: dict[int, Info]) -> Any:
        told = [infos.get(place, self._instruction(place)) for place in range(self.num_envs)]
        seen = [self._spaces.seen(one, info) for one, info in zip(self._shown, told, strict=True) if one is not None]
        empty = create_empty_array(self.single_observation_space, n=self.num_envs)
        return concatenate(self.single_observation_space, seen, empty)

    def _instruction(self, place: int) -> Info:
        return Info(instruction=self.env.envs[place].goal.instruction)

    def _together(self, infos: dict[int, Info]) -> dict[str, Any]:
        together: dict[str, Any] = {}
        for place, info in infos.items():
            together = self._add_info(together, _told(info), place)
        return together


def register() -> None:
    """Register the environments of the library; those that are registered already stay."""
    tasks = sorted(file for file in LIBRARY.glob("*/*.json") if file.name != VALIDATION)
    names = {f"{file.parent.name}.{file.stem}": f"{file.parent.name}/{file.stem}" for file in tasks}
    names |= {file.parent.name: file.parent.name for file in tasks}
    for name, task in {**names, "Desktop": None}.items():
        known = f"deskbench/{name}-v0"
        if known not in gymnasium.registry:
            gymnasium.register(
                known,
                entry_point=f"{__name__}:DesktopEnv",
                vector_entry_point=f"{__name__}:DesktopVectorEnv",
                nondeterministic=True,
                kwargs={} if task is None else {"task": task},
            )


register()
