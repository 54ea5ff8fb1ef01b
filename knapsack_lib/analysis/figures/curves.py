"""Figures of curves. Along an episode: when a name is first missing, the tokens spent so far, how far
blocks lean on earlier ones. Along a training: its losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.style import (
    COLOUR,
    SOFT,
    THOUSANDS,
    has_react,
    house_style,
    legend,
    line_look,
    log_ticks,
    new_figure,
    panels,
    sample,
)
from knapsack_lib.analysis.summary import state_summary
from knapsack_lib.profiles import ARMS

__all__ = [
    "draw_loss_curves",
    "draw_state_by_turn",
    "draw_survival",
    "draw_tokens_by_turn",
    "loss_data",
    "state_data",
    "survival_data",
    "tokens_data",
]

FEWEST = 10  # blocks below which a turn's share is not drawn


def _lines(axis: Axes, rows: pd.DataFrame, measure: str, **look: Any) -> None:
    """A line per cell, by turn."""
    for (train, runtime), line in rows.groupby(["train", "runtime"], sort=False):
        axis.plot(line.turn, line[measure], **{**line_look(train, runtime), **look})


# No missing variable yet --------------------------------------------------------------------------


def survival_data(evidence: Evidence) -> pd.DataFrame:
    """Share of a cell's episodes without a missing-variable error up to and with each turn (Kaplan
    and Meier 1958).

    An episode that ends without one is censored at its last turn. Episodes of all adapters;
    `at_risk` counts those that play the turn and have met none before.
    """
    frames = []
    for key, cell in evidence.results.cells.groupby(CELL, sort=False):
        first = cell.first_missing_turn.astype("float64")
        last, turns = first.fillna(cell.steps), range(int(cell.steps.max()) + 1)
        counts = {
            "turn": turns,
            "at_risk": [(last >= turn).sum() for turn in turns],
            "met": [(first == turn).sum() for turn in turns],
        }
        rows = pd.DataFrame(_labels(key, cell) | counts)
        hazard = (rows.met / rows.at_risk).fillna(0.0)
        frames.append(rows.assign(without_error=(1 - hazard).cumprod()))
    return pd.concat(frames, ignore_index=True)


def _labels(key: Any, cell: pd.DataFrame) -> dict[str, Any]:
    counts = {"n": cell.task_id.nunique(), "seeds": cell.train_seed.nunique()}
    return dict(zip(CELL, key, strict=True)) | counts


@house_style()
def draw_survival(data: pd.DataFrame) -> Figure:
    """A step curve per cell, one panel above the other; equal curves are drawn next to each other."""
    figure, grid = new_figure(2, 1, (3.4, 3.3), sharey=True, sharex=True)
    for axis, here in panels(grid[:, 0], data):
        lift: dict[tuple[float, ...], int] = {}
        for _, curve in here.groupby(["train", "runtime"], sort=False):
            same = tuple(curve.without_error.round(6))
            lift[same] = lift.get(same, -1) + 1
            raised = curve.assign(without_error=curve.without_error + 0.018 * lift[same])
            _lines(axis, raised, "without_error", marker="", drawstyle="steps-post", lw=1.7)
        axis.set(ylabel="no missing\nvariable yet", ylim=(-0.03, 1.1), xlim=(0, data.turn.max()))
        axis.yaxis.set_major_formatter(PercentFormatter(1))
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
    grid[1, 0].set_xlabel("turn")
    legend(figure, "steps", react=has_react(data))
    return figure


# Tokens -------------------------------------------------------------------------------------------


def tokens_data(evidence: Evidence) -> pd.DataFrame:
    """Mean tokens spent up to each turn, over *all* episodes of a cell: one that has ended keeps
    its total, so the last value is the cell's mean. `playing` counts the episodes that reached the
    turn."""
    frames = []
    played = dict(list(evidence.results.cells.groupby(CELL)[["task_id", "train_seed"]]))
    for key, cell in evidence.results.turns.groupby(CELL, sort=False):
        spent = cell.pivot(index=["task_id", "train_seed"], columns="turn", values="tokens")
        # Also what ended before its first turn
        spent = spent.reindex(pd.MultiIndex.from_frame(played[key]))
        total = spent.fillna(0).cumsum(axis=1).mean()
        sums = {"turn": total.index, "playing": spent.notna().sum(), "tokens": total}
        frames.append(pd.DataFrame(_labels(key, played[key]) | sums))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


@house_style()
def draw_tokens_by_turn(data: pd.DataFrame) -> Figure:
    """A line per cell."""
    figure, grid = new_figure(1, 2, (7, 2.7), sharey=True, sharex=True)
    for axis, here in panels(grid[0], data):
        _lines(axis, here, "tokens")
        axis.set(xlabel="turn", ylim=(0, 1.05 * data.tokens.max()))
        axis.set_xticks(np.arange(2, data.turn.max() + 1, 2))
        axis.yaxis.set_major_formatter(THOUSANDS)
    grid[0, 0].set_ylabel("mean tokens spent so far\n(an ended episode keeps its total)")
    legend(figure, "lines", react=has_react(data))
    return figure


# State --------------------------------------------------------------------------------------------


def state_data(evidence: Evidence) -> pd.DataFrame:
    """What the blocks of each cell and turn say about state (summary.state_summary)."""
    return state_summary(evidence.results.turns, [*CELL, "turn"]).reset_index()


@house_style()
def draw_state_by_turn(data: pd.DataFrame) -> Figure:
    """Above: reliance on state. Below: tokens that pay for not relying on it. Turns of few blocks
    are not drawn."""
    figure, grid = new_figure(2, 2, (7, 4.0), sharex=True, sharey="row")
    measures = {
        "relies": "blocks that need a name\nfrom an earlier turn",
        "tax": "completion tokens that\nrestate what was there",
    }
    data = data.assign(tax=data.restated + data.again)
    for row, (measure, label) in zip(grid, measures.items(), strict=True):
        for axis, here in panels(row, data):
            drawn = here[(here.blocks >= FEWEST) & (here.train != "base")]
            _lines(axis, drawn, measure)
            if drawn.empty and len(here):
                words = f"fewer than {FEWEST} blocks a turn"
                axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center")
            axis.yaxis.set_major_formatter(PercentFormatter(1))
        row[0].set_ylabel(label)
    for axis in grid[1]:
        axis.set(title="", xlabel="turn")
    grid[0, 0].set_ylim(-0.04, 1.04)
    grid[1, 0].set_ylim(bottom=-0.01)
    legend(figure, "lines", base=False)
    return figure


# Losses -------------------------------------------------------------------------------------------


def loss_data(evidence: Evidence) -> pd.DataFrame:
    """The rows of each adapter's `curve`: step, train_loss or validation_loss; `chosen` marks the
    checkpoint used."""
    names = ["train", "train_seed", "chosen_step"]
    rows = [
        {"train": train, **{name: record[name] for name in names[1:]}, **point}
        for train, records in evidence.results.training.items()
        for record in records
        for point in record["curve"]
    ]
    columns = [*names[:2], "step", "train_loss", "validation_loss", "chosen_step"]
    data = pd.DataFrame(rows, columns=columns)
    chosen = data.validation_loss.notna() & (data.step == data.chosen_step)
    return data.drop(columns="chosen_step").assign(chosen=chosen)


@house_style()
def draw_loss_curves(data: pd.DataFrame) -> Figure:
    """Losses of every adapter, and the checkpoint that was chosen."""
    figure, grid = new_figure(1, 1, (3.4, 2.9))
    axis = grid[0, 0]
    diamond = {"ls": "none", "marker": "D", "ms": 6, "mfc": "none", "mew": 1.3}
    for (train, _), curve in data.groupby(["train", "train_seed"], sort=False):
        colour = COLOUR[train]
        seen, held_out = curve[curve.train_loss.notna()], curve[curve.validation_loss.notna()]
        best = curve[curve.chosen]
        axis.plot(seen.step, seen.train_loss, color=colour, lw=0.7, alpha=0.35)
        axis.plot(held_out.step, held_out.validation_loss, color=colour, lw=1.4, marker=".", ms=5)
        axis.plot(best.step, best.validation_loss, color=colour, **diamond)
    axis.set(xlabel="training step", ylabel="loss per assistant token (log)", yscale="log")
    log_ticks(axis.yaxis)
    axis.grid()
    marks = [
        *(
            Patch(color=COLOUR[train], label=f"train: {train}")
            for train in ARMS
            if (data.train == train).any()
        ),
        sample("validation", lw=1.4, marker="."),
        sample("training", color=SOFT, lw=0.8),
        sample("chosen", **diamond),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, columnspacing=1.0)
    return figure
