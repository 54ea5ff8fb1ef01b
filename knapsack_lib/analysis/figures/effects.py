"""Figures of effects: the planned contrasts with the band of equivalence, and the power behind
them."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.style import INK, SOFT
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["contrast_data", "draw_contrasts", "draw_power"]

SHAPE = {"easy": "o", "medium": "D"}
SHADE = {"easy": "#009E73", "medium": "#CC79A7"}
SHOWN = ("training", "runtime", "interaction", "matched", "aligned", "gain")


def contrast_data(evidence: Evidence) -> pd.DataFrame:
    """The planned contrasts of scores and two simple ones, with the margin they are held against."""
    rows = evidence.contrasts[
        (evidence.contrasts.outcome == "score") & evidence.contrasts.contrast.isin(SHOWN)
    ]
    columns = [
        "difficulty",
        "contrast",
        "title",
        "planned",
        "n",
        "seeds",
        "effect",
        "low",
        "high",
        "tost_low",
        "tost_high",
        "tost",
        "p",
        "p_holm",
        "seed_low",
        "seed_high",
    ]
    judged = evidence.analysis
    return rows[columns].assign(
        margin=judged.margin, level=judged.level, tost_level=1 - 2 * judged.alpha
    )


def draw_contrasts(data: pd.DataFrame) -> Figure:
    """Paired differences of scores: all on the left, those near zero on the right with the band of
    equivalence."""
    figure, grid = style.new_figure(1, 2, (7, 3.0), sharey=True, width_ratios=[1.1, 1])
    margin = float(data.margin.iloc[0])
    places = {name: place + 0.35 * (place > 3) for place, name in enumerate(SHOWN)}
    for axis in grid[0]:
        axis.axvspan(-margin, margin, color="#56B4E9", alpha=0.25, lw=0)
        axis.axvline(0, color=INK, lw=0.8)
        for row in data.itertuples():
            y = places[row.contrast] + (-0.17 if row.difficulty == "easy" else 0.17)
            colour = SHADE[row.difficulty]
            axis.plot([row.low, row.high], [y, y], color=colour, lw=1.2, solid_capstyle="butt")
            axis.plot(
                [row.tost_low, row.tost_high], [y, y], color=colour, lw=3.2, solid_capstyle="butt"
            )
            axis.plot(
                [row.effect],
                [y],
                marker=SHAPE[row.difficulty],
                ms=4,
                mfc="white",
                mec=colour,
                mew=1.3,
            )
            if row.seeds > 1:
                axis.plot(
                    [row.seed_low, row.seed_high],
                    [y + 0.13] * 2,
                    color=INK,
                    lw=0.7,
                    marker="|",
                    ms=3,
                )
        axis.set_xlabel("difference of scores")
        style.quiet(axis)
    titles = data.drop_duplicates("contrast").set_index("contrast").title
    names = [style.wrapped(titles[name]) for name in SHOWN]
    grid[0, 0].set_yticks([places[name] for name in SHOWN], names)
    grid[0, 0].tick_params(axis="y", length=0)
    grid[0, 0].invert_yaxis()
    reach = max(
        4 * margin,
        1.15 * data[data.contrast.isin(["aligned", "gain"])][["low", "high"]].abs().max().max(),
    )
    grid[0, 1].set_xlim(-reach, reach)
    grid[0, 1].set_title("the same, near zero")
    _effect_legend(figure, data, margin)
    return figure


def _effect_legend(figure: Figure, data: pd.DataFrame, margin: float) -> None:
    counts = data.groupby("difficulty").n.max()
    marks: list[Artist] = []
    for d in counts.index.intersection(DIFFICULTIES):
        label = f"{d} (n = {counts[d]} tasks), {data.level.iloc[0]:.0%}"
        marks.append(
            Line2D(
                [],
                [],
                color=SHADE[d],
                marker=SHAPE[d],
                mfc="white",
                mew=1.3,
                ms=4,
                lw=1.2,
                label=label,
            )
        )
    marks.append(
        Line2D([], [], color=SOFT, lw=3.2, label=f"{data.tost_level.iloc[0]:.0%}, for equivalence")
    )
    marks.append(Patch(color="#56B4E9", alpha=0.25, lw=0, label=f"margin ±{margin:g}"))
    if data.seeds.max() > 1:
        marks.append(
            Line2D(
                [],
                [],
                color=INK,
                lw=0.7,
                marker="|",
                ms=3,
                label=f"range of {data.seeds.max():.0f} training seeds",
            )
        )
    figure.legend(handles=marks, loc="outside lower center", ncols=3, columnspacing=1.4)


def draw_power(data: pd.DataFrame) -> Figure:
    """Power of the paired comparison of the two aligned cells, by the true difference of their
    scores."""
    figure, grid = style.new_figure(1, 1, (3.4, 2.3))
    axis = grid[0, 0]
    sns.lineplot(
        data,
        x="difference",
        y="power",
        hue="difficulty",
        style="difficulty",
        palette=SHADE,
        ax=axis,
        errorbar=None,
        legend=False,
        lw=1.8,
    )
    axis.axhline(data.wanted.iloc[0], color=SOFT, lw=0.8, ls=":")
    axis.set(
        xlabel="true difference of scores",
        ylabel="power",
        ylim=(0, 1.02),
        xlim=(0, data.difference.max()),
    )
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.grid()
    one = data.drop_duplicates("difficulty").set_index("difficulty")
    lines = [
        Line2D(
            [],
            [],
            color=SHADE[d],
            ls="-" if d == "easy" else (0, (4, 2)),
            lw=1.8,
            label=f"{d}: n = {one.n[d]}, spread {one.spread[d]:.3f}",
        )
        for d in DIFFICULTIES
        if d in one.index
    ]
    axis.legend(handles=lines, loc="lower right")
    return figure
