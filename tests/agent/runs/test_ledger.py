"""The ledger: what is planned, begun and finished, from several threads, after any kill."""

import threading
from pathlib import Path

import pytest

from deskbench.agent.runs.ledger import Ledger, Planned
from deskbench.envs.errors import StorageError, UsageError

ONE, TWO = Planned("s/one", 0, 5), Planned("s/two", 0, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_what_has_no_score_is_open(path: Path) -> None:
    ledger = Ledger(path)
    ledger.plan([ONE, TWO])
    ledger.finish(ONE.task, ledger.begin(ONE), "done", 0.0)
    ledger.finish(TWO.task, ledger.begin(TWO), "env_error", None)
    assert ledger.open_episodes() == [TWO]
    ledger.finish(TWO.task, ledger.begin(TWO), "done", 1.0)
    assert ledger.open_episodes() == []


def test_an_attempt_that_was_cut_off_is_unfinished_and_its_episode_open(path: Path) -> None:
    first = Ledger(path)
    first.plan([ONE])
    assert first.begin(ONE) == 1
    first.close()
    again = Ledger(path)
    assert again.unfinished() == {("s/one", 1)}
    assert again.open_episodes() == [ONE]
    assert again.begin(ONE) == 2


def test_one_process_works_on_a_run(path: Path) -> None:
    first = Ledger(path)
    first.plan([ONE])
    with pytest.raises(UsageError, match="another process is working on"):
        Ledger(path)
    first.close()
    assert Ledger(path).open_episodes() == [ONE]


def test_planning_again_changes_nothing(path: Path) -> None:
    ledger = Ledger(path)
    ledger.plan([TWO, ONE])
    ledger.finish(ONE.task, ledger.begin(ONE), "done", 1.0)
    ledger.plan([TWO, ONE])
    assert (ledger.open_episodes(), ledger.count()) == ([TWO], 2)


def test_repeats_of_a_task_have_numbers_of_their_own(path: Path) -> None:
    ledger = Ledger(path)
    repeats = [Planned("s/one", repeat, repeat) for repeat in range(20)]
    ledger.plan(repeats)
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda r=r: numbers.append(ledger.begin(r))) for r in repeats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 21))


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")
