"""The hand that writes an episode: every name in it, and every choice between ways to write the same.

hand = Hand(seed, "mid", {"known": ("seen", "known", "details")})
hand.turn("block 2")                 # from here on, what is drawn is drawn for this block
hand.pick("for i in {}:", "while {}:")
hand["known"]                        # one name for the whole episode
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from knapsack_lib.seeds import named_seed

__all__ = ["VARIETY", "Hand", "inside"]

T = TypeVar("T")

# How many ways down its list a choice becomes e times as rare: the first way is the plainest. It does what a sampling
# temperature does to a language model.
VARIETY: Mapping[str, float] = {"low": 2.0, "mid": 5.0, "high": math.inf}

JOINED = (
    lambda parts: "_".join(parts),
    lambda parts: parts[0] + "".join(part.capitalize() for part in parts[1:]),
    lambda parts: "".join(parts),
)


class Hand:
    """`vocabulary`: word -> names that it may have, in order of plainness; parts of a name are joined by "_", and written
    as the hand joins them (`item_info`, `itemInfo`, `iteminfo`). No two words get one name."""

    def __init__(self, seed: int, variety: str, vocabulary: Mapping[str, Sequence[str]]):
        self._seed, self._spread = seed, VARIETY[variety]
        self._names: dict[str, str] = {}
        self.turn("names")
        join = self.pick(*JOINED)
        for word, names in vocabulary.items():
            free = [
                name
                for name in dict.fromkeys(join(name.split("_")) for name in names)
                if name not in self._names.values()
            ]
            self._names[word] = self.pick(*free)

    def __getitem__(self, word: str) -> str:
        return self._names[word]

    def named(self, text: str) -> str:
        """The text with `$word` as the name of the word, where the hand has one."""
        return re.sub(r"\$(\w+)", lambda found: self._names.get(found[1], found[0]), text)

    def turn(self, what: str) -> None:
        """Draw for `what` from here on: the same again whenever the same is named."""
        self._rng = np.random.Generator(np.random.PCG64(named_seed(self._seed, what)))

    def of(self, what: str) -> Hand:
        """The same hand, drawing for `what`, while this one goes on where it is."""
        other = copy.copy(self)
        other.turn(what)
        return other

    def pick(self, *ways: T) -> T:
        """One of several ways; the later ones are rarer, as the variety says."""
        weights = np.exp(-np.arange(len(ways)) / self._spread)
        return ways[int(self._rng.choice(len(ways), p=weights / weights.sum()))]

    def draw(self, *values: T) -> T:
        """One of several values, all equally likely."""
        return values[int(self._rng.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def shuffled(self, things: Sequence[T]) -> list[T]:
        return [things[int(place)] for place in self._rng.permutation(len(things))]


def inside(lines: Sequence[str]) -> list[str]:
    """Lines as the body of what stands before them."""
    return [f"    {line}" for line in lines]
