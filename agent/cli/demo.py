"""`deskbench demo`: run the benchmark for real on this machine, without an API key.

It runs three agents over one suite: `null` (the score that doing nothing gets), `oracle` (the best possible score) and
`vlm` with our own vision endpoint, which reads the screen by OCR and knows nothing about the tasks.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from deskbench.agent.build import prepare
from deskbench.agent.cli.run import MEANS, cells, run_batch
from deskbench.agent.config import RunConfig
from deskbench.agent.report.report import write_report
from deskbench.agent.statistics.summary import Summary
from deskbench.agent.statistics.words import protocol_line
from deskbench.envs.errors import StartError, UsageError

LOADING_SECONDS = 120.0
"""How long the endpoint may take to load its weights; it takes 3 s on an idle machine."""
PR_SET_PDEATHSIG = 1
"""prctl(2)."""


@dataclass(frozen=True)
class Shown:
    """What a demo produced: a folder with one run per agent, and one report about all of them."""

    folder: Path
    report: Path
    summaries: dict[str, Summary]
    seconds: float
    interrupted: bool


def demo(out: Path, *, source: str, parallel: int, isolated: bool, say: Console) -> Shown:
    """Run the three agents on `source`, compare them, and write the report.

    Raises:
        UsageError: the extra `ocr` is not installed, or this machine cannot start desktops.
        StartError: the endpoint did not start.
    """
    if find_spec("rapidocr") is None:
        raise UsageError("the demo reads the screen by OCR: pip install 'deskbench[ocr]'")
    began = time.monotonic()
    runs: dict[str, Summary] = {}
    state = "done"
    with ocr_endpoint() as process:
        for name in ("null", "oracle", "ocr-vlm"):
            settings = {"base_url": await_address(process), "model": "ocr"} if name == "ocr-vlm" else {}
            config = RunConfig(
                source=source, agent="vlm" if settings else name, agent_settings=settings, parallel=parallel,
                isolated=isolated,
            )  # fmt: skip
            runs[name], state = run_batch(prepare(config), out / name, resume=False, say=say)
            if state != "done":
                break
    report = write_report([out / name for name in runs], out / "report.html")
    return Shown(out, report, runs, time.monotonic() - began, state != "done")


@contextmanager
def ocr_endpoint() -> Iterator[subprocess.Popen[bytes]]:
    """Run `deskbench serve ocr` as a child process that ends with this one; it loads in the background."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deskbench.agent", "serve", "ocr", "--port", "0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  (no thread has been started yet)
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)  # Ctrl-C goes to the run alone, which stops the endpoint when it ends


def await_address(process: subprocess.Popen[bytes]) -> str:
    """Wait until the endpoint is ready and return its base URL.

    Raises:
        StartError: it did not start.
    """
    assert process.stdout
    readable, _, _ = select.select([process.stdout], [], [], LOADING_SECONDS)
    line = process.stdout.readline().decode().strip() if readable else ""
    if not line.startswith("http"):
        raise StartError(f"the OCR endpoint did not start: {line or 'it printed nothing'}")
    return line


HEADERS = ("agent", *MEANS, "feasible", "infeasible", "unscored", "unscored as 0")


def rows(shown: Shown) -> Iterator[tuple[str, ...]]:
    """One row per agent, with the columns HEADERS."""
    for name, summary in shown.summaries.items():
        feasible, infeasible = cells(summary.feasible)[2], cells(summary.infeasible)[2]
        as_zero = cells(summary.all_planned)[2]
        yield name, *cells(summary.all), feasible, infeasible, str(summary.unscored), as_zero


def protocols(shown: Shown) -> list[str]:
    """The conditions of the runs: one line if all agents have the same, else one for each."""
    lines = {name: protocol_line(summary.protocol) for name, summary in shown.summaries.items()}
    same = len(set(lines.values())) == 1
    return list(lines.values())[:1] if same else [f"{name}: {line}" for name, line in lines.items()]


def open_in_browser(report: Path) -> bool:
    """Open the report in a browser if this machine has a screen; returns whether it was opened."""
    has_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return has_screen and webbrowser.open(report.resolve().as_uri())
