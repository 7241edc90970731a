"""Google Drive: operations on a drive in memory, and the login.

The drive in memory answers the queries in OSWorld's task files. A real Chromium logs in on a page that replaces
Google's.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import SetupError
from deskbench.envs.providers.pool import Pool
from deskbench.tasks.load import load
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Task
from deskbench.tasks.web.drive import FOLDER, Drive, queries_of
from deskbench.tasks.world import Context

from .. import websites as web


class File(dict[str, Any]):
    """One file of the drive in memory, in pydrive2's form."""

    def __init__(self, memory: "Memory", facts: dict[str, Any]) -> None:
        super().__init__({"mimeType": "text/plain", "trashed": False, **facts})
        self.memory, self.content = memory, b""

    def Upload(self) -> None:
        self["id"] = f"id{len(self.memory.files)}"
        self.memory.files.append(self)

    def SetContentFile(self, path: str) -> None:
        self.content = Path(path).read_bytes()

    def Trash(self) -> None:
        self["trashed"] = True

    def Delete(self) -> None:
        self.memory.files.remove(self)


class Memory:
    """The part of pydrive2's GoogleDrive that is used: queries join four conditions with `and`."""

    def __init__(self) -> None:
        self.files: list[File] = []

    def CreateFile(self, facts: dict[str, Any]) -> File:
        return File(self, facts)

    def ListFile(self, asked: dict[str, str]) -> "Memory.Found":
        return Memory.Found([file for file in self.files if self.fits(file, asked["q"])])

    class Found(list[File]):
        def GetList(self) -> list[File]:
            return list(self)

    @staticmethod
    def fits(file: File, query: str) -> bool:
        for part in re.split(r" and (?=(?:[^']*'[^']*')*[^']*$)", query):
            text = part.strip(" ()")
            if match := re.fullmatch(r"'(\w+)' in parents", text):
                good = match[1] in [parent["id"] for parent in file.get("parents", [{"id": "root"}])]
            elif match := re.fullmatch(r"(title|mimeType) (=|!=) '([^']*)'", text):
                good = (file[match[1]] == match[3]) is (match[2] == "=")
            else:
                assert text == "trashed = false", text
                good = not file["trashed"]
            if not good:
                return False
        return True


@pytest.fixture
def drive() -> Drive:
    return Drive(Memory())


def names(drive: Drive) -> list[str]:
    return [file["title"] for file in drive.api.files if not file["trashed"]]


class TestDrive:
    def test_a_file_is_put_into_folders_that_are_made_once_and_found_again(self, drive: Drive, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("text")
        drive.upload(tmp_path / "a.txt", ["forms", "2024", "a.txt"])
        drive.upload(tmp_path / "a.txt", ["forms", "2024", "b.txt"])
        assert names(drive) == ["forms", "2024", "a.txt", "b.txt"]
        found = drive.find(list(queries_of(["forms", "2024", "b.txt"])))
        assert (found["title"], found.content) == ("b.txt", b"text")
        assert drive.find(list(queries_of(["forms", "2025", "b.txt"]))) is None

    def test_files_go_before_folders_and_into_the_bin_where_asked(self, drive: Drive, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("text")
        drive.upload(tmp_path / "a.txt", ["forms", "a.txt"])
        drive.upload(tmp_path / "a.txt", ["keep.txt"])
        drive.delete("title = 'a.txt'", trash=True)
        assert names(drive) == ["forms", "keep.txt"] and len(drive.api.files) == 3
        drive.delete()
        assert drive.api.files == []

    def test_folders_are_folders(self, drive: Drive) -> None:
        drive.make_folders(["one", "two"])
        assert {file["mimeType"] for file in drive.api.files} == {FOLDER}


FORM = '<form action="/%s"><input type="%s" name="%s"><div id="%sNext"><button>Next</button></div></form>'
PAGES = {
    "drive.google.com/drive/my-drive?signed": "My Drive",
    "drive.google.com/": "-> https://accounts.google.com/",
    "accounts.google.com/password": FORM % ("signin", "password", "password", "password"),
    "accounts.google.com/signin": "-> https://drive.google.com/drive/my-drive?signed",
    "accounts.google.com/": FORM % ("password", "email", "email", "identifier"),
}


def task_with(folder: Path, account: dict[str, str] | None) -> Task:
    """A task in a checkout whose settings contain this account."""
    path = folder / "t.json"
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": {"func": "infeasible"}}))
    if account is not None:
        (folder / "settings.json").write_text(json.dumps(account))
    return load(path)[0]


@pytest.mark.desktop
@pytest.mark.slow
class TestLogin:
    @pytest.fixture
    def context(self, local_provider: Pool, tmp_path: Path) -> Iterator[Context]:
        desktop = local_provider.start(DesktopSpec())
        web.serve(desktop, PAGES)
        task = task_with(tmp_path, {"email": "ann@example.org", "password": "pass word"})
        yield Context(desktop, task, tmp_path / "cache", tmp_path / "assets", (1280, 800))
        local_provider.stop(desktop)

    def test_an_account_is_typed_into_the_pages(self, context: Context) -> None:
        call = Call(
            type="login", parameters={"settings_file": "settings.json", "platform": "googledrive"}, where="$.config[0]"
        )
        run_steps([call], context)
        asked = web.asked(context.desktop)
        assert any("/password?email=ann%40example.org" in line for line in asked), asked
        assert any("/signin?password=pass+word" in line for line in asked), asked
        assert any("drive.google.com/drive/my-drive?signed" in line for line in asked), asked


def test_without_credentials_it_says_which_file_is_wanted(tmp_path: Path) -> None:
    task = task_with(tmp_path, None)
    with pytest.raises(SetupError, match=r"your credentials in settings\.json"):
        Drive.of(task, "settings.json")
