"""The grid of live desktops and the films of episodes, in a real browser."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from deskbench.agent.report.report import write_report
from deskbench.agent.report.view import Server
from deskbench.agent.runs.names import address, run_name
from deskbench.agent.runs.offers import offer

from ..browser import Tab, chromium, tab
from ..serving import at_work
from ..staged_runs import episode, going, picture, run
from .test_app import CONTRAST
from .test_pages import HOSTILE
from .test_view import serving

OFFERED = "http://127.0.0.1:6080/deskbench.html#a-secret"
FILM_BEGAN, FRAMES_A_SECOND = 1_795_931_800.0, 15


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def looks(place: Path, text: str) -> str:
    """What the agent of an episode is shown now."""
    name = picture(place, text)
    (place / "now.json").write_text(json.dumps({"frame": name, "time": 1_795_931_802.0}))
    return name


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A run with three running desktops, one of which has not begun to look."""
    made = run(tmp_path / "runs/live", planned=5)
    episode(made, "s/done", 1.0)
    for task in ("s/one", "s/two", "s/three"):
        episode(made, task, None, finished=False)
    looks(made / "episodes/s/one/1", "now")
    (made / "episodes/s/three/1/steps.jsonl").write_text("")
    with going(made):
        yield made


@contextmanager
def grid(browser: Browser, link: str, made: Path, width: int = 1300) -> Iterator[Tab]:
    """The live page of a run."""
    with tab(browser, link) as seen:
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.run(f"location.hash = '#/run/{run_name(made)}/live'")
        seen.page.wait_for_selector(".desk")
        yield seen
        assert seen.errors == []
        wide = seen.run("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page is wider than the window"


@pytest.mark.parametrize("width", [1300, 420])
def test_the_grid_shows_what_each_agent_looks_at(width: int, browser: Browser, live: Path) -> None:
    with serving(live) as base, grid(browser, base, live, width) as seen:
        assert sorted(seen.texts(".desk b")) == ["s/one", "s/three", "s/two"]
        assert "3 desktops" in seen.page.inner_text(".title")
        seen.wait("[...document.querySelectorAll('.desk img')].filter(one => one.naturalWidth === 640).length === 2")
        assert 'step 2: type "hi"' in seen.page.inner_text(".desk:has-text('s/two')")
        assert seen.run(CONTRAST) == []
        name = looks(live / "episodes/s/one/1", "later")
        seen.wait(f"[...document.querySelectorAll('.desk img')].some(one => one.src.includes('{name}'))")
        assert all(url.startswith((base, "about:")) for url in seen.requests)
        assert not seen.page.is_visible("text=Take over")


def test_an_update_of_the_grid_takes_no_focus_and_an_episode_that_ends_leaves(browser: Browser, live: Path) -> None:
    with serving(live) as base, grid(browser, base, live) as seen:
        seen.page.focus(".desk:has-text('s/two') .desk-link")
        episode(live, "s/one", 0.5)
        seen.wait("document.querySelectorAll('.desk').length === 2")
        episode(live, "s/two", 0.5)
        seen.wait("document.querySelector('.title').textContent.includes('1 desktop ')")
        assert seen.run("document.activeElement.textContent").startswith("s/two 0.5")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector(".player")
        seen.page.go_back()
        seen.wait("document.querySelectorAll('.desk').length === 1")


def test_a_desktop_is_offered_only_where_run_and_pages_allow_it(
    browser: Browser, live: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    offer(live / "episodes/s/one/1", OFFERED)
    offer(live / "episodes/s/done/1", OFFERED)
    with serving(live) as base:
        requests.get(f"{base}/api/runs/{run_name(live)}/episodes", timeout=10)
        assert requests.get(f"{base}/api/runs/{run_name(live)}/desktops", timeout=10).json() == {}
    with offering(live) as server:
        assert requests.get(f"{server.address}/api/runs/{run_name(live)}/desktops", timeout=10).status_code == 401
        with grid(browser, server.link, live) as seen:
            seen.wait("[...document.querySelectorAll('.desk-ways')].some(one => !one.hidden)")
            links = seen.run("[...document.querySelectorAll('.desk-ways a')].filter(one => one.href)"
                             ".map(one => [one.href, one.rel])")  # fmt: skip
            assert links == [[f"{OFFERED},view", "noopener noreferrer"], [OFFERED, "noopener noreferrer"]]


@contextmanager
def offering(made: Path) -> Iterator[Server]:
    """A server that offers desktops."""
    with at_work(Server([made], take_over=True)) as server:
        yield server


def test_hostile_text_in_the_grid_is_text(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=1, agent=HOSTILE["a picture"])
    episode(made, "s/one", None, finished=False)
    place = made / "episodes/s/one/1"
    first = json.loads((place / "steps.jsonl").read_text().splitlines()[0])
    lines = [{**first, "actions": [{"type": "type", "text": text}]} for text in HOSTILE.values()]
    (place / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with going(made), serving(made) as base, grid(browser, base, made, 420) as seen:
        for frame in ('{"frame": "../../../run.json", "time": 1}', "[" * 1000, '{"frame": {}, "time": "x"}', "\0"):
            (place / "now.json").write_text(frame)
            looks(made / "episodes/s/one/1", frame)
        for text in (HOSTILE["a picture"], HOSTILE["a script"]):
            (place / "steps.jsonl").open("a").write(
                json.dumps({**first, "actions": [{"type": "type", "text": text}]}) + "\n"
            )
            seen.wait(f"document.querySelector('.desk-did').textContent.includes({json.dumps(text[:40])})")
        assert seen.run("window.hit") is None
        assert all(url.startswith((base, "about:")) for url in seen.requests)


def filmed(folder: Path, seconds: int = 4) -> Path:
    """A run of one episode with a film; its three pictures are half a second, one and a half, and three into it."""
    made = run(folder, planned=1)
    episode(made, "s/one", 1.0)
    place = made / "episodes/s/one/1"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc=size=320x200:rate={FRAMES_A_SECOND}",
         "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15",
         "-movflags", "+frag_keyframe+empty_moov", str(place / "video.mp4")],
        check=True,
    )  # fmt: skip
    lines: list[dict[str, Any]] = [json.loads(line) for line in (place / "steps.jsonl").read_text().splitlines()]
    for line, offset in zip(lines, (0.5, 1.5, 3.0), strict=True):
        line["time"] = FILM_BEGAN + offset
    span = {"asked": FILM_BEGAN - 1, "began": FILM_BEGAN + 1, "ended": FILM_BEGAN + seconds}
    lines.append({"kind": "note", "time": FILM_BEGAN + seconds, "what": "video", "detail": span})
    (place / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


PLAYED = "document.querySelector('video').currentTime"
WHERE = "document.querySelector('.where').textContent"


def follows(seen: Tab) -> None:
    """The film goes to a step, and the step follows the film."""
    seen.page.wait_for_selector(".player")
    seen.page.keyboard.press("v")
    for key, step, offset in (("j", "Step 2 of 2", 1.5), ("End", "End state", 3.0), ("Home", "Step 1 of 2", 0.5)):
        seen.page.keyboard.press(key)
        seen.wait(f"{WHERE} === '{step}' && Math.abs({PLAYED} - {offset}) < 0.3")
    for offset, step in ((2.0, "Step 2 of 2"), (3.5, "End state"), (0.1, "Step 1 of 2")):
        seen.run(f"{PLAYED} = {offset}")
        seen.wait(f"{WHERE} === '{step}'")
        assert abs(float(seen.run(PLAYED)) - offset) < 0.3, "the film was moved by the step that follows it"
    seen.page.keyboard.press("b")
    seen.wait("!document.querySelector('video')")


def test_a_film_and_the_steps_follow_each_other(browser: Browser, tmp_path: Path) -> None:
    made = filmed(tmp_path / "run")
    way = address(made, made / "episodes/s/one/1")
    report = write_report(made, tmp_path / "full/report.html", full=True)
    with serving(made) as base, tab(browser, f"{base}/#{way}") as seen, tab(browser, f"{report.as_uri()}#{way}") as one:
        for page in (seen, one):
            follows(page)
            assert page.errors == []
        film = requests.get(f"{base}/api{way.replace('/run/', '/runs/').replace('/episode/', '/episodes/')}/video.mp4",
                            headers={"Range": "bytes=4-7"}, timeout=10)  # fmt: skip
        assert (film.status_code, film.content, film.headers["Content-Type"]) == (206, b"ftyp", "video/mp4")


def test_a_report_without_full_has_no_film(browser: Browser, tmp_path: Path) -> None:
    made = filmed(tmp_path / "run")
    path = write_report(made, tmp_path / "report.html")
    with tab(browser, f"{path.as_uri()}#{address(made, made / 'episodes/s/one/1')}") as seen:
        seen.page.wait_for_selector(".player")
        assert "Video" not in seen.page.inner_text(".bar")


@pytest.mark.parametrize("content", [b"", b"<!doctype html><script>window.hit = 1</script>", b"\0\0\0\x18ftypnone"])
def test_a_film_that_is_none_is_not_played(content: bytes, browser: Browser, tmp_path: Path) -> None:
    made = filmed(tmp_path / "run", seconds=1)
    place = made / "episodes/s/one/1"
    (place / "video.mp4").write_bytes(content)
    with serving(made) as base, tab(browser, f"{base}/#{address(made, place)}") as seen:
        seen.page.wait_for_selector(".player")
        seen.page.keyboard.press("v")
        seen.wait("document.querySelector('.stage').textContent.includes('cannot play the video')")
        seen.page.keyboard.press("b")
        seen.wait("document.querySelector('.screen img')?.naturalWidth === 640")
        assert seen.run("window.hit") is None


def test_a_film_that_leads_out_of_the_run_is_not_served(tmp_path: Path) -> None:
    made = filmed(tmp_path / "run", seconds=1)
    place = made / "episodes/s/one/1"
    (place / "video.mp4").rename(tmp_path / "secret.mp4")
    (place / "video.mp4").symlink_to(tmp_path / "secret.mp4")
    way = address(made, place).replace("/run/", "/runs/").replace("/episode/", "/episodes/")
    with serving(made) as base:
        assert requests.get(f"{base}/api{way}/video.mp4", timeout=10).status_code == 404
    assert not list(write_report(made, tmp_path / "o/report.html", full=True).parent.rglob("*.mp4"))
