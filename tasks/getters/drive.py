"""Files from Google Drive."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deskbench.envs.errors import CheckError
from deskbench.tasks.getters.files import Files
from deskbench.tasks.registry import getter
from deskbench.tasks.web.drive import Drive, queries_of
from deskbench.tasks.world import World

SETTINGS = "evaluation_examples/settings/googledrive/settings.yml"


@getter("googledrive_file", source="file")
def googledrive_file(
    world: World,
    *,
    dest: str | list[str],
    settings_file: str = SETTINGS,
    query: list[str] | None = None,
    path: list[str] | None = None,
    query_list: list[list[str]] | None = None,
    path_list: list[list[str]] | None = None,
) -> Files:
    """A file on Google Drive, found by queries or by its path; or several files, None for each missing one."""
    chains = _chains(query, path, query_list, path_list)
    names = dest if isinstance(dest, list) else [dest]
    if len(chains) != len(names):
        raise CheckError(f"{len(chains)} files are requested, but dest has {len(names)} names")
    drive = Drive.of(world.task, settings_file)
    found = [_fetched(world, drive, chain, name) for chain, name in zip(chains, names, strict=True)]
    return found[0] if query is not None or path is not None else found


def _chains(
    query: list[str] | None, path: list[str] | None, queries: list[list[str]] | None, paths: list[list[str]] | None
) -> list[list[str]]:
    chains = [query] if query is not None else queries or []
    return chains or [list(queries_of(one)) for one in ([path] if path is not None else paths or [])]


def _fetched(world: World, drive: Drive, chain: list[str], name: str) -> Path | None:
    file = drive.find(chain)
    if file is None:
        return None
    with tempfile.TemporaryDirectory(prefix="deskbench-drive-") as scratch:
        target = Path(scratch) / "file"
        file.GetContentFile(str(target), mimetype=file["mimeType"])
        return world.keep_together({name: target.read_bytes()})[0]
