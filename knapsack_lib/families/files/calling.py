"""The scripted expert's plan in one tool call a turn: read both files a few lines at a time, write the table, hand it in."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from knapsack_lib.families.files.words import CALLING, read_task
from knapsack_lib.families.scripted import CallExpert

__all__ = ["CallingExpert"]

RESULT_FILE = "result.csv"


class CallingExpert(CallExpert):
    """The plan in one tool call a turn."""

    sayings = CALLING

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._step = int(sizes[int(rng.integers(len(sizes)))])
        self._sizes: dict[str, int] = {}
        self._lines: dict[str, list[str]] = {}  # of each file, as far as it was read
        self._did: set[str] = set()

    def begin(self, task: str) -> None:
        self._task = read_task(task)

    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        self._did.add(tool)
        if tool == "ls":
            self._sizes = json.loads(answer)
        elif tool == "read" and refusal:
            self._step -= 1
        elif tool == "read":
            self._lines.setdefault(args[0], []).extend(answer.splitlines())

    def next_call(self) -> tuple[str, list[Any]]:
        if not self._sizes:
            return "ls", []
        for name in (self._task["main"], self._task["other"]):
            at = len(self._lines.get(name, []))
            if at < self._sizes[name]:
                return "read", [name, at, self._step if at else 1]
        for tool, args in (("write", [RESULT_FILE, self._table()]), ("submit", [RESULT_FILE])):
            if tool not in self._did:
                return tool, args
        return "finish", []

    def _table(self) -> str:
        """The result table, from the lines that were read."""
        cells = {
            name: [[cell.strip() for cell in line.split(",")] for line in lines[1:]]
            for name, lines in self._lines.items()
        }
        main, other, period = (self._task[name] for name in ("main", "other", "period"))
        of = dict(cells[other] if other.endswith(".csv") else json.loads(self._lines[other][0]))
        totals: dict[str, int] = {}
        seen: set[str] = set()
        for i, *row in cells[main]:
            dated = not period or (len(row) == 3 and _month(row[0]) == period)
            if i in seen or len(row) != (3 if period else 2) or not all(row) or not dated:
                continue
            seen.add(i)
            if row[-2] in of:
                group = of[row[-2]].strip().upper()
                totals[group] = totals.get(group, 0) + int(row[-1])
        order = sorted(totals)
        if "largest first" in self._task["order"]:
            order.sort(key=lambda g: -totals[g])
        lines = [
            f"{self._task['group']},{self._task['value']}",
            *(f"{g},{totals[g]}" for g in order),
        ]
        return "\n".join(lines) + "\n"


def _month(date: str) -> str:
    return date[:7] if "-" in date else f"{date[6:]}-{date[3:5]}"
