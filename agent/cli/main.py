"""The command line: parse the arguments, call the code that does the work, print the result."""

from __future__ import annotations

import errno
import os
import signal
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
from deskbench.agent.cli import options
from deskbench.agent.cli import reference as cli_reference
from deskbench.agent.cli import results as cli_results
from deskbench.agent.cli.compare import EXAMPLE as COMPARE_EXAMPLE
from deskbench.agent.cli.compare import compare
from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.fidelity import StrictCommand
from deskbench.agent.cli.mcp import EXAMPLE as MCP_EXAMPLE
from deskbench.agent.cli.mcp import mcp
from deskbench.agent.cli.models import compare_policies, models_app
from deskbench.agent.cli.openenv import EXAMPLE as OPENENV_EXAMPLE
from deskbench.agent.cli.openenv import openenv
from deskbench.agent.cli.output import Json, message, print_json, print_table, result, say, screen_size
from deskbench.agent.cli.record import EXAMPLE as RECORD_EXAMPLE
from deskbench.agent.cli.record import record
from deskbench.agent.cli.runs import runs_app
from deskbench.agent.cli.targets import EXAMPLE as TARGETS_EXAMPLE
from deskbench.agent.cli.targets import targets
from deskbench.agent.cli.tasks import tasks_app
from deskbench.agent.cli.verify import BROKEN, EXAMPLE, verify
from deskbench.agent.config import RunConfig
from deskbench.agent.runs.latest import RUNS, find
from deskbench.envs.errors import DeskbenchError, StorageError, UsageError
from deskbench.envs.redact import KNOWN, Printed, secrets_in

app = typer.Typer(
    name="deskbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serve_app = typer.Typer(help="Serve a model endpoint, or desktops for a trainer.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(tasks_app, name="tasks")
app.add_typer(serve_app, name="serve")
app.add_typer(cli_image.image_app, name="image")
app.add_typer(models_app, name="models")


Opt = typer.Option
UNUSABLE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.EEXIST,
            errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}  # fmt: skip
"""Errors about a path that naming another path may avoid."""


def main() -> None:
    """Entry point. Our own errors print one line. Exit status: 0 done, 1 something failed, 2 wrong usage.

    `tasks verify` has 3 for what failed; 1 says that a task is not valid.
    """
    KNOWN.add(*secrets_in(os.environ))
    sys.stdout, sys.stderr = Printed(sys.stdout), Printed(sys.stderr)
    sys.excepthook = _say_traceback
    _end_cleanly()
    debug = _take("--debug", sys.argv)
    failed = BROKEN if tuple(sys.argv[1:3]) == ("tasks", "verify") else 1
    try:
        status = app(prog_name="deskbench", standalone_mode=False)
    except typer.Abort:  # the input ended at a question
        message("error: the question was not answered", "red")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  (the boundary of every command)
        told = None if debug else _told(error, sys.argv[1:])
        if told is None:
            _say_traceback(type(error), error, error.__traceback__)
            sys.exit(failed)
        message(f"error: {told}", "red")
        if "--json" in sys.argv:
            print_json({"error": str(told), "kind": type(told).__name__})
        sys.exit(2 if isinstance(told, UsageError) else failed)
    sys.exit(status)


def _misread(error: typer.TyperException) -> UsageError:
    """The error of a command line that cannot be read. A group of commands without a command has printed its help."""
    text = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
    if not text:
        sys.exit(2)
    context = getattr(error, "ctx", None)
    see = " See" if text.endswith("?") else "; see"
    return UsageError(f"{text[0].lower()}{text[1:]}{see} {context.command_path if context else 'deskbench'} --help")


def _end_cleanly() -> None:
    """SIGTERM and SIGHUP end a command like Ctrl-C: desktops stop and scratch folders go. The second ends it at once.

    Commands that must print or keep something have their own handlers. An ignored signal stays ignored (`nohup`).
    """

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


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


def _told(error: Exception, arguments: Sequence[str]) -> DeskbenchError | None:
    """The error to report; None if only a traceback can explain it.

    A path that cannot be used is the user's fault if an argument names it, a folder above it or something inside it. A
    full disk is not the user's fault.
    """
    if isinstance(error, typer.TyperException):
        return _misread(error)
    if not isinstance(error, DeskbenchError | OSError):
        return None
    cause = error if isinstance(error, OSError) else error.__cause__ if isinstance(error, StorageError) else None
    if not isinstance(cause, OSError) or not isinstance(cause.filename, (str, os.PathLike)):
        return error if isinstance(error, DeskbenchError) else None
    line = str(error) if error is not cause else f"{cause.filename}: {(cause.strerror or str(cause)).lower()}"
    file = Path(cause.filename).absolute()
    named = {path for text in arguments for path in _paths(text.partition("=")[2] or text)}
    near = {file, file.with_suffix("")}  # a command may add the suffix
    if cause.errno in UNUSABLE and any(
        here.is_relative_to(path) or path.is_relative_to(here) for path in named for here in near
    ):
        return UsageError(f"{line}; use another path")
    return error if isinstance(error, DeskbenchError) else StorageError(f"{line} (--debug shows where)")


def _paths(text: str) -> set[Path]:
    """What an argument may name: the path itself, and the run with this name."""
    try:
        return {Path(text).absolute(), find(text).absolute()}
    except OSError:  # such as a name that is too long
        return {Path(text).absolute()}


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
    """Run three agents on a suite and compare them. This needs no API key."""
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
    source: options.Source = None,
    agent: options.Agent = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    api_key_env: options.ApiKeyEnv = None,
    observation: options.Observation = None,
    action_space: options.ActionSpace = None,
    policy: options.Policy = None,
    provider: options.Provider = None,
    image: options.Image = None,
    parallel: options.Parallel = None,
    engine: options.Engine = None,
    address: options.Address = None,
    screen: options.Screen = None,
    network: options.Network = None,
    unisolated: options.Unisolated = None,
    retries: options.Retries = None,
    only: options.Only = None,
    split: options.Split = None,
    repeats: options.Repeats = None,
    seed: options.Seed = None,
    host_files: options.HostFiles = None,
    max_steps: options.MaxSteps = None,
    max_seconds: options.MaxSeconds = None,
    budget: options.Budget = None,
    osworld_strict: options.OsworldStrict = None,
    on_tamper: options.OnTamper = None,
    video: options.Video = None,
    take_over: options.TakeOver = None,
    config: options.Config = None,
    set_: options.Set = None,
    out: options.Out = None,
    resume: options.Resume = None,
    reuse: options.Reuse = None,
    plan: options.Plan = False,
    as_json: options.AsJson = False,
) -> None:
    """Run an agent on tasks and write a run folder with a report.

    Your own defaults for these options are in a TOML file: see docs/runs.md.
    """
    from deskbench.agent.build import with_image
    from deskbench.agent.cli import run as running
    from deskbench.agent.cli.reuse import show_plan

    width, height = screen_size(screen)
    flags = {
        "source": source, "agent": agent, "provider": with_image(provider, image), "parallel": parallel, "split": split,
        "repeats": repeats, "budget_usd": budget, "max_steps": max_steps, "max_seconds": max_seconds, "policy": policy,
        "width": width, "height": height, "seed": seed, "video": video, "take_over": take_over, "network": network,
        "host_files": host_files, "osworld_strict": osworld_strict, "retries": retries, "on_tamper": on_tamper,
        "isolated": None if unisolated is None else not unisolated, "only": tuple(only) if only else None,
        "engine": engine or (address and "ray"), "ray_address": address,
    }  # fmt: skip
    own = _of_agent(base_url, model, api_key_env, observation, action_space)
    found = _configured(config, [*(set_ or []), *own], flags, resume=resume, reuse=reuse, out=out)
    if plan:
        return show_plan(found, reuse, as_json=as_json)
    raise typer.Exit(running.run(found, out=resume or out, resume=bool(resume), as_json=as_json, say=say, reuse=reuse))


def _of_agent(*values: str | None) -> list[str]:
    """The agent's own settings that have options, as `--set` takes them; without those that are not given."""
    names = ("base_url", "model", "api_key_env", "observation", "action_space")
    return [f"agent.{name}={value}" for name, value in zip(names, values, strict=True) if value is not None]


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
    from deskbench.agent.config import make_config, user_defaults, user_file

    if resume is not None:
        if settings or config or out or reuse:
            raise UsageError(
                "--resume keeps the run's own settings and folder: leave out --set, --config, --out and --reuse"
            )
        return resume_config(resume, flags)
    if reuse is not None:
        return reuse_config(reuse, config, settings, flags)
    return make_config(config, settings, flags, user_defaults(user_file()))


@app.command(epilog="Example: deskbench report runs/latest --open")
def report(
    folders: Annotated[list[Path], typer.Argument(help="One run folder, or several to show side by side.", **RUN)],
    out: Annotated[Path | None, typer.Option(help="Output file (default: report.html in the first folder).")] = None,
    full: Annotated[bool, typer.Option("--full", help="Also copy every screenshot to a folder next to it.")] = False,
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
        result(path)
    if open_:
        webbrowser.open(path.resolve().as_uri())


@app.command(epilog="Example: deskbench view runs")
def view(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Runs or folders of runs.", show_default="runs", **RUN)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but 127.0.0.1 requires a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8750,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Offer the desktops of `run --take-over`; the link then has a token.")
    ] = False,
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
        result(link)
        if open_:
            webbrowser.open(link)

    try:
        serve(folders or [RUNS], host, port, ready, default_place(), take_over=take_over)
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


serve_app.command("openenv", epilog=OPENENV_EXAMPLE)(openenv)
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
app.command("mcp", epilog=MCP_EXAMPLE)(mcp)
app.command("desktop", epilog="Example: deskbench desktop --json")(cli_desktop.desktop)
app.command("doctor", epilog="Example: deskbench doctor")(cli_desktop.doctor)
