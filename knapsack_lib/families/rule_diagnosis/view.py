"""A diagnosis as the explorer shows it: what the tool calls of an episode brought, as numbers and as a table.

Tool calls and tasks may come from anybody's files: they are checked before they are used, and texts are escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from knapsack_lib.families.base import Calls, Task, ToolError
from knapsack_lib.families.rule_diagnosis.rule import FORMS, KEYS, read_rule, same_rule

__all__ = ["picture", "progress"]

CELL, LINE, TOP = 42, 18, 20  # a column's width, a row's height, the room of the heading
COLUMNS = 15  # of the table, before it goes on below
MOST = 60  # cells that are drawn
LETTERS = 6  # of a number in a cell
LINE_LETTERS = 90
WIDEST = 10_000  # inputs that a submission is compared on
RIGHT, WRONG, PLAIN = "#00735c", "#b34700", "#444"


def _accepted(turns: Sequence[Calls], name: str) -> list[tuple[Any, Any]]:
    """(argument, answer) of each call of a tool that was not refused."""
    return [
        (call["args"][0], call["result"])
        for calls in turns
        for call in calls
        if call["name"] == name and not call["error"] and call["args"]
    ]


def _budget(task: Task | None, result: Mapping[str, Any]) -> int:
    """The tests that there are in all; 0 where that is not known."""
    budget = (task.public if task else result).get("budget")
    return budget if type(budget) is int and 0 < budget < 10**6 else 0


def progress(
    turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
) -> list[dict[str, float]]:
    """Tests and submissions made, and the tests that are left where the budget is known."""
    budget = _budget(task, result)
    found: list[dict[str, float]] = []
    tests = submissions = 0
    for calls in turns:
        tests += len(_accepted([calls], "test_input"))
        submissions += len(_accepted([calls], "submit"))
        left = {"tests left": max(0, budget - tests)} if budget else {}
        found.append({"tests": tests, **left, "submissions": submissions})
    return found


def picture(turns: Sequence[Calls], task: Task | None) -> str:
    """The table of tests in their order, an empty cell for each that is left, and the last submission: right or wrong
    where the task tells."""
    tests, submitted = _accepted(turns, "test_input"), _accepted(turns, "submit")
    budget = _budget(task, {})
    cells = max(len(tests), budget)
    if not cells and not submitted:
        return ""
    drawn = min(cells, MOST)
    parts = [_cell(place, tests[place] if place < len(tests) else None) for place in range(drawn)]
    rows = -(-drawn // COLUMNS)
    under = TOP + rows * (2 * LINE + 6) + 14
    left = f", {max(0, budget - len(tests))} of {budget} left" if budget else ""
    kind = task.public.get("kind") if task else None
    form = f": {FORMS[kind]}" if isinstance(kind, str) and kind in FORMS else ""
    more = f" (the first {MOST} are shown)" if cells > MOST else ""
    heading = f"rule{form}; tests {len(tests)}{left}{more}"
    last, colour = "nothing submitted", PLAIN
    if submitted:
        verdict = _verdict(task, submitted[-1][0])
        colour = {"right": RIGHT, "wrong": WRONG}.get(verdict, PLAIN)
        text = textwrap.shorten(_plain(submitted[-1][0], 200), LINE_LETTERS, placeholder=" …")
        last = f"submission {len(submitted)}: {text}{verdict and ' - '}{verdict}"
    width = COLUMNS * CELL + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {width} {under + 6}" width="{width}" '
        f'height="{under + 6}" role="img" font-family="sans-serif" font-size="11">'
        f'<text y="12" fill="#222">{escape(heading)}</text>{"".join(parts)}'
        f'<text y="{under}" fill="{colour}">{escape(last)}</text></svg>'
    )


def _cell(place: int, test: tuple[Any, Any] | None) -> str:
    """One column of the table: the input above, the value below."""
    left = 22 + place % COLUMNS * CELL
    top = TOP + place // COLUMNS * (2 * LINE + 6)
    names = ""
    if place % COLUMNS == 0:
        names = "".join(
            f'<text x="0" y="{top + row * LINE + 13}" fill="#666">{name}</text>'
            for row, name in enumerate(("x", "f(x)"))
        )
    if test is None:
        box = f'height="{2 * LINE}" fill="none" stroke="#bbb" stroke-dasharray="3 3"'
        return f'{names}<rect x="{left}" y="{top}" width="{CELL}" {box}/>'
    texts = "".join(
        f'<rect x="{left}" y="{top + row * LINE}" width="{CELL}" height="{LINE}" fill="{fill}" stroke="#888"/>'
        f'<text x="{left + CELL / 2:g}" y="{top + row * LINE + 13}" text-anchor="middle" fill="#222">'
        f"{escape(_plain(one, LETTERS))}</text>"
        for row, (one, fill) in enumerate(zip(test, ("#e8eef4", "#fff"), strict=True))
    )
    title = f"test {place + 1}: f({_plain(test[0], 40)}) = {_plain(test[1], 40)}"
    return f"{names}<g><title>{escape(title)}</title>{texts}</g>"


def _verdict(task: Task | None, text: Any) -> str:
    """ "right" or "wrong", or "" where the task does not tell."""
    if task is None:
        return ""
    kind, ends = task.public.get("kind"), _numbers(task.public.get("input_range"))
    hidden = task.private.get("rule")
    if not isinstance(kind, str) or kind not in KEYS or not isinstance(hidden, dict):
        return ""
    numbers = _numbers([hidden.get(key) for key in KEYS[kind]])
    if len(ends) != 2 or ends[1] - ends[0] > WIDEST or not numbers or 0 in numbers[2:]:
        return ""
    rule = dict(zip(KEYS[kind], numbers, strict=True))
    try:
        stated = read_rule(kind, text)
    except ToolError:
        return "wrong"
    return "right" if same_rule(kind, stated, rule, range(ends[0], ends[1] + 1)) else "wrong"


def _numbers(values: Any) -> list[int]:
    """A list of whole numbers as it is, [] for anything else."""
    sound = isinstance(values, list) and all(type(one) is int for one in values)
    return values if sound else []


def _plain(value: Any, most: int) -> str:
    """Letters that can be shown, and not too many of them."""
    text = str(value)[: 4 * most]
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
