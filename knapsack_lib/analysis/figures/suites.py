"""The figure of a suite: the cells of every study side by side."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis.style import (
    COLOUR,
    INK,
    MARKER,
    face,
    has_react,
    house_style,
    legend,
    log_ticks,
    new_figure,
    sample,
)
from knapsack_lib.profiles import REACT

__all__ = ["draw_suite"]

# (train, runtime) -> how far below the middle of its study's row a cell stands
ROWS = {
    ("persistent", "persistent"): -0.3,
    ("persistent", "reset"): -0.15,
    ("reset", "reset"): 0.0,
    ("reset", "persistent"): 0.15,
    (REACT, REACT): 0.3,
}
PANELS = {
    "score": "score",
    "tokens": "tokens per episode (log)",
    "missing_variable": "episodes with a\nmissing-variable error",
}


@house_style()
def draw_suite(cells: pd.DataFrame) -> Figure:
    """A row for each study, a column for each measure; easy tasks, with intervals over tasks. The untrained base is left
    out. `cells` as suites.read_told gives them."""
    easy = cells[cells.difficulty == "easy"]
    studies = easy.drop_duplicates("study")
    figure, grid = new_figure(1, 3, (7, 0.9 + 0.72 * len(studies)), sharey=True)
    for axis, (measure, title) in zip(grid[0], PANELS.items(), strict=True):
        for place, study in enumerate(studies.itertuples()):
            _cells(axis, easy[easy.study == study.study], measure, place)
            if measure == "score":
                ends = [place - 0.42, place + 0.42]
                axis.plot([study.expert] * 2, ends, color=INK, lw=1, ls=":")
            if place:
                axis.axhline(place - 0.5, color="#e6e6e6", lw=0.8)
        axis.set_title(title)
        axis.grid(axis="x")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        if measure == "tokens":
            axis.set_xscale("log")
            log_ticks(axis.xaxis)
        else:
            axis.set_xlim(-0.05, 1.05)
        if measure == "missing_variable":
            axis.xaxis.set_major_formatter(PercentFormatter(1))
    names = [f"{row.family}\nn = {row.n}" for row in studies.itertuples()]
    grid[0, 0].set_yticks(range(len(studies)), names)
    grid[0, 0].set_ylim(len(studies) - 0.5, -0.5)
    more = [sample("the scripted expert", ls=":")]
    legend(figure, "points", more, base=False, react=has_react(easy))
    return figure


def _cells(axis: Axes, rows: pd.DataFrame, measure: str, place: int) -> None:
    for row in rows.itertuples():
        drop = ROWS.get((row.train, row.runtime))
        if drop is None:
            continue
        colour, y = COLOUR[row.train], place + drop
        low, high = getattr(row, f"{measure}_low"), getattr(row, f"{measure}_high")
        axis.plot([low, high], [y, y], color=colour, lw=1.2)
        fill = face(row.train, row.runtime)
        axis.plot(
            getattr(row, measure), y, marker=MARKER[row.runtime], ms=5, color=colour, mfc=fill
        )
