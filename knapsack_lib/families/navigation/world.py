"""The walk: two tools over a hidden graph, of which an agent sees the neighbours of the node it is at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knapsack_lib.families.base import Task, ToolError

__all__ = ["TOOLS", "NavigationWorld"]

TOOLS = ("scan", "move")


class NavigationWorld:
    """The task being acted on. It is done at the goal, and when the steps are used up. Refusals are ToolErrors and cost no
    step."""

    def __init__(self, task: Task):
        self._neighbours: dict[str, list[str]] = task.private["adjacency"]
        self._optimum = int(task.reference["optimal_steps"])
        self.here: str = task.public["start"]
        self.goal: str = task.public["goal"]
        self.start = self.here
        self.max_steps = int(task.public["max_steps"])
        self.visited = [self.here]  # each node once
        self.steps = self.scans = 0
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """Start, goal and how many steps may be taken: all that an agent knows beforehand."""
        return {"start": self.start, "goal": self.goal, "max_steps": self.max_steps}

    def scan(self) -> str:
        """The ids of the nodes that an edge leads to from here, with commas between them."""
        self.scans += 1
        return ",".join(self._neighbours[self.here])

    def move(self, node: Any) -> int:
        """Take an edge from here. Returns how many steps are left."""
        if self.done:
            raise ToolError("RuntimeError", "the walk is over")
        if not isinstance(node, str):
            raise ToolError("ValueError", "give the id of a node, which is a text")
        if node not in self._neighbours[self.here]:
            raise ToolError("ValueError", f"no edge leads from here to {node[:40]!r}")
        self.here = node
        self.steps += 1
        if node not in self.visited:
            self.visited.append(node)
        self.done = node == self.goal or self.steps == self.max_steps
        return self.max_steps - self.steps

    def result(self) -> dict[str, Any]:
        """score = optimal steps / steps taken where the goal was reached, else 0; solved is the goal reached."""
        solved = self.here == self.goal
        return {
            "score": self._optimum / self.steps if solved else 0.0,
            "solved": solved,
            "steps": self.steps,
            "optimal_steps": self._optimum,
            "max_steps": self.max_steps,
            "nodes_visited": len(self.visited),
            "scans": self.scans,
        }
