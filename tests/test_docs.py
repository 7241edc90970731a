"""The documentation is true: each page has an example that runs as it is, and every link leads somewhere.

`<!-- tested -->` precedes an example, a fenced block of `sh` or `python`. It runs in an empty folder and must exit with
status 0. `<!-- prints -->` precedes a block of lines that it must print, in this order; `…` is any text on a line. A
page may have several examples.

`docs/first-task.md` is followed from its first line to its last, in one folder (`Follower`).
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskbench.agent.agents.profile import profile_names

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TUTORIAL = DOCS / "first-task.md"
EXPLAINED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted({*DOCS.glob("*.md")} - {TUTORIAL})]
"""Every page except the tutorial and tables that another page introduces."""
EXAMPLE = re.compile(r"^<!-- tested -->\n(`{3,})(sh|python)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"^<!-- prints -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"^<!-- (run|run, then Ctrl-C|prints|change: (\S+)) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
DIFFERS = {
    r"\b\d{8}-\d{6}\b": "TIME",
    r"\b\d+ s\b": "SECONDS",
    r"127\.0\.0\.1:\d+": "ADDRESS",
}
"""What differs each time: the time in a folder's name, how long something took, a free port."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_TABLE = 30
"""How many lines of a table fit on a screen."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> Iterator[Path]:
    """The files that a page links to; code is not searched for links."""
    prose = re.sub(r"^(`{3,}).*?^\1$|`[^`\n]+`", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(prose):
        if not target.startswith(("http://", "https://", "#")):
            yield (page.parent / target.partition("#")[0]).resolve()


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of an example: `deskbench` is this tree's command, `python` the interpreter of the tests."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in {"deskbench": "-m deskbench.agent", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "COLUMNS": "160", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def missing(prints: str, output: str) -> list[str]:
    """The expected lines that an example did not print, or printed out of order."""
    printed = iter(output.splitlines())
    patterns = {line: re.escape(line).replace("…", ".*") for line in prints.splitlines()}
    return [line for line, pattern in patterns.items() if not any(re.search(pattern, one) for one in printed)]


@pytest.mark.desktop
@pytest.mark.parametrize("page", EXPLAINED, ids=name_of)
def test_the_example_of_a_page_runs_as_it_stands(page: Path, tmp_path: Path, shell: dict[str, str]) -> None:
    examples, prints = EXAMPLE.findall(text_of(page)), PRINTS.findall(text_of(page))
    assert examples and len(examples) == len(prints), "the page needs an example that a test runs, and what it prints"
    for number, ((_, language, example), printed) in enumerate(zip(examples, prints, strict=True)):
        command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": ["python", "-c"]}[language]
        folder = tmp_path / f"empty-{number}"
        folder.mkdir()
        done = subprocess.run([*command, example], cwd=folder, env=shell, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=240, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert missing(printed, done.stdout) == [], done.stdout


@pytest.mark.parametrize(
    ("prints", "output", "lacks"),
    [
        ("a\nc", "x\na 1\nb\nthe c\n", []),
        ("a…3", "a 1 2 3\n", []),
        ("c\na", "a\nb\nc\n", ["a"]),
        ("a…3", "a\n3\n", ["a…3"]),
        ("a.c", "abc\n", ["a.c"]),
    ],
)
def test_what_a_page_says_of_its_example_is_compared(prints: str, output: str, lacks: list[str]) -> None:
    assert missing(prints, output) == lacks


class Follower:
    """Follows a tutorial in a folder, as a reader would.

    - `<!-- run -->`: the commands of the block are run, and must exit with status 0.
    - `<!-- run, then Ctrl-C -->`: the same, but Ctrl-C ends them when the last line that the page shows is printed.
    - `<!-- change: FILE -->`: the block's keys replace those of the JSON file, or are added to it.
    - `<!-- prints -->`: all that the last commands have printed. A line `…` stands for any lines, and `…` in a line
      for any text. What differs each time (`DIFFERS`) is not compared.
    """

    def __init__(self, folder: Path, shell: dict[str, str]) -> None:
        self._folder, self._shell = folder, shell

    def follow(self, page: str) -> int:
        """Carry out a page; gives the number of its blocks."""
        blocks = BLOCK.findall(page)
        printed = ""
        for number, (mark, file, body) in enumerate(blocks):
            if file:
                self._change(self._folder / file, body)
            elif mark == "prints":
                assert re.fullmatch(pattern(body), settled(printed)), f"the page:\n{body}\nprinted:\n{printed}"
            else:
                last = blocks[number + 1][2].splitlines()[-1] if mark != "run" else None
                printed = self._run(body, last)
        return len(blocks)

    @staticmethod
    def _change(path: Path, shown: str) -> None:
        text = path.read_text()
        for key, part in pairs(shown, ""):
            old, new = dict(pairs(text, "  ")).get(key), textwrap.indent(part, "  ")
            text = text.replace(old, new) if old else text.removesuffix("\n}\n") + f",\n{new}\n}}\n"
        json.loads(text)
        path.write_text(text)

    def _run(self, commands: str, last: str | None) -> str:
        """What the commands print; with `last`, they are interrupted when they have printed that line."""
        with subprocess.Popen(["bash", "-euo", "pipefail", "-c", f"exec {commands}" if last else commands],
                              cwd=self._folder, env=self._shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as running:  # fmt: skip
            assert running.stdout is not None
            lines = []
            for line in running.stdout:
                lines.append(line)
                if line.rstrip() == last:
                    running.send_signal(signal.SIGINT)
        assert running.returncode == 0, "".join(lines)
        return "".join(lines)


def pairs(text: str, indent: str) -> Iterator[tuple[str, str]]:
    """The keys of a JSON object that stand at an indentation, each with all of its text, value included."""
    for found in re.finditer(rf'^{indent}"([^"]+)": ', text, re.MULTILINE):
        _, end = json.JSONDecoder().raw_decode(text, found.end())
        yield found[1], text[found.start() : end]


def settled(text: str) -> str:
    """A text in which nothing differs from one time to the next."""
    for differs, name in DIFFERS.items():
        text = re.sub(differs, name, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def pattern(shown: str) -> str:
    """A pattern for what a page shows of an output."""
    lines = re.escape(settled(shown))
    return re.sub("…", ".*", re.sub(r"^…\\?\n", r"(?:.*\\n)*", lines, flags=re.MULTILINE))


@pytest.mark.desktop
@pytest.mark.timeout(900)
def test_the_tutorial_can_be_followed_to_the_letter(tmp_path: Path, shell: dict[str, str]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    page = text_of(TUTORIAL)
    assert Follower(folder, shell).follow(page) == page.count("\n```") / 2, "a block without a mark"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n…\n", "a\nb\nc\n", True),
        ("…\nc\n", "c\n", True),
        ("a…c\n", "abc\n", True),
        ("a…c\n", "ab\nc\n", False),
        ("took 3 s\n", "took 45 s\n", True),
        ("run runs/20260105-120000-x\n", "run runs/20261129-123308-x\n", True),
        ("run runs/20260105-120000-x\n", "run runs/20261129-123308-y\n", False),
        ("at http://127.0.0.1:1/x\n", "at http://127.0.0.1:8080/x\n", True),
        ("1 of 1 (100.0%)\n", "1x of 1 (100.0%)\n", False),
    ],
)
def test_all_that_a_tutorial_shows_is_compared(shown: str, printed: str, same: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), settled(printed))) is same


def test_a_reader_finds_every_page_from_the_first() -> None:
    found, ahead = set[Path](), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        if page not in found:
            found.add(page)
            ahead += [one for one in links(page) if one.suffix == ".md" and one.is_relative_to(DOCS)]
    assert {name_of(page) for page in PAGES} - {name_of(page) for page in found} == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "models.md"], ids=name_of)
def test_the_number_of_families_is_the_number_that_there_are(page: Path) -> None:
    assert re.findall(r"(\d+) families of models", text_of(page)) == [str(len(profile_names()))]


def test_the_site_has_every_page() -> None:
    listed = re.findall(r": (\S+\.md)$", text_of(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


@pytest.mark.parametrize("page", sorted({*PAGES, *EXPLAINED, *ROOT.glob("docker/*/README.md")}), ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [str(target) for target in links(page) if not target.exists()] == []
    if page in PAGES:
        assert [str(target) for target in links(page) if not target.is_relative_to(DOCS)] == [], "not on the site"


@pytest.mark.parametrize("page", EXPLAINED, ids=name_of)
def test_a_long_table_has_a_page_of_its_own(page: Path) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", text_of(page), re.MULTILINE)
    assert [table.splitlines()[0] for table in tables if table.count("\n") > LONGEST_TABLE] == []
