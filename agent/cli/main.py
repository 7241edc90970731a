"""The command line: parse the arguments, call the code that does the work, print the result."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

import deskbench
from deskbench.agent.cli import desktop as cli_desktop
from deskbench.agent.cli import episodes as cli_episodes
from deskbench.agent.cli import image as cli_image
from deskbench.agent.cli import reference as cli_reference
from deskbench.agent.cli import results as cli_results
from deskbench.agent.cli.compare import EXAMPLE as COMPARE_EXAMPLE
from deskbench.agent.cli.compare import compare
from deskbench.agent.cli.fidelity import STRICT_HELP, StrictCommand
from deskbench.agent.cli.models import compare_policies, models_app
from deskbench.agent.cli.output import HostFiles, Json, message, print_json, print_table, say, screen_size
from deskbench.agent.cli.record import EXAMPLE as RECORD_EXAMPLE
from deskbench.agent.cli.record import record
from deskbench.agent.cli.targets import EXAMPLE as TARGETS_EXAMPLE
from deskbench.agent.cli.targets import targets
from deskbench.agent.cli.tasks import tasks_app
from deskbench.agent.cli.verify import BROKEN, EXAMPLE, verify
from deskbench.agent.config import RunConfig
from deskbench.envs.errors import DeskbenchError, StorageError, UsageError
from deskbench.envs.redact import KNOWN, Printed, secrets_in

app = typer.Typer(
    name="deskbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serve_app = typer.Typer(help="Serve a model endpoint.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")
app.add_typer(serve_app, name="serve")
app.add_typer(cli_image.image_app, name="image")
app.add_typer(models_app, name="models")


Opt = typer.Option
UNUSABLE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.EEXIST,
            errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}  # fmt: skip
"""Errors about a path that naming another path may avoid."""


def main() -> None:
    """Entry point. Our own errors print one line. Exit status: 0 done, 1 something failed, 2 wrong usage."""
    KNOWN.add(*secrets_in(os.environ))
    sys.stdout, sys.stderr = Printed(sys.stdout), Printed(sys.stderr)
    sys.excepthook = _say_traceback
    debug = _take("--debug", sys.argv)
    try:
        app()
    except (DeskbenchError, OSError) as error:
        if debug:
            raise
        told = _told(error, sys.argv[1:])
        if told is None:
            raise
        message(f"error: {told}", "red")
        if "--json" in sys.argv:
            print_json({"error": str(told), "kind": type(told).__name__})
        sys.exit(2 if isinstance(told, UsageError) else BROKEN if tuple(sys.argv[1:3]) == ("tasks", "verify") else 1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deskbench {deskbench.__version__}")
        raise typer.Exit


@app.callback()
def _for_all(
    version: Annotated[
        bool, Opt("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, Opt("--debug", help="Show the traceback of an error (every command takes this).")] = False,
) -> None:
    """Benchmark agents that use a computer as a person does."""


def _take(flag: str, arguments: list[str]) -> bool:
    """Remove a flag from the arguments, wherever it stands before `--`; returns whether it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    there = flag in arguments[:end]
    arguments[:end] = [text for text in arguments[:end] if text != flag]
    return there


def _told(error: DeskbenchError | OSError, arguments: Sequence[str]) -> DeskbenchError | None:
    """The error to report; None if only a traceback can explain it.

    A path that cannot be used is the user's fault if an argument names it, a folder above it or something inside it. A
    full disk is not the user's fault.
    """
    cause = error if isinstance(error, OSError) else error.__cause__ if isinstance(error, StorageError) else None
    if not isinstance(cause, OSError) or not isinstance(cause.filename, (str, os.PathLike)):
        return error if isinstance(error, DeskbenchError) else None
    line = str(error) if error is not cause else f"{cause.filename}: {(cause.strerror or str(cause)).lower()}"
    file = Path(cause.filename).absolute()
    named = [Path(text.partition("=")[2] or text).absolute() for text in arguments]
    if cause.errno in UNUSABLE and any(file.is_relative_to(path) or path.is_relative_to(file) for path in named):
        return UsageError(f"{line}; use another path")
    return error if isinstance(error, DeskbenchError) else StorageError(f"{line} (--debug shows where)")


def _say_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback as one text, so that redaction sees every secret whole."""
    sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))


@app.command(epilog="Example: deskbench demo -n 2")
def demo(
    source: Annotated[str, typer.Argument(help="Task file, folder or suite.")] = "basics",
    parallel: Annotated[int, typer.Option("-n", "--parallel", help="Desktops to run at once.")] = 2,
    unisolated: Annotated[bool, typer.Option(help="Run desktops without a sandbox.")] = False,
    out: Annotated[Path | None, typer.Option(help="Output folder (default: runs/<time>-demo).")] = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in a browser.")] = True,
    as_json: Json = False,
) -> None:
    """Run three agents over a suite and compare them; needs no API key."""
    from deskbench.agent.cli import demo as demonstration
    from deskbench.agent.runs.folder import new_folder

    folder = out or new_folder("demo")
    shown = demonstration.demo(folder, source=source, parallel=parallel, isolated=not unisolated, say=say)
    if as_json:
        print_json(shown)
    else:
        print_table(demonstration.HEADERS, demonstration.rows(shown), say)
        for line in demonstration.protocols(shown):
            message(line)
        message(f"{shown.seconds:.0f} s; report {shown.report}")
        if open_:
            demonstration.open_in_browser(shown.report)
    complete = all(one.scored == one.planned for one in shown.summaries.values())
    raise typer.Exit(0 if complete and not shown.interrupted else 1)


@app.command(cls=StrictCommand, epilog="Example: deskbench run basics --agent oracle -n 2")
def run(  # noqa: PLR0913, PLR0917  (every option is a parameter: typer needs that)
    source: Annotated[str | None, typer.Argument(help="File, folder, suite or checkout (default: basics).")] = None,
    agent: Annotated[str | None, Opt(help="vlm (default), a family of `deskbench models`, oracle, null, ...")] = None,
    provider: Annotated[str | None, Opt(help="local (default), docker, qemu, wine, remote:URL or :FILE.toml")] = None,
    image: Annotated[str | None, Opt(help="Image to start, such as full (docker).")] = None,
    parallel: Annotated[int | None, Opt("-n", "--parallel", help="Desktops to run at once (default: 1).")] = None,
    base_url: Annotated[str | None, Opt(help="The model's endpoint, such as http://127.0.0.1:8000/v1")] = None,
    model: Annotated[str | None, Opt(help="The model's name at the endpoint.")] = None,
    api_key_env: Annotated[str | None, Opt(help="The environment variable that holds the API key.")] = None,
    observation: Annotated[str | None, Opt(help="screenshot, a11y_tree, screenshot_a11y_tree or som")] = None,
    action_space: Annotated[str | None, Opt(help="pyautogui, computer_13 or actions")] = None,
    host_files: HostFiles = False,
    only: Annotated[list[str] | None, Opt("--task", help="Run only this task (repeatable).")] = None,
    split: Annotated[str | None, Opt(help="Split of an OSWorld checkout, such as test_small.")] = None,
    repeats: Annotated[int | None, Opt(help="Episodes per task.")] = None,
    seed: Annotated[int | None, Opt(help="Seed of the first repeat.")] = None,
    max_steps: Annotated[int | None, Opt(help="Decisions per episode (default: the task's own, or 15).")] = None,
    max_seconds: Annotated[float | None, Opt(help="Seconds per episode (default: the task's own, or 600).")] = None,
    policy: Annotated[str | None, Opt(help="When to look: settled (default), immediate, fixed:SECONDS.")] = None,
    osworld_strict: Annotated[str | None, Opt(metavar="[=REVISION]", help=STRICT_HELP)] = None,
    screen: Annotated[str | None, Opt(help="Screen size (default: 1280x800).")] = None,
    network: Annotated[bool, Opt(help="Give network access to the tasks that require it.")] = False,
    unisolated: Annotated[bool, Opt(help="Run desktops without a sandbox.")] = False,
    retries: Annotated[int | None, Opt(help="New attempts after the infrastructure fails.")] = None,
    on_tamper: Annotated[
        str | None, Opt(help="Score when a desktop dies twice while the agent acts: zero (default) or unscored.")
    ] = None,
    budget: Annotated[float | None, Opt(help="Start no new episode once this many US dollars are spent.")] = None,
    config: Annotated[Path | None, Opt(help="A TOML file of settings.")] = None,
    set_: Annotated[list[str] | None, Opt("--set", help="A setting, key=value (repeatable).")] = None,
    out: Annotated[Path | None, Opt(help="The run's folder (default: runs/<time>-<agent>-<suite>).")] = None,
    resume: Annotated[Path | None, Opt(help="Continue the run in this folder.")] = None,
    reuse: Annotated[Path | None, Opt(help="Take over the episodes of this run that would end the same.")] = None,
    plan: Annotated[bool, Opt("--plan", help="Only print what --reuse would do.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Run an agent on tasks and write a run folder with a report."""
    from deskbench.agent.build import with_image
    from deskbench.agent.cli import run as running
    from deskbench.agent.cli.reuse import show_plan

    width, height = screen_size(screen)
    flags = {
        "source": source, "agent": agent, "provider": with_image(provider, image), "parallel": parallel, "split": split,
        "repeats": repeats, "seed": seed, "max_steps": max_steps, "max_seconds": max_seconds, "policy": policy,
        "width": width, "height": height,
        "network": network or None, "host_files": host_files or None, "osworld_strict": osworld_strict,
        "isolated": False if unisolated else None, "retries": retries, "on_tamper": on_tamper,
        "budget_usd": budget, "only": tuple(only) if only else None,
    }  # fmt: skip
    own = {"base_url": base_url, "model": model, "api_key_env": api_key_env, "observation": observation,
           "action_space": action_space}  # fmt: skip
    settings = [*(set_ or []), *(f"agent.{k}={v}" for k, v in own.items() if v is not None)]
    found = _configured(config, settings, flags, resume=resume, reuse=reuse, out=out)
    if plan:
        return show_plan(found, reuse, as_json=as_json)
    status = running.run(found, out=resume or out, resume=resume is not None, as_json=as_json, say=say, reuse=reuse)
    raise typer.Exit(status)


def _configured(
    config: Path | None,
    settings: list[str],
    flags: dict[str, Any],
    *,
    resume: Path | None,
    reuse: Path | None,
    out: Path | None,
) -> RunConfig:
    """The configuration of a new run, of a run that is resumed, or of one that reuses another."""
    from deskbench.agent.cli.reuse import reuse_config
    from deskbench.agent.cli.run import resume_config
    from deskbench.agent.config import make_config

    if resume is not None:
        if settings or config or out or reuse:
            raise UsageError(
                "--resume keeps the run's own settings and folder: leave out --set, --config, --out and --reuse"
            )
        return resume_config(resume, flags)
    return make_config(config, settings, flags) if reuse is None else reuse_config(reuse, config, settings, flags)


@app.command(epilog="Example: deskbench report runs/latest --open")
def report(
    folders: Annotated[list[Path], typer.Argument(help="One run folder, or several to show side by side.")],
    out: Annotated[Path | None, typer.Option(help="Output file (default: report.html in the first folder).")] = None,
    full: Annotated[bool, typer.Option("--full", help="Also copy every screenshot to a folder beside it.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML report."""
    from deskbench.agent.report.catalog import chosen
    from deskbench.agent.report.report import write_report
    from deskbench.agent.runs.folder import RunFolder

    path = write_report(folders, out or RunFolder(folders[0]).report, full=full)
    if as_json:
        print_json([run.head()["summary"] for run in chosen(folders)])
    else:
        typer.echo(path)
    if open_:
        webbrowser.open(path.resolve().as_uri())


@app.command(epilog="Example: deskbench view runs")
def view(
    folders: Annotated[list[Path] | None, typer.Argument(help="Runs or folders of runs (default: runs).")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than 127.0.0.1 need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8750,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show runs in the browser, also while they are in progress, until Ctrl-C."""
    from deskbench.agent.report.index import default_place

    try:
        from deskbench.agent.report.view import serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`view` needs the extra `view` ({error.name} is missing): pip install 'deskbench[view]'"
        ) from None

    def ready(link: str) -> None:
        typer.echo(link)
        if open_:
            webbrowser.open(link)

    try:
        serve(folders or [Path("runs")], host, port, ready, default_place())
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; use another --port") from None


@serve_app.command("ocr", epilog="Example: deskbench serve ocr --port 8765")
def serve_ocr(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8765,
) -> None:
    """Serve a chat-completions endpoint that reads the screen by OCR and follows instructions by rules."""
    from deskbench.agent.ocr.server import serve

    try:
        serve(host, port, typer.echo)
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; use another --port") from None


tasks_app.command("verify", epilog=EXAMPLE)(verify)
tasks_app.command("record", epilog=RECORD_EXAMPLE)(record)
tasks_app.command("targets", epilog=TARGETS_EXAMPLE)(targets)
tasks_app.command("metrics", epilog="Example: deskbench tasks metrics text_equals")(cli_reference.metrics)
tasks_app.command("getters", epilog="Example: deskbench tasks getters vm_file")(cli_reference.getters)
tasks_app.command("setup", epilog="Example: deskbench tasks setup launch")(cli_reference.setup)
app.command("replay", epilog="Example: deskbench replay runs/X/episodes/basics/save-note/1")(cli_episodes.replay)
app.command("export", epilog="Example: deskbench export runs/X --out results/")(cli_results.export)
app.command(
    "import-results", epilog="Example: deskbench import-results results/pyautogui/screenshot/gpt-4o --out runs/gpt-4o"
)(cli_results.import_results)
app.command("rescore", cls=StrictCommand, epilog="Example: deskbench rescore runs/X --tasks my-tasks/ --write")(
    cli_episodes.rescore
)
app.command("compare", epilog=COMPARE_EXAMPLE)(compare)
app.command("compare-policies", epilog="Example: deskbench compare-policies runs/X --agents kimi-vl qwen3-vl")(
    compare_policies
)
app.command("desktop", epilog="Example: deskbench desktop --json")(cli_desktop.desktop)
app.command("doctor", epilog="Example: deskbench doctor")(cli_desktop.doctor)
