"""Two runs over the same tasks: reference values, and what holds for any scores."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from deskbench.agent.statistics.intervals import TOO_FEW
from deskbench.agent.statistics.paired import Difference, holm, mcnemar, newcombe, paired, sign_flip


@pytest.mark.parametrize(
    ("first", "second", "p"), [(5, 15, 0.0266), (0, 5, 0.03125), (0, 4, 0.0625), (3, 3, 1), (0, 0, 1)]
)
def test_mcnemars_mid_p(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(p, abs=5e-5)


def test_newcombes_interval_is_that_of_his_paper() -> None:
    """R. G. Newcombe 1998, table of method 10: 36, 12, 2, 0 gives 0.0569 to 0.3404 for first - second."""
    assert newcombe(36, 12, 2, 0) == pytest.approx((-0.3404, -0.0569), abs=5e-5)


def test_flipping_all_signs_of_few_differences_is_exact() -> None:
    assert sign_flip([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 2**5)
    assert sign_flip([0.1, -0.1]) == sign_flip([]) == sign_flip([0.0, 0.0]) == 1.0


def test_flipping_signs_agrees_with_a_rank_test_on_many() -> None:
    draw = numpy.random.default_rng(3).normal(0.12, 0.5, 120).tolist()
    assert sign_flip(draw) == pytest.approx(wilcoxon(draw).pvalue, abs=0.02)
    assert sign_flip(draw) == sign_flip(draw)


def test_holms_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_stays_a_probability(values: list[float]) -> None:
    found = holm(values)
    assert all(raw <= one <= 1 for raw, one in zip(values, found, strict=True))
    assert [found[i] for i in sorted(range(len(values)), key=values.__getitem__)] == sorted(found)


def runs(first: str, second: str) -> Difference:
    """One attempt a task, `+` passed."""
    pairs = zip(first, second, strict=True)
    return paired({str(n): [(float(a == "+"), float(b == "+"))] for n, (a, b) in enumerate(pairs)})


def test_one_attempt_a_task() -> None:
    found = runs("+" * 10 + "-" * 20, "+" * 8 + "--" + "+" * 10 + "-" * 10)
    assert (found.tasks, found.pairs, found.only_first, found.only_second) == (30, 30, 2, 10)
    assert found.difference == pytest.approx(8 / 30)
    assert (found.test, found.method, found.resamples) == ("mcnemar-midp", "newcombe", None)
    assert found.p == pytest.approx(mcnemar(2, 10)) and found.shown
    assert found.least is not None and 0.2 < found.least < 0.4


def test_runs_that_are_alike_are_not_certainly_equal() -> None:
    found = runs("+-" * 12, "+-" * 12)
    assert (found.difference, found.p, found.shown) == (0.0, 1.0, False)
    assert found.low is not None and found.high is not None and found.low < -0.05 and found.high > 0.05
    assert found.least == pytest.approx(0.264, abs=0.01)


def test_repeats_count_as_one_value_of_their_task() -> None:
    once = paired({str(n): [(0.0, float(n < 9))] for n in range(12)})
    often = paired({str(n): [(0.0, float(n < 9))] * 5 for n in range(12)})
    assert (often.tasks, often.pairs, often.test) == (12, 60, "sign-flip")
    assert (often.difference, often.low, often.high) == (once.difference, once.low, once.high)


def test_partial_scores_of_many_tasks_are_resampled_with_a_seed() -> None:
    draw = numpy.random.default_rng(5)
    values = {str(n): [(a / 4, min(1.0, a / 4 + 0.25))] for n, a in enumerate(draw.integers(0, 5, 60).tolist())}
    found = paired(values)
    assert (found.method, found.test, found.seed) == ("bca", "sign-flip", 0)
    assert found.p is not None and found.p < 0.001
    assert found.low is not None and found.difference is not None and found.high is not None
    assert 0.1 < found.low < found.difference < found.high < 0.25
    assert paired(values) == found


def test_a_few_tasks_have_no_interval_and_none_have_no_difference() -> None:
    assert (runs("++++", "----").low, runs("++++", "----").least) == (None, None)
    assert runs("+++++", "-----").high == pytest.approx(-0.386, abs=1e-3)
    assert (runs("+", "-").low, runs("+", "-").note, runs("+", "-").least) == (None, TOO_FEW, None)
    assert (paired({}).difference, paired({"a": []}).p) == (None, None)


def test_too_few_tasks_for_the_permutation_test_promise_nothing() -> None:
    five = paired({str(n): [(0.0, 0.5), (0.0, 1.0)] for n in range(5)})
    assert (five.shown, five.least) == (False, None)
    six = paired({str(n): [(0.0, 0.5), (0.0, 1.0)] for n in range(6)})
    assert six.shown and six.least is not None


@pytest.mark.parametrize("line", ["-" * 40, "+" * 40, "+-" * 20])
def test_repeats_that_agree_show_no_less_than_single_attempts(line: str) -> None:
    twice = paired({str(n): [(float(one == "+"), float(one == "+"))] * 2 for n, one in enumerate(line)})
    assert twice.least == runs(line, line).least
    assert twice.least is not None and twice.least > 0.1


def test_errors_of_rounding_are_no_difference() -> None:
    found = paired({str(n): [(0.3, 0.1 + 0.2)] for n in range(40)})
    assert (found.difference, found.p, found.shown, found.only_second) == (0.0, 1.0, False, 0)
    means = paired({str(n): [(0.1, 0.3), (0.2, 0.0)] for n in range(40)})
    assert (means.difference, means.shown) == (0.0, False)
    same = paired({str(n): [(n % 5 / 10, (n % 5 + 3) / 10)] for n in range(40)})
    assert same.method == "t" and same.low is not None and same.low > 0.25


scores = st.sampled_from([0.0, 0.3, 0.5, 1.0])
pairs = st.dictionaries(
    st.text(max_size=2), st.lists(st.tuples(scores, scores), min_size=1, max_size=3), min_size=5, max_size=10
)


@given(pairs)
def test_the_interval_holds_the_difference_and_has_a_width(by_task: dict[str, list[tuple[float, float]]]) -> None:
    found = paired(by_task, resamples=200)
    assert found.low is not None and found.difference is not None and found.high is not None
    assert -1 <= found.low <= found.difference + 1e-9 and found.difference - 1e-9 <= found.high <= 1
    assert found.high - found.low > 1e-3
    back = paired({task: [(b, a) for a, b in found] for task, found in by_task.items()}, resamples=200)
    assert (back.difference, back.p) == pytest.approx((-found.difference, found.p))
