"""`runs/latest`, as a link or as a file, and short names of runs."""

from pathlib import Path

import pytest

from deskbench.agent.runs.latest import find, mark_latest, repair_latest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/one/episodes", "runs/demo/null", "elsewhere"):
        Path(name).mkdir(parents=True)
    return tmp_path


def test_the_latest_run_is_found_by_every_name() -> None:
    mark_latest(Path("runs/one"))
    assert Path("runs/latest").is_symlink()
    for name in ("latest", "runs/latest", "one", "runs/one"):
        assert find(name) == Path("runs/one")
    assert find("latest/episodes") == Path("runs/one/episodes")
    mark_latest(Path("runs/demo/null").absolute())
    assert find("latest") == Path("runs/demo/null")
    assert find(Path("runs/latest").absolute()) == Path("runs/demo/null").absolute()


def test_a_file_stands_in_where_links_are_not_possible() -> None:
    Path("runs/latest").write_text("one\n")
    assert find("latest") == Path("runs/one")
    assert find("latest/episodes") == Path("runs/one/episodes")
    mark_latest(Path("runs/demo/null"))
    assert find("latest") == Path("runs/demo/null")


def test_a_path_that_exists_means_itself_and_one_that_does_not_is_left() -> None:
    Path("one").mkdir()
    assert find("one") == Path("one")
    assert find("two") == Path("two")
    assert find("latest") == Path("runs/latest")


def test_a_folder_of_the_users_and_runs_elsewhere_are_left_alone() -> None:
    mark_latest(Path("elsewhere"))
    mark_latest(Path("runs"))
    assert not Path("runs/latest").exists()
    Path("runs/latest").mkdir()
    mark_latest(Path("runs/one"))
    mark_latest(Path("runs/latest"))
    assert Path("runs/latest").is_dir() and not Path("runs/latest").is_symlink()


def test_a_link_to_a_run_that_is_gone_is_removed() -> None:
    mark_latest(Path("runs/one"))
    repair_latest()
    assert Path("runs/latest").is_symlink()
    Path("runs/one/episodes").rmdir()
    Path("runs/one").rmdir()
    repair_latest()
    assert not Path("runs/latest").is_symlink()
