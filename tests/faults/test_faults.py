"""Injects every fault into a run and checks the result; the page has the table."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.__main__ import BEGIN, END, RIGHT, WRONG, Verdict, row, status, verdict
from tests.faults.base import FAKE, FAULTS, LOCAL, PLACES, Becomes
from tests.faults.runs import carry_out, mismatches

ROOT = Path(__file__).parents[2]
REAL = (
    "desktop-never-starts", "desktop-dies-before", "desktop-dies-acting", "desktop-dies-twice", "desktop-dies-scored",
    "desktop-hangs", "desktop-no-tree", "deskbench-surprised", "setup-without-effect", "setup-no-program",
    "setup-no-command", "check-no-program", "check-lacks-command", "half-a-pair-bytes", "half-a-pair-name", "half-a-pair-argument-messages",
    "oracle-no-target",
)  # fmt: skip
"""Faults that differ between a real desktop and one in memory."""
LEAST = 90


def found(name: str, place: str) -> Verdict:
    one = verdict(FAULTS[name], place)
    if one.verdict not in (RIGHT, WRONG):
        pytest.skip(one.why[0])
    return one


@pytest.mark.parametrize("name", [one.id for one in FAULTS.values() if FAKE in one.places])
def test_it_becomes_what_it_must(name: str) -> None:
    assert found(name, FAKE) == Verdict(RIGHT)


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_it_does_so_on_a_real_desktop(name: str) -> None:
    assert found(name, LOCAL) == Verdict(RIGHT)


def test_what_becomes_something_else_is_seen() -> None:
    one = FAULTS["answer-right"]
    seen = carry_out(one, FAKE)
    assert mismatches(one, seen) == []
    for other in (Becomes("done", 0.0), Becomes("done"), Becomes("done", 1.0, attempts=2), Becomes("step_limit", 1.0),
                  Becomes("done", 1.0, said="no such words"), Becomes("done", 1.0, goes_on=False)):  # fmt: skip
        assert mismatches(dataclasses.replace(one, becomes=other), seen) != []
    assert (status({FAKE: {"a": Verdict(RIGHT)}}), status({FAKE: {"a": Verdict(RIGHT), "b": Verdict(WRONG)}})) == (0, 1)


def test_the_command_prints_what_it_found() -> None:
    command = [sys.executable, "-m", "tests.faults", "--only", "answer-wrong", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {FAKE: {"answer-wrong": {"verdict": RIGHT, "why": []}}}


def test_the_page_has_every_fault() -> None:
    page = (ROOT / "docs/tables/faults.md").read_text(encoding="utf-8")
    lines = page[page.index(BEGIN) : page.index(END)].splitlines()
    rows = {line for line in lines if line.startswith("| ") and not line.startswith("| fault |")}
    assert rows == {row(one, [RIGHT if place in one.places else "n/a" for place in PLACES]) for one in FAULTS.values()}
    assert len(rows) == len(FAULTS) >= LEAST
