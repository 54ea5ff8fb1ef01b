"""The knapsack being filled: four tools over hidden weights, values and classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from knapsack_lib.families.base import Task, ToolError

__all__ = ["TOOLS", "KnapsackWorld"]

TOOLS = ("list_items", "inspect", "take_item", "finish")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class KnapsackWorld:
    """The task being acted on. Tools answer with JSON text, as in the paper; refusals are
    ToolErrors."""

    def __init__(self, task: Task):
        self._items: dict[str, dict[str, Any]] = task.private["items"]
        self._ids: list[str] = task.public["item_ids"]
        self._allowed = frozenset(task.public["allowed_classes"])
        self._optimum = int(task.reference["optimal_value"])
        self.capacity = int(task.public["capacity"])
        self.budget = int(task.public["inspect_budget"])
        # The authors' worlds let an item be taken that was never looked at.
        self.unseen = task.public.get("rules") == "published"
        self.inspected: list[str] = []
        self.taken: list[str] = []
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """Capacity, inspect budget, the classes that occur, and whether items may be taken unseen: what the
        agent may know beforehand."""
        classes = sorted({item["class"] for item in self._items.values()})
        unseen = " Items may be taken without being inspected." if self.unseen else ""
        return {
            "capacity": self.capacity,
            "budget": self.budget,
            "classes": classes,
            "unseen": unseen,
        }

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
        if item_id not in self.inspected and not self.unseen:
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

    def result(self) -> dict[str, Any]:
        """score = value taken / optimal value, in [0, 1]; solved is exactly 1."""
        value = sum(self._items[i]["value"] for i in self.taken)
        return {
            "value": value,
            "optimal_value": self._optimum,
            "score": value / self._optimum,
            "solved": value == self._optimum,
            "weight_used": self.weight,
            "capacity": self.capacity,
            "items_taken": len(self.taken),
            "items_inspected": len(self.inspected),
        }
