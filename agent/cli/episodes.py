"""`deskbench replay` and `deskbench rescore`: repeat a recorded episode, or score it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.fidelity import STRICT_HELP, strict_choice
from deskbench.agent.cli.output import HostFiles, Json, counted, message, print_json, result

if TYPE_CHECKING:
    from deskbench.agent.replay.rescore import Rescored
    from deskbench.agent.replay.suite import Replays


def replay(
    folder: Annotated[
        Path,
        typer.Argument(help="A run's folder, or an episode's: runs/<run>/episodes/<suite>/<task>/<attempt>.", **RUN),
    ],
    provider: Annotated[str | None, typer.Option(help="Provider to use (default: the recorded one).")] = None,
    image: Annotated[str | None, typer.Option(help="Image to start.")] = None,
    parallel: Annotated[int, typer.Option("-n", "--parallel", min=1, help="Desktops to run at once, for a run.")] = 1,
    unisolated: Annotated[bool, typer.Option(help="Run the desktop without a sandbox.")] = False,
    host_files: HostFiles = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the replay (default: runs/<time>-replay-<name>); a run's replay continues there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Repeat the actions of an episode or a run on fresh desktops; exit status 1 if a score or a screen differs."""
    from deskbench.agent.build import with_image
    from deskbench.agent.replay.replay import describe
    from deskbench.agent.replay.replay import replay as replay_episode
    from deskbench.agent.replay.suite import Replays, line
    from deskbench.agent.runs.folder import RunFolder, new_folder
    from deskbench.agent.runs.record import EpisodeReader

    name = with_image(provider, image)
    if RunFolder(folder).exists:
        replays = Replays(
            folder, out or new_folder(f"replay-{folder.resolve().name}"), provider=name, isolated=not unisolated,
            host_files=host_files, on_done=lambda outcome: message(line(outcome)),
        )  # fmt: skip
        raise typer.Exit(_replay_run(replays, parallel, as_json))
    record = EpisodeReader(folder).episode
    found = replay_episode(
        folder, out or new_folder(f"replay-{record.task_id}"), provider=name, isolated=not unisolated,
        host_files=host_files,
    )  # fmt: skip
    if as_json:
        print_json({**vars(found), "agrees": found.agrees, "task": record.task})
    else:
        for text in describe(found, record):
            result(text)
    raise typer.Exit(0 if found.agrees else 1)


def _replay_run(replays: Replays, parallel: int, as_json: bool) -> int:
    """Replay a run and print the results; returns the exit status."""
    from deskbench.agent.replay.suite import PAGE, totals

    try:
        results = replays.go(parallel)
    except KeyboardInterrupt:
        message(f"stopped; continue with: deskbench replay {replays.run} --out {replays.out}")
        return 130
    if as_json:
        episodes = [
            {**one.model_dump(mode="json"), "agrees": one.agrees, "same_score": one.same_score}
            for one in results.episodes
        ]
        print_json({"folder": replays.out, **results.summary(), "episodes": episodes})
    else:
        result(totals(results))
        result(f"page {replays.out / PAGE}")
    complete = len(results.episodes) == results.planned
    return 0 if complete and all(one.agrees for one in results.episodes) else 1


def rescore(
    folder: Annotated[Path, typer.Argument(help="A run's or an episode's folder.", **RUN)],
    tasks: Annotated[str | None, typer.Option(help="Task files with the checks to use (default: as recorded).")] = None,
    osworld_strict: Annotated[
        str | None, typer.Option(metavar="[=REVISION]", help=f"{STRICT_HELP} (Default: as recorded.)")
    ] = None,
    no_osworld_strict: Annotated[bool, typer.Option(help="Score without OSWorld's mistakes.")] = False,
    write: Annotated[bool, typer.Option(help="Write the new scores into the episodes' records.")] = False,
    as_json: Json = False,
) -> None:
    """Score recorded end states again, without a desktop; exit status 1 if a score changes."""
    from deskbench.agent.replay.rescore import rescore_all
    from deskbench.agent.runs.index import resync

    found = rescore_all(
        folder, source=tasks, write=write, strict=strict_choice(osworld_strict, not_at_all=no_osworld_strict)
    )
    if write:
        resync(folder)
    changed = [one for one in found if one.changed]
    if as_json:
        print_json([{**vars(one), "changed": one.changed, "rescorable": not one.needs} for one in found])
    else:
        for one in found:
            for text in _told(one):
                result(text)
        needing = sum(bool(one.needs) for one in found)
        more = f", {needing} cannot be rescored from the record" if needing else ""
        result(f"{counted(len(found), 'episode')}, {counted(len(changed), 'score')} changed{more}")
        if any(one.changed_code is None for one in found):
            message("the run has no hashes of its functions, so nobody can tell which have changed since")
        for text in _scores(folder, found):
            result(text)
        if changed and not write:
            message("no record was changed; --write writes the new scores into the records")
    raise typer.Exit(1 if changed else 0)


def _scores(folder: Path, found: Sequence[Rescored]) -> Iterator[str]:
    """The score of all episodes, as recorded and now, and the conditions of the run."""
    from deskbench.agent.runs.folder import RunFolder
    from deskbench.agent.statistics.intervals import estimate, families
    from deskbench.agent.statistics.protocol import protocol_of
    from deskbench.agent.statistics.words import protocol_line, said

    before: dict[str, list[float]] = {}
    after: dict[str, list[float]] = {}
    for one in found:
        for values, value in ((before, one.before), (after, one.after)):
            if value is not None:
                values.setdefault(one.task, []).append(value)
    yield f"score {said(estimate(families(before)))}" + (
        "" if before == after else f" -> {said(estimate(families(after)))}"
    )
    run = RunFolder(folder)
    if run.exists:
        yield protocol_line(protocol_of(run.records(), run.manifest()))


def _told(one: Rescored) -> Iterator[str]:
    """The lines to print about an episode; none if neither its score nor its code has changed."""
    if one.changed:
        yield f"{one.task}: {_number(one.before)} -> {_number(one.after)}: {one.reason}"
    if one.needs:
        yield f"{one.task}: rescorable: no, needs {one.needs}"
    if one.changed_code:
        yield f"{one.task}: changed since the run: {', '.join(one.changed_code)}"


def _number(value: float | None) -> str:
    return "not scored" if value is None else f"{value:g}"
