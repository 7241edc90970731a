"""`deskbench desktop` starts a single desktop; `deskbench doctor` checks whether this machine can run one."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deskbench.agent.cli import complete
from deskbench.agent.cli.output import HostFiles, Json, message, print_json, result, screen_size
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    from deskbench.envs.desktop import Desktop


TRACE_SECONDS = 1.0
"""Between two looks at how the desktop has settled."""


def desktop(  # noqa: PLR0913, PLR0917  (every option is a parameter)
    provider: Annotated[
        str | None,
        typer.Option(help="Provider that starts it.", show_default="local", autocompletion=complete.providers),
    ] = None,
    image: Annotated[str | None, typer.Option(help="Image to start, such as full (docker).")] = None,
    screen: Annotated[str, typer.Option(help="Screen size.")] = "1280x800",
    network: Annotated[bool, typer.Option(help="Give it full network access.")] = False,
    allow: Annotated[list[str] | None, typer.Option(help="Let it reach only this host name (repeatable).")] = None,
    port: Annotated[int | None, typer.Option(help="Also listen on this loopback port; 0 picks a free one.")] = None,
    without_tokens: Annotated[bool, typer.Option(help="Require no tokens, for other programs' clients.")] = False,
    novnc: Annotated[bool, typer.Option(help="Show it in a browser with noVNC.")] = False,
    unisolated: Annotated[bool, typer.Option(help="Run it without a sandbox.")] = False,
    task: Annotated[str | None, typer.Option(help="Task file whose start state to show.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Draw in this folder how the screen settles each time.")] = None,
    host_files: HostFiles = False,
    as_json: Json = False,
) -> None:
    """Start one desktop, print its address and tokens, and keep it running until Ctrl-C.

    For example, for OSWorld's own client: deskbench desktop --provider docker --image full --port 5000 --without-tokens
    """
    from deskbench.agent.build import make_provider, with_image
    from deskbench.agent.recording.start import at_start, only_task, provider_for
    from deskbench.envs.desktop import DesktopSpec

    if network and allow:
        raise UsageError("--network gives full network access: leave out --allow or --network")
    width, height = screen_size(screen)
    reach = tuple(allow) if allow else "full" if network else "off"
    spec = DesktopSpec(width or 1280, height or 800, reach, isolated=not unisolated, tokens=not without_tokens)
    name = with_image(provider, image) or (provider_for(task, host_files=host_files) if task else "local")
    begun = only_task(task, name, network=network, host_files=host_files).tasks[0] if task else None
    owner = make_provider(name)
    ended: SimpleQueue[None] = (
        SimpleQueue()
    )  # a handler that sets an Event waits for ever on a thread that begins to wait
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.put(None))
    with contextlib.ExitStack() as stack:
        stack.callback(owner.close)
        started = owner.start(spec)
        if begun is not None:
            stack.enter_context(at_start(begun, started))
        update = None if trace is None else _traced(started, trace)
        facts = _facts(started, port, stack, novnc=novnc)
        if as_json:
            print_json(facts)
        else:
            _show(facts)
        message("the desktop runs until Ctrl-C")
        _wait(ended, update)


def _traced(started: Desktop, folder: Path) -> Callable[[], None]:
    """What draws the settlings of a desktop in a folder."""
    from deskbench.envs.clients.films import Gallery

    try:
        return Gallery(started, folder).update
    except UsageError as error:
        raise UsageError(f"--trace: {error}") from None


def _wait(ended: SimpleQueue[None], update: Callable[[], None] | None) -> None:
    """Wait for the end; update every TRACE_SECONDS, and once more at the end."""
    over = False
    while not over:
        with contextlib.suppress(Empty):
            ended.get(timeout=None if update is None else TRACE_SECONDS)
            over = True
        if update is not None:
            update()


def _facts(desktop: Desktop, port: int | None, stack: contextlib.ExitStack, *, novnc: bool) -> dict[str, Any]:
    """The facts to print: name, addresses, tokens, health."""
    from deskbench.envs.clients.http import Client

    facts: dict[str, Any] = {"name": desktop.name}
    if port is not None:
        if not isinstance(desktop, Client):
            raise UsageError(f"--port: {desktop.name} has no connection to forward to a port")
        facts["address"] = f"http://{desktop.expose(port)}"
    for name in ("address", "socket", "tokens"):
        if hasattr(desktop, name):
            facts.setdefault(name, getattr(desktop, name))
    if novnc:
        from deskbench.envs.clients.vnc import Viewer

        viewer = Viewer(desktop)
        stack.callback(viewer.close)
        facts["novnc"] = viewer.url
    return {**facts, "health": dataclasses.asdict(desktop.health())}


def _show(facts: dict[str, Any]) -> None:
    for name in ("name", "address", "socket", "novnc"):
        if facts.get(name):
            result(f"{name}: {facts[name]}")
    for name, token in (facts.get("tokens") or {}).items():
        result(f"{name}: {token}")
    where = "--unix-socket SOCKET http://desktop" if "socket" in facts else facts.get("address")
    if where:
        message(f"for example: curl -H 'Authorization: Bearer TOKEN' {where}/v1/health")


def doctor(
    provider: Annotated[
        str | None,
        typer.Option(help="Provider to check.", show_default="local", autocompletion=complete.providers),
    ] = None,
    image: Annotated[str | None, typer.Option(help="The provider's image.")] = None,
    as_json: Json = False,
) -> None:
    """Check that this machine has everything the provider needs, and say how to fix what is missing.

    FAIL: no desktop can start. note: desktops work, but something is slower, less safe or left out. optional: an
    extra is missing. Exit status 1: there is a FAIL.
    """
    from deskbench.agent.build import make_provider, with_image

    owner = make_provider(with_image(provider, image) or "local")
    try:
        checks = owner.doctor()
    finally:
        owner.close()
    if as_json:
        print_json([{**dataclasses.asdict(check), "state": check.state} for check in checks])
    for check in () if as_json else checks:
        result(f"{check.state:8} {check.name}: {check.detail}")
        if not check.ok and check.fix:
            result(f"         fix: {check.fix}")
    failed = [check.name for check in checks if check.fails]
    stopped = f"stopped by: {', '.join(failed)}" if failed else "ready"
    message(f"desktops of {owner.name}: {stopped}")
    raise typer.Exit(1 if failed else 0)
