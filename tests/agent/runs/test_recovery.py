"""After a kill, a loss of power or an update, the ledger says what the records say; it reads only those it lacks."""

import shutil
import time
from pathlib import Path

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.ledger import FOREVER, Lease, Ledger, Planned, Result, State
from deskbench.agent.runs.recovery import ENDED, GONE, UNREADABLE, recover

from ..staged_runs import episode, run

TASKS = ("s/a", "s/b", "s/c")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(run(tmp_path / "run", planned=len(TASKS)))


def opened(folder: RunFolder) -> Ledger:
    ledger = Ledger(folder.ledger)
    recover(ledger, folder)
    ledger.plan([Planned(task, 0, 0) for task in TASKS])
    ledger.begin_session(2)
    return ledger


def leased(ledger: Ledger) -> Lease:
    lease = ledger.lease("w", FOREVER)
    assert lease
    return lease


def states(ledger: Ledger) -> list[tuple[str, int, State, str | None]]:
    return [(one.task, one.number, one.state, one.cause) for one in ledger.attempts()]


def test_what_was_recorded_before_a_kill_counts_and_what_was_not_runs_again(folder: RunFolder) -> None:
    ledger = opened(folder)
    for task in ("s/a", "s/b", "s/c"):
        assert leased(ledger).episode.task == task
    episode(folder.path, "s/a", 1.0)
    episode(folder.path, "s/b", 1.0, finished=False)
    ledger.close()
    again = opened(folder)
    assert states(again) == [
        ("s/a", 1, State.FINISHED, None), ("s/b", 1, State.SUPERSEDED, ENDED), ("s/c", 1, State.SUPERSEDED, ENDED),
    ]  # fmt: skip
    assert [(one.episode.task, one.number) for one in (leased(again), leased(again))] == [("s/b", 2), ("s/c", 2)]


def test_a_run_without_a_ledger_is_known_from_its_records(folder: RunFolder) -> None:
    episode(folder.path, "s/a", None, ending=Ending.ENV_ERROR)
    episode(folder.path, "s/a", 0.5, attempt=2)
    episode(folder.path, "s/b", 1.0, attempt=3, finished=False)
    ledger = opened(folder)
    assert [one.task for one in ledger.open_episodes()] == ["s/b", "s/c"]
    assert ledger.spent() == pytest.approx(0.004)
    assert leased(ledger).number == 4  # never the number of a folder that is there


def test_a_result_whose_record_is_gone_or_unreadable_does_not_count(folder: RunFolder) -> None:
    ledger = opened(folder)
    for task in ("s/a", "s/b", "s/c"):
        ledger.accept(leased(ledger).token, Result("done", 1.0))
        episode(folder.path, task, 1.0)
    ledger.close()
    shutil.rmtree(folder.path / "episodes/s/a")
    (folder.path / "episodes/s/b/1/episode.json").write_text('{"task": ')
    folder.ledger.unlink()
    ledger = opened(folder)
    assert states(ledger) == [("s/b", 1, State.SUPERSEDED, UNREADABLE), ("s/c", 1, State.FINISHED, None)]
    assert [reader.episode.task for reader in folder.final()] == ["s/c"]
    assert EpisodeFolder(folder.path / "episodes/s/b/1").late.exists()
    ledger.close()
    shutil.rmtree(folder.path / "episodes/s/c")
    assert states(opened(folder))[-1] == ("s/c", 1, State.SUPERSEDED, GONE)


def test_a_record_of_an_attempt_that_was_given_up_is_kept_and_does_not_count(folder: RunFolder) -> None:
    ledger = opened(folder)
    ledger.supersede(leased(ledger).token, "the worker hung")
    episode(folder.path, "s/a", 1.0)  # written by a worker elsewhere, without asking
    ledger.close()
    assert [one.task for one in opened(folder).open_episodes()] == ["s/a", "s/b", "s/c"]
    assert (folder.records(), len(list(folder.path.rglob("superseded.json")))) == ([], 1)


def test_leases_of_another_boot_are_void(folder: RunFolder) -> None:
    """The clock for deadlines begins again with each boot; only the present one counts."""
    late = Ledger(folder.ledger, clock=lambda: 1e9)
    late.plan([Planned("s/a", 0, 0)])
    late.begin_session(0)
    leased(late)
    late.close()
    ledger = Ledger(folder.ledger, clock=lambda: 5.0)
    recover(ledger, folder)
    ledger.begin_session(0)
    lease = ledger.lease("w", 10)
    assert lease and lease.number == 2 and ledger.accept(lease.token, Result("done", 1.0)).counts


def test_the_time_of_day_decides_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = opened(folder)
    lease = ledger.lease("w", 10)
    assert lease
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert ledger.renew([lease.token], 10) == set()
    monkeypatch.setattr(time, "time", lambda: 1.0)
    assert ledger.expired() == []
    assert ledger.accept(lease.token, Result("done", 1.0)).counts


def test_records_that_the_ledger_has_are_not_read_again(folder: RunFolder) -> None:
    """So that thousands of attempts are recovered in a second (`python -m tests.benchmarks ledger`)."""
    episode(folder.path, "s/a", 1.0)
    opened(folder).close()
    (folder.path / "episodes/s/a/1/episode.json").write_text("not read")
    assert [one.task for one in opened(folder).open_episodes()] == ["s/b", "s/c"]
