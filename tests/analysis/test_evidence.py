"""Evidence: ratios, recovery and the expert's score, from made-up cells and whole runs."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.intervals import (
    efficiency_ratio,
    ratio_interval,
)
from knapsack_lib.analysis.summary import task_means
from knapsack_lib.seeds import named_seed


def test_the_teacher_s_ratio_is_paired_by_task(smoke):
    wide = smoke.results.teacher.pivot(index="task_id", columns="runtime", values="tokens")
    seed = named_seed(1, "bootstrap", "teacher")
    assert smoke.evidence.teacher_ratio == ratio_interval(
        wide["reset"], wide["persistent"], seed=seed
    )


def test_efficiency_compares_the_aligned_cells_by_means_over_the_same_tasks(twice):
    cells = twice.results.cells[twice.results.cells.difficulty == "easy"]
    means = {name: task_means(cells, name) for name in ("score", "tokens")}
    sides = [(means["score"][r, r], means["tokens"][r, r]) for r in ("persistent", "reset")]
    seed = named_seed(1, "bootstrap", "efficiency", "easy")
    assert twice.evidence.efficiency("easy") == efficiency_ratio(*sides, seed=seed, resamples=1000)
    pp, rr = (twice.evidence.cell(r, r, "easy") for r in ("persistent", "reset"))
    assert twice.evidence.efficiency("easy").estimate == pytest.approx(
        pp.score_per_1k / rr.score_per_1k
    )


def test_recovery_counts_tasks_and_averages_adapters(cells_of, results_of):
    """Task 0: met by both adapters, one recovered; task 1: met by one, recovered; task 2: met by
    none."""
    names = ("missing_variable", "recovered", "first_missing_turn")
    first = ([True, True, False], [True, True, None], [2, 4, None])
    second = ([True, False, False], [False, None, None], [6, None, None])
    parts = [
        cells_of(
            {name: {"pr": column} for name, column in zip(names, columns, strict=True)},
            train_seed=k,
        )
        for k, columns in ((1, first), (2, second))
    ]
    share, turn = Evidence(results_of(pd.concat(parts))).recovery("persistent", "reset", "easy")
    assert (share.estimate, share.n) == (1.5 / 2, 2) and turn == (2 + 4 + 6) / 3
    nothing, never = Evidence(results_of(pd.concat(parts))).recovery("reset", "reset", "easy")
    assert math.isnan(nothing.estimate) and math.isnan(never)


def test_a_ratio_turned_round_has_its_ends_turned_round(twice):
    row = twice.evidence.contrast("tokens", "medium", "aligned")
    plain = twice.evidence.token_ratio("medium", "aligned")
    turned = plain.inverse
    assert (plain.estimate, plain.low, plain.high) == (row.effect, row.low, row.high)
    assert (turned.estimate, turned.low, turned.high) == (
        1 / row.effect,
        1 / row.high,
        1 / row.low,
    ) and turned.low < turned.high


def test_the_expert_s_score_is_its_mean_on_the_test_tasks(twice):
    expert = twice.results.expert
    assert twice.evidence.expert("medium") == expert[expert.difficulty == "medium"].score.mean()
