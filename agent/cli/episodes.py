"""`deskbench replay` and `deskbench rescore`: repeat a recorded episode, or score it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from deskbench.agent.cli.fidelity import STRICT_HELP, strict_choice
from deskbench.agent.cli.output import HostFiles, Json, message, print_json
from deskbench.agent.replay.rescore import Rescored, rescore_all


def replay(
    episode: Annotated[Path, typer.Argument(help="An episode's folder: runs/<run>/episodes/<suite>/<task>/<attempt>.")],
    provider: Annotated[str | None, typer.Option(help="Provider to use (default: the recorded one).")] = None,
    image: Annotated[str | None, typer.Option(help="Image to start.")] = None,
    unisolated: Annotated[bool, typer.Option(help="Run the desktop without a sandbox.")] = False,
    host_files: HostFiles = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the replay (default: runs/<time>-replay-<task>).")] = None,
    as_json: Json = False,
) -> None:
    """Repeat an episode's actions on a fresh desktop; exit status 0: score and screens agree, 1: they differ."""
    from deskbench.agent.build import with_image
    from deskbench.agent.replay.replay import describe
    from deskbench.agent.replay.replay import replay as repeat
    from deskbench.agent.runs.folder import new_folder
    from deskbench.agent.runs.record import EpisodeReader

    record = EpisodeReader(episode).episode
    folder = out or new_folder(f"replay-{record.task_id}")
    found = repeat(
        episode, folder, provider=with_image(provider, image), isolated=not unisolated, host_files=host_files
    )
    if as_json:
        print_json({**vars(found), "agrees": found.agrees, "task": record.task})
    else:
        for line in describe(found, record):
            typer.echo(line)
    raise typer.Exit(0 if found.agrees else 1)


def rescore(
    folder: Annotated[Path, typer.Argument(help="A run's or an episode's folder.")],
    tasks: Annotated[str | None, typer.Option(help="Task files with the checks to use (default: as recorded).")] = None,
    osworld_strict: Annotated[
        str | None, typer.Option(metavar="[=REVISION]", help=f"{STRICT_HELP} (Default: as recorded.)")
    ] = None,
    no_osworld_strict: Annotated[bool, typer.Option(help="Score without OSWorld's mistakes.")] = False,
    write: Annotated[bool, typer.Option(help="Write the new scores into the episodes' records.")] = False,
    as_json: Json = False,
) -> None:
    """Score recorded end states again, without a desktop; exit status 1 if a score changes."""
    found = rescore_all(
        folder, source=tasks, write=write, strict=strict_choice(osworld_strict, not_at_all=no_osworld_strict)
    )
    changed = [one for one in found if one.changed]
    if as_json:
        print_json([{**vars(one), "changed": one.changed, "rescorable": not one.needs} for one in found])
    else:
        for one in found:
            for line in _told(one):
                typer.echo(line)
        needing = sum(bool(one.needs) for one in found)
        more = f", {needing} cannot be rescored from the record" if needing else ""
        typer.echo(f"{len(found)} episodes, {len(changed)} scores changed{more}")
        if any(one.changed_code is None for one in found):
            message("which functions have changed since is unknown: the run did not record their hashes")
        if changed and not write:
            message("no record was changed; --write writes the new scores into the records")
    raise typer.Exit(1 if changed else 0)


def _told(one: Rescored) -> Iterator[str]:
    """What there is to say of an episode; nothing if its score stands and nothing has changed."""
    if one.changed:
        yield f"{one.task}: {_number(one.before)} -> {_number(one.after)}: {one.reason}"
    if one.needs:
        yield f"{one.task}: rescorable: no, needs {one.needs}"
    if one.changed_code:
        yield f"{one.task}: changed since the run: {', '.join(one.changed_code)}"


def _number(value: float | None) -> str:
    return "not scored" if value is None else f"{value:g}"
