"""The runs that a page shows: their numbers and their episodes, which are read again only where they changed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deskbench.agent.report.index import Index
from deskbench.agent.report.reading import (
    DAMAGE,
    RUNNING,
    Json,
    Progress,
    document,
    finished_row,
    last_frame,
    slim_json,
    state_now,
    unfinished_row,
    unreadable_row,
)
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.index import state_of
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import held
from deskbench.agent.runs.names import name_of, run_name
from deskbench.agent.runs.record import EpisodeRecord, read_record
from deskbench.agent.runs.scan import Scanner, run_stamp
from deskbench.agent.statistics.intervals import RESAMPLES, estimate, families
from deskbench.agent.statistics.summary import summarize
from deskbench.agent.statistics.words import more_lines
from deskbench.envs.errors import UsageError
from deskbench.envs.redact import KNOWN

HEAD_SHARE = 20.0
"""The numbers of a run are computed at most this share of the time: once, then not again for 20 times as long."""
SOON_SECONDS = 0.3
"""How long a page waits for numbers that are being computed."""
DEEPEST_RUN = 3
"""Levels below a given folder in which runs are looked for."""
_NAME = re.compile(r"[0-9a-f]{16}")
MOST_RESAMPLED = 2000
"""Episodes of a run whose intervals are bootstrapped; larger runs get the interval that needs no resampling."""
MOST_PLANNED = 10**6
"""Planned episodes that are believed: each that has not run takes room while the numbers are computed."""
LARGEST = 1e300
"""The largest number that is shown; JSON has larger ones, which no float holds."""
CHUNK = 500
"""Episodes to read between two writes to the index."""


@dataclass
class _Entry:
    """An episode that has begun."""

    folder: EpisodeFolder
    task: str
    attempt: int
    stamp: str = ""
    row: Json = field(default_factory=dict)
    slim: str | None = None
    progress: Progress = field(default_factory=Progress)
    version: int = 0


class ShownRun:
    """One run; safe to use from several threads."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = RunFolder(folder)
        self.id = run_name(folder)
        self._index = index
        self._key = folder.resolve()
        self._before = str(folder / "x")[:-1]
        self._scanner = Scanner(self.folder)
        self._entries: dict[str, _Entry] = {}
        self._ids: dict[str, str] = {}
        self._stored: dict[bytes, tuple[str, str, str | None]] | None = None
        self._lock, self._computing = threading.RLock(), threading.Lock()
        self._version, self._epoch = 0, time.time_ns()
        self._head: tuple[int, float, Json] | None = None
        self._going = False
        self.read = False
        """Whether the run's episodes have been looked for."""

    def refresh(self, seconds: float = math.inf) -> int:
        """Read what has changed, for about as long as said; returns how many episodes are still to be read."""
        with self._lock:
            self.read = True
            found = dict(self._scanner.scan())
            self._remove(found)
            changed = [path for path, stamp in found.items() if self._stamp_of(path) != stamp]
            before, self._going = self._going, self.going
            if not changed and before == self._going:
                return 0
            end = time.monotonic() + seconds
            self._version += 1
            done = 0
            while done < len(changed) and (done == 0 or time.monotonic() < end):
                self._read_all(changed[done : done + CHUNK], found)
                done += CHUNK
            self._choose()
            return max(0, len(changed) - done)

    @property
    def going(self) -> bool:
        """Whether a process is working on the run; one that was killed is not."""
        return held(self.folder.ledger)

    def token(self) -> str:
        """Changes whenever a row does."""
        return f"{self._epoch}-{self._version}"

    def rows(self, since: str = "") -> Json:
        """The rows that changed since a token, or all of them; `whole` says which."""
        with self._lock:
            epoch, _, version = since.partition("-")
            whole = epoch != str(self._epoch) or not version.isdigit()
            least = 0 if whole else int(version)
            rows = [entry.row for entry in self._entries.values() if entry.version > least]
            return {"token": self.token(), "whole": whole, "rows": rows}

    def episode(self, name: str) -> Json | None:
        """The document of an episode's page, or None if there is no such episode."""
        entry = self._entry(name)
        if entry is None:
            return None
        with self._lock:
            row = dict(entry.row)
        others = [
            {"id": row["id"], "attempt": row["attempt"], "repeat": row["repeat"], "score": row["score"]}
            for row in [other.row for other in list(self._entries.values()) if other.task == entry.task]
        ]
        shown = document(entry.folder, row)
        numbers = range(len(shown["steps"]) + 1)
        differs = next((step for step in numbers if self.folder.difference(step).is_file()), None)
        return {**shown, "attempts": sorted(others, key=lambda one: int(one["attempt"])), "divergence": differs}

    def place(self, name: str) -> EpisodeFolder | None:
        """The folder of an episode, or None."""
        entry = self._entry(name)
        return entry.folder if entry else None

    def places(self) -> dict[str, EpisodeFolder]:
        """The folder of each episode that counts, in the order of the tasks."""
        found = [entry for entry in self._entries.values() if entry.row["counts"]]
        found.sort(key=lambda entry: (entry.task, entry.attempt))
        return {entry.row["id"]: entry.folder for entry in found}

    def running(self) -> dict[str, EpisodeFolder]:
        """The folders of the running episodes."""
        with self._lock:
            return {entry.row["id"]: entry.folder for entry in self._entries.values() if entry.row["state"] == RUNNING}

    def head(self, *, wait: bool = True) -> Json:
        """The run's facts and numbers.

        Args:
            wait: compute the numbers of the rows now. Otherwise a thread does it, which is waited for only briefly, and
                where the numbers cost much they are computed again only after a while. `stale` says that they are
                behind; `summary` is None if there are no older ones.

        Raises:
            UsageError: the folder is not a run.
        """
        manifest = self.folder.manifest()
        facts = self._facts(manifest)
        if wait:
            if self._head is None or self._head[0] != self._version:
                self._compute(facts["planned"], manifest)
        elif not self._is_current() and not self._computing.locked():
            thread = threading.Thread(target=self._compute, args=(facts["planned"], manifest), daemon=True)
            thread.start()
            thread.join(SOON_SECONDS)
        kept = self._head
        if kept is None:
            return {**facts, "summary": None, "domains": [], "lines": [], "stale": True}
        return {**kept[2], **facts, "stale": kept[0] != self._version}

    def _is_current(self) -> bool:
        """Whether the numbers are those of the rows, or not old enough to be worth computing again."""
        kept = self._head
        return kept is not None and (kept[0] == self._version or time.monotonic() < kept[1])

    def _compute(self, planned: int | None, manifest: Json) -> None:
        with self._computing:
            begun = time.monotonic()
            with self._lock:
                version = self._version
                counted = [entry for entry in self._entries.values() if entry.slim is not None and entry.row["counts"]]
            counted.sort(key=lambda entry: (entry.task, entry.attempt))
            stamp = name_of(json.dumps(manifest), *(f"{entry.task} {entry.attempt} {entry.stamp}" for entry in counted))
            numbers = self._index.numbers(self._key, stamp)
            if numbers is None:
                numbers = _numbers([(entry.row["domain"], entry.slim or "") for entry in counted], planned, manifest)
                self._index.keep_numbers(self._key, stamp, json.dumps(numbers))
            self._head = (version, time.monotonic() + HEAD_SHARE * (time.monotonic() - begun), numbers)

    def stamp(self) -> str:
        """Changes when a run goes on or is scored again; it is cheap, and does not look at the episodes."""
        return run_stamp(self.folder)

    def _entry(self, name: str) -> _Entry | None:
        """An episode by its name; a name that is not known yet may be that of a new episode."""
        if name not in self._ids and _NAME.fullmatch(name):
            self.refresh()
        return self._entries.get(self._ids.get(name, ""))

    def _stamp_of(self, path: str) -> str | None:
        entry = self._entries.get(path)
        return entry.stamp if entry else None

    def _remove(self, found: dict[str, str]) -> None:
        gone = [path for path in self._entries if path not in found]
        for path in gone:
            self._ids.pop(self._entries.pop(path).row["id"], None)
        if gone:
            self._epoch, self._version = time.time_ns(), self._version + 1
            self._index.forget(self._key, map(self._relative, gone))
            self._choose()

    def _relative(self, path: str) -> bytes:
        """An episode's path below the run's folder; the scanner's paths all begin with that folder."""
        return os.fsencode(path.removeprefix(self._before))

    def _read_all(self, paths: Sequence[str], found: dict[str, str]) -> None:
        if self._stored is None:
            self._stored = self._index.episodes(self._key)
        kept = []
        for path in paths:
            place = self._relative(path)
            entry = self._entries.get(path) or self._new(path)
            entry.version = self._version
            stored = self._stored.pop(place, None)
            if not (stored and stored[0] == found[path] and self._take(entry, stored)):
                self._read(entry)
                if entry.slim is not None:
                    kept.append((place, found[path], json.dumps(entry.row), entry.slim))
            entry.stamp = found[path]
            entry.row["id"] = name_of(os.fsdecode(place))
            self._ids[entry.row["id"]] = path
            self._entries[path] = entry
        self._index.keep(self._key, kept)

    def _new(self, path: str) -> _Entry:
        _, *task, number = os.fsdecode(self._relative(path)).split("/")
        return _Entry(EpisodeFolder(Path(path)), "/".join(task) or ".", int(number) if number.isdecimal() else 0)

    @staticmethod
    def _take(entry: _Entry, stored: tuple[str, str, str | None]) -> bool:
        """Use what the index holds of an unchanged episode."""
        try:
            entry.row, entry.slim = json.loads(stored[1]), stored[2]
        except ValueError:
            return False
        return entry.slim is not None

    @staticmethod
    def _read(entry: _Entry) -> None:
        """Read an episode."""
        entry.slim = None
        try:
            if entry.folder.finished:
                record = read_record(entry.folder)
                entry.row, entry.slim = finished_row(record, last_frame(entry.folder)), slim_json(record)
            else:
                entry.progress.read_on(entry.folder)
                entry.row = unfinished_row(entry.task, entry.attempt, entry.progress)
        except DAMAGE as error:
            entry.row = unreadable_row(entry.task, entry.attempt, error)

    def _choose(self) -> None:
        """Mark the rows that count: the last finished attempt of each task and repeat, and those without a record."""
        last: dict[tuple[str, int], int] = {}
        by_task: dict[str, list[_Entry]] = defaultdict(list)
        for entry in self._entries.values():
            by_task[entry.task].append(entry)
            if entry.slim is not None:
                key = (entry.row["task"], entry.row["repeat"])
                last[key] = max(last.get(key, 0), entry.row["attempt"])
        open_ = {id(entry) for entries in by_task.values() for entry in self._open(entries)}
        for entry in self._entries.values():
            if entry.slim is not None:
                now = {"counts": last[entry.row["task"], entry.row["repeat"]] == entry.row["attempt"]}
            elif entry.row["state"] == "unreadable":
                now = {"counts": True}
            else:
                counts = id(entry) in open_
                now = {"counts": counts, **state_now(entry.progress, going=self._going and counts)}
            if any(entry.row.get(name) != value for name, value in now.items()):
                entry.row.update(now)
                entry.version = self._version

    def _open(self, entries: Sequence[_Entry]) -> Iterator[_Entry]:
        """The attempts that run, or ran when the run ended: the newest, and as many as repeats are missing."""
        begun = sorted((one for one in entries if one.slim is None), key=lambda one: one.attempt, reverse=True)
        newest = max(entry.attempt for entry in entries)
        missing = 0
        if len(begun) > 1:
            missing = self._repeats() - len({one.row["repeat"] for one in entries if one.slim is not None})
        for place, entry in enumerate(begun):
            if entry.attempt == newest or place < missing:
                yield entry

    def _repeats(self) -> int:
        """The planned repeats of each task, as far as the manifest says."""
        with suppress(UsageError):
            found = _inside(self.folder.manifest().get("config"), "repeats")
            return found if isinstance(found, int) else 1
        return 1

    def _facts(self, manifest: Json) -> Json:
        """What run.json says, whatever shape it has."""
        planned, config, versions = (manifest.get(name) for name in ("planned", "config", "versions"))
        facts = {
            "id": self.id,
            "name": self.folder.path.resolve().name,
            **{name: _text(manifest.get(name)) for name in ("agent", "provider", "policy", "error")},
            "said": _text(manifest.get("state")),
            "state": state_of(self.folder, manifest.get("state")),
            "version": _text(_inside(versions, "deskbench")),
            "git": _text(_inside(versions, "git")),
            "task_set": _text(manifest.get("task_set"))[:12],
            "desktop": _texts_of(manifest.get("desktop")),
            "settings": _texts_of(config),
            "agent_settings": _texts_of(_inside(config, "agent_settings")),
            "validated": _counts(manifest.get("validated")),
            "skipped": _skipped(manifest.get("skipped")),
            "planned": planned if isinstance(planned, int) and 0 <= planned <= MOST_PLANNED else None,
            "created": _number(manifest.get("created")),
            "ended": _number(manifest.get("ended")),
            "foreign": "" if manifest.get("version", 1) == 1 else _text(manifest.get("version")),
        }
        shown: Json = KNOWN.value(facts)
        return shown


def _numbers(counted: Sequence[tuple[str, str]], planned: int | None, manifest: Json) -> Json:
    """The numbers over a run's episodes, given their domains and slim records, and the mean of each domain."""
    resamples = RESAMPLES if max(len(counted), planned or 0) <= MOST_RESAMPLED else 0
    domains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    records = []
    for domain, text in counted:
        record = EpisodeRecord.model_validate_json(text)
        records.append(record)
        if record.score.value is not None:
            domains[domain][record.task].append(record.score.value)
    summary = summarize(records, planned, manifest, resamples=resamples)
    means = {name: estimate(families(domains[name]), resamples=resamples) for name in sorted(domains)}
    found = {
        "summary": dataclasses.asdict(summary),
        "domains": [{"name": name, **dataclasses.asdict(mean)} for name, mean in means.items()],
        "lines": list(more_lines(summary)),
    }
    numbers: Json = KNOWN.value(found)
    return numbers


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) <= LARGEST else None


def _inside(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _texts_of(value: object) -> dict[str, str]:
    """The plain entries of an object, as texts."""
    plain = value.items() if isinstance(value, dict) else ()
    return {str(name): str(one)[:200] for name, one in plain if isinstance(one, (str, int, float)) and one != ""}


def _counts(value: object) -> dict[str, int] | None:
    found = {name: _inside(value, name) for name in ("n", "of")}
    return {name: int(one) for name, one in found.items() if isinstance(one, int)} if all(found.values()) else None


def _skipped(value: object) -> list[dict[str, str]]:
    entries = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return [{"task": _text(one.get("task")), "reason": _text(one.get("reason"))} for one in entries]


class Catalog:
    """The runs in the given folders.

    Args:
        places: run folders, and folders that hold runs up to three levels below.
        index: the store of what was read.

    Raises:
        UsageError: a folder is no run and holds none.
    """

    def __init__(self, places: Sequence[Path], index: Index) -> None:
        self._places = list(places)
        self._index = index
        self._runs: dict[Path, ShownRun] = {}
        self._lock = threading.Lock()
        for place in places:
            if not any(find_runs(place)):
                RunFolder(place).manifest()  # says what is wrong with it
                raise UsageError(f"{place} is not a run folder and holds none")
        self.runs()

    def runs(self) -> list[ShownRun]:
        """The runs that there are now, in the order of the given folders, the newest of a folder first."""
        with self._lock:
            found = [path for place in self._places for path in find_runs(place)]
            self._runs = {path: self._runs.get(path) or ShownRun(path, self._index) for path in dict.fromkeys(found)}
            return list(self._runs.values())

    def run(self, name: str) -> ShownRun | None:
        """The run of this id, or None."""
        return next((run for run in list(self._runs.values()) if run.id == name), None)

    def heads(self, seconds: float = math.inf) -> tuple[list[Json], int]:
        """The heads of all runs, computed for about as long as said, and how many are still to come."""
        end = time.monotonic() + seconds
        heads, missing = [], 0
        for run in self.runs():
            head = self._head(run, end)
            missing += head is None
            heads.append(head or {"id": run.id, "name": run.folder.path.name, "pending": True})
        return heads, missing

    def _head(self, run: ShownRun, end: float) -> Json | None:
        stamp = run.stamp()
        kept = self._index.head(run.folder.path.resolve(), stamp)
        if kept is not None:
            return {**kept, "state": state_of(run.folder, kept["said"])}
        left = end - time.monotonic()
        if left <= 0 or run.refresh(left) > 0:
            return None
        try:
            head = run.head(wait=left == math.inf)
        except UsageError as error:
            return {"id": run.id, "name": run.folder.path.name, "broken": KNOWN.told(str(error))}
        if head["summary"] is None:
            return None
        if not head["stale"]:
            self._index.keep_head(run.folder.path.resolve(), stamp, json.dumps(head))
        return head


def find_runs(place: Path, depth: int = DEEPEST_RUN) -> Iterator[Path]:
    """The run folders at or below a folder, the newest first by their names."""
    if RunFolder(place).exists:
        yield place
        return
    try:
        with os.scandir(place) as entries:
            below = sorted((e.name for e in entries if e.is_dir(follow_symlinks=False)), reverse=True)
    except OSError:
        return
    if depth > 0:
        for name in below:
            yield from find_runs(place / name, depth - 1)


def chosen(places: Sequence[Path], index: Index | None = None) -> list[ShownRun]:
    """The runs in these folders, read completely.

    Raises:
        UsageError: a folder is no run and holds none, or a run's manifest cannot be read.
    """
    runs = Catalog(places, index or Index(None)).runs()
    for run in runs:
        run.refresh()
        run.head()
    return runs
