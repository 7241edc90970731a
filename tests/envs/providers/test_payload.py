"""The files shipped into desktops: one copy that everybody may read."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.envs.errors import UsageError
from deskbench.envs.providers.payload import ENVS, keep, payload


def test_it_holds_the_server_and_nothing_of_the_tasks() -> None:
    made = payload()
    assert (made / "deskbench/envs/server/__main__.py").read_bytes() == (ENVS / "server/__main__.py").read_bytes()
    assert {path.name for path in (made / "deskbench").iterdir()} == {"envs"}
    assert (made / "deskbench/envs/server/x11/config/home").is_dir()


def test_everybody_may_read_it_and_only_its_owner_write() -> None:
    for path in (payload(), *payload().rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o022 == 0 and mode & 0o004, path


def test_it_is_the_same_while_the_sources_are() -> None:
    source = "from deskbench.envs.providers.payload import payload; print(payload())"
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(payload())


def test_a_folder_that_is_kept_is_made_once_and_whole(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("content")

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="middle"):
        keep(tmp_path / "kept", fail)
    assert list(tmp_path.iterdir()) == []
    assert keep(tmp_path / "kept", make) == keep(tmp_path / "kept", make) == tmp_path / "kept"
    assert len(made) == 1 and [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        keep(tmp_path / "file" / "kept", lambda folder: None)
