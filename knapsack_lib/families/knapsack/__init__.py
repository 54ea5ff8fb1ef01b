"""Opaque Knapsack: fill a knapsack when weights, values and classes are hidden until they are inspected, inspections
are limited, and only some classes may be taken, which is found out by being refused (arXiv 2603.01209).

tasks.py draws and solves instances, world.py is one being played, expert.py plays it, view.py draws it, published.py
translates the authors' files. What the rest of the library knows of the family is the object FAMILY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from knapsack_lib.families.base import Calls, Expert, Family, Metric, Task, World
from knapsack_lib.families.knapsack import published, view
from knapsack_lib.families.knapsack.expert import SAYINGS, CallingExpert, ScriptedExpert
from knapsack_lib.families.knapsack.tasks import SIZES, Size, make_task
from knapsack_lib.families.knapsack.varied import VariedKnapsack
from knapsack_lib.families.knapsack.world import TOOLS, KnapsackWorld
from knapsack_lib.profiles import REACT, Teacher

__all__ = ["FAMILY"]


class Knapsack(Family):
    name = "knapsack"
    tools = TOOLS
    sizes = SIZES
    tools_text = {
        "brief": "list_items(), inspect(item), take_item(item), finish()",
        "full": (
            "- list_items() returns a JSON text: the list of all item ids.\n"
            "- inspect(item_id) returns a JSON text: an object with weight, value and class. Distinct "
            "items count against the inspection budget; looking at the same item again is free.\n"
            "- take_item(item_id) puts an item into the knapsack. This cannot be undone. It raises an "
            "error if the item's class is not allowed, if the item does not fit, or, unless the task says "
            "otherwise, if it was never inspected.\n"
            "- finish() ends the task. Call it when nothing more is worth taking."
        ),
    }
    task_text = {
        "brief": (
            "Fill the knapsack. Capacity {capacity}. Inspections {budget}. Classes {classes}: only some "
            "are allowed.{unseen}"
        ),
        "full": (
            "Fill a knapsack with the highest total value you can reach.\n"
            "Capacity: {capacity} units of weight.\nInspection budget: {budget} distinct items.\n"
            "Classes that occur: {classes}. Only some of them are allowed, and you are not told which: "
            "taking an item of another class raises an error.{unseen}"
        ),
    }
    metrics = {
        "items_inspected": Metric("inspected", lambda r: r["items_inspected"], "int64"),
        "items_taken": Metric("taken", lambda r: r["items_taken"], "int64"),
        "capacity_utilisation": Metric(
            "capacity used", lambda r: r["weight_used"] / r["capacity"], form=".0%"
        ),
    }
    published_metrics = published.METRICS
    # The shipped base depends on these: they stay as they are, whatever becomes of the study's sizes.
    tokenizer_sizes = {
        "easy": replace(SIZES["pocket-easy"], items=(8, 10)),
        "medium": replace(SIZES["pocket-medium"], items=(11, 13)),
    }
    sentences = tuple(sentence for group in SAYINGS.values() for sentence in group)

    def make_task(self, size: Size | str, *, seed: int, split: str, index: int) -> Task:
        return make_task(
            self.size(size) if isinstance(size, str) else size, seed=seed, split=split, index=index
        )

    def world(self, task: Task) -> World:
        return KnapsackWorld(task)

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return (
            CallingExpert(setting, seed) if style == REACT else ScriptedExpert(style, setting, seed)
        )

    def varied_expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return VariedKnapsack(style, setting, seed)

    def describe(self, size: str) -> str:
        low, high = self.size(size).items
        return f"{low} to {high} items" if high > low else f"{low} items"

    def attempted(self, result: Mapping[str, Any]) -> bool:
        return result["items_taken"] > 0

    def explored(self, result: Mapping[str, Any]) -> bool:
        return bool(result["items_inspected"] or result["items_taken"])

    def from_published(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        return published.from_published(metrics)

    def to_published(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return published.to_published(result)

    def tasks_from_config(self, section: Any, *, seed: int, run_name: str) -> Iterable[Task]:
        return published.tasks_from_config(section, seed=seed, run_name=run_name)

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        return view.progress(turns, result, task)

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        return view.picture(turns, task)


FAMILY = Knapsack()
