"""The scripted expert's plan in one tool call a turn (expert.py tells it)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from knapsack_lib.families.scripted import CallExpert
from knapsack_lib.families.tables.plan import SAYINGS, drawn, read_task, shape_of

__all__ = ["CallingExpert"]


class CallingExpert(CallExpert):
    """The plan in one tool call a turn."""

    sayings: ClassVar[Mapping[str, Sequence[str]]] = {
        "tables": SAYINGS["setup"],
        "schema": SAYINGS["look"],
        "query": SAYINGS["ask"],
        "answer": SAYINGS["answer"],
        "finish": SAYINGS["finish"],
    }

    def draw(self, rng: np.random.Generator) -> None:
        _, self._from_end, self._guesses = drawn(rng, self.setting.batch_sizes)

    def begin(self, task: str) -> None:
        self._parts: list[str] = read_task(task)["parts"]
        self._answer = ""
        self._calls = self._plan()

    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        self._answer = answer

    def next_call(self) -> tuple[str, list[Any]]:
        return next(self._calls)

    def _plan(self) -> Iterator[tuple[str, list[Any]]]:
        """The calls; each reads what the one before brought."""
        main, want, field, *value = self._parts
        yield "tables", []
        listed = json.loads(self._answer)
        seen: dict[str, dict[str, str]] = {}
        for name in listed[::-1] if self._from_end else listed:
            yield "schema", [name]
            columns = json.loads(self._answer).items()
            seen[name] = {column: kind.partition("> ")[2] for column, kind in columns}
            if len(seen) == 1 and self._guesses:
                yield "query", [f"select distinct {field} from {main}"]
        places = [(main, main)]  # tables, and how they are joined to the one asked about
        for table, tables in places:
            for column, key in seen[table].items():
                to = key.partition(".")[0]
                if to:
                    places.append((to, f"{tables} join {to} on {table}.{column} = {key}"))
        for place in [place for place in places if field in seen[place[0]]]:
            yield "query", [f"select distinct {field} from {place[0]}"]
            table, tables = place
            if value in json.loads(self._answer)["rows"]:
                break
        whole = shape_of(self._parts).format(
            want=want, tables=tables, table=table, field=field, value="".join(value)
        )
        yield "query", [whole]
        yield "answer", json.loads(self._answer)["rows"][0]
        yield "finish", []
