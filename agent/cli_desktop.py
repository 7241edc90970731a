"""`deskbench desktop` and `deskbench doctor`: a desktop by itself, and whether this machine can have one."""

from __future__ import annotations

import dataclasses
import signal
import threading
from typing import Annotated

import typer

from deskbench.agent.cli_output import Json, message, print_json, screen_size


def desktop(
    provider: Annotated[str | None, typer.Option(help="Who starts it (default: local).")] = None,
    image: Annotated[str | None, typer.Option(help="Image that the provider starts, such as full (docker).")] = None,
    screen: Annotated[str, typer.Option(help="Screen size.")] = "1280x800",
    network: Annotated[bool, typer.Option(help="Give it the network.")] = False,
    unisolated: Annotated[bool, typer.Option(help="Run it without a sandbox.")] = False,
    as_json: Json = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Start one desktop, print where it answers and its tokens, and keep it until Ctrl-C."""
    from deskbench.agent.build import make_provider, with_image
    from deskbench.envs.desktop import DesktopSpec

    width, height = screen_size(screen)
    spec = DesktopSpec(width or 1280, height or 800, "full" if network else "off", isolated=not unisolated)
    owner = make_provider(with_image(provider, image) or "local")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        started = owner.start(spec)
        facts: dict[str, object] = {"name": started.name, "health": dataclasses.asdict(started.health())}
        facts |= {name: getattr(started, name) for name in ("socket", "address", "tokens") if hasattr(started, name)}
        if as_json:
            print_json(facts)
        else:
            _show(facts)
        message("the desktop lives until Ctrl-C")
        ended.wait()
    finally:
        owner.close()


def _show(facts: dict[str, object]) -> None:
    for name in ("name", "address", "socket"):
        if name in facts:
            typer.echo(f"{name}: {facts[name]}")
    tokens = facts.get("tokens")
    for name, token in tokens.items() if isinstance(tokens, dict) else ():
        typer.echo(f"{name}: {token}")
    if "socket" in facts:
        message("for example: curl --unix-socket SOCKET -H 'Authorization: Bearer TOKEN' http://desktop/v1/health")


def doctor(
    provider: Annotated[str, typer.Option(help="Whose needs to check.")] = "local",
    as_json: Json = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Check everything that is needed, and say how to mend what is not there; exit status 1 if something is not."""
    from deskbench.agent.build import make_provider

    owner = make_provider(provider)
    try:
        checks = owner.doctor()
    finally:
        owner.close()
    if as_json:
        print_json([dataclasses.asdict(check) for check in checks])
    for check in () if as_json else checks:
        typer.echo(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        if not check.ok and check.mend:
            typer.echo(f"     mend: {check.mend}")
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)
