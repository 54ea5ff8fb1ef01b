"""The knapsack as the explorer shows it: what the tool calls of an episode had brought, in numbers and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from knapsack_lib.families.base import Calls, Task

__all__ = ["picture", "progress"]

WIDTH, HEIGHT = 420, 22
COLOURS = ("#0072b2", "#56b4e9")
SHOWN = 40  # letters of an id; episodes from elsewhere may hold anything


class _Seen:
    """What an agent has found out and done so far."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[str, float]] = {}
        self.taken: list[str] = []

    def follow(self, calls: Calls) -> None:
        for call in calls:
            if call["error"] or not call["args"]:
                continue
            item = str(call["args"][0])
            if call["name"] == "inspect":
                self.facts[item] = _numbers(call["result"])
            elif call["name"] == "take_item":
                self.taken.append(item)

    def total(self, what: str) -> float:
        return sum(self.facts.get(item, {}).get(what, 0) for item in self.taken)


def progress(
    turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
) -> list[dict[str, float]]:
    """Value and weight taken, items inspected, and what is left of capacity and inspections where that is known."""
    return list(
        _progress(turns, result.get("capacity"), task and task.public.get("inspect_budget"))
    )


def _progress(turns: Sequence[Calls], capacity: Any, budget: Any) -> Iterator[dict[str, float]]:
    seen = _Seen()
    for calls in turns:
        seen.follow(calls)
        weight, inspected = seen.total("weight"), len(seen.facts)
        yield {
            "value taken": seen.total("value"),
            "weight used": weight,
            "inspected": inspected,
            **({} if capacity is None else {"capacity left": capacity - weight}),
            **({} if budget is None else {"inspections left": budget - inspected}),
        }


def picture(turns: Sequence[Calls], task: Task | None) -> str:
    """A bar as long as the capacity, filled by the items that were taken, each as long as its weight."""
    seen = _Seen()
    for calls in turns:
        seen.follow(calls)
    capacity = float(task.public["capacity"]) if task else seen.total("weight")
    if not capacity > 0:
        return ""
    parts, left = [], 0.0
    for number, item in enumerate(seen.taken):
        width = seen.facts.get(item, {}).get("weight", 0) / capacity * WIDTH
        told = ", ".join(f"{name} {value:g}" for name, value in seen.facts.get(item, {}).items())
        parts.append(
            f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}" fill="{COLOURS[number % 2]}">'
            f"<title>{escape(item[:SHOWN])}: {escape(told)}</title></rect>"
        )
        left += width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img">{"".join(parts)}<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" fill="none" '
        'stroke="#888"/></svg>'
    )


def _numbers(result: Any) -> dict[str, float]:
    """The numbers of an item as a tool gave them; nothing for an answer that is no item."""
    try:
        answer = json.loads(result)
    except (TypeError, ValueError):
        return {}
    numbers = answer.items() if isinstance(answer, dict) else ()
    return {str(name): n for name, n in numbers if type(n) in (int, float) and math.isfinite(n)}
