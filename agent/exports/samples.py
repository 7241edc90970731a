"""Turn the samples of inspect's logs into trials with ATIF trajectories, which `trials` imports.

A sample is imported if it acts on a desktop by the tool `computer` alone, and its log kept the screens. The form is
that of version 2 of inspect_ai's logs (`EvalLog` and `EvalSample` of inspect_ai 0.3): a JSON document, or a zip file
with header.json and samples/<id>_epoch_<n>.json.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deskbench.agent.base import Ending, ReplyError
from deskbench.agent.exports.reading import safe, write_file, write_json
from deskbench.agent.exports.tools import Tools
from deskbench.agent.exports.zips import member
from deskbench.envs import foreign
from deskbench.envs.types import Action, Done

TOOL, SUBMIT = "computer", "submit"
"""inspect's tool for a desktop, and the one by which its agents hand in an answer."""
LARGEST = 1 << 30
"""Bytes of a log that is read, unpacked."""
ATTACHED = "attachment://"
"""How a text or a picture begins that the sample holds under `attachments`."""
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer, as inspect's `value_to_float` counts them."""
LIMITS = {"time": Ending.TIME_LIMIT, "working": Ending.TIME_LIMIT}
"""Endings by the kind of inspect's limit; any other one is a limit of steps here."""


class _Open(BaseModel):
    """Logs have more than is read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Content(_Open):
    type: str
    text: str | None = None
    image: str | None = None
    reasoning: str | None = None


class _Asked(_Open):
    id: str = ""
    function: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class _Told(_Open):
    message: str = ""


class _Message(_Open):
    role: str
    content: str | list[_Content] = ""
    tool_calls: list[_Asked] | None = None
    tool_call_id: str | None = None
    error: _Told | None = None


class _Score(_Open):
    value: Any = None
    explanation: str | None = None


class _Limit(_Open):
    type: str = ""


class _Sample(_Open):
    id: int | str
    epoch: Annotated[int, Field(ge=1, lt=1 << 31)] = 1
    messages: list[_Message]
    scores: dict[str, _Score] | None = None
    error: _Told | None = None
    limit: _Limit | None = None
    attachments: dict[str, str] = Field(default_factory=dict)
    started_at: str | None = None
    completed_at: str | None = None


class _Eval(_Open):
    task: str
    model: str | None = None
    solver: str | None = None


class _Log(_Open):
    eval: _Eval
    samples: list[dict[str, Any]] | None = None


class _Unfit(ValueError):
    """A log or a sample that cannot be imported; the message says why."""


def logs_in(source: Path) -> list[Path]:
    """The logs of inspect: the file itself, or those below a folder."""
    if source.is_file():
        return [source] if source.suffix in (".eval", ".json") and _is_log(source) else []
    return sorted(path for end in ("eval", "json") for path in source.rglob(f"*.{end}") if _is_log(path))


def _is_log(path: Path) -> bool:
    """JSON logs begin with their version and status."""
    if path.suffix == ".eval":
        return path.is_file()
    try:
        with path.open("rb") as file:
            begin = file.read(200)
    except OSError:
        return False
    return b'"version"' in begin and b'"status"' in begin


def write_trials(logs: Sequence[Path], out: Path) -> list[str]:
    """Write each sample as a trial into a folder of its own; returns what was left out, one line each."""
    problems: list[str] = []
    number = 0
    for path in logs:
        try:
            log, samples = _read(path)
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            problems.append(f"{path.name}: left out: {_why(error)}")
            continue
        for value in samples:
            number += 1
            name = f"{number}-{safe(str(value.get('id')))[:40]}"
            try:
                sample = _Sample.model_validate(value)
                _Trial(log.eval, sample, out / name).write()
            except (ReplyError, ValueError) as error:
                problems.append(f"{path.name}: sample {str(value.get('id'))[:80]!r} left out: {_why(error)}")
    return problems


def _why(error: Exception) -> str:
    return foreign.first_fault(error, ()) if isinstance(error, ValidationError) else str(error)


def _read(path: Path) -> tuple[_Log, list[dict[str, Any]]]:
    if path.suffix == ".json":
        if path.stat().st_size > LARGEST:
            raise _Unfit(f"it is larger than {LARGEST >> 30} GiB")
        log = _Log.model_validate(_document(path.read_bytes()))
        return log, log.samples or []
    with zipfile.ZipFile(path) as packed:
        if sum(one.file_size for one in packed.infolist()) > LARGEST:
            raise _Unfit(f"it is larger than {LARGEST >> 30} GiB")
        names = [name for name in packed.namelist() if name.startswith("samples/") and name.endswith(".json")]
        log = _Log.model_validate(_document(member(packed, "header.json")))
        return log, [_object(_document(member(packed, name))) for name in sorted(names)]


def _document(data: bytes) -> Any:
    return foreign.document(data)[0]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unfit("a sample is not a JSON object")
    return value


@dataclass
class _Trial:
    """One sample, and the folder of its trial."""

    eval: _Eval
    sample: _Sample
    folder: Path

    def write(self) -> None:
        """Write result.json, trajectory.json and the pictures.

        Raises:
            _Unfit, ReplyError: it is no episode on a desktop, or a call cannot be read.
        """
        self._check_tools()
        self.size = self._screen()
        self.tools = Tools(self.size, as_seen=True)
        steps = list(self._steps())
        own: dict[str, Any] = {"repeat": self.sample.epoch - 1, "width": self.size[0], "height": self.size[1]}
        ending = self._ending()
        own |= {"ending": ending.value} if ending is not None else {}
        value, told = self._score()
        own |= {"score": {"value": value, "reason": told}} if value is not None and 0 <= value <= 1 else {}
        agent = {"name": self.eval.solver or "inspect", "version": "", "model_name": self.eval.model}
        write_json(self.folder / "trajectory.json", {
            "schema_version": "ATIF-v1.8", "agent": agent, "steps": steps, "extra": {"deskbench": own},
        })  # fmt: skip
        failed = {"exception_type": "the sample ended with an error", "exception_message": self.sample.error.message} \
            if self.sample.error is not None else None  # fmt: skip
        write_json(self.folder / "result.json", {
            "task_name": safe(str(self.sample.id)), "source": safe(self.eval.task),
            "started_at": self.sample.started_at, "finished_at": self.sample.completed_at, "exception_info": failed,
            "verifier_result": {"rewards": self._rewards()},
        })  # fmt: skip

    def _check_tools(self) -> None:
        calls = [call for message in self.sample.messages for call in message.tool_calls or ()]
        other = next((call.function for call in calls if call.function not in (TOOL, SUBMIT)), None)
        if other is not None:
            raise _Unfit(f"the tool {other[:40]!r} acts on no desktop")
        if not any(call.function == TOOL for call in calls):
            raise _Unfit(f"it has no call of the tool {TOOL!r}")

    def _screen(self) -> tuple[int, int]:
        """The size of the screens, in which the tool's points are."""
        for message in self.sample.messages:
            for data in self._pictures(message):
                try:
                    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
                        return picture.size
                except (OSError, ValueError, Image.DecompressionBombError):
                    continue
        raise _Unfit("it has no pictures of a screen")

    def _steps(self) -> Iterator[dict[str, Any]]:
        messages = self.sample.messages
        asked = next((one for one in messages if one.role == "user"), None)
        if asked is not None:
            yield {"step_id": 1, "source": "user", "message": self._parts(asked)}
        results = {one.tool_call_id: one for one in messages if one.role == "tool" and one.tool_call_id}
        for number, message in enumerate((one for one in messages if one.role == "assistant"), 2):
            calls = [(call, self._actions(call)) for call in message.tool_calls or ()]
            yield self._step(number, message, calls, results)

    def _actions(self, call: _Asked) -> list[Action]:
        if call.function == SUBMIT:
            answer = call.arguments.get("answer")
            return [Done(answer if isinstance(answer, str) else None)]
        return self.tools.actions(TOOL, call.arguments)

    def _step(
        self, number: int, message: _Message, calls: Sequence[tuple[_Asked, Sequence[Action]]],
        results: Mapping[str, _Message],
    ) -> dict[str, Any]:  # fmt: skip
        made: list[dict[str, Any]] = []
        seen: list[dict[str, Any]] = []
        for place, (call, actions) in enumerate(calls):
            ids = [f"{place}-{index}" for index in range(len(actions))]
            made += [_call(name, action) for name, action in zip(ids, actions, strict=True)]
            after = results.get(call.id)
            if after is not None and ids:
                seen += self._results(ids[0], after)
        text = self._text(message)
        if not calls and message is self.sample.messages[-1] and self._free():
            made.append(_call("end", Done(text or None)))
        content = message.content if isinstance(message.content, list) else []
        thought = "\n".join(self._whole(part.reasoning) for part in content if part.reasoning)
        step = {"step_id": number, "source": "agent", "message": text, "tool_calls": made}
        return step | {"observation": {"results": seen}} | ({"reasoning_content": thought} if thought else {})

    def _results(self, call: str, after: _Message) -> Iterator[dict[str, Any]]:
        """What a tool said, and below it the screen that it showed."""
        said = after.error.message if after.error is not None else self._text(after)
        yield {"source_call_id": call, "content": said, "extra": {"ok": after.error is None}}
        parts = [part for part in self._parts(after) if part["type"] == "image"]
        if parts:
            yield {"content": parts}

    def _parts(self, message: _Message) -> list[dict[str, Any]]:
        """A message as ATIF's parts; its pictures are written beside the trajectory."""
        parts: list[dict[str, Any]] = [{"type": "text", "text": self._text(message)}]
        for data in self._pictures(message):
            name = f"images/{sha256(data).hexdigest()}.png"
            write_file(self.folder / name, data)
            parts.append({"type": "image", "source": {"media_type": "image/png", "path": name}})
        return parts

    def _pictures(self, message: _Message) -> Iterator[bytes]:
        for part in message.content if isinstance(message.content, list) else []:
            head, _, data = self._whole(part.image or "").partition(";base64,")
            if part.type == "image" and head.startswith("data:image/"):
                try:
                    yield base64.b64decode(data, validate=True)
                except (binascii.Error, ValueError):
                    continue

    def _text(self, message: _Message) -> str:
        if isinstance(message.content, str):
            return self._whole(message.content)
        return "\n".join(self._whole(part.text) for part in message.content if part.type == "text" and part.text)

    def _whole(self, text: str) -> str:
        return self.sample.attachments.get(text.removeprefix(ATTACHED), "") if text.startswith(ATTACHED) else text

    def _free(self) -> bool:
        """Whether the agent itself ended the sample."""
        return self.sample.error is None and self.sample.limit is None

    def _ending(self) -> Ending | None:
        """How it ended, if the log says it; else its last action tells."""
        if self.sample.error is not None:
            return Ending.ENV_ERROR
        return None if self.sample.limit is None else LIMITS.get(self.sample.limit.type, Ending.STEP_LIMIT)

    def _rewards(self) -> dict[str, float | None]:
        scores = self.sample.scores or {}
        if len(scores) == 1:
            return {"reward": _number(next(iter(scores.values())).value)}
        return {name: _number(score.value) for name, score in scores.items()}

    def _score(self) -> tuple[float | None, str]:
        """The score and its explanation, if there is one scorer."""
        if len(self.sample.scores or {}) != 1:
            return None, ""
        ((name, score),) = (self.sample.scores or {}).items()
        return _number(score.value), f"{name}: {self._whole(score.explanation or '') or 'no explanation'}"


def _call(name: str, action: Action) -> dict[str, Any]:
    written = action.to_json()
    return {"tool_call_id": name, "function_name": written.pop("type"), "arguments": written}


def _number(value: Any) -> float | None:
    """A score as a number; None for a list or an object, which no number is."""
    if isinstance(value, str):
        return LETTERS.get(value, _parsed(value))
    return float(value) if isinstance(value, (int, float)) else None


def _parsed(text: str) -> float | None:
    try:
        value = float(json.loads(text))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None
    return value if math.isfinite(value) else None
