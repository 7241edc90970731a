"""The documentation is true: each page has an example that runs as it is, and every link leads somewhere.

`<!-- tested -->` precedes a page's example, a fenced block of `sh` or `python`. It runs in an empty folder and must
exit with status 0. `<!-- prints -->` precedes a block of lines that it must print, in this order; `…` is any text on a
line.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
EXPLAINED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
"""Every page except tables that another page introduces."""
EXAMPLE = re.compile(r"^<!-- tested -->\n(`{3,})(sh|python)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"^<!-- prints -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
    example, prints = EXAMPLE.search(text_of(page)), PRINTS.search(text_of(page))
    assert example and prints, "the page needs an example that a test runs, and what it prints"
    command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": ["python", "-c"]}[example[2]]
    folder = tmp_path / "empty"
    folder.mkdir()
    done = subprocess.run([*command, example[3]], cwd=folder, env=shell, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=240, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert missing(prints[1], done.stdout) == [], done.stdout


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


def test_a_reader_finds_every_page_from_the_first() -> None:
    found, ahead = set[Path](), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        if page not in found:
            found.add(page)
            ahead += [one for one in links(page) if one.suffix == ".md" and one.is_relative_to(DOCS)]
    assert {name_of(page) for page in PAGES} - {name_of(page) for page in found} == set()


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
