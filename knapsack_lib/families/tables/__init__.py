"""Tables: answer a question about a small SQLite database when its tables, columns and texts are hidden until they are
looked up, and queries are limited.

words.py and questions.py hold what is asked, sizes.py says how much, tasks.py draws databases, sql.py runs a model's query,
world.py is a task being played, expert.py and calling.py play it by the plan of plan.py, view.py draws it. What the rest of the library knows of the family is the object
FAMILY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knapsack_lib.families.base import Calls, Expert, Family, Metric, Task, World
from knapsack_lib.families.tables import view
from knapsack_lib.families.tables.calling import CallingExpert
from knapsack_lib.families.tables.expert import ScriptedExpert
from knapsack_lib.families.tables.plan import SAYINGS
from knapsack_lib.families.tables.sizes import SIZES, Size
from knapsack_lib.families.tables.tasks import make_task
from knapsack_lib.families.tables.world import TOLERANCE, TOOLS, TablesWorld
from knapsack_lib.profiles import REACT, Teacher

__all__ = ["FAMILY"]


class Tables(Family):
    name = "tables"
    tools = TOOLS
    sizes = SIZES
    tools_text = {
        "brief": "tables(), schema(table), query(sql), answer(value), finish()",
        "full": (
            "- tables() returns a JSON text: the list of all tables.\n"
            "- schema(table) returns a JSON text: an object that gives each column its type. The type "
            "`integer -> item.id` belongs to a column that holds an id of the table item.\n"
            "- query(sql) returns a JSON text: an object with columns and rows, and with cut where not "
            "all rows are shown. It runs one SELECT in SQLite, without functions of dates and chance. A query "
            "that raises an error counts, too.\n"
            "- answer(value) hands in a number or a text. The last answer counts.\n"
            "- finish() ends the task."
        ),
    }
    task_text = {
        "brief": "{question} {queries} queries.",
        "full": (
            "Answer a question about a SQLite database.\n{question}\n"
            "A row has a text if its own column holds it, or the column of a row that it refers to, "
            "directly or through others. Only one column of that name holds the text.\n"
            "You have {queries} queries, and an answer shows at most {shown} rows. "
            f"A number may be off by {TOLERANCE}; a text must be exact."
        ),
    }
    metrics = {
        "queries": Metric("queries", lambda r: r["queries"], "int64"),
        "tables_seen": Metric("tables looked at", lambda r: r["tables_seen"], "int64"),
        "rows_read": Metric("rows read", lambda r: r["rows_read"], "int64"),
    }
    sentences = tuple(sentence for group in SAYINGS.values() for sentence in group)

    def make_task(self, size: Size | str, *, seed: int, split: str, index: int) -> Task:
        return make_task(
            self.size(size) if isinstance(size, str) else size, seed=seed, split=split, index=index
        )

    def world(self, task: Task) -> World:
        return TablesWorld(task)

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return (
            CallingExpert(setting, seed) if style == REACT else ScriptedExpert(style, setting, seed)
        )

    def describe(self, size: str) -> str:
        found = self.size(size)
        low, high = (
            linked + apart for linked, apart in zip(found.linked, found.apart, strict=True)
        )
        return f"{low} to {high} tables" if high > low else f"{low} tables"

    def attempted(self, result: Mapping[str, Any]) -> bool:
        return bool(result["answered"])

    def explored(self, result: Mapping[str, Any]) -> bool:
        return bool(result["tables_seen"] or result["queries"])

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        return view.progress(turns, result)

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        return view.picture(turns)


FAMILY = Tables()
