"""Write an episode to disk and read it back (`layout` names its files)."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import to_json

from deskbench.agent.base import Decision, Ending, Usage
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.redact import KNOWN, without_logins
from deskbench.envs.types import Observation, Screenshot
from deskbench.tasks.metrics.support.fidelity import Strict
from deskbench.tasks.types import PartScore

IMPORTED = "imported"
"""The provider's name in an episode from another harness; `replay` then needs the user to name a provider."""


DEEPEST = 200
"""Levels of nested lists and objects to record, the limit of the JSON writer; anything deeper is left out."""


Time = Annotated[float, Field(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the year 9999."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        """Replace lone surrogates, which replies and desktops may contain: a file cannot hold them."""
        return whole(value)


def whole(value: Any, depth: int = 0) -> Any:
    """A JSON value whose texts a file can hold: a lone surrogate becomes U+FFFD. Too deep parts are left out."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not isinstance(value, (dict, list, tuple)):
        return value
    if depth == DEEPEST:
        return "[too deep to be recorded]"
    if isinstance(value, dict):
        return {whole(name): whole(item, depth + 1) for name, item in value.items()}
    return [whole(item, depth + 1) for item in value]


class ResultRecord(NamedTuple):
    """The result of an action: an `ActionResult` without its time; a list of three items in the file."""

    ok: bool
    error: str | None
    output: str | None


class SeenRecord(_Record):
    """An observation without its bytes: `frame` names frames/<frame>.png, `accessibility` names files/<sha256>."""

    frame: str | None
    width: int
    height: int
    cursor: tuple[int, int]
    settled: bool | None = None
    settled_by: str | None = None
    settle_ms: float = 0.0
    capture_ms: float = 0.0
    act_ms: float = 0.0
    roundtrip_ms: float = 0.0
    accessibility: str | None = None
    accessibility_complete: bool = True
    terminal: str | None = None
    results: list[ResultRecord] = Field(default_factory=list)
    answer: str | None = None
    problems: list[str] = Field(default_factory=list)


class UsageRecord(_Record):
    """Tokens and cost of a step or an episode."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class ExchangeRecord(_Record):
    """One request to a model, with {"image": sha256} for each picture and without secrets."""

    request: dict[str, Any]
    reply: str | None
    error: str | None = None
    ms: float = 0.0


class StepRecord(_Record):
    """What the agent saw and decided; written before the actions are carried out."""

    kind: Literal["step"] = "step"
    index: int
    time: Time
    observation: SeenRecord
    actions: list[dict[str, Any]]
    reply: str | None = None
    thought: str | None = None
    usage: UsageRecord = UsageRecord()
    model_ms: float = 0.0
    attempts: int = 1
    exchanges: list[ExchangeRecord] = Field(default_factory=list)
    notes: list[dict[str, Any]] = Field(default_factory=list)
    """Other facts that an agent records: safety checks, what was cut, which expert answered."""


class FinalRecord(_Record):
    """The last observation, after the last actions: the screen of the end state that was scored."""

    kind: Literal["final"] = "final"
    time: Time
    observation: SeenRecord


class NoteRecord(_Record):
    """An event to keep: an error with its traceback, a retry, the time of a set-up step."""

    kind: Literal["note"] = "note"
    time: float
    what: str
    detail: dict[str, Any] = Field(default_factory=dict)


class ScoreRecord(_Record):
    """A `tasks.types.Score` in the record."""

    value: float | None = Field(ge=0, le=1)
    reason: str
    checks: list[dict[str, Any]] = Field(default_factory=list)
    parts: list[dict[str, Any]] = Field(default_factory=list)
    seconds: float = 0.0


def whole_parts(score: ScoreRecord) -> Iterator[PartScore]:
    """The partial scores of a record, without those that have another form: it may be from elsewhere."""
    for part in score.parts:
        with suppress(ValidationError):
            yield PartScore.model_validate(part)


class Totals(_Record):
    """Time (in milliseconds) and cost of the whole episode, by purpose."""

    steps: int = Field(default=0, ge=0, lt=2**53)
    actions: int = 0
    model_ms: FiniteFloat = 0.0
    act_ms: FiniteFloat = 0.0
    settle_ms: FiniteFloat = 0.0
    roundtrip_ms: FiniteFloat = 0.0
    reset_ms: FiniteFloat = 0.0
    setup_ms: FiniteFloat = 0.0
    score_ms: FiniteFloat = 0.0
    wall_ms: FiniteFloat = 0.0
    usage: UsageRecord = UsageRecord()


class Origin(_Record):
    """Where an episode is from that `run --reuse` took over: the other run's folder, and the attempt there."""

    run: str
    attempt: int
    how: Literal["reuse", "rescore"]


class EpisodeRecord(_Record):
    """episode.json."""

    version: Literal[1] = 1
    task: str
    task_id: str
    suite: str
    instruction: str
    task_sha256: str
    feasible: bool
    attempt: int
    repeat: int = 0
    agent: str
    provider: str
    seed: int
    width: int
    height: int
    policy: str
    max_steps: int | None = None
    max_seconds: float | None = None
    """The limits that applied; None if another harness does not record them."""
    osworld_strict: Strict = None
    """The revision of OSWorld whose mistakes the checks repeated."""
    started: Time
    finished: Time
    ending: Ending
    score: ScoreRecord
    deaths: int = 0
    """Number of attempts of this episode so far, including this one, whose desktop died while the agent acted."""
    tampered: bool = False
    """The desktop died for the second time: there is no further attempt, and the run's `on_tamper` sets the score."""
    permanent: bool = False
    """The failure would happen again, so there is no further attempt."""
    error: str | None = None
    answer: str | None = None
    totals: Totals = Totals()
    task_path: str = ""
    """Path of the task file."""
    task_json: dict[str, Any] = Field(default_factory=dict)
    state: dict[str, Any] = Field(default_factory=dict)
    """Values and files (by SHA-256) that the getters read, for `rescore`."""
    rescored: bool = False
    """`rescore --write` wrote the score, so the run's manifest does not say with which checks."""
    origin: Origin | None = None
    """None if the episode ran in this run."""


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file atomically.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    _move(_temporary(path, data, sync=sync), path)


def _temporary(path: Path, data: bytes, *, sync: bool = True) -> Path:
    """A file beside `path` with these contents."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _storage(error, path) from None
    return temporary


def _move(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _storage(error, path) from None


def _storage(error: OSError, path: Path) -> StorageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "; free disk space, then use --resume" if full else ""
    return StorageError(f"cannot write {path}: {error.strerror}{remedy}")


class Written(NamedTuple):
    """A record that is on the disk but does not count yet: its file, and the name that lets it count."""

    file: Path
    record: Path

    def publish(self) -> None:
        """Let the record be there.

        Raises:
            StorageError: the folder cannot be written.
        """
        _move(self.file, self.record)


class EpisodeWriter:
    """Writes one episode's folder; the operating system has every line before the step is carried out.

    From then on a line survives a kill of the controller. Lines are not synced to the disk: that would only help after
    a power cut, and a resumed run repeats those last seconds.

    The writer removes known secrets (`envs.redact.KNOWN`) from everything it writes.

    Args:
        folder: the episode's folder, which must not hold another episode.
        hand_in: decides whether the record counts, and publishes it if so; None publishes every record.
    """

    def __init__(self, folder: Path, hand_in: Callable[[EpisodeRecord, Written], bool] | None = None) -> None:
        self.folder = folder
        self._hand_in = hand_in
        self._place = EpisodeFolder(folder)
        try:
            for part in (self._place.frames, self._place.files):
                part.mkdir(parents=True, exist_ok=True)
            self._lines = self._place.steps.open("ab", buffering=0)
        except OSError as error:
            raise _storage(error, folder) from None

    def close(self) -> None:
        """Close the file of steps; nobody looks at a screen any more."""
        self._lines.close()
        with suppress(OSError):
            self._place.now.unlink()

    def looks(self, observation: Observation) -> None:
        """Say what the agent looks at now, for those who watch the run; its step is recorded when it has decided."""
        shot = observation.screenshot
        if shot is not None:
            now = {"frame": shot.sha256, "time": time.time()}
            with suppress(StorageError):  # a full disk ends the episode when its step is recorded
                self._once(self._place.frame(shot.sha256), shot.png)
                write_atomic(self._place.now, json.dumps(now).encode(), sync=False)

    def step(self, index: int, observation: Observation, decision: Decision) -> None:
        """Record what the agent saw and decided, before the actions are carried out."""
        self._write(
            StepRecord(
                index=index,
                time=time.time(),
                observation=self.seen(observation),
                actions=[a.to_json() for a in decision.actions],
                reply=decision.reply,
                thought=decision.thought,
                usage=usage_record(decision.usage),
                model_ms=decision.model_ms,
                attempts=decision.attempts,
                exchanges=[
                    ExchangeRecord(request=e.request, reply=e.reply, error=e.error, ms=e.ms) for e in decision.exchanges
                ],
                notes=[dict(note) for note in decision.notes],
            )
        )

    def final(self, observation: Observation) -> None:
        """Record the last observation."""
        self._write(FinalRecord(time=time.time(), observation=self.seen(observation)))

    def note(self, what: str, detail: Mapping[str, Any]) -> None:
        """Record an event."""
        self._write(NoteRecord(time=time.time(), what=what, detail=_told(dict(detail))))

    def finish(self, record: EpisodeRecord) -> None:
        """Write episode.json; this finishes the episode. A record that does not count gets another name."""
        if self._hand_in is None:
            write_record(self._place, record)
            return
        written = Written(_temporary(self._place.record, _encoded(record)), self._place.record)
        try:
            if not self._hand_in(record, written):
                _move(written.file, self._place.late)
        finally:
            written.file.unlink(missing_ok=True)

    @property
    def files(self) -> Path:
        """The folder where getters store what they read, named by hash (`tasks.world.World.cache`)."""
        return self._place.files

    @property
    def agent(self) -> Path:
        """The folder for what an agent leaves; it may not exist yet."""
        return self._place.agent

    def seen(self, observation: Observation) -> SeenRecord:
        """The record of an observation; the frame and the tree are written to separate files."""
        shot = observation.screenshot
        if shot is not None:
            self._once(self._place.frame(shot.sha256), shot.png)
        tree = None
        if observation.accessibility is not None:
            data = KNOWN.text(str(whole(observation.accessibility))).encode()
            tree = Screenshot.of(data).sha256
            self._once(self._place.file(tree), data)
        facts = {name: value for name, value in vars(observation).items() if name != "screenshot"}
        results = [ResultRecord(one.ok, one.error, one.output) for one in observation.results]
        files = {"frame": shot.sha256 if shot else None, "accessibility": tree}
        return SeenRecord(**{**facts, **files, "results": results})

    def _once(self, path: Path, data: bytes) -> None:
        if not path.exists():
            write_atomic(path, data, sync=False)

    def _write(self, record: _Record) -> None:
        rest = memoryview(to_json(KNOWN.value(record.model_dump(mode="json")), inf_nan_mode="null") + b"\n")
        try:
            while rest:  # a disk that is nearly full writes a part and refuses the rest
                rest = rest[self._lines.write(rest) :]
        except OSError as error:
            raise _storage(error, self._place.steps) from None


def write_record(episode: EpisodeFolder, record: EpisodeRecord) -> None:
    """Write or replace an episode's record.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_atomic(episode.record, _encoded(record))


def _encoded(record: EpisodeRecord) -> bytes:
    return to_json(KNOWN.value(_dumped(record)), indent=1, inf_nan_mode="null")


def _dumped(record: EpisodeRecord) -> dict[str, Any]:
    value = record.model_dump(mode="json")
    return {**value, "error": _told(value["error"]), "score": {**value["score"], "reason": _told(record.score.reason)}}


def _told(value: Any) -> Any:
    """Error texts without the logins in their URLs."""
    if isinstance(value, str):
        return without_logins(value)
    return {name: _told(item) for name, item in value.items()} if isinstance(value, dict) else value


def usage_record(usage: Usage) -> UsageRecord:
    """The record of a `Usage`."""
    return UsageRecord(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost_usd=usage.cost_usd)


class EpisodeReader:
    """Reads an episode's folder back.

    Raises:
        UsageError: the folder is not an episode, or the episode did not finish.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = EpisodeFolder(folder)
        path = self.folder.record
        try:
            self.episode = read_record(self.folder)
        except OSError as error:
            raise UsageError(f"{folder} holds no finished episode: {path.name}: {error.strerror}") from None
        except ValidationError as error:
            raise UsageError(f"{path}: {error.errors()[0]['msg']}") from None

    def events(self) -> Iterator[StepRecord | FinalRecord | NoteRecord]:
        """The events in order; a line that a crash cut off is left out."""
        return read_events(self.folder)

    def steps(self) -> list[StepRecord]:
        """Only the steps, in order."""
        return [event for event in self.events() if isinstance(event, StepRecord)]

    def frames(self) -> list[SeenRecord]:
        """The observation of each step; the last is the end state."""
        return [event.observation for event in self.events() if not isinstance(event, NoteRecord)]

    def screenshot(self, seen: SeenRecord) -> Screenshot | None:
        """The picture of an observation."""
        if seen.frame is None:
            return None
        return Screenshot(self.folder.frame(seen.frame).read_bytes(), seen.frame)

    def tree(self, seen: SeenRecord) -> str | None:
        """The accessibility tree of an observation."""
        return None if seen.accessibility is None else self.folder.file(seen.accessibility).read_text(encoding="utf-8")


_KINDS: dict[str, type[StepRecord] | type[FinalRecord] | type[NoteRecord]] = {
    "step": StepRecord, "final": FinalRecord, "note": NoteRecord,
}  # fmt: skip


def read_record(episode: EpisodeFolder) -> EpisodeRecord:
    """Read the record of an episode.

    Raises:
        OSError: the file cannot be read.
        ValidationError: the record is damaged, or has another version.
    """
    return EpisodeRecord.model_validate_json(episode.record.read_bytes())


def read_events(episode: EpisodeFolder) -> Iterator[StepRecord | FinalRecord | NoteRecord]:
    """Read the events of an episode, which may still be running; a line that a crash cut off is left out.

    Raises:
        UsageError: the file is missing or damaged.
    """
    try:
        text = episode.steps.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error.reason
        raise UsageError(f"{episode.steps} cannot be read: {why}") from None
    for number, line in enumerate(text.split("\n"), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        try:
            event = _KINDS[value["kind"]].model_validate(value)
        except (KeyError, TypeError, ValidationError):
            raise UsageError(f"{episode.steps}: line {number} is not an event of an episode") from None
        yield event
