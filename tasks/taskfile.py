"""Parses a task file into tasks: OSWorld's format with our optional keys, and every error in its form."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deskbench.envs import foreign
from deskbench.envs.actions import ActionError, nearest
from deskbench.envs.targets import OracleStep, parse_oracle_step
from deskbench.tasks.types import Call, Check, Evaluator, Limits, Mutant, Requires, Solution, Task
from deskbench.tasks.user import User
from deskbench.tasks.web.live import live_web

OURS = (
    "oracle", "solutions", "limits", "requires", "tags", "mutants", "neutral", "allowed", "noqa", "seeds", "user",
    "$schema",
)  # fmt: skip
USED = ("id", "instruction", "source", "config", "related_apps", "evaluator", "proxy")
DEAD = (
    "snapshot", "trajectory", "fixed_ip", "possibility_of_env_change", "hint", "env_may_change", "version", "platform",
)  # fmt: skip
"""Keys of OSWorld's files that a run ignores."""
_EVALUATOR = ("func", "conj", "result", "expected", "options", "postconfig", "_config_note")
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""An id as new tasks have it: lower case, digits and single hyphens."""
MAX_ID = 200
"""Maximum length of an id in bytes: it becomes part of file and folder names, which may have 255."""
NEAR = 0.8
"""An unknown key at least this similar to a known one counts as a typo."""


@dataclass(frozen=True)
class Problem:
    """One error in a task file; a `warning` does not keep a task from running.

    `rule` is its id among the rules of `tasks check`.
    """

    file: Path
    where: str
    message: str
    warning: bool = False
    rule: str = "DB001"

    def __str__(self) -> str:
        """One line: file, JSON path, message."""
        message = f"warning: {self.message}" if self.warning else self.message
        return f"{self.file}: {self.where}: {message}" if self.where else f"{self.file}: {message}"


@dataclass
class Problems:
    """Collects the problems of a file while it is read."""

    file: Path
    found: list[Problem] = field(default_factory=list)

    def add(self, where: str, message: str, *, warning: bool = False, rule: str = "DB001") -> None:
        """Add a problem."""
        self.found.append(Problem(self.file, where, message, warning, rule))

    @property
    def errors(self) -> bool:
        """Whether the file has a problem that keeps it from being a task."""
        return any(not problem.warning for problem in self.found)


def shown(value: object) -> str:
    """A value from a file as JSON, cut to 80 characters."""
    return json.dumps(value, ensure_ascii=False, default=str)[:80]


def bad_id(name: str) -> str:
    """What is wrong with a task's id, which is also a folder name; empty if it is valid."""
    if not re.fullmatch(r"[\w.@-]+", name):
        return f"is {name[:80]!r}; use only letters, digits and . _ - @: an id is used as a folder name"
    if name in (".", ".."):
        return f"is {name!r}, which means a different folder: an id is used as a folder name"
    size = len(name.encode())
    return f"has {size} bytes; at most {MAX_ID} are allowed: an id is used as a folder name" if size > MAX_ID else ""


def read_tasks(suite: str, file: Path, problems: Problems) -> list[Task]:
    """The tasks of a file: one, or one for each of its seeds.

    A task is made from whatever can be read, so that its names can be checked too. If there were problems, it must not
    run.
    """
    if file.is_fifo() or file.is_socket() or file.is_char_device():  # reading it may never end
        problems.add("", "is not a file")
        return []
    try:
        data = file.read_bytes()
        raw, faults = foreign.document(data)
    except OSError as error:
        problems.add("", f"cannot be read: {error.strerror}")
        return []
    except foreign.Unread as error:
        problems.add("", str(error))
        return []
    for fault in faults:
        problems.add(fault.where, fault.message)
    if not isinstance(raw, dict):
        problems.add("$", "must be a JSON object")
        return []
    digest = hashlib.sha256(data).hexdigest()
    tasks = []
    for one in _instances(raw, problems):
        own = Problems(file)
        tasks.append(_task(suite, one, digest, raw, own))
        problems.found += [problem for problem in own.found if problem not in problems.found]  # all seeds share it
    return tasks


def _instances(raw: dict[str, Any], problems: Problems) -> list[dict[str, Any]]:
    """Expand a file with `seeds`: each seed fills `{{name}}` in its strings, and the id gets `@k`."""
    seeds = raw.get("seeds")
    if seeds is None:
        return [raw]
    rest = {k: v for k, v in raw.items() if k != "seeds"}
    if not isinstance(seeds, list) or not all(isinstance(s, dict) for s in seeds) or not seeds:
        problems.add("$.seeds", "must be a list of objects")
        return [rest]
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


def _task(suite: str, raw: dict[str, Any], digest: str, written: dict[str, Any], problems: Problems) -> Task:
    _keys(raw, problems)
    source = raw.get("source", "")
    task = Task(
        id=_id(raw.get("id"), problems),
        suite=suite,
        instruction=_text(raw.get("instruction"), "$.instruction", problems),
        path=problems.file,
        config=_calls(raw.get("config", []), "$.config", problems),
        evaluator=_evaluator(raw.get("evaluator"), problems),
        oracle=_oracle(raw.get("oracle", []), "$.oracle", problems),
        limits=_model(Limits, raw.get("limits", {}), "$.limits", problems),
        requires=_model(Requires, raw.get("requires", {}), "$.requires", problems),
        related_apps=_strings(raw.get("related_apps", []), "$.related_apps", problems),
        tags=_strings(raw.get("tags", []), "$.tags", problems),
        mutants=_mutants(raw.get("mutants", []), "$.mutants", problems),
        neutral=_mutants(raw.get("neutral", []), "$.neutral", problems),
        solutions=_solutions(raw.get("solutions", []), problems),
        allowed=_reasons(raw.get("allowed", {}), "$.allowed", problems),
        noqa=_reasons(raw.get("noqa", {}), "$.noqa", problems),
        proxy=raw.get("proxy") is True,
        source=", ".join(map(str, source)) if isinstance(source, list) else str(source or ""),
        sha256=digest,
        user=_user(raw.get("user"), problems),
        written=written,
    )
    if "requires" not in raw and live_web(task) is not None:
        return task.model_copy(update={"requires": Requires(network="full")})
    return task


def _keys(raw: Mapping[str, Any], problems: Problems) -> None:
    """Warn about keys that deskbench does not read; a key that is almost one of ours is an error."""
    for key in raw:
        if key in (*USED, *OURS, *DEAD):
            continue
        meant = _meant(key)
        if meant:
            problems.add(f"$.{key}", f"unknown key; did you mean {meant!r}?")
        else:
            problems.add(f"$.{key}", "unknown key: deskbench does not read it", warning=True)


def _meant(key: str) -> str:
    """The key that the author probably meant. A suffix makes a different key (`instruction_de`)."""
    for known in (*USED, *OURS):
        alike = difflib.SequenceMatcher(None, key.lower(), known).ratio()
        if alike >= NEAR and abs(len(key) - len(known)) <= 2:
            return known
    return ""


def _id(value: object, problems: Problems) -> str:
    text = _text(value, "$.id", problems)
    message = bad_id(text) if text else ""
    if message:
        problems.add("$.id", message, rule="DB002")
    return text


def _text(value: object, where: str, problems: Problems) -> str:
    if isinstance(value, str) and value:
        return value
    problems.add(where, "must be a non-empty string")
    return ""


def _oracle(value: Any, at: str, problems: Problems) -> tuple[OracleStep, ...]:
    steps = []
    for index, item in enumerate(_list(value, at, "actions", problems)):
        try:
            steps.append(parse_oracle_step(item))
        except ActionError as error:
            problems.add(f"{at}[{index}]", str(error))
    return tuple(steps)


def _list(value: Any, where: str, what: str, problems: Problems) -> list[Any]:
    if isinstance(value, list):
        return value
    problems.add(where, f"must be a list of {what}")
    return []


def _model(model: type[Any], value: Any, where: str, problems: Problems) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"])
            hint = nearest(name, model.model_fields) if one["type"] == "extra_forbidden" else ""
            problems.add(f"{where}.{name}".rstrip("."), f"is {shown(one['input'])}: {one['msg']}{hint}")
        return model()


def _user(value: Any, problems: Problems) -> Any:
    if value is None:
        return None
    try:
        return TypeAdapter(User).validate_python(value)
    except ValidationError as error:
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"][1:])
            problems.add(f"$.user.{name}".rstrip("."), one["msg"])
        return None


def _strings(value: Any, where: str, problems: Problems) -> tuple[str, ...]:
    found = []
    for index, item in enumerate(_list(value, where, "strings", problems)):
        if isinstance(item, str):
            found.append(item)
        else:
            problems.add(f"{where}[{index}]", f"is {shown(item)}; it must be a string")
    return tuple(found)


def _calls(value: Any, where: str, problems: Problems) -> tuple[Call, ...]:
    steps = _list(value, where, "set-up steps", problems)
    found = (_step(item, f"{where}[{index}]", problems) for index, item in enumerate(steps))
    return tuple(call for call in found if call is not None)


def _step(item: Any, where: str, problems: Problems) -> Call | None:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        problems.add(where, 'must be an object with a "type"')
        return None
    for key in item:
        if key not in ("type", "parameters"):
            problems.add(where, f"unknown key {key!r}{nearest(key, ('type', 'parameters'))}")
    parameters = item.get("parameters", {})
    if not isinstance(parameters, dict):
        problems.add(f"{where}.parameters", f"is {shown(parameters)}; it must be an object")
        return None
    return Call(type=item["type"], parameters=parameters, where=where)


def _solutions(value: Any, problems: Problems) -> tuple[Solution, ...]:
    found = []
    for index, item in enumerate(_list(value, "$.solutions", "objects with name, and steps or script", problems)):
        where = f"$.solutions[{index}]"
        if not isinstance(item, dict) or set(item) not in ({"name", "steps"}, {"name", "script"}):
            problems.add(where, "must be an object with name, and steps or script")
            continue
        script = item.get("script", "")
        if not isinstance(script, str):
            problems.add(f"{where}.script", "must be a string: a shell script")
            continue
        steps = _oracle(item.get("steps", []), f"{where}.steps", problems)
        found.append(Solution(name=str(item["name"]), steps=steps, script=script))
    return tuple(found)


def _reasons(value: Any, where: str, problems: Problems) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(reason, str) and reason.strip() for reason in value.values()):
        return value
    problems.add(where, "must be an object of names, each with a reason in words", rule="DB032")
    return {}


def _mutants(value: Any, at: str, problems: Problems) -> tuple[Mutant, ...]:
    found = []
    for index, item in enumerate(_list(value, at, "objects with name and steps", problems)):
        where = f"{at}[{index}]"
        if not isinstance(item, dict) or set(item) != {"name", "steps"} or not isinstance(item["name"], str):
            problems.add(where, "must be an object with name and steps")
        else:
            found.append(Mutant(name=item["name"], steps=_calls(item["steps"], f"{where}.steps", problems)))
    return tuple(found)


def _evaluator(value: Any, problems: Problems) -> Evaluator:
    if not isinstance(value, dict):
        problems.add("$.evaluator", "must be an object")
        return Evaluator()
    for key in value:
        if key not in _EVALUATOR:
            problems.add(f"$.evaluator.{key}", f"unknown key{nearest(key, _EVALUATOR)}")
    conj = value.get("conj", "and")
    if conj not in ("and", "or"):
        problems.add("$.evaluator.conj", f"is {shown(conj)}; it must be 'and' or 'or'")
        conj = "and"
    postconfig = _calls(value.get("postconfig", []), "$.evaluator.postconfig", problems)
    if value.get("func") == "infeasible":
        return Evaluator(infeasible=True, postconfig=postconfig)
    return Evaluator(checks=_checks(value, problems), conj=conj, postconfig=postconfig)


def _checks(value: Mapping[str, Any], problems: Problems) -> tuple[Check, ...]:
    func = value.get("func")
    if isinstance(func, str):
        parts = {key: value.get(key) for key in ("result", "expected", "options")}
        return (_check(func, parts, "", problems),)
    if not isinstance(func, list) or not func or not all(isinstance(name, str) for name in func):
        problems.add("$.evaluator.func", "must be a metric's name or a list of them")
        return ()
    lists = {key: value[key] for key in ("result", "expected", "options") if key in value}
    for key, found in list(lists.items()):
        if not isinstance(found, list) or len(found) != len(func):
            problems.add(f"$.evaluator.{key}", f"must be a list as long as func, which has {len(func)}")
            return ()
    return tuple(
        _check(name, {key: found[index] for key, found in lists.items()}, f"[{index}]", problems)
        for index, name in enumerate(func)
    )


def _check(metric: str, parts: Mapping[str, Any], at: str, problems: Problems) -> Check:
    options = parts.get("options") or {}
    if not isinstance(options, dict):
        problems.add(f"$.evaluator.options{at}", "must be an object")
        options = {}
    return Check(
        metric=metric,
        result=_getter(parts.get("result"), f"$.evaluator.result{at}", problems),
        expected=_getter(parts.get("expected"), f"$.evaluator.expected{at}", problems),
        options=options,
        where=f"$.evaluator.func{at}",
    )


def _getter(value: Any, where: str, problems: Problems) -> Call | None:
    if value in (None, {}):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        problems.add(where, 'must be an object with a "type"')
        return None
    return Call(type=value["type"], parameters={k: v for k, v in value.items() if k != "type"}, where=where)
