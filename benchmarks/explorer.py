"""How long the explorer takes on many episodes, compared with a plain data frame of the same file.

    python benchmarks/explorer.py [--episodes 5000]

Copies of the committed episodes under other task ids, in one store. Both sides read the same file
from disk: the frame with pandas.read_json, as one would without an explorer. Medians of as many
repeats of either side, in one process, in turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from knapsack_lib.analysis.results import read_results
from knapsack_lib.explorer import pages
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.widget import Explorer
from knapsack_lib.profiles import load_profile

sys.path.insert(0, str(Path(__file__).resolve().parent / "bench"))
from measure import alternated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=5000)
    count = parser.parse_args().episodes
    made = list(read_results(load_profile("pocket-seeds").run()).episodes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many" / "episodes.jsonl"
        file.parent.mkdir()
        with open(file, "w", encoding="utf-8") as out:
            for number in range(count):
                name = f"copy-{number:06d}"
                out.write(
                    replace(made[number % len(made)], task_id=name, episode_id=name).to_line()
                    + "\n"
                )
        size = file.stat().st_size / 2**20
        report(file, count, size)


def report(file: Path, count: int, size: float) -> None:
    """Measure and print."""
    opening = alternated(
        3, ours=lambda: open_catalogue(file), frame=lambda: pd.read_json(file, lines=True)
    )
    catalogue, frame = open_catalogue(file), pd.read_json(file, lines=True)
    explorer = Explorer(catalogue)
    places = list(catalogue.frame.index[:: max(1, count // 50)])
    explorer.show(places[0])

    def step() -> None:
        explorer.press("ArrowRight" if explorer.turn < 5 else "Home")

    scored = {
        "ours": lambda: pages.rows_table(catalogue.find(order="score").head(15)),
        "frame": lambda: (
            frame.assign(score=frame.result.map(lambda result: result["score"]))
            .sort_values("score")
            .head(15)
            .drop(columns=["turns", "opening"])
            .to_html()
        ),
    }
    found = {
        "open": opening,
        "find a text": alternated(
            3,
            ours=lambda: catalogue.find(text="'left'"),
            frame=lambda: frame[
                frame.turns.map(lambda turns: any("'left'" in str(t) for t in turns))
            ],
        ),
        "sort by score and show a page": alternated(9, **scored),
        "show one episode": alternated(
            20,
            ours=lambda: explorer.show(places.pop()),
            frame=lambda: pd.DataFrame(frame.turns[count // 2]).to_html(),
        ),
        "step to another turn": alternated(50, ours=step),
    }
    print(f"{count:,} episodes, {size:.0f} MiB; milliseconds, median\n")
    print(f"{'':32}{'explorer':>10}{'data frame':>12}")
    for name, took in found.items():
        other = f"{1000 * took['frame']:12.1f}" if "frame" in took else f"{'-':>12}"
        print(f"{name:32}{1000 * took['ours']:10.1f}{other}")


if __name__ == "__main__":
    main()
