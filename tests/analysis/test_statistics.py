"""Tests of pairs, the model and power: against scipy and statsmodels, by hand, invariants, data
that cannot answer.

A warning is an error in this file: data without an answer are named in a note, not on the screen.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import CELLS, drawn, ends, episodes, is_no_answer
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar as theirs_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from knapsack_lib.analysis.intervals import FEWEST, mean_interval
from knapsack_lib.analysis.power import detectable_difference, power_curve, tasks_needed
from knapsack_lib.analysis.statistics import holm, interaction_model, mcnemar, tost, wilcoxon

pytestmark = pytest.mark.filterwarnings("error")
quick = settings(max_examples=30, deadline=None)
NAN, INF = float("nan"), float("inf")


# Tests of pairs -----------------------------------------------------------------------------------


def test_wilcoxon_by_hand():
    assert is_no_answer(wilcoxon([1, 2, -3, 4, 0]), "p effect")  # four pairs differ, too few
    found = wilcoxon(
        [1, 2, -3, 4, 0, 5]
    )  # ranks 1 to 5: W- = 3, W+ = 12; 5 of 32 patterns of signs have W- <= 3
    assert (found.statistic, found.effect, found.p, found.n, found.zeros) == (
        12,
        0.6,
        10 / 32,
        6,
        1,
    )
    assert found.effect == pytest.approx(1 - 4 * 3 / (5 * 6)) and found.method == "exact"
    tied = wilcoxon(
        [1] * 5
    )  # W+ = 15, expected 7.5, variance 5 * 6 * 11 / 24 - (5**3 - 5) / 48 = 11.25
    assert (
        tied.p == pytest.approx(2 * stats.norm.sf(7.5 / math.sqrt(11.25)))
        and tied.method == "normal approximation"
    )


def test_wilcoxon_is_scipys_on_both_sides_of_fifty_pairs():
    for n, method in ((9, "exact"), (50, "exact"), (51, "asymptotic"), (200, "asymptotic")):
        x = drawn(n, n)
        theirs = stats.wilcoxon(x, method=method)
        assert wilcoxon(x).p == pytest.approx(theirs.pvalue)
        assert min(wilcoxon(x).statistic, n * (n + 1) / 2 - wilcoxon(x).statistic) == pytest.approx(
            theirs.statistic
        )
    lumpy = drawn(1).round()
    assert (lumpy == 0).any() and wilcoxon(lumpy).p == pytest.approx(
        stats.wilcoxon(lumpy, method="asymptotic").pvalue
    )


@quick
@given(st.lists(st.integers(-9, 9), min_size=FEWEST, max_size=30))
def test_wilcoxon_knows_no_order_no_scale_no_zeros_and_turns_with_the_sign(values):
    found = wilcoxon(values)
    if found.note:
        assert np.count_nonzero(values) < FEWEST
        return
    assert 0 <= found.p <= 1 and -1 <= found.effect <= 1
    assert wilcoxon(sorted(values)) == found == wilcoxon([4 * v for v in values])
    turned, padded = wilcoxon([-v for v in values]), wilcoxon([*values, 0])
    assert (turned.p, turned.effect) == pytest.approx((found.p, -found.effect))
    assert (padded.p, padded.effect, padded.zeros) == (found.p, found.effect, found.zeros + 1)
    assert wilcoxon(np.abs(values)).effect == 1


def test_mcnemar_by_hand_by_statsmodels_and_without_an_answer():
    a, b = [1] + [0] * 8 + [1, 1, 0], [0] + [1] * 8 + [1, 1, 0]
    found, turned = mcnemar(a, b), mcnemar(b, a)
    assert found.p == pytest.approx(2 * (1 + 9) / 2**9) and found.effect == pytest.approx(-7 / 12)
    assert (found.statistic, found.n, found.zeros) == (1, 12, 3) and (
        turned.statistic,
        turned.p,
    ) == (8, found.p)
    assert turned.effect == -found.effect and mcnemar(a[::-1], b[::-1]) == found
    assert found.p == pytest.approx(theirs_mcnemar([[2, 1], [8, 1]], exact=True).pvalue)
    assert found.p == pytest.approx(stats.binomtest(1, 9).pvalue) and mcnemar([1, 0], [0, 1]).p == 1
    assert is_no_answer(mcnemar([], []), "statistic p effect") and is_no_answer(
        mcnemar([1], [1, 0]), "p effect"
    )
    for same in ([1] * 9, [0] * 9, [1, 0, 1]):
        assert is_no_answer(mcnemar(same, same), "p") and mcnemar(same, same).effect == 0


def test_holm_by_hand_by_statsmodels_and_in_any_order():
    # in order: 4 * .005, 3 * .01, 2 * .03, and .04 may not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, NAN, 0.5]) == pytest.approx(
        [0.06, NAN, 1.0], nan_ok=True
    )  # what could not be made still counts
    assert holm([]) == [] and holm([0.03]) == [0.03] and math.isnan(holm([NAN])[0])
    rng = np.random.default_rng(5)
    for ps in (rng.random(6).round(1) / 9, np.array([0.0, 0.9, 1.0, 0.9])):
        found, order = np.array(holm(ps)), rng.permutation(len(ps))
        assert found == pytest.approx(multipletests(ps, method="holm")[1]) and holm(
            ps[order]
        ) == list(found[order])
        assert (
            (ps <= found).all()
            and (found <= 1).all()
            and min(found) == pytest.approx(min(1, len(ps) * min(ps)))
        )


@pytest.mark.parametrize("margin", [0.05, 0.4, 0.61, 0.9, 5.0])
def test_tost_is_two_t_tests_and_its_verdict_is_that_of_its_interval(margin):
    x, n = drawn(8), 40
    found, error = tost(x, margin), x.std(ddof=1) / math.sqrt(n)
    above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, alternative="less").pvalue
    assert (
        found.p
        == pytest.approx(max(above, below))
        == ttost_paired(x, np.zeros(n), -margin, margin)[0]
    )
    reach = stats.t.ppf(0.95, n - 1) * error
    assert (found.estimate, *ends(found)) == pytest.approx(
        (x.mean(), x.mean() - reach, x.mean() + reach)
    )
    assert (
        (found.verdict == "equivalent")
        == (-margin < found.low and found.high < margin)
        == (found.p < 0.05)
    )
    assert found.verdict == "equivalent" or margin < 0.9
    for same in (tost(-x, margin), tost(3 * x, 3 * margin), tost(x[::-1], margin)):
        assert (same.p, same.verdict) == (pytest.approx(found.p), found.verdict)


# The model and power ------------------------------------------------------------------------------


def test_the_interaction_is_the_difference_of_differences_with_errors_clustered_by_task():
    y = (
        np.random.default_rng(1).normal(size=(12, 4))
        + np.random.default_rng(2).normal(size=(12, 1))
        + [1, 0, 0, 0]
    )
    frame = episodes(y)
    interval, test = interaction_model(frame, "y")
    plain = ols("y ~ C(train, Treatment('reset')) * C(runtime, Treatment('reset'))", frame)
    theirs = plain.fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame.task_id)[0]}, use_t=True
    )
    wanted = [row.iloc[3] for row in (theirs.params, theirs.tvalues, theirs.pvalues)]
    assert [test.effect, test.statistic, test.p] == pytest.approx(wanted)
    assert ends(interval) == pytest.approx(tuple(theirs.conf_int().iloc[3]))
    # Its error: that of a paired t test times statsmodels' factor
    contrast = y[:, 0] - y[:, 1] - (y[:, 2] - y[:, 3])
    pp, pr, rp, rr = y.mean(axis=0)
    assert interval.estimate == pytest.approx((pp - pr) - (rp - rr)) == contrast.mean()
    error = contrast.std(ddof=1) / math.sqrt(12) * math.sqrt((4 * 12 - 1) / (4 * 12 - 4))
    assert test.statistic == pytest.approx(contrast.mean() / error) and (interval.n, test.n) == (
        12,
        12,
    )


def test_the_interaction_knows_no_order_of_rows_and_no_level_of_a_task_and_turns_with_the_labels():
    y = np.random.default_rng(1).normal(size=(12, 4))
    plain = interaction_model(episodes(y), "y")
    swapped = episodes(y).replace({"train": {"persistent": "reset", "reset": "persistent"}})
    same = [
        episodes(y).sample(frac=1, random_state=3),
        episodes(y + 5 * np.arange(12)[:, None]),
        episodes(y + 7),
    ]
    for frame, sign in [*((frame, 1) for frame in same), (swapped, -1), (episodes(-y), -1)]:
        interval, test = interaction_model(frame, "y")
        wanted = [sign * plain[0].estimate, sign * plain[1].statistic, plain[1].p]
        assert [interval.estimate, test.statistic, test.p] == pytest.approx(wanted)
        assert sorted(np.array(ends(interval)) * sign) == pytest.approx(ends(plain[0]))


def test_no_interaction_without_all_cells_enough_tasks_or_spread():
    y = np.random.default_rng(1).normal(size=(12, 4))
    whole = episodes(y)
    broken = [
        whole[:0],
        episodes(y[: FEWEST - 1]),
        episodes(0 * y),
        episodes(0 * y + [1, 0.5, 0, 0]),
    ]
    broken += [
        whole[(whole.train != train) | (whole.runtime != runtime)] for train, runtime in CELLS
    ]
    broken += [whole.assign(y=whole.y.mask(whole.index == 7, bad)) for bad in (NAN, INF)]
    for frame in broken:
        interval, test = interaction_model(frame, "y")
        assert is_no_answer(interval, "estimate low high") and is_no_answer(
            test, "statistic p effect"
        )
    assert (
        interaction_model(episodes(y[:FEWEST] > 0), "y")[1].p <= 1
    )  # truth values are numbers too
    assert (
        interaction_model(episodes(y * [0, 1, 0, 1]), "y")[1].p <= 1
    )  # some cells may be without spread


# Edges that once failed ---------------------------------------------------------------------------


def test_no_test_of_an_interaction_that_is_the_same_in_every_task():
    for seed, cells in itertools.product(
        range(9), ([0, 0, 0, 0], [0.3, 0.1, 0.1, 0.1], [0.3, 0.2, 0.2, 0.1])
    ):
        interval, test = interaction_model(
            episodes(np.random.default_rng(seed).beta(3, 1, (12, 1)) + cells), "y"
        )
        assert is_no_answer(interval, "low high") and is_no_answer(test, "statistic p")


@pytest.mark.parametrize("change", [{"train": "base"}, {"task_id": None}])
def test_rows_of_another_adapter_or_of_no_task_are_not_taken_for_a_cell(change):
    whole = episodes(np.random.default_rng(1).normal(size=(12, 4)))
    assert is_no_answer(
        interaction_model(pd.concat([whole, whole[:9].assign(**change)]), "y")[1], "statistic p"
    )


def test_mcnemar_takes_no_nan_for_true():
    assert is_no_answer(mcnemar([NAN, 1.0, 0.0], [0.0, 1.0, 0.0]), "statistic p effect")


@pytest.mark.parametrize("values", [[0.3] * 8 + [0.1 + 0.2], [0.0] * 8 + [1e-200]])
def test_values_that_differ_by_rounding_alone_raise_nothing_and_warn_of_nothing(values):
    for answer in (mean_interval(values, seed=0), tost(values, 0.1), detectable_difference(values)):
        assert answer.n == 9
    assert len(power_curve(values, [0.0, 0.1])) == 2 and not tasks_needed(values, 0.1) < FEWEST


def test_a_difference_that_is_rounding_alone_is_none():
    assert is_no_answer(wilcoxon([0.1 + 0.2 - 0.3] * 9), "p effect")
