"""Write pages of episodes: python -m knapsack_lib.explorer --profile pocket [--out FOLDER] [--every N]

The pages need no kernel and no network. By default every tenth episode of each cell, beside the executed notebooks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from knapsack_lib.explorer import episodes_of
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.pages import write_pages
from knapsack_lib.profiles import UserError, load_profile


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m knapsack_lib.explorer", description="pages of episodes")
    parser.add_argument("--profile", default="pocket")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--source", default="", help="another run's folder, or a store; the profile's run by default")
    parser.add_argument("--out", type=Path, default=None, help="runs/<profile>/pages by default")
    parser.add_argument("--every", type=int, default=10, help="every n-th episode of each cell (default 10; 1: all)")
    chosen = parser.parse_args(arguments)
    if chosen.every < 1:
        raise UserError(f"--every {chosen.every} is not a number from 1 up")
    run = load_profile(chosen.profile).run(chosen.seed)
    catalogue = open_catalogue(*episodes_of(run, chosen.source))
    cells = catalogue.frame.groupby(["run", "train", "runtime", "difficulty", "train_seed"], sort=False)
    places = [place for _, cell in cells for place in cell.index[:: chosen.every]]
    index = write_pages(catalogue, places, chosen.out or run.root / "pages")
    print(f"wrote {run.shown(index)}: {len(places)} of {len(catalogue)} episodes")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
