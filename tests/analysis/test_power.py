"""Power: against the noncentral t distribution, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rows import drawn, is_no_answer
from scipy import optimize, stats
from statsmodels.stats.power import tt_solve_power

from knapsack_lib.analysis.intervals import FEWEST
from knapsack_lib.analysis.power import detectable_difference, power_curve, tasks_needed


@pytest.mark.parametrize("n", [5, 9, 40, 400])
def test_the_detectable_difference_has_power_80_percent_by_the_noncentral_t(n):
    x = drawn(n, n)
    bound, root = stats.t.ppf(0.975, n - 1), math.sqrt(n)

    def lacking(d: float) -> float:
        return stats.nct.sf(bound, n - 1, d * root) + stats.nct.cdf(-bound, n - 1, d * root) - 0.8

    size, found = optimize.brentq(lacking, 0.01, 8 / root), detectable_difference(x)
    assert found.estimate == pytest.approx(size * x.std(ddof=1)) and is_no_answer(
        found, "low high"
    ) is bool(found.note)
    assert size == pytest.approx(tt_solve_power(nobs=n, alpha=0.05, power=0.8))
    assert power_curve(x, [found.estimate, -found.estimate, 0]) == pytest.approx([0.8, 0.8, 0.05])
    assert detectable_difference(-3 * x).estimate == pytest.approx(3 * found.estimate)


def test_the_tasks_needed_are_the_fewest_that_have_the_power():
    x = drawn(4)
    for size in (0.1, 0.21, 0.5, 0.8, 1.3, 1.9, 2.5):
        needed = tasks_needed(x, size * x.std(ddof=1))
        power = [
            stats.ncf.sf(stats.f.ppf(0.95, 1, n - 1), 1, n - 1, n * size**2)
            for n in (needed, needed - 1)
        ]
        assert power[0] >= 0.8 and (power[1] < 0.8 or needed == FEWEST), size
    assert (
        tasks_needed(x, 0.5 * x.std(ddof=1)) == 34
    )  # Cohen's table for a paired t test at 0.5 and 80%
    assert (
        math.isnan(tasks_needed(x, 0))
        and math.isnan(tasks_needed(x, math.nan))
        and power_curve(x, []) == []
    )


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
def test_power_is_a_number_at_every_effect(n):
    x, sizes = drawn(n, n), np.linspace(0.1, 6, 60)
    exact = stats.ncf.sf(stats.f.ppf(0.95, 1, n - 1), 1, n - 1, n * sizes**2)
    assert power_curve(x, sizes * x.std(ddof=1)) == pytest.approx(exact, abs=1e-4)


def test_a_huge_effect_needs_the_fewest_tasks_and_a_tiny_one_more_than_can_be_said():
    x = drawn(4)
    assert [tasks_needed(x, size * x.std(ddof=1)) for size in (3.75, 4.3, 5.0, 5.6, 10.0)] == [
        FEWEST
    ] * 5
    assert math.isnan(tasks_needed(x, 1e-9)) or tasks_needed(x, 1e-9) > 1e15
