"""Rebuild figures, tables and numbers: python -m knapsack_lib.analysis --profile pocket [--seed N] [--from run|results]

`results` (the default) reads the committed compact files alone; `run` first makes those files from runs/<profile>.
"""

from __future__ import annotations

import argparse
import sys

from knapsack_lib.analysis.report import build, collect
from knapsack_lib.analysis.results import read_results
from knapsack_lib.profiles import UserError, load_profile


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m knapsack_lib.analysis", description="figures, tables and numbers")
    parser.add_argument("--profile", default="pocket")
    parser.add_argument("--seed", type=int, default=None, help="root seed of the run; the profile's own by default")
    parser.add_argument("--from", dest="source", choices=("results", "run"), default="results")
    chosen = parser.parse_args(arguments)
    run = load_profile(chosen.profile).run(chosen.seed)
    results = collect(run) if chosen.source == "run" else read_results(run)
    written = build(results, run)
    print(f"wrote {len(written)} files under {run.shown(run.published_root)} from: {results.stamp}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
