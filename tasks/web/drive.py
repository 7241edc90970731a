"""Google Drive, for the eight tasks of OSWorld that use it: through pydrive2, with the user's own credentials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.envs.errors import SetupError
from deskbench.envs.redact import KNOWN, secrets_beside
from deskbench.tasks.types import Task

FOLDER = "application/vnd.google-apps.folder"


def settings_of(task: Task, settings_file: str) -> Path:
    """A settings file, relative to the OSWorld checkout with the task; from then on its secrets are redacted.

    Raises:
        SetupError: it does not exist.
    """
    if Path(settings_file).is_absolute() or ".." in Path(settings_file).parts:
        raise SetupError(f"{settings_file}: your settings file must be inside an OSWorld checkout")
    for folder in (Path.cwd(), *task.path.resolve().parents):
        if (folder / settings_file).is_file():
            KNOWN.add(*secrets_beside(folder / settings_file))
            return folder / settings_file
    raise SetupError(f"Google Drive needs your credentials in {settings_file} (see OSWorld's ACCOUNT_GUIDELINE)")


@dataclass(frozen=True)
class Drive:
    """A drive; `api` is pydrive2's `GoogleDrive`."""

    api: Any

    @classmethod
    def of(cls, task: Task, settings_file: str) -> Drive:
        """The drive that the task's settings log in to."""
        settings = settings_of(task, settings_file)
        try:
            from pydrive2.auth import GoogleAuth
            from pydrive2.drive import GoogleDrive
        except ImportError as error:
            raise SetupError(f"{error.name} is not installed: pip install 'deskbench[drive]'") from None
        return cls(GoogleDrive(GoogleAuth(settings_file=str(settings))))

    def find(self, queries: Sequence[str]) -> Any:
        """Follow a chain of queries, each inside the file found before; returns the last file, or None."""
        parent, found = "root", None
        for query in queries:
            files = self.api.ListFile({"q": f"( {query} ) and '{parent}' in parents"}).GetList()
            if not files:
                return None
            found = files[0]
            parent = found["id"]
        return found

    def delete(self, query: str = "", *, trash: bool = False) -> None:
        """Delete the files, then the folders, that a query finds (all if it is empty)."""
        for operator in ("!=", "="):
            kind = f"mimeType {operator} '{FOLDER}'"
            for file in self.api.ListFile({"q": f"( {query} ) and {kind}" if query.strip() else kind}).GetList():
                file.Trash() if trash else file.Delete()

    def make_folders(self, path: Sequence[str]) -> str:
        """Create the missing folders of a path; returns the last folder's id."""
        parent = "root"
        for name in path:
            query = f"'{parent}' in parents and title = '{name}' and mimeType = '{FOLDER}' and trashed = false"
            found = self.api.ListFile({"q": query}).GetList()
            if found:
                parent = found[0]["id"]
                continue
            file = self.api.CreateFile({"title": name, "mimeType": FOLDER, "parents": [{"id": parent}]})
            file.Upload()
            parent = file["id"]
        return parent

    def upload(self, data: Path, path: Sequence[str]) -> None:
        """Upload a file to a path."""
        parent = self.make_folders(path[:-1])
        file = self.api.CreateFile({"title": path[-1], "parents": [{"id": parent}]})
        file.SetContentFile(str(data))
        file.Upload()


def queries_of(path: Sequence[str]) -> Iterator[str]:
    """The queries that follow a path of folders to a file."""
    for index, name in enumerate(path):
        kind = f" and mimeType = '{FOLDER}'" if index < len(path) - 1 else ""
        yield f"title = '{name}'{kind} and trashed = false"
