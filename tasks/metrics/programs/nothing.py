"""Metrics that OSWorld names and that score nothing on their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from deskbench.envs.errors import CheckError
from deskbench.tasks.registry import metric


class TestRun(TypedDict):
    """The result of a test suite that ran in the desktop (`deskbench.tasks.scoring.probes`)."""

    value: float
    note: str


@metric("check_python_file_by_test_suite", linear=True)
def check_python_file_by_test_suite(result: TestRun, expected: Any, *, test_function_name: str = "test") -> float:
    """The result of a test function on the agent's files in the desktop: true, false, or a number from 0 to 1."""
    from deskbench.tasks.metrics.support.told import Told

    return Told(min(1.0, max(0.0, float(result["value"]))), result.get("note", ""))


def _no_metric(_given: Mapping[str, Any]) -> None:
    raise ValueError("it gives no score, in OSWorld either: a task that names it could never be scored")


@metric("check_python_file_by_gold_file", fits=_no_metric)
def check_python_file_by_gold_file(result: Any, expected: Any) -> float:
    """Never implemented, in OSWorld either."""
    raise CheckError("check_python_file_by_gold_file has never been implemented, in OSWorld either")


@metric("get_unique_train_ids", fits=_no_metric)
def get_unique_train_ids(result: Any) -> float:
    """A helper that OSWorld exports with its metrics: it returns a set, not a score, and no task uses it."""
    raise CheckError("get_unique_train_ids is a helper of check_no_duplicates, not a metric, in OSWorld either")
