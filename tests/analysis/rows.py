"""Rows of numbers to try the statistics on, and what counts as no answer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from knapsack_lib.analysis.intervals import Interval
from knapsack_lib.analysis.power import detectable_difference, power_curve, tasks_needed
from knapsack_lib.analysis.statistics import tost

CELLS = list(itertools.product(["persistent", "reset"], repeat=2))  # (train, runtime)


def drawn(seed: int, n: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, n)


def played(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Scores and tokens of n tasks."""
    rng = np.random.default_rng(seed)
    return rng.beta(4, 1, n), rng.lognormal(7, 0.5, n)


def episodes(y: np.ndarray) -> pd.DataFrame:
    """A row per value of y [tasks, 4], whose columns are CELLS."""
    rows = [(*cell, f"task-{i}", row[j]) for i, row in enumerate(y) for j, cell in enumerate(CELLS)]
    return pd.DataFrame(rows, columns=["train", "runtime", "task_id", "y"])


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def is_no_answer(found: object, names: str) -> bool:
    """There is a note, and NaN under every one of the names."""
    return bool(found.note) and all(math.isnan(getattr(found, name)) for name in names.split())


def answers_no_test_or_plan(values: list) -> bool:
    noted = is_no_answer(tost(values, 1.0), "p") and is_no_answer(
        detectable_difference(values), "estimate low high"
    )
    return (
        noted
        and np.isnan(power_curve(values, [0.1, 1.0])).all()
        and math.isnan(tasks_needed(values, 0.1))
    )
