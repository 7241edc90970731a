"""The report: one file that holds everything, safe with hostile content."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.report.report import payload, write_report
from deskbench.envs.errors import UsageError

from ..staged_runs import episode, run

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = run(tmp_path / "run-a", planned=3)
    episode(made, "s/pass", 1.0)
    episode(made, "s/lost", None, attempt=1)
    episode(made, "s/lost", 0.0, attempt=2, reply=HOSTILE)
    episode(made, "s/going", None, finished=False)
    return made


def block(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_report_holds_every_step_and_picture_in_one_file(folder: Path, tmp_path: Path) -> None:
    page = write_report(folder, tmp_path / "out" / "report.html").read_text()
    data, images = block(page, "data"), block(page, "images")
    shown = {e["task"]: e for e in data["runs"][0]["episodes"]}
    assert set(shown) == {"s/pass", "s/lost", "s/going"}
    assert shown["s/lost"]["attempt"] == 2
    assert (shown["s/going"]["state"], shown["s/going"]["score"]) == ("cut off", None)
    assert len(shown["s/pass"]["steps"]) == 2
    frames = {s["frame"] for e in shown.values() for s in [*e["steps"], e["final"]]}
    assert set(images) == frames
    assert all(url.startswith("data:image/webp;base64,") for url in images.values())
    assert not re.search(r'(src|href)="http', page)


def test_the_outcome_of_a_step_stands_at_that_step(folder: Path) -> None:
    step = next(e for e in payload([folder])["runs"][0]["episodes"] if e["task"] == "s/pass")["steps"][0]
    assert (step["act_ms"], step["settle_ms"]) == (3.0, 120.0)


def test_hostile_text_cannot_leave_its_place(folder: Path, tmp_path: Path) -> None:
    page = write_report(folder, tmp_path / "r.html").read_text()
    assert HOSTILE not in page
    assert HOSTILE in json.dumps(block(page, "data"))


def test_several_runs_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = run(tmp_path / "run-b", planned=1, agent="null")
    episode(other, "s/pass", 0.0)
    data = block(write_report([folder, other], tmp_path / "r.html").read_text(), "data")
    assert [r["agent"] for r in data["runs"]] == ["vlm", "null"]


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        write_report(tmp_path, tmp_path / "r.html")


def test_pictures_are_made_smaller_where_there_are_many_and_the_ends_come_first(folder: Path, tmp_path: Path) -> None:
    page = write_report(folder, tmp_path / "r.html").read_text()
    whole = block(page, "images")
    room = max(map(len, whole.values())) * 2
    few = block(write_report(folder, tmp_path / "r.html", room=room, most=3).read_text(), "images")
    ends = {one["final"]["frame"] for one in block(page, "data")["runs"][0]["episodes"]}
    assert set(few) == ends and len(ends) == 3 < len(whole)
    assert max(map(len, few.values())) < max(map(len, whole.values()))
    assert block(write_report(folder, tmp_path / "r.html", room=0).read_text(), "images") == {}
