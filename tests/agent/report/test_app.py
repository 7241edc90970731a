"""The application in a real browser, at a desk's width and a telephone's, with a run that goes on."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route

from deskbench.agent.base import Ending
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.names import run_name

from ..browser import Tab, chromium, tab
from ..staged_runs import episode, going, run
from .test_view import serving

WIDTHS = (1300, 420)
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
"""Texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of many episodes; one is running."""
    made = run(tmp_path_factory.mktemp("runs") / "2026-run", planned=70)
    facts = json.loads((made / "run.json").read_text())
    facts |= {"created": 1795931802.0, "desktop": {"image": "sha256:0123"},
              "config": {"max_steps": 15, "agent_settings": {"model": "a-model", "observation": "som"}}}  # fmt: skip
    (made / "run.json").write_text(json.dumps(facts))
    for number in range(60):
        score = (1.0, 0.0, 0.5, None)[number % 4]
        episode(made, f"{'st'[number % 2]}/task-{number:02}", score, ending=Ending.DONE if score else Ending.STEP_LIMIT)
    episode(made, "s/going", None, finished=False)
    with going(made):
        yield made


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


@contextmanager
def opened(browser: Browser, url: str, width: int = 1300, scheme: str = "light") -> Iterator[Tab]:
    """A page of this width; nothing in it may fail."""
    with tab(browser, "about:blank") as seen:
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        seen.page.goto(url)
        seen.page.wait_for_selector("a.row, .player, .run")
        yield seen
        assert seen.errors == []
        wide = seen.run("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page is wider than the window"


def test_a_slow_first_page_does_not_rename_the_next(browser: Browser, base: str, folder: Path) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with tab(browser, "about:blank") as seen:
        seen.page.route(f"{base}/api/runs", hold)
        seen.page.goto(base)
        seen.wait("location.pathname === '/'")
        seen.run(f"location.hash = '#/run/{run_name(folder)}/live'")
        seen.page.wait_for_selector(".desk")
        with seen.page.expect_response(f"{base}/api/runs"):
            held[0].continue_()
        seen.run("new Promise(done => setTimeout(done, 0))")
        assert seen.run("location.hash") == f"#/run/{run_name(folder)}/live"
        assert seen.errors == []


def said(seen: Tab) -> str:
    found: str = seen.page.inner_text("main")
    return found


def shown_rows(seen: Tab) -> list[str]:
    """The tasks of the rows, from top to bottom."""
    found: list[str] = seen.run(
        "[...document.querySelectorAll('a.row')].sort((a, b) => a.dataset.index - b.dataset.index)"
        ".map(row => row.querySelector('.task').textContent)"
    )
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_shows_its_score_with_all_that_it_depends_on(width: int, browser: Browser, base: str) -> None:
    with opened(browser, base, width) as seen:
        seen.wait("document.querySelectorAll('a.row').length > 10 && document.querySelector('.huge')")
        text = said(seen)
        for fact in ("0.500", "95 % interval", "45 tasks",
                     "45 scored episodes of 70 planned", "15 not scored", "sha256:0123",
                     "a-model", "som", "settled", "0.1.0", "abababababab", "running"):  # fmt: skip
            assert fact in text, fact
        assert seen.run("document.querySelectorAll('svg.interval .band, .curve .line').length") >= 4
        assert seen.run("document.querySelectorAll('a.row').length") < 61, "rows that nobody sees are in the document"


def test_the_curves_end_at_the_score(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=5)
    episode(made, "s/one", 0.0)
    for number in range(4):
        episode(made, f"s/many@{number}", 1.0)
    with opened(browser, write_report(made, tmp_path / "report.html").as_uri()) as seen:
        seen.wait("document.querySelector('.huge').textContent === '0.500'")
        words = seen.run("document.querySelector('.curve svg').getAttribute('aria-label')")
    assert words == "mean score if episodes were cut off: 0.500 at 2"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_the_light_and_in_the_dark(scheme: str, browser: Browser, base: str) -> None:
    with opened(browser, base, scheme=scheme) as seen:
        assert seen.run(CONTRAST) == []
        seen.page.click("a.row >> nth=1")
        seen.page.wait_for_selector(".player")
        assert seen.run(CONTRAST) == []


def test_the_list_is_filtered_and_sorted_and_the_address_keeps_it(browser: Browser, base: str) -> None:
    with opened(browser, base) as seen:
        seen.page.select_option("select[aria-label=Result]", "partial")
        seen.page.fill("input[type=search]", "task because")
        assert "15 of 61 episodes" in said(seen)
        seen.page.click("button.head.task")
        seen.page.click("button.head.task")
        assert shown_rows(seen)[:2] == ["s/task-58", "s/task-54"]
        seen.page.click("a.row >> nth=0")
        seen.page.wait_for_selector(".player")
        seen.page.go_back()
        seen.page.wait_for_selector("a.row")
        assert "15 of 61 episodes" in said(seen)
        assert seen.page.input_value("input[type=search]") == "task because"
        seen.page.click("text=clear filters")
        seen.page.select_option("select[aria-label=Domain]", "t")
        assert "30 of 61 episodes" in said(seen)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_step_has_an_address_and_keys_walk_through_them(width: int, browser: Browser, base: str) -> None:
    with opened(browser, base, width) as seen:
        seen.page.click("a.row >> nth=1")
        seen.page.wait_for_selector(".player")
        here = seen.page.url
        for key, step in {"j": "2", "ArrowRight": "end", "k": "2", "Home": "1", "End": "end"}.items():
            seen.page.keyboard.press(key)
            assert seen.page.url.endswith(f"/step/{step}"), key
        assert "this is what was scored" in said(seen)
        seen.page.click(".cell >> nth=1")
        assert seen.page.url.endswith("/step/2") and "Step 2 of 2" in said(seen)
        seen.page.go_back()
        seen.wait("location.hash.endsWith('/step/end')")
        seen.wait("document.querySelector('.where').textContent === 'End state'")
        seen.page.go_forward()
        seen.wait("document.querySelector('.where').textContent === 'Step 2 of 2'")
        seen.page.keyboard.press("?")
        assert "next step" in seen.page.inner_text("dialog")
        seen.page.keyboard.press("Escape")
        seen.page.keyboard.press("n")
        seen.wait(
            f"location.href !== {json.dumps(here)} && document.querySelector('.where').textContent === 'Step 1 of 2'"
        )
        seen.page.keyboard.press("Escape")
        seen.page.wait_for_selector("a.row")


def test_a_step_shows_its_action_what_it_changed_and_the_checks(browser: Browser, base: str) -> None:
    with opened(browser, base) as seen:
        seen.page.click("a.row >> nth=1")
        seen.wait("document.querySelector('.screen img')?.naturalWidth === 640")
        assert seen.run("[...document.querySelectorAll('circle.mark')].map(c => c.getAttribute('cx'))") == [
            "100",
            "100",
        ]
        seen.page.keyboard.press("d")
        seen.wait("document.querySelector('.caption').textContent.includes('% of the screen')")
        assert "exact_match" in said(seen) and "I click." in said(seen)
        seen.page.keyboard.press("f")
        assert seen.run("document.querySelectorAll('circle.mark').length") == 0


def test_an_update_takes_neither_the_focus_nor_what_is_typed(browser: Browser, base: str, folder: Path) -> None:
    with opened(browser, base) as seen:
        seen.page.fill("input[type=search]", "task")
        seen.page.focus("a.row >> nth=2")
        before = seen.run("document.activeElement.getAttribute('href')")
        episode(folder, "s/task-00a", 1.0)
        seen.wait("document.querySelector('.list').textContent.includes('s/task-00a')")
        assert seen.run("document.activeElement.getAttribute('href')") == before
        seen.page.focus(".domains button >> nth=0")
        episode(folder, "s/task-00b", 0.0)
        seen.wait("document.querySelector('.list').textContent.includes('s/task-00b')")
        assert seen.run("document.activeElement.dataset.key") == "domain s"
        assert seen.page.input_value("input[type=search]") == "task"


def test_several_runs_stand_side_by_side(browser: Browser, folder: Path, tmp_path: Path) -> None:
    other = run(tmp_path / "other", planned=1, agent="null")
    episode(other, "s/task-00", 0.0)
    path = write_report([folder, other], tmp_path / "report.html")
    with opened(browser, path.as_uri(), 420) as seen:
        assert len(seen.texts(".run")) == 2
        seen.page.click("text=Compare")
        seen.page.click("summary")
        seen.page.wait_for_selector("table.beside")
        assert seen.texts("table.beside tbody tr")[1].startswith("s/task-00")
        assert seen.run("document.querySelectorAll('table.beside tbody tr:nth-child(2) a').length") == 2
        assert [url for url in seen.requests if not url.startswith("data:")] == [path.as_uri()]


NAMESPACE = "https://accessibility.ubuntu.example.org/ns"
TREE = f"""<desktop-frame xmlns:st="{NAMESPACE}/state" xmlns:cp="{NAMESPACE}/component"><push-button name="%s"
 st:visible="true" st:showing="true" cp:screencoord="(40, 30)" cp:size="(200, 60)"/></desktop-frame>"""


def with_trees(made: Path, names: list[str]) -> list[str]:
    """Give each observation of an episode a tree with one button; returns the trees' names."""
    place = made / "episodes/s/one/1"
    (place / "files").mkdir(exist_ok=True)
    lines = [json.loads(line) for line in (place / "steps.jsonl").read_text().splitlines()]
    found = []
    for line, name in zip(lines, names, strict=True):
        data = (TREE % name).encode()
        found.append(hashlib.sha256(data).hexdigest())
        (place / "files" / found[-1]).write_bytes(data)
        line["observation"]["accessibility"] = found[-1]
    (place / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return found


def test_the_elements_of_trees_are_in_view_and_in_a_report(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=1)
    episode(made, "s/one", 1.0)
    with_trees(made, ["First", "Second", "Last &lt;b&gt;"])
    path = write_report(made, tmp_path / "report.html")
    with serving(made) as base:
        for url in (base, path.as_uri()):
            with opened(browser, url) as seen:
                seen.page.click("a.row")
                seen.page.click("text=Elements")
                seen.wait("document.querySelector('.box title')?.textContent === 'push-button First'")
                box = seen.run("['x', 'y', 'width', 'height'].map(n => document.querySelector('.box').getAttribute(n))")
                assert box == ["40", "30", "200", "60"]
                seen.page.keyboard.press("End")
                seen.wait("document.querySelector('.box title')?.textContent === 'push-button Last <b>'")


def test_a_report_holds_the_trees_that_say_most(tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=1)
    episode(made, "s/one", 1.0)
    first, second, last = with_trees(made, ["First", "Second", "Last"])
    (made / "episodes/s/one/1/files" / second).unlink()
    page = write_report(made, tmp_path / "report.html", tree_room=60).read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert list(data["trees"]) == [last] and first in page


def test_full_pictures_lie_beside_a_report(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / "run", planned=1)
    episode(made, "s/one", 1.0)
    path = write_report(made, tmp_path / "out/report.html", full=True)
    assert len(list((tmp_path / "out/report-frames").glob("*.png"))) == 3
    with opened(browser, path.as_uri()) as seen:
        seen.page.click("a.row")
        seen.wait("document.querySelector('.screen img')?.naturalWidth === 640")
        assert "report-frames" in seen.run("document.querySelector('.screen img').src")


@pytest.mark.parametrize("hash_", ["#/run/0", "#/run/../x", "#/runs/a+b", "#/nowhere", "#/run/ID/episode/0/step/9"])
def test_an_address_that_leads_nowhere_says_so(hash_: str, browser: Browser, base: str) -> None:
    known = "0" * 16
    with tab(browser, f"{base}/{hash_.replace('ID', known)}") as seen:
        seen.page.wait_for_selector("h1")
        assert seen.texts("h1")
        assert not [error for error in seen.errors if "404" not in error]


def test_a_replay_shows_both_screens_where_they_first_differ(browser: Browser, tmp_path: Path) -> None:
    made = run(tmp_path / "replay", planned=1, agent="replay")
    episode(made, "s/one", 1.0)
    Image.new("RGB", (80, 20), "red").save(made / "difference-001.png")
    path = write_report(made, tmp_path / "report.html")
    with serving(made) as base:
        for address in (path.as_uri(), base):
            with opened(browser, address) as seen:
                seen.page.click("a.row")
                seen.page.click("text=step 2 >> nth=0")
                seen.page.click("text=Recorded and replayed")
                seen.wait("document.querySelector('.replay img')?.naturalWidth === 80")
