"""Frames of episodes -> one row per cell. The unit is the task: a task's value is the mean over the
adapters of a training.

    cell_summary(results.cells, results.analysis, results.seed)     # estimates with intervals over tasks
    seed_summary(results.cells)                                     # the same means for each adapter by itself

Spread over tasks (intervals) and spread over training seeds (`*_seed_sd`) are never pooled.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from knapsack_lib.analysis.intervals import mean_interval, rate_interval
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.profiles import ARMS, DIFFICULTIES, REACT, RUNTIMES, TRAININGS, Analysis
from knapsack_lib.seeds import named_seed

__all__ = [
    "cell_summary",
    "of_cell",
    "seed_summary",
    "state_summary",
    "task_means",
    "trace_summary",
]

RATES = ("solved", "finished", "missing_variable")
MEANS = ("steps", "tool_calls", "seconds")
PAIRS = [*((t, r) for t in TRAININGS for r in RUNTIMES), ("base", REACT), (REACT, REACT)]
ORDER = [(*pair, d) for d in DIFFICULTIES for pair in PAIRS]


def task_means(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    """Tasks x (train, runtime): the mean of a column over a training's adapters. NaN where a cell
    lacks the task.

    `cells` is of one difficulty, with the columns of metrics.episode_frame.
    """
    values = cells.assign(value=cells[column].astype(float))
    return values.pivot_table(
        index="task_id", columns=["train", "runtime"], values="value", aggfunc="mean", sort=True
    )


def of_cell(frame: pd.DataFrame, train: str, runtime: str, difficulty: str) -> pd.DataFrame:
    """The rows of one cell."""
    return frame[(frame[CELL] == [train, runtime, difficulty]).all(axis=1)]


def cell_summary(cells: pd.DataFrame, analysis: Analysis, seed: int) -> pd.DataFrame:
    """One row per cell that is present, in reading order: easy before medium, base before the
    fine-tuned.

    `cells` has the columns of metrics.episode_frame and `seconds`. `n` counts tasks, `seeds`
    adapters; interval ends are columns *_low and *_high; *_seed_sd is the standard deviation of the
    adapters' means (NaN for one adapter); score_per_1k = 100 * mean score / (mean tokens / 1000).
    """
    groups = dict(list(cells.groupby(CELL)))
    return pd.DataFrame(
        [_summary(key, groups[key], analysis, seed) for key in ORDER if key in groups]
    )


def _summary(
    key: tuple[str, str, str], cell: pd.DataFrame, analysis: Analysis, seed: int
) -> dict[str, Any]:
    tasks = cell.groupby("task_id")[["score", "tokens", *RATES]].mean()
    adapters = cell.groupby("train_seed")[["score", "tokens"]].mean()
    row: dict[str, Any] = dict(zip(CELL, key, strict=True)) | {
        "n": len(tasks),
        "seeds": len(adapters),
    }
    for name in ("score", "tokens"):
        own = named_seed(seed, "bootstrap", name, key[-1])
        found = mean_interval(
            tasks[name], seed=own, resamples=analysis.resamples, level=analysis.level
        )
        row |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
        row |= {
            f"{name}_method": found.method,
            f"{name}_seed_sd": float(adapters[name].std(ddof=1)),
        }
    for name in RATES:
        rate = rate_interval(float(tasks[name].sum()), len(tasks), level=analysis.level)
        row |= {name: rate.estimate, f"{name}_low": rate.low, f"{name}_high": rate.high}
    means = {name: float(cell[name].mean()) for name in MEANS}
    # Not recorded
    per_1k = 100 * row["score"] / (row["tokens"] / 1000) if row["tokens"] else math.nan
    return row | means | {"score_per_1k": per_1k}


def seed_summary(cells: pd.DataFrame) -> pd.DataFrame:
    """A row per cell and adapter: its means over the same tasks."""
    columns = ["score", "tokens", *RATES, "steps"]
    means = cells.assign(**{name: cells[name].astype(float) for name in columns})
    means = means.groupby([*CELL, "train_seed"])[columns].mean().reset_index()
    counts = cells.groupby([*CELL, "train_seed"]).size().to_numpy()
    place = {key: i for i, key in enumerate(ORDER)}
    keys = means[CELL].apply(tuple, axis=1).map(place)
    ordered = means.assign(n=counts, place=keys).sort_values(
        ["place", "train_seed"], ignore_index=True
    )
    return ordered[[*CELL, "train_seed", "n", *columns]]


def trace_summary(traces: pd.DataFrame) -> pd.DataFrame:
    """Runtime -> the means of the traces' numbers, `n` (how many there are) and `with_slip` (the
    share that holds a slip)."""
    wanted = [arm for arm in ARMS if arm != REACT or REACT in set(traces.runtime)]
    grouped = traces.assign(with_slip=traces.slips > 0).groupby("runtime")
    means = grouped.mean(numeric_only=True).reindex(wanted)
    return means.assign(n=grouped.size().reindex(means.index, fill_value=0))


def state_summary(turns: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """What blocks say about state, per group of turns (columns of behaviour.COLUMNS).

    `relies`: the share of the blocks that need a name from an earlier turn; `names`: how many, on
    average; `restated` and `again`: the share of the completion tokens in literals that were shown
    before, and in helpers that are defined once more; `blocks`, `n` (tasks) and `seeds` count.
    """
    spent = turns.assign(
        restated=turns.restated * turns.completion_tokens,
        again=turns.again * turns.completion_tokens,
    ).groupby(by, sort=False)
    blocks = turns[turns.code].assign(relies=turns.reads_earlier > 0).groupby(by, sort=False)
    tax = spent[["restated", "again"]].sum().div(spent.completion_tokens.sum(), axis=0)
    counts = spent.agg(n=("task_id", "nunique"), seeds=("train_seed", "nunique"))
    reads = blocks.agg(
        blocks=("code", "size"), relies=("relies", "mean"), names=("reads_earlier", "mean")
    )
    found = counts.join(reads).join(tax)
    return found.assign(blocks=found.blocks.fillna(0).astype(int))
