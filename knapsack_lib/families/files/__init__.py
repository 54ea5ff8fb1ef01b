"""Files: clean a small table, join it with a second file, hand in a result table, in a private scratch folder.

folder.py is the folder, which exists in memory alone; tasks.py draws tasks and works out their results, world.py is one
being worked on, words.py is what an agent is told, expert.py (code) and calling.py (one call a turn) play it, view.py
draws it. What the rest of the library knows of the family is the object FAMILY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knapsack_lib.families.base import Calls, Expert, Family, Metric, Task, World
from knapsack_lib.families.files import view
from knapsack_lib.families.files.calling import CallingExpert
from knapsack_lib.families.files.expert import ScriptedExpert
from knapsack_lib.families.files.tasks import SIZES, Size, make_task
from knapsack_lib.families.files.words import CALLING, SAYINGS, TASK_TEXT, TOOLS_TEXT
from knapsack_lib.families.files.world import TOOLS, FilesWorld
from knapsack_lib.profiles import REACT, Teacher

__all__ = ["FAMILY"]


class Files(Family):
    name = "files"
    tools = TOOLS
    sizes = SIZES
    tools_text = TOOLS_TEXT
    task_text = TASK_TEXT
    metrics = {
        "files_read": Metric("files read", lambda r: r["files_read"], "int64"),
        "files_written": Metric("files written", lambda r: r["files_written"], "int64"),
        "rows_right": Metric("rows right", lambda r: r["rows_right"], "int64"),
    }
    sentences = tuple(
        sentence for group in (*SAYINGS.values(), *CALLING.values()) for sentence in group
    )

    def make_task(self, size: Size | str, *, seed: int, split: str, index: int) -> Task:
        return make_task(
            self.size(size) if isinstance(size, str) else size, seed=seed, split=split, index=index
        )

    def world(self, task: Task) -> World:
        return FilesWorld(task)

    def reset_disk(self, world: World) -> None:
        assert isinstance(world, FilesWorld)
        world.restore()

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return (
            CallingExpert(setting, seed) if style == REACT else ScriptedExpert(style, setting, seed)
        )

    def describe(self, size: str) -> str:
        (low, high), (fewest, most) = self.size(size).rows, self.size(size).keys
        rows = f"{low} to {high}" if high > low else f"{low}"
        return f"{rows} rows and {f'{fewest} to {most}' if most > fewest else fewest} keys"

    def attempted(self, result: Mapping[str, Any]) -> bool:
        return result["submissions"] > 0

    def explored(self, result: Mapping[str, Any]) -> bool:
        return result["files_read"] > 0

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        return view.progress(turns, task)

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        return view.picture(turns, task)


FAMILY = Files()
