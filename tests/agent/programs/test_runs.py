"""Runs with programs are runs like any other; and what happens where the extra is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deskbench.agent.batch import Batch
from deskbench.agent.replay.suite import Replays

from ..paper import prepared, write_suite

COMMAND = "sh -c 'act screenshot; act type hello; act key ctrl+s; act done'"


def test_a_run_with_a_program_is_replayed_with_the_same_scores_and_screens(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", count=1)
    run = prepared(suite, agent="program", agent_settings={"command": COMMAND})
    assert Batch(run, tmp_path / "run").run().scored == 2
    summary = Replays(tmp_path / "run", tmp_path / "replay", provider="fake").go(parallel=1).summary()
    assert (summary["compared"], summary["same_score"], summary["same_screens"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["mcp/__init__.py"], "No module named 'mcp.server'"),
        (["mcp/__init__.py", "mcp/server/__init__.py", "mcp/server/transport_security.py"], "cannot import name"),
    ],
    ids=["missing", "another version"],
)
def test_without_the_extra_one_line_names_it(tmp_path: Path, files: list[str], told: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    words = ["run", "basics", "--agent", "program", "--set", "command=sh", "--out", str(tmp_path / "run")]
    found = subprocess.run(
        [sys.executable, "-m", "deskbench.agent", *words], check=False, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 2
    [line] = [line for line in found.stderr.splitlines() if "extra" in line]
    assert told in line and "pip install -U 'deskbench[mcp]'" in line
    assert not (tmp_path / "run").exists()
