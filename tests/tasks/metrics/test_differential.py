"""Compares our metrics with OSWorld's, from its release on PyPI: they agree, or the difference is listed."""

from pathlib import Path

import pytest

from deskbench.tasks.reference import examples
from tests.differential.__main__ import WITHOUT, run, tables, upstream_names
from tests.differential.case import Case, Verdict
from tests.differential.families import FAMILIES
from tests.tasks.examples import INPUTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_agrees_or_is_a_listed_difference(family: str) -> None:
    verdicts = run([family])
    assert verdicts
    assert [f"{one}: {one.problem}" for one in verdicts if one.problem] == []
    assert without_both(verdicts) == ELSEWHERE.get(family, set())


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
