"""Contrasts: signs and sizes by hand, pairs by task, what is missing or without spread, Holm's
family, the model."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from statsmodels.stats.multitest import multipletests

from knapsack_lib.analysis.contrasts import (
    OUTCOMES,
    PLANNED,
    SIMPLE,
    at,
    contrast_table,
    power_table,
    values,
)
from knapsack_lib.analysis.intervals import mean_interval
from knapsack_lib.analysis.power import detectable_difference
from knapsack_lib.analysis.statistics import mcnemar, tost, wilcoxon
from knapsack_lib.analysis.summary import task_means
from knapsack_lib.seeds import named_seed

SCORES = {
    "pp": [1.0, 0.8, 0.6],
    "pr": [0.2, 0.1, 0.3],
    "rp": [0.9, 0.5, 0.7],
    "rr": [0.8, 0.6, 0.7],
}
TOKENS = {
    "pp": [100, 200, 50],
    "pr": [800, 1600, 400],
    "rp": [400, 800, 200],
    "rr": [400, 800, 800],
}
MISSES = {"pp": [0, 0, 0], "pr": [1, 1, 0], "rp": [0, 0, 0], "rr": [0, 0, 1]}
# What a hand gives: differences of scores, ratios of tokens (geometric means), differences of
# rates.
BY_HAND = {
    "training": (-0.2, 2**-0.5 * 2 ** (-1 / 3), 1 / 6),
    "runtime": (0.3, 8**-0.5 * 2 ** (-1 / 3), -1 / 2),
    "interaction": (0.6, 4 ** (1 / 3) / 8, -1 / 3),
    "matched": (0.3, (4 ** (1 / 3) / 8) ** 0.5, -1 / 6),
    "aligned": (0.1, 1 / 4 * 4 ** (-1 / 3), -1 / 3),
    "loss": (0.6, 1 / 8, -2 / 3),
    "gain": (0.0, 4 ** (-1 / 3), -1 / 3),
    "habit": (-0.1, 4, 0),
    "broken": (-0.5, 2 * 4 ** (-1 / 3), 1 / 3),
}


@pytest.fixture(scope="module")
def drawn(cells_of):
    """Cells of n tasks with scores, tokens and errors drawn from a seed, by each of some adapters."""

    def one(n, seed, train_seed):
        rng, names = np.random.default_rng([seed, train_seed]), ("pp", "pr", "rp", "rr")
        score = {name: list(rng.beta(4, 1 + i, n)) for i, name in enumerate(names)}
        spent = {
            name: [int(t) for t in rng.lognormal(7 + i / 4, 0.4, n)] for i, name in enumerate(names)
        }
        misses = {name: list(rng.random(n) < 0.2 + 0.6 * (name == "pr")) for name in names}
        columns = {"score": score, "tokens": spent, "missing_variable": misses}
        return cells_of(columns, train_seed=train_seed)

    return lambda *adapters, n=12, seed=0: pd.concat(
        [one(n, seed, k) for k in adapters], ignore_index=True
    )


@pytest.fixture(scope="module")
def two(drawn, results_of):
    """Two adapters, other scores at each difficulty; judged by other settings than the usual."""
    cells = pd.concat(
        [drawn(1, 2), drawn(1, 2, seed=5).assign(difficulty="medium")], ignore_index=True
    )
    return results_of(cells, resamples=400, level=0.9, margin=0.1, alpha=0.1, power=0.7)


@pytest.fixture(scope="module")
def table(two):
    return contrast_table(two)


@pytest.fixture(scope="module")
def one_adapter(drawn, results_of):
    """The tables of the first and of the second adapter alone, at the same settings."""
    return [contrast_table(results_of(drawn(k))) for k in (1, 2)]


@pytest.fixture(scope="module")
def by_hand(cells_of, results_of):
    return contrast_table(
        results_of(cells_of({"score": SCORES, "tokens": TOKENS, "missing_variable": MISSES}))
    )


def easy(results):
    return results.cells[results.cells.difficulty == "easy"]


# By hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_HAND)
def test_effects_are_those_that_one_works_out_by_hand(name: str, by_hand):
    for difficulty in ("easy", "medium"):
        found = tuple(at(by_hand, outcome, difficulty, name).effect for outcome in OUTCOMES)
        assert found == pytest.approx(BY_HAND[name], abs=1e-12)
    assert at(by_hand, "score", "easy", name).planned == (name in PLANNED)


def test_the_table_has_a_row_for_every_outcome_difficulty_and_contrast(twice):
    found = twice.evidence.contrasts
    assert set(BY_HAND) == {*PLANNED, *SIMPLE} and len(PLANNED) == 4
    assert len(found) == len(OUTCOMES) * 2 * len(BY_HAND) + 2
    assert not found.duplicated(["outcome", "difficulty", "contrast"]).any()
    assert set(found.n) == {8, 6} and set(found.seeds) == {2}


def test_matched_minus_mismatched_is_half_the_interaction_with_the_same_p(table, twice):
    for here in (table, twice.evidence.contrasts):
        for difficulty in ("easy", "medium"):
            for outcome in OUTCOMES:
                half, whole = (
                    at(here, outcome, difficulty, name) for name in ("matched", "interaction")
                )
                worth = math.log if outcome == "tokens" else float
                assert worth(half.effect) == pytest.approx(worth(whole.effect) / 2)
                assert half.p == pytest.approx(whole.p, nan_ok=True)
                assert half.rank_biserial == pytest.approx(whole.rank_biserial, nan_ok=True)


def test_a_row_is_made_of_the_paired_values_and_nothing_else(two, table):
    for outcome in OUTCOMES:
        row, (x, note) = (
            at(table, outcome, "easy", "training"),
            values(easy(two), outcome, PLANNED["training"]),
        )
        wide = task_means(easy(two), OUTCOMES[outcome])
        wide = np.log(wide) if outcome == "tokens" else wide
        mine = (wide["persistent"].sum(axis=1) - wide["reset"].sum(axis=1)) / 2
        assert x == pytest.approx(mine.to_numpy()) and note == "" and row.n == 12
        back = np.exp if outcome == "tokens" else float
        seed = named_seed(1, "bootstrap", outcome, "training", "easy")
        found = mean_interval(x, seed=seed, resamples=400, level=0.9)
        assert (row.effect, row.low, row.high) == tuple(
            map(back, (found.estimate, found.low, found.high))
        )
        assert (row.p, row.rank_biserial, row.zeros) == (
            wilcoxon(x).p,
            wilcoxon(x).effect,
            wilcoxon(x).zeros,
        )


def test_contrasts_are_paired_by_task_whatever_the_order_of_rows(two, table, twice):
    mixed = SimpleNamespace(**{**vars(two), "cells": two.cells.sample(frac=1, random_state=1)})
    assert_frame_equal(contrast_table(mixed), table)
    wide = task_means(easy(twice.results), "tokens")
    logs = np.log(wide["reset", "persistent"] / wide["persistent", "persistent"])
    assert twice.evidence.token_ratio("easy", "habit").estimate == pytest.approx(
        np.exp(logs.mean())
    )


def test_the_range_over_training_seeds_is_that_of_each_adapter_by_itself(table, one_adapter):
    for outcome in OUTCOMES:
        effects = sorted(at(one, outcome, "easy", "aligned").effect for one in one_adapter)
        row = at(table, outcome, "easy", "aligned")
        assert [row.seed_low, row.seed_high] == pytest.approx(effects) and row.seeds == 2
        assert effects[0] < effects[1]


# What is missing, and what has no spread ----------------------------------------------------------


def test_a_task_that_is_not_in_every_cell_is_left_out_and_counted(drawn, results_of):
    cells = drawn(1)
    gone, here = (
        cells.task_id.isin(["t03", "t07"]),
        (cells.train == "reset") & (cells.runtime == "reset"),
    )
    found = contrast_table(results_of(cells[~(gone & here)]))
    for name in ("interaction", "aligned", "gain"):
        row, (x, _) = (
            at(found, "score", "easy", name),
            values(cells[~gone], "score", {**PLANNED, **SIMPLE}[name]),
        )
        assert row.n == len(x) == 10 and "2 of 12 tasks are not in every cell" in row.note
        assert row.effect == pytest.approx(x.mean()) and row.p == wilcoxon(x).p
    assert (
        at(found, "score", "easy", "loss").n == 12 and at(found, "score", "easy", "loss").note == ""
    )


def test_a_cell_that_is_missing_leaves_no_number_but_a_note(drawn, results_of):
    cells = drawn(1)
    found = contrast_table(
        results_of(cells[~((cells.train == "persistent") & (cells.runtime == "reset"))])
    )
    for outcome in OUTCOMES:
        for name in (*PLANNED, "loss", "broken"):
            row = at(found, outcome, "easy", name)
            assert (
                row[["effect", "low", "high", "p", "p_holm", "seed_low", "seed_high"]].isna().all()
                and row.n == 0
            )
            assert "no episodes of persistent→reset" in row.note
        assert at(found, outcome, "easy", "aligned").n == 12
    assert (
        math.isnan(at(found, "score", "easy", "model").effect)
        and at(found, "score", "easy", "model").note
    )
    assert (
        found[(found.outcome == "score") & found.contrast.isin(PLANNED)].tost == "no test"
    ).all()


def test_differences_of_rounding_alone_are_zeros(cells_of, results_of):
    scores = {
        name: [0.1 + 0.2] * 6 if name[0] == "p" else [0.3] * 6 for name in ("pp", "pr", "rp", "rr")
    }
    cells = cells_of({"score": scores})
    assert 0.1 + 0.2 != 0.3
    x, _ = values(cells, "score", PLANNED["training"])
    assert x.tolist() == [0.0] * 6 and not np.signbit(x).any()
    row = at(contrast_table(results_of(cells)), "score", "easy", "training")
    assert (
        (row.zeros, row.effect) == (6, 0.0)
        and math.isnan(row.p)
        and "all differences are zero" in row.note
    )


def test_tasks_too_few_for_a_test_are_described(smoke):
    rows = smoke.evidence.contrasts[smoke.evidence.contrasts.planned]
    assert rows.effect.notna().all() and rows.p.isna().all() and (rows.note != "").all()
    assert set(rows[rows.outcome == "score"].tost) == {"no test"}


# Tests --------------------------------------------------------------------------------------------


def test_holm_spans_the_eight_planned_tests_of_an_outcome(table):
    for outcome in OUTCOMES:
        family = table[table.planned & (table.outcome == outcome)]
        assert len(family) == 8 and family.p.notna().all()
        assert family.p_holm.tolist() == pytest.approx(multipletests(family.p, method="holm")[1])
        assert (family.p_holm >= family.p).all()
    assert table[~table.planned].p_holm.isna().all()


def test_equivalence_is_judged_for_scores_alone(two, table):
    scores = table[(table.outcome == "score") & (table.contrast != "model")]
    assert set(scores.tost) == {"equivalent", "not shown"} and scores.detectable.notna().all()
    assert table[(table.outcome != "score") | (table.contrast == "model")].tost.isna().all()
    x, row = values(easy(two), "score", SIMPLE["aligned"])[0], at(table, "score", "easy", "aligned")
    found = tost(x, 0.1, alpha=0.1)
    assert (row.tost, row.tost_low, row.tost_high, row.tost_p) == (
        found.verdict,
        found.low,
        found.high,
        found.p,
    )
    assert row.detectable == detectable_difference(x, alpha=0.1, power=0.7).estimate


def test_the_model_of_all_episodes_has_the_interaction_as_its_estimate(table, one_adapter):
    for here in (table, *one_adapter):
        model, row = (at(here, "score", "easy", name) for name in ("model", "interaction"))
        assert model.effect == pytest.approx(row.effect) and model.low < model.effect < model.high
        assert not model.planned and 0 <= model.p <= 1


def test_the_p_of_mcnemar_is_the_largest_over_adapters(two, table, drawn, results_of, cells_of):
    found = []
    for _, part in easy(two).groupby("train_seed"):
        wide = task_means(part, "missing_variable")
        found.append(
            mcnemar(wide["persistent", "persistent"] > 0, wide["persistent", "reset"] > 0).p
        )
    row = at(table, "missing", "easy", "loss")
    assert found[0] != found[1] and row.p == max(found) and row.test == "McNemar"
    alike = cells_of(
        {"missing_variable": {name: [True] * 12 for name in ("pp", "pr", "rp", "rr")}}, train_seed=2
    )
    mixed = contrast_table(
        results_of(pd.concat([drawn(1), alike, alike.assign(difficulty="medium")]))
    )
    assert (
        at(mixed, "missing", "easy", "loss").p == 1
    )  # an adapter whose pairs do not differ at all
    row = at(mixed, "missing", "medium", "loss")
    assert math.isnan(row.p) and "no pair differs" in row.note


# Power --------------------------------------------------------------------------------------------


def test_an_adapter_that_only_one_regime_has_takes_no_part_in_what_it_did_not_play(
    drawn, results_of
):
    """Three adapters trained on persistent traces against one of the other: no pairs is not p = 1, and
    no mean of nothing."""
    cells = pd.concat([drawn(1), drawn(2, 3)], ignore_index=True)
    uneven = cells[(cells.train == "persistent") | (cells.train_seed == 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some, one = (contrast_table(results_of(frame)) for frame in (uneven, drawn(1)))
    habit, alone = (at(table, "missing", "easy", "habit") for table in (some, one))
    assert (
        habit.p == alone.p or math.isnan(habit.p) and math.isnan(alone.p)
    ) and habit.seeds == alone.seeds == 1
    assert at(some, "missing", "easy", "loss").seeds == 3
    aligned = at(some, "score", "easy", "aligned")
    assert aligned.seeds == 1 and aligned.seed_low == aligned.seed_high


def test_power_rises_with_the_difference_from_the_level_of_the_test(drawn, results_of):
    results = results_of(drawn(1, n=30))
    found = power_table(results)
    x, _ = values(easy(results), "score", SIMPLE["aligned"])
    here = found[found.difficulty == "easy"]
    assert here.power.iloc[0] == pytest.approx(0.05) and here.power.is_monotonic_increasing
    assert (
        set(here.n) == {30}
        and here.spread.iloc[0] == pytest.approx(x.std(ddof=1))
        and here.needed.nunique() == 1
    )
    margin = here[here.difference == 0.05].power.iloc[0]
    assert (margin >= 0.8) == (here.needed.iloc[0] <= 30)
