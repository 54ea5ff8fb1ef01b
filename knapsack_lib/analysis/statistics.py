"""Arrays -> estimates, tests and intervals. Pairs are of one task; every draw is seeded by name; no file is touched.

    mean_interval(values, seed=named_seed(root, "optimality", "easy"))      # BCa bootstrap
    rate_interval(hits, n)                                                  # Wilson
    ratio_interval(a, b, seed=...)                                          # geometric mean of a/b, paired
    wilcoxon(differences), tost(differences, margin), mcnemar(a, b), holm(p_values)
    interaction_model(frame, "optimality")                                  # cluster-robust least squares

Data that cannot answer a question (too few pairs, no spread, values that are not numbers) give NaN where the answer
would stand and say why in `note`: nothing is dropped without a word, and no number is made up.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar as _mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

__all__ = [
    "FEWEST", "LEVEL", "RESAMPLES", "Equivalence", "Interval", "Test", "as_row", "efficiency_ratio", "holm",
    "interaction_model", "is_flat", "mcnemar", "mean_interval", "mean_intervals", "rate_interval", "ratio_interval",
    "tost", "wilcoxon",
]  # fmt: skip

RESAMPLES = 5_000
LEVEL = 0.95
FEWEST = 5  # pairs below which no test is made
NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval over n values. `method`: BCa, percentile, Wilson, constant or none."""

    estimate: float
    low: float
    high: float
    n: int
    method: str
    note: str = ""


@dataclass(frozen=True)
class Test:
    """`effect` is what the method says (see there), `n` the pairs that entered, `zeros` those without a difference."""

    __test__ = False  # not a test of pytest's

    statistic: float
    p: float
    effect: float
    n: int
    zeros: int
    method: str
    note: str = ""


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests. `verdict`: equivalent, not shown, or none where no test could be made."""

    estimate: float
    low: float
    high: float
    p: float
    margin: float
    n: int
    verdict: str
    note: str = ""


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


# Estimates ------------------------------------------------------------------------------------------------------------


def mean_interval(values: ArrayLike, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """The mean of values of shape [n] with a bias-corrected, accelerated bootstrap interval (Efron 1987).

    Where BCa has no solution the percentile interval of the same resamples is given, and `method` says so.
    """
    return mean_intervals([values], seed=seed, resamples=resamples, level=level)[0]


def mean_intervals(
    rows: Sequence[ArrayLike], *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """The same for several measures of the same n things: rows [k][n]. All share the draws of things, as they are paired."""
    checked = [_without_draws(row) for row in rows]
    drawn = [x for x, known in checked if known is None]
    if not drawn:
        return [known for _, known in checked if known is not None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # data without enough spread: handled below, by name
        found = stats.bootstrap(
            (np.stack(drawn),), np.mean, n_resamples=resamples, confidence_level=level, method="BCa", vectorized=True,
            batch=250, axis=-1, rng=np.random.default_rng(seed),
        )  # fmt: skip
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
        return x, Interval(NAN, NAN, NAN, len(x), "none", note)
    one = float(x[0])
    if len(x) == 1:
        return x, Interval(one, NAN, NAN, 1, "none", "one value: no interval")
    if is_flat(x):
        return x, Interval(one, one, one, len(x), "constant", "all values are equal: no width")
    return x, None


def rate_interval(hits: float, n: int, *, level: float = LEVEL) -> Interval:
    """hits / n with Wilson's score interval (Wilson 1927). Raises ValueError unless 0 <= hits <= n.

    `n` counts independent units. Where each of n tasks was played by several adapters, `hits` is the sum of the tasks'
    shares: episodes of one task do not count as independent, so the interval is as wide as that of one adapter.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits out of {n} is no rate")
    if n == 0:
        return Interval(NAN, NAN, NAN, 0, "none", "no values")
    low, high = proportion_confint(hits, n, alpha=1 - level, method="wilson")
    low, high = (0.0 if hits == 0 else float(low)), (1.0 if hits == n else float(high))  # exact ends, free of rounding
    return Interval(hits / n, low, high, n, "Wilson")


def ratio_interval(
    a: ArrayLike, b: ArrayLike, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """exp(mean(log a - log b)) for pairs of shape [n]: the typical ratio, with a BCa interval found on the log scale."""
    top, bottom = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if top.shape != bottom.shape:
        return Interval(NAN, NAN, NAN, len(top), "none", f"{len(top)} values against {len(bottom)}: no pairs")
    bad = int((~(top > 0) | ~(bottom > 0) | np.isinf(top) | np.isinf(bottom)).sum())
    if bad:
        return Interval(NAN, NAN, NAN, len(top), "none", f"{bad} of {len(top)} pairs hold no positive, finite number")
    log = mean_interval(np.log(top) - np.log(bottom), seed=seed, resamples=resamples, level=level)
    with np.errstate(over="ignore"):
        estimate, low, high = (float(np.exp(end)) for end in (log.estimate, log.low, log.high))
    return Interval(estimate, low, high, log.n, log.method, log.note)


def efficiency_ratio(
    a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike], *, seed: int, resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:  # fmt: skip
    """(mean score / mean tokens) of `a` over that of `b`, each a pair (scores, tokens) of rows [n] of the same tasks.

    The interval is BCa over tasks: a resample draws a task's four numbers together.
    """
    rows = [np.asarray(values, dtype=float) for values in (*a, *b)]
    note = next((why for x, why in map(as_row, rows) if why), "")
    if not note and len({len(x) for x in rows}) > 1:
        note = "the rows have different lengths: no pairs"
    if not note and not all(x.sum() > 0 for x in rows):
        note = "a mean is not above zero: no ratio"
    if note or len(rows[0]) < FEWEST:
        return Interval(NAN, NAN, NAN, len(rows[0]), "none", note or f"only {len(rows[0])} pairs")

    def ratio(*x: np.ndarray, axis: int = -1) -> np.ndarray:
        one, two, three, four = (part.mean(axis=axis) for part in x)
        return (one / two) / (three / four)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample without spread; its ends are looked at below
        found = stats.bootstrap(
            rows, ratio, n_resamples=resamples, confidence_level=level, method="BCa", vectorized=True, batch=1000,
            paired=True, rng=np.random.default_rng(seed),
        )  # fmt: skip
    low, high = (float(end) for end in found.confidence_interval)
    if not np.isfinite([low, high]).all():
        return Interval(float(ratio(*rows)), NAN, NAN, len(rows[0]), "none", "the resamples give no interval")
    return Interval(float(ratio(*rows)), low, high, len(rows[0]), "BCa")


# Tests of pairs -------------------------------------------------------------------------------------------------------


def wilcoxon(differences: ArrayLike) -> Test:
    """Wilcoxon's signed-rank test (1945) of paired differences of shape [n], two-sided.

    Zeros are left out and counted (Wilcoxon's own rule); what is below 1e-15 is rounding and counts as zero. `effect` is the signed matched-pairs rank-biserial
    correlation (W+ - W-) / (W+ + W-) = 1 - 4 W- / (m (m + 1)) over the m other pairs (Kerby 2014): +1 when every pair
    is positive. Exact for m <= 50 without ties, else the normal approximation.
    """
    x, note = as_row(differences)
    x = np.where(np.abs(x) < 1e-15, 0.0, x)
    zeros = int((x == 0).sum()) if not note else 0
    moved = x[x != 0]
    if not note and len(moved) == 0:
        note = "all differences are zero"
    elif not note and len(moved) < FEWEST:
        note = f"only {len(moved)} pairs differ; no test below {FEWEST}"
    if note:
        return Test(NAN, NAN, NAN, len(x), zeros, "none", note)
    ranks = stats.rankdata(np.abs(moved))
    positive, negative = float(ranks[moved > 0].sum()), float(ranks[moved < 0].sum())
    exact = len(moved) <= 50 and len(np.unique(np.abs(moved))) == len(moved)
    found = stats.wilcoxon(moved, method="exact" if exact else "asymptotic")
    effect = (positive - negative) / (positive + negative)
    return Test(positive, float(found.pvalue), effect, len(x), zeros, "exact" if exact else "normal approximation")


def mcnemar(a: ArrayLike, b: ArrayLike) -> Test:
    """McNemar's exact test (1947) of two rates over the same tasks; booleans of shape [n].

    `effect` is the difference of the rates, `statistic` the number of pairs in which only `a` is true.
    """
    (x, note), (y, other) = as_row(a), as_row(b)
    note = note or other or ("" if len(x) == len(y) else f"{len(x)} values against {len(y)}: no pairs")
    if note:
        return Test(NAN, NAN, NAN, len(x), 0, "none", note)
    first, second = x.astype(bool), y.astype(bool)
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    table = [[int((first & second).sum()), only_a], [only_b, int((~first & ~second).sum())]]
    zeros, effect = first.size - only_a - only_b, (only_a - only_b) / first.size
    if only_a + only_b == 0:
        return Test(0.0, NAN, 0.0, first.size, zeros, "none", "no pair differs")
    return Test(float(only_a), float(_mcnemar(table, exact=True).pvalue), effect, first.size, zeros, "exact")


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979) over one family. A test that could not be made (NaN) still counts as one."""
    given = np.asarray(p_values, dtype=float)
    filled = np.where(np.isnan(given), 1.0, given)
    corrected = multipletests(filled, method="holm")[1] if len(given) else filled
    return [NAN if math.isnan(p) else float(q) for p, q in zip(given, corrected, strict=True)]


def tost(differences: ArrayLike, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Two one-sided t tests (Schuirmann 1987): is the mean of paired differences of shape [n] within +-margin?

    The interval has level 1 - 2 alpha; the verdict is "equivalent" when it lies within the margin, else "not shown",
    which is no proof of a difference. Raises ValueError for a margin that is not above zero.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin} bounds nothing; it must be above zero")
    x, note = as_row(differences)
    if not note and len(x) < FEWEST:
        note = f"only {len(x)} pairs; no test below {FEWEST}"
    if note:
        return Equivalence(NAN, NAN, NAN, NAN, margin, len(x), "none", note)
    mean, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
    if is_flat(x) or error == 0:
        verdict = "equivalent" if abs(mean) < margin else "not shown"
        return Equivalence(mean, mean, mean, NAN, margin, len(x), verdict, "all differences are equal: no test")
    reach = float(stats.t.ppf(1 - alpha, len(x) - 1)) * error
    above, below = (mean + margin) / error, (mean - margin) / error
    p = max(float(stats.t.sf(above, len(x) - 1)), float(stats.t.cdf(below, len(x) - 1)))
    low, high = mean - reach, mean + reach
    return Equivalence(mean, low, high, p, margin, len(x), "equivalent" if p < alpha else "not shown")


# A model of all episodes -----------------------------------------------------------------------------------------------


def interaction_model(frame: pd.DataFrame, column: str, *, level: float = LEVEL) -> tuple[Interval, Test]:
    """The interaction of training and runtime from all episodes at once, with errors that are robust to clusters.

    `frame` has a row per episode: `train` and `runtime` (each persistent or reset), `task_id` and the column. Ordinary
    least squares of column on train, runtime and their product; the covariance is clustered by task (Liang and Zeger
    1986, with the small-sample factor of statsmodels), since one task is played in all cells. The sign is that of
    (persistent in persistent - persistent in reset) - (reset in persistent - reset in reset).
    """
    data = frame[["task_id", column]].assign(
        t=(frame["train"] == "persistent").astype(float), r=(frame["runtime"] == "persistent").astype(float)
    )
    data = data.rename(columns={column: "y"})
    tasks, note = data["task_id"].nunique(), ""
    strangers = sorted({str(word) for word in frame["train"]} | {str(word) for word in frame["runtime"]})
    strangers = [word for word in strangers if word not in ("persistent", "reset")]
    if strangers:
        note = f"{strangers[0]!r} is no cell of the 2x2"
    elif data["task_id"].isna().any():
        note = "some rows name no task"
    elif data[["t", "r"]].drop_duplicates().shape[0] < 4:
        note = "not all four cells are there"
    elif not np.isfinite(data["y"].astype(float)).all():
        note = "not all values are finite numbers"
    elif tasks < FEWEST:
        note = f"only {tasks} tasks; no model below {FEWEST}"
    elif (data.groupby(["t", "r"])["y"].nunique() == 1).all():
        note = "no cell has any spread"
    if note:
        return Interval(NAN, NAN, NAN, tasks, "none", note), Test(NAN, NAN, NAN, tasks, 0, "none", note)
    groups = pd.factorize(data["task_id"])[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell without spread leaves its own error at zero
        model = ols("y ~ t * r", data.assign(y=data["y"].astype(float)))
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)  # t with tasks - 1 degrees
        low, high = fit.conf_int(alpha=1 - level).loc["t:r"]
        value, error, t, p = (float(row["t:r"]) for row in (fit.params, fit.bse, fit.tvalues, fit.pvalues))
    method = "least squares, clustered by task"
    if not error > 1e-6 * float(data["y"].std()):
        note = "the interaction is the same in every task: no test"
        return Interval(value, NAN, NAN, tasks, method, note), Test(NAN, NAN, value, tasks, 0, method, note)
    return Interval(value, float(low), float(high), tasks, method), Test(t, p, value, tasks, 0, method)
