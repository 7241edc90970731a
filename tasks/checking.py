"""Checks that everything a task names exists: set-up steps, getters, metrics, parameters, rules, roles, assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from deskbench.envs.actions import nearest
from deskbench.envs.targets import roles
from deskbench.tasks import registry
from deskbench.tasks.assets import path_of, urls
from deskbench.tasks.taskfile import Problem
from deskbench.tasks.types import Call, Check, Outside, Task

SYSTEMS = {"linux": "Linux", "ubuntu": "Linux", "windows": "Windows", "macos": "Darwin"}
"""Names of operating systems in task files, and the names that `platform.system` uses."""
LONGEST_SLEEP = 3600
"""The most seconds that a set-up step may wait for nothing in particular."""
ASSETS = {"task_file": ("path",), "conference_city_in_order": ("csv_path",)}
"""Getter parameters that name a file next to the task file."""


def check(task: Task) -> list[Problem]:
    """Resolve every name, parameter and asset of a task; returns all problems in the order of the file."""
    found: list[Problem] = []

    def note(told: Iterator[tuple[str, str]], rule: str = "DB001") -> None:
        found.extend(Problem(task.path, where, message, rule=rule) for where, message in told)

    for step in _steps(task):
        note(_unresolved("setup", step.type, step.parameters, step.where))
        note(_missing_assets(task, step), "DB003")
        note(_impossible(step))
    for one in task.evaluator.checks:
        note(_unresolved("metric", one.metric, one.options, one.where, expected=one.expected))
        note(_lacking(one))
        for place, call in enumerate((one.result, one.expected)):
            if call is not None:
                note(_unresolved("getter", call.type, call.parameters, call.where))
                note(_wrong_rules(one, place, call))
                note(_missing_assets(task, call), "DB003")
                note(_impossible(call))
    note(_unknown_roles(task))
    return found


def calls_of(task: Task) -> Iterator[tuple[registry.Kind, str]]:
    """Every set-up step, getter and metric that a task names, as kind and name."""
    yield from (("setup", step.type) for step in _steps(task))
    for one in task.evaluator.checks:
        yield "metric", one.metric
        yield from (("getter", call.type) for call in (one.result, one.expected) if call is not None)


def assets_of(task: Task) -> Iterator[str]:
    """Every file next to the task file that the task names, as a relative path."""
    calls = [call for one in task.evaluator.checks for call in (one.result, one.expected) if call is not None]
    for call in [*_steps(task), *calls]:
        yield from (name for _, name in _assets(call))


def _steps(task: Task) -> list[Call]:
    changes = [*task.mutants, *task.neutral]
    return [*task.config, *task.evaluator.postconfig, *(step for change in changes for step in change.steps)]


def _unresolved(
    kind: registry.Kind, name: str, parameters: Mapping[str, object], where: str, **more: object
) -> Iterator[tuple[str, str]]:
    try:
        entry = registry.find(kind, name)
    except registry.RegistryError as error:
        yield where, str(error)
    else:
        yield from ((where, message) for message in registry.parameter_problems(entry, parameters, **more))


def _lacking(check: Check) -> Iterator[tuple[str, str]]:
    """Report a metric without an argument that it needs: it would score 0 whatever an agent does."""
    try:
        needed = registry.find("metric", check.metric).needed
    except registry.RegistryError:
        return
    for key, call, names in zip(("result", "expected"), (check.result, check.expected), (needed[:1], needed[1:2]),
                                strict=True):  # fmt: skip
        if names and call is None:
            where = check.where.replace("func", key, 1)
            yield (
                where,
                f"{check.metric} needs {'a result' if key == 'result' else 'an expected value'}, but has none",
            )


def _wrong_rules(check: Check, place: int, call: Call) -> Iterator[tuple[str, str]]:
    """Check literal arguments in the file against the metric's signature."""
    if call.type not in ("rule", "rule_relativeTime"):
        return
    try:
        entry = registry.find("metric", check.metric)
    except registry.RegistryError:
        return
    for message in registry.rule_problems(entry, place, call.parameters.get("rules")):
        yield f"{call.where}.rules", message


def _impossible(call: Call) -> Iterator[tuple[str, str]]:
    """Report values of the right type that can never work: addresses and times."""
    for url in urls(call):
        if path_of(url) is None and not _is_address(url):
            yield call.where, f"{url!r} is not an address: it must begin with https://, http:// or file:"
    seconds = call.parameters.get("seconds")
    if call.type == "sleep" and isinstance(seconds, int | float) and not 0 <= seconds <= LONGEST_SLEEP:
        yield call.where, f"seconds is {seconds:g}; it must be 0 to {LONGEST_SLEEP}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)


def _missing_assets(task: Task, call: Call) -> Iterator[tuple[str, str]]:
    for where, name in _assets(call):
        try:
            if not task.asset(name).is_file():
                yield where, f"no such file: {name}"
        except (Outside, OSError, ValueError) as error:
            yield where, str(error)


def _assets(call: Call) -> Iterator[tuple[str, str]]:
    """The files next to the task file that a set-up step or getter names: JSON path and file name."""
    files = call.parameters.get("files")
    for index, file in enumerate(files if call.type == "upload_file" and isinstance(files, list) else []):
        if isinstance(file, dict) and isinstance(file.get("local_path"), str):
            yield f"{call.where}.parameters.files[{index}].local_path", file["local_path"]
    for key in ASSETS.get(call.type, ()):
        if isinstance(call.parameters.get(key), str):
            yield f"{call.where}.{key}", call.parameters[key]
    for url in urls(call):
        name = path_of(url)
        if name is not None:
            yield call.where, name


def _unknown_roles(task: Task) -> Iterator[tuple[str, str]]:
    systems = {SYSTEMS.get(name.lower(), name) for name in task.requires.os} or {"Linux"}
    known = roles(systems)
    if known is None:
        return
    ways = [
        ("$.oracle", task.oracle),
        *((f"$.solutions[{n}].steps", one.steps) for n, one in enumerate(task.solutions)),
    ]
    for where, steps in ways:
        for index, step in enumerate(steps):
            for target in step.targets:
                if target.role is not None and target.role not in known:
                    yield f"{where}[{index}]", f"unknown role {target.role!r}{nearest(target.role, known)}"
