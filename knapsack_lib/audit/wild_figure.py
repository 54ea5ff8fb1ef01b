"""The figure of models in the wild: every model's reliance on state, and trained pairs beside their
bases.

    save(draw_wild, wild_data(models, pairs), Path("figures/in_the_wild"), stamp)
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis.style import COLOUR, INK, SOFT, new_figure, sample

__all__ = ["draw_wild", "wild_data"]

LEAST_BLOCKS = 40  # later blocks of a model that is drawn; the others stand in the table alone
TRAINED = "trained on persistent traces"
MAIN_CHECK = "all later blocks"


def wild_data(models: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of both panels. `panel`: models (a share and its interval) or pairs (the base's share,
    the trained model's, and the interval of their difference)."""
    drawn = models[models["later"] >= LEAST_BLOCKS]
    left = drawn[["model", "later", "relies", "relies_low", "relies_high"]].assign(panel="models")
    trained = set(pairs.loc[pairs["kind"] == TRAINED, "trained"])
    bases = set(pairs["base"])
    left["kind"] = [
        TRAINED if name in trained else "base" if name in bases else "" for name in left["model"]
    ]
    right = pairs[pairs["check"] == MAIN_CHECK].assign(panel="pairs")
    columns = ["trained", "base", "kind", "tasks", "base_share", "trained_share", "difference"]
    return pd.concat(
        [left, right[["panel", *columns, "low", "high", "told_apart"]]], ignore_index=True
    )


def draw_wild(data: pd.DataFrame) -> Figure:
    """Both panels, from the rows of `wild_data`."""
    figure, axes = new_figure(1, 2, (7, 6.2), width_ratios=[1.2, 1])
    _draw_models(axes[0, 0], data[data.panel == "models"])
    _draw_pairs(axes[0, 1], data[data.panel == "pairs"])
    return figure


def _draw_models(axis: Axes, rows: pd.DataFrame) -> None:
    axis.set_title(f"{len(rows)} models, the same tasks")
    for place, row in enumerate(rows.itertuples()):
        colour = COLOUR["persistent"] if row.kind == TRAINED else INK if row.kind else SOFT
        axis.plot([row.relies_low, row.relies_high], [place, place], color=colour, lw=1)
        fill = "white" if row.kind == "base" else colour
        axis.plot(row.relies, place, marker="o", ms=3.6, color=colour, mfc=fill, mew=0.9)
    axis.set_yticks(range(len(rows)), rows["model"], fontsize=5.6)
    for label, kind in zip(axis.get_yticklabels(), rows["kind"], strict=True):
        label.set_color(COLOUR["persistent"] if kind == TRAINED else INK)
        label.set_fontweight("bold" if kind == TRAINED else "normal")
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    _percent(axis, "later blocks that rely on earlier state")
    looks = {
        TRAINED: {"color": COLOUR["persistent"]},
        "base of a pair": {"color": INK, "mfc": "white"},
        "other": {"color": SOFT},
    }
    handles = [sample(label, marker="o", ms=4, **look) for label, look in looks.items()]
    axis.legend(handles=handles, loc="lower right", fontsize=6.5, handlelength=1.4)


def _draw_pairs(axis: Axes, rows: pd.DataFrame) -> None:
    """The base's share (hollow) to the trained model's (solid)."""
    axis.set_title("A base, and what was trained from it")
    for place, row in enumerate(rows.itertuples()):
        colour = COLOUR["persistent"] if row.kind == TRAINED else SOFT
        axis.annotate(
            "",
            (row.trained_share, place),
            (row.base_share, place),
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1.6, "shrinkA": 0, "shrinkB": 0},
        )
        axis.plot(row.base_share, place, marker="o", ms=5, color=colour, mfc="white")
        axis.plot(row.trained_share, place, marker="o", ms=5, color=colour)
        words = f"{row.base}\n→ {row.trained}"
        axis.text(0, place - 0.2, words, fontsize=6, va="bottom", linespacing=1.1)
        ends = [round(100 * value) for value in (row.difference, row.low, row.high)]
        change = "{:+d} points [{:+d}, {:+d}]".format(*ends)
        change += ", under every check" if row.told_apart else ""
        axis.text(
            1,
            place + 0.12,
            change,
            fontsize=6,
            va="top",
            ha="right",
            color=colour,
            transform=axis.get_yaxis_transform(),
        )
    axis.set_yticks([])
    axis.set_ylim(len(rows) - 0.3, -0.9)
    _percent(axis, "later blocks that rely on earlier state")


def _percent(axis: Axes, label: str) -> None:
    axis.set_xlim(left=-0.01)
    axis.grid(axis="x")
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_xlabel(label)
    axis.spines["left"].set_visible(False)
