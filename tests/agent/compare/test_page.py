"""The page of a comparison in a real browser, and the command that writes it."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner, Result

from deskbench.agent.cli.main import app
from deskbench.agent.compare.page import write_page
from deskbench.agent.compare.runs import compare_runs
from deskbench.envs.errors import UsageError

from ..browser import chromium, tab
from .comparable import played, put

HOSTILE = "</td><script>document.title = 'owned'</script><img src=http://127.0.0.1:1/x>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two runs of 12 tasks; what the desktop says in one of them is hostile."""
    folder = tmp_path_factory.mktemp("compare")
    runs = [played(folder / "a", "+-" * 6), played(folder / "b", "++" * 4 + "+-?+", agent=HOSTILE)]
    put(runs[1], "s/t00", 0.0, reason=HOSTILE, task_json={"tags": [HOSTILE]})
    write_page(compare_runs(runs, anyway=True), folder / "out" / "compare.html")
    return folder / "out" / "compare.html"


@pytest.mark.desktop
@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_asks_for_nothing_runs_nothing_and_fits(browser: Browser, page: Path, width: int, scheme: str) -> None:
    with tab(browser, page.as_uri()) as shown:
        shown.page.set_viewport_size({"width": width, "height": 900})
        shown.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert (shown.errors, shown.requests) == ([], [page.as_uri()])
        assert shown.page.title().endswith("compared")
        assert HOSTILE in " ".join(shown.texts(".reason"))
        assert shown.run("document.documentElement.scrollWidth") <= width
        assert shown.run(CONTRAST) >= 4.5


CONTRAST = """() => {
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    const colour = getComputedStyle(node).backgroundColor;
    return /, 0\\)$/.test(colour) ? behind(node.parentElement) : colour;
  };
  const ratio = node => {
    const style = getComputedStyle(node), text = node.closest("svg") ? style.fill : style.color;
    const [dark, bright] = [light(text), light(behind(node))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const texts = document.querySelectorAll("p, th, td, a, h1, h2, h3, span, b, text, .reason");
  return Math.min(...[...texts].map(ratio));
}"""
"""The least contrast of a text with what is behind it (WCAG 2.2, 1.4.3 asks for 4.5)."""


@pytest.mark.desktop
def test_the_answer_comes_first_and_flips_link_to_their_episodes(browser: Browser, page: Path) -> None:
    with tab(browser, page.as_uri()) as shown:
        assert shown.texts(".large") == ["A and B are not distinguishable"]
        assert shown.texts("svg text")[:3] == ["-0.7", "0", "+0.7"]
        links = shown.page.eval_on_selector_all("td a", "all => all.map(one => one.href)")
    assert len(links) == 2 * 6
    assert all(re.search(r"/(a|b)/report\.html#/run/\w{16}/episode/\w{16}$", link) for link in links)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)), terminal_width=200)


def test_the_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    runs = [played(tmp_path / "a", "-" * 6 + "+" * 6), played(tmp_path / "b", "+" * 11 + "-")]
    done = call("compare", *runs, "--html", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[1].split()[:3] == ["A", "a", "vlm"]
    assert any(line.startswith("A and B are not distinguishable: B - A = +0.417") for line in lines)
    assert any(re.match(r"s/t00 +0.000 +1.000 .*a/episodes/s/t00/1 +\S*b/episodes/s/t00/1$", line) for line in lines)
    text = (tmp_path / "page.html").read_text()
    assert "B - A = +0.417" in text and "s/t00" in text
    found = json.loads(call("compare", *runs, "--json").stdout)
    assert found["against"][0]["all"]["difference"] == pytest.approx(5 / 12)
    assert found["against"][0]["all"]["test"] == "mcnemar-midp"


def test_a_folder_whose_name_is_no_text_has_a_link_that_works(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    runs = [played(odd / "a", "+-"), played(tmp_path / "b", "++")]
    write_page(compare_runs(runs), tmp_path / "page.html")
    assert 'href="%FF/a/report.html#/run/' in (tmp_path / "page.html").read_text()


def test_the_command_refuses_what_is_not_comparable_and_warns_with_anyway(tmp_path: Path) -> None:
    runs = [played(tmp_path / "a", "+-"), played(tmp_path / "b", "++", max_steps=50)]
    refused = call("compare", *runs)
    assert isinstance(refused.exception, UsageError)  # `main` prints it on one line and exits with status 2
    assert "\n" not in str(refused.exception)
    assert "step limit 15 against 50 (2 tasks: s/t00, t/t01)" in str(refused.exception)
    warned = call("compare", *runs, "--anyway")
    assert warned.exit_code == 0
    assert "warning: scores are not comparable: step limit 15 against 50" in warned.stderr


def test_the_command_plans_with_and_without_runs(tmp_path: Path) -> None:
    lines = call("compare", "--plan", "--difference", "0.05", "--tasks", "369").stdout.splitlines()
    assert lines[0].startswith("to show a difference of 0.05 with 80% power")
    assert "369 tasks: 6 attempts per task are enough" in lines
    assert next(line for line in lines if line.startswith("1  ")).split() == ["1", "622", "1,244"]
    runs = [played(tmp_path / "a", "+-" * 5), played(tmp_path / "b", "+-" * 3 + "++" * 2)]
    assert json.loads(call("compare", "--plan", *runs, "--json").stdout)["discordant"] == 0.2
    assert isinstance(call("compare", "--plan", "--html", tmp_path / "x.html").exception, UsageError)
    assert isinstance(call("compare").exception, UsageError)
