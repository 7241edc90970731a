"""The report and `view` in a real browser, with hostile text and pictures wherever a run can hold some."""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from deskbench.agent.base import Ending
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.record import EpisodeRecord, ResultRecord, ScoreRecord, SeenRecord, StepRecord, Totals

from ..browser import Tab, chromium, tab
from ..staged_runs import episode, picture, run
from .test_view import serving

HOSTILE = {
    "a script": "</script><script>window.hit = 1</script>",
    "a picture": '<img src="http://127.0.0.1:9/x.png" onerror="window.hit = 1">',
    "a comment": "<!--<script>",
    "a comment's end": "--><svg onload=window.hit=1>",
    "a style": "</style><style>* { display: none } body { background: url(http://127.0.0.1:9/y) }</style>",
    "a style's value": 'red" style="display: none; width: expression(1); background: url(http://127.0.0.1:9/z)',
    "an attribute": '" onmouseover="window.hit = 1" autofocus onfocus="window.hit = 1',
    "a link": "javascript:window.hit=1",
    "a template": "${window.hit = 1} {{constructor.constructor('window.hit = 1')()}}",
    "our own places": "/*DATA*/ /*IMAGES*/ {{DATA}} {{IMAGES}} {{CODE}} {{STYLE}} {{POLICY}}",
    "a prototype": "__proto__",
    "ends of lines": "one\u2028two\u2029three",
    "marks of direction": "\u202egnp.exe\u2066 \u200f",
    "a long word": "W" * 5000,
    "control characters": "a\0b\x1b[2Jc\x07\x7f",
    "entities": "&lt;b&gt;&amp;&#x3c;script&#x3e;",
    "a base": '<base href="http://127.0.0.1:9/"><meta http-equiv="refresh" content="0; url=http://127.0.0.1:9/">',
    "JSON": '"},null]}\\u003c/script\\u003e \\',
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def named(text: str) -> str:
    """As a folder can be called."""
    return text.replace("/", "|").replace("\0", "0")[:80]


def hostile_run(folder: Path, text: str) -> Path:
    """A run of two episodes that says `text` wherever it says anything."""
    made = run(folder / named(text), planned=2, agent=text)
    facts = json.loads((made / "run.json").read_text())
    facts |= {"provider": text, "policy": text, "task_set": text, "versions": {"deskbench": text}}
    facts |= {"skipped": [{"task": text, "reason": text}]}
    (made / "run.json").write_text(json.dumps(facts))
    task = f"{named(text)}/{named(text)}"
    place = made / "episodes" / task / "1"
    frames = [picture(place, str(index)) for index in range(2)]
    results = [ResultRecord(False, text, None), ResultRecord(True, None, text)]
    sights = [SeenRecord(frame=f, width=640, height=400, cursor=(1, 2), problems=[text], answer=text,
                         results=results, terminal=text) for f in frames]  # fmt: skip
    steps = [
        StepRecord(index=i, time=0.0, observation=seen, reply=text, thought=text, notes=[{text: text}],
                   actions=[{"type": "type", "text": text}, {"type": text, text: text}])
        for i, seen in enumerate(sights)
    ]  # fmt: skip
    (place / "steps.jsonl").write_text("".join(step.model_dump_json() + "\n" for step in steps))
    score = ScoreRecord(
        value=0.5, reason=text, checks=[{"metric": text, "value": 0.5, "result": text, "expected": text, "note": text}],
        parts=[{"name": text, "score": 0.5, "weight": 1.0, "description": text}],
    )  # fmt: skip
    record = EpisodeRecord(
        task=task, task_id=text, suite=text, instruction=text, task_sha256="0", feasible=True, attempt=1, agent=text,
        provider=text, seed=0, width=640, height=400, policy=text, started=0.0, finished=1.0, ending=Ending.DONE,
        score=score, error=text, answer=text, totals=Totals(steps=2),
    )  # fmt: skip
    (place / "episode.json").write_text(record.model_dump_json())
    episode(made, "s/good", 1.0)
    return made


def check_the_list(seen: Tab, text: str) -> None:
    """Both episodes are there, and text is text."""
    seen.page.wait_for_selector("a.row")
    rows = seen.texts("a.row")
    assert len(rows) == 2 and any(text[:400] in row for row in rows)
    assert any("s/good" in row for row in rows)
    assert seen.run("document.querySelectorAll('script, style, meta, base, link').length") == 10  # our own
    assert not seen.run("document.querySelectorAll('iframe, object, embed, form, svg[onload]').length")
    assert seen.run("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#/'))")


def check_the_episode(seen: Tab, text: str) -> None:
    seen.run("[...document.querySelectorAll('a.row')].find(row => !row.textContent.includes('s/good')).click()")
    seen.page.wait_for_selector(".screen img")
    assert seen.texts("h1") == [text]
    said = seen.texts("pre")
    assert said.count(text) >= 4  # its thought, what the check read and expected, its error
    seen.wait("document.querySelector('.screen img').naturalWidth === 640")
    for key in ("ArrowRight", "d", "a", "ArrowLeft", "?", "Escape", "Escape"):
        seen.page.keyboard.press(key)
    seen.page.wait_for_selector("a.row")


def check_nothing_ran(seen: Tab) -> None:
    assert seen.errors == []
    assert seen.run("window.hit") is None
    assert seen.run("getComputedStyle(document.getElementById('app')).display") == "grid"
    wide = seen.run("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "the page is wider than the window"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_report_shows_hostile_text_as_text(kind: str, browser: Browser, tmp_path: Path) -> None:
    text = HOSTILE[kind]
    path = write_report(hostile_run(tmp_path / "runs", text), tmp_path / "report.html")
    with tab(browser, path.as_uri()) as seen:
        check_the_list(seen, text)
        check_the_episode(seen, text)
        check_nothing_ran(seen)
        assert [url for url in seen.requests if not url.startswith("data:image/webp;")] == [path.as_uri()]


@pytest.mark.parametrize("kind", HOSTILE)
def test_view_shows_hostile_text_as_text(kind: str, browser: Browser, tmp_path: Path) -> None:
    text = HOSTILE[kind]
    with serving(hostile_run(tmp_path / "runs", text)) as base, tab(browser, base) as seen:
        check_the_list(seen, text)
        check_the_episode(seen, text)
        check_nothing_ran(seen)
        assert {url.split("/")[3] for url in seen.requests} <= {"", "api"}
        assert all(url.startswith(f"{base}/") for url in seen.requests)


def test_names_that_are_no_text_are_shown(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / os.fsdecode(b"run-\xff\xfe"), planned=1)
    episode(made, os.fsdecode(b"s/\xff\xfe"), None, finished=False)
    episode(made, "s/good", 1.0)
    path = write_report(made, tmp_path / "report.html")
    with tab(browser, path.as_uri()) as seen, serving(made) as base, tab(browser, base) as live:
        for one in (seen, live):
            one.page.wait_for_selector("a.row")
            assert len(one.texts("a.row")) == 2
            one.run("document.querySelector('a.row:last-child').click()")
            one.wait("document.querySelector('.screen img')?.naturalWidth === 640")
            assert one.errors == []


def damaged(folder: Path) -> Path:
    """A run of which much is not as we write it."""
    made = run(folder, planned=1)
    facts = json.loads((made / "run.json").read_text())
    (made / "run.json").write_text(json.dumps({**facts, "skipped": [None, 7], "planned": "many", "versions": []}))
    episode(made, "s/good", 1.0)
    for name, record in {"cut": "{", "list": "[]", "deep": "[" * 100_000, "binary": "\udcff"}.items():
        episode(made, f"s/{name}", 1.0)
        (made / f"episodes/s/{name}/1/episode.json").write_text(record, errors="surrogateescape")
    for name, line in {"kind": '{"kind": "other"}', "number": "7", "step": '{"kind": "step"}'}.items():
        episode(made, f"s/{name}", 1.0)
        (made / f"episodes/s/{name}/1/steps.jsonl").write_text(line + "\n")
    for name, score in {"odd": {"checks": [{"value": "x", "metric": {"a": 1}}], "parts": [{}]}}.items():
        episode(made, f"s/{name}", 1.0)
        path = made / f"episodes/s/{name}/1/episode.json"
        value = json.loads(path.read_text())
        path.write_text(json.dumps({**value, "score": {**value["score"], **score}}))
    return made


def test_what_is_damaged_is_said_to_be_and_the_rest_is_shown(browser: Browser, tmp_path: Path) -> None:
    path = write_report(damaged(tmp_path / "run"), tmp_path / "report.html")
    with tab(browser, path.as_uri()) as seen:
        seen.page.wait_for_selector("a.row")
        rows = seen.texts("a.row")
        assert len(rows) == 9
        assert sum("unreadable" in row for row in rows) == 4
        troubles = []
        for index in range(len(rows)):
            seen.run(f"document.querySelectorAll('a.row')[{index}].click()")
            seen.page.wait_for_selector(".player")
            troubles += [text for text in seen.texts(".warn") if "cannot be read" in text]
            seen.page.keyboard.press("Escape")
            seen.page.wait_for_selector("a.row")
        assert len(troubles) >= 7  # four records, three lines
        assert seen.errors == []


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header_of(width: int, height: int, bits: int = 8, kind: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = header_of(width, height)
    rows = zlib.compress(b"\0" * (1 + 3 * min(width, 10)) * min(height, 10))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURES = {
    "HTML": b"<!doctype html><script>window.hit = 1</script>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.hit = 1</script></svg>',
    "nothing": b"",
    "a signature alone": b"\x89PNG\r\n\x1a\n",
    "900 megapixels": png(30_000, 30_000),
    "four billion by four billion": png(2**32 - 1, 2**32 - 1),
    "no pixels": png(0, 5),
}
BROKEN = {
    "half a picture": png(10, 10)[:-30],
    "a second header of 64 megapixels": png(
        10, 10, header_of(8000, 8000, 1, 0), chunk(b"IDAT", zlib.compress(b"\0" * 1001 * 8000))
    ),
    "text that swells": png(10, 10, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"A" * 50_000_000))),
}


def with_picture(folder: Path, data: bytes) -> tuple[Path, str]:
    """A run whose first frame is these bytes, and its name."""
    made = run(folder, planned=1)
    episode(made, "s/one", 1.0)
    frame = json.loads((made / "episodes/s/one/1/steps.jsonl").read_text().splitlines()[0])["observation"]["frame"]
    (made / f"episodes/s/one/1/frames/{frame}.png").write_bytes(data)
    return made, frame


@pytest.mark.parametrize("kind", [*PICTURES, *BROKEN])
def test_a_picture_that_is_none_is_not_in_the_report(kind: str, tmp_path: Path) -> None:
    made, frame = with_picture(tmp_path / "run", {**PICTURES, **BROKEN}[kind])
    page = write_report(made, tmp_path / "report.html").read_text()
    images: dict[str, Any] = json.loads(page.partition('id="images">')[2].partition("</script>")[0])
    assert frame not in images and len(images) == 2


def test_a_step_without_its_picture_says_so(browser: Browser, tmp_path: Path) -> None:
    made, _ = with_picture(tmp_path / "run", PICTURES["HTML"])
    path = write_report(made, tmp_path / "report.html")
    with tab(browser, path.as_uri()) as seen:
        seen.page.click("a.row")
        assert "not in this file" in seen.texts(".stage")[0]
        assert seen.errors == []


@pytest.mark.parametrize("name", ["../../../../../secret", "/secret", "..%2fsecret", "a" * 63, "A" * 64, "__proto__"])
def test_a_frame_is_named_by_its_hash_alone(name: str, tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=1)
    episode(made, "s/one", 1.0)
    (tmp_path / "secret.png").write_bytes(png(10, 10))
    steps = made / "episodes/s/one/1/steps.jsonl"
    lines = [json.loads(line) for line in steps.read_text().splitlines()]
    lines[0]["observation"]["frame"] = name
    steps.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert name not in write_report(made, tmp_path / "report.html").read_text().partition('id="images">')[2]


def test_a_frame_that_leads_out_of_the_run_is_not_in_the_report(tmp_path: Path) -> None:
    made, frame = with_picture(tmp_path / "run", b"")
    path = made / f"episodes/s/one/1/frames/{frame}.png"
    path.unlink()
    (tmp_path / "secret.png").write_bytes(png(10, 10))
    path.symlink_to(tmp_path / "secret.png")
    assert frame not in write_report(made, tmp_path / "report.html").read_text().partition('id="images">')[2]
