"""What a paired comparison could have found: smallest detectable difference, power curve, tasks
needed.

    detectable_difference(differences), power_curve(differences, effects), tasks_needed(differences, effect)

The spread is that of the differences [n] that were seen; the test is a two-sided paired t test
(statsmodels' TTestPower). Nothing here is random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.stats.power import TTestPower

from knapsack_lib.analysis.intervals import FEWEST, NAN, Interval, as_row, is_flat

__all__ = ["detectable_difference", "power_curve", "tasks_needed"]

MOST = 10**9  # tasks


def _planned(differences: ArrayLike) -> tuple[np.ndarray, float, str]:
    """The differences, their standard deviation and, when they hold no spread to plan with, why."""
    x, note = as_row(differences)
    if not note and len(x) < FEWEST:
        note = f"only {len(x)} pairs"
    spread = NAN if note else float(x.std(ddof=1))
    if not note and (is_flat(x) or spread == 0):
        note = "all differences are equal: there is no spread to plan with"
    return x, spread, note


def _power(size: float, n: int, alpha: float) -> float:
    """At a difference of `size` standard deviations. TTestPower gives NaN where scipy's noncentral
    t distribution runs out of digits, which is at powers above 0.9999."""
    found = float(TTestPower().power(size, n, alpha))
    return 1.0 if math.isnan(found) else found


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
    x, spread, note = _planned(differences)
    if note:
        return Interval.none(len(x), note)
    size = float(TTestPower().solve_power(nobs=len(x), alpha=alpha, power=power))
    return Interval.none(len(x), "", size * spread, "paired t")


def power_curve(
    differences: ArrayLike, effects: Sequence[float], *, alpha: float = 0.05
) -> list[float]:
    """Power of the same test at each true mean difference in `effects`; NaN where the data hold no
    spread."""
    x, spread, note = _planned(differences)
    return [NAN if note else _power(abs(effect) / spread, len(x), alpha) for effect in effects]


def tasks_needed(
    differences: ArrayLike, effect: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """How many tasks the same test needs to find a true mean difference of `effect`: a whole
    number, at least FEWEST.

    NaN where the differences hold no spread to plan with, or more than MOST tasks would be needed.
    """
    _, spread, note = _planned(differences)
    if note or not effect > 0:
        return NAN
    size = effect / spread
    if _power(size, FEWEST, alpha) >= power:
        return float(FEWEST)
    if _power(size, MOST, alpha) < power:
        return NAN
    return float(math.ceil(TTestPower().solve_power(effect_size=size, alpha=alpha, power=power)))
