"""The plans of the varied teacher in the knapsack: how many items to inspect and in which order, which rule to take by, and
when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from knapsack_lib.families.knapsack.varied.knowledge import Knowledge
from knapsack_lib.families.varied.hand import Hand

__all__ = ["Finish", "Intent", "Look", "Plan", "Review", "Take"]

MOST_FOR_EXACT = 12  # candidates, of which every set is tried


class Look(NamedTuple):
    """Inspect these; where no item is known yet: list them, and inspect the first `number`."""

    ids: tuple[str, ...]
    number: int


class Take(NamedTuple):
    """Take by a rule, these first. `computes`: whether the code finds them by itself."""

    ids: tuple[str, ...]
    rule: str
    computes: bool


class Review(NamedTuple):
    """Look back at what was done."""


class Finish(NamedTuple):
    """End the task."""


Intent = Look | Take | Review | Finish


class Plan:
    """One episode's. `order`: in which items are inspected. `rule`: to take by."""

    def __init__(self, hand: Hand):
        self._hand = hand
        self.order = hand.pick("listed", "reversed", "sorted", "shuffled")
        self.rule = hand.draw(*["density"] * 3, *["exact"] * 2, "by class", "value")
        self._batch = hand.draw(1, 2, 2, 3, 3, 4)
        self._steady = hand.chance(0.6)
        self._computes = hand.draw(0.3, 0.6, 0.9)  # how often code finds what to take
        self._tries_early = hand.chance(0.2)  # one item, to see whether its class is allowed
        self._reviews = hand.chance(0.35)

    def next(self, known: Knowledge, calls: int, too_many: bool) -> Intent:
        """What to do next, with so many tool calls in a block. `too_many`: more, if there are items for it."""
        hand = self._hand
        if not known.items:
            return Look((), hand.draw(*range(calls)))
        number = self._batch if self._steady else hand.draw(1, 2, 3, 4)
        best = self._best(known)
        if self._tries_early and best and 2 * len(known.records) >= known.budget:
            self._tries_early = False
            return Take(tuple(best[:1]), self._rule_for(known.free), False)
        rest = self._unseen(known)[: known.looks]
        if rest:
            if too_many and len(rest) > calls:
                return Look(tuple(rest[: calls + 1]), calls + 1)
            ids = tuple(rest[: min(number, calls)])
            return Look(ids, len(ids))
        if best:
            rule, computes = self._rule_for(known.free), hand.chance(self._computes)
            return Take(tuple(best[:calls]), rule, computes)
        if self._reviews:
            self._reviews = False
            return Review()
        return Finish()

    def _unseen(self, known: Knowledge) -> list[str]:
        rest = [item for item in known.items if item not in known.records]
        if self.order == "sorted":
            return sorted(rest)
        if self.order == "shuffled":
            places = self._hand.of("order").shuffled(range(len(known.items)))
            return sorted(rest, key=lambda item: places[known.items.index(item)])
        return rest[::-1] if self.order == "reversed" else rest

    def _rule_for(self, free: Sequence[str]) -> str:
        """Of too many candidates not every set can be tried."""
        return "density" if self.rule == "exact" and len(free) > MOST_FOR_EXACT else self.rule

    def _best(self, known: Knowledge) -> list[str]:
        """What to take, the first first: the best set, or greedily by the rule."""
        free, rule = known.free, self._rule_for(known.free)

        def rank(item: str) -> Any:
            one = known.records[item]
            if rule == "value":
                return -one["value"]
            density = -one["value"] / one["weight"]
            return (one["class"], density) if rule == "by class" else density

        def weight(chosen: Iterable[str]) -> int:
            return sum(known.records[item]["weight"] for item in chosen)

        def worth(chosen: Iterable[str]) -> int:
            return sum(known.records[item]["value"] for item in chosen)

        free = sorted(free, key=rank)
        if rule == "exact":
            sets = (s for count in range(len(free) + 1) for s in combinations(free, count))
            return list(max((s for s in sets if weight(s) <= known.left), key=worth))
        best: list[str] = []
        for item in free:
            if weight([*best, item]) <= known.left:
                best.append(item)
        return best
