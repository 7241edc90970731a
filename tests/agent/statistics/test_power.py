"""How many tasks a comparison needs: reference values, and what must rise and fall."""

import numpy
import pytest

from deskbench.agent.statistics.paired import mcnemar
from deskbench.agent.statistics.power import least_difference, least_mean_difference, plan, power, worth

SIMULATED = {
    24: (None, None, 0.285), 40: (None, 0.185, 0.230), 50: (None, 0.168, 0.208), 100: (0.085, 0.123, 0.153),
    120: (0.078, 0.115, 0.140), 295: (0.053, 0.073, 0.090), 369: (0.048, 0.068, 0.080),
}  # fmt: skip
"""The least difference at discordant shares of 0.1, 0.2, 0.3, by simulation: None where none within the share does."""


@pytest.mark.parametrize("n", SIMULATED)
def test_the_least_difference_agrees_with_a_simulation(n: int) -> None:
    for discordant, simulated in zip((0.1, 0.2, 0.3), SIMULATED[n], strict=True):
        found = least_difference(n, discordant)
        assert found is not None
        if simulated is None:
            assert found > discordant
        else:
            assert found == pytest.approx(simulated, abs=0.005)


def test_the_power_is_that_of_drawn_runs() -> None:
    draws = numpy.random.default_rng(4).multinomial(120, [0.04, 0.16, 0.8], size=2000)
    shown = numpy.mean([mcnemar(int(b), int(c)) <= 0.05 for b, c, _ in draws])
    assert power(120, 0.2, 0.12) == pytest.approx(shown, abs=0.025)


def test_without_a_difference_the_test_seldom_errs() -> None:
    assert all(power(n, 0.2, 0.0) <= 0.06 for n in (10, 24, 40, 120, 369))


def test_four_tasks_can_show_nothing_and_five_only_everything() -> None:
    assert least_difference(4, 0.2) is None
    assert least_difference(5, 0.2) == pytest.approx(0.956, abs=0.01)  # all five must differ: 0.8 ** (1 / 5)


def test_more_tasks_show_smaller_differences() -> None:
    found = [least_difference(n, 0.2) or 1.0 for n in (24, 40, 120, 369, 1000)]
    assert found == sorted(found, reverse=True)
    assert least_mean_difference(100, 0.1) < least_mean_difference(50, 0.1) < least_mean_difference(50, 0.2)


def test_the_plan_for_five_points() -> None:
    found = plan(0.05)
    one, *more = found.needed
    assert one.tasks is not None and 600 <= one.tasks <= 650 and one.episodes == 2 * one.tasks
    assert power(one.tasks, 0.2, 0.05) >= 0.8 > power(one.tasks - 1, 0.2, 0.05)
    assert [need.repeats for need in more] == [2, 3, 5, 8]
    tasks = [need.tasks or 0 for need in found.needed]
    assert tasks == sorted(tasks, reverse=True)
    assert [one.tasks for one in found.shown] == [24, 40, 120, 369]


def test_a_plan_says_how_many_repeats_are_enough_or_that_none_are() -> None:
    assert plan(0.05, tasks=700).enough_repeats == 1
    found = plan(0.05, tasks=500).enough_repeats
    assert found == 2 and (plan(0.05).needed[0].tasks or 0) * worth(2, 0.5) <= 500
    assert plan(0.05, tasks=100).enough_repeats is None
    assert plan(0.05, tasks=100, repeats=5).shown[0].difference == pytest.approx(0.094, abs=0.01)


def test_a_plan_for_what_is_out_of_reach_says_so() -> None:
    assert plan(0.0005).needed[0].tasks is None
