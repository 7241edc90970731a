"""`deskbench models ...`: list the known families, and try one on a screenshot."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deskbench.agent.cli.complete import RUN, families
from deskbench.agent.cli.output import Json, message, print_json, print_table, result
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import Unread, read_text

models_app = typer.Typer(help="List the model families, show one, or try one.", invoke_without_command=True)
Opt = typer.Option


@models_app.callback(epilog="Example: deskbench models --json")
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the families with their endpoint, coordinate space and the variable that holds the API key."""
    if context.invoked_subcommand is not None:
        return
    from deskbench.agent.agents.profile import load_profile, profile_names

    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        print_json([_row(profile) for profile in profiles])
        return
    rows = [(p.name, p.endpoint, p.space_text, p.key or "-", p.title) for p in profiles]
    print_table(("family", "endpoint", "points", "key", "models"), rows)
    typer.echo(f"{len(profiles)} families; run one with --agent FAMILY, or your own file with --agent mine.toml")


def _row(profile: Any) -> dict[str, Any]:
    grounder = profile.grounder
    return {
        "family": profile.name, "title": profile.title, "endpoint": profile.endpoint, "base_url": profile.base_url,
        "model": profile.model, "coordinates": profile.space_text, "key": profile.key or None,
        "form": profile.reply.form, "vocabulary": profile.reply.vocabulary, "pictures": profile.history.pictures,
        "grounder": grounder and {"title": grounder.title, "model": grounder.model, "base_url": grounder.base_url},
        "facts": profile.facts,
    }  # fmt: skip


@models_app.command("show", epilog="Example: deskbench models show kimi-vl")
def show(
    family: Annotated[str, typer.Argument(help="A family, or the path of a profile.", autocompletion=families)],
) -> None:
    """Print a family's whole profile as JSON, merged with its bases."""
    from deskbench.agent.agents.profile import load_profile

    print_json(load_profile(family).model_dump())


@models_app.command("experts", epilog="Example: deskbench models experts runs/X")
def experts(
    run: Annotated[Path, typer.Argument(help="A run of the agent `mixture`, or one of its episodes.", **RUN)],
    as_json: Json = False,
) -> None:
    """Show which expert of a mixture did what, what it cost, and what the gate saved."""
    from deskbench.agent.report.experts import HEADERS, conclusion, experts_of, rows

    found = experts_of(run)
    if as_json:
        print_json(found)
    else:
        print_table(HEADERS, rows(found))
        result(conclusion(found))


@models_app.command("try", epilog='Example: deskbench models try kimi-vl --screenshot x.png --instruction "Save it"')
def try_(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    family: Annotated[str, typer.Argument(help="A family, or the path of a profile.", autocompletion=families)],
    screenshot: Annotated[Path, Opt(help="A PNG of a screen.")],
    instruction: Annotated[str, Opt(help="The task.")] = "Describe what you would do first, and do it.",
    base_url: Annotated[str | None, Opt(help="The endpoint.")] = None,
    model: Annotated[str | None, Opt(help="The model's name at the endpoint.")] = None,
    api_key_env: Annotated[str | None, Opt(help="The environment variable that holds the API key.")] = None,
    set_: Annotated[list[str] | None, Opt("--set", help="A setting, key=value (repeatable).")] = None,
    reply: Annotated[str | None, Opt(help="Read the reply from this file (- for stdin) and do not ask.")] = None,
    dry: Annotated[bool, Opt("--dry", help="Show the request without sending it.")] = False,
    out: Annotated[Path | None, Opt(help="The picture to write (default: SCREENSHOT-FAMILY.png).")] = None,
    as_json: Json = False,
) -> None:
    """Show one request, the reply, and its actions drawn on the screenshot."""
    from deskbench.agent.cli import try_model as trying

    given = {"base_url": base_url, "model": model, "api_key_env": api_key_env}
    settings = {**_pairs(set_ or []), **{k: v for k, v in given.items() if v is not None}}
    said = None if reply is None else (sys.stdin.read() if reply == "-" else _text(Path(reply)))
    drawn = out or screenshot.with_name(f"{screenshot.stem}-{Path(family).stem}.png")
    found = trying.try_family(family, settings, screenshot, instruction, reply=said, dry=dry, out=drawn)
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(1 if found.error else 0)


def _print(found: Any) -> None:
    """Print the request and the reply for people."""
    message("request", "bold")
    result(json.dumps(found.request, indent=1, ensure_ascii=False))
    if found.reply is not None:
        message("reply", "bold")
        result(found.reply)
    if found.error:
        message(f"error: {found.error}", "red")
    for action in found.actions:
        result(json.dumps(action, ensure_ascii=False))
    if found.picture:
        cost = "" if found.cost_usd is None else f", {found.cost_usd:.4f} US dollars"
        message(f"{found.picture} ({found.input_tokens} + {found.output_tokens} tokens{cost})")


def _pairs(settings: list[str]) -> dict[str, str]:
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write key=value")
        pairs[key] = value
    return pairs


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, Unread) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from None


def compare_policies(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    run: Annotated[Path, typer.Argument(help="The folder of a run or of one episode.", **RUN)],
    agents: Annotated[tuple[str, str], Opt("--agents", metavar="P Q", help="Two agents; the first is the reference.")],
    set_a: Annotated[list[str] | None, Opt(help="A setting of the first agent, key=value (repeatable).")] = None,
    set_b: Annotated[list[str] | None, Opt(help="A setting of the second agent, key=value (repeatable).")] = None,
    near: Annotated[float, Opt(min=0, help="Points less than this many pixels apart agree.")] = 14.0,
    steps: Annotated[int | None, Opt(min=1, help="Compare at most this many steps, spread over the run.")] = None,
    samples: Annotated[int, Opt(min=1, help="Replies per agent and step, to compare kinds of actions.")] = 1,
    out: Annotated[Path | None, Opt(help="Write every step's comparison to this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Show a run's recorded screens to two agents, without a desktop, and measure how far they agree."""
    from deskbench.agent.compare import policies

    if out is not None:
        _write(out, "", "a")  # fail before anything is paid for
    makers = [policies.maker(name, _pairs(given or [])) for name, given in zip(agents, (set_a, set_b), strict=True)]
    found = policies.compare(run, makers[0], makers[1], near=near, most=steps, samples=samples)
    if out is not None:
        _write(out, json.dumps(dataclasses.asdict(found), indent=1), "w")
    if as_json:
        print_json(found)
    else:
        result(f"P (reference): {agents[0]}; Q: {agents[1]}; {len(found.steps)} steps")
        print_table(policies.HEADERS, policies.rows(found))
        for note in found.notes:
            result(note)
