"""Set-up steps that run and start programs, and arrange windows."""

from __future__ import annotations

from typing_extensions import TypedDict

from deskbench.envs import wait
from deskbench.envs.desktop import CommandResult
from deskbench.envs.errors import NotThere, SetupError
from deskbench.tasks.registry import setup_step
from deskbench.tasks.world import Context

UNTIL_SECONDS = 30.0
"""How long `until` of `execute` repeats its command, in seconds; OSWorld repeats it for ever."""


class Until(TypedDict, total=False):
    """What `execute` waits for."""

    returncode: int
    stdout: str
    stderr: str


@setup_step("execute", "command")
def execute(
    context: Context,
    *,
    command: str | list[str],
    stdout: str = "",
    stderr: str = "",
    shell: bool = False,
    until: Until | None = None,
    check: bool = False,
    timeout: float = 120.0,
) -> None:
    """Run a command and wait until it ends.

    A non-zero exit status is an error only with `check`: OSWorld ignores it, and some of its files rely on that.
    `stdout` and `stderr` name files in the episode's cache for the output, which the getter `cache_file` reads.
    """
    filled = context.fill_command(command)
    done = context.desktop.run(filled, shell=shell, timeout=timeout)
    if until:
        done = _repeat(context, filled, shell, until, done)
    for name, text in ((stdout, done.stdout), (stderr, done.stderr)):
        if name:
            context.cache.mkdir(parents=True, exist_ok=True)
            (context.cache / name.replace("/", "_")).write_text(text, encoding="utf-8")
    if check and done.returncode != 0:
        raise SetupError(f"{filled} ended with status {done.returncode}: {done.stderr.strip()[-300:]}")


def _repeat(
    context: Context, command: str | list[str], shell: bool, until: Until, done: CommandResult
) -> CommandResult:
    deadline = wait.now() + UNTIL_SECONDS
    while not _met(until, done):
        if wait.now() > deadline:
            raise SetupError(f"{command} never met {dict(until)}; last: {done}")
        wait.sleep(0.3)
        done = context.desktop.run(command, shell=shell)
    return done


def _met(until: Until, done: CommandResult) -> bool:
    """Whether any of the conditions holds, as in OSWorld."""
    return (
        ("returncode" in until and done.returncode == until["returncode"])
        or ("stdout" in until and until["stdout"] in done.stdout)
        or ("stderr" in until and until["stderr"] in done.stderr)
    )


@setup_step("launch")
def launch(context: Context, *, command: str | list[str], shell: bool = False) -> None:
    """Start a program and wait for its window."""
    context.desktop.launch(context.fill_command(command), shell=shell)


@setup_step("open")
def open_path(context: Context, *, path: str) -> None:
    """Open a file with its default program."""
    context.desktop.open(path)


@setup_step("activate_window")
def activate_window(context: Context, *, window_name: str, strict: bool = False, by_class: bool = False) -> None:
    """Wait for a window, then raise and focus it."""
    deadline = wait.now() + context.window_seconds
    while True:
        try:
            context.desktop.activate_window(window_name, strict=strict, by_class=by_class)
            return
        except NotThere:
            if wait.now() >= deadline:
                raise
            wait.sleep(0.3)


@setup_step("close_window")
def close_window(context: Context, *, window_name: str, strict: bool = False, by_class: bool = False) -> None:
    """Ask a window to close."""
    context.desktop.close_window(window_name, strict=strict, by_class=by_class)


@setup_step("sleep")
def sleep(context: Context, *, seconds: float) -> None:
    """Wait for a fixed time."""
    wait.sleep(seconds)


class Verification(TypedDict, total=False):
    """What `execute_with_verification` waits for."""

    window_exists: str
    command_success: str


@setup_step("execute_with_verification")
def execute_with_verification(
    context: Context,
    *,
    command: str | list[str],
    verification: Verification | None = None,
    max_wait_time: float = 10.0,
    check_interval: float = 1.0,
    shell: bool = False,
) -> None:
    """Run a command, then wait until a window exists and another command succeeds."""
    context.desktop.run(context.fill_command(command), shell=shell)
    wanted = verification or {}

    def verified() -> bool:
        title, proof = wanted.get("window_exists"), wanted.get("command_success")
        there = title is None or any(title.lower() in w.title.lower() for w in context.desktop.windows())
        return there and (proof is None or context.desktop.run(proof, shell=True, timeout=5).returncode == 0)

    if not wait.until(verified, timeout=max_wait_time, interval=check_interval, max_interval=check_interval):
        raise SetupError(f"{command}: {dict(wanted)} did not come true within {max_wait_time:g} s")


@setup_step("act", "replay", "tidy_desktop")
def not_implemented(context: Context, **parameters: object) -> None:
    """Set-up types that OSWorld names but never implemented."""
    raise SetupError("this set-up type has never been implemented, in OSWorld either", permanent=True)
