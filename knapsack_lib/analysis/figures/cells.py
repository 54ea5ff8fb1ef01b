"""Figures of whole cells: the three measures next to each other, what the tokens buy, and how
episodes ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.quantities import COLUMNS, printed
from knapsack_lib.analysis.style import (
    COLOUR,
    HATCH,
    INK,
    MARKER,
    SIZES,
    SOFT,
    THOUSANDS,
    cell_ticks,
    face,
    has_react,
    house_style,
    legend,
    log_ticks,
    new_figure,
    panel_title,
    panels,
    places,
    sample,
)
from knapsack_lib.profiles import DIFFICULTIES

__all__ = [
    "cost_quality_data",
    "draw_cost_quality",
    "draw_failures",
    "draw_main_result",
    "main_result_data",
]

PANELS = {
    "score": "Score\n(share of the optimal value)",
    "tokens": "Tokens per episode\n(prompt + completion)",
    "missing_variable": "Episodes with a\nmissing-variable error",
}
# Class -> (colour, hatch): light ones end well, dark ones do not; hatches for readers without colour
SHADES = {
    "": ("#e8e8e8", ""),
    "infrastructure": ("white", "xx"),
    "cut off": ("#F0E442", ""),
    "missing variable, cascade": ("#882255", ""),
    "syntax": ("#56B4E9", "//"),
    "wrong tool use": ("#009E73", "\\\\"),
    "refusal loop": ("#E69F00", "--"),
    "no code": ("#44AA99", "oo"),
    "other error": ("#117733", "||"),
    "time limit": ("#0072B2", ".."),
    "no tool called": ("#999999", ".."),
    "missing variable, recovered": ("#CC79A7", "//"),
    "turn limit": ("#555555", ""),
    "nothing taken": ("#332288", "xx"),
    "unclassified": ("black", ""),
}


# The opening picture ------------------------------------------------------------------------------


def main_result_data(evidence: Evidence) -> pd.DataFrame:
    """A row per cell (means with interval ends over tasks) and one per adapter (`train_seed`, means
    alone)."""
    ends = [f"{name}{end}" for name in PANELS for end in ("", "_low", "_high")]
    whole = evidence.summary[[*CELL, "n", "seeds", *ends]]
    expert = {d: evidence.expert(d) for d in DIFFICULTIES}
    adapters = evidence.seeds[[*CELL, "train_seed", "n", *PANELS]]
    rows = pd.concat([whole, adapters[adapters.train != "base"]], ignore_index=True)
    return rows.assign(expert_score=rows.difficulty.map(expert))


@house_style()
def draw_main_result(data: pd.DataFrame) -> Figure:
    """Rows are cells (train -> runtime), columns are the three measures, one band for each
    difficulty."""
    where, react = places(data), has_react(data)
    figure, grid = new_figure(2, 3, (7, 5.6 if react else 4.6), sharey="row", sharex="col")
    data = data.assign(place=[where[cell] for cell in zip(data.train, data.runtime, strict=True)])
    expert, adapters = data.expert_score.notna().any(), data[data.seeds.isna()]
    several = adapters.train_seed.nunique() > 1
    for difficulty, axes in zip(DIFFICULTIES, grid, strict=True):
        rows = data[(data.difficulty == difficulty) & data.seeds.notna()]
        for axis, (measure, title) in zip(axes, PANELS.items(), strict=True):
            _bars(axis, rows, measure)
            cell_ticks(axis, where)
            if several:
                own = adapters[adapters.difficulty == difficulty]
                axis.plot(own[measure], own.place + 0.24, ls="none", marker="|", ms=4.5, color=INK)
            if axis in grid[0]:
                axis.set_title(title, pad=24)
                highest = data.tokens_high.max() if measure == "tokens" else 1
                axis.set_xlim(0, 1.38 * highest)
        at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        heading = panel_title(difficulty, rows).replace("\n", " ")
        label = axes[0].annotate(heading, (0, 1), (0, 7), weight="bold", **at)
        # It may run over the next panel, whose own heading stands higher.
        label.set_in_layout(False)
        words = "train \N{RIGHTWARDS ARROW} runtime"
        axes[0].annotate(words, (0, 1), (-6, 7), ha="right", color=SOFT, **at)
        if expert:
            axes[0].axvline(rows.expert_score.max(), color=INK, lw=1, ls=":")
    more = [sample("the scripted expert", ls=":")] if expert else []
    more += [sample("one training seed", ls="none", marker="|", ms=6)] if several else []
    legend(figure, "bars", more, react=react)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, measure: str) -> None:
    value, low, high = (rows[f"{measure}{end}"] for end in ("", "_low", "_high"))
    cells = list(zip(rows.train, rows.runtime, strict=True))
    axis.barh(
        rows.place,
        value,
        0.74,
        color=[face(*cell) for cell in cells],
        edgecolor=[COLOUR[train] for train, _ in cells],
        hatch=[HATCH[runtime] for _, runtime in cells],
    )
    axis.hlines(rows.place, low, high, color=INK, lw=1.3)
    for place, one, end in zip(rows.place, value, np.fmax(value, high), strict=True):
        axis.annotate(
            printed(one, COLUMNS[measure][1]),
            (end, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )
    axis.tick_params(labelbottom=True)
    if measure == "tokens":
        axis.xaxis.set_major_formatter(THOUSANDS)
        axis.locator_params(axis="x", nbins=3)
    else:
        axis.set_xticks([0, 0.5, 1])
    if measure == "missing_variable":
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(axis="x")


# Cost and quality ---------------------------------------------------------------------------------


def cost_quality_data(evidence: Evidence) -> pd.DataFrame:
    """Cell means with intervals, whether a cell is on the Pareto line (no other is cheaper and at
    least as good), and a point per episode."""
    ends = [f"{name}{end}" for name in ("tokens", "score") for end in ("", "_low", "_high")]
    means = evidence.summary[[*CELL, "n", "seeds", *ends]].assign(point="cell mean")
    beaten = [
        any(
            (other.tokens <= row.tokens and other.score >= row.score)
            and (other.tokens < row.tokens or other.score > row.score)
            for other in means[means.difficulty == row.difficulty].itertuples()
        )
        for row in means.itertuples()
    ]
    episodes = evidence.results.cells[[*CELL, "train_seed", "task_id", "tokens", "score"]].assign(
        point="episode"
    )
    return pd.concat(
        [means.assign(pareto=[not one for one in beaten]), episodes.assign(pareto=False)],
        ignore_index=True,
    )


@house_style()
def draw_cost_quality(points: pd.DataFrame) -> Figure:
    """Tokens (log scale) against score: a large marker is a cell's mean with its intervals, a dot
    is an episode."""
    figure, grid = new_figure(1, 2, (7, 2.8), sharey=True, sharex=True)
    for axis, here in panels(grid[0], points):
        dots, means = here[here.point == "episode"], here[here.point == "cell mean"]
        for (train, runtime), own in dots.groupby(["train", "runtime"]):
            look: dict[str, Any] = {
                "color": COLOUR[train],
                "marker": MARKER[runtime],
                "alpha": 0.22,
                "lw": 0,
            }
            axis.scatter(own.tokens, own.score, s=7, zorder=2, rasterized=True, **look)
        line = means[means.pareto].sort_values("tokens")
        axis.plot(line.tokens, line.score, color=INK, lw=1, ls=":", zorder=3)
        for row in means.itertuples():
            colour, hollow = COLOUR[row.train], row.runtime != "persistent"
            look = {"color": colour, "lw": 1.6, "zorder": 5 if hollow else 4}
            axis.hlines(row.score, row.tokens_low, row.tokens_high, **look)
            axis.vlines(row.tokens, row.score_low, row.score_high, **look)
            size, fill = (10, "none") if hollow else (7, colour)
            look |= {"marker": MARKER[row.runtime], "ms": size, "mew": 1.8, "mfc": fill}
            axis.plot(row.tokens, row.score, **look)
        axis.set(xscale="log", ylim=(-0.09, 1.06), xlabel="tokens per episode (log scale)")
        log_ticks(axis.xaxis)
    grid[0, 0].set_ylabel("score\n(share of the optimal value)")
    line = [sample("Pareto line of the cell means", ls=":")]
    legend(figure, "points", line, react=has_react(points))
    return figure


# Why episodes do not end well ---------------------------------------------------------------------


@house_style()
def draw_failures(data: pd.DataFrame) -> Figure:
    """Stacked shares of the classes of failures.py, a bar per cell."""
    figure, grid = new_figure(2, 1, (3.4, 3.7), sharey=True, sharex=True)
    where = places(data)
    met = [name for name in ("", *RULES) if name in set(data.failure)]
    for difficulty, axis in zip(DIFFICULTIES, grid[:, 0], strict=True):
        here = data[data.difficulty == difficulty]
        axis.set_title(SIZES[difficulty] if len(here) else panel_title(difficulty, here))
        wide = here.pivot(index=["train", "runtime"], columns="failure", values="share")
        wide = wide.reindex(index=list(where), columns=met).fillna(0.0)
        left = wide.cumsum(axis=1) - wide
        for name in met:
            axis.barh(list(where.values()), wide[name], 0.74, left[name], **_shade(name))
        cell_ticks(axis, where)
        axis.spines["left"].set_visible(False)
        axis.set_xlim(0, 1)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    grid[1, 0].set_xlabel("share of episodes")
    names = [Patch(label=name or "ended well", **_shade(name)) for name in met]
    figure.legend(handles=names, loc="outside lower center", ncols=2, columnspacing=1.4)
    return figure


def _shade(name: str) -> dict[str, Any]:
    colour, hatch = SHADES[name]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "lw": 0.4}
