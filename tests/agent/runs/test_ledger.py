"""The ledger: what is planned, who works on it, and which results count, from several threads, after any kill."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from deskbench.agent.runs.ledger import FOREVER, Ledger, Planned, Result, State, Verdict, read_causes, read_counts
from deskbench.envs.errors import StorageError, UsageError

ONE, TWO = Planned("s/one", 0, 5), Planned("s/two", 0, 5)
SOLVED, FAILED, BROKEN = Result("done", 1.0), Result("done", 0.0), Result("env_error", None, "no display", again=True)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def opened(path: Path, retries: int = 2, clock: Clock | None = None) -> Ledger:
    ledger = Ledger(path, clock=clock or Clock())
    ledger.plan([ONE, TWO])
    ledger.begin_session(retries)
    return ledger


def test_episodes_are_handed_out_in_the_plans_order_and_what_has_a_score_is_done(path: Path) -> None:
    ledger = opened(path)
    first, second = ledger.lease("w", 10), ledger.lease("w", 10)
    assert first and second and (first.episode, second.episode) == (ONE, TWO)
    assert ledger.lease("w", 10) is None
    assert ledger.accept(first.token, FAILED) == Verdict(counts=True, ended=True)
    assert ledger.open_episodes() == [TWO]
    assert ledger.accept(second.token, SOLVED) == Verdict(counts=True, ended=True)
    assert (ledger.open_episodes(), ledger.lease("w", 10)) == ([], None)


def test_what_the_infrastructure_broke_comes_first_again_until_the_retries_are_spent(path: Path) -> None:
    ledger = opened(path, retries=1)
    first = ledger.lease("w", 10)
    assert first and ledger.accept(first.token, BROKEN) == Verdict(counts=True, ended=False)
    again = ledger.lease("w", 10, begun=True)
    assert again and (again.episode, again.number, again.tries) == (ONE, 2, 2)
    assert ledger.accept(again.token, BROKEN).ended
    assert ledger.lease("w", 10, begun=True) is None
    assert [one.cause for one in ledger.attempts()] == ["no display", "no display"]
    ledger.begin_session(1)
    assert ledger.open_episodes() == [ONE, TWO]


def test_it_says_whether_it_would_give_out_an_episode(path: Path) -> None:
    ledger = opened(path, retries=1)
    assert (ledger.waits(), ledger.waits(begun=True)) == (True, False)
    first, second = ledger.lease("w", 10), ledger.lease("w", 10)
    assert first and second and not ledger.waits()
    ledger.supersede(first.token, "the node died")
    assert (ledger.waits(), ledger.waits(begun=True)) == (True, True)
    ledger.close()
    assert not ledger.waits()


def test_deaths_reach_the_next_attempt_and_what_was_tampered_with_stays(path: Path) -> None:
    ledger = opened(path)
    lease = ledger.lease("w", 10)
    assert lease
    ledger.accept(lease.token, Result("env_error", None, "died", again=True, deaths=1))
    lease = ledger.lease("w", 10)
    assert lease and lease.deaths == 1
    assert ledger.accept(lease.token, Result("env_error", None, "died", deaths=2, tampered=True)).ended
    ledger.begin_session(2)
    assert ledger.open_episodes() == [TWO]


def test_tokens_only_rise(path: Path) -> None:
    ledger, tokens = opened(path, retries=50), list[int]()
    for _ in range(30):
        lease = ledger.lease("w", 10)
        assert lease
        tokens.append(lease.token)
        ledger.accept(lease.token, BROKEN)
    assert tokens == sorted(set(tokens))


def test_a_result_that_comes_after_the_lease_does_not_count(path: Path) -> None:
    clock = Clock()
    ledger, published = opened(path, clock=clock), list[str]()
    late = ledger.lease("sleeper", 10)
    assert late
    clock.time += 11
    assert ledger.accept(late.token, SOLVED, lambda: published.append("late")) == Verdict(counts=False, ended=False)
    again = ledger.lease("other", 10)
    assert again and (again.episode, again.tries) == (ONE, 2) and again.token > late.token
    assert ledger.accept(late.token, SOLVED, lambda: published.append("late")) == Verdict(False, False)
    assert ledger.accept(again.token, FAILED, lambda: published.append("current")).counts
    assert ledger.accept(again.token, SOLVED, lambda: published.append("twice")) == Verdict(False, False)
    assert published == ["current"]
    states = [(one.state, one.score) for one in ledger.attempts()]
    assert states == [(State.SUPERSEDED, 1.0), (State.FINISHED, 0.0)]
    ledger.close()
    assert (read_counts(path) or pytest.fail()).scores == {"s/one": [0.0]}


def test_a_result_that_comes_after_the_end_of_the_run_does_not_count(path: Path) -> None:
    ledger, published = opened(path), list[str]()
    lease = ledger.lease("w", 10)
    assert lease
    ledger.close()
    assert ledger.accept(lease.token, SOLVED, lambda: published.append("late")) == Verdict(False, False)
    assert not published
    with pytest.raises(StorageError, match="has ended"):
        ledger.renew([lease.token], 10)


def test_a_lease_lasts_while_it_is_renewed_and_is_not_revived(path: Path) -> None:
    clock = Clock()
    ledger = opened(path, clock=clock)
    lease = ledger.lease("w", 10)
    assert lease
    for _ in range(5):
        clock.time += 9
        assert ledger.renew([lease.token], 10) == set()
    clock.time += 11
    assert ledger.renew([lease.token], 10) == {lease.token}
    assert not ledger.accept(lease.token, SOLVED).counts


def test_an_episode_that_is_taken_over_leaves_its_first_worker_without_a_token(path: Path) -> None:
    ledger = opened(path)
    first = ledger.lease_of(ONE, "a", FOREVER)
    second = ledger.lease_of(ONE, "b", FOREVER)
    assert not ledger.accept(first.token, SOLVED).counts
    assert ledger.accept(second.token, SOLVED).counts
    assert ledger.supersede(second.token, "too late") is None


def test_what_is_lost_until_no_retry_is_left_says_why(path: Path) -> None:
    ledger = opened(path, retries=0)
    lease = ledger.lease("w", 10)
    assert lease and ledger.supersede(lease.token, "the worker hung") == Verdict(False, True)
    ledger.close()
    assert read_causes(path) == {("s/one", 0): "the worker hung"}


def test_a_record_that_cannot_be_published_is_not_accepted(path: Path) -> None:
    def full() -> None:
        raise StorageError("no space left")

    ledger = opened(path)
    lease = ledger.lease("w", 10)
    assert lease
    with pytest.raises(StorageError, match="no space"):
        ledger.accept(lease.token, SOLVED, full)
    assert [one.state for one in ledger.attempts()] == [State.LEASED]
    ledger.start(lease)
    assert [one.state for one in ledger.attempts()] == [State.STARTED]


def test_one_process_works_on_a_run(path: Path) -> None:
    first = opened(path)
    with pytest.raises(UsageError, match="another process is working on"):
        Ledger(path)
    first.close()
    assert Ledger(path).open_episodes() == [ONE, TWO]


def test_planning_again_changes_nothing(path: Path) -> None:
    ledger = opened(path)
    lease = ledger.lease("w", 10)
    assert lease
    ledger.accept(lease.token, SOLVED)
    ledger.plan([TWO, ONE])
    ledger.begin_session(2)
    assert (ledger.open_episodes(), ledger.count()) == ([TWO], 2)


def test_many_workers_never_get_the_same_episode_or_number(path: Path) -> None:
    ledger = Ledger(path)
    ledger.plan([Planned("s/one", repeat, repeat) for repeat in range(40)])
    ledger.begin_session(0)
    found: list[tuple[int, int]] = []

    def work() -> None:
        while (lease := ledger.lease("w", 10)) is not None:
            found.append((lease.episode.repeat, lease.number))
            assert ledger.accept(lease.token, SOLVED).counts

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(repeat for repeat, _ in found) == list(range(40))
    assert sorted(number for _, number in found) == list(range(1, 41))


def test_a_ledger_of_the_first_version_is_completed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.executescript("""
            create table episode (task text not null, repeat integer not null, seed integer not null,
                primary key (task, repeat));
            create table attempt (task text not null, repeat integer not null, number integer not null,
                started real not null, finished real, ending text, score real, primary key (task, number));
            insert into episode values ('s/one', 0, 5), ('s/two', 0, 5);
            insert into attempt values ('s/one', 0, 1, 1.0, null, null, null), ('s/one', 0, 2, 2.0, null, null, null),
                ('s/two', 0, 1, 1.0, 2.0, 'done', 0.5);
        """)
    assert (read_counts(path) or pytest.fail()).scores == {"s/two": [0.5]}
    assert read_causes(path) == {}
    ledger = Ledger(path)
    states = {(one.task, one.number): (one.state, one.read) for one in ledger.attempts()}
    assert states == {
        ("s/one", 1): (State.SUPERSEDED, False), ("s/one", 2): (State.STARTED, False),
        ("s/two", 1): (State.FINISHED, False),
    }  # fmt: skip
    ledger.begin_session(2)
    assert ledger.open_episodes() == [ONE]


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")


def test_a_damaged_ledger_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="delete it, then use --resume; it is rebuilt"):
        Ledger(path)
