"""Files and values that are read for a score: anything unreadable becomes a 0, in time, and harms nobody."""

from __future__ import annotations

import contextlib
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deskbench.envs.clients.http import Client
from deskbench.envs.errors import DeskbenchError
from deskbench.envs.wire import Observe
from deskbench.tasks.load import load
from deskbench.tasks.scoring.score import score
from deskbench.tasks.types import Score
from deskbench.tasks.world import Context, World
from tests.attacks.arenas import Arena
from tests.attacks.base import LINUX, Outcome, attack, judged, not_applicable, succeeded
from tests.tasks.hostile import good

PATH = "/tmp/attack/result"
SECONDS = 10.0
"""Time for the desktop's answer about a file."""
SCORE_SECONDS = 75.0
"""Time for a score: the getter, the metric, and reading the file."""
MEMORY = 500 * 2**20
TEXT = {"func": "text_equals", "result": {"type": "vm_file_text", "path": PATH}, "expected": {"expected": "wanted"}}


def _file(func: str, name: str, rules: object) -> dict[str, Any]:
    return {"func": func, "result": {"type": "vm_file", "path": PATH, "dest": name}, "expected": rules}


JSON = _file("check_json", "r.json", {"expect": [{"key": ["a"], "method": "eq", "ref": 2}]})
LISTING = {
    "func": "exact_match",
    "result": {"type": "list_directory", "path": PATH},
    "expected": {"expected": "wanted"},
}
COMMAND = {"func": "exact_match", "result": {"type": "vm_command_line", "command": ["/bin/cat", PATH], "timeout": 6},
           "expected": {"expected": "wanted"}}  # fmt: skip
SQL = _file("run_sqlite3", "r.sqlite", {"sql": "SELECT count(*) > 0 FROM urls"})
SHEET = {"func": "compare_table", "result": {"type": "vm_file", "path": PATH, "dest": "r.xlsx"},
         "given": {"type": "task_file", "path": "good.xlsx"}, "options": {"rules": [{"type": "sheet_data", "sheet_idx0": 0, "sheet_idx1": "EI0"}]}}  # fmt: skip
PICTURE = _file("check_image_size", "r.png", {"width": 30_000})
XML = _file("find_default_font", "r.xml", {"font_name": "wanted"})

CASES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("deep-json", "deep_json", JSON, "JSON 200,000 deep"),
    ("number-json", "number_json", JSON, "a number of 50,000 digits, NaN, half a character"),
    ("folder", "folder", TEXT, "a folder where a file was wanted"),
    ("folder-json", "folder", JSON, "the same, for a check that wants a file of its own"),
    ("fifo", "fifo", TEXT, "a pipe that nobody writes to"),
    ("endless-fifo", "endless_fifo", TEXT, "a pipe that never ends"),
    ("command", "endless_fifo", COMMAND, "a command of the task's that prints forever"),
    ("command-waits", "fifo", COMMAND, "a command of the task's that never ends"),
    ("zero", "zero", TEXT, "a link to a device that never ends"),
    ("memory", "memory", TEXT, "a link to the reader's own memory"),
    ("kernel", "kernel", TEXT, "a link to a file of the kernel's that blocks"),
    ("loop", "loop", TEXT, "a link to itself"),
    ("sparse", "sparse", JSON, "a sparse file of terabytes"),
    ("large", "large", JSON, "120 MB of nothing as JSON"),
    ("growing", "growing", TEXT, "a file that grows while it is read"),
    ("deep-folder", "deep_folder", LISTING, "folders 1,500 deep"),
    ("many", "many", LISTING, "120,000 files with names of 200 letters"),
    ("names", "names", LISTING, "names that are not text, of several lines"),
    ("upwards", "upwards", LISTING, "a folder with a link to the root, and so to itself"),
    ("view", "view", SQL, "a database whose table is a view that never ends"),
    ("bomb", "bomb", SHEET, "a workbook that is a gigabyte when it is unpacked"),
    ("picture", "picture", PICTURE, "a picture of 900 megapixels"),
    ("entities", "entities", XML, "XML that is a billion times itself"),
)  # fmt: skip


def evaluated(desktop: Client, evaluator: dict[str, Any], folder: Path) -> Score:
    """The score of the end state, as in an episode."""
    expected = evaluator.get("given") or {"type": "rule", "rules": evaluator.get("expected")}
    made = {**{key: evaluator[key] for key in evaluator if key != "given"}, "expected": expected}
    (folder / "good.xlsx").write_bytes(good("xlsx"))
    file = folder / "t.json"
    file.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": made}))
    task = load(file)[0]
    world = World(desktop, task, folder / "cache", folder / "assets")
    context = Context(desktop, task, folder / "cache", folder / "assets", (1280, 800))
    return score(task, world, context, said_fail=False)


@contextlib.contextmanager
def _place(arena: Arena) -> Iterator[None]:
    """An empty folder for the result, removed afterwards."""
    desktop, seconds = arena.desktop, 60.0 * arena.slow
    desktop.run(["/bin/sh", "-c", "rm -rf /tmp/attack; mkdir /tmp/attack"], timeout=seconds)
    try:
        yield
    finally:
        with contextlib.suppress(DeskbenchError):
            desktop.run(
                ["/bin/sh", "-c", "pkill -u $(id -u) -f '[h]ostile|sys.argv' ; rm -rf /tmp/attack"], timeout=seconds
            )


def _scored(kind: str, evaluator: dict[str, Any]) -> Callable[[Arena], Outcome]:
    def run(arena: Arena) -> Outcome:
        desktop = arena.desktop
        desktop.file_seconds = SECONDS * 6 * arena.slow
        with _place(arena), tempfile.TemporaryDirectory() as scratch:
            arena.program("hostile", kind, PATH)
            before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
            try:
                found = evaluated(desktop, evaluator, Path(scratch))
            except Exception as error:  # noqa: BLE001  (the boundary: it is the failed task that would be left out)
                return succeeded(f"not scored: {type(error).__name__}: {error}")
            took = time.monotonic() - began
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        wrong = [f"it took {took:.0f} s"] * (took > SCORE_SECONDS * arena.slow) + [f"{more >> 20} MB"] * (more > MEMORY)
        wrong += [f"it counts {found.value}"] * (found.value != 0.0)
        return judged(bool(wrong), "; ".join([*wrong, f"{found.value:g} after {took:.1f} s: {found.reason}"]))

    return run


for _id, _kind, _evaluator, _title in CASES:
    attack(f"file-{_id}", "files", _title, LINUX)(_scored(_kind, _evaluator))


@attack("file-swapped", "files", "a file that becomes a link to root's while it is read", LINUX)
def swapped(arena: Arena) -> Outcome:
    desktop, seen = arena.desktop, set()
    with _place(arena):
        arena.program("hostile", "swapped", PATH)
        for _ in range(int(300 / arena.slow)):
            try:
                seen.add(desktop.read_file(PATH))
            except (DeskbenchError, FileNotFoundError) as error:
                seen.add(type(error).__name__.encode())
    return judged(any(b"root:" in one for one in seen), sorted(seen)[:4])


# -- what a desktop says about itself ---------------------------------------------------------------------------------


def _said(kind: str, ask: Callable[[Client], object]) -> Callable[[Arena], Outcome]:
    """The controller gets an answer, or an error of the desktop."""

    def run(arena: Arena) -> Outcome:
        desktop = arena.desktop
        desktop.run(["/bin/sh", "-c", "rm -rf /tmp/attack; mkdir /tmp/attack"])
        try:
            if kind:
                arena.program("hostile", kind, PATH)
        except AssertionError as error:
            if "ModuleNotFoundError" in str(error) or "Namespace" in str(error):
                return not_applicable(str(error))
            raise
        desktop.answer_seconds, began = SECONDS * arena.slow, time.monotonic()
        try:
            got = ask(desktop)
        except DeskbenchError as error:
            got = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  (the boundary: it would have ended the run)
            return succeeded(f"the controller raised {type(error).__name__}: {error}")
        took = time.monotonic() - began
        return judged(took > SCORE_SECONDS * arena.slow, f"{took:.1f} s: {str(got).encode('ascii', 'replace')[:90]!r}")

    return run


def _looked(desktop: Client) -> str:
    import xml.etree.ElementTree as ET

    seen = desktop.observe(Observe("immediate", accessibility=True, terminal=True))
    tree = seen.accessibility or ""
    return f"{len(tree)} characters of a tree with {len(list(ET.fromstring(tree).iter())) if tree else 0} parts"


def _listed(desktop: Client) -> str:
    windows = desktop.windows()
    for window in windows:
        window.title.encode()
    return f"{len(windows)} windows, the longest title {max((len(w.title) for w in windows), default=0)}; {_looked(desktop)}"


def _output(script: str) -> Callable[[Client], object]:
    def ask(desktop: Client) -> str:
        done = desktop.run(["/bin/sh", "-c", script], timeout=5)
        (done.stdout + done.stderr).encode()
        return f"status {done.returncode}, {len(done.stdout)} and {len(done.stderr)} characters"

    return ask


SAYS: tuple[tuple[str, str, str, Callable[[Client], object]], ...] = (
    ("titles", "titles", "windows whose titles, classes and lists are not text", _listed),
    ("tree", "tree", "accessible names of control characters, markup, two million letters", _looked),
    ("endless", "", "a command that prints forever", _output("/usr/bin/yes")),
    ("both", "", "the same on both outputs, of bytes that are not text", _output("cat /dev/urandom & cat /dev/urandom >&2")),
    ("bytes", "", "an output of NUL, broken UTF-8, escapes", _output(r"printf '\0\377\376\355\240\200\033[2J\r'")),
    ("holds", "", "a child that holds the output open", _output("setsid sleep 60 & echo done")),
    ("closes", "", "a program that ends whoever started it", _output("kill -9 $PPID; kill -9 $$")),
)  # fmt: skip
for _id, _kind, _title, _ask in SAYS:
    attack(f"answer-{_id}", "answers", _title, LINUX)(_said(_kind, _ask))
