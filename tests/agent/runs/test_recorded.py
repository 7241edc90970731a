"""The task of an episode, whose record may be somebody else's."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeRecord
from deskbench.agent.runs.recorded import task_of
from deskbench.envs.errors import UsageError
from deskbench.tasks.types import Outside

from ..paper import prepared, write_task


@pytest.fixture
def record(tmp_path: Path) -> EpisodeRecord:
    write_task(tmp_path / "suite", "write")
    Batch(prepared(tmp_path / "suite"), tmp_path / "run").run()
    return RunFolder(tmp_path / "run").records()[0]


@pytest.mark.parametrize(
    "changes", [{"suite": "{}/away"}, {"suite": "../away"}, {"task_id": "../../away/x"}, {"suite": "a\0b"}]
)
def test_a_record_names_no_file_outside_the_scratch_folder(
    record: EpisodeRecord, tmp_path: Path, changes: dict[str, str]
) -> None:
    names = {name: value.format(tmp_path) for name, value in changes.items()}
    (tmp_path / "scratch").mkdir()
    with pytest.raises(UsageError, match="is not the name of a file"):
        task_of(record.model_copy(update={"task_path": "", **names}), tmp_path / "scratch")
    assert not (tmp_path / "away").exists() and not any((tmp_path / "scratch").iterdir())


def test_a_name_that_is_too_long_is_the_records_fault(record: EpisodeRecord, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written to"):
        task_of(record.model_copy(update={"task_path": "", "suite": "a" * 300}), tmp_path / "scratch")


def test_a_record_opens_no_folder_without_its_task(record: EpisodeRecord, tmp_path: Path) -> None:
    upload = {"type": "upload_file", "parameters": {"files": [{"local_path": "secret", "path": "/home/user/a"}]}}
    changed: dict[str, Any] = record.task_json | {"config": [upload]}
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret").write_text("secret")
    named = record.model_copy(update={"task_json": changed, "task_path": str(tmp_path / "private" / "write.json")})
    assert not task_of(named, tmp_path / "scratch").asset("secret").exists()
    # an older version of the task is there: its folder has its files
    (tmp_path / "private" / "write.json").write_text(json.dumps(record.task_json))
    found = task_of(named, tmp_path / "scratch")
    assert found.asset("secret").read_text() == "secret"
    with pytest.raises(Outside):
        found.asset("../run/run.json")
