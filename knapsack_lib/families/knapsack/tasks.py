"""Tasks of Opaque Knapsack: choose items under a weight capacity when weights, values, classes and the
allowed classes are hidden.

    task = make_task(SIZES["easy"], index=0, seed=7, split="train")

Sizes `easy` and `medium` follow the paper (arXiv 2603.01209; `medium` is its "hard"). `pocket-easy`
and `pocket-medium` keep the structure at a size that a 0.6 M-parameter model can act in; their ids
are two syllables (see docs/log.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.ids import SYLLABLES, draw_ids, id_names
from knapsack_lib.families.knapsack.world import TOOLS
from knapsack_lib.seeds import named_seed

__all__ = ["SIZES", "Size", "best_subset", "inspect_budget", "make_task"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Sums over a task fit into 64 bits
HIGHEST = {
    "items": 10_000,
    "weight": 10**6,
    "value": 10**12,
    "capacity_ratio": 10,
}
# Bytes of what finds the optimum (best_subset): a byte per item and two int64 per unit of capacity
TABLES = 2**28


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no
    instance can exist."""

    name: str
    items: tuple[int, int]
    weight: tuple[int, int]
    value: tuple[int, int]
    classes: int
    allowed: int
    capacity_ratio: tuple[float, float]  # capacity / total weight of the allowed items
    # "hex": item_ + 12 hex digits (the paper's); "syllables": two of fifty syllables
    ids: str = "hex"
    min_allowed_items: int = 5
    min_optimal_items: int = 3
    max_share: float = 0.4  # of the optimal value, held by one optimal item
    budget_share: float | None = None  # of the items; None: the paper's formula
    redraws: int = 200

    def __post_init__(self) -> None:
        def fail(what: str) -> None:
            raise UserError(f"size {self.name!r}: {what}")

        for name in ("items", "weight", "value", "capacity_ratio"):
            low, high = getattr(self, name)
            if not 0 < low <= high:  # neither is a range that ends in NaN
                fail(f"{name} = [{low}, {high}] is an empty range; give 0 < low <= high")
            if high > HIGHEST[name]:
                fail(f"{name} = [{low}, {high}] goes too high; give at most {HIGHEST[name]:,}")
        if not 1 <= self.classes <= len(LETTERS):
            fail(f"classes = {self.classes}; give 1 to {len(LETTERS)}")
        if not 1 <= self.allowed <= self.classes:
            fail(f"allowed = {self.allowed} of {self.classes} classes; give 1 to {self.classes}")
        if self.ids == "syllables" and self.items[1] > len(SYLLABLES) // 2:
            fail(
                f"items up to {self.items[1]} need more than {len(SYLLABLES)} distinct syllables; use ids: hex"
            )
        if self.ids not in ("hex", "syllables"):
            fail(f"ids = {self.ids!r}; choose hex or syllables")
        if self.capacity_ratio[1] * self.items[1] * self.weight[1] < self.weight[0]:
            fail("no item can ever fit the capacity; raise capacity_ratio")
        if self.capacity_ratio[1] * self.items[1] * self.weight[1] * (self.items[1] + 16) > TABLES:
            fail(
                f"the optimum would need more than {TABLES // 2**20} MiB; lower items, weight or capacity_ratio"
            )


SIZES = {
    size.name: size
    for size in (
        Size("easy", (25, 40), (5, 20), (10, 100), 15, 3, (0.35, 0.50)),
        Size("medium", (80, 120), (5, 50), (10, 500), 26, 5, (0.40, 0.60)),
        Size(
            "pocket-easy",
            (7, 11),
            (2, 12),
            (3, 30),
            6,
            3,
            (0.45, 0.65),
            "syllables",
            4,
            2,
            0.7,
            0.8,
        ),
        Size(
            "pocket-medium",
            (12, 12),
            (2, 12),
            (3, 30),
            6,
            3,
            (0.45, 0.65),
            "syllables",
            4,
            2,
            0.7,
            0.8,
        ),
    )
}


def best_subset(weights: np.ndarray, values: np.ndarray, capacity: int) -> tuple[int, list[int]]:
    """Exact 0/1 knapsack by dynamic programming over capacities (Bellman 1957).

    weights, values: int arrays of shape [n]; capacity >= 0. Returns (best value, indices of one
    best set, ascending). Costs O(n * capacity) in n vectorised passes; the table of choices takes n
    * (capacity + 1) bytes.
    """
    best = np.zeros(capacity + 1, dtype=np.int64)
    chosen = np.zeros((len(weights), capacity + 1), dtype=bool)
    for i, (w, v) in enumerate(zip(weights.tolist(), values.tolist(), strict=True)):
        if w > capacity:
            continue
        with_item = best[: capacity + 1 - w] + v
        np.greater(with_item, best[w:], out=chosen[i, w:])
        np.maximum(with_item, best[w:], out=best[w:])
    room, picked = capacity, []
    for i in range(len(weights) - 1, -1, -1):
        if chosen[i, room]:
            picked.append(i)
            room -= int(weights[i])
    return int(best[capacity]), picked[::-1]


def inspect_budget(size: Size, capacity: int, n: int, n_optimal: int) -> int:
    """Distinct items that may be inspected; the paper's formula unless the size fixes a share."""
    if size.budget_share is not None:
        return max(min(4, n), math.ceil(size.budget_share * n))
    mean_weight = sum(size.weight) / 2
    wanted = max(1.5 * (capacity / mean_weight) / (size.allowed / size.classes), 1.1 * n_optimal)
    return min(max(math.ceil(wanted), 5), n)


def _draw(size: Size, rng: np.random.Generator) -> dict[str, Any] | None:
    """One candidate instance, or None when it breaks an instance rule."""
    n = int(rng.integers(size.items[0], size.items[1] + 1))
    ids = draw_ids(rng, size.ids, n)
    weights = rng.integers(size.weight[0], size.weight[1] + 1, n)
    values = rng.integers(size.value[0], size.value[1] + 1, n)
    classes = rng.integers(size.classes, size=n)
    allowed = rng.permutation(size.classes)[: size.allowed]
    ratio = rng.uniform(*size.capacity_ratio)
    usable = np.flatnonzero((classes[:, None] == allowed).any(1))
    # The first item is of an allowed class
    if len(usable) < size.min_allowed_items or usable[0] != 0:
        return None
    capacity = int(weights[usable].sum() * ratio)
    optimum, picked = best_subset(weights[usable], values[usable], capacity)
    best = [int(usable[i]) for i in picked]
    if (
        len(best) < size.min_optimal_items
        or max(int(values[i]) for i in best) > size.max_share * optimum
    ):
        return None
    return {
        "ids": id_names(size.ids, ids),
        "weights": weights.tolist(),
        "values": values.tolist(),
        "classes": [LETTERS[c] for c in classes],
        "allowed": sorted(LETTERS[c] for c in allowed),
        "capacity": capacity,
        "optimum": optimum,
        "best": best,
        "budget": inspect_budget(size, capacity, n, len(best)),
    }


def make_task(size: Size, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` candidates in a row break the instance rules.
    """
    task_seed = named_seed(seed, "task", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    for _ in range(size.redraws):
        drawn = _draw(size, rng)
        if drawn is not None:
            break
    else:
        raise UserError(
            f"size {size.name!r}: {size.redraws} draws in a row broke its rules; widen its ranges"
        )
    ids, best = drawn["ids"], drawn["best"]
    items = zip(ids, drawn["weights"], drawn["values"], drawn["classes"], strict=True)
    n, top = len(ids), max(drawn["values"][i] for i in best)
    return Task(
        task_id=f"knapsack-{split}-{index:05d}",
        family="knapsack",
        seed=task_seed,
        difficulty={
            "budget_coverage": round(drawn["budget"] / n, 2),
            "capacity": drawn["capacity"],
            "max_item_dominance": round(top / drawn["optimum"], 2),
            "n_items": n,
            "optimal_set_size": len(best),
            "p_valid": round(size.allowed / size.classes, 2),
        },
        tools=list(TOOLS),
        public={
            "allowed_classes": drawn["allowed"],
            "capacity": drawn["capacity"],
            "inspect_budget": drawn["budget"],
            "item_ids": ids,
        },
        private={"items": {i: {"class": c, "value": v, "weight": w} for i, w, v, c in items}},
        reference={
            "optimal_item_ids": [ids[i] for i in best],
            "optimal_value": drawn["optimum"],
            "optimal_weight": sum(drawn["weights"][i] for i in best),
        },
        nl=f"Opaque knapsack with {n} items.",
        run_name=f"{size.name}-{split}",
    )
