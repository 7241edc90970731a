"""Facts about a task that rules need, computed once for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from deskbench.tasks import registry
from deskbench.tasks.types import Call, Check, Task

Phase = Literal["instruction", "config", "postconfig", "result", "expected"]
COMMANDS = ("execute", "command", "launch", "execute_with_verification", "vm_command_line", "vm_command_error")
"""Set-up steps and getters that run a command from the task."""
_HOME = re.compile(r"^(?:/home/\w+|\$HOME|\$\{HOME\}|C:/Users/\w+|%USERPROFILE%)(?=/|$)", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:[-.']\w+)*")


@dataclass(frozen=True)
class Text:
    """A string in a task, with its JSON path and its purpose."""

    where: str
    text: str
    phase: Phase


@dataclass(frozen=True)
class Command:
    """A command line; the file may give it as one string or as a list."""

    where: str
    line: str
    phase: Phase
    call: Call


@dataclass(frozen=True)
class Put:
    """A file that set-up puts into the desktop: an `asset` next to the task, a file from a `url`, or a `text`."""

    where: str
    path: str
    phase: Phase
    asset: str = ""
    url: str = ""
    text: str | None = None


@dataclass(frozen=True)
class Facts:
    """A task and the facts that its file shows; each one is computed on first use."""

    task: Task

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """Every string in the instruction, the set-up and the checks, except names of set-up steps and getters."""
        found = [Text("$.instruction", self.task.instruction, "instruction")]
        for phase, calls in (("config", self.task.config), ("postconfig", self.task.evaluator.postconfig)):
            for call in calls:
                found += _strings(call.parameters, f"{call.where}.parameters", phase)
        for check in self.checks:
            for phase, getter in (("result", check.result), ("expected", check.expected)):
                if getter is not None:
                    found += _strings(getter.parameters, getter.where, phase)
        return tuple(found)

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """Every command that set-up, postconfig or a getter runs."""
        found: list[Command] = []
        for phase, calls, inner in (
            ("config", self.task.config, ".parameters"),
            ("postconfig", self.task.evaluator.postconfig, ".parameters"),
            ("result", self.results, ""),
            ("expected", self.expected, ""),
        ):
            found += (
                Command(f"{call.where}{inner}.command", command_line(call), phase, call)  # type: ignore[arg-type]
                for call in calls
                if call.type in COMMANDS
            )
        return tuple(found)

    @cached_property
    def puts(self) -> tuple[Put, ...]:
        """Every file that set-up and postconfig put into the desktop, in order."""
        config = (put for call in self.task.config for put in _put(call, "config"))
        return (*config, *(put for call in self.task.evaluator.postconfig for put in _put(call, "postconfig")))

    @property
    def checks(self) -> tuple[Check, ...]:
        """The task's checks."""
        return self.task.evaluator.checks

    @cached_property
    def results(self) -> tuple[Call, ...]:
        """The getters of results."""
        return tuple(check.result for check in self.checks if check.result is not None)

    @cached_property
    def expected(self) -> tuple[Call, ...]:
        """The getters of expected values."""
        return tuple(check.expected for check in self.checks if check.expected is not None)

    @cached_property
    def sources(self) -> frozenset[str]:
        """Where the judged values come from (`registry.Source`)."""
        return frozenset(source_of(call) for call in self.results)

    @cached_property
    def instruction(self) -> str:
        """The instruction in lower case."""
        return self.task.instruction.lower()

    @cached_property
    def words(self) -> frozenset[str]:
        """The instruction's words in lower case."""
        return frozenset(_WORD.findall(self.instruction))

    @cached_property
    def ours(self) -> bool:
        """Whether the file has keys that only deskbench reads, so its author wrote it for deskbench."""
        return not {"oracle", "requires", "mutants", "limits", "seeds"}.isdisjoint(self.task.written)

    @cached_property
    def started(self) -> Mapping[str, Put]:
        """Files of the start state by path, if their content is known.

        A file is left out if a set-up command mentions its path or name, because the command may have changed it.
        """
        lines = " ".join(command.line for command in self.commands if command.phase == "config"
                         and command.call.type != "launch")  # fmt: skip
        puts = {normal(put.path): put for put in self.puts if put.phase == "config"}
        return {path: put for path, put in puts.items() if not lines or PurePosixPath(path).name not in lines}

    def says(self, *words: str) -> bool:
        """Whether the instruction has one of these words."""
        return not self.words.isdisjoint(words)


def command_line(call: Call) -> str:
    """A call's command as one line."""
    command = call.parameters.get("command", "")
    return " ".join(map(str, command)) if isinstance(command, list) else str(command)


def source_of(call: Call) -> registry.Source:
    """Where a getter's value comes from."""
    return registry.find("getter", call.type).source


def normal(path: str) -> str:
    r"""A path in the desktop with the home folder as `~` and `\` as `/`."""
    return _HOME.sub("~", path.replace("\\", "/").strip())


def paths_of(call: Call) -> tuple[str, ...]:
    """The paths in the desktop that a getter reads, as written in the file."""
    value = call.parameters.get("path") if source_of(call) == "file" else None
    return tuple(p for p in (value if isinstance(value, list) else [value]) if isinstance(p, str))


def rules_of(call: Call | None) -> Mapping[str, Any]:
    """The rules that a `rule` getter passes to its metric; empty for other getters."""
    if call is None or call.type not in ("rule", "rule_relativeTime"):
        return {}
    rules = call.parameters.get("rules")
    return rules if isinstance(rules, Mapping) else {}


def strings_in(value: Any) -> Iterator[str]:
    """Every string and number in a value, as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from strings_in(inner)


def _strings(value: Any, where: str, phase: Any) -> Iterator[Text]:
    if isinstance(value, str):
        yield Text(where, value, phase)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, below(where, key), phase)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{where}[{index}]", phase)


_PLAIN = re.compile(r"[^\W\d]\w*", re.ASCII)


def below(where: str, key: str) -> str:
    """The JSON path of an object's key, in the notation of `envs.foreign`."""
    return f"{where}.{key}" if _PLAIN.fullmatch(key) else f"{where}[{key[:80]!r}]"


def _put(call: Call, phase: Phase) -> Iterator[Put]:
    given = call.parameters
    if call.type == "write_file":
        yield Put(f"{call.where}.parameters.path", str(given.get("path")), phase, text=str(given.get("text")))
    elif call.type in ("upload_file", "download"):
        for index, file in enumerate(given.get("files", [])):
            where = f"{call.where}.parameters.files[{index}].path"
            yield Put(where, str(file.get("path")), phase, asset=file.get("local_path", ""), url=file.get("url", ""))
