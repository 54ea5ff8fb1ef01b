"""Do the intervals and tests of the analysis keep what they promise? Made-up data whose truth is
known, drawn many times.

    python benchmarks/calibration.py [--repeats 2000]

A line is one procedure of knapsack_lib/analysis/intervals.py or statistics.py on one shape of data,
100 tasks a repeat: how often a 95% interval holds the true value, how often a test at 0.05 rejects
what is true, and whether that lies in its band. True values are worked out, not estimated. Seeds
are fixed: the same number of repeats gives the same table.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from knapsack_lib.analysis.intervals import (
    Interval,
    efficiency_ratio,
    mean_interval,
    rate_interval,
    ratio_interval,
)
from knapsack_lib.analysis.power import power_curve
from knapsack_lib.analysis.statistics import interaction_model, mcnemar, tost, wilcoxon
from knapsack_lib.seeds import named_seed

SEED, N, ALPHA = 2026, 100, 0.05
COVERAGE, ERRORS = (93.0, 97.0), (3.0, 7.0)  # percent
RATES = (0.05, 0.2, 0.5, 0.8, 0.95)
DISCORDANT, EFFECT = 0.3, 0.3
CELLS = pd.DataFrame(
    [
        (train, runtime, task)
        for train, runtime in itertools.product(("persistent", "reset"), repeat=2)
        for task in range(N)
    ],
    columns=["train", "runtime", "task_id"],
)

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Line:
    """`measure(repeats)` gives percent. `reason`: why the value may lie outside of the band, where
    it may."""

    what: str
    measure: Callable[[int], float]
    band: tuple[float, float]
    reason: str = ""

    def text(self, repeats: int) -> str:
        value, (low, high) = self.measure(repeats), self.band
        verdict = "inside" if low <= value <= high else "OUTSIDE"
        return f"{self.what:69}{value:7.1f}   {low:4.1f} to {high:5.1f}   {verdict:9}{self.reason}".rstrip()


# Shapes of data -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """Scores in [0, 1]: a share `ones` of them is exactly 1, the others are beta distributed."""

    a: float
    b: float
    ones: float

    @property
    def mean(self) -> float:
        return self.ones + (1 - self.ones) * self.a / (self.a + self.b)

    def of(self, ease: np.ndarray) -> np.ndarray:
        """The scores of tasks whose ease is standard normal: the easier a task, the higher its
        score."""
        share = np.minimum(stats.norm.cdf(ease) / (1 - self.ones), 1.0)
        return special.betaincinv(self.a, self.b, share)


GOOD, FAIR, POOR = Score(4, 2, 0.3), Score(3, 2, 0.15), Score(2, 2, 0.05)


def eases(rng: np.random.Generator, adapters: int, shared: float = 0.5) -> np.ndarray:
    """Ease of N tasks for each adapter, standard normal; any two adapters correlate by `shared`.
    Shape [adapters, N]."""
    return math.sqrt(shared) * rng.normal(size=N) + math.sqrt(1 - shared) * rng.normal(
        size=(adapters, N)
    )


def score_pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    one, two = eases(rng, 2)
    return GOOD.of(one), FAIR.of(two)


def token_pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Log-tokens of the two adapters differ by a skewed amount: the log of a gamma variable."""
    task = rng.normal(7, 0.5, N)
    return np.exp(task) * rng.gamma(2, 1, N), np.exp(task + rng.normal(0, 0.3, N))


def scores_and_tokens(rng: np.random.Generator) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """A harder task scores less and takes more tokens."""
    one, two = eases(rng, 2)
    noise = rng.normal(0, 0.3, (2, N))
    return (GOOD.of(one), np.exp(7 - 0.4 * one + noise[0])), (
        FAIR.of(two),
        np.exp(7.4 - 0.3 * two + noise[1]),
    )


def efficiency() -> float:
    """The true ratio of the pairs of `scores_and_tokens`."""
    tokens = [math.exp(level + (slope**2 + 0.3**2) / 2) for level, slope in ((7, 0.4), (7.4, 0.3))]
    return (GOOD.mean / tokens[0]) / (FAIR.mean / tokens[1])


def mostly_zero(rng: np.random.Generator, zeros: float = 0.8, mean: float = 0.3) -> np.ndarray:
    return np.where(rng.random(N) < zeros, 0.0, rng.normal(mean, 1, N))


def four_cells(rng: np.random.Generator, *kinds: Score) -> pd.DataFrame:
    """All episodes; `kinds` in the order of the cells: train by runtime, persistent first."""
    return CELLS.assign(
        y=np.concatenate([kind.of(ease) for kind, ease in zip(kinds, eases(rng, 4), strict=True)])
    )


def uneven_cells(rng: np.random.Generator) -> pd.DataFrame:
    """Normal values whose spread differs by cell; the interaction is 0.5."""
    y = rng.normal(size=N) + rng.normal(size=(4, N)) * np.array([[0.5], [2.0], [1.0], [1.0]])
    return CELLS.assign(y=(y + np.array([[1.0], [0.2], [0.4], [0.1]])).ravel())


# What is counted ----------------------------------------------------------------------------------


def share(what: str, repeats: int, once: Callable[[np.random.Generator, int], bool]) -> float:
    """Percent of the repeats in which `once(rng, seed)` holds."""
    rng = np.random.default_rng(named_seed(SEED, what))
    return 100 * sum(bool(once(rng, named_seed(SEED, what, i))) for i in range(repeats)) / repeats


def coverage(
    what: str,
    draw: Draw,
    interval: Callable[[np.ndarray, int], Interval],
    truth: float,
    reason: str = "",
) -> Line:
    def once(rng: np.random.Generator, seed: int) -> bool:
        found = interval(draw(rng), seed)
        return found.low <= truth <= found.high

    return Line(what, lambda repeats: share(what, repeats, once), COVERAGE, reason)


def errors(what: str, draw: Draw, p: Callable[[np.ndarray], float], reason: str = "") -> Line:
    return Line(
        what,
        lambda repeats: share(what, repeats, lambda rng, _: p(draw(rng)) < ALPHA),
        ERRORS,
        reason,
    )


def means() -> Iterator[Line]:
    def of(what: str, draw: Draw, truth: float, reason: str = "") -> Line:
        return coverage(
            f"95% BCa interval of a mean: {what}",
            draw,
            lambda x, seed: mean_interval(x, seed=seed),
            truth,
            reason,
        )

    yield of("normal", lambda rng: rng.normal(0.3, 1, N), 0.3)
    yield of(
        "differences of scores, 30% and 15% at 1",
        lambda rng: np.subtract(*score_pairs(rng)),
        GOOD.mean - FAIR.mean,
    )
    yield of("lognormal, sigma 0.5", lambda rng: rng.lognormal(0, 0.5, N), math.exp(0.125))
    yield of(
        "lognormal, sigma 1",
        lambda rng: rng.lognormal(0, 1, N),
        math.exp(0.5),
        "may be outside: 100 values are few for a tail this long",
    )
    yield of(
        "80% zeros, the rest normal",
        mostly_zero,
        0.2 * 0.3,
        "may be outside: some 20 values tell of the mean",
    )


def ratios() -> Iterator[Line]:
    yield coverage(
        "95% interval of a ratio of tokens, geometric: skewed logs",
        token_pairs,
        lambda x, seed: ratio_interval(*x, seed=seed),
        math.exp(special.digamma(2)),
    )
    yield coverage(
        "95% interval of a ratio of scores per token",
        scores_and_tokens,
        lambda x, seed: efficiency_ratio(*x, seed=seed),
        efficiency(),
    )


def rates() -> Line:
    what = f"95% Wilson interval, mean of true rates {', '.join(map(str, RATES))}"

    def holds(rate: float, hits: int) -> bool:
        found = rate_interval(hits, N)
        return found.low <= rate <= found.high

    def measure(repeats: int) -> float:
        return float(
            np.mean(
                [
                    share(
                        f"{what} {rate}",
                        repeats,
                        lambda rng, _, rate=rate: holds(rate, int(rng.binomial(N, rate))),
                    )
                    for rate in RATES
                ]
            )
        )

    return Line(what, measure, COVERAGE)


def interactions() -> Iterator[Line]:
    yield coverage(
        "95% interval of the interaction: normal, spread differs by cell",
        uneven_cells,
        lambda x, _: interaction_model(x, "y")[0],
        0.5,
    )
    kinds = (GOOD, POOR, FAIR, FAIR)
    yield coverage(
        "95% interval of the interaction: scores",
        lambda rng: four_cells(rng, *kinds),
        lambda x, _: interaction_model(x, "y")[0],
        GOOD.mean - POOR.mean,
    )
    yield errors(
        "test of the interaction: scores, the same in all cells",
        lambda rng: four_cells(rng, *[FAIR] * 4),
        lambda x: interaction_model(x, "y")[1].p,
    )
    yield errors(
        "test of the interaction: scores, main effects only",
        lambda rng: four_cells(rng, GOOD, FAIR, GOOD, FAIR),
        lambda x: interaction_model(x, "y")[1].p,
    )


def paired_tests() -> Iterator[Line]:
    for what, draw in (
        ("normal", lambda rng: rng.normal(size=N)),
        ("t with 3 degrees of freedom", lambda rng: rng.standard_t(3, N)),
        ("differences of like scores", lambda rng: np.subtract(*map(FAIR.of, eases(rng, 2)))),
        ("40% zeros, the rest normal", lambda rng: mostly_zero(rng, 0.4, 0.0)),
    ):
        yield errors(f"Wilcoxon's test: {what}", draw, lambda x: wilcoxon(x).p)
    reason = f"may be outside: conservative by construction, {mcnemar_size():.1f} by exact sums"
    yield errors(
        f"McNemar's exact test: equal rates, {DISCORDANT:.0%} discordant",
        discordant_pairs,
        lambda x: mcnemar(*x).p,
        reason,
    )
    yield errors(
        "two one-sided t tests: the difference equals the margin",
        lambda rng: rng.normal(0.5, 1, N),
        lambda x: tost(x, 0.5).p,
    )


def discordant_pairs(rng: np.random.Generator) -> np.ndarray:
    """Two rows of truth values; each disagreement falls to either side alike."""
    first = rng.random(N) < 0.5
    return np.stack([first, first ^ (rng.random(N) < DISCORDANT)])


def mcnemar_size() -> float:
    """Percent of rejections of the exact test on the data above, without any drawing."""
    size = 0.0
    for m in range(1, N + 1):
        k = np.arange(m + 1)
        p = np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(k, m - k), m, 0.5))
        size += stats.binom.pmf(m, N, DISCORDANT) * stats.binom.pmf(k, m, 0.5)[p < ALPHA].sum()
    return 100 * size


def power() -> Line:
    what = f"power of a paired t test at {EFFECT} standard deviations"
    plain = stats.norm.ppf((np.arange(N) + 0.5) / N)
    predicted = 100 * power_curve(plain / plain.std(ddof=1), [EFFECT])[0]

    def once(rng: np.random.Generator, _: int) -> bool:
        return stats.ttest_1samp(rng.normal(EFFECT, 1, N), 0).pvalue < ALPHA

    band = (predicted - 3, predicted + 3)
    return Line(
        what, lambda repeats: share(what, repeats, once), band, f"power_curve says {predicted:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args().repeats
    print(
        f"{N} tasks a repeat, {repeats:,} repeats a line; percent of the repeats, the band it must lie in\n"
    )
    for line in itertools.chain(
        means(), ratios(), [rates()], interactions(), paired_tests(), [power()]
    ):
        print(line.text(repeats), flush=True)
    worst = 100 * math.sqrt(ALPHA * (1 - ALPHA) / repeats)
    print(f"\nA share of 5% or 95% has a standard error of {worst:.1f} at this number of repeats.")


if __name__ == "__main__":
    main()
