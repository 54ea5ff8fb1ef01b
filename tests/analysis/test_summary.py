"""Cells and adapters: the unit is the task, a task's value is the mean over adapters, and two
spreads stay apart."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis.intervals import (
    mean_interval,
    rate_interval,
)
from knapsack_lib.analysis.metrics import CELL, episode_frame
from knapsack_lib.analysis.summary import cell_summary, seed_summary, task_means
from knapsack_lib.seeds import named_seed

ORDER = [
    (d, t, r)
    for d in ("easy", "medium")
    for t in ("base", "persistent", "reset")
    for r in ("persistent", "reset")
]


def ends(interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


# Cells --------------------------------------------------------------------------------------------


def test_a_cell_counts_its_tasks_and_its_adapters(twice):
    table = twice.evidence.summary
    assert list(zip(table.difficulty, table.train, table.runtime, strict=True)) == ORDER
    assert table.n.tolist() == [8] * 6 + [6] * 6
    assert table.seeds.tolist() == [1, 1, 2, 2, 2, 2] * 2


def test_a_task_s_value_is_the_mean_over_adapters_and_intervals_are_those_of_task_means(twice):
    row = twice.evidence.cell("reset", "persistent", "easy")
    cells = twice.results.cells
    mine = cells[
        (cells.train == "reset") & (cells.runtime == "persistent") & (cells.difficulty == "easy")
    ]
    for name in ("score", "tokens"):
        first, second = (mine[mine.train_seed == k].set_index("task_id")[name] for k in (1, 2))
        assert (first != second).any()
        seed = named_seed(1, "bootstrap", name, "easy")
        found = mean_interval((first + second) / 2, seed=seed, resamples=1000)
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(ends(found))
        assert row[f"{name}_method"] == found.method == "BCa" and found.n == 8


def test_a_rate_is_wilson_s_with_tasks_as_the_count(cells_of, results_of):
    """Six tasks, of which two adapters solve 3 and 1: as many hits as four episodes, as wide as six
    tasks."""
    adapters = [
        cells_of({"solved": {"pp": [True] * k + [False] * (6 - k)}}, train_seed=k) for k in (3, 1)
    ]
    row = cell_summary(pd.concat(adapters), results_of(adapters[0]).analysis, 1).iloc[0]
    expected = rate_interval(2.0, 6)
    assert (row.solved, row.solved_low, row.solved_high) == pytest.approx(
        ends(expected)
    ) and row.solved == 2 / 6
    assert (row.n, row.seeds) == (6, 2)


def test_the_spread_over_adapters_is_told_apart_and_is_not_in_the_interval(cells_of, results_of):
    scores = np.array([0.2, 0.5, 0.3, 0.9, 0.6, 0.4])
    found = []
    for d in (0.1, 0.0):
        shifted = [
            cells_of({"score": {"rr": list(scores + d * (3 - 2 * k))}}, train_seed=k)
            for k in (1, 2)
        ]
        found.append(cell_summary(pd.concat(shifted), results_of(shifted[0]).analysis, 1).iloc[0])
    far, near = found
    assert far.score_seed_sd == pytest.approx(0.1 * math.sqrt(2)) and near.score_seed_sd == 0
    for name in ("score", "score_low", "score_high"):
        assert far[name] == pytest.approx(near[name])


def test_one_adapter_has_no_spread_over_adapters(smoke, twice):
    assert smoke.evidence.summary[["score_seed_sd", "tokens_seed_sd"]].isna().all(axis=None)
    table = twice.evidence.summary
    assert table[table.train == "base"].score_seed_sd.isna().all()
    means = twice.evidence.seeds.query(
        "train == runtime == 'reset' and difficulty == 'medium'"
    ).tokens
    spread = twice.evidence.cell("reset", "reset", "medium").tokens_seed_sd
    assert spread == pytest.approx(np.std(means.to_numpy(), ddof=1)) and spread > 0


def test_equal_cells_get_equal_intervals(smoke):
    cells = smoke.results.cells
    copies = [
        cells[cells.train == "reset"].assign(train=train) for train in ("persistent", "reset")
    ]
    summary = cell_summary(pd.concat(copies), smoke.results.analysis, seed=1).set_index(CELL)
    assert summary.loc["persistent"].equals(summary.loc["reset"])


def test_score_per_thousand_tokens_is_of_the_means(turn, episode, smoke):
    cast = ("base", "reset", "easy")
    cells = episode_frame(
        [
            episode("a", 40, [turn(900, 100)], cast),
            episode("b", 0, [turn(2900, 100)], cast),
        ]
    ).assign(seconds=2.0)
    row = cell_summary(cells, smoke.results.analysis, seed=0).iloc[0]
    assert row.score_per_1k == 100 * 0.5 / 2 and row.seconds == 2 and row.n == 2


def test_files_without_turns_have_no_score_per_token(cells_of, results_of):
    cells = cells_of({"tokens": {"pp": [0, 0, 0]}})
    assert math.isnan(cell_summary(cells, results_of(cells).analysis, 1).iloc[0].score_per_1k)


def test_a_task_that_a_cell_lacks_has_no_value_there(cells_of):
    cells = cells_of({"score": {"pp": [0.5, 1.0], "rr": [0.25]}})
    wide = task_means(cells, "score")
    assert wide["persistent", "persistent"].tolist() == [0.5, 1.0]
    assert wide["reset", "reset"].iloc[0] == 0.25 and math.isnan(wide["reset", "reset"].iloc[1])


# Adapters -----------------------------------------------------------------------------------------


def test_every_adapter_has_a_row_with_its_means_over_the_same_tasks(twice):
    table = twice.evidence.seeds
    cells = [(d, t, r, k) for d, t, r in ORDER for k in ([0] if t == "base" else [1, 2])]
    assert (
        list(zip(table.difficulty, table.train, table.runtime, table.train_seed, strict=True))
        == cells
    )
    assert table.n.tolist() == [8] * 10 + [6] * 10
    found = twice.results.cells.groupby([*CELL, "train_seed"])
    mine = table.set_index([*CELL, "train_seed"])
    for name in ("score", "tokens", "solved", "finished", "missing_variable", "steps"):
        assert mine[name].to_dict() == pytest.approx(found[name].mean().to_dict())


def test_means_of_adapters_are_the_cell_s_mean_where_all_played_all_tasks(twice):
    means = twice.evidence.seeds.groupby(CELL)[["score", "tokens", "solved"]].mean()
    whole = twice.evidence.summary.set_index(CELL)[["score", "tokens", "solved"]]
    assert_frame_equal(means.sort_index(), whole.sort_index(), check_exact=False)


def test_rows_of_episodes_may_stand_in_any_order(twice):
    mixed = twice.results.cells.sample(frac=1, random_state=3)
    assert_frame_equal(cell_summary(mixed, twice.results.analysis, 1), twice.evidence.summary)
    assert_frame_equal(seed_summary(mixed), twice.evidence.seeds)
