"""The ledger of a run: what is planned, who works on it, and which results count.

It is one SQLite file that survives a kill at any time, and the only place that decides this. An episode is planned once
and has attempts. A worker leases an episode and gets a token; every later lease has a higher one. The worker renews the
lease while it works and hands its result in with the token. The result counts if the token still holds the episode;
otherwise it is superseded. Each decision is one transaction.

The process that opens the ledger holds it until it ends. Workers in other processes or on other machines ask that
process: they need no access to the file. Leases end on the clock of that process (`envs.wait.now`); times of day are
for display.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from deskbench.agent.base import Ending
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.redact import KNOWN
from deskbench.envs.wait import now

_TABLES = """
create table if not exists episode (
    task text not null, repeat integer not null, seed integer not null, primary key (task, repeat));
create table if not exists attempt (
    task text not null, repeat integer not null, number integer not null, started real not null,
    finished real, ending text, score real, primary key (task, number));
"""
_ADDED = {
    "episode": {"state": "text not null default 'waiting'", "tries": "integer not null default 0"},
    "attempt": {
        "token": "integer", "state": "text", "worker": "text", "until": "real", "cause": "text", "deaths": "integer",
        "tampered": "integer not null default 0", "cost": "real",
    },
}  # fmt: skip
"""Columns that the first version of the ledger did not have; `deaths` is null if the record was not read yet."""
_INDEXES = """
update attempt set token = rowid where token is null;
update attempt set state = case when finished is null then 'started' else 'finished' end where state is null;
update attempt set state = 'superseded', cause = 'a later attempt began' where state in ('leased', 'started')
    and exists (select 1 from attempt as other where other.task = attempt.task and other.repeat = attempt.repeat
                and other.number > attempt.number);
create index if not exists attempt_episode on attempt (task, repeat, number);
create unique index if not exists attempt_token on attempt (token);
create unique index if not exists attempt_open on attempt (task, repeat) where state in ('leased', 'started');
create index if not exists episode_next on episode (state, tries desc);
"""
_COUNTS = """
    select score from attempt where attempt.task = episode.task and attempt.repeat = episode.repeat
    and attempt.state = 'finished' order by number desc limit 1"""
"""The score that counts: that of the last finished attempt."""
_FACTS = {"ending", "score", "error", "deaths", "tampered", "permanent", "totals", "origin"}
Found = TypeVar("Found")
FOREVER = math.inf
"""Seconds of a lease that needs no renewal: the process that opened the ledger does the work itself."""
LONGEST_CAUSE = 1000
"""Characters of a cause that are kept; the record has all of it."""


class State(StrEnum):
    """States of an attempt: handed to a worker, begun, ended with a result that counts, or lost."""

    LEASED = "leased"
    STARTED = "started"
    FINISHED = "finished"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Planned:
    """One episode of the plan."""

    task: str
    repeat: int
    seed: int


@dataclass(frozen=True)
class Lease:
    """The right to run one attempt of an episode.

    Attributes:
        token: the fencing token; higher than that of every earlier lease of the run.
        episode: what to run.
        number: the number of the attempt, from 1, counted over all repeats of the task.
        tries: the number of attempts at the episode in this session, including this one.
        deaths: number of earlier attempts of the episode whose desktop died while the agent acted.
    """

    token: int
    episode: Planned
    number: int
    tries: int = 1
    deaths: int = 0


@dataclass(frozen=True)
class Result:
    """What a worker hands in: the part of an episode's record that the ledger keeps.

    Attributes:
        ending: a value of `Ending`.
        score: from 0 to 1, or None.
        cause: what failed, if the infrastructure did.
        again: whether another attempt may not meet the same failure.
        deaths, tampered: see `EpisodeRecord`.
        cost: in US dollars; None if unknown, or if another run paid.
    """

    ending: str
    score: float | None
    cause: str | None = None
    again: bool = False
    deaths: int = 0
    tampered: bool = False
    cost: float | None = None

    @classmethod
    def of(cls, record: EpisodeRecord) -> Result:
        """The result in a record."""
        return cls.of_json(record.model_dump(mode="json", include=_FACTS))

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> Result:
        """The result in the JSON of a record.

        Raises:
            KeyError, TypeError, ValueError: it is not a record.
        """
        ending, score, tampered = Ending(record["ending"]), record["score"]["value"], bool(record.get("tampered"))
        broken = ending in (Ending.ENV_ERROR, Ending.CRASHED)
        cost = record["totals"]["usage"]["cost_usd"] if record.get("origin") is None else None
        return cls(
            ending=ending.value,
            score=None if score is None else float(score),
            cause=_told(str(record.get("error") or record["score"]["reason"])) if broken else None,
            again=broken and not tampered and not record.get("permanent"),
            deaths=int(record.get("deaths", 0)),
            tampered=tampered,
            cost=None if cost is None else float(cost),
        )


@dataclass(frozen=True)
class Verdict:
    """What the ledger decided.

    Attributes:
        counts: the result was accepted.
        ended: the episode ended for this session: it has a score, or will not be tried again.
    """

    counts: bool
    ended: bool


@dataclass(frozen=True)
class Attempt:
    """One attempt, as the ledger has it.

    Attributes:
        cause: why it failed or was lost, or None.
        read: whether everything that its record says is in the ledger.
    """

    task: str
    repeat: int
    number: int
    token: int
    state: State
    score: float | None
    cause: str | None
    read: bool


@dataclass(frozen=True)
class Counts:
    """What a ledger says about a run.

    Attributes:
        planned: number of planned episodes.
        scores: the scores of each task's episodes that count; only tasks with a score.
    """

    planned: int
    scores: dict[str, list[float]]


class _Closed(StorageError):
    """The run has ended."""


class Ledger:
    """The ledger of one run; safe to use from several threads.

    Args:
        path: the file.
        clock: seconds on a clock that nobody sets; leases end on it.

    Raises:
        StorageError: the file cannot be written or locked.
        UsageError: another process is working on the run.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = now) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._retries = 0
        self._closed = False
        try:
            self._base = sqlite3.connect(path, check_same_thread=False, timeout=1.0)
            self._base.execute("pragma locking_mode=exclusive")  # one process per run; a kill releases the lock
            self._base.execute("pragma journal_mode=wal")
            self._base.execute("pragma synchronous=normal")
            self._base.executescript(f"begin immediate; {_TABLES} commit;")
            self._upgrade()
        except sqlite3.Error as error:
            raise _unopened(error, path) from None

    def _upgrade(self) -> None:
        for table, columns in _ADDED.items():
            there = {row[1] for row in self._base.execute(f"pragma table_info({table})")}
            for name, kind in columns.items():
                if name not in there:
                    self._base.execute(f"alter table {table} add column {name} {kind}")
        self._base.executescript(f"begin; {_INDEXES} commit;")

    def close(self) -> None:
        """Close the file; a result that comes later does not count."""
        with self._lock:
            self._closed = True
            self._base.close()

    # The plan

    def plan(self, episodes: Iterable[Planned]) -> None:
        """Add episodes to the plan; episodes that are already planned stay as they are."""
        rows = [(e.task, e.repeat, e.seed) for e in episodes]
        with self._writing() as base:
            base.executemany("insert or ignore into episode (task, repeat, seed) values (?, ?, ?)", rows)

    def begin_session(self, retries: int) -> None:
        """Let every planned episode without a score wait for a worker again.

        An episode that was tampered with stays as it is. `recovery.recover` comes first: it ends all open attempts.

        Args:
            retries: new attempts at an episode after the infrastructure failed.
        """
        self._retries = retries
        tampered = """select 1 from attempt where attempt.task = episode.task and attempt.repeat = episode.repeat
                      and tampered and state = 'finished'"""
        with self._writing() as base:
            base.execute(
                f"""update episode set tries = 0, state = case when ({_COUNTS}) is not null then 'scored'
                    when exists ({tampered}) then 'over' else 'waiting' end"""
            )

    def open_episodes(self) -> list[Planned]:
        """The planned episodes that wait for a worker or are with one, in the plan's order."""
        query = "select task, repeat, seed from episode where state in ('waiting', 'held') order by rowid"
        with self._lock:
            return [Planned(*row) for row in self._base.execute(query)]

    def unscored(self) -> list[Planned]:
        """The planned episodes that have no score, in the plan's order, whoever has them."""
        query = f"select task, repeat, seed from episode where ({_COUNTS}) is null order by rowid"
        with self._lock:
            return [Planned(*row) for row in self._base.execute(query)]

    def count(self) -> int:
        """The number of planned episodes."""
        with self._lock:
            return int(self._base.execute("select count(*) from episode").fetchone()[0])

    def spent(self) -> float | None:
        """The cost of all attempts in US dollars, or None if no price is known."""
        with self._lock:
            found: float | None = self._base.execute("select sum(cost) from attempt").fetchone()[0]
            return found

    def attempts(self) -> list[Attempt]:
        """Every attempt, in the order of their tokens."""
        query = (
            "select task, repeat, number, token, state, score, cause, deaths is not null from attempt order by token"
        )
        with self._lock:
            rows = self._base.execute(query).fetchall()
        return [
            Attempt(task, repeat, number, token, State(state), score, cause, bool(read))
            for task, repeat, number, token, state, score, cause, read in rows
        ]

    # The life of an attempt

    def lease(self, worker: str, seconds: float, *, begun: bool = False) -> Lease | None:
        """Give a worker the next episode: one that failed before all others, then in the plan's order.

        Args:
            worker: its name, for the record.
            seconds: how long it holds the episode without renewing the lease.
            begun: only an episode that this session has begun.

        Returns:
            The lease, or None if no episode waits.
        """
        query = """select task, repeat, seed, tries from episode where state = 'waiting' and tries >= ?
                   order by tries desc, rowid limit 1"""
        with self._writing() as base:
            row = base.execute(query, (int(begun),)).fetchone()
            if row is None:
                return None
            return self._hand_out(base, Planned(*row[:3]), worker, seconds)

    def waits(self, *, begun: bool = False) -> bool:
        """Whether an episode waits that `lease` would give out; `begun` as there."""
        query = "select exists (select 1 from episode where state = 'waiting' and tries >= ?)"
        with self._lock:
            return not self._closed and bool(self._base.execute(query, (int(begun),)).fetchone()[0])

    def lease_of(self, episode: Planned, worker: str, seconds: float) -> Lease:
        """Give a worker a certain episode; a lease that another worker has on it ends."""
        with self._writing() as base:
            return self._hand_out(base, episode, worker, seconds)

    def _hand_out(self, base: sqlite3.Connection, episode: Planned, worker: str, seconds: float) -> Lease:
        key = {"task": episode.task, "repeat": episode.repeat}
        base.execute(
            """update attempt set state = 'superseded', cause = 'another worker took the episode'
               where task = :task and repeat = :repeat and state in ('leased', 'started')""",
            key,
        )
        number, token = base.execute(
            """insert into attempt (task, repeat, number, started, token, state, worker, until)
               select :task, :repeat, coalesce(max(number), 0) + 1, :time,
                      (select coalesce(max(token), 0) + 1 from attempt), 'leased', :worker, :until
               from attempt where task = :task returning number, token""",
            {**key, "time": time.time(), "worker": worker, "until": self._clock() + seconds},
        ).fetchone()
        base.execute(
            "update episode set state = 'held', tries = tries + 1 where task = :task and repeat = :repeat", key
        )
        tries, deaths = base.execute(
            """select (select tries from episode where task = :task and repeat = :repeat), max(deaths) from attempt
               where task = :task and repeat = :repeat and state = 'finished'""",
            key,
        ).fetchone()
        return Lease(token, episode, number, tries or 1, deaths or 0)

    def start(self, lease: Lease) -> None:
        """Record that the episode begins."""
        statement = "update attempt set state = 'started', started = ? where token = ? and state = 'leased'"
        with self._writing() as base:
            base.execute(statement, (time.time(), lease.token))

    def renew(self, tokens: Iterable[int], seconds: float) -> set[int]:
        """Extend leases from now on; returns those that cannot be extended, because they ended."""
        kept, time_now = set(), self._clock()
        statement = """update attempt set until = :until where token = :token and until >= :now
                       and state in ('leased', 'started')"""
        tokens = list(tokens)
        with self._writing() as base:
            for token in tokens:
                done = base.execute(statement, {"until": time_now + seconds, "token": token, "now": time_now})
                kept |= {token} if done.rowcount else set()
        return set(tokens) - kept

    def expired(self) -> list[int]:
        """The tokens of leases that ended while their attempts are open."""
        query = "select token from attempt where state in ('leased', 'started') and until < ?"
        with self._lock:
            return [row[0] for row in self._base.execute(query, (self._clock(),))]

    def supersede(self, token: int, cause: str) -> Verdict | None:
        """End an attempt that was lost; its episode is tried again within the retries. A result of it never counts.

        Returns:
            The verdict, or None if the attempt has ended already.
        """
        with self._writing() as base:
            row = self._open_row(base, token)
            return self._lose(base, row[:2], token, cause) if row else None

    def accept(self, token: int, result: Result, publish: Callable[[], None] = lambda: None) -> Verdict:
        """Take a result, if its token still holds the episode; a late one is kept as superseded and does not count.

        Args:
            token: of the lease.
            result: what became of the attempt.
            publish: makes the record visible; called in the transaction, and only if the result counts.
        """
        try:
            return self._accept(token, result, publish)
        except _Closed:
            return Verdict(False, False)

    def _accept(self, token: int, result: Result, publish: Callable[[], None]) -> Verdict:
        values = {
            "token": token, "time": time.time(), "ending": result.ending, "score": result.score, "cause": result.cause,
            "deaths": result.deaths, "tampered": result.tampered, "cost": result.cost,
        }  # fmt: skip
        with self._writing() as base:
            row = self._open_row(base, token)
            if row is None or row[2] < self._clock():
                base.execute("update attempt set finished = :time, ending = :ending, score = :score, cost = :cost "
                             "where token = :token and state <> 'finished'", values)  # fmt: skip
                return self._lose(base, row[:2], token, "its lease ended") if row else Verdict(False, False)
            publish()
            base.execute(
                """update attempt set state = 'finished', finished = :time, ending = :ending, score = :score,
                   cause = :cause, deaths = :deaths, tampered = :tampered, cost = :cost where token = :token""",
                values,
            )
            return Verdict(True, self._settle(base, row[:2], scored=result.score is not None, again=result.again))

    @staticmethod
    def _open_row(base: sqlite3.Connection, token: int) -> tuple[str, int, float] | None:
        query = "select task, repeat, until from attempt where token = ? and state in ('leased', 'started')"
        row: tuple[str, int, float] | None = base.execute(query, (token,)).fetchone()
        return row

    def _lose(self, base: sqlite3.Connection, key: tuple[str, int], token: int, cause: str) -> Verdict:
        base.execute("update attempt set state = 'superseded', cause = ? where token = ?", (_told(cause), token))
        return Verdict(False, self._settle(base, key, scored=False, again=True))

    def _settle(self, base: sqlite3.Connection, key: tuple[str, int], *, scored: bool, again: bool) -> bool:
        """Set what becomes of an episode after an attempt; returns whether it ended for this session."""
        tries = base.execute("select tries from episode where task = ? and repeat = ?", key).fetchone()
        again = again and not scored and tries is not None and tries[0] <= self._retries
        state = "scored" if scored else "waiting" if again else "over"
        base.execute("update episode set state = ? where task = ? and repeat = ?", (state, *key))
        return not again

    # What records say

    def adopt(self, task: str, repeat: int, number: int, result: Result) -> None:
        """Let a record count that the ledger does not know, or does not know to be finished."""
        statement = """
            insert into attempt (task, repeat, number, started, finished, ending, score, token, state, cause, deaths,
                                 tampered, cost)
            values (:task, :repeat, :number, :time, :time, :ending, :score,
                    (select coalesce(max(token), 0) + 1 from attempt), 'finished', :cause, :deaths, :tampered, :cost)
            on conflict (task, number) do update set repeat = :repeat, finished = coalesce(finished, :time),
                ending = :ending, score = :score, state = 'finished', cause = :cause, deaths = :deaths,
                tampered = :tampered, cost = :cost"""
        values = {**vars(result), "task": task, "repeat": repeat, "number": number, "time": time.time()}
        with self._writing() as base:
            base.execute(statement, values)

    def lose(self, task: str, number: int, cause: str) -> None:
        """Mark an attempt as lost, also one that the ledger does not know: its number is not given again."""
        statement = """
            insert into attempt (task, repeat, number, started, token, state, cause)
            values (:task, -1, :number, :time, (select coalesce(max(token), 0) + 1 from attempt), 'superseded', :cause)
            on conflict (task, number) do update set state = 'superseded', cause = :cause"""
        with self._writing() as base:
            base.execute(statement, {"task": task, "number": number, "time": time.time(), "cause": _told(cause)})

    def rescored(self, task: str, number: int, score: float | None) -> None:
        """Replace the score of a finished attempt."""
        statement = "update attempt set score = ? where task = ? and number = ? and state = 'finished'"
        with self._writing() as base:
            base.execute(statement, (score, task, number))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                if self._closed:
                    raise _Closed("the ledger is closed: the run has ended")
                with self._base:  # commits, or rolls back
                    yield self._base
        except sqlite3.Error as error:
            raise StorageError(f"cannot write the ledger: {error}; free disk space, then use --resume") from None


def _told(cause: str) -> str:
    """A cause without secrets, and not too long."""
    text = str(KNOWN.told(cause))
    return text if len(text) <= LONGEST_CAUSE else f"{text[:LONGEST_CAUSE]}…"


def _unopened(error: sqlite3.Error, path: Path) -> StorageError | UsageError:
    """The error to raise if a ledger cannot be opened."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte of extended codes
        return UsageError(f"another process is working on {path.parent}")
    if code in _NO_LOCKS:
        return StorageError(f"cannot lock {path}: its file system has no locks; use a folder on a local disk")
    if code & 0xFF == sqlite3.SQLITE_NOTADB or code & 0xFF == sqlite3.SQLITE_CORRUPT:
        return StorageError(f"{path} is damaged: delete it, then use --resume; it is rebuilt from the records")
    return StorageError(f"cannot write {path}: {error}; free disk space, then use --resume")


_NO_LOCKS = {
    sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
}  # fmt: skip


def read_counts(path: Path) -> Counts | None:
    """Read a ledger without changing it; None if it is missing or damaged, or while a process works on the run."""

    def read(base: sqlite3.Connection) -> Counts:
        planned = base.execute("select count(*) from episode").fetchone()[0]
        # with max(), SQLite takes the other columns from the row that has it
        counts = "state = 'finished'" if _has_states(base) else "finished is not null"
        query = f"select task, score, max(number) from attempt where {counts} group by task, repeat"
        scores: dict[str, list[float]] = {}
        for task, score, _ in base.execute(query):
            if isinstance(score, float):
                scores.setdefault(task, []).append(score)
        return Counts(planned, scores)

    return _reading(path, read)


def read_causes(path: Path) -> dict[tuple[str, int], str]:
    """Why the last attempt of each episode was lost, for episodes whose last attempt was; empty if unknown."""

    def read(base: sqlite3.Connection) -> dict[tuple[str, int], str]:
        if not _has_states(base):
            return {}
        query = "select task, repeat, state, cause, max(number) from attempt group by task, repeat"
        return {(row[0], row[1]): str(row[3]) for row in base.execute(query) if row[2] == State.SUPERSEDED and row[3]}

    return _reading(path, read) or {}


def _has_states(base: sqlite3.Connection) -> bool:
    return any(row[1] == "state" for row in base.execute("pragma table_info(attempt)"))


def _reading(path: Path, read: Callable[[sqlite3.Connection], Found]) -> Found | None:
    try:
        with closing(sqlite3.connect(_address(path), uri=True, timeout=0.0)) as base:
            return read(base)
    except sqlite3.Error:
        return None


def held(path: Path) -> bool:
    """Whether a process is working on the run that has this ledger; no file is made or changed to find out.

    Exclusive locking needs no index of the log in shared memory, which a reader would make. It fails with SQLITE_BUSY
    where a process has the ledger, and with another error where none has it, because the file is opened for reading.
    """
    if not path.with_name(f"{path.name}-wal").exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.0)) as base:
            base.execute("pragma locking_mode=exclusive")
            base.execute("select 1 from episode limit 1").fetchone()
    except sqlite3.Error as error:
        return bool(getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY)
    return False


def _address(path: Path) -> str:
    """A read-only address; without a write-ahead log nobody is writing, and no lock and no other file is needed."""
    log = path.with_name(f"{path.name}-wal")
    still = not (log.exists() and log.stat().st_size)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
