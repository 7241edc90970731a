"""`deskbench mcp`: one episode whose agent is a person's own MCP client."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deskbench.agent.cli import complete
from deskbench.agent.cli.output import HostFiles, Json, message, print_json, result, say, screen_size
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.agent.build import Prepared
    from deskbench.agent.config import RunConfig
    from deskbench.agent.programs.agent import Offer

EXAMPLE = "Example: deskbench mcp --task basics/save-note"
SECONDS = 3600.0
"""Time limit unless one is given: the client has to be started by hand."""
ANSWERED_SECONDS = 2.0
"""How long the last answer may take to reach a client on standard input and output."""


def mcp(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    task: Annotated[str, typer.Option(help="Task file, or SUITE/TASK.")],
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak MCP on stdin and stdout, for a client's list.")] = False,
    provider: Annotated[
        str | None,
        typer.Option(help="Provider that starts the desktop.", show_default="local", autocompletion=complete.providers),
    ] = None,
    image: Annotated[str | None, typer.Option(help="Image to start, such as full (docker).")] = None,
    screen: Annotated[str, typer.Option(help="Screen size.")] = "1280x800",
    network: Annotated[bool, typer.Option(help="Give a task that requires the network access to it.")] = False,
    unisolated: Annotated[bool, typer.Option(help="Run the desktop without a sandbox.")] = False,
    max_steps: Annotated[
        int | None, typer.Option(help="Calls that the client may make.", show_default="the task's own, or 15")
    ] = None,
    max_seconds: Annotated[float, typer.Option(help="Seconds that it may take.")] = SECONDS,
    max_side: Annotated[int, typer.Option(help="Longer side of the pictures in pixels.", min=200)] = 1280,
    host_files: HostFiles = False,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/<time>-mcp-<suite>")] = None,
    as_json: Json = False,
) -> None:
    """Offer one task's desktop to your own MCP client, and score what it does.

    Prints an address and a token for the client. The episode ends with the client's call of `done` or `fail`, at a
    limit, or with Ctrl-C; it is a run like any other.
    """
    from deskbench.agent.build import with_image
    from deskbench.agent.config import make_config
    from deskbench.agent.recording.start import provider_for

    if stdio and as_json:
        raise UsageError("--stdio needs standard output for the client: leave out --json")
    source, only = _task(task)
    width, height = screen_size(screen)
    flags = {
        "source": source, "only": only, "agent": "null", "network": network, "host_files": host_files,
        "provider": with_image(provider, image) or provider_for(source, host_files=host_files),
        "width": width, "height": height, "isolated": not unisolated, "retries": 0,
        "max_steps": max_steps, "max_seconds": max_seconds,
    }  # fmt: skip
    raise typer.Exit(_run(make_config(None, [], flags), max_side, out, stdio=stdio, as_json=as_json))


def _task(name: str) -> tuple[str, tuple[str, ...]]:
    """The source that has a task, and its key there."""
    suite, slash, task = name.partition("/")
    if Path(name).exists() or not slash or "/" in task:
        return name, ()
    return suite, (f"{suite}/{task}",)


def _run(config: RunConfig, max_side: int, out: Path | None, *, stdio: bool, as_json: bool) -> int:
    from deskbench.agent.cli.run import default_folder, run_batch, show_run
    from deskbench.agent.programs.agent import DeskAgent
    from deskbench.agent.report.report import write_report
    from deskbench.agent.runs.folder import RunFolder

    client = _Stdio() if stdio else None
    shown = client.start if client else print_json if as_json else _show
    prepared = _prepared(config)
    agents = [DeskAgent(max_side, shown, client.left if client else lambda: False)]
    agents[0].check()
    prepared = dataclasses.replace(prepared, make_agent=lambda task: agents.pop(), observation="screenshot")
    folder = out or default_folder(prepared.config)
    summary, _ = run_batch(prepared, folder, resume=False, say=say)
    write_report(folder, RunFolder(folder).report)
    show_run(folder, say, summary=summary)
    if client is not None:
        client.close()
    return 0 if summary.scored == summary.planned else 1


def _prepared(config: RunConfig) -> Prepared:
    """The one task of a configuration.

    Raises:
        UsageError: there is none, or there are several.
    """
    from deskbench.agent.build import prepare

    found = prepare(config)
    if not found.tasks:
        task, reason = found.skipped[0]
        raise UsageError(f"{task.key} cannot run here: {reason}")
    if len(found.tasks) > 1:
        raise UsageError(f"{config.source} has {len(found.tasks)} tasks: name one, such as {found.tasks[0].key}")
    return dataclasses.replace(found, config=config.model_copy(update={"agent": "mcp", "engine": "threads"}))


def _show(offer: Offer) -> None:
    from deskbench.agent.programs.process import mcp_config

    settings = mcp_config(offer.url, offer.token)
    result(f"task: {offer.instruction}")
    result(f"address: {offer.url}/mcp")
    result(f"token: {offer.token}")
    message(f"for example: claude mcp add-json desktop {shlex.quote(json.dumps(settings['mcpServers']['desktop']))}")
    message(f"or, without MCP: export DESKBENCH_URL={offer.url} DESKBENCH_TOKEN={offer.token}, and docs/programs.md")


class _Stdio:
    """Passes what comes on standard input on to the episode, once there is one."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, offer: Offer) -> None:
        """Serve the client from now on."""
        import anyio

        from deskbench.agent.programs.bridge import bridge

        if self._thread is None:
            run = threading.Thread(target=anyio.run, args=(bridge, offer.url, offer.token), daemon=True)
            self._thread = run
            run.start()

    def left(self) -> bool:
        """Whether the client has closed its end."""
        return self._thread is not None and not self._thread.is_alive()

    def close(self) -> None:
        """Let the last answer reach the client, which then leaves."""
        if self._thread is not None:
            self._thread.join(ANSWERED_SECONDS)
        sys.stdout.flush()
