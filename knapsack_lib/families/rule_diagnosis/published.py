"""Rule diagnosis in the authors' files: its section of their configs, and its metrics.

Their ranges and the names of their metrics were never published: ranges that a config leaves out are those of the size
`easy`, and metrics are read under the names that this package writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from knapsack_lib.families.base import Task
from knapsack_lib.families.rule_diagnosis.tasks import SIZES, Size, make_task

__all__ = ["from_published", "tasks_from_config"]

EASY = SIZES["easy"]
MOST = 2.0**53  # beyond it nothing was counted


def from_published(metrics: Mapping[str, float]) -> dict[str, Any]:
    """What a world's result holds besides score and solved."""

    def count(name: str) -> int:
        number = metrics.get(name, 0)
        return int(number) if 0 <= number < MOST else 0

    counted = {name: count(name) for name in ("tests", "budget", "submissions")}
    return {**counted, "efficiency": metrics.get("efficiency", 0.0)}


class _Section(BaseModel):
    """The section `rule_diagnosis` of the authors' configs."""

    model_config = ConfigDict(extra="forbid")

    num_tasks: int = Field(default=100, ge=0)
    kinds: list[Literal["linear_int", "affine_mod"]] = Field(
        default=["linear_int", "affine_mod"], min_length=1
    )
    budget_range: tuple[int, int] = EASY.budget
    a_range: tuple[int, int] = EASY.a
    b_range: tuple[int, int] = EASY.b
    m_range: tuple[int, int] = EASY.m


def tasks_from_config(section: Any, *, seed: int, run_name: str) -> Iterator[Task]:
    """The section's tasks, in the authors' numbering. Raises pydantic's ValidationError, or UserError where no task can be
    drawn."""
    own = TypeAdapter(dict[str, _Section]).validate_python({"rule_diagnosis": section})
    given = own["rule_diagnosis"]
    size = Size(
        run_name,
        tuple(given.kinds),
        given.budget_range,
        given.a_range,
        given.b_range,
        given.m_range,
        EASY.inputs,
    )
    return (
        replace(
            make_task(size, seed=seed, split="config", index=index),
            task_id=f"rule_diagnosis-{index:010d}",
            run_name=run_name,
        )
        for index in range(given.num_tasks)
    )
