"""Making tasks, next to the same algorithm with its table of choices in plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from measure import Row, alternated, best, cells_a_second
from scratch import KNAPSACK, draw

from knapsack_lib.families import Task
from knapsack_lib.families.knapsack import tasks as knapsack
from knapsack_lib.families.knapsack.tasks import best_subset
from knapsack_lib.families.task_files import write_tasks

PART = "tasks"


def plain_table(weights: np.ndarray, values: np.ndarray, capacity: int) -> tuple[int, list[int]]:
    """best_subset with lists: the same recurrence, the same choice among equals."""
    table = [[0] * (capacity + 1)]
    for weight, value in zip(weights.tolist(), values.tolist(), strict=True):
        last, row = table[-1], list(table[-1])
        for room in range(weight, capacity + 1):
            with_item = last[room - weight] + value
            if with_item > last[room]:
                row[room] = with_item
        table.append(row)
    room, picked = capacity, []
    for i in range(len(weights) - 1, -1, -1):
        if table[i + 1][room] != table[i][room]:
            picked.append(i)
            room -= int(weights[i])
    return table[-1][capacity], picked[::-1]


def plainly(size: knapsack.Size, count: int) -> list[object]:
    with mock.patch.object(knapsack, "best_subset", plain_table):
        return list(draw(size, count, split="bench"))


def rows(tiny: bool) -> Iterator[Row]:
    count, repeats, many = (5, 1, 50) if tiny else (200, 5, 10_000)
    rate = cells_a_second()
    for name in ("easy", "medium"):
        size = KNAPSACK.size(name)
        assert plainly(size, 5) == draw(size, 5, split="bench")
        found = alternated(
            repeats,
            ours=lambda size=size: draw(size, count, split="bench"),
            plain=lambda size=size: plainly(size, count),
        )
        cells = float(np.mean([_cells(size, i) for i in range(count)]))
        yield Row(
            PART,
            f"{name}: one task",
            1e3 * found["ours"] / count,
            "ms",
            1e3 * cells / rate,
            f"{cells:,.0f} cells of its table at {rate / 1e6:,.0f} million a second; the rest is drawing",
            found["plain"] / found["ours"],
            "the same drawing with the table in plain Python",
            ">= 10",
        )
    for items in (20, 100, 1000):
        yield _table_alone(items if not tiny else 20, rate, repeats)
    with tempfile.TemporaryDirectory() as place:
        seconds = alternated(1, write=lambda: write_tasks(Path(place), _drawn(many)))["write"]
        texts = [task.to_json() for task in _drawn(min(many, 1000))]
        written = best(
            lambda: [
                (Path(place) / f"bare-{i}").write_text(text, encoding="utf-8")
                for i, text in enumerate(texts)
            ],
            3,
        )
        yield Row(
            PART,
            f"easy: {many:,} tasks made and written, a task",
            1e3 * seconds / many,
            "ms",
            1e3 * written / len(texts),
            "only writing files of that size",
        )


def _drawn(count: int) -> Iterator[Task]:
    return (KNAPSACK.make_task("easy", seed=1, split="many", index=i) for i in range(count))


def _cells(size: knapsack.Size, index: int) -> int:
    task = KNAPSACK.make_task(size, seed=1, split="bench", index=index)
    allowed = set(task.public["allowed_classes"])
    weights = [
        item["weight"] for item in task.private["items"].values() if item["class"] in allowed
    ]
    return sum(max(0, task.public["capacity"] + 1 - weight) for weight in weights)


def _table_alone(items: int, rate: float, repeats: int) -> Row:
    """The optimum of items of medium size, all of them of an allowed class."""
    rng, medium = np.random.default_rng(1), replace(KNAPSACK.size("medium"), items=(items, items))
    weights = rng.integers(medium.weight[0], medium.weight[1] + 1, items)
    values = rng.integers(medium.value[0], medium.value[1] + 1, items)
    capacity, times = int(weights.sum() // 2), max(1, 2000 // items)
    assert best_subset(weights, values, capacity) == plain_table(weights, values, capacity)
    found = alternated(
        repeats,
        ours=lambda: [best_subset(weights, values, capacity) for _ in range(times)],
        plain=lambda: plain_table(weights, values, capacity),
    )
    cells = int(np.maximum(0, capacity + 1 - weights).sum())
    return Row(
        PART,
        f"the optimum alone, {items} items",
        1e3 * found["ours"] / times,
        "ms",
        1e3 * cells / rate,
        f"{cells:,} cells",
        found["plain"] * times / found["ours"],
        "the same table in plain Python",
    )
