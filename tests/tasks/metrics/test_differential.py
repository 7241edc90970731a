"""Compares our metrics with OSWorld's, from its release on PyPI: they agree, or the difference is listed."""

import zlib
from pathlib import Path

import pytest

from deskbench.tasks.reference import examples
from tests.differential.__main__ import WITHOUT, run, tables, upstream_names
from tests.differential.case import Case, Verdict
from tests.differential.families import FAMILIES
from tests.tasks.examples import INPUTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


LONG = ("decks", "documents", "tables", "workbooks")
"""Families whose cases take minutes of a core: a third of them is compared here, and all by the command."""
FEW = ("compare_docx_images", "compare_highlighted_text")
"""Metrics of these families with so few cases that all are compared."""


@pytest.mark.parametrize("family", FAMILIES)
def test_cases_agree_or_are_listed_differences(family: str) -> None:
    verdicts = run([family], take=is_taken if family in LONG else lambda case: True)
    assert verdicts
    assert [f"{one}: {one.problem}" for one in verdicts if one.problem] == []
    assert without_both(verdicts) == ELSEWHERE.get(family, set())


def is_taken(case: Case) -> bool:
    """Whether a case is in the third, the same one each time."""
    return case.metric in FEW or zlib.crc32(f"{case.metric} {case.name}".encode()) % 3 == 0


CHECKS = examples("metric")
TESTED_HERE = set(CHECKS) - set(INPUTS)
"""Metrics whose example in the reference has no inputs of its own: the cases here show that it works."""
ELSEWHERE = {
    "pairs": {"compare_triangle_positions"},  # a single case, which scores 1
    "workbooks": {"compare_table"},  # the example's rules are among the cases of `tables`
}


def without_both(verdicts: list[Verdict]) -> set[str]:
    """Metrics of which no case with the example's rules and options passes, or none fails."""
    of_example = [one for one in verdicts if one.case.metric in TESTED_HERE and is_of_the_example(one.case)]
    right = {one.case.metric for one in of_example if one.ours == 1.0}
    wrong = {one.case.metric for one in of_example if isinstance(one.ours, float) and one.ours < 1.0}
    return ({one.case.metric for one in verdicts} & TESTED_HERE) - (right & wrong)


def is_of_the_example(case: Case) -> bool:
    check = CHECKS[case.metric]
    rules = check.get("expected", {}).get("rules")
    return bool(case.options == check.get("options", {}) and (rules is None or case.arguments[1] == rules))


def test_an_example_without_inputs_has_a_case() -> None:
    page = (Path(__file__).parents[3] / "docs/tables/differential.md").read_text(encoding="utf-8")
    assert {name for name in TESTED_HERE if f"\n| `{name}` |" not in page} == set()


def test_the_page_of_differences_is_what_the_code_says() -> None:
    page = (Path(__file__).parents[3] / "docs/tables/differences.md").read_text(encoding="utf-8")
    assert all(table in page for table in tables()), "python -m tests.differential --table prints what belongs there"


def test_a_metric_without_a_case_has_a_reason() -> None:
    page = (Path(__file__).parents[3] / "docs/tables/differential.md").read_text(encoding="utf-8")
    assert {name for name in upstream_names() if f"\n| `{name}` |" not in page} == set(WITHOUT)
