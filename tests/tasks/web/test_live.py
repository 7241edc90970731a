"""Tasks that need the live web or Google Drive are detected from their files and skipped with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.tasks.load import load, skip_reason
from deskbench.tasks.types import Task
from deskbench.tasks.web.live import drive, live_web

LOCAL = {
    "func": "exact_match",
    "result": {"type": "vm_clipboard"},
    "expected": {"type": "rule", "rules": {"expected": "x"}},
}
TABS = {
    "func": "is_expected_tabs",
    "result": {"type": "open_tabs_info"},
    "expected": {"type": "rule", "rules": {"type": "url", "urls": []}},
}


def task(folder: Path, **more: Any) -> Task:
    path = folder / "t.json"
    path.write_text(json.dumps({"id": "t", "instruction": "x", "evaluator": LOCAL, **more}))
    return load(path)[0]


def step(kind: str, **parameters: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "parameters": parameters}]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"proxy": True}, "proxy"),
        (
            {"config": step("chrome_open_tabs", urls_to_open=["https://www.example.org/"])},
            "it opens https://www.example.org/",
        ),
        ({"config": step("execute", command="sudo apt-get install -y sl")}, "apt-get install"),
        ({"evaluator": TABS}, "open_tabs_info"),
        ({}, None),
        ({"proxy": False}, None),
        ({"config": step("chrome_open_tabs", urls_to_open=["http://[::1/no-address"])}, None),
        ({"config": step("chrome_open_tabs", urls_to_open=["http://localhost:8000/", "chrome://settings"])}, None),
        (
            {"config": step("download", files=[{"url": "https://example.org/a", "path": "/a"}])},
            None,
        ),  # the controller downloads it
        ({"config": step("launch", command=["google-chrome", "--remote-debugging-port=1337"])}, None),
    ],
)
def test_what_needs_the_live_web(more: dict[str, Any], why: str | None, tmp_path: Path) -> None:
    one = task(tmp_path, **more)
    assert (live_web(one) or "").find(why or "") >= 0 and bool(live_web(one)) == bool(why)
    off = skip_reason(one, platform="Linux", network=False, has_app={})
    assert (off is None) == (why is None)
    assert off is None or ("--network" in off and (why or "") in off)
    assert skip_reason(one, platform="Linux", network=True, has_app={}) is None


def test_a_task_that_says_what_it_requires_is_believed(tmp_path: Path) -> None:
    assert task(tmp_path, proxy=True, requires={"network": "off"}).requires.network == "off"


def test_google_drive_needs_credentials(tmp_path: Path) -> None:
    settings = "evaluation_examples/settings/googledrive/settings.yml"
    one = task(tmp_path, config=step("googledrive", settings_file=settings, operation=["delete"], args=[{"query": ""}]))
    assert "your credentials" in (drive(one) or "")
    assert settings in (skip_reason(one, platform="Linux", network=True, has_app={}) or "")
    (tmp_path / settings).parent.mkdir(parents=True)
    (tmp_path / settings).write_text("x")
    assert drive(one) is None
