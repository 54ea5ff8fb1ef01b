"""Navigation: walk from a start to a goal through a directed graph of which only the neighbours of the node one is at can
be seen, in few steps. After the family of that name of the study's authors (arXiv 2603.01209).

tasks.py draws graphs and finds the fewest steps, world.py is one being walked, expert.py walks it, view.py draws it,
published.py reads the authors' configs. What the rest of the library knows of the family is the object FAMILY.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knapsack_lib.families.base import Calls, Expert, Family, Metric, Task, World
from knapsack_lib.families.navigation import published, view
from knapsack_lib.families.navigation.expert import SAYINGS, CallingExpert, ScriptedExpert
from knapsack_lib.families.navigation.tasks import SIZES, Size, make_task
from knapsack_lib.families.navigation.world import TOOLS, NavigationWorld
from knapsack_lib.profiles import REACT, Teacher

__all__ = ["FAMILY"]


class Navigation(Family):
    name = "navigation"
    tools = TOOLS
    sizes = SIZES
    tools_text = {
        "brief": "scan(), move(node)",
        "full": (
            "- scan() returns a text: the ids of the nodes that you can move to from where you are, with "
            "commas between them. It costs no step.\n"
            "- move(node_id) takes you to one of them and returns the number of steps you have left. It "
            "raises an error, and costs no step, if no edge leads there from where you are. An edge goes "
            "one way only: there may be none back."
        ),
    }
    # In quotes, so that an id in the task is written as in code.
    task_text = {
        "brief": "Walk from '{start}' to '{goal}' in at most {max_steps} steps, better fewer.",
        "full": (
            "Find a way through a directed graph that you cannot see as a whole.\n"
            "You are at '{start}' and have to reach '{goal}', in as few steps as you can and at most "
            "{max_steps} steps.\nThe task ends when you are there, or when your steps are used up. From "
            "every node that you can come to, the goal can still be reached."
        ),
    }
    metrics = {
        "path_steps": Metric("steps walked", lambda r: r.get("steps", math.nan)),
        "nodes_visited": Metric("nodes visited", lambda r: r.get("nodes_visited", math.nan)),
        "scans": Metric("scans", lambda r: r.get("scans", math.nan)),
    }
    sentences = tuple(sentence for group in SAYINGS.values() for sentence in group)

    def make_task(self, size: Size | str, *, seed: int, split: str, index: int) -> Task:
        return make_task(
            self.size(size) if isinstance(size, str) else size, seed=seed, split=split, index=index
        )

    def world(self, task: Task) -> World:
        return NavigationWorld(task)

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return (
            CallingExpert(setting, seed) if style == REACT else ScriptedExpert(style, setting, seed)
        )

    def describe(self, size: str) -> str:
        low, high = self.size(size).horizon
        return f"{low} to {high} steps away" if high > low else f"{low} steps away"

    def attempted(self, result: Mapping[str, Any]) -> bool:
        return bool(result.get("steps")) or super().attempted(result)

    def explored(self, result: Mapping[str, Any]) -> bool:
        return bool(result.get("scans")) or self.attempted(result)

    def tasks_from_config(self, section: Any, *, seed: int, run_name: str) -> Iterable[Task]:
        return published.tasks_from_config(section, seed=seed, run_name=run_name)

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        return view.progress(turns, task)

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        return view.picture(turns, task)


FAMILY = Navigation()
