"""How results come back from nodes that do not share a disk with this machine: over a place that fsspec knows.

A node writes an attempt into a folder of its own, and puts the folder there before it asks whether the record counts.
The machine that has the ledger fetches it into the run's folder, and only then decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.redact import without_logins


class Store:
    """A folder at an fsspec URL, such as s3://bucket/runs.

    Args:
        url: the folder.

    Raises:
        UsageError: fsspec, or the package for this kind of URL, is missing, or the URL cannot be read.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise UsageError("results_url needs fsspec: pip install 'deskbench[ray]'") from None
        try:
            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"results_url {without_logins(url)}: {error}") from None
        self._url, self._root = without_logins(url), PurePosixPath(root)
        self._sent: dict[Path, tuple[int, int]] = {}

    def put(self, folder: Path, name: str, *, besides: Path | None = None) -> None:
        """Put the files of a folder there that are new or have changed since the last call, besides one.

        Raises:
            StorageError: it cannot be written.
        """
        with self._reaching():
            for path in sorted(one for one in folder.rglob("*") if one.is_file() and one != besides):
                state = path.stat()
                mark = (state.st_size, state.st_mtime_ns)
                if self._sent.get(path) != mark:
                    there = str(self._root / name / path.relative_to(folder).as_posix())
                    self._files.makedirs(str(PurePosixPath(there).parent), exist_ok=True)
                    self._files.put_file(str(path), there)
                    self._sent[path] = mark

    def fetch(self, name: str, folder: Path, *, hidden: bool = True) -> None:
        """Fetch the files of a folder that are not here, or have another size here.

        Args:
            name: the folder's name there.
            folder: where they go.
            hidden: also files whose names begin with a dot: records that do not count yet.

        Raises:
            StorageError: it cannot be read, or this disk cannot be written.
        """
        top = self._root / name
        with self._reaching():
            for there, facts in self._files.find(str(top), detail=True).items():
                part = PurePosixPath(self._files._strip_protocol(there)).relative_to(top)
                if ".." in part.parts or (part.name.startswith(".") and not hidden):
                    continue
                here = folder / part
                if not here.is_file() or here.stat().st_size != facts.get("size"):
                    here.parent.mkdir(parents=True, exist_ok=True)
                    self._files.get_file(there, str(here))

    def remove(self, name: str) -> None:
        """Remove a folder there, if it can be removed."""
        with suppress(StorageError), self._reaching():
            if self._files.exists(str(self._root / name)):
                self._files.rm(str(self._root / name), recursive=True)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the boundary to file systems, each with errors of its own
            raise StorageError(
                f"results_url {self._url}: {type(error).__name__}: {without_logins(str(error))}"
            ) from error
