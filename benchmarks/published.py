"""Published files -> two tables with 95% intervals, next to the same work with the bootstrap as a
plain Python loop.

    python benchmarks/published.py [--episodes 1200]

Twelve cells of drawn episodes in the authors' format, result and trace each. Both sides read all
files with our reader and give a table for easy and one for hard: six measures of six cells, each
with a BCa interval. Medians of five, alternated in one process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS
from knapsack_lib.published.episodes import write_published
from knapsack_lib.published.records import Found, read_records
from knapsack_lib.published.reports import stats

RESAMPLES, LEVEL, REPEATS = 5000, 0.95, 5
Interval = tuple[float, float]
Row = dict[str, Interval]


def drawn(count: int) -> list[Episode]:
    """`count` episodes over the twelve cells."""
    rng = np.random.default_rng(1)
    cells = list(itertools.product(TRAININGS, RUNTIMES, DIFFICULTIES))
    made = []
    for number in range(count):
        train, runtime, difficulty = cells[number % len(cells)]
        score = min(1.0, round(float(rng.beta(4, 1.5)) * 1.1, 3))
        result = {
            "score": score,
            "solved": score == 1,
            "value": 100 * score,
            "optimal_value": 100,
            "weight_used": int(rng.integers(20, 51)),
            "capacity": 50,
            "items_taken": 4,
            "items_inspected": int(rng.integers(8, 25)),
        }
        turns = [_turn(int(rng.lognormal(7, 0.5))) for _ in range(int(rng.integers(4, 12)))]
        made.append(
            Episode(
                f"task-{number:06d}",
                f"task-{number:06d}",
                "knapsack",
                difficulty,
                train,
                runtime,
                0,
                [{"role": "user", "content": "Fill it."}],
                turns,
                "finish",
                result,
            )
        )
    return made


def _turn(tokens: int) -> Turn:
    code = "for item in items:\n    print(item, inspect(item))"
    return Turn(
        f"I look.\n```python\n{code}\n```",
        None,
        "code",
        code,
        "x" * 400,
        "x" * 400,
        None,
        None,
        None,
        False,
        [],
        [],
        tokens,
        60,
        False,
    )


def bare(source: Path) -> None:
    """The traces without what only our own traces hold."""
    for file in source.rglob("*.trace.json"):
        trace = json.loads(file.read_text(encoding="utf-8"))
        del trace["knapsack_lib"]
        file.write_text(json.dumps(trace, indent=1), encoding="utf-8")


def tables(source: Path, intervals: Callable[[Found], Row]) -> dict[str, dict[str, Row]]:
    """Size -> cell -> measure -> interval."""
    found: dict[str, dict[str, Row]] = {"easy": {}, "hard": {}}
    for cell in sorted(source.iterdir()):
        found[cell.name.rpartition("_")[2]][cell.name] = intervals(read_records(cell))
    return found


def ours(found: Found) -> Row:
    return dict(stats(found).intervals)


def looped(found: Found) -> Row:
    records = found.records
    measures = {
        "success_rate": [100.0 * (r.solved is True) for r in records],
        "optimality": [r.score or 0.0 for r in records],
        "capacity_utilization": [
            100 * r.metrics["weight_used"] / r.metrics["capacity"] for r in records
        ],
        "items_inspected": [r.metrics["inspected_count"] for r in records],
        "steps": [float(r.steps) for r in records],
        "total_tokens": [float(r.tokens) for r in records],
    }
    return {name: plain(values, 1) for name, values in measures.items() if len(set(values)) > 1}


def plain(values: Sequence[float], seed: int) -> Interval:
    """BCa (Efron 1987) with lists and loops."""
    rng, n, normal = random.Random(seed), len(values), statistics.NormalDist()
    mean = sum(values) / n
    means = sorted(sum(values[rng.randrange(n)] for _ in range(n)) / n for _ in range(RESAMPLES))
    below = sum(one < mean for one in means) + sum(one == mean for one in means) / 2
    bias = normal.inv_cdf(below / RESAMPLES)
    without = [(mean * n - value) / (n - 1) for value in values]
    middle = sum(without) / n
    cubes, squares = (
        sum((middle - one) ** 3 for one in without),
        sum((middle - one) ** 2 for one in without),
    )
    skew = cubes / (6 * squares**1.5)
    ends = []
    for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        z = bias + normal.inv_cdf(tail)
        share = normal.cdf(bias + z / (1 - skew * z))
        ends.append(means[min(RESAMPLES - 1, int(share * RESAMPLES))])
    return ends[0], ends[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=1200)
    count = parser.parse_args().episodes
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "benchmarks"
        write_published(drawn(count), source)
        bare(source)
        tables(source, ours)  # imports and caches are not what is compared
        sides = {"ours": ours, "plain": looped, "reading": lambda found: {}}
        runs: dict[str, list[float]] = {name: [] for name in sides}
        found = {}
        for _ in range(REPEATS):
            for name, intervals in sides.items():
                began = time.perf_counter()
                found[name] = tables(source, intervals)
                runs[name].append(time.perf_counter() - began)
    taken = {name: statistics.median(times) for name, times in runs.items()}
    reading = taken["reading"]
    pairs = [
        (one, found["plain"][size][cell][name])
        for size, rows in found["ours"].items()
        for cell, row in rows.items()
        for name, one in row.items()
        if one[1] > one[0]
    ]
    apart = max(
        abs(a - b) / (one[1] - one[0])
        for one, other in pairs
        for a, b in zip(one, other, strict=True)
    )
    print(
        f"{count:,} episodes ({2 * count:,} files), two tables, {len(pairs)} BCa intervals of {RESAMPLES:,} resamples"
    )
    print(f"this package   {taken['ours']:8.2f} s   of this, reading the files: {reading:.2f} s")
    print(f"plain Python   {taken['plain']:8.2f} s   the same reader")
    print(f"ratio          {taken['plain'] / taken['ours']:8.1f}   of all")
    print(
        f"               {(taken['plain'] - reading) / (taken['ours'] - reading):8.1f}   of the intervals alone"
    )
    print(f"the ends differ by at most {apart:.1%} of an interval's width (other draws)")


if __name__ == "__main__":
    main()
