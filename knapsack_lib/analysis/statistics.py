"""Arrays -> estimates with 95% intervals. Every draw is seeded by name; nothing here reads or writes a file.

    mean_interval(values, seed=named_seed(root, "optimality", "easy"))      # BCa bootstrap
    rate_interval(hits, n)                                                  # Wilson
    ratio_interval(a, b, seed=...)                                          # geometric mean of a/b, paired

Data that hold no spread (one value, or all values equal) give an interval of width zero whose `method` says so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import DegenerateDataWarning, bootstrap
from statsmodels.stats.proportion import proportion_confint

from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, named_seed

__all__ = ["Interval", "cell_summary", "mean_interval", "rate_interval", "ratio_interval"]

RESAMPLES = 5_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval over n values. `method`: BCa, percentile, Wilson, single or constant."""

    estimate: float
    low: float
    high: float
    n: int
    method: str


def mean_interval(values: ArrayLike, *, seed: int) -> Interval:
    """The mean of values of shape [n] with a bias-corrected, accelerated bootstrap interval (Efron 1987).

    Where BCa has no solution the percentile interval of the same resamples is given, and `method` says so.
    Raises ValueError for no values or values that are not finite.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0 or not np.isfinite(x).all():
        raise ValueError(f"need a non-empty row of finite numbers, got shape {x.shape}")
    if len(x) == 1 or np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]), float(x[0]), len(x), "single" if len(x) == 1 else "constant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # handled below, by name
        found = bootstrap(
            (x,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="BCa", vectorized=True, batch=1000,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
    low, high = (float(end) for end in found.confidence_interval)
    method = "BCa"
    if not np.isfinite([low, high]).all():
        tail = (1 - LEVEL) / 2
        low, high = (float(end) for end in np.quantile(found.bootstrap_distribution, [tail, 1 - tail]))
        method = "percentile"
    return Interval(float(x.mean()), low, high, len(x), method)


def rate_interval(hits: int, n: int) -> Interval:
    """hits / n with Wilson's score interval (Wilson 1927). Raises ValueError unless 0 <= hits <= n and n > 0."""
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits out of {n} is no rate")
    low, high = proportion_confint(hits, n, alpha=1 - LEVEL, method="wilson")
    low, high = (0.0 if hits == 0 else float(low)), (1.0 if hits == n else float(high))  # exact ends, free of rounding
    return Interval(hits / n, low, high, n, "Wilson")


def ratio_interval(a: ArrayLike, b: ArrayLike, *, seed: int) -> Interval:
    """exp(mean(log a - log b)) for pairs of shape [n]: the typical ratio, with a BCa interval found on the log scale.

    Raises ValueError unless both have one length and hold positive numbers only.
    """
    top, bottom = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if top.shape != bottom.shape or not (top > 0).all() or not (bottom > 0).all():
        raise ValueError(f"need pairs of positive numbers, got shapes {top.shape} and {bottom.shape}")
    log = mean_interval(np.log(top) - np.log(bottom), seed=seed)
    low, high = float(np.exp(log.low)), float(np.exp(log.high))
    return Interval(float(np.exp(log.estimate)), low, high, log.n, log.method)


def cell_summary(cells: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One row per cell that is present, in reading order: easy before medium, base before the fine-tuned.

    `cells` has the columns of metrics.episode_frame and `seconds`. Interval ends are columns *_low and *_high;
    score_per_1k = 100 * mean optimality / (mean tokens / 1000).
    """
    groups = dict(list(cells.groupby(CELL)))
    order = [(t, r, d) for d in DIFFICULTIES for t in TRAININGS for r in RUNTIMES]
    return pd.DataFrame([_summary(key, groups[key], seed) for key in order if key in groups])


def _summary(key: tuple[str, str, str], cell: pd.DataFrame, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(CELL, key, strict=True)) | {"n": len(cell)}
    for name in ("optimality", "tokens"):
        found = mean_interval(cell[name], seed=named_seed(seed, "bootstrap", name, key[-1]))
        row |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
        row[f"{name}_method"] = found.method
    for name in ("solved", "finished", "missing_variable"):
        rate = rate_interval(int(cell[name].sum()), len(cell))
        row |= {name: rate.estimate, f"{name}_low": rate.low, f"{name}_high": rate.high}
    means = {name: float(cell[name].mean()) for name in ("steps", "tool_calls", "seconds")}
    return row | means | {"score_per_1k": 100 * row["optimality"] / (row["tokens"] / 1000)}
