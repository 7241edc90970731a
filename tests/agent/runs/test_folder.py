"""A run's folder: what is found in it, and what is said of a folder that is none."""

from pathlib import Path

import pytest

from deskbench.agent.runs.folder import RunFolder, final_attempts
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = run(tmp_path / "run", planned=3)
    episode(made, "s/pass", 1.0)
    episode(made, "s/lost", None, attempt=9)
    episode(made, "s/lost", 0.0, attempt=10)
    episode(made, "s/lost", 1.0, attempt=11, repeat=1)
    episode(made, "s/cut", None, attempt=1, finished=False)
    episode(made, "s/cut", None, attempt=2, finished=False)
    return RunFolder(made)


def attempts(episodes: list[EpisodeFolder]) -> list[str]:
    return [f"{one.path.parent.name} {one.path.name}" for one in episodes]


def test_every_attempt_that_has_begun_is_found(folder: RunFolder) -> None:
    assert attempts(folder.episodes()) == ["cut 1", "cut 2", "lost 10", "lost 11", "lost 9", "pass 1"]
    assert attempts([one for one in folder.episodes() if not one.finished]) == ["cut 1", "cut 2"]
    assert len(folder.records()) == 4


def test_the_last_attempt_of_each_repeat_is_final(folder: RunFolder) -> None:
    final = [(one.episode.task, one.episode.repeat, one.episode.attempt) for one in folder.final()]
    assert final == [("s/lost", 0, 10), ("s/lost", 1, 11), ("s/pass", 0, 1)]


def test_the_order_in_which_attempts_are_found_does_not_matter(tmp_path: Path) -> None:
    first = episode(tmp_path, "s/a", None, attempt=1)
    second = episode(tmp_path, "s/a", 1.0, attempt=2)
    other = episode(tmp_path, "s/a", 0.0, attempt=3, repeat=1)
    assert final_attempts([second, other, first], lambda record: record) == [second, other]


def test_an_attempt_that_was_cut_off_is_superseded_by_the_next(folder: RunFolder) -> None:
    assert folder.episode("s/cut", 1).superseded
    assert not folder.episode("s/cut", 2).superseded


def test_an_episode_is_found_by_its_own_folder_as_well_as_by_its_runs(folder: RunFolder) -> None:
    one = folder.episode("s/pass", 1)
    assert EpisodeFolder.below(one.path) == [one]
    assert EpisodeFolder.below(folder.path) == folder.episodes() == EpisodeFolder.below(folder.path.parent)
    assert folder.task_of(one) == "s/pass"


@pytest.mark.parametrize("name", ["../../../secret", "/secret", "x/../../secret"])
def test_no_name_leads_out_of_an_episode(folder: RunFolder, name: str) -> None:
    one = folder.episode("s/pass", 1)
    assert one.frame(name) == one.path / "frames/secret.png"
    assert one.file(name) == one.path / "files/secret"


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = RunFolder(tmp_path)
    assert not made.exists
    made.write_manifest({"state": "running"})
    assert made.exists and made.manifest() == {"state": "running"}


@pytest.mark.parametrize("text", [None, "", "[]", "{", "[" * 100_000])
def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"is not a run folder: run\.json") as error:
        RunFolder(tmp_path).config()
    assert "\n" not in str(error.value)


def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"config": []}')
    with pytest.raises(UsageError, match="config is not a JSON object"):
        RunFolder(tmp_path).config()
