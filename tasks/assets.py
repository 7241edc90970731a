"""Files from the web: downloaded once for all episodes, stored by content, checked against their SHA-256.

    <root>/blobs/<sha256>           the bytes
    <root>/urls/<sha256 of URL>     JSON: the URL, and the SHA-256 and size of its file

A folder that `deskbench tasks mirror` filled has the same layout. `DESKBENCH_MIRROR` names such a folder, or an address
that replaces `https://huggingface.co`. With `DESKBENCH_OFFLINE=1` nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from deskbench.envs import wait
from deskbench.envs.errors import AssetError
from deskbench.tasks.types import Call, Task

HUB = "https://huggingface.co"
"""Where OSWorld hosts the assets of its tasks."""
TIMEOUT = 300.0
ATTEMPTS = 3
GONE = (401, 403, 404, 410)
"""Statuses that make a retry pointless."""
_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
_checked: set[Path] = set()


@dataclass(frozen=True)
class AssetStore:
    """A folder of files from the web.

    Attributes:
        root: the folder.
        mirror: another such folder, or an address to use instead of the hub's; None for no mirror.
        offline: download nothing.
    """

    root: Path
    mirror: str | None = None
    offline: bool = False

    @classmethod
    def here(cls, root: Path) -> AssetStore:
        """A store configured from the environment variables."""
        offline = os.environ.get("DESKBENCH_OFFLINE", "") not in ("", "0")
        return cls(root, os.environ.get("DESKBENCH_MIRROR") or None, offline)

    def get(self, url: str) -> Path:
        """The file behind a URL, complete and as it was at the first download.

        Raises:
            AssetError: it is not stored here and cannot be downloaded.
        """
        with _locks[f"{self.root}\0{url}"]:
            for root in self._folders():
                found = _kept(root, url)
                if found is not None:
                    return found
            return self._fetch(url)

    def has(self, url: str) -> bool:
        """Whether a URL's file is stored here or in the mirror's folder."""
        return any(_kept(root, url) is not None for root in self._folders())

    def digest(self, url: str) -> str | None:
        """The SHA-256 of a URL's file, if it was ever downloaded."""
        found = next((path for root in self._folders() if (path := _kept(root, url)) is not None), None)
        return None if found is None else found.name

    def _folders(self) -> Iterator[Path]:
        yield self.root
        if self.mirror is not None and "://" not in self.mirror:
            yield Path(self.mirror)

    def _fetch(self, url: str) -> Path:
        if self.offline:
            raise AssetError(f"{url} is not in {self.root} and DESKBENCH_OFFLINE is set; fetch it with: "
                             "deskbench tasks mirror", permanent=True)  # fmt: skip
        address = url
        if self.mirror is not None and "://" in self.mirror and url.startswith(HUB):
            address = self.mirror.rstrip("/") + url.removeprefix(HUB)
        last, permanent = "", False
        for attempt in range(ATTEMPTS):
            wait.sleep(attempt * 2.0)
            try:
                return self._store(url, address)
            except requests.RequestException as error:
                last = str(error)
                if isinstance(error, ValueError):  # not a URL, or a scheme that requests cannot handle
                    permanent = True
                    break
                if error.response is not None and 400 <= error.response.status_code < 500:
                    permanent = error.response.status_code in GONE
                    break
        raise AssetError(f"cannot fetch a file that the task needs: {address}: {last}", permanent=permanent)

    def _store(self, url: str, address: str) -> Path:
        """Download into a temporary file, which gets its final name once it is complete."""
        blobs = self.root / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=blobs, prefix="part-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                digest, size = _receive(address, file)
            target = blobs / digest
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        record = {"url": url, "sha256": digest, "size": size}
        _write_atomic(self.root / "urls" / _url_name(url), json.dumps(record).encode())
        _checked.add(target)
        return target


def _receive(address: str, file: Any) -> tuple[str, int]:
    """Download an address into a file; returns the SHA-256 and the size.

    Raises:
        requests.RequestException: nothing is there, the download broke off, or the server's checksum does not match.
    """
    digest, size = hashlib.sha256(), 0
    with requests.get(address, timeout=TIMEOUT, stream=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 20):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        length = answer.headers.get("Content-Length")
        # Hugging Face states the SHA-256 of a large file in the response that redirects to it.
        tags = [a.headers.get("X-Linked-Etag", "").strip('"') for a in (*answer.history, answer)]
    if length is not None and "Content-Encoding" not in answer.headers and int(length) != size:
        raise requests.ConnectionError(f"the download stopped after {size} of {length} bytes")
    if any(len(tag) == 64 and tag != digest.hexdigest() for tag in tags):
        raise requests.ConnectionError("the file does not match the server's checksum")
    return digest.hexdigest(), size


def _url_name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _kept(root: Path, url: str) -> Path | None:
    """A URL's file in a folder; None if it is missing or has changed."""
    try:
        record = json.loads((root / "urls" / _url_name(url)).read_bytes())
    except (OSError, ValueError):
        return None
    blob = root / "blobs" / str(record["sha256"])
    if not blob.is_file():
        return None
    if blob not in _checked:
        with blob.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record["sha256"]:
                return None
        _checked.add(blob)
    return blob


def _write_atomic(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    Path(name).replace(path)


def urls_of(tasks: Iterable[Task]) -> list[str]:
    """The URLs of all files that the tasks' set-up and checks use, in order, without duplicates."""
    found: dict[str, None] = {}
    for task in tasks:
        found.update(dict.fromkeys(task.files))
        checks = [call for check in task.evaluator.checks for call in (check.result, check.expected) if call]
        for call in (*task.config, *task.evaluator.postconfig, *checks):
            found.update(dict.fromkeys(url for url in urls(call) if path_of(url) is None))
    return list(found)


def urls(call: Call) -> Iterator[str]:
    """The URLs that a set-up step or a getter downloads to this machine."""
    found: list[Any] = []
    if call.type == "cloud_file":
        path = call.parameters.get("path")
        found = path if isinstance(path, list) else [path]
    elif call.type == "download":
        files = call.parameters.get("files")
        found = [file.get("url") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    yield from (url for url in found if isinstance(url, str))


V2_FILES = "OSWORLD_FILE_BASE_URL"
"""OSWorld-V2's environment variable: the folder or address of the files that its task classes fetch."""


def path_of(url: str) -> str | None:
    """The local path of a `file:` URL; None for any other URL."""
    return unquote(urlsplit(url).path) if url.lower().startswith("file:") else None  # other URLs may be broken


def fetch(url: str, assets: Path, task: Task, sha256: str = "") -> Path:
    """A URL's file, downloaded if it is not stored yet.

    Raises:
        AssetError: it cannot be downloaded, or its SHA-256 is not the given one.
        Outside: it is a local file that is neither next to the task nor in the folder that V2_FILES names.
    """
    path = _fetched(url, assets, task)
    if sha256:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256.lower():
            raise AssetError(f"{url} has the SHA-256 {found}; the task expects {sha256}", permanent=True)
    return path


def _fetched(url: str, assets: Path, task: Task) -> Path:
    name = path_of(url)
    if name is None:
        return AssetStore.here(assets).get(url)
    theirs = os.environ.get(V2_FILES, "")
    within = bool(theirs) and Path(name).resolve().is_relative_to(Path(path_of(theirs) or theirs).resolve())
    path = Path(name) if within else task.asset(name)
    if not path.is_file():
        raise AssetError(f"no such file: {path}", permanent=True)
    return path
