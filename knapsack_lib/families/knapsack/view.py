"""The knapsack as the explorer shows it: what the tool calls of an episode brought, as numbers and as a picture.

Tool calls may come from anybody's files: numbers are checked before they are added up, and texts are escaped.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from knapsack_lib.families.base import Calls, Task

__all__ = ["picture", "progress"]

WIDTH, TOP, HEIGHT = 640, 18, 38
TAKEN = ("#0072b2", "#00558a")  # one item, the next one
LETTER = 6.6  # the width of a letter at font size 11
ID_LETTERS = 40
LINE_LETTERS = 115
HIGHEST = 1e15  # sums of numbers below it stay finite and exact


class _Knapsack:
    """What an agent has found out and taken so far."""

    def __init__(self) -> None:
        self.facts: dict[str, Mapping[str, Any]] = {}
        self.taken: list[str] = []

    def follow(self, calls: Calls) -> None:
        for call in calls:
            if call["error"] or not call["args"]:
                continue
            item = str(call["args"][0])
            if call["name"] == "inspect":
                self.facts[item] = _answer(call["result"])
            elif call["name"] == "take_item":
                self.taken.append(item)

    def number(self, item: str, what: str) -> float:
        return _number(self.facts.get(item, {}).get(what))

    def total(self, what: str) -> float:
        return sum(self.number(item, what) for item in self.taken)

    def text(self, item: str) -> str:
        """`value/weight`, as far as they are known."""
        return "/".join(f"{self.number(item, what):g}" for what in ("value", "weight"))


def progress(
    turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
) -> list[dict[str, float]]:
    """Value and weight taken, items inspected, and what is left of capacity and inspections where
    that is known."""
    capacity = _number(result.get("capacity")) or (task.public["capacity"] if task else 0)
    budget = task.public["inspect_budget"] if task else None
    return list(_progress(turns, capacity, budget))


def _progress(
    turns: Sequence[Calls], capacity: float, budget: int | None
) -> Iterator[dict[str, float]]:
    knapsack = _Knapsack()
    for calls in turns:
        knapsack.follow(calls)
        weight, inspected = knapsack.total("weight"), len(knapsack.facts)
        yield {
            "value taken": knapsack.total("value"),
            "weight used": weight,
            **({"capacity left": capacity - weight} if capacity else {}),
            "inspected": inspected,
            **({} if budget is None else {"inspections left": budget - inspected}),
        }


def picture(turns: Sequence[Calls], task: Task | None) -> str:
    """A bar as long as the capacity, in which each item that was taken is as long as its weight, and
    a line with the items that were inspected and left out."""
    knapsack = _Knapsack()
    for calls in turns:
        knapsack.follow(calls)
    weight = knapsack.total("weight")
    capacity = task.public["capacity"] if task else weight
    if not capacity > 0:
        return ""
    scale = WIDTH / max(capacity, weight)
    parts = [
        f'<rect y="{TOP}" width="{capacity * scale:.1f}" height="{HEIGHT}" fill="#f0f0f0" stroke="#888"/>'
    ]
    left = 0.0
    for number, item in enumerate(knapsack.taken):
        width = max(0.0, knapsack.number(item, "weight") * scale)
        parts.append(_item(knapsack, item, left, width, TAKEN[number % 2]))
        left += width
    if capacity > weight:
        free = f"{capacity - weight:g} free"
        parts.append(_label(free, (left + WIDTH) / 2, TOP + 23, WIDTH - left, "#666"))
    of = f" of {capacity:g}" if task else ""
    heading = f"knapsack: weight {weight:g}{of}, value {knapsack.total('value'):g}"
    rest = [item for item in knapsack.facts if item not in knapsack.taken]
    left_out = ", ".join(f"{_plain(item)} {knapsack.text(item)}" for item in rest)
    left_out = left_out and f"inspected, not taken (value/weight): {left_out}"
    height = TOP + HEIGHT + (18 if rest else 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {WIDTH + 2} {height}" width="{WIDTH + 2}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11">'
        f'<text y="11" fill="#222">{heading}</text>{"".join(parts)}<text y="{height - 4}" fill="#666">'
        f"{escape(textwrap.shorten(left_out, LINE_LETTERS, placeholder=' …'))}</text></svg>"
    )


def _item(knapsack: _Knapsack, item: str, left: float, width: float, colour: str) -> str:
    """An item in the bar: its id, value and weight, in as many words as there is room for; all of
    it as a title."""
    facts = ", ".join(f"{name} {value}" for name, value in knapsack.facts.get(item, {}).items())
    long = "value {}, weight {}".format(*knapsack.text(item).split("/"))
    numbers = long if LETTER * len(long) < width else knapsack.text(item)
    middle = left + width / 2
    return (
        f"<g><title>{escape(_plain(item))}: {escape(_plain(facts))}</title>"
        f'<rect x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT}" fill="{colour}"/>'
        f"{_label(_plain(item), middle, TOP + 16, width)}{_label(numbers, middle, TOP + 30, width)}</g>"
    )


def _label(text: str, x: float, y: float, room: float, colour: str = "#fff") -> str:
    """A text around its middle, if there is room for it."""
    if LETTER * len(text) > room:
        return ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'


def _plain(text: str) -> str:
    """Letters that can be shown, and not too many of them."""
    return (text if text.isprintable() else ascii(text))[:ID_LETTERS]


def _answer(result: Any) -> Mapping[str, Any]:
    """An item as a tool gave it; nothing for an answer that is no item."""
    try:
        answer = json.loads(result)
    except (TypeError, ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _number(value: Any) -> float:
    """A number as it is, 0 for anything else."""
    return value if type(value) in (int, float) and abs(value) < HIGHEST else 0
