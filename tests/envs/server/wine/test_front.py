"""Finds where Wine stores a Windows path, without Wine, as the way into a Windows desktop does."""

import os
from pathlib import Path

import pytest

from deskbench.envs.server.http.server import HttpError
from deskbench.envs.server.wine.front import located


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    (tmp_path / "drive_c/users/user/Documents").mkdir(parents=True)
    (tmp_path / "drive_c/Reports").mkdir()
    (tmp_path / "drive_c/Reports/Todo.TXT").write_text("found")
    (tmp_path / "drive_c/Reports/todo.txt").write_text("exact")
    (tmp_path / "dosdevices").mkdir()
    (tmp_path / "dosdevices/c:").symlink_to("../drive_c")
    (tmp_path / "dosdevices/z:").symlink_to("/")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (r"C:\Reports\todo.txt", "drive_c/Reports/todo.txt"),
        ("c:/reports/Todo.TXT", "drive_c/Reports/Todo.TXT"),
        (r"C:\REPORTS", "drive_c/Reports"),
        (r"~\Documents\new.txt", "drive_c/users/user/Documents/new.txt"),
        ("~", "drive_c/users/user"),
        (r"%UserProfile%\documents", "drive_c/users/user/Documents"),
        (r"$USERPROFILE\Documents", "drive_c/users/user/Documents"),
        (r"Documents\x", "drive_c/users/user/Documents/x"),
        (r"\Reports", "drive_c/Reports"),
        (r"C:\none\Such\thing", "drive_c/none/Such/thing"),
    ],
)
def test_a_path_of_windows(prefix: Path, path: str, where: str) -> None:
    assert os.path.realpath(located(path, prefix)) == os.path.realpath(prefix / where)


def test_letters_do_not_count_where_no_name_is_exact(prefix: Path) -> None:
    assert located(r"C:\Reports\TODO.txt", prefix).name in ("todo.txt", "Todo.TXT")


def test_the_drive_of_the_whole_system(prefix: Path) -> None:
    assert os.path.realpath(located(rf"Z:{prefix}\drive_c", prefix)) == str(prefix / "drive_c")


@pytest.mark.parametrize("path", [r"D:\x", r"\\server\share\x", r"\\?\C:\x"])
def test_no_such_drive(prefix: Path, path: str) -> None:
    with pytest.raises(HttpError) as raised:
        located(path, prefix)
    assert raised.value.status == 404
