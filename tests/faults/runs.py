"""Runs a fault: a run of two tasks with the fault in one, and the results of both."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from deskbench.agent.cli import run as running
from deskbench.agent.config import RunConfig
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.record import EpisodeRecord
from tests.agent.models.endpoint import Endpoint, serving
from tests.faults.base import FAKE, LOCAL, MARK, Fault, Scene
from tests.faults.serving import AGENTS, QUICK, Biased

ROOT = Path(__file__).resolve().parents[2]
HERE = __package__ or "tests.faults"
OPEN = {FAKE: ["editor", "~/note.txt"], LOCAL: ["mousepad", "/home/user/note.txt"]}
"""How to open the file to write."""
NOTE = "/home/user/note.txt"
DISK = "2M"
RETRIES = 2


class CannotRun(Exception):
    """This machine lacks something that a fault needs; the message says what."""


@dataclass(frozen=True)
class Found:
    """The results of a run.

    Attributes:
        bad: attempts at the task that must go wrong, in order.
        healthy: attempts at the other task.
        status: the command's exit status.
        told: the terminal's output.
        state: how the run ended according to run.json; empty if there is none.
        notes: other contents of the records.
    """

    bad: list[EpisodeRecord]
    healthy: list[EpisodeRecord]
    status: int
    told: str
    state: str
    notes: str


def open_note(place: str) -> dict[str, Any]:
    """The set-up step that opens the file."""
    return {"type": "launch", "parameters": {"command": OPEN[place]}}


def usual(place: str) -> dict[str, Any]:
    """The usual task: write hello and save."""
    return {
        "instruction": "Write hello and save.",
        "config": [open_note(place)],
        "evaluator": {
            "func": "exact_match",
            "result": {"type": "vm_command_line", "command": ["cat", NOTE]},
            "expected": {"type": "rule", "rules": {"expected": "hello"}},
        },
        "oracle": [{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}],
    }


def carry_out(fault: Fault, place: str) -> Found:
    """Run a fault.

    Raises:
        CannotRun: this machine lacks something that it needs.
    """
    scene = fault.scene
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        out = ends.enter_context(_disk(folder / "disk")) if scene.disk else folder
        _write(scene, place, folder / "suite")
        settings = dict(scene.settings)
        if scene.disk:
            settings["folder"] = str(out)
        if scene.wire is not None:
            server = ends.enter_context(serving(Biased("", [], wire=scene.wire, reply=scene.reply or _nothing)))
            settings = _asking(scene, server, settings)
        config = _config(scene, place, folder / "suite", settings)
        status, told = (_command if scene.command else _call)(config, out / "run")
        return _found(out / "run", scene, status, told)


def _nothing(number: int) -> None:
    """A good endpoint."""


def _asking(scene: Scene, server: Endpoint, settings: Mapping[str, str]) -> dict[str, str]:
    return {"base_url": server.url, **QUICK, **settings}


def _config(scene: Scene, place: str, source: Path, settings: Mapping[str, str]) -> RunConfig:
    usually = AGENTS[scene.wire] if scene.wire is not None else f"{HERE}.agents:Writer"
    provider = f"{HERE}.providers:{place}/{scene.harm}/{scene.times}" if scene.harm else place
    return RunConfig(**{
        "source": str(source), "agent": scene.agent or usually, "agent_settings": settings, "provider": provider,
        "retries": RETRIES, "max_steps": 8, "width": 800, "height": 600, **scene.config,
    })  # fmt: skip


def _write(scene: Scene, place: str, folder: Path) -> None:
    """Write the suite; files are read in alphabetical order."""
    folder.mkdir()
    bad, well = ("b-bad", "a-well") if scene.behind else ("a-bad", "b-well")
    changed = json.loads(json.dumps(dict(scene.task)).replace('"OPEN"', json.dumps(open_note(place))))
    value = usual(place) | {"instruction": f"Write hello and save. {MARK}"} | changed
    task = {"id": bad, **{k: v for k, v in value.items() if v is not None}}
    (folder / f"{bad}.json").write_text(scene.written or json.dumps(task), encoding="utf-8")
    (folder / f"{well}.json").write_text(json.dumps({"id": well, **usual(place)}), encoding="utf-8")
    for name, data in scene.beside.items():
        (folder / "beside").mkdir(exist_ok=True)
        (folder / "beside" / name).write_bytes(data)


def _call(config: RunConfig, out: Path) -> tuple[int, str]:
    """Run the command in this process."""
    said = io.StringIO()
    status = running.run(config, out=out, resume=False, as_json=False, say=Console(file=said, width=200))
    return status, said.getvalue()


def _command(config: RunConfig, out: Path) -> tuple[int, str]:
    """Run the command as a person does."""
    chosen = config.model_dump(exclude_defaults=True, exclude={"agent_settings"})
    settings = {**chosen, **{f"agent.{k}": v for k, v in config.agent_settings.items()}}
    words = [word for k, v in settings.items() if k != "source" for word in ("--set", f"{k}={v}")]
    command = [sys.executable, "-m", "deskbench.agent", "run", config.source, *words, "--out", str(out)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout


def _found(run: Path, scene: Scene, status: int, told: str) -> Found:
    records = sorted(RunFolder(run).records(), key=lambda record: record.attempt)
    bad = "b-bad" if scene.behind else "a-bad"
    manifest = run / "run.json"
    state = json.loads(manifest.read_text())["state"] if manifest.exists() else ""
    mine = [record for record in records if record.task_id == bad]
    notes = "\n".join(path.read_text() for path in sorted(run.glob(f"episodes/*/{bad}/*/steps.jsonl")))
    return Found(mine, [record for record in records if record.task_id != bad], status, told, state, notes)


def mismatches(fault: Fault, found: Found) -> list[str]:
    """The differences between the run and the expected result."""
    wanted = fault.becomes
    last = found.bad[-1] if found.bad else None
    score = last.score if last is not None else None
    seen = {
        "attempts": (len(found.bad), wanted.attempts if wanted.ending else 0),
        "ending": (last and str(last.ending), wanted.ending),
        "value": (score and score.value, wanted.value),
        "tampered": (bool(last and last.tampered), wanted.tampered),
        "exit status": (found.status, wanted.exit),
        "run": (found.state, _state(fault)),
        "the other task": ([record.score.value for record in found.healthy], [1.0] if _solved(fault) else []),
    }
    wrong = [f"{what} is {is_!r}, must be {must!r}" for what, (is_, must) in seen.items() if is_ != must]
    if any(record.score.value is not None for record in found.bad[:-1]):
        wrong.append("an attempt before the last has a score")
    words = "\n".join(f"{record.score.reason}\n{record.error}" for record in found.bad) + found.notes
    if not re.search(wanted.said, words):
        wrong.append(f"the record does not say {wanted.said!r}: {' '.join(words[-2000:].split())[:300]}")
    if not re.search(wanted.told, found.told):
        wrong.append(f"the terminal does not say {wanted.told!r}: {' '.join(found.told.split())[-300:]}")
    if "Traceback" in found.told:
        wrong.append(f"a traceback in the terminal: {found.told[-500:]}")
    return wrong


def _state(fault: Fault) -> str:
    if fault.becomes.goes_on:
        return "done"
    if fault.becomes.stays:
        return "running"  # it could not record how it ended
    return "broken" if fault.becomes.begins else ""


def _solved(fault: Fault) -> bool:
    return fault.becomes.goes_on or fault.scene.behind


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A small disk.

    Raises:
        CannotRun: this user cannot mount one.
    """
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise CannotRun("only root can mount a small disk")
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if subprocess.run(made, capture_output=True, check=False).returncode != 0:
        raise CannotRun("this machine does not let root mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
