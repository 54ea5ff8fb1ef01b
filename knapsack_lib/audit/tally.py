"""Sums over episodes, from which every share of the audit and its interval follow. A million blocks
take no more room than one.

    tally = Tally()
    tally.add(measured(transcript))
    tally.share("relies")      # Share(value=0.47, low=0.44, high=0.50, episodes=312)

Blocks of an episode belong together. A share is a ratio of two sums over episodes; its variance is
that of the linearised ratio between episodes (Cochran, Sampling Techniques, 1977, section 6.3), and its
interval Wilson's for the number of independent blocks that would have the same variance, so that it
stays between 0 and 1 and is not empty at either end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

from knapsack_lib.audit.measures import KINDS, BlockUse

__all__ = ["MEASURES", "Measure", "Share", "Tally", "counts_of"]

LEVEL = 0.95


class Share(NamedTuple):
    """NaNs where nothing was counted. `episodes`: those that count."""

    value: float
    low: float
    high: float
    episodes: int


class Measure(NamedTuple):
    """A share: how much of the second count of an episode is in the first."""

    part: str
    whole: str
    words: str


MEASURES = {
    "relies": Measure("relies", "later", "blocks after the first that rely on earlier state"),
    "restates": Measure(
        "restates", "later", "blocks that restate what was bound, and rely on nothing"
    ),
    "guards": Measure("guards", "later", "blocks that ask whether a name is there"),
    "alone": Measure("alone", "later", "blocks that stand alone"),
    "choice": Measure("relies", "evidence", "of the blocks that rely or restate, those that rely"),
    **{
        f"relies_{kind}": Measure(f"relies_{kind}", "later", f"blocks that rely on {words}")
        for kind, words in zip(KINDS, ("an import", "a function", "a class", "data"), strict=True)
    },
    "episodes": Measure(
        "breaks", "several", "episodes in which some block relies on earlier state"
    ),
    "unknown": Measure("unknown", "later", "blocks that read a name that nobody bound"),
    "missing": Measure("missing", "blocks", "blocks that met a missing name"),
    "failed": Measure("failed", "blocks", "blocks that ended with an error"),
    "tax": Measure(
        "again_characters", "characters", "of what is written, said again in the same words"
    ),
    "unparsed": Measure("unparsed", "blocks", "blocks that are no Python"),
}
PAIRS = sorted({(one.part, one.whole) for one in MEASURES.values()})


def counts_of(uses: Sequence[BlockUse]) -> Counter[str]:
    """What an episode adds to each sum."""
    found: Counter[str] = Counter()
    for use in uses:
        found["blocks"] += 1
        found["failed"] += use.step.error_type is not None
        found["missing"] += use.missing is not None
        found["characters"] += len(use.step.reply or use.step.code)
        if not use.parsed:
            found["unparsed"] += 1
            continue
        if use.first:
            continue
        found["later"] += 1
        found["relies"] += bool(use.relies)
        found["restates"] += use.restates and not use.relies
        found["evidence"] += bool(use.relies) or use.restates
        found["guards"] += bool(use.guarded)
        found["alone"] += use.alone
        found["unknown"] += bool(use.unknown)
        found["again_characters"] += use.again_characters
        for kind in set(use.relies.values()):
            found[f"relies_{kind}"] += 1
    found["several"] = int(found["later"] > 0)
    found["breaks"] = int(found["relies"] > 0)
    return found


@dataclass
class Tally:
    """`squares[part, whole]`: sums over episodes of part², part · whole and whole²."""

    sums: Counter[str] = field(default_factory=Counter)
    squares: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
    with_whole: Counter[str] = field(default_factory=Counter)  # episodes in which it is not 0
    after_missing: Counter[str] = field(default_factory=Counter)
    back: Counter[int] = field(default_factory=Counter)  # blocks since what is relied on was bound
    back_characters: int = 0
    episodes: int = 0

    def add(self, uses: Sequence[BlockUse]) -> None:
        """Count an episode."""
        self.count(counts_of(uses))
        for use in uses:
            if use.after:
                self.after_missing[use.after] += 1
            if use.relies:
                self.back[min(use.back, 10)] += 1
                self.back_characters += use.back_characters

    def count(self, found: Counter[str]) -> None:
        """Count an episode of which only the counts are at hand."""
        self.episodes += 1
        self.sums += found
        for part, whole in PAIRS:
            x, y = found[part], found[whole]
            if y:
                xx, xy, yy = self.squares.get((part, whole), (0.0, 0.0, 0.0))
                self.squares[part, whole] = xx + x * x, xy + x * y, yy + y * y
        self.with_whole.update(name for name in {whole for _, whole in PAIRS} if found[name])

    def share(self, name: str, level: float = LEVEL) -> Share:
        """A measure of MEASURES with its interval."""
        part, whole, _ = MEASURES[name]
        n, x, y = self.with_whole[whole], self.sums[part], self.sums[whole]
        if not y:
            return Share(math.nan, math.nan, math.nan, 0)
        rate = x / y
        xx, xy, yy = self.squares[part, whole]
        between = (xx - 2 * rate * xy + rate * rate * yy) / y**2 * n / max(1, n - 1)
        # Where all episodes agree they say nothing of the variance: each counts as one.
        alike = rate * (1 - rate) / between if between > 1e-12 else n
        return Share(rate, *_wilson(rate, max(1.0, min(alike, y)), level), n)


def _wilson(rate: float, n: float, level: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
