"""Figures of effects: the planned contrasts with the band of equivalence, and the power behind
them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.style import INK, SOFT, house_style, new_figure, sample

__all__ = ["contrast_data", "draw_contrasts", "draw_power"]

SHAPE = {"easy": "o", "medium": "D"}
SHADE = {"easy": "#009E73", "medium": "#CC79A7"}
BAND: dict[str, Any] = {"color": "#56B4E9", "alpha": 0.25, "lw": 0}
SHOWN = ("training", "runtime", "interaction", "matched", "aligned", "gain")
COLUMNS = "difficulty contrast title planned n seeds effect low high tost_low tost_high tost p p_holm seed_low seed_high"


def contrast_data(evidence: Evidence) -> pd.DataFrame:
    """The planned contrasts of scores and two simple ones, with the margin they are held against."""
    table, judged = evidence.contrasts, evidence.analysis
    rows = table[(table.outcome == "score") & table.contrast.isin(SHOWN)]
    return rows[COLUMNS.split()].assign(
        margin=judged.margin, level=judged.level, tost_level=1 - 2 * judged.alpha
    )


@house_style()
def draw_contrasts(data: pd.DataFrame) -> Figure:
    """Paired differences of scores: all on the left, those near zero on the right with the band of
    equivalence."""
    figure, grid = new_figure(1, 2, (7, 3.0), sharey=True, width_ratios=[1.1, 1])
    margin = float(data.margin.iloc[0])
    # The simple contrasts stand apart.
    places = {name: place + 0.35 * (place > 3) for place, name in enumerate(SHOWN)}
    for axis in grid[0]:
        axis.axvspan(-margin, margin, **BAND)
        axis.axvline(0, color=INK, lw=0.8)
        for difficulty, rows in data.groupby("difficulty"):
            colour = SHADE[difficulty]
            y = rows.contrast.map(places) + (-0.17 if difficulty == "easy" else 0.17)
            axis.hlines(y, rows.low, rows.high, color=colour, lw=1.2)
            axis.hlines(y, rows.tost_low, rows.tost_high, color=colour, lw=3.2)
            axis.plot(rows.effect, y, ls="none", color=colour, **_point(difficulty))
            if rows.seeds.max() > 1:
                for ends in (rows.seed_low, rows.seed_high):
                    axis.plot(ends, y + 0.13, color=INK, ls="none", marker="|", ms=3)
                axis.hlines(y + 0.13, rows.seed_low, rows.seed_high, color=INK, lw=0.7)
        axis.set_xlabel("difference of scores")
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x")
    titles = data.drop_duplicates("contrast").set_index("contrast").title
    names = [
        titles[name].replace(" − ", "\n− ") if len(titles[name]) > 28 else titles[name]
        for name in SHOWN
    ]
    left, right = grid[0]
    left.set_yticks(list(places.values()), names)
    left.invert_yaxis()
    small = data[data.contrast.isin(["aligned", "gain"])][["low", "high"]].abs().max().max()
    reach = max(4 * margin, 1.15 * small)
    right.set(xlim=(-reach, reach), title="the same, near zero")
    figure.legend(handles=_marks(data), loc="outside lower center", ncols=3, columnspacing=1.4)
    return figure


def _point(difficulty: str) -> dict[str, Any]:
    return {"marker": SHAPE[difficulty], "ms": 4, "mfc": "white", "mew": 1.3}


def _marks(data: pd.DataFrame) -> list[Artist]:
    """The legend of the contrasts."""
    one, seeds = data.iloc[0], data.seeds.max()
    marks: list[Artist] = [
        sample(f"{d} (n = {n} tasks), {one.level:.0%}", color=SHADE[d], lw=1.2, **_point(d))
        for d, n in data.groupby("difficulty").n.max().items()
    ]
    marks.append(sample(f"{one.tost_level:.0%}, for equivalence", color=SOFT, lw=3.2))
    marks.append(Patch(label=f"margin ±{one.margin:g}", **BAND))
    if seeds > 1:
        marks.append(sample(f"range of {seeds:.0f} training seeds", lw=0.7, marker="|", ms=3))
    return marks


@house_style()
def draw_power(data: pd.DataFrame) -> Figure:
    """Power of the paired comparison of the two aligned cells, by the true difference of their
    scores."""
    figure, grid = new_figure(1, 1, (3.4, 2.3))
    axis = grid[0, 0]
    for difficulty, rows in data.groupby("difficulty"):
        one = rows.iloc[0]
        label = f"{difficulty}: n = {one.n}, spread {one.spread:.3f}"
        line = "-" if difficulty == "easy" else (0, (4, 2))
        axis.plot(
            rows.difference, rows.power, color=SHADE[difficulty], ls=line, lw=1.8, label=label
        )
    axis.axhline(data.wanted.iloc[0], color=SOFT, lw=0.8, ls=":")
    axis.set(xlabel="true difference of scores", ylabel="power", ylim=(0, 1.02))
    axis.set_xlim(0, data.difference.max())
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.grid()
    axis.legend(loc="lower right")
    return figure
