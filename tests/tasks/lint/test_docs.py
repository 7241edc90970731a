"""The page about the rules matches the registry and OSWorld's files."""

import os
from pathlib import Path

import pytest

from deskbench.tasks.lint import Report, lint, output

ROOT = Path(__file__).resolve().parents[3]
OSWORLD = Path(os.environ.get("OSWORLD_TASKS") or ROOT.parent / "shared" / "osworld_tasks")
PAGE = (ROOT / "docs" / "tables" / "lint.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_of_the_rules() -> None:
    assert output.table() in PAGE


@pytest.fixture(scope="module")
def osworld() -> Report:
    if not OSWORLD.is_dir():
        pytest.skip("OSWorld's task files are not beside this checkout")
    return lint(OSWORLD)


def test_the_page_has_the_counts_of_osworld(osworld: Report) -> None:
    assert osworld.tasks == 418
    assert output.counted(osworld) in PAGE


def test_defects_of_osworld_that_are_known_are_found(osworld: Report) -> None:
    found = {(finding.rule, finding.file.stem[:8]) for finding in osworld.findings}
    assert ("DB011", "4127319a") in found  # "54" anywhere in the terminal passes
    assert ("DB011", "02ce9a50") in found  # "ls" anywhere in a picture's text passes
    assert ("DB005", "35253b65") in found  # opens a live site
    assert ("DB016", "9219480b") in found  # a test suite that imports the agent's program
    fails = {finding.file for finding in osworld.findings if finding.rule == "DB027"}
    assert len(fails) == 30  # always answering FAIL scores 1


def test_findings_of_osworld_have_lines(osworld: Report) -> None:
    assert all(finding.line for finding in osworld.findings)
