"""`deskbench tasks targets`: what an oracle can name on a task's first screen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli.output import HostFiles, Json, message, print_json, print_table
from deskbench.envs.errors import EnvError, UsageError

if TYPE_CHECKING:
    from deskbench.agent.recording.targets import Seen
    from deskbench.envs.types import Observation

EXAMPLE = "Example: deskbench tasks targets --task my-tasks/rename-file.json --picture screen.png"


def targets(
    task: Annotated[str, typer.Option("--task", help="Task file whose start state to show.")],
    picture: Annotated[Path | None, typer.Option(help="Write the screen with numbered marks to this PNG file.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Provider of the desktop (default: local; wine for Windows tasks).")
    ] = None,
    network: Annotated[bool, typer.Option(help="Give network access to a task that requires it.")] = False,
    host_files: HostFiles = False,
    as_json: Json = False,
) -> None:
    """Print what an oracle can name on a task's first screen: role, name, text and box.

    The box is x, y, width and height in pixels. `unique` is yes if role and name match only this thing; otherwise a
    target needs `within`, `text` or `index`.
    """
    from deskbench.agent.recording.targets import seen

    if picture is not None and (picture.is_dir() or not picture.absolute().parent.is_dir()):
        raise UsageError(f"--picture {picture}: name a file in a folder that exists")
    observation = _look(task, provider, network, host_files)
    if observation.accessibility is None:
        raise EnvError(f"the desktop gave no accessibility tree: {'; '.join(observation.problems)}")
    found = seen(observation.accessibility, (observation.width, observation.height))
    if picture is not None:
        _draw(observation, found, picture)
    if as_json:
        print_json([{"number": number, **_fields(one)} for number, one in enumerate(found, 1)])
        return
    print_table(
        ("", "role", "name", "text", "box", "unique", "window"),
        (
            (str(number), one.role, one.name, one.text if one.text != one.name else "",
             "{},{} {}x{}".format(*one.box), "yes" if one.unique else "", one.window)
            for number, one in enumerate(found, 1)
        ),
    )  # fmt: skip
    if picture is not None:
        message(f"picture {picture}")


def _look(source: str, provider: str | None, network: bool, host_files: bool) -> Observation:
    from deskbench.agent.build import make_provider
    from deskbench.agent.recording.start import at_start, only_task, provider_for
    from deskbench.envs.wire import Observe

    name = provider or provider_for(source, host_files=host_files)
    prepared = only_task(source, name, network=network, host_files=host_files)
    owner = make_provider(name)
    try:
        desktop = owner.start(prepared.spec(prepared.tasks[0]))
        with at_start(prepared.tasks[0], desktop):
            return desktop.observe(Observe(accessibility=True))
    finally:
        owner.close()


def _fields(one: Seen) -> dict[str, Any]:
    return dataclasses.asdict(one)


def _draw(observation: Observation, found: list[Seen], path: Path) -> None:
    """Draw the table's numbers on the screenshot; containers of other targets get none, so a number means one thing."""
    from deskbench.agent.prompting.som import Mark, draw_marks
    from deskbench.agent.prompting.tree import Node
    from deskbench.agent.recording.targets import WINDOWS

    if observation.screenshot is None:
        raise EnvError(f"the desktop gave no picture: {'; '.join(observation.problems)}")
    marks = []
    for number, one in enumerate(found, 1):
        x, y, width, height = one.box
        if one.role not in WINDOWS:
            node = Node(one.role, one.name, one.text, "", "", one.box)
            marks.append(Mark(number, node, (max(x, 0), max(y, 0), x + width, y + height)))
    draw_marks(observation.screenshot.image, marks).save(path, "PNG")
