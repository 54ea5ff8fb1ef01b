"""Rows of numbers -> tests. Pairs are of one task; no file is touched. Estimates and their
intervals: intervals.py.

    wilcoxon(differences), tost(differences, margin), mcnemar(a, b), holm(p_values)
    interaction_model(frame, "score")                                  # cluster-robust least squares

Data that cannot answer a question give NaN where the answer would stand and say why in `note`, as
in intervals.py.
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

from knapsack_lib.analysis.intervals import FEWEST, LEVEL, NAN, Interval, as_row, is_flat
from knapsack_lib.profiles import RUNTIMES

__all__ = ["Equivalence", "Test", "holm", "interaction_model", "mcnemar", "tost", "wilcoxon"]


@dataclass(frozen=True)
class Test:
    """`effect` is what the method says (see there), `n` the pairs that entered, `zeros` those
    without a difference."""

    __test__ = False  # not a test of pytest's

    statistic: float
    p: float
    effect: float
    n: int
    zeros: int
    method: str
    note: str = ""

    @classmethod
    def none(cls, n: int, note: str, zeros: int = 0) -> Test:
        """No test could be made; `note` says why."""
        return cls(NAN, NAN, NAN, n, zeros, "none", note)


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests. `verdict`: equivalent, not shown, or no test where none could be
    made."""

    estimate: float
    low: float
    high: float
    p: float
    margin: float
    n: int
    verdict: str
    note: str = ""


# Tests of pairs -----------------------------------------------------------------------------------


def wilcoxon(differences: ArrayLike) -> Test:
    """Wilcoxon's signed-rank test (1945) of paired differences of shape [n], two-sided.

    Zeros are left out and counted (Wilcoxon's own rule); what is below 1e-15 is rounding and counts
    as zero. `effect` is the signed matched-pairs rank-biserial correlation (W+ - W-) / (W+ + W-) =
    1 - 4 W- / (m (m + 1)) over the m other pairs (Kerby 2014): +1 when every pair is positive.
    Exact for m <= 50 without ties, else the normal approximation.
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
        return Test.none(len(x), note, zeros)
    ranks = stats.rankdata(np.abs(moved))
    positive, negative = float(ranks[moved > 0].sum()), float(ranks[moved < 0].sum())
    exact = len(moved) <= 50 and len(np.unique(np.abs(moved))) == len(moved)
    p = float(stats.wilcoxon(moved, method="exact" if exact else "asymptotic").pvalue)
    effect = (positive - negative) / (positive + negative)
    method = "exact" if exact else "normal approximation"
    return Test(positive, p, effect, len(x), zeros, method)


def mcnemar(a: ArrayLike, b: ArrayLike) -> Test:
    """McNemar's exact test (1947) of two rates over the same tasks; booleans of shape [n].

    `effect` is the difference of the rates, `statistic` the number of pairs in which only `a` is
    true.
    """
    (x, note), (y, other) = as_row(a), as_row(b)
    note = (
        note or other or ("" if len(x) == len(y) else f"{len(x)} values against {len(y)}: no pairs")
    )
    if note:
        return Test.none(len(x), note)
    first, second = x.astype(bool), y.astype(bool)
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    table = [[int((first & second).sum()), only_a], [only_b, int((~first & ~second).sum())]]
    zeros, effect = first.size - only_a - only_b, (only_a - only_b) / first.size
    if only_a + only_b == 0:
        return Test(0.0, NAN, 0.0, first.size, zeros, "none", "no pair differs")
    return Test(
        float(only_a), float(_mcnemar(table, exact=True).pvalue), effect, first.size, zeros, "exact"
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979) over one family. A test that could not be made (NaN) still
    counts as one."""
    given = np.asarray(p_values, dtype=float)
    filled = np.where(np.isnan(given), 1.0, given)
    corrected = multipletests(filled, method="holm")[1] if len(given) else filled
    return [NAN if math.isnan(p) else float(q) for p, q in zip(given, corrected, strict=True)]


def tost(differences: ArrayLike, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Two one-sided t tests (Schuirmann 1987): is the mean of paired differences of shape [n]
    within +-margin?

    The interval has level 1 - 2 alpha; the verdict is "equivalent" when it lies within the margin,
    else "not shown", which is no proof of a difference. Raises ValueError for a margin that is not
    above zero.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin} bounds nothing; it must be above zero")
    x, note = as_row(differences)
    if not note and len(x) < FEWEST:
        note = f"only {len(x)} pairs; no test below {FEWEST}"
    if note:
        return Equivalence(NAN, NAN, NAN, NAN, margin, len(x), "no test", note)
    mean, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
    if is_flat(x) or error == 0:
        verdict = "equivalent" if abs(mean) < margin else "not shown"
        return Equivalence(
            mean, mean, mean, NAN, margin, len(x), verdict, "all differences are equal: no test"
        )
    reach = float(stats.t.ppf(1 - alpha, len(x) - 1)) * error
    above, below = (mean + margin) / error, (mean - margin) / error
    p = max(float(stats.t.sf(above, len(x) - 1)), float(stats.t.cdf(below, len(x) - 1)))
    low, high = mean - reach, mean + reach
    return Equivalence(
        mean, low, high, p, margin, len(x), "equivalent" if p < alpha else "not shown"
    )


# A model of all episodes --------------------------------------------------------------------------


def interaction_model(
    frame: pd.DataFrame, column: str, *, level: float = LEVEL
) -> tuple[Interval, Test]:
    """The interaction of training and runtime from all episodes at once, with errors that are
    robust to clusters.

    `frame` has a row per episode: `train` and `runtime` (each persistent or reset), `task_id` and
    the column. Ordinary least squares of column on train, runtime and their product; the covariance
    is clustered by task (Liang and Zeger 1986, with the small-sample factor of statsmodels), since
    one task is played in all cells. The sign is that of (persistent in persistent - persistent in
    reset) - (reset in persistent - reset in reset).
    """
    data = frame[["task_id", column]].assign(
        t=(frame["train"] == "persistent").astype(float),
        r=(frame["runtime"] == "persistent").astype(float),
    )
    data = data.rename(columns={column: "y"})
    tasks, note = data["task_id"].nunique(), ""
    strangers = {str(word) for word in pd.concat([frame["train"], frame["runtime"]])} - {*RUNTIMES}
    if strangers:
        note = f"{min(strangers)!r} is no cell of the 2x2"
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
        return Interval.none(tasks, note), Test.none(tasks, note)
    groups = pd.factorize(data["task_id"])[0]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a cell without spread leaves its own error at zero
        model = ols("y ~ t * r", data.assign(y=data["y"].astype(float)))
        fit = model.fit(
            cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
        )  # t with tasks - 1 degrees
        low, high = fit.conf_int(alpha=1 - level).loc["t:r"]
        value, error, t, p = (
            float(row["t:r"]) for row in (fit.params, fit.bse, fit.tvalues, fit.pvalues)
        )
    method = "least squares, clustered by task"
    if not error > 1e-6 * float(data["y"].std()):
        note = "the interaction is the same in every task: no test"
        untested = Test(NAN, NAN, value, tasks, 0, method, note)
        return Interval.none(tasks, note, value, method), untested
    return Interval(value, float(low), float(high), tasks, method), Test(
        t, p, value, tasks, 0, method
    )
