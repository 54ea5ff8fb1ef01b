"""Navigation in the authors' configs: its section there.

Tasks drawn here from it have the same ranges and rules as theirs and carry the seed that theirs have, but are not their
tasks: how they draw a graph is their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from knapsack_lib.families.base import Task
from knapsack_lib.families.navigation.tasks import Size, make_task

__all__ = ["tasks_from_config"]


class _Section(BaseModel):
    """The section `navigation` of the authors' configs."""

    model_config = ConfigDict(extra="forbid")

    num_tasks: int = Field(default=100, ge=0)
    horizon_range: tuple[int, int] = (5, 10)
    extra_nodes: tuple[int, int] = (3, 6)
    extra_edge_factor: float = 0.3
    max_steps_multiplier: float = 4.0
    second_edge_probability: float = 0.35


def tasks_from_config(section: Any, *, seed: int, run_name: str) -> Iterator[Task]:
    """The section's tasks, in the authors' numbering. Raises pydantic's ValidationError for a bad section, UserError where
    no task can be drawn."""
    own = TypeAdapter(dict[str, _Section]).validate_python({"navigation": section})["navigation"]
    size = Size(
        run_name,
        own.horizon_range,
        own.extra_nodes,
        own.extra_edge_factor,
        own.max_steps_multiplier,
        own.second_edge_probability,
    )
    # Each family has seeds of its own, which begin at a number made of its name.
    first = seed + int(hashlib.sha256(b"navigation").hexdigest()[:8], 16)
    return (
        replace(
            make_task(size, seed=first + index, split="config", index=0),
            task_id=f"navigation-{index:010d}",
            seed=first + index,
            run_name=run_name,
        )
        for index in range(own.num_tasks)
    )
