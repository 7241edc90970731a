"""Compares our metrics with OSWorld's, from its release on PyPI: they agree, or the difference is listed."""

from pathlib import Path

import pytest

from tests.differential.__main__ import WITHOUT, run, tables, upstream_names
from tests.differential.families import FAMILIES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_agrees_or_is_a_listed_difference(family: str) -> None:
    verdicts = run([family])
    assert verdicts
    assert [f"{one}: {one.problem}" for one in verdicts if one.problem] == []


def test_the_page_of_differences_is_what_the_code_says() -> None:
    page = (Path(__file__).parents[3] / "docs/tables/differences.md").read_text(encoding="utf-8")
    assert all(table in page for table in tables()), "python -m tests.differential --table prints what belongs there"


def test_a_metric_without_a_case_has_a_reason() -> None:
    page = (Path(__file__).parents[3] / "docs/tables/differential.md").read_text(encoding="utf-8")
    assert {name for name in upstream_names() if f"\n| `{name}` |" not in page} == set(WITHOUT)
