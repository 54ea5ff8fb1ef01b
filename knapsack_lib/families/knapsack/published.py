"""Opaque Knapsack in the authors' files: its metrics there, and its section of their configs.

The authors' own tasks cannot be drawn again from their config (they take the allowed classes from an
unseeded generator). Tasks drawn here from it have the same ranges and rules, and are the same every
time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from knapsack_lib.families.base import Metric, Task
from knapsack_lib.families.knapsack.tasks import LETTERS, Size, make_task

__all__ = ["METRICS", "from_published", "tasks_from_config", "to_published"]

MOST = 2.0**53  # beyond it nothing was counted


def _utilization(metrics: Mapping[str, Any]) -> float:
    capacity = metrics.get("capacity")
    return 100 * metrics.get("weight_used", 0) / capacity if capacity else math.nan


METRICS = {
    "capacity_utilization": Metric("capacity used, %", _utilization),
    "items_inspected": Metric(
        "items inspected", lambda metrics: metrics.get("inspected_count", math.nan), form=".2f"
    ),
}


def from_published(metrics: Mapping[str, float]) -> dict[str, Any]:
    """What a world's result holds besides score and solved. An unknown capacity is NaN."""

    def count(name: str) -> int:
        number = metrics.get(name, 0)
        return int(number) if 0 <= number < MOST else 0

    return {
        "value": metrics.get("agent_value", 0),
        "optimal_value": metrics.get("optimal_value", 0),
        "weight_used": metrics.get("weight_used", 0),
        "capacity": metrics.get("capacity") or math.nan,
        "items_taken": count("items_taken_count"),
        "items_inspected": count("inspected_count"),
    }


def to_published(result: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a result file."""
    return {
        "agent_value": result["value"],
        "optimal_value": result["optimal_value"],
        "optimality_gap": result["optimal_value"] - result["value"],
        "weight_used": result["weight_used"],
        "capacity": result["capacity"],
        "items_taken_count": result["items_taken"],
        "inspected_count": result["items_inspected"],
    }


class _Section(BaseModel):
    """The section `knapsack` of the authors' configs."""

    model_config = ConfigDict(extra="forbid")

    num_tasks: int = Field(default=100, ge=0)
    n_items_range: tuple[int, int] = (10, 30)
    weight_range: tuple[int, int] = (1, 20)
    value_range: tuple[int, int] = (1, 50)
    classes: list[str] = Field(default=["A", "B", "C"], min_length=1, max_length=len(LETTERS))
    num_allowed_classes: int = Field(default=10, ge=1)
    capacity_ratio_range: tuple[float, float] = (0.35, 0.6)
    force_nonempty_optimum: bool = True

    @model_validator(mode="after")
    def _classes_fit(self) -> _Section:
        if self.num_allowed_classes > len(self.classes):
            raise ValueError(
                f"num_allowed_classes = {self.num_allowed_classes}, but only {len(self.classes)} classes"
            )
        # Were one of two classes of one name allowed, the optimum would leave out usable items.
        twice = next((name for name in self.classes if self.classes.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"classes names {twice!r:.60} twice; give each class its own name")
        return self


def tasks_from_config(section: Any, *, seed: int, run_name: str) -> Iterator[Task]:
    """The section's tasks, under its class names and in the authors' numbering. Raises pydantic's
    ValidationError, or UserError where no task can be drawn."""
    own = TypeAdapter(dict[str, _Section]).validate_python({"knapsack": section})["knapsack"]
    size = Size(
        run_name,
        own.n_items_range,
        own.weight_range,
        own.value_range,
        len(own.classes),
        own.num_allowed_classes,
        own.capacity_ratio_range,
    )
    names = dict(zip(LETTERS, own.classes, strict=False))
    return (
        _renamed(
            make_task(size, seed=seed, split="config", index=index),
            names,
            task_id=f"knapsack-{index:010d}",
            run_name=run_name,
        )
        for index in range(own.num_tasks)
    )


def _renamed(task: Task, names: Mapping[str, str], **changed: str) -> Task:
    items = {
        item: {**facts, "class": names[facts["class"]]}
        for item, facts in task.private["items"].items()
    }
    allowed = [names[letter] for letter in task.public["allowed_classes"]]
    public = {**task.public, "allowed_classes": allowed}
    return replace(task, private={"items": items}, public=public, **changed)  # type: ignore[arg-type]
