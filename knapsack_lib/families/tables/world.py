"""A database that is asked: five tools over tables that are hidden until they are looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.tables.sql import run

__all__ = ["TOLERANCE", "TOOLS", "TablesWorld"]

TOOLS = ("tables", "schema", "query", "answer", "finish")
TOLERANCE = 0.01  # of an answer that is a number, both ends included
LONGEST = 200  # characters of an answer that is a text
HIGHEST = 1e15  # numbers below it are compared exactly


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class TablesWorld:
    """The task being acted on. Tools answer with JSON text; refusals are ToolErrors."""

    def __init__(self, task: Task):
        self._tables: dict[str, dict[str, Any]] = task.private["tables"]
        self._value: Any = task.reference["value"]
        self._public = task.public
        self.seen: list[str] = []
        self.queries = 0
        self.rows = 0
        self.answered: Any = None
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """The question, how many queries may be asked, and how many rows of an answer are shown."""
        return dict(self._public)

    def tables(self) -> str:
        return _json(list(self._tables))

    def schema(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self._tables:
            raise ToolError("ValueError", f"no table {str(name)[:40]!r}")
        if name not in self.seen:
            self.seen.append(name)
        return _json(dict(self._tables[name]["columns"]))

    def query(self, sql: Any) -> str:
        """A query counts when it is refused, too."""
        if not isinstance(sql, str):
            raise ToolError("ValueError", "a query is a text of SQL")
        budget = self._public["queries"]
        if self.queries >= budget:
            raise ToolError("RuntimeError", f"the {budget} queries are used up")
        self.queries += 1
        answer = run(self._tables, sql, self._public["shown"])
        self.rows += len(answer["rows"])
        return _json(answer)

    def answer(self, value: Any) -> None:
        if self.done:
            raise ToolError("RuntimeError", "the task is finished")
        if isinstance(self._value, str):
            if not isinstance(value, str) or len(value) > LONGEST:
                raise ToolError(
                    "ValueError", f"the answer is a text of at most {LONGEST} characters"
                )
        elif type(value) not in (int, float) or not abs(value) < HIGHEST:  # nor is NaN below it
            raise ToolError("ValueError", f"the answer is a number below {HIGHEST:.0e}")
        self.answered = value

    def finish(self) -> None:
        self.done = True

    @property
    def right(self) -> bool:
        if self.answered is None or isinstance(self._value, str):
            return self.answered == self._value
        return math.isclose(self.answered, self._value, rel_tol=0, abs_tol=TOLERANCE + 1e-9)

    def result(self) -> dict[str, Any]:
        """score is 1 for the right answer, else 0."""
        return {
            "score": float(self.right),
            "solved": self.right,
            "answered": self.answered is not None,
            "queries": self.queries,
            "query_budget": self._public["queries"],
            "tables_seen": len(self.seen),
            "rows_read": self.rows,
        }
