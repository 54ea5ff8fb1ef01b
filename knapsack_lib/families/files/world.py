"""The folder being worked in: nine tools over its files, and the table that was handed in.

There is no pattern matching: `grep` finds a fixed text. A pattern that a model wrote would run in the host, where Python's
`re` can take exponential time and cannot be bounded; an agent that wants one has `re` in its own interpreter, which is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.files.folder import Folder

__all__ = ["TOOLS", "FilesWorld", "rows_right"]

TOOLS = ("ls", "read", "grep", "sort", "uniq", "cut", "write", "submit", "finish")
COLUMNS = 16  # that one cut may name


class FilesWorld:
    """The task being acted on. Tools that make a table write it to a file of the folder; refusals are ToolErrors."""

    def __init__(self, task: Task):
        self._told = dict(task.public)
        self._header: list[str] = task.reference["columns"]
        self._wanted: list[list[str]] = [list(map(str, row)) for row in task.reference["rows"]]
        self.folder = Folder(task.private["files"], task.private["page"])
        self.submitted: str | None = None
        self.submissions = 0
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """Which files there are and which table is asked for."""
        period = self._told["period"]
        only = f" Only {period} counts; dates have two spellings." if period else ""
        return {**self._told, "period": only}

    def restore(self) -> None:
        """Bring the files back to how they were at the start. What was submitted stays submitted."""
        self.folder.restore()

    # Tools ----------------------------------------------------------------------------------------

    def ls(self) -> str:
        return self.folder.listing()

    def read(self, name: Any, start: Any, n: Any) -> str:
        lines = self.folder.text(name).splitlines()
        if type(start) is not int or type(n) is not int or start < 0 or n < 1:
            raise ToolError("ValueError", "give the first line, from 0, and how many, from 1")
        return self.folder.answer(name, lines[start:][:n], n)

    def grep(self, text: Any, name: Any) -> str:
        lines = self.folder.text(name).splitlines()
        if type(text) is not str or not text:
            raise ToolError("ValueError", "give the fixed text that a line must hold")
        return self.folder.answer(name, [line for line in lines if text in line])

    def sort(self, name: Any, column: Any, out: Any) -> None:
        header, rows = self._table(name)
        place = _place(header, column)
        rows.sort(key=lambda row: _order(row[place] if place < len(row) else ""))
        self._put(name, out, [header, *rows])

    def uniq(self, name: Any, out: Any) -> None:
        lines = self.folder.text(name).splitlines()
        self._put(name, out, [[line] for line in dict.fromkeys(lines)])

    def cut(self, name: Any, columns: Any, out: Any) -> None:
        header, rows = self._table(name)
        if type(columns) is not list or not 1 <= len(columns) <= COLUMNS:
            raise ToolError("ValueError", f"give a list of 1 to {COLUMNS} names of columns")
        places = [_place(header, column) for column in columns]
        kept = [[row[p] if p < len(row) else "" for p in places] for row in [header, *rows]]
        self._put(name, out, kept)

    def write(self, name: Any, text: Any) -> None:
        self._check_open()
        self.folder.put(name, text)

    def submit(self, name: Any) -> None:
        self._check_open()
        self.submitted = self.folder.text(name)
        self.submissions += 1

    def finish(self) -> None:
        self.done = True

    # ----------------------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """score = rows that are right / rows asked for, or handed in where these are more; 1 is exactly right."""
        right, given = rows_right(self._header, self._wanted, self.submitted or "")
        return {
            "score": right / max(1, len(self._wanted), given),
            "solved": right == given == len(self._wanted),
            "rows_right": right,
            "rows_wanted": len(self._wanted),
            "rows_given": given,
            "submissions": self.submissions,
            "files_read": len(self.folder.read),
            "files_written": len(self.folder.written),
        }

    def _check_open(self) -> None:
        if self.done:
            raise ToolError("RuntimeError", "the task is finished")

    def _table(self, name: Any) -> tuple[list[str], list[list[str]]]:
        """Header and rows of a file with commas between its cells."""
        header, *rows = [line.split(",") for line in self.folder.text(name).splitlines()] or [[""]]
        return header, rows

    def _put(self, name: str, out: Any, rows: list[list[str]]) -> None:
        """Write what was made of the file `name`."""
        self.write(out, "".join(",".join(row) + "\n" for row in rows))
        self.folder.read.add(name)


def rows_right(header: list[str], wanted: list[list[str]], text: str) -> tuple[int, int]:
    """(rows of a table that are right, rows in it). Rows are right where they are equal to rows asked for and come in
    the same order: the longest such sequence counts. Without the right header none is. No two rows of `wanted` are
    equal."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if row != [""]]
    given = max(0, len(rows) - 1)
    if not rows or rows[0] != header:
        return 0, given
    place = {tuple(row): number for number, row in enumerate(wanted)}
    ends: list[int] = []  # [k]: where a sequence of k + 1 rows can end at the earliest
    for number in (place[tuple(row)] for row in rows[1:] if tuple(row) in place):
        k = bisect_left(ends, number)
        ends[k : k + 1] = [number]
    return len(ends), given


def _place(header: list[str], column: Any) -> int:
    names = [name.strip() for name in header]
    if type(column) is not str or column not in names:
        raise ToolError("ValueError", "there is no such column in its first line")
    return names.index(column)


def _order(cell: str) -> tuple[bool, int, str]:
    """Whole numbers by size, then texts by letter. Python converts no number of any length."""
    cell = cell.strip()
    number = cell.isdigit() and len(cell) <= 18
    return not number, int(cell) if number else 0, cell
