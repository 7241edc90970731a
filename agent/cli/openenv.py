"""`deskbench serve openenv`: desktops for OpenEnv's clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deskbench.agent.cli import complete
from deskbench.agent.cli.output import HostFiles, counted, message, result, screen_size
from deskbench.envs.errors import UsageError

EXAMPLE = "Example: deskbench serve openenv basics -n 2 --port 8770"
Opt = typer.Option


def openenv(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    source: Annotated[
        str, typer.Argument(help="Task (SUITE/TASK), suite, file or folder.", autocompletion=complete.sources)
    ] = "basics",
    provider: Annotated[
        str, Opt(help="local, docker, qemu, wine, remote:URL or :FILE.toml", autocompletion=complete.providers)
    ] = "local",
    image: Annotated[str | None, Opt(help="Image to start, such as full (docker).")] = None,
    sessions: Annotated[int, Opt("-n", "--parallel", help="Sessions at once, each with a desktop.", min=1)] = 1,
    host: Annotated[str, Opt(help="Address to listen on; any but 127.0.0.1 requires a token.")] = "127.0.0.1",
    port: Annotated[int, Opt(help="Port to listen on; 0 picks a free one.")] = 8770,
    idle: Annotated[float, Opt(help="Seconds after which a session that sends nothing ends.", min=1)] = 600.0,
    grammar: Annotated[
        str | None,
        Opt(help="Take replies as text of this family of models.", autocompletion=complete.families),
    ] = None,
    record: Annotated[Path | None, Opt(help="A run folder for the episodes.", show_default="nothing is kept")] = None,
    nemo_gym: Annotated[
        Path | None, Opt(help="Write a project for NeMo Gym into this folder.", show_default="")
    ] = None,
    screen: Annotated[str, Opt(help="Screen size.")] = "1280x800",
    network: Annotated[bool, Opt(help="Give network access to the tasks that require it.")] = False,
    unisolated: Annotated[bool, Opt(help="Run desktops without a sandbox.")] = False,
    max_steps: Annotated[int | None, Opt(help="Steps per episode.", show_default="the task's own, or 15")] = None,
    max_seconds: Annotated[
        float | None, Opt(help="Seconds per episode.", show_default="the task's own, or 600")
    ] = None,
    host_files: HostFiles = False,
) -> None:
    """Serve desktops with OpenEnv's routes, for its clients and trainers, until Ctrl-C."""
    from deskbench.agent.build import with_image

    try:
        from deskbench.agent.harnesses.nemo_gym import write_project
        from deskbench.agent.harnesses.openenv import Server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`serve openenv` needs the extra `openenv` ({error.name} is missing): pip install 'deskbench[openenv]'"
        ) from None
    width, height = screen_size(screen)
    settings: Any = {
        "provider": with_image(provider, image), "grammar": grammar, "record": record, "width": width, "height": height,
        "network": network, "isolated": not unisolated, "max_steps": max_steps, "max_seconds": max_seconds,
        "host_files": host_files,
    }  # fmt: skip
    try:
        with Server(source, settings, sessions=sessions, host=host, port=port, idle_seconds=idle) as server:
            if nemo_gym is not None:
                write_project(nemo_gym, server)
            result(f"address: {server.address}")
            if server.token is not None:
                result(f"token: {server.token}")
            message(f"{counted(len(server.desktops.tasks), 'task')}, {counted(sessions, 'session')} at once")
            server.serve()
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; use another --port") from None
