"""Replay every episode of a run, several at once; a replay that was stopped goes on where it was.

The output folder has a folder for each replay (a run of its own), `replay.json` with the results so far, and
`replay.html`, the same for people.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from deskbench.agent.batch import Batch
from deskbench.agent.exports.reading import safe
from deskbench.agent.replay.causes import Cause, cause_of
from deskbench.agent.replay.replay import Failure, Replayed, replay
from deskbench.agent.runs.folder import REPLAYS, RunFolder
from deskbench.agent.runs.record import IMPORTED, EpisodeReader, write_atomic
from deskbench.envs.errors import EnvError, UsageError

PAGE = "replay.html"


class Outcome(BaseModel):
    """The replay of one episode.

    Attributes:
        task, repeat, attempt: which episode.
        episode: its folder.
        folder: the replay's folder, relative to the output folder.
        steps: number of recorded steps.
        screens: number of screens that were compared; 0 for a recording without pictures.
        recorded, replayed: the scores; None means not scored.
        step: the first step before which the screens differ (`steps` for the end state); None if none does.
        share: share of the pixels that differ there.
        picture: both screens there, relative to the output folder.
        cause: why it differs; None if it does not.
        failures: actions that were refused or failed.
        error: why there is no result: no desktop lived through the replay, or the task is gone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    repeat: int
    attempt: int
    episode: str
    folder: str
    steps: int = 0
    screens: int = 0
    recorded: float | None = None
    replayed: float | None = None
    step: int | None = None
    share: float | None = None
    picture: str | None = None
    cause: Cause | None = None
    failures: tuple[Failure, ...] = ()
    error: str | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        """The episode that was replayed."""
        return self.task, self.repeat, self.attempt

    @property
    def same_score(self) -> bool | None:
        """Whether the score is the same; None if there are not two scores to compare."""
        return (
            None if self.error is not None or None in (self.recorded, self.replayed) else self.recorded == self.replayed
        )

    @property
    def agrees(self) -> bool:
        """Whether the replay ran, and score and screens are the same, as far as they were recorded (`Replayed`)."""
        compared = self.recorded is not None or self.screens > 0
        return self.error is None and self.recorded in (None, self.replayed) and self.step is None and compared


class Results(BaseModel):
    """replay.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    run: str
    provider: str | None
    planned: int
    episodes: tuple[Outcome, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The numbers: how many replays have the same score, the same screens, and why the others differ."""
        compared = [one.same_score for one in self.episodes if one.same_score is not None]
        ran = [one for one in self.episodes if one.error is None]
        return {
            "planned": self.planned, "replayed": len(ran), "failed": len(self.episodes) - len(ran),
            "not_scored": sum(one.recorded is not None and one.replayed is None for one in ran),
            "compared": len(compared), "same_score": sum(compared),
            "share_same_score": sum(compared) / len(compared) if compared else None,
            "same_screens": sum(one.step is None and one.screens > 0 for one in ran),
            "compared_screens": sum(one.screens > 0 for one in ran),
            "causes": dict(Counter(one.cause.value for one in ran if one.cause is not None)),
        }  # fmt: skip


@dataclass
class Replays:
    """The replay of a whole run.

    Args:
        run: the run's folder.
        out: the output folder: a new one, or that of an earlier replay of the same run.
        provider: another provider than the recorded ones, or None.
        on_done: called after each replay, from any thread.
    """

    run: Path
    out: Path
    provider: str | None = None
    isolated: bool = True
    host_files: bool = False
    on_done: Callable[[Outcome], None] = lambda outcome: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: list[Batch] = field(default_factory=list)

    def go(self, parallel: int = 1) -> Results:
        """Replay what is left to replay, and write the results after each.

        Raises:
            UsageError: there is no run, it has no finished episode, or the folder has the replay of another run.
        """
        readers = RunFolder(self.run).final()
        if not readers:
            raise UsageError(f"{self.run} has no finished episode to replay")
        if self.provider is None and any(reader.episode.provider == IMPORTED for reader in readers):
            raise UsageError("the run was imported, so its desktop is unknown: name one with --provider or --image")
        planned = {(one.episode.task, one.episode.repeat, one.episode.attempt): one for one in readers}
        self.results = self._begun(set(planned))
        done = {one.key for one in self.results.episodes if one.error is None}
        left = [one for key, one in planned.items() if key not in done]
        threads = ThreadPoolExecutor(parallel, thread_name_prefix="replay")
        try:
            for future in [threads.submit(self._one, reader) for reader in left]:
                future.result()
        finally:  # a Ctrl-C, too: what runs ends its step first, and its desktop stops
            self._stop.set()
            with self._lock:
                for batch in self._running:
                    batch.interrupt()
            threads.shutdown(wait=True, cancel_futures=True)
        self._write()
        return self.results

    def _begun(self, planned: Set[tuple[str, int, int]]) -> Results:
        """The results so far, without those of attempts that the run has repeated since."""
        new = Results(run=str(self.run.resolve()), provider=self.provider, planned=len(planned))
        path = self.out / REPLAYS
        if not path.is_file():
            if self.out.exists() and any(self.out.iterdir()):
                raise UsageError(f"{self.out} already exists and is no replay of a run: use another --out")
            self.out.mkdir(parents=True, exist_ok=True)
            return new
        try:
            old = Results.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}; use another --out") from None
        if (old.run, old.provider) != (new.run, new.provider):
            what = f"of {old.run} on {old.provider or 'the recorded provider'}"
            raise UsageError(f"{self.out} has the replay {what}: use another --out")
        left = tuple(one for one in old.episodes if one.key in planned)
        return old.model_copy(update={"planned": len(planned), "episodes": left})

    def _one(self, reader: EpisodeReader) -> None:
        if self._stop.is_set():
            return
        record = reader.episode
        name = f"{safe(record.suite)}/{safe(record.task_id)}/{record.repeat + 1}"
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)  # a replay that was stopped
        asked: dict[str, Any] = {
            "task": record.task, "repeat": record.repeat, "attempt": record.attempt,
            "episode": str(reader.folder.path), "folder": name,
        }  # fmt: skip
        try:
            found = replay(
                reader.folder.path, folder, provider=self.provider, isolated=self.isolated,
                host_files=self.host_files, on_batch=self._watch,
            )  # fmt: skip
        except (EnvError, UsageError) as error:
            outcome = Outcome(**asked, recorded=record.score.value, error=f"{type(error).__name__}: {error}")
        else:
            outcome = Outcome(**asked, **self._told(reader, found))
        if not self._stop.is_set() or outcome.error is None:
            self._keep(outcome)

    def _watch(self, batch: Batch) -> None:
        with self._lock:
            self._running.append(batch)

    def _told(self, reader: EpisodeReader, found: Replayed) -> dict[str, Any]:
        value: dict[str, Any] = {
            "steps": found.steps, "screens": found.compared, "recorded": found.recorded,
            "replayed": found.replayed, "failures": found.failures,
            "cause": cause_of(reader, RunFolder(found.folder).final()[0], found),
        }  # fmt: skip
        first = found.divergence
        if first is not None:
            picture = first.picture.relative_to(self.out).as_posix()
            value |= {"step": first.step, "share": first.share, "picture": picture}
        return value

    def _keep(self, outcome: Outcome) -> None:
        with self._lock:
            others = [one for one in self.results.episodes if one.key != outcome.key]
            found = tuple(sorted([*others, outcome], key=lambda one: one.key))
            self.results = self.results.model_copy(update={"episodes": found})
            self._write()
        self.on_done(outcome)

    def _write(self) -> None:
        write_atomic(self.out / REPLAYS, self.results.model_dump_json(indent=1).encode())
        write_atomic(self.out / PAGE, page(self.results).encode())


def line(one: Outcome) -> str:
    """A result in one line for people."""
    name = f"{one.task} (repeat {one.repeat + 1})"
    if one.error is not None:
        return f"{name}: no result: {one.error}"
    scores = f"score {_number(one.recorded)}, replayed {_number(one.replayed)}"
    if one.agrees:
        return f"{name}: same: {scores}" + ("" if one.screens else "; screens not compared")
    if one.recorded is None and not one.screens:
        return f"{name}: nothing to compare: the recording has neither a score nor pictures"
    where = "screens agree" if one.screens else "screens not compared"
    if one.step is not None:
        where = "screens differ at the end" if one.step == one.steps else f"screens differ before step {one.step}"
    said = {True: "same score", False: "DIFFERS", None: "scores not compared"}[one.same_score]
    return f"{name}: {said}: {scores}; {where}; cause: {one.cause}"


def totals(results: Results) -> str:
    """The numbers in one line for people."""
    told = results.summary()
    share = "" if told["share_same_score"] is None else f" ({told['share_same_score']:.1%})"
    causes = ", ".join(f"{name} {count}" for name, count in sorted(told["causes"].items())) or "none"
    failed = f", {told['failed']} without a result" if told["failed"] else ""
    failed += f", {told['not_scored']} not scored" if told["not_scored"] else ""
    return (
        f"{told['replayed']} of {told['planned']} replayed{failed}; same score {told['same_score']} of "
        f"{told['compared']}{share}; same screens {told['same_screens']} of "
        f"{told['compared_screens']}; causes of differences: {causes}"
    )


def _number(value: float | None) -> str:
    return "not scored" if value is None else f"{value:g}"


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<title>Replay</title><style>
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em;
padding: 0 1em } table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3em .6em;
border-bottom: 1px solid #8886; vertical-align: top } img { max-width: 20em; width: 100% } .no { font-weight: bold }
</style>"""


def page(results: Results) -> str:
    """The results as a page; it stands beside the pictures that it shows."""
    head = "".join(
        f"<th>{name}</th>" for name in ("task", "repeat", "recorded", "replayed", "first difference", "cause")
    )
    rows = "\n".join(_row(one) for one in results.episodes)
    return (
        f"{_HEAD}<h1>Replay of {escape(Path(results.run).name)}</h1><p>{escape(totals(results))}</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></html>\n"
    )


def _row(one: Outcome) -> str:
    where = "" if one.step is None else "the end" if one.step == one.steps else f"before step {one.step}"
    shown = escape(where)
    if one.picture is not None:
        path = escape(quote(one.picture))
        shown += f'<br><a href="{path}"><img loading="lazy" src="{path}" alt="both screens, recorded and replayed"></a>'
    cause = escape(one.error or one.cause or "")
    cells = [
        escape(one.task), str(one.repeat + 1), _number(one.recorded),
        "-" if one.error is not None else _number(one.replayed), shown, cause,
    ]  # fmt: skip
    mark = "" if one.agrees else ' class="no"'
    return f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
