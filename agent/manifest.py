"""run.json: everything that defined a run, so that its numbers can be reproduced."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deskbench.agent.agents.mixture_config import load_mixture
from deskbench.agent.agents.profile import load_profile, profile_names
from deskbench.agent.build import AGENTS, Prepared
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.verify.record import agent_key, validated
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN, without_logins
from deskbench.envs.wire import PROTOCOL
from deskbench.tasks.fingerprint import assets_key, functions_of
from deskbench.tasks.load import task_set_hash

PACKAGES = ("deskbench", "mss", "pillow", "pyautogui", "pydantic", "requests", "rapidocr", "onnxruntime")

MIXED = "mixed"
"""Stands for a hash of code that changed between the sessions of a run."""
SEPARATOR = ", then "
"""Between the versions of the sessions of a run."""
FAMILY = "deskbench.agent.agents.family"
"""The module of every agent that is a family of models."""


def manifest(prepared: Prepared) -> dict[str, Any]:
    """The manifest of a run; it never contains an endpoint's key."""
    found: dict[str, Any] = KNOWN.value(_facts(prepared))
    return found


def _facts(prepared: Prepared) -> dict[str, Any]:
    config = prepared.config
    valid = validated(prepared.tasks, config.provider, prepared.made_of)
    return {
        "version": 1,
        "state": "running",
        "created": time.time(),
        "cwd": str(Path.cwd()),
        "agent": _agent_name(prepared),
        "provider": config.provider,
        "desktop": {name: without_logins(value) for name, value in prepared.made_of.items()},
        "policy": config.policy,
        "observation": prepared.observation,
        "on_tamper": config.on_tamper,
        "planned": len(prepared.tasks) * config.repeats,
        "validated": {"n": valid.n, "of": valid.m},
        "task_set": task_set_hash(prepared.tasks),
        "tasks": [task.key for task in prepared.tasks],
        "skipped": [{"task": task.key, "reason": reason} for task, reason in prepared.skipped],
        "config": config.model_dump(mode="json"),
        "origins": config.origins,
        "versions": versions(),
        "protocol": PROTOCOL,
        "code": code_of(prepared),
    }


def code_of(prepared: Prepared) -> dict[str, Any]:
    """Hashes of the code that a run depends on: of each function that its tasks use, and of the agent.

    Files beside the tasks are under `assets`, by task; what the agent reads from files is `agent_files`. `rescore` and
    `run --reuse` compare them with what is there now.
    """
    functions = {name: key for task in prepared.tasks for name, key in functions_of(task).items()}
    assets = {task.key: key for task in prepared.tasks if (key := assets_key(task))}
    name = prepared.config.agent
    module = AGENTS.get(name, name if ":" in name else FAMILY).partition(":")[0]
    files = hashlib.sha256("\n".join(_agent_files(name, prepared.config.agent_settings)).encode()).hexdigest()
    return {"functions": functions, "assets": assets, "agent": agent_key(module), "agent_files": files}


def _agent_files(name: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The profile of an agent, the hash of each file that its settings name, and those of the agents of a mixture."""
    profile = settings.get("profile", name)
    if ":" not in name and (profile in profile_names() or profile.endswith(".toml")):
        yield load_profile(profile).model_dump_json()
    for value in settings.values():
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # most settings name no file
            path = Path(value).expanduser()
            if path.is_file():
                with path.open("rb") as file:
                    yield hashlib.file_digest(file, "sha256").hexdigest()
    if name == "mixture":
        for expert in load_mixture(Path(settings["mixture"])).experts:
            yield from _agent_files("", expert.settings)


def resumed(run: RunFolder, prepared: Prepared) -> list[str]:
    """Say in a run's manifest what has changed since its earlier sessions; returns it in words.

    A hash of code that differs becomes `MIXED`, so that `rescore` and `run --reuse` take it for changed. Versions and
    what the desktop is made of list all values.

    Raises:
        StorageError: the manifest cannot be written.
    """
    before, now = run.manifest(), manifest(prepared)
    listed = ("versions", "desktop", "protocol")
    changes = {name: _both(before.get(name), now[name]) for name in listed if before.get(name) != now[name]}
    if isinstance(before.get("code"), dict) and before["code"] != now["code"]:
        changes["code"] = _mixed(before["code"], now["code"])
    if changes:
        run.write_manifest({**before, **changes})
    return [line for name in changes for line in _differences(name, before.get(name), changes[name])]


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    """Each entry of a manifest that differs, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        for part in now:
            yield from _differences(f"{name} {part}", before.get(part), now[part])
    elif before != now:
        yield f"{name} changed" if now == MIXED else f"{name}: {now}"


def _mixed(before: Any, now: Any) -> Any:
    if isinstance(before, dict) and isinstance(now, dict):
        return {name: _mixed(before.get(name), now.get(name)) for name in {**before, **now}}
    return before if before == now else MIXED


def _both(before: Any, now: Any) -> Any:
    """Both values as one text, in the order of the sessions."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {name: _both(before.get(name), now.get(name)) for name in {**before, **now}}
    known = [] if before is None else str(before).split(SEPARATOR)
    return (
        before if before == now or str(now) in known else SEPARATOR.join([*known, "none" if now is None else str(now)])
    )


def update(run: RunFolder, **changes: Any) -> None:
    """Change entries of a run's manifest; None removes an entry.

    Raises:
        StorageError: the manifest cannot be written.
    """
    value = {**run.manifest(), **changes, "ended": time.time()}
    run.write_manifest({k: KNOWN.told(v) if k == "error" else v for k, v in value.items() if v is not None})


def _agent_name(prepared: Prepared) -> str:
    model = prepared.config.agent_settings.get("model")
    return f"{prepared.config.agent} ({model})" if model else prepared.config.agent


def versions() -> dict[str, str]:
    """The versions of Python, the system, the sources and the packages that scores depend on."""
    found = {"python": platform.python_version(), "system": platform.platform(), "git": _revision()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _revision() -> str:
    """The git revision of the sources, or `unknown`."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def check_same(run: RunFolder, prepared: Prepared) -> None:
    """Check that a run is resumed with the tasks and settings that it began with.

    Raises:
        UsageError: names what differs.
    """
    before = run.manifest()
    now = manifest(prepared)
    if before["task_set"] != now["task_set"]:
        raise UsageError(f"{run.path} began with other tasks, or the tasks have changed; start a new run")
    # the tasks themselves are compared above, wherever they are
    free = {
        "source", "parallel", "retries", "budget_usd", "video", "take_over", "lease_seconds", "step_seconds", "engine",
        "ray_address", "desktop_mb", "results_url",
    }  # fmt: skip
    differing = [k for k, v in now["config"].items() if before["config"].get(k) != v and k not in free]
    if differing:
        raise UsageError(f"{run.path} began with another {', '.join(differing)}; start a new run")
