"""The demo on a small suite: real desktops, a real vision endpoint, three scores side by side."""

import json
import re
from pathlib import Path

import pytest

from ..paper import write_task
from .test_cli import deskbench

pytestmark = [pytest.mark.desktop, pytest.mark.ocr, pytest.mark.slow]


def test_three_agents_side_by_side_and_one_report(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    write_task(
        tmp_path / "suite",
        "note",
        instruction="Type hello into the open text editor and save the file.",
        config=[{"type": "launch", "parameters": {"command": ["mousepad", "/home/user/note.txt"]}}],
        oracle=[{"type": "type", "text": "hello"}, {"type": "key", "keys": ["ctrl", "s"]}],
    )
    ran = deskbench("demo", tmp_path / "suite", "--out", "demo", "--no-open", "--json", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["summaries"]
    assert (found["null"]["all"]["mean"], found["oracle"]["all"]["mean"]) == (0.0, 1.0)
    assert found["ocr-vlm"]["scored"] == 1  # whether it solves the task is its own business
    page = (tmp_path / "demo" / "report.html").read_text()
    assert set(re.findall(r'"agent":"(null|oracle|vlm)', page)) == {"null", "oracle", "vlm"}
    steps = (tmp_path / "demo/ocr-vlm/episodes/suite/note/1/steps.jsonl").read_text()
    assert '"reply":"' in steps
