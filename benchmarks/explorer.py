"""How long the explorer takes on many episodes, beside a plain data frame of the same file.

    python benchmarks/explorer.py [--episodes 5000]

Copies of the committed episodes under other task ids, in one store. Both sides read the same file from disk: the frame
with pandas.read_json, as one would without an explorer. Medians over repeats, in one process, alternated.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from knapsack_lib.analysis.results import read_results
from knapsack_lib.explorer import pages
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.widget import Explorer
from knapsack_lib.profiles import load_profile


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median of so many runs."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=5000)
    count = parser.parse_args().episodes
    made = read_results(load_profile("pocket-seeds").run()).episodes
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many" / "episodes.jsonl"
        file.parent.mkdir()
        with open(file, "w") as out:
            for number in range(count):
                name = f"copy-{number:06d}"
                out.write(replace(made[number % len(made)], task_id=name, episode_id=name).to_line() + "\n")
        size = file.stat().st_size / 2**20
        report(file, count, size)


def report(file: Path, count: int, size: float) -> None:
    """Measure and print."""
    opening = seconds(lambda: open_catalogue(file), 3)
    frame_opening = seconds(lambda: pd.read_json(file, lines=True), 3)
    catalogue, frame = open_catalogue(file), pd.read_json(file, lines=True)
    explorer = Explorer(catalogue)
    places = list(catalogue.frame.index[:: max(1, count // 50)])
    explorer.show(places[0])

    def step() -> None:
        explorer.press("ArrowRight" if explorer.turn < 5 else "Home")

    lines = [
        ("open", opening, frame_opening),
        ("find a text", seconds(lambda: catalogue.find(text="'left'"), 5),
         seconds(lambda: frame[frame.turns.map(lambda turns: any("'left'" in str(t) for t in turns))], 3)),
        ("sort by score and show a page", seconds(lambda: pages.rows_table(catalogue.find(order="optimality").head(15)), 9),
         seconds(lambda: frame.assign(score=frame.outcome.map(lambda o: o["optimality"])).sort_values("score").head(15)
                 .drop(columns=["turns", "opening"]).to_html(), 9)),
        ("show one episode", seconds(lambda: explorer.show(places.pop()), 20),
         seconds(lambda: pd.DataFrame(frame.turns[count // 2]).to_html(), 20)),
        ("step to another turn", seconds(step, 50), None),
    ]  # fmt: skip
    print(f"{count:,} episodes, {size:.0f} MiB; milliseconds, median\n")
    print(f"{'':32}{'explorer':>10}{'data frame':>12}")
    for name, ours, other in lines:
        print(f"{name:32}{1000 * ours:10.1f}" + (f"{1000 * other:12.1f}" if other is not None else f"{'-':>12}"))


if __name__ == "__main__":
    main()
