"""Files of the desktop: complete or not at all, and nothing in them makes the server hang."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from deskbench.envs.server import files
from deskbench.envs.server.http.limits import MAX_FILE, MAX_FOLDERS
from deskbench.envs.server.http.server import HttpError
from deskbench.envs.wire import TREE_DEPTH, folder_tree, loads


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate home folder for the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "a b")
    return tmp_path


def refused(path: str) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        files.read(path)
    return caught.value.status, str(caught.value)


def test_what_is_written_is_read_back(home: Path) -> None:
    """Folders are created, `~` and variables are expanded, and no temporary file remains."""
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


def bound(home: Path, name: str) -> socket.socket:
    listener, old = socket.socket(socket.AF_UNIX), Path.cwd()
    os.chdir(home)  # a socket's path must be short
    try:
        listener.bind(name)
    finally:
        os.chdir(old)
    return listener


def test_what_is_no_file_is_an_answer_and_never_waited_for(home: Path) -> None:
    os.mkfifo(home / "pipe")
    (home / "round").symlink_to("round")
    (home / "to pipe").symlink_to("pipe")
    with bound(home, "socket"):
        for path, said in [
            ("~/pipe", "a named pipe"), ("~/to pipe", "a named pipe"), ("~", "a folder"), ("/dev/zero", "a device"),
            ("~/socket", "a socket"), ("~/round", "cannot be read"),
        ]:  # fmt: skip
            status, why = refused(path)
            assert status == 422 and said in why, (path, status, why)


def test_a_file_of_terabytes_is_refused_by_its_size(home: Path) -> None:
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 42)
    assert refused("~/sparse") == (422, f"~/sparse has {1 << 42} bytes; at most {MAX_FILE} are sent")


def test_files_of_the_kernel_are_read_though_they_have_no_size(home: Path) -> None:
    assert files.read("/proc/version").startswith(b"Linux version")
    (home / "link").symlink_to("/proc/1/status")
    assert b"Pid:" in files.read("~/link")


@pytest.mark.parametrize("what", ["environ", "fd/{}", "status", "task/{pid}/environ", "mem"])
@pytest.mark.parametrize("who", ["self", "{pid}", "thread-self"])
def test_nothing_of_the_server_itself_is_read(home: Path, who: str, what: str) -> None:
    """A link is followed by its text: files open in this process are reached by name, if they have one."""
    with tempfile.TemporaryFile() as secret:
        secret.write(b"secret")
        secret.flush()
        names = {"pid": os.getpid()}
        (home / "link").symlink_to(f"/proc/{who.format(**names)}/{what.format(secret.fileno(), **names)}")
        assert refused("~/link")[0] in (404, 422)


def test_a_file_that_may_not_be_read_is_an_answer(home: Path) -> None:
    """Root may read everything except what the kernel itself refuses."""
    (home / "mine").touch(0o000)
    status, _ = refused("/proc/1/mem") if os.geteuid() == 0 else refused("~/mine")
    assert status == 422


@pytest.mark.parametrize("path", ["a\0b", "~\0"])
def test_a_path_with_a_nul_is_the_callers_mistake(path: str) -> None:
    for work in (files.read, files.listing, lambda path: files.write(path, b"")):
        with pytest.raises(HttpError) as caught:
            work(path)
        assert caught.value.status == 400


def test_a_name_that_is_too_long_is_not_there() -> None:
    assert refused("/" + "x" * 5000)[0] == 404


def test_a_place_that_cannot_be_written_says_why(home: Path) -> None:
    (home / "file").touch()
    for path in ("~/file/below", "/proc/mine", "~/link"):
        (home / "link").unlink(missing_ok=True)
        (home / "link").symlink_to("/proc/self/environ")
        with pytest.raises(HttpError) as caught:
            files.write(path, b"")
        assert caught.value.status == 500
        assert str(caught.value).startswith(f"{path} cannot be written: ")
    assert sorted(os.listdir(home)) == ["file", "link"]


def test_what_is_no_file_is_not_written_over(home: Path) -> None:
    os.mkfifo(home / "pipe")
    (home / "link").symlink_to("pipe")
    with bound(home, "socket"):
        for path in ("~", "~/pipe", "~/link", "~/socket", "/dev/null"):
            with pytest.raises(HttpError) as caught:
                files.write(path, b"x")
            assert caught.value.status == 422 and "not a regular file" in str(caught.value)
    assert sorted(os.listdir(home)) == ["link", "pipe", "socket"]


def test_a_folder_is_listed_in_order(home: Path) -> None:
    for name in ("b", "a", "C", ".hidden"):
        (home / name).touch()
    (home / "folder").mkdir()
    tree = files.listing("~")
    assert [child["name"] for child in tree["children"]] == [".hidden", "C", "a", "b", "folder"]
    assert tree["children"][-1] == {"type": "directory", "name": "folder", "children": []}


def test_links_that_go_round_and_names_that_are_no_text_are_listed(home: Path) -> None:
    (home / "inner").mkdir()
    (home / "inner/up").symlink_to(home)
    (home / "nowhere").symlink_to("gone")
    (home / os.fsdecode(b"\xff.txt")).touch()
    (home / "two\nlines").touch()
    inner = {"type": "directory", "name": "inner", "children": [{"type": "directory", "name": "up", "children": []}]}
    tree = json.loads(json.dumps(files.listing("~")))
    others = [{"type": "file", "name": name} for name in ("nowhere", "two\ufffdlines", "\ufffd.txt")]
    assert tree["children"] == [inner, *others]


def test_what_is_no_folder_says_so(home: Path) -> None:
    (home / "file").touch()
    os.mkfifo(home / "pipe")
    (home / "round").symlink_to("round")
    for path, status in [("~/no", 404), ("~/file/below", 404), ("~/file", 422), ("~/pipe", 422), ("~/round", 422)]:
        with pytest.raises(HttpError) as caught:
            files.listing(path)
        assert caught.value.status == status, path


def test_folders_without_a_bottom_are_an_answer(home: Path) -> None:
    here = Path.cwd()
    try:
        os.chdir(home)
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(here)
    try:
        with pytest.raises(HttpError) as caught:
            files.listing("~")
    finally:
        subprocess.run(["rm", "-rf", str(home / "d")], check=True)  # Python's own way recurses too deep
    assert caught.value.status == 422 and "deep" in str(caught.value)


def test_a_listing_of_the_deepest_kind_is_one_that_the_controller_reads(home: Path) -> None:
    (home / "/".join(["d"] * (MAX_FOLDERS - 1))).mkdir(parents=True)
    assert folder_tree(loads(json.dumps(files.listing("~")).encode(), TREE_DEPTH))


def test_too_many_files_are_an_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LISTED", 50)
    for number in range(50):
        (home / str(number)).touch()
    with pytest.raises(HttpError) as caught:
        files.listing("~")
    assert caught.value.status == 422


def test_processes_are_not_listed_on_the_way(home: Path) -> None:
    (home / "link").symlink_to("/proc")
    assert files.listing("~")["children"] == [{"type": "directory", "name": "link", "children": []}]
    assert len(files.listing("/proc/1")["children"]) > 10
