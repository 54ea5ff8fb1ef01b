"""Opaque Knapsack: choose items under a weight capacity when weights, values, classes and the allowed classes are hidden.

    task = make_task("easy", index=0, seed=7, split="train")
    world = KnapsackWorld(task)
    world.tools["inspect"](item_id)

Sizes `easy` and `medium` follow the paper (arXiv 2603.01209; `medium` is its "hard"). `pocket-easy` and `pocket-medium`
keep the structure at a size that a 0.6 M-parameter model can act in; their ids are two syllables (see docs/log.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.profiles import UserError, named_seed

__all__ = ["SIZES", "KnapsackWorld", "Size", "best_subset", "make_task", "make_tasks", "size_named"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SYLLABLES = tuple(c + v for c in "BDFGKLMNRT" for v in "aeiou")
TOOLS = ("list_items", "inspect", "take_item", "finish")
HIGHEST = {"items": 10_000, "weight": 10**6, "value": 10**12, "capacity_ratio": 10}  # sums over a task fit into 64 bits
TABLES = 2**28  # bytes of what finds the optimum (best_subset): a byte per item and two int64 per unit of capacity


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no instance can exist."""

    name: str
    items: tuple[int, int]
    weight: tuple[int, int]
    value: tuple[int, int]
    classes: int
    allowed: int
    capacity_ratio: tuple[float, float]  # capacity / total weight of the allowed items
    ids: str = "hex"  # "hex": item_ + 12 hex digits (the paper's); "syllables": two of fifty syllables
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
            fail(f"items up to {self.items[1]} need more than {len(SYLLABLES)} distinct syllables; use ids: hex")
        if self.ids not in ("hex", "syllables"):
            fail(f"ids = {self.ids!r}; choose hex or syllables")
        if self.capacity_ratio[1] * self.items[1] * self.weight[1] < self.weight[0]:
            fail("no item can ever fit the capacity; raise capacity_ratio")
        if self.capacity_ratio[1] * self.items[1] * self.weight[1] * (self.items[1] + 16) > TABLES:
            fail(f"the optimum would need more than {TABLES // 2**20} MiB; lower items, weight or capacity_ratio")


SIZES = {
    size.name: size
    for size in (
        Size("easy", (25, 40), (5, 20), (10, 100), 15, 3, (0.35, 0.50)),
        Size("medium", (80, 120), (5, 50), (10, 500), 26, 5, (0.40, 0.60)),
        Size("pocket-easy", (7, 11), (2, 12), (3, 30), 6, 3, (0.45, 0.65), "syllables", 4, 2, 0.7, 0.8),
        Size("pocket-medium", (12, 12), (2, 12), (3, 30), 6, 3, (0.45, 0.65), "syllables", 4, 2, 0.7, 0.8),
    )
}


def size_named(name: str) -> Size:
    """Look a size up. Raises UserError with the list of sizes."""
    if name not in SIZES:
        raise UserError(f"size {name!r} is unknown; choose one of: {', '.join(SIZES)}")
    return SIZES[name]


def best_subset(weights: np.ndarray, values: np.ndarray, capacity: int) -> tuple[int, list[int]]:
    """Exact 0/1 knapsack by dynamic programming over capacities (Bellman 1957).

    weights, values: int arrays of shape [n]; capacity >= 0. Returns (best value, indices of one best set, ascending).
    Costs O(n * capacity) in n vectorised passes; the table of choices takes n * (capacity + 1) bytes.
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


def _draw_ids(rng: np.random.Generator, size: Size, n: int) -> list[int]:
    """What `_id_names` makes ids of, all in one call; most candidates are refused before they need names."""
    if size.ids == "syllables":
        return rng.permutation(len(SYLLABLES))[: 2 * n].tolist()
    drawn = dict.fromkeys(rng.integers(1 << 48, size=n).tolist())  # a dict keeps order and drops the (unlikely) double
    while len(drawn) < n:
        drawn[int(rng.integers(1 << 48))] = None
    return list(drawn)


def _id_names(size: Size, drawn: list[int]) -> list[str]:
    if size.ids == "syllables":
        return [SYLLABLES[a] + SYLLABLES[b] for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    return [f"item_{number:012x}" for number in drawn]


def _draw(size: Size, rng: np.random.Generator) -> dict[str, Any] | None:
    """One candidate instance, or None when it breaks an instance rule."""
    n = int(rng.integers(size.items[0], size.items[1] + 1))
    ids = _draw_ids(rng, size, n)
    weights = rng.integers(size.weight[0], size.weight[1] + 1, n)
    values = rng.integers(size.value[0], size.value[1] + 1, n)
    classes = rng.integers(size.classes, size=n)
    allowed = rng.permutation(size.classes)[: size.allowed]
    ratio = rng.uniform(*size.capacity_ratio)
    usable = np.flatnonzero((classes[:, None] == allowed).any(1))
    if len(usable) < size.min_allowed_items or usable[0] != 0:  # the first item is of an allowed class
        return None
    capacity = int(weights[usable].sum() * ratio)
    optimum, picked = best_subset(weights[usable], values[usable], capacity)
    best = [int(usable[i]) for i in picked]
    if len(best) < size.min_optimal_items or max(int(values[i]) for i in best) > size.max_share * optimum:
        return None
    return {
        "ids": _id_names(size, ids), "weights": weights.tolist(), "values": values.tolist(), "classes": [LETTERS[c] for c in classes],
        "allowed": sorted(LETTERS[c] for c in allowed), "capacity": capacity, "optimum": optimum, "best": best,
        "budget": inspect_budget(size, capacity, n, len(best)),
    }  # fmt: skip


def make_task(size: Size | str, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` candidates in a row break the instance rules.
    """
    size = size_named(size) if isinstance(size, str) else size
    task_seed = named_seed(seed, "task", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    for _ in range(size.redraws):
        drawn = _draw(size, rng)
        if drawn is not None:
            break
    else:
        raise UserError(f"size {size.name!r}: {size.redraws} draws in a row broke its rules; widen its ranges")
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


def make_tasks(size: Size | str, count: int, *, seed: int, split: str) -> list[Task]:
    """`count` tasks of one split, in id order. Splits never share a draw."""
    return [make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class KnapsackWorld:
    """The task being acted on. Tools answer with JSON text, as in the paper; refusals are ToolErrors."""

    def __init__(self, task: Task):
        self._items: dict[str, dict[str, Any]] = task.private["items"]
        self._ids: list[str] = task.public["item_ids"]
        self._allowed = frozenset(task.public["allowed_classes"])
        self._optimum = int(task.reference["optimal_value"])
        self.capacity = int(task.public["capacity"])
        self.budget = int(task.public["inspect_budget"])
        self.inspected: list[str] = []
        self.taken: list[str] = []
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """Capacity, inspect budget and the classes that occur: what the agent may know beforehand."""
        classes = sorted({item["class"] for item in self._items.values()})
        return {"capacity": self.capacity, "budget": self.budget, "classes": classes}

    def list_items(self) -> str:
        return _json(self._ids)

    def inspect(self, item_id: Any) -> str:
        item = self._known(item_id)
        if item_id not in self.inspected:
            if len(self.inspected) >= self.budget:
                raise ToolError("RuntimeError", f"inspect budget of {self.budget} is used up")
            self.inspected.append(item_id)
        return _json({name: item[name] for name in ("class", "value", "weight")})

    def take_item(self, item_id: Any) -> None:
        item = self._known(item_id)
        if self.done:
            raise ToolError("RuntimeError", "the task is finished")
        if item_id in self.taken:
            raise ToolError("ValueError", f"{item_id!r} is already taken")
        if item_id not in self.inspected:
            raise ToolError("ValueError", f"{item_id!r} was never inspected")
        if item["class"] not in self._allowed:
            raise ToolError("PermissionError", f"class {item['class']} is not allowed")
        if self.weight + item["weight"] > self.capacity:
            raise ToolError("RuntimeError", f"{item_id!r} does not fit the capacity left")
        self.taken.append(item_id)

    def finish(self) -> None:
        self.done = True

    def _known(self, item_id: Any) -> dict[str, Any]:
        if not isinstance(item_id, str) or item_id not in self._items:
            raise ToolError("ValueError", f"no item {str(item_id)[:40]!r}")
        return self._items[item_id]

    @property
    def weight(self) -> int:
        return sum(self._items[i]["weight"] for i in self.taken)

    def outcome(self) -> dict[str, Any]:
        """optimality = value taken / optimal value, in [0, 1]; solved is exactly 1."""
        value = sum(self._items[i]["value"] for i in self.taken)
        return {
            "value": value,
            "optimal_value": self._optimum,
            "optimality": value / self._optimum,
            "solved": value == self._optimum,
            "weight_used": self.weight,
            "capacity": self.capacity,
            "items_taken": len(self.taken),
            "items_inspected": len(self.inspected),
        }


World = KnapsackWorld  # the name under which rollouts find a family's world
