"""Tasks of rule diagnosis: find the whole numbers of a hidden rule by testing inputs.

    task = make_task(SIZES["easy"], index=0, seed=7, split="train")

A task is one that can be done: the strategy of `strategy_inputs`, over all rules of the stated ranges, is left with the
hidden rule alone within the budget. Sizes `easy`, `medium` and `hard` have the authors' budgets, with ranges chosen here;
`pocket-easy` and `pocket-medium` keep the numbers below 100, which are one piece of the pocket tokenizer, and are of the
kind `affine_mod` alone, since two tests settle every `linear_int`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.rule_diagnosis.rule import FORMS, KEYS
from knapsack_lib.families.rule_diagnosis.world import TOOLS
from knapsack_lib.seeds import named_seed

__all__ = ["SIZES", "Size", "make_task", "strategy_inputs"]

Range = tuple[int, int]
MOST_RULES = 2**20  # within the ranges; a task looks at all of them
MOST_INPUTS = 1000
FURTHEST = 10**6  # values of rules fit into 64 bits
# There are so few rules that a test task would often hide one that a training task has hidden: one in so many is for the
# test tasks of a study alone. Splits that are no study's (a config's tasks) may hide any.
HELD_OUT = 5
IS_HELD_OUT = {"train": False, "validation": False, "easy": True, "medium": True}


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no task can
    exist."""

    name: str
    kinds: tuple[str, ...]
    budget: Range  # tests
    a: Range
    b: Range
    m: Range  # of affine_mod
    inputs: Range
    min_tests: int = 2  # that the strategy needs
    redraws: int = 1000

    def __post_init__(self) -> None:
        def fail(what: str) -> None:
            raise UserError(f"size {self.name!r}: {what}")

        if not self.kinds or not set(self.kinds) <= set(KEYS):
            fail(f"kinds = {list(self.kinds)}; choose from {', '.join(KEYS)}")
        for name, lowest in (("budget", 1), ("a", None), ("b", None), ("m", 2), ("inputs", None)):
            low, high = getattr(self, name)
            if low > high or (lowest is not None and low < lowest):
                least = "" if lowest is None else f"{lowest} <= "
                fail(f"{name} = [{low}, {high}] is an empty range; give {least}low <= high")
            if max(abs(low), abs(high)) > FURTHEST:
                fail(f"{name} = [{low}, {high}] goes too far; give at most {FURTHEST:,}")
        if _count(self.inputs) > MOST_INPUTS:
            fail(f"inputs are {_count(self.inputs):,}; give at most {MOST_INPUTS:,}")
        for kind in self.kinds:
            rules = math.prod(_count(getattr(self, key)) for key in KEYS[kind])
            if rules > MOST_RULES:
                fail(f"{rules:,} {kind} rules; narrow a, b or m to at most {MOST_RULES:,}")
        if self.min_tests > 2 and "linear_int" in self.kinds:
            fail(f"min_tests = {self.min_tests}, but two tests settle linear_int; give at most 2")
        if self.min_tests > min(self.budget[1], _count(self.inputs)):
            fail(f"min_tests = {self.min_tests} of at most {self.budget[1]} tests; lower it")


def _count(ends: Range) -> int:
    return ends[1] - ends[0] + 1


BOTH = ("linear_int", "affine_mod")
MOD = ("affine_mod",)
SIZES = {
    size.name: size
    for size in (
        Size("easy", BOTH, (3, 5), (-20, 20), (-20, 20), (41, 80), (0, 49)),
        Size("medium", BOTH, (10, 15), (-30, 30), (-30, 30), (61, 120), (0, 99)),
        Size("hard", BOTH, (6, 12), (-30, 30), (-30, 30), (61, 120), (0, 99)),
        Size("pocket-easy", MOD, (5, 6), (1, 9), (0, 9), (10, 35), (0, 19), min_tests=3),
        Size("pocket-medium", MOD, (7, 7), (1, 9), (0, 9), (10, 35), (0, 19), min_tests=6),
    )
}


@lru_cache(maxsize=4)
def _all_rules(*ranges: Range) -> np.ndarray:
    """Every rule of these ranges of a, b and, where it has one, m: int64 [rules, 2 or 3], in the
    order of nested loops."""
    axes = np.meshgrid(*(np.arange(low, high + 1) for low, high in ranges), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def _values(rules: np.ndarray, x: int) -> np.ndarray:
    """What each of the rules answers: [rules]."""
    found = rules[:, 0] * x + rules[:, 1]
    return found % rules[:, 2] if rules.shape[1] == 3 else found


def strategy_inputs(
    rules: np.ndarray, hidden: Sequence[int], inputs: Range, most: int
) -> list[int] | None:
    """The inputs that the stated strategy tests until the hidden rule is the only one left of `rules` (int64 [rules, 2 or
    3]): first the smallest input, then each time the smallest on which two rules that are left differ.

    None where more than one rule is left after `most` tests, or when no input tells them apart.
    """
    own = np.array([hidden])
    tested: list[int] = []
    x: int | None = inputs[0]
    while x is not None and len(tested) < most:
        rules = rules[_values(rules, x) == _values(own, x)]
        tested.append(x)
        if len(rules) == 1:
            return tested
        # On the inputs up to x they agree, and will when there are fewer of them.
        x = next((x for x in range(x + 1, inputs[1] + 1) if np.ptp(_values(rules, x))), None)
    return None


def _held_out(kind: str, hidden: Sequence[int]) -> bool:
    """Whether a rule is for test tasks alone."""
    return named_seed(0, "held-out rule", kind, *hidden) % HELD_OUT == 0


def make_task(size: Size, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` rules in a row cannot be found, or are found too soon.
    """
    task_seed = named_seed(seed, "task", "rule_diagnosis", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    for _ in range(size.redraws):
        kind = size.kinds[int(rng.integers(len(size.kinds)))]
        budget = int(rng.integers(size.budget[0], size.budget[1] + 1))
        ranges = {key: getattr(size, key) for key in KEYS[kind]}
        hidden = [int(rng.integers(low, high + 1)) for low, high in ranges.values()]
        if split in IS_HELD_OUT and _held_out(kind, hidden) != IS_HELD_OUT[split]:
            continue
        rules = _all_rules(*ranges.values())
        tested = strategy_inputs(rules, hidden, size.inputs, budget)
        if tested is not None and len(tested) >= size.min_tests:
            break
    else:
        raise UserError(
            f"size {size.name!r}: {size.redraws} rules in a row could not be found in {size.min_tests} to "
            f"{size.budget[1]} tests; widen inputs or budget, or narrow a, b and m to below the least m"
        )
    return Task(
        task_id=f"rule_diagnosis-{split}-{index:05d}",
        family="rule_diagnosis",
        seed=task_seed,
        difficulty={"budget": budget, "n_rules": len(rules), "tests_needed": len(tested)},
        tools=list(TOOLS),
        public={
            "kind": kind,
            "budget": budget,
            "input_range": list(size.inputs),
            **{f"{key}_range": list(ends) for key, ends in ranges.items()},
        },
        private={"rule": dict(zip(KEYS[kind], hidden, strict=True))},
        reference={"rule": dict(zip(KEYS[kind], hidden, strict=True)), "inputs": tested},
        nl=f"A hidden rule {FORMS[kind]}.",
        run_name=f"{size.name}-{split}",
    )
