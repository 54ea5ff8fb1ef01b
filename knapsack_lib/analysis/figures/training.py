"""The figure of the fine-tunes."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.style import COLOUR, INK, SOFT
from knapsack_lib.profiles import RUNTIMES

__all__ = ["draw_loss_curves", "loss_data"]


def loss_data(evidence: Evidence) -> pd.DataFrame:
    """The rows of each adapter's `curve`: step, train_loss or validation_loss; `chosen` marks the
    checkpoint used."""
    rows = [
        {
            "train": train,
            "train_seed": record["train_seed"],
            "chosen_step": record["chosen_step"],
            **row,
        }
        for train, records in evidence.results.training.items()
        for record in records
        for row in record["curve"]
    ]
    data = pd.DataFrame(
        rows,
        columns=["train", "train_seed", "step", "train_loss", "validation_loss", "chosen_step"],
    )
    chosen = data.validation_loss.notna() & (data.step == data.chosen_step)
    return data.drop(columns="chosen_step").assign(chosen=chosen)


def draw_loss_curves(data: pd.DataFrame) -> Figure:
    """Losses of every adapter, and the checkpoint that was chosen."""
    figure, grid = style.new_figure(1, 1, (3.4, 2.9))
    axis = grid[0, 0]
    for (train, _), curve in data.groupby(["train", "train_seed"], sort=False):
        colour = COLOUR[str(train)]
        seen, held_out = curve[curve.train_loss.notna()], curve[curve.validation_loss.notna()]
        axis.plot(seen.step, seen.train_loss, color=colour, lw=0.7, alpha=0.35)
        axis.plot(held_out.step, held_out.validation_loss, color=colour, lw=1.4, marker=".", ms=5)
        best = curve[curve.chosen]
        axis.plot(
            best.step,
            best.validation_loss,
            ls="none",
            marker="D",
            ms=6,
            mfc="none",
            mec=colour,
            mew=1.3,
        )
    axis.set(xlabel="training step", ylabel="loss per assistant token (log)", yscale="log")
    style.log_ticks(axis.yaxis)
    axis.grid()
    regimes = [Line2D([], [], color=COLOUR[t], lw=4, label=f"{t} traces") for t in RUNTIMES]
    kinds = [
        Line2D([], [], color=INK, lw=1.4, marker=".", label="validation"),
        Line2D([], [], color=SOFT, lw=0.8, label="training"),
        Line2D([], [], color=INK, ls="none", marker="D", ms=5, mfc="none", mew=1.3, label="chosen"),
    ]
    figure.legend(
        handles=[*regimes, *kinds], loc="outside lower center", ncols=3, columnspacing=1.0
    )
    return figure
