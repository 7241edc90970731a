"""Task files to tasks: OSWorld's format with our optional keys, every problem found before a machine starts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deskbench.envs.actions import ActionError, nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.targets import parse_oracle
from deskbench.tasks import registry
from deskbench.tasks.classes.process import describe
from deskbench.tasks.classes.reading import Unusable, read_class
from deskbench.tasks.live import drive, live_web
from deskbench.tasks.types import Call, Check, Evaluator, Limits, Mutant, Requires, Task
from deskbench.tasks.user import User

LIBRARY = Path(__file__).resolve().parent / "library"
CLASS_FILES = "task_*.py"
"""Task classes, as OSWorld-V2 names their files."""
_OURS = ("oracle", "limits", "requires", "tags", "mutants", "seeds", "user", "$schema")
_USED = ("id", "instruction", "source", "config", "related_apps", "evaluator", "proxy")
_DEAD = (
    "snapshot", "trajectory", "fixed_ip", "possibility_of_env_change", "hint", "env_may_change", "version", "platform",
)  # fmt: skip
"""Keys of OSWorld's files that mean nothing to a run."""
KEYS = (*_USED, *_OURS, *_DEAD)
_EVALUATOR = ("func", "conj", "result", "expected", "options", "postconfig", "_config_note")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a task file."""

    file: Path
    where: str
    message: str

    def __str__(self) -> str:
        """One line: file, JSON path, what."""
        return f"{self.file}: {self.where}: {self.message}" if self.where else f"{self.file}: {self.message}"


class _Bad(ValueError):
    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


def load(source: str | Path, *, split: str | None = None) -> list[Task]:
    """Every task of a file, a folder, a suite's name, or an OSWorld checkout (`evaluation_examples`).

    Raises:
        UsageError: the first problem, and how many more there are.
    """
    tasks, problems = read(source, split=split)
    problems += [problem for task in tasks for problem in check(task)]
    if problems:
        more = f" (and {len(problems) - 1} more: deskbench tasks check {source})" if len(problems) > 1 else ""
        raise UsageError(f"{problems[0]}{more}")
    return tasks


def check_all(source: str | Path, *, split: str | None = None) -> list[Problem]:
    """Every problem of every task file."""
    tasks, problems = read(source, split=split)
    return problems + [problem for task in tasks for problem in check(task)]


def read(source: str | Path, *, split: str | None = None) -> tuple[list[Task], list[Problem]]:
    """Parse without resolving names."""
    tasks: list[Task] = []
    problems: list[Problem] = []
    files = _files(source, split)
    classes = describe(file for _, file in files if file.suffix == ".py")
    for suite, file in files:
        try:
            tasks += [_class(suite, file, classes[file])] if file in classes else _read_file(suite, file)
        except _Bad as bad:
            problems.append(Problem(file, bad.where, str(bad)))
    return tasks, problems + list(_duplicates(tasks))


def _files(source: str | Path, split: str | None) -> list[tuple[str, Path]]:
    """(suite, file) pairs of a source."""
    path = Path(source)
    if not path.exists() and (LIBRARY / str(source)).is_dir():
        path = LIBRARY / str(source)
    if not path.exists():
        known = sorted(p.name for p in LIBRARY.iterdir() if p.is_dir() and not p.name.startswith("_"))
        raise UsageError(f"no such file, folder or suite: {source}; suites: {', '.join(known)}")
    if path.is_file():
        return [(path.resolve().parent.name, path)]
    for inner in (path, path / "evaluation_examples"):
        if (inner / "examples").is_dir() or (inner / "test_v2.json").is_file():
            return _osworld_files(inner, split)
    if split is not None:
        raise UsageError(f"{source} is not an OSWorld checkout: it has no split {split!r}")
    found = [
        (file.parent.name, file)
        for file in sorted([*path.rglob("*.json"), *path.rglob(CLASS_FILES)])
        if "assets" not in file.relative_to(path).parts[:-1]
    ]
    if not found:
        raise UsageError(f"{source} holds no task files (*.json, {CLASS_FILES})")
    return found


def _osworld_files(root: Path, split: str | None) -> list[tuple[str, Path]]:
    if split is None:
        found = [
            file for folder in ("examples", "examples_windows") for file in sorted((root / folder).glob("*/*.json"))
        ]
        return [(file.parent.name, file) for file in [*found, *sorted(root.rglob(CLASS_FILES))]]
    listing = root / f"{split.removesuffix('.json')}.json"
    if not listing.exists():
        known = sorted(p.stem for p in root.glob("test_*.json"))
        raise UsageError(f"{root} has no split {split!r}{nearest(split, known)}")
    value = json.loads(listing.read_text(encoding="utf-8"))
    classes = {file.name: file for file in root.rglob(CLASS_FILES)}
    return [
        (file.parent.name, file)
        for domain, names in value.items()
        for name in names
        for file in [classes.get(f"task_{name}.py", root / "examples" / domain / f"{name}.json")]
    ]


def _duplicates(tasks: Iterable[Task]) -> Iterator[Problem]:
    first: dict[str, Task] = {}
    for task in tasks:
        other = first.setdefault(task.key, task)
        if other is not task:
            yield Problem(task.path, "$.id", f"{task.key!r} is the id of {other.path} too")


def _class(suite: str, file: Path, facts: dict[str, Any] | str) -> Task:
    if isinstance(facts, str):
        raise _Bad("", facts)
    try:
        return read_class(suite, file, facts)
    except Unusable as error:
        raise _Bad("", str(error)) from None


def _read_file(suite: str, file: Path) -> list[Task]:
    try:
        data = file.read_bytes()
        raw = json.loads(data)
    except OSError as error:
        raise _Bad("", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _Bad("", f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _Bad("", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if not isinstance(raw, dict):
        raise _Bad("$", "must be a JSON object")
    digest = hashlib.sha256(data).hexdigest()
    return [_task(suite, file, one, digest) for one in _instances(raw)]


def _instances(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """A file with `seeds` is a template: `{{name}}` in its strings is filled from each, and the id gets `@k`."""
    seeds = raw.get("seeds")
    if seeds is None:
        return [raw]
    if not isinstance(seeds, list) or not all(isinstance(s, dict) for s in seeds) or not seeds:
        raise _Bad("$.seeds", "must be a list of objects")
    rest = {k: v for k, v in raw.items() if k != "seeds"}
    return [{**_filled(rest, seed), "id": f"{raw.get('id')}@{k}"} for k, seed in enumerate(seeds)]


def _filled(value: Any, seed: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        whole = re.fullmatch(r"\{\{(\w+)\}\}", value)
        if whole and whole[1] in seed:
            return seed[whole[1]]
        return re.sub(r"\{\{(\w+)\}\}", lambda m: str(seed.get(m[1], m[0])), value)
    if isinstance(value, dict):
        return {k: _filled(v, seed) for k, v in value.items()}
    return [_filled(v, seed) for v in value] if isinstance(value, list) else value


def _task(suite: str, file: Path, raw: dict[str, Any], digest: str) -> Task:
    for key in raw:
        if key not in KEYS:
            raise _Bad(f"$.{key}", f"unknown key{nearest(key, KEYS)}")
    for key in ("id", "instruction"):
        if not isinstance(raw.get(key), str) or not raw[key]:
            raise _Bad(f"$.{key}", "must be a string that is not empty")
    if not re.fullmatch(r"[\w.@-]+", raw["id"]):
        raise _Bad("$.id", f"is {raw['id']!r}; letters, digits and . _ - @ only: it names folders")
    try:
        oracle = parse_oracle(raw.get("oracle", []))
    except ActionError as error:
        raise _Bad("$.oracle", str(error)) from None
    source = raw.get("source", "")
    task = Task(
        id=raw["id"],
        suite=suite,
        instruction=raw["instruction"],
        path=file,
        config=_calls(raw.get("config", []), "$.config"),
        evaluator=_evaluator(raw.get("evaluator")),
        oracle=oracle,
        limits=_model(Limits, raw.get("limits", {}), "$.limits"),
        requires=_model(Requires, raw.get("requires", {}), "$.requires"),
        related_apps=_strings(raw.get("related_apps", []), "$.related_apps"),
        tags=_strings(raw.get("tags", []), "$.tags"),
        mutants=_mutants(raw.get("mutants", [])),
        proxy=raw.get("proxy") is True,
        source=", ".join(source) if isinstance(source, list) else str(source),
        sha256=digest,
        user=_user(raw.get("user")),
    )
    if "requires" not in raw and live_web(task) is not None:
        return task.model_copy(update={"requires": Requires(network="full")})
    return task


def _model(model: type[Any], value: Any, where: str) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = nearest(name, model.model_fields) if first["type"] == "extra_forbidden" else ""
        raise _Bad(f"{where}.{name}", f"is {first['input']!r}: {first['msg']}{hint}") from None


def _user(value: Any) -> Any:
    if value is None:
        return None
    try:
        return TypeAdapter(User).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        raise _Bad(f"$.user.{name}".rstrip("."), first["msg"]) from None


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Bad(where, "must be a list of strings")
    return tuple(str(item) for item in value)


def _calls(value: Any, where: str) -> tuple[Call, ...]:
    if not isinstance(value, list):
        raise _Bad(where, "must be a list of set-up steps")
    calls = []
    for index, item in enumerate(value):
        here = f"{where}[{index}]"
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise _Bad(here, 'must be an object with a "type"')
        for key in item:
            if key not in ("type", "parameters"):
                raise _Bad(here, f"unknown key {key!r}{nearest(key, ('type', 'parameters'))}")
        calls.append(Call(type=item["type"], parameters=item.get("parameters", {}), where=here))
    return tuple(calls)


def _mutants(value: Any) -> tuple[Mutant, ...]:
    if not isinstance(value, list):
        raise _Bad("$.mutants", "must be a list")
    found = []
    for index, item in enumerate(value):
        if not isinstance(item, dict) or set(item) != {"name", "steps"}:
            raise _Bad(f"$.mutants[{index}]", "must be an object with name and steps")
        found.append(Mutant(name=str(item["name"]), steps=_calls(item["steps"], f"$.mutants[{index}].steps")))
    return tuple(found)


def _evaluator(value: Any) -> Evaluator:
    if not isinstance(value, dict):
        raise _Bad("$.evaluator", "must be an object")
    for key in value:
        if key not in _EVALUATOR:
            raise _Bad(f"$.evaluator.{key}", f"unknown key{nearest(key, _EVALUATOR)}")
    func, conj = value.get("func"), value.get("conj", "and")
    if conj not in ("and", "or"):
        raise _Bad("$.evaluator.conj", f"is {conj!r}; it is and or or")
    postconfig = _calls(value.get("postconfig", []), "$.evaluator.postconfig")
    if func == "infeasible":
        return Evaluator(infeasible=True, postconfig=postconfig)
    if isinstance(func, str):
        return Evaluator(checks=(_check(value, func, None),), conj=conj, postconfig=postconfig)
    if not isinstance(func, list) or not func or not all(isinstance(f, str) for f in func):
        raise _Bad("$.evaluator.func", "must be a metric's name or a list of them")
    for key in ("result", "expected", "options"):
        if key in value and (not isinstance(value[key], list) or len(value[key]) != len(func)):
            raise _Bad(f"$.evaluator.{key}", f"must be a list as long as func, which has {len(func)}")
    checks = tuple(_check(value, name, index) for index, name in enumerate(func))
    return Evaluator(checks=checks, conj=conj, postconfig=postconfig)


def _check(value: Mapping[str, Any], metric: str, index: int | None) -> Check:
    at = "" if index is None else f"[{index}]"

    def part(key: str) -> Any:
        return value.get(key) if index is None else value[key][index] if key in value else None

    options = part("options") or {}
    if not isinstance(options, dict):
        raise _Bad(f"$.evaluator.options{at}", "must be an object")
    return Check(
        metric=metric,
        result=_getter(part("result"), f"$.evaluator.result{at}"),
        expected=_getter(part("expected"), f"$.evaluator.expected{at}"),
        options=options,
        where=f"$.evaluator.func{at}",
    )


def _getter(value: Any, where: str) -> Call | None:
    if value in (None, {}):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise _Bad(where, 'must be an object with a "type"')
    return Call(type=value["type"], parameters={k: v for k, v in value.items() if k != "type"}, where=where)


def check(task: Task) -> list[Problem]:
    """Resolve every name, parameter and asset of a task; all problems, in the order of the file."""
    problems: list[Problem] = []

    def resolve(kind: registry.Kind, name: str, parameters: Mapping[str, Any], where: str) -> None:
        try:
            registry.check_parameters(registry.find(kind, name), parameters)
        except registry.RegistryError as error:
            problems.append(Problem(task.path, where, str(error)))

    steps = [*task.config, *task.evaluator.postconfig, *(s for m in task.mutants for s in m.steps)]
    for step in steps:
        resolve("setup", step.type, step.parameters, step.where)
        problems += _missing_assets(task, step)
    for one in task.evaluator.checks:
        resolve("metric", one.metric, one.options, one.where)
        for place, call in enumerate((one.result, one.expected)):
            if call is not None:
                resolve("getter", call.type, call.parameters, call.where)
                problems += _wrong_rules(task, one, place, call)
    return problems


def _wrong_rules(task: Task, check: Check, place: int, call: Call) -> Iterator[Problem]:
    """What the file itself gives to a metric is checked against the metric's signature."""
    if call.type not in ("rule", "rule_relativeTime"):
        return
    try:
        entry = registry.find("metric", check.metric)
        registry.check_rules(entry, place, call.parameters.get("rules"))
    except registry.RegistryError as error:
        yield Problem(task.path, f"{call.where}.rules", str(error))


def _missing_assets(task: Task, step: Call) -> Iterator[Problem]:
    files = step.parameters.get("files")
    for index, file in enumerate(files if step.type == "upload_file" and isinstance(files, list) else []):
        local = file.get("local_path") if isinstance(file, dict) else None
        if isinstance(local, str) and not (task.folder / local).is_file():
            yield Problem(task.path, f"{step.where}.parameters.files[{index}].local_path", f"no such file: {local}")


def task_set_hash(tasks: Iterable[Task]) -> str:
    """SHA-256 over the ids and files of a set of tasks, whatever their order."""
    lines = sorted(f"{task.key} {task.sha256}" for task in tasks)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def skip_reason(task: Task, *, platform: str | None, network: bool, has_app: Mapping[str, bool]) -> str | None:
    """Why this desktop cannot do the task, or None.

    Args:
        platform: `Linux`, `Windows` or `Darwin`; None where that is not known.
        network: the desktop may have the network.
        has_app: for each program that tasks require, whether it is there.
    """
    systems = {"linux": "Linux", "ubuntu": "Linux", "windows": "Windows", "macos": "Darwin"}
    wanted = {systems.get(name.lower(), name) for name in task.requires.os}
    if wanted and platform is not None and platform not in wanted:
        return f"needs {' or '.join(task.requires.os)}; the desktop is {platform}"
    lacking = [app for app in task.requires.apps if not has_app.get(app, False)]
    if lacking:
        return f"needs {', '.join(lacking)}, which the desktop does not have"
    if task.requires.network != "off" and not network:
        return f"needs the network, which is off (--network){_why_network(task)}"
    return task.lacks or drive(task)


def _why_network(task: Task) -> str:
    why = live_web(task)
    return f": {why}" if why else ""
