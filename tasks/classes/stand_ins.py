"""The stand-in for `desktop_env` that a task class imports: each call is a question to the controller.

It has the parts of OSWorld's package that task classes use: `task_base`, `evaluators.getters` and `.metrics`,
`file_source`, and in `evaluate` an environment with `controller`, `setup_controller` and a few facts. As for task
files, each metric runs in a separate process (`worker`).
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deskbench.envs.errors import CheckError
from deskbench.tasks import registry
from deskbench.tasks.assets import V2_FILES
from deskbench.tasks.classes import base
from deskbench.tasks.metrics.support.fidelity import strict_revision
from deskbench.tasks.scoring.packing import plain
from deskbench.tasks.scoring.worker import evaluate

Ask = Callable[..., Any]
"""ask(kind, name, arguments, keywords): the controller's answer."""
HUB = "https://huggingface.co/datasets/xlangai/osworld_v2_assets_gated/resolve/main"
"""Where OSWorld-V2 hosts its files. They need an access token."""


class Refused(Exception):
    """The controller refused or failed a request."""


class SetupController:
    """OSWorld's SetupController: any name is a set-up step, `_launch_setup` as well as `launch`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def setup(self, config: list[dict[str, Any]], use_proxy: bool = False) -> bool:
        """Run the steps of a task file's `config`."""
        for step in config:
            self._ask("step", step["type"], [], step.get("parameters", {}))
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        step = name.removeprefix("_").removesuffix("_setup")
        if step not in registry.names("setup"):
            raise AttributeError(f"setup_controller has no {name}: there is no set-up type {step!r}")
        return lambda *arguments, **keywords: self._ask("step", step, list(arguments), keywords)


class Controller:
    """OSWorld's PythonController, as far as judging needs it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **keywords: self._ask("controller", name, list(arguments), keywords)


class Environment:
    """OSWorld's DesktopEnv, as `evaluate` gets it."""

    def __init__(self, ask: Ask) -> None:
        self.setup_controller, self.controller = SetupController(ask), Controller(ask)
        self.is_environment_used = True
        self._ask = ask

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._ask("environment", name, [], {})
        except Refused as error:  # so that a class can use `hasattr`, and `getattr` with a default
            raise AttributeError(str(error)) from None


class _Getters(types.ModuleType):
    """`get_NAME(env, config)` for every getter."""

    def __init__(self, name: str, ask: Ask) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._ask = ask

    def __getattr__(self, name: str) -> Callable[..., Any]:
        getter = name.removeprefix("get_")
        if name.startswith("__") or getter not in registry.names("getter"):
            raise AttributeError(f"deskbench has no getter {getter!r}")
        return lambda env, config=None: self._ask("getter", getter, [], dict(config or {}))


class _Metrics(types.ModuleType):
    """Every metric, as metric(result, expected, **options); a failure is reported to the controller."""

    def __init__(self, name: str, ask: Ask) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._ask = ask

    def __getattr__(self, name: str) -> Callable[..., float]:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            registry.find("metric", name)
        except registry.RegistryError as error:
            raise AttributeError(str(error)) from None

        def score(result: Any = None, expected: Any = None, **options: Any) -> float:
            try:
                return float(evaluate(name, plain(_with_paths(result)), plain(_with_paths(expected)), options))
            except CheckError as error:
                if strict_revision() is None:  # OSWorld counts it as the agent's failure
                    self._ask("metric", name, [str(error)], {})
                raise

        return score


def _with_paths(value: Any) -> Any:
    """Convert file paths, which task classes hold as text, to `Path`s for our metrics."""
    if isinstance(value, str) and value.startswith("/") and len(value) < 4096 and Path(value).is_file():
        return Path(value)
    return [_with_paths(item) for item in value] if isinstance(value, list) else value


def asset(path: str) -> str:
    """The address of one of OSWorld-V2's files: under OSWORLD_FILE_BASE_URL (an address or a folder), or on the hub."""
    place = os.environ.get(V2_FILES) or HUB
    if "://" not in place:
        place = Path(place).resolve().as_uri()
    return f"{place.rstrip('/')}/{path}"


def install(ask: Ask) -> None:
    """Make `desktop_env` and its modules importable in this process."""
    top, evaluators = _package("desktop_env"), _package("desktop_env.evaluators")
    getters, metrics = _Getters("desktop_env.evaluators.getters", ask), _Metrics("desktop_env.evaluators.metrics", ask)
    found = {
        "task_base": _module("desktop_env.task_base", BaseTask=base.BaseTask, MultiPhaseTask=base.MultiPhaseTask,
                             Phase=base.Phase),
        "file_source": _module("desktop_env.file_source", asset=asset),
        "evaluators": evaluators,
        "desktop_env": _module("desktop_env.desktop_env", DesktopEnv=Environment),
        "controllers": _package("desktop_env.controllers"),
    }  # fmt: skip
    for name, module in found.items():
        setattr(top, name, module)
    for name, part in (("getters", getters), ("metrics", metrics)):
        sys.modules[part.__name__] = part
        setattr(evaluators, name, part)
    _module("desktop_env.controllers.setup", SetupController=SetupController)
    _module("desktop_env.controllers.python", PythonController=Controller)


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
    return module


def _package(name: str) -> types.ModuleType:
    return _module(name, __path__=[])
