"""What a paired comparison could have found: smallest detectable difference, power curve, tasks
needed.

    detectable_difference(differences), power_curve(differences, effects), tasks_needed(differences, effect)

The spread is that of the differences [n] that were seen; the test is a two-sided paired t test.
Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from knapsack_lib.analysis.intervals import FEWEST, NAN, Interval, as_row, is_flat

__all__ = ["detectable_difference", "power_curve", "tasks_needed"]


def _power(effect: float, n: int, alpha: float) -> float:
    """Power of a two-sided paired t test at a difference of `effect` standard deviations: the upper
    tail of a noncentral F, which stays exact where the noncentral t gives up."""
    if n * effect**2 < 1e-12:
        return alpha
    return float(stats.ncf.sf(stats.f.ppf(1 - alpha, 1, n - 1), 1, n - 1, n * effect**2))


def _planned(differences: ArrayLike) -> tuple[np.ndarray, str]:
    """The differences and, when they hold no spread to plan with, why."""
    x, note = as_row(differences)
    if not note and len(x) < FEWEST:
        note = f"only {len(x)} pairs"
    if not note and (is_flat(x) or x.std(ddof=1) == 0):
        note = "all differences are equal: there is no spread to plan with"
    return x, note


def detectable_difference(
    differences: ArrayLike, *, alpha: float = 0.05, power: float = 0.8
) -> Interval:
    """The smallest mean difference that a paired t test with this spread and number finds with this
    power (Cohen 1988).

    Returned as the estimate of an Interval without ends. Raises ValueError unless alpha < power <
    1.
    """
    if not alpha < power < 1:
        raise ValueError(f"a power of {power} is not between alpha = {alpha} and 1")
    x, note = _planned(differences)
    if note:
        return Interval(NAN, NAN, NAN, len(x), "none", note)
    size = optimize.brentq(lambda effect: _power(effect, len(x), alpha) - power, 0, 100)
    return Interval(float(size) * float(x.std(ddof=1)), NAN, NAN, len(x), "paired t")


def power_curve(
    differences: ArrayLike, effects: Sequence[float], *, alpha: float = 0.05
) -> list[float]:
    """Power of the same test at each true mean difference in `effects`; NaN where the data hold no
    spread."""
    x, note = _planned(differences)
    if note:
        return [NAN] * len(effects)
    spread = float(x.std(ddof=1))
    return [_power(abs(effect) / spread, len(x), alpha) for effect in effects]


def tasks_needed(
    differences: ArrayLike, effect: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """How many tasks the same test needs to find a true mean difference of `effect`: a whole
    number, at least FEWEST.

    NaN where the differences hold no spread to plan with, or more than a thousand million tasks
    would be needed.
    """
    x, note = _planned(differences)
    if note or not effect > 0:
        return NAN
    size, enough = effect / float(x.std(ddof=1)), FEWEST
    while _power(size, enough, alpha) < power:
        enough *= 2
        if enough > 10**9:
            return NAN
    few = max(FEWEST, enough // 2)  # too few, or the fewest
    while few < enough:
        middle = (few + enough) // 2
        few, enough = (
            (few, middle) if _power(size, middle, alpha) >= power else (middle + 1, enough)
        )
    return float(enough)
