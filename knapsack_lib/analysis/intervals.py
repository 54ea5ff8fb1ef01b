"""Rows of numbers -> estimates with intervals. Pairs are of one task; every draw is seeded by name.

    mean_interval(values, seed=named_seed(root, "score", "easy"))      # BCa bootstrap
    rate_interval(hits, n)                                                  # Wilson
    ratio_interval(a, b, seed=...)                                          # geometric mean of a/b, paired

Data that cannot answer a question (too few pairs, no spread, values that are not numbers) give NaN
where the answer would stand and say why in `note`: nothing is dropped without a word, and no number
is made up.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

__all__ = [
    "FEWEST",
    "LEVEL",
    "NAN",
    "RESAMPLES",
    "Interval",
    "as_row",
    "efficiency_ratio",
    "is_flat",
    "mean_interval",
    "mean_intervals",
    "rate_interval",
    "ratio_interval",
]

RESAMPLES = 5_000
LEVEL = 0.95
FEWEST = 5  # pairs below which no test is made
NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval over n values. `method`: BCa, percentile, Wilson, constant or
    none."""

    estimate: float
    low: float
    high: float
    n: int
    method: str
    note: str = ""

    @classmethod
    def none(cls, n: int, note: str, estimate: float = NAN, method: str = "none") -> Interval:
        """No ends, and perhaps no estimate either; `note` says why."""
        return cls(estimate, NAN, NAN, n, method, note)

    @classmethod
    def of_row(cls, row: Any, column: str, low: str = "", high: str = "") -> Interval:
        """The columns `column`, `low` and `high` (by default *_low and *_high) of a frame's row."""
        low, high = low or f"{column}_low", high or f"{column}_high"
        return cls(row[column], row[low], row[high], int(row.get("n", 0)), "")

    @property
    def complement(self) -> Interval:
        """Of a share: that of the others."""
        return replace(self, estimate=1 - self.estimate, low=1 - self.high, high=1 - self.low)

    @property
    def inverse(self) -> Interval:
        """Of a ratio: the ratio turned round."""
        return replace(self, estimate=1 / self.estimate, low=1 / self.high, high=1 / self.low)


def as_row(values: ArrayLike) -> tuple[np.ndarray, str]:
    """The values of shape [n] and, when they cannot be used, why."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 1:
        return x.ravel(), f"need a row of numbers, got shape {x.shape}"
    bad = int((~np.isfinite(x)).sum())
    if bad:
        return x, f"{bad} of {len(x)} values are not finite numbers"
    return x, "" if len(x) else "no values"


def is_flat(x: np.ndarray) -> bool:
    """Whether values [n] differ by no more than rounding."""
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())


def mean_interval(
    values: ArrayLike, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The mean of values of shape [n] with a bias-corrected, accelerated bootstrap interval (Efron
    1987).

    Where BCa has no solution the percentile interval of the same resamples is given, and `method`
    says so.
    """
    return mean_intervals([values], seed=seed, resamples=resamples, level=level)[0]


def mean_intervals(
    rows: Sequence[ArrayLike], *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """The same for several measures of the same n things: rows [k][n]. All share the draws of
    things, as they are paired."""
    checked = [_without_draws(row) for row in rows]
    drawn = [x for x, known in checked if known is None]
    if not drawn:
        return [known for _, known in checked if known is not None]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # data without enough spread: handled below, by name
        found = stats.bootstrap(
            (np.stack(drawn),),
            np.mean,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa",
            vectorized=True,
            batch=250,
            axis=-1,
            rng=np.random.default_rng(seed),
        )
    tail = (1 - level) / 2
    ends = zip(*found.confidence_interval, found.bootstrap_distribution, strict=True)
    intervals = []
    for x, known in checked:
        if known is None:
            low, high, means = next(ends)
            solved = bool(np.isfinite([low, high]).all())
            low, high = (low, high) if solved else np.quantile(means, [tail, 1 - tail])
            few = f"only {len(x)} values: the interval says little" if len(x) < FEWEST else ""
            method = "BCa" if solved else "percentile"
            known = Interval(float(x.mean()), float(low), float(high), len(x), method, few)
        intervals.append(known)
    return intervals


def _without_draws(values: ArrayLike) -> tuple[np.ndarray, Interval | None]:
    """The values [n], and their interval where none has to be drawn."""
    x, note = as_row(values)
    if note:
        return x, Interval.none(len(x), note)
    one = float(x[0])
    if len(x) == 1:
        return x, Interval.none(1, "one value: no interval", one)
    if is_flat(x):
        return x, Interval(one, one, one, len(x), "constant", "all values are equal: no width")
    return x, None


def rate_interval(hits: float, n: int, *, level: float = LEVEL) -> Interval:
    """hits / n with Wilson's score interval (Wilson 1927). Raises ValueError unless 0 <= hits <= n.

    `n` counts independent units. Where each of n tasks was played by several adapters, `hits` is
    the sum of the tasks' shares: episodes of one task do not count as independent, so the interval
    is as wide as that of one adapter.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits out of {n} is no rate")
    if n == 0:
        return Interval.none(0, "no values")
    low, high = proportion_confint(hits, n, alpha=1 - level, method="wilson")
    low, high = (
        (0.0 if hits == 0 else float(low)),
        (1.0 if hits == n else float(high)),
    )  # exact ends, free of rounding
    return Interval(hits / n, low, high, n, "Wilson")


def ratio_interval(
    a: ArrayLike, b: ArrayLike, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """exp(mean(log a - log b)) for pairs of shape [n]: the typical ratio, with a BCa interval found
    on the log scale."""
    top, bottom = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if top.shape != bottom.shape:
        return Interval.none(len(top), f"{len(top)} values against {len(bottom)}: no pairs")
    bad = int((~(top > 0) | ~(bottom > 0) | np.isinf(top) | np.isinf(bottom)).sum())
    if bad:
        note = f"{bad} of {len(top)} pairs hold no positive, finite number"
        return Interval.none(len(top), note)
    log = mean_interval(np.log(top) - np.log(bottom), seed=seed, resamples=resamples, level=level)
    with np.errstate(over="ignore"):
        estimate, low, high = (float(np.exp(end)) for end in (log.estimate, log.low, log.high))
    return Interval(estimate, low, high, log.n, log.method, log.note)


def efficiency_ratio(
    a: tuple[ArrayLike, ArrayLike],
    b: tuple[ArrayLike, ArrayLike],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """(mean score / mean tokens) of `a` over that of `b`, each a pair (scores, tokens) of rows [n]
    of the same tasks.

    The interval is BCa over tasks: a resample draws a task's four numbers together.
    """
    rows = [np.asarray(values, dtype=float) for values in (*a, *b)]
    note = next((why for x, why in map(as_row, rows) if why), "")
    if not note and len({len(x) for x in rows}) > 1:
        note = "the rows have different lengths: no pairs"
    if not note and not all(x.sum() > 0 for x in rows):
        note = "a mean is not above zero: no ratio"
    if note or len(rows[0]) < FEWEST:
        return Interval.none(len(rows[0]), note or f"only {len(rows[0])} pairs")

    def ratio(*x: np.ndarray, axis: int = -1) -> np.ndarray:
        one, two, three, four = (part.mean(axis=axis) for part in x)
        return (one / two) / (three / four)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample without spread; its ends are looked at below
        found = stats.bootstrap(
            rows,
            ratio,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa",
            vectorized=True,
            batch=1000,
            paired=True,
            rng=np.random.default_rng(seed),
        )
    estimate, (low, high) = float(ratio(*rows)), map(float, found.confidence_interval)
    if not np.isfinite([low, high]).all():
        return Interval.none(len(rows[0]), "the resamples give no interval", estimate)
    return Interval(estimate, low, high, len(rows[0]), "BCa")
