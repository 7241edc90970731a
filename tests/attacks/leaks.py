"""Secrets: no agent, log or other program can read a key of the controller."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.agent.cli.test_cli import environment
from tests.agent.models.endpoint import endpoint, error, reply
from tests.agent.paper import write_suite
from tests.agent.test_secrets import KEY, NAME, leaks, scripts, search, vlm
from tests.attacks.arenas import Arena
from tests.attacks.base import CONTROLLER, Outcome, attack, judged


@contextlib.contextmanager
def planted() -> Iterator[str]:
    """A key in this process's environment, during the block."""
    key = f"sk-{secrets.token_hex(24)}"
    os.environ["DESKBENCH_ATTACKED_KEY"] = key
    try:
        yield key
    finally:
        del os.environ["DESKBENCH_ATTACKED_KEY"]


@attack(
    "key-inside", "secrets", "a key of the controller's, in any process, environment, file or memory of the desktop"
)
def key_inside(arena: Arena) -> Outcome:
    with planted() as key:
        desktop = arena.start()
        try:
            desktop.run(["cmd", "/c", "exit"] if arena.name == "wine" else ["/bin/true"])
            found = arena.program("impostor", "tokens", key[4:24][::-1], timeout=120, on=desktop)
        finally:
            arena.stop(desktop)
    return judged(found["ok"], found["said"])


@attack("key-beside", "secrets", "the same, in the environment or command line of what the controller started here")
def key_beside(arena: Arena) -> Outcome:
    with planted() as key:
        desktop = arena.start()
        try:
            mine = [process for process in psutil.process_iter() if process.pid != os.getpid()]
            seen = [process for process in mine if _has(process, key)]
            names = [process.name() for process in seen]
        finally:
            arena.stop(desktop)
    return judged(bool(names), f"{len(mine)} processes; {names or 'none has it'}")


def _has(process: psutil.Process, key: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return any(key in value for value in (*process.environ().values(), *process.cmdline()))
    return False


def _run(folder: Path, *words: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "deskbench.agent", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env={**environment(), NAME: KEY}, capture_output=True, timeout=100, check=False
    )


@attack("key-echoed", "secrets", "an endpoint echoes its key in every form: the run's folder, the report, what is printed",
        (CONTROLLER,))  # fmt: skip
def key_echoed(arena: Arena) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        folder, script = Path(scratch), list(scripts())
        suite = write_suite(folder / "suite", count=1)
        with endpoint(reply("models"), *script) as server:
            ran = _run(folder, "run", suite, *vlm(server, NAME), "--provider", "fake", "--out", "run", "--json",
                       "--max-steps", len(script), "--set", "retries=3")  # fmt: skip
            asked = len(server.asked)
        assert asked > len(script) / 4, ran.stderr[-300:]
        printed = [ran, _run(folder, "report", "run"), _run(folder, "export", "run", "--out", "results")]
        found = [str(path.relative_to(folder)) for path, _ in search(folder)]
        found += [one.args[3] for one in printed if leaks(one.stdout + one.stderr)]
        count = sum(1 for path in folder.rglob("*") if path.is_file())
    return judged(bool(found), f"{asked} answers with it; {found[:4] or 'not'} in {count} files")


@attack("key-refused", "secrets", "an endpoint that refuses the key says it in a form that nobody knows", (CONTROLLER,))
def key_refused(arena: Arena) -> Outcome:
    odd = KEY.swapcase()[::-1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        suite = write_suite(folder / "suite", count=1)
        with endpoint(reply("models"), error(401, f"Incorrect key: {odd}")) as server:
            ran = _run(folder, "run", suite, *vlm(server, NAME), "--provider", "fake", "--out", "run", "--debug")
        files = [path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()]
    assert b"401" in ran.stderr, ran.stderr[-300:]
    return judged(any(odd[:8].encode() in data for data in (ran.stdout, ran.stderr, *files)), f"{len(files)} files")


@attack("address-with-password", "secrets", "a password in an endpoint's address", (CONTROLLER,))
def address_with_password(arena: Arena) -> Outcome:
    word = secrets.token_hex(12)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        suite = write_suite(folder / "suite", count=1)
        with endpoint(reply("models"), error(500, f"at http://name:{word}@host/v1")) as server:
            url = server.url.replace("http://", f"http://name:{word}@")
            ran = _run(folder, "run", suite, "--agent", "vlm", "--base-url", url, "--model", "m", "--provider", "fake",
                       "--api-key-env", NAME, "--out", "run", "--set", "attempts=1", "--max-steps", 2)  # fmt: skip
        places = [path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]
        names = [str(path.relative_to(folder)) for path in places]
    names += ["what is printed"] * (word.encode() in ran.stdout + ran.stderr)
    return judged(bool(names), f"{names or 'nowhere'}; status {ran.returncode}: {ran.stderr[-80:]!r}")
