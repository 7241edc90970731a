"""The controller's answers to a task class, from deskbench's own set-up steps, getters and desktop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deskbench.envs.desktop import CommandResult, Desktop
from deskbench.envs.errors import CheckError, Unfit
from deskbench.envs.wire import Observe
from deskbench.tasks import registry
from deskbench.tasks.scoring.packing import NotFit
from deskbench.tasks.scoring.score import value_of
from deskbench.tasks.setup import run_before_check, run_steps
from deskbench.tasks.types import Call
from deskbench.tasks.world import MAX_FILE, Context, World

PYAUTOGUI = "import pyautogui; import time; pyautogui.FAILSAFE = False; "
"""The prefix that OSWorld adds to a Python command."""
_ALONE = (
    "import os, site, sys; sys.path += os.environ.get('PYTHONPATH', '').split(os.pathsep); "
    "sys.path.append(site.getusersitepackages()); exec(compile(sys.argv.pop(), '<command>', 'exec'))"
)
"""Runs a command in isolated Python. The server's and the user's packages come after the system's, and files in the
user's folder that every Python would run are not run.
"""
PORTS = {"chromium_port": 9222, "vlc_port": 8080}


class Refusal(Exception):
    """An error that the task class gets as an exception and may catch."""


class Answers:
    """Answers the questions of one task class about one desktop.

    Args:
        context: for set-up steps.
        world: for getters during judging; None before.
        said_fail: whether the agent ended with `fail`.
    """

    def __init__(self, context: Context, world: World | None = None, *, said_fail: bool = False) -> None:
        self._context, self._world, self._said_fail = context, world, said_fail
        self._asked = 0
        self._desktop = context.desktop

    def answer(self, kind: str, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        """The requested value, as JSON or bytes.

        Raises:
            Refusal: there is no such fact; the class gets an exception.
            EnvError: the desktop failed, or a set-up step did not take effect.
            CheckError: a getter or metric failed, or deskbench does not support the request. The class does not see
                this error: it might blame the agent for it.
        """
        return {
            "step": self._step, "getter": self._getter, "controller": self._controller,
            "environment": self._environment, "metric": self._metric,
        }[kind](name, arguments, keywords)  # fmt: skip

    def _step(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> bool:
        """Run a set-up step; during judging, return whether what it works on was there (`run_before_check`)."""
        entry = registry.find("setup", name)
        named = dict(zip(entry.parameters.model_fields, arguments, strict=False)) | dict(keywords)
        calls = [Call(type=name, parameters=named, where=f"setup_controller.{name}")]
        if self._world is None:
            run_steps(calls, self._context)
            return True
        try:
            registry.check_parameters(entry, named)
        except registry.RegistryError as error:
            raise CheckError(f"setup_controller.{name}: {error}") from None
        return not run_before_check(calls, self._context)

    def _getter(self, name: str, arguments: list[Any], config: Mapping[str, Any]) -> Any:
        assert self._world is not None, "a class may call getters only in evaluate()"
        self._asked += 1
        parameters = {key: value for key, value in config.items() if key != "type"}
        found = value_of(Call(type=name, parameters=parameters, where=f"evaluate[{self._asked}]"), self._world)
        return None if isinstance(found, NotFit) else _said(found)

    def _metric(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        """Report a metric that failed in the class's process: the check is at fault, whatever the class makes of it."""
        raise CheckError(str(arguments[0]))

    def _environment(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        width, height = self._context.screen
        if name in PORTS:
            return int(self._desktop.forward(PORTS[name]).rpartition(":")[2])
        if name == "vm_ip":
            return self._desktop.forward(PORTS["chromium_port"]).rpartition(":")[0]
        facts: dict[str, Any] = {
            "cache_dir": str(self._context.cache),
            "vm_platform": self._desktop.health().platform,
            "vm_screen_size": {"width": width, "height": height},
            "action_history": [{"action_type": "FAIL" if self._said_fail else "DONE"}],
            "current_use_proxy": False,
            "enable_proxy": False,
            "task_id": self._context.task.id,
            "instruction": self._context.task.instruction,
        }
        if name not in facts:
            raise Refusal(f"env has no {name}; there are: {', '.join(sorted([*facts, *PORTS, 'vm_ip']))}")
        return facts[name]

    def _controller(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        methods = _methods(self._desktop)
        if name not in methods:
            raise CheckError(f"env.controller has no {name}; there are: {', '.join(sorted(methods))}")
        try:
            return methods[name](*arguments, **keywords)
        except TypeError as error:
            raise CheckError(f"env.controller.{name}: {error}") from error


def _methods(desktop: Desktop) -> dict[str, Callable[..., Any]]:
    """Methods of OSWorld's PythonController, by name."""

    def python(code: str) -> dict[str, Any]:
        return _outcome(desktop.run(["python3", "-I", "-c", _ALONE, code]))

    def bash(script: str, timeout: float = 30, working_dir: str | None = None) -> dict[str, Any]:
        return _outcome(desktop.run(["bash", "-c", script], timeout=timeout, cwd=working_dir))

    def file(file_path: str) -> bytes | None:
        try:
            return desktop.read_file(file_path, max_bytes=MAX_FILE)
        except (FileNotFoundError, Unfit):
            return None

    def tree(path: str) -> dict[str, object] | None:
        try:
            return desktop.list_directory(path)
        except (FileNotFoundError, Unfit):
            return None

    return {
        "execute_python_command": lambda command: python(PYAUTOGUI + command),
        "run_python_script": python,
        "run_bash_script": bash,
        "get_file": file,
        "get_screenshot": lambda: _png(desktop),
        "get_accessibility_tree": lambda: desktop.observe(Observe(accessibility=True)).accessibility,
        "get_terminal_output": lambda: desktop.observe(Observe(terminal=True)).terminal,
        "get_vm_wallpaper": desktop.wallpaper,
        "get_vm_platform": lambda: desktop.health().platform,
        "get_vm_directory_tree": tree,
    }


def _outcome(done: CommandResult) -> dict[str, Any]:
    status = "success" if done.returncode == 0 else "error"
    return {
        "status": status, "output": done.stdout, "error": done.stderr, "returncode": done.returncode,
        "return_code": done.returncode, "message": done.stdout + done.stderr,
    }  # fmt: skip


def _png(desktop: Desktop) -> bytes | None:
    shot = desktop.observe().screenshot
    return None if shot is None else shot.png


def _said(value: Any) -> Any:
    """A getter's value in the form for task classes: files are paths in text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_said(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _said(item) for key, item in value.items()}
    return value
