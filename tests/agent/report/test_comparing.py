"""The page that compares runs, in `view` and in a report, in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from deskbench.agent.compare.runs import compare_runs
from deskbench.agent.report.catalog import ShownRun
from deskbench.agent.report.comparing import Comparisons
from deskbench.agent.report.index import Index
from deskbench.agent.report.report import write_report
from deskbench.agent.runs.names import run_name

from ..browser import Tab, chromium, tab
from ..compare.comparable import played, put
from .test_app import CONTRAST, opened
from .test_pages import HOSTILE
from .test_view import serving

ALL_HOSTILE = " ".join(text for kind, text in HOSTILE.items() if kind != "a long word")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs; the last had another observation policy."""
    root = tmp_path_factory.mktemp("runs")
    played(root / "old", "++++------------++", agent="model-a")
    played(root / "new", "++++++++++++++++--", agent="model-b")
    played(root / "other", "++++------------++", agent="model-c", policy="immediate")
    return root


@pytest.fixture(scope="module")
def base(root: Path) -> Iterator[str]:
    with serving(root) as address:
        yield address


def test_two_runs_are_chosen_and_compared_and_each_flip_leads_to_both_episodes(browser: Browser, base: str) -> None:
    with opened(browser, base) as seen:
        seen.page.wait_for_selector("input[aria-label='Compare new']")
        for name in ("old", "new"):  # the first that is chosen is A
            seen.page.check(f"input[aria-label='Compare {name}']")
        seen.page.click("text=Compare")
        seen.page.wait_for_selector(".versus")
        assert seen.texts(".verdict-line") == ["B scores higher than A"]
        assert "B − A = +0.556" in seen.page.inner_text(".versus") and "least true difference" in said(seen)
        assert len(seen.texts(".flips tbody tr")) == 14
        assert seen.run(CONTRAST) == []
        for column, score in ((3, "1.0"), (4, "0.0")):
            row = "document.querySelector('.flips tbody tr')"
            assert score in seen.run(f"{row}.children[{column - 1}].textContent")
            seen.page.click(f".flips tbody tr:first-child td:nth-child({column}) a")
            seen.page.wait_for_selector(".player")
            assert seen.texts(".outcome .chip") == [score]
            seen.page.go_back()
            seen.page.wait_for_selector(".versus")


def said(seen: Tab) -> str:
    found: str = seen.page.inner_text("main")
    return found


def test_runs_that_are_not_comparable_are_compared_with_a_warning(browser: Browser, base: str, root: Path) -> None:
    ids = "+".join(run_name(root / name) for name in ("old", "new", "other"))
    with opened(browser, f"{base}/#/runs/{ids}", width=420) as seen:
        seen.page.wait_for_selector(".versus")
        assert seen.texts(".versus > .bad")[0].startswith(
            "Scores are not comparable: observation policy settled against"
        )
        assert "(adjusted" in said(seen) and "A and C are not distinguishable" in said(seen)
        assert seen.run("document.querySelectorAll('.versus').length") == 2
        seen.page.click(".letter a >> nth=1")  # the others are compared with C
        seen.wait("document.querySelector('.run .names').textContent.includes('model-c')")
        seen.page.wait_for_selector(".versus")


def test_a_report_of_several_runs_holds_their_comparison(browser: Browser, root: Path, tmp_path: Path) -> None:
    path = write_report([root / "old", root / "new"], tmp_path / "report.html")
    with opened(browser, path.as_uri()) as seen:
        seen.page.click("text=Compare")
        seen.page.wait_for_selector(".versus")
        assert seen.texts(".verdict-line") == ["B scores higher than A"]
        assert [url for url in seen.requests if not url.startswith(("data:", "about:"))] == [path.as_uri()]
    assert str(root) not in path.read_text()


def test_hostile_text_in_a_comparison_is_text(browser: Browser, tmp_path: Path) -> None:
    for name, score in (("one", 0.0), ("two", 1.0)):
        made = played(tmp_path / name, "++", agent=ALL_HOSTILE)
        put(made, "s/hostile", score, reason=ALL_HOSTILE, policy=ALL_HOSTILE + name)
    with serving(tmp_path) as base, opened(browser, base) as seen:
        seen.page.click("text=Compare")
        seen.page.wait_for_selector(".versus")
        assert "window.hit = 1" in seen.page.inner_text(".flips")
        assert "Scores are not comparable" in seen.page.inner_text(".versus")
        assert seen.run("window.hit") is None
        assert all(url.startswith((base, "about:")) for url in seen.requests)


def test_runs_without_a_task_in_common_say_so(browser: Browser, tmp_path: Path) -> None:
    played(tmp_path / "one", "+ ")
    played(tmp_path / "two", " +")
    with serving(tmp_path) as base, opened(browser, base) as seen:
        seen.page.click("text=Compare")
        seen.wait("document.querySelector('main').textContent.includes('no episode of the same task')")


def test_a_comparison_is_that_of_the_command(root: Path, base: str) -> None:
    folders = [root / "old", root / "new"]
    answer = requests.get(f"{base}/api/compare/{'+'.join(map(run_name, folders))}", timeout=30)
    (versus,) = answer.json()["against"]
    (expected,) = compare_runs(folders).against
    assert [flip["task"] for flip in versus["flips"]] == [flip.task for flip in expected.flips]
    assert (versus["all"]["mean"], versus["all"]["low"]) == (expected.all.difference, expected.all.low)
    assert requests.get(f"{base}/api/compare/{run_name(folders[0])}+0", timeout=30).status_code == 404
    assert "from two to" in requests.get(f"{base}/api/compare/{run_name(folders[0])}", timeout=30).json()["broken"]


def test_a_comparison_is_made_again_when_a_run_changes(tmp_path: Path) -> None:
    folders = [played(tmp_path / "one", "+" * 8), played(tmp_path / "two", "+" * 8)]
    comparisons, runs = Comparisons(), [ShownRun(folder, Index(None)) for folder in folders]
    first = comparisons.of(runs)
    assert comparisons.of(runs) is first
    put(folders[1], "s/t00", 0.0)
    facts = json.loads((folders[1] / "run.json").read_text())
    (folders[1] / "run.json").write_text(json.dumps({**facts, "ended": 1.0}))
    fresh = Comparisons().of(runs)
    assert [flip["task"] for flip in fresh["against"][0]["flips"]] == ["s/t00"]


def test_a_page_of_no_runs_says_so(browser: Browser, base: str) -> None:
    with tab(browser, f"{base}/#/runs/0+1") as seen:
        seen.wait("document.querySelector('main').textContent.length > 10")
        assert not [error for error in seen.errors if "404" not in error]
