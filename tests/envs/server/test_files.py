"""Files of the desktop: whole or not at all, and nothing in them makes the server hang."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from deskbench.envs.server import files
from deskbench.envs.server.http import HttpError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "a b")
    return tmp_path


def refused(path: str) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        files.read(path)
    return caught.value.status, str(caught.value)


def test_what_is_written_is_read_back(home: Path) -> None:
    """Folders are made, `~` and variables are expanded, and no temporary file stays."""
    files.write("~/x/$WHERE/y.bin", bytes(range(256)))
    assert files.read("~/x/a b/y.bin") == bytes(range(256)) == (home / "x/a b/y.bin").read_bytes()
    assert os.listdir(home / "x/a b") == ["y.bin"]


def test_a_file_that_was_there_keeps_its_mode_and_a_link_its_place(home: Path) -> None:
    (home / "script").write_text("old")
    (home / "script").chmod(0o755)
    (home / "link").symlink_to("script")
    files.write("~/link", b"new")
    assert (home / "link").is_symlink()
    assert (home / "script").read_bytes() == b"new"
    assert (home / "script").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["~/no", "~/file/below", "/no/such"])
def test_a_file_that_is_not_there_is_404(home: Path, path: str) -> None:
    (home / "file").touch()
    assert refused(path) == (404, f"no such file: {path}")


def test_what_is_no_file_is_refused_and_never_waited_for(home: Path) -> None:
    os.mkfifo(home / "pipe")
    assert refused("~/pipe")[0] == 400
    assert refused("~")[0] == 400
    assert refused("/dev/zero")[0] == 400
    with socket.socket(socket.AF_UNIX) as listener:
        old = Path.cwd()
        os.chdir(home)  # a socket's path has little room
        try:
            listener.bind("socket")
        finally:
            os.chdir(old)
        assert refused("~/socket")[0] == 500


def test_a_place_that_cannot_be_written_says_why(home: Path) -> None:
    (home / "file").touch()
    for path in ("~/file/below", "~", "/proc/mine"):
        with pytest.raises(HttpError) as caught:
            files.write(path, b"")
        assert caught.value.status == 500
        assert str(caught.value).startswith(f"{path} cannot be written: ")
    assert sorted(os.listdir(home)) == ["file"]


def test_a_folder_is_listed_in_order(home: Path) -> None:
    for name in ("b", "a", "C", ".hidden"):
        (home / name).touch()
    (home / "folder").mkdir()
    tree = files.listing("~")
    assert [child["name"] for child in tree["children"]] == [".hidden", "C", "a", "b", "folder"]  # type: ignore[attr-defined]
    assert tree["children"][-1] == {"type": "directory", "name": "folder", "children": []}  # type: ignore[index]


def test_links_that_go_round_and_names_that_are_no_text_are_listed(home: Path) -> None:
    (home / "inner").mkdir()
    (home / "inner/up").symlink_to(home)
    (home / "nowhere").symlink_to("gone")
    (home / os.fsdecode(b"\xff.txt")).touch()
    inner = {"type": "directory", "name": "inner", "children": [{"type": "directory", "name": "up", "children": []}]}
    tree = json.loads(json.dumps(files.listing("~")))
    assert tree["children"] == [inner, {"type": "file", "name": "nowhere"}, {"type": "file", "name": "\udcff.txt"}]


def test_a_folder_that_is_not_there_is_404(home: Path) -> None:
    (home / "file").touch()
    for path in ("~/no", "~/file"):
        with pytest.raises(HttpError) as caught:
            files.listing(path)
        assert caught.value.status == 404
