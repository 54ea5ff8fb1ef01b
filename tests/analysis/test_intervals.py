"""Intervals: against scipy and statsmodels called directly, cases worked by hand, invariants, data
that cannot answer.

A warning is an error in this file: data without an answer are named in a note, not on the screen.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import answers_no_test_or_plan, drawn, ends, is_no_answer, played
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from knapsack_lib.analysis.intervals import (
    efficiency_ratio,
    mean_interval,
    rate_interval,
    ratio_interval,
)
from knapsack_lib.analysis.statistics import tost, wilcoxon

pytestmark = pytest.mark.filterwarnings("error")
quick = settings(max_examples=30, deadline=None)
NAN, INF = float("nan"), float("inf")
BAD_ROWS = [
    [],
    [1.0, 2.0, NAN, 4.0, 5.0, 6.0],
    [1.0, 2.0, INF, -INF, 5.0, 6.0],
    [[1.0, 2.0], [3.0, 4.0]],
    [NAN] * 9,
]


# Intervals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [drawn(1), np.exp(drawn(2)), played(3)[0], [0.0] * 60 + [1.0] * 3, [0.2, 0.4, 0.9]]
)
def test_the_mean_interval_is_scipys_and_follows_efrons_formula(values):
    x, rng = np.asarray(values), np.random.default_rng(7)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=2000, method="BCa", batch=1000, rng=rng)
    found = mean_interval(values, seed=7, resamples=2000)
    assert ends(found) == pytest.approx(tuple(theirs.confidence_interval)) and found.method == "BCa"
    means, left_out = (
        theirs.bootstrap_distribution,
        np.array([np.delete(x, i).mean() for i in range(len(x))]),
    )
    bias = stats.norm.ppf(((means < x.mean()).mean() + (means <= x.mean()).mean()) / 2)
    u = left_out.mean() - left_out
    bend = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    shifted = bias + stats.norm.ppf([0.025, 0.975])
    by_hand = np.quantile(means, stats.norm.cdf(bias + shifted / (1 - bend * shifted)))
    assert ends(found) == pytest.approx(tuple(by_hand), rel=1e-6)


@quick
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=12))
def test_a_mean_interval_lies_within_the_values_and_follows_their_sign_shift_and_scale(values):
    found = mean_interval(values, seed=4, resamples=400)
    assert min(values) <= found.low <= found.high <= max(values)
    turned = mean_interval([2 - 8 * v for v in values], seed=4, resamples=400)
    assert ends(turned) == pytest.approx((2 - 8 * found.high, 2 - 8 * found.low))
    assert mean_interval(values[::-1], seed=4, resamples=400).estimate == pytest.approx(
        found.estimate
    )


def test_a_seed_gives_one_interval_another_seed_another_and_more_confidence_a_wider_one():
    a, b = np.exp(drawn(1)), np.exp(drawn(2))
    for interval, rows in (
        (mean_interval, (a,)),
        (ratio_interval, (a, b)),
        (efficiency_ratio, (played(1), played(2))),
    ):
        one, other, wide = (
            interval(*rows, seed=s, level=level) for s, level in ((5, 0.8), (6, 0.8), (5, 0.99))
        )
        assert (
            one == interval(*rows, seed=5, level=0.8)
            and ends(one) != ends(other)
            and one.estimate == other.estimate
        )
        assert wide.low < one.low < one.high < wide.high


@pytest.mark.parametrize(("hits", "n"), [(80, 100), (0, 9), (9, 9), (1, 7), (2.5, 5), (0, 1)])
def test_the_rate_interval_is_wilsons(hits, n):
    found, z, p = rate_interval(hits, n), stats.norm.ppf(0.975), hits / n
    middle, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    by_hand = [(middle + sign * reach) / (1 + z * z / n) for sign in (-1, 1)]
    assert (
        ends(found)
        == pytest.approx(by_hand, abs=1e-12)
        == proportion_confint(hits, n, method="wilson")
    )
    assert 0 <= found.low <= found.estimate == p <= found.high <= 1
    assert ends(rate_interval(n - hits, n)) == pytest.approx((1 - found.high, 1 - found.low))
    assert rate_interval(hits, n, level=0.8).high == pytest.approx(
        proportion_confint(hits, n, 0.2, "wilson")[1]
    )
    assert (hits, n) != (80, 100) or ends(found) == pytest.approx((0.7112, 0.8666), abs=5e-5)


def test_rates_of_none_and_of_all_reach_the_ends_exactly():
    assert all(
        rate_interval(0, n).low == 0 and rate_interval(n, n).high == 1 for n in range(1, 150)
    )


def test_where_bca_has_no_answer_the_percentiles_of_its_resamples_are_given():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = mean_interval([0.0] * 8 + [1e-200], seed=3, level=0.5)
    values, rng = np.array([0.0] * 8 + [1.0]), np.random.default_rng(3)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=5000, confidence_level=0.5, method="percentile", rng=rng
    )
    wanted = tuple(theirs.confidence_interval)
    assert found.method == "percentile" and (
        found.low * 1e200,
        found.high * 1e200,
    ) == pytest.approx(wanted)


def test_a_rate_out_of_bounds_and_a_margin_that_bounds_nothing_are_refused():
    for hits, n in ((-1, 3), (4, 3), (NAN, 3), (0, NAN), (0, -1)):
        with pytest.raises(ValueError, match="no rate"):
            rate_interval(hits, n)
    for margin in (0, -1, NAN):
        with pytest.raises(ValueError, match="margin"):
            tost([1, 2, 3, 4, 5], margin)


def test_the_ratio_is_the_geometric_mean_and_turns_over_with_its_sides():
    a, b = np.exp(drawn(1)), np.exp(drawn(2))
    found = ratio_interval(a, b, seed=3)
    assert ratio_interval([2, 8, 1], [1, 1, 1], seed=1).estimate == pytest.approx(16 ** (1 / 3))
    theirs = stats.bootstrap(
        (np.log(a / b),), np.mean, n_resamples=5000, batch=1000, rng=np.random.default_rng(3)
    )
    assert found.estimate == pytest.approx(stats.gmean(a / b))
    assert ends(found) == pytest.approx(tuple(np.exp(theirs.confidence_interval)))
    assert ends(ratio_interval(b, a, seed=3)) == pytest.approx((1 / found.high, 1 / found.low))
    assert ends(ratio_interval(10 * a, b, seed=3)) == pytest.approx(
        (10 * found.low, 10 * found.high)
    )


def test_the_efficiency_ratio_is_of_means_and_its_resamples_draw_whole_tasks():
    (s, t), (u, v) = played(1), played(2)
    found = efficiency_ratio((s, t), (u, v), seed=9, resamples=2000)

    def of_tasks(index: np.ndarray) -> float:
        i = index.astype(int)
        return (s[i].mean() / t[i].mean()) / (u[i].mean() / v[i].mean())

    tasks, rng = np.arange(40), np.random.default_rng(9)
    theirs = stats.bootstrap(
        (tasks,), of_tasks, n_resamples=2000, vectorized=False, batch=1000, rng=rng
    )
    assert found.estimate == pytest.approx(of_tasks(tasks)) and found.n == 40
    assert ends(found) == pytest.approx(tuple(theirs.confidence_interval))
    cheaper = efficiency_ratio((s, t / 1000), (u, v), seed=9, resamples=2000)
    assert ends(cheaper) == pytest.approx((1000 * found.low, 1000 * found.high))
    assert efficiency_ratio((u, v), (s, t), seed=9).estimate == pytest.approx(1 / found.estimate)
    # by hand: (0.5 / 150) over (0.75 / 100) is 4 / 9
    halves = (
        ([1, 0, 1, 0, 0.5], [100, 200, 150, 150, 150]),
        ([1, 0.5, 0.75, 0.75, 0.75], [50, 150, 100, 100, 100]),
    )
    assert efficiency_ratio(*halves, seed=1).estimate == pytest.approx(4 / 9)


@pytest.mark.parametrize("values", BAD_ROWS)
def test_a_row_that_cannot_be_used_gives_no_answer_but_a_note(values):
    one = np.ones(np.shape(values))
    assert answers_no_test_or_plan(values) and is_no_answer(wilcoxon(values), "statistic p effect")
    assert (
        is_no_answer(mean_interval(values, seed=0), "estimate low high")
        and tost(values, 1.0).verdict == "no test"
    )
    assert is_no_answer(ratio_interval(values, one, seed=0), "estimate low high")
    assert is_no_answer(efficiency_ratio((values, one), (one, one), seed=0), "estimate low high")


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_values_are_described_but_not_tested(n):
    values, padded = [0.5, 1.0, 4.0, 2.0][:n], [0.5, 1.0, 4.0, 2.0][:n] + [0, 0, 0]
    found = mean_interval(values, seed=0)
    assert found.note and found.estimate == np.mean(values) and math.isnan(found.low) == (n == 1)
    assert ratio_interval(values, [1.0] * n, seed=0).note and answers_no_test_or_plan(values)
    assert is_no_answer(wilcoxon(padded), "p effect") and wilcoxon(padded).zeros == 3
    assert is_no_answer(
        efficiency_ratio((values, values), (values, values), seed=0), "estimate low high"
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0])
def test_equal_values_are_an_interval_of_no_width_and_no_test(value):
    values, found = [value] * 9, mean_interval([value] * 9, seed=0)
    assert (found.method, *ends(found)) == ("constant", value, value) and answers_no_test_or_plan(
        values
    )
    assert (
        tost(values, abs(value) + 1).verdict == "equivalent"
        and tost(values, 9).low == tost(values, 9).high == value
    )
    assert tost(values, abs(value) or 1).verdict == ("not shown" if value else "equivalent")
    assert math.isnan(wilcoxon(values).p) == (value == 0) and (value or wilcoxon(values).zeros == 9)


def test_no_ratio_without_pairs_or_of_what_is_not_positive():
    assert is_no_answer(rate_interval(0, 0), "estimate low high")
    for a, b in (
        [[1, 2], [1]],
        [[1, 0], [1, 1]],
        [[1, 2], [1, -1]],
        [[1, INF], [1, 1]],
        [[1, 2], [NAN, 1]],
    ):
        assert is_no_answer(ratio_interval(a, b, seed=0), "estimate low high")
    assert ends(ratio_interval([30.0, 60.0], [10.0, 20.0], seed=1)) == pytest.approx((3, 3))
    one, ten, zero = [1.0] * 6, [10.0] * 6, [0.0] * 6
    for a, b in (
        ((one, ten), (one, one[:5])),
        ((zero, ten), (one, ten)),
        ((one, zero), (one, ten)),
        ((one, ten),) * 2,
    ):
        assert is_no_answer(efficiency_ratio(a, b, seed=0), "low high")


@pytest.mark.parametrize(("a", "b"), [([1e300, 1e300], [1e-300, 1e-299]), ([INF, 1.0], [INF, 2.0])])
def test_ratios_beyond_what_a_float_holds_raise_nothing_and_warn_of_nothing(a, b):
    assert ratio_interval(a, b, seed=0).note


def test_a_ratio_whose_resamples_often_divide_by_zero_says_so():
    found = efficiency_ratio(played(1), (np.eye(40)[0], played(2)[1]), seed=0)
    assert is_no_answer(found, "low high") and "no spread" not in found.note
