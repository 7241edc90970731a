"""`deskbench image`: build the images that desktops start from."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from deskbench.agent.cli.output import Json, message, print_json
from deskbench.envs.errors import UsageError

image_app = typer.Typer(help="Build the images that desktops start from.", no_args_is_help=True)


@image_app.callback()
def image() -> None:
    """Build the images that desktops start from."""


@image_app.command(epilog="Example: deskbench image build --programs full --code")
def build(
    programs: Annotated[str, typer.Option(help="light (a few programs) or full (OSWorld's).")] = "light",
    code: Annotated[bool, typer.Option("--code", help="Add code-server, which stands in for VS Code.")] = False,
    vm: Annotated[bool, typer.Option("--vm", help="Build a virtual machine's image (for --provider qemu).")] = False,
    base: Annotated[str | None, typer.Option(help="Debian 12 base image.")] = None,
    screen: Annotated[str, typer.Option(help="Screen size of containers that you start by hand.")] = "1280x800",
    locked: Annotated[bool, typer.Option(help="Install exactly the versions in the lock file.")] = False,
    write_lock: Annotated[bool, typer.Option(help="Write the installed versions and programs to docker/.")] = False,
    as_json: Json = False,
) -> None:
    """Build the desktop's image with the Docker engine; layers that have not changed are reused."""
    if vm:
        if base is not None or locked or write_lock or code:
            raise UsageError(
                "--vm builds from Debian's newest packages: leave out --base, --code, --locked and --write-lock"
            )
        _build_vm(programs, as_json=as_json)
        return
    from deskbench.envs.providers.docker import image as images
    from deskbench.envs.providers.docker.provider import engine

    recipe = images.Recipe(programs=programs, base=base, screen=screen, locked=locked, code=code)
    with closing(engine()) as there:
        digest = images.build(there, recipe, message)
        lock, names = images.installed(there, recipe.tag), images.programs(there, recipe.tag)
    kept = images.lock_file(programs)
    if write_lock:
        kept.write_text(lock, encoding="utf-8")
        images.programs_file(programs).write_text(names, encoding="utf-8")
    differing = images.differing(kept, lock)
    if as_json:
        print_json({"image": recipe.tag, "digest": digest, "packages": len(lock.splitlines()), "not_locked": differing})
    else:
        typer.echo(f"{recipe.tag} {digest}")
    if differing:
        message(f"{len(differing)} packages differ from {kept.name}, such as {differing[0]}")


def _build_vm(programs: str, *, as_json: bool) -> None:
    from deskbench.envs.providers.qemu.image import build_vm

    made = build_vm(programs, message)
    if as_json:
        print_json({"image": made.programs, "digest": made.digest, "disk": made.disk})
    else:
        typer.echo(f"{made.programs} {made.digest} {made.disk}")
