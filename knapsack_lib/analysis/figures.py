"""Every figure, each a PDF for LaTeX, a PNG for the README and the CSV behind it.

    write_all(results, folder)

A figure is a pair: `*_data` picks the rows (that is the CSV), `draw_*` draws nothing but those rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, PercentFormatter

from knapsack_lib.analysis import style
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.statistics import cell_summary
from knapsack_lib.analysis.style import COLOUR, HATCH, INK, LINE, MARKER, SOFT, cell_name, face
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS

__all__ = ["NAMES", "write_all"]

NAMES = ("main_result", "cost_quality", "missing_variable", "tokens_by_turn", "loss_curves")
CELLS = [(train, runtime) for train in TRAININGS for runtime in RUNTIMES]
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


def write_all(results: Results, folder: Path) -> list[Path]:
    """Write the five figures into `folder` and return their files."""
    summary, stamp = cell_summary(results.cells, results.seed), results.stamp
    expert = results.expert.groupby("difficulty").optimality.mean()
    summary["expert_optimality"] = summary.difficulty.map(expert)
    points = pd.concat([_summary_points(summary), _episode_points(results.cells)], ignore_index=True)
    missing = results.cells.groupby(CELL, as_index=False).missing_variable.sum()
    counts = summary.merge(missing.rename(columns={"missing_variable": "episodes_with_error"}), on=CELL)
    rates = ["missing_variable", "missing_variable_low", "missing_variable_high"]
    jobs = (
        ("main_result", draw_main_result, summary),
        ("cost_quality", draw_cost_quality, points),
        ("missing_variable", draw_missing_variable, counts[[*CELL, "n", "episodes_with_error", *rates]]),
        ("tokens_by_turn", draw_tokens_by_turn, tokens_by_turn_data(results.turns)),
        ("loss_curves", draw_loss_curves, loss_data(results.training)),
    )
    return [path for name, draw, data in jobs for path in style.save(draw, data, folder / name, stamp)]


# The opening picture ---------------------------------------------------------------------------------------------

PANELS = (
    ("optimality", "Score\n(share of the optimal value)"),
    ("tokens", "Tokens per episode\n(prompt + completion)"),
    ("missing_variable", "Episodes with a\nmissing-variable error"),
)


def draw_main_result(summary: pd.DataFrame) -> Figure:
    """Rows are cells (trained on -> acts in), columns are the three measures, one band for each difficulty."""
    figure, grid = style.new_figure(2, 3, (7.8, 5.4), sharey="row", sharex="col")
    for difficulty, axes in zip(DIFFICULTIES, grid, strict=True):
        rows = summary[summary.difficulty == difficulty].set_index(["train", "runtime"])
        for axis, (measure, _) in zip(axes, PANELS, strict=True):
            _bars(axis, rows, measure)
            axis.tick_params(labelbottom=True)
        heading = style.panel_title(difficulty, int(rows.n.iloc[0]))
        label = axes[0].annotate(heading, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points",
                                 weight="bold", fontsize=9)  # fmt: skip
        label.set_in_layout(False)  # it may run over the next panel, whose own heading stands higher
        axes[0].annotate("trained on \N{RIGHTWARDS ARROW} acts in", (0, 1), (-6, 7), xycoords="axes fraction",
                         textcoords="offset points", ha="right", color=SOFT, fontsize=8.5)  # fmt: skip
        axes[0].axvline(rows.expert_optimality.iloc[0], color=INK, lw=1, ls=":")
        axes[0].invert_yaxis()
    for axis, (measure, title) in zip(grid[0], PANELS, strict=True):
        axis.set_title(title, pad=26)
        axis.set_xlim(0, 1.34 * (summary.tokens_high.max() if measure == "tokens" else 1))
    expert = Line2D([], [], color=INK, lw=1, ls=":", label="the scripted expert on the same tasks")
    style.legend_bars(figure, expert)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, measure: str) -> None:
    share = measure != "tokens"
    for place, cell in _places():
        if cell not in rows.index:
            continue
        row, (train, runtime) = rows.loc[cell], cell
        value, low, high = row[measure], row[f"{measure}_low"], row[f"{measure}_high"]
        axis.barh(place, value, 0.74, color=COLOUR[train] if runtime == "persistent" else "white",
                  edgecolor=COLOUR[train], hatch=HATCH[runtime], lw=1.1)  # fmt: skip
        axis.plot([low, high], [place, place], color=INK, lw=1.3, solid_capstyle="butt")
        text = f"{value:,.0f}" if measure == "tokens" else f"{value:.2f}" if measure == "optimality" else f"{value:.0%}"
        axis.annotate(text, (max(high, value), place), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axis.set_yticks([place for place, _ in _places()], [cell_name(*cell) for _, cell in _places()])
    axis.tick_params(axis="y", length=0)
    if share:
        axis.set_xticks([0, 0.5, 1])
    if measure == "missing_variable":
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    if not share:
        axis.xaxis.set_major_formatter(THOUSANDS)
        axis.locator_params(axis="x", nbins=3)
    style.quiet(axis)


def _places() -> list[tuple[float, tuple[str, str]]]:
    """Where each cell's bar stands: pairs, with a gap between the models."""
    return [(i + 0.45 * (i // 2), cell) for i, cell in enumerate(CELLS)]


# Cost and quality ------------------------------------------------------------------------------------------------


def _summary_points(summary: pd.DataFrame) -> pd.DataFrame:
    ends = [f"{name}{end}" for name in ("tokens", "optimality") for end in ("", "_low", "_high")]
    return summary[[*CELL, "n", *ends]].assign(point="cell mean")


def _episode_points(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[[*CELL, "task_id", "tokens", "optimality"]].assign(point="episode")


def draw_cost_quality(points: pd.DataFrame) -> Figure:
    """Tokens (log scale) against score: a large marker is a cell's mean with 95% intervals, a dot is an episode."""
    figure, grid = style.new_figure(1, 2, (7.8, 3.9), sharey=True, sharex=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        here = points[points.difficulty == difficulty]
        for (train, runtime), group in here.groupby(["train", "runtime"], sort=False):
            dots = group[group.point == "episode"]
            axis.plot(dots.tokens, dots.optimality, ls="none", marker=MARKER[runtime], ms=2.6, mew=0.5, alpha=0.3,
                      mec=COLOUR[train], mfc=face(train, runtime), zorder=2)  # fmt: skip
        means = here[here.point == "cell mean"]
        for row in means.itertuples():
            colour = COLOUR[row.train]
            order = 5 if row.runtime == "reset" else 4
            axis.plot([row.tokens_low, row.tokens_high], [row.optimality] * 2, color=colour, lw=1.6, zorder=order)
            axis.plot([row.tokens] * 2, [row.optimality_low, row.optimality_high], color=colour, lw=1.6, zorder=order)
            hollow = row.runtime == "reset"
            axis.plot([row.tokens], [row.optimality], marker=MARKER[row.runtime], ms=12 if hollow else 9, mew=2,
                      mec=colour, mfc="none" if hollow else colour, zorder=order + 1)  # fmt: skip
        axis.set_xscale("log")
        style.log_ticks(axis.xaxis)
        axis.set(title=style.panel_title(difficulty, int(means.n.iloc[0])), ylim=(-0.04, 1.06))
        axis.set_xlabel("tokens per episode (prompt + completion, log scale)")
        axis.grid()
    grid[0, 0].set_ylabel("score (share of the optimal value)")
    style.legend(figure)
    return figure


# Missing-variable errors -----------------------------------------------------------------------------------------


def draw_missing_variable(rates: pd.DataFrame) -> Figure:
    """Share of episodes with at least one missing-variable error, with Wilson's 95% interval and the counts."""
    figure, grid = style.new_figure(1, 2, (7.8, 2.7), sharey=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        rows = rates[rates.difficulty == difficulty].set_index(["train", "runtime"])
        for place, (train, runtime) in _places():
            if (train, runtime) not in rows.index:
                continue
            row = rows.loc[(train, runtime)]
            axis.plot([row.missing_variable_low, row.missing_variable_high], [place] * 2, color=COLOUR[train], lw=2.2)
            axis.plot([row.missing_variable], [place], marker=MARKER[runtime], ms=7.5, mew=1.8, mec=COLOUR[train],
                      mfc=face(train, runtime), clip_on=False, zorder=4)  # fmt: skip
            axis.annotate(f"{row.episodes_with_error} / {row.n}", (1.08, place), va="center", fontsize=8.5)
        axis.set(xlim=(-0.05, 1.42), title=style.panel_title(difficulty, int(rows.n.iloc[0])))
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.set_yticks([place for place, _ in _places()], [cell_name(*cell) for _, cell in _places()])
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel("episodes with a missing-variable error")
        style.quiet(axis)
    grid[0, 0].invert_yaxis()
    return figure


# Tokens by turn --------------------------------------------------------------------------------------------------


def tokens_by_turn_data(turns: pd.DataFrame) -> pd.DataFrame:
    """Mean tokens spent up to each turn, over *all* episodes of a cell: one that has ended keeps its total, so the
    last value is the cell's mean. `playing` counts the episodes that reached the turn."""
    rows: list[dict[str, Any]] = []
    for key, cell in turns.groupby(CELL, sort=False):
        spent = cell.pivot(index="task_id", columns="turn", values="tokens")
        total = spent.fillna(0).cumsum(axis=1).mean()
        labels = dict(zip(CELL, key, strict=True)) | {"n": len(spent)}
        playing = spent.notna().sum()
        rows += [labels | {"turn": t, "playing": int(playing[t]), "tokens": float(total[t])} for t in spent.columns]
    return pd.DataFrame(rows)


def draw_tokens_by_turn(data: pd.DataFrame) -> Figure:
    figure, grid = style.new_figure(1, 2, (7.8, 3.7), sharey=True, sharex=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        here = data[data.difficulty == difficulty]
        for (train, runtime), line in here.groupby(["train", "runtime"], sort=False):
            hollow = runtime == "reset"
            axis.plot(line.turn, line.tokens, color=COLOUR[train], ls=LINE[runtime], lw=1.6, marker=MARKER[runtime],
                      ms=6.5 if hollow else 4, mfc="none" if hollow else COLOUR[train], mew=1.2)  # fmt: skip
        axis.set(title=style.panel_title(difficulty, int(here.n.iloc[0])), xlabel="turn")
        axis.set_xticks(np.arange(2, data.turn.max() + 1, 2))
        axis.yaxis.set_major_formatter(THOUSANDS)
        axis.set_ylim(0, 1.05 * data.tokens.max())
        axis.grid()
    grid[0, 0].set_ylabel("mean tokens spent so far\n(an episode that ended keeps its total)")
    style.legend(figure, lines=True)
    return figure


# Training --------------------------------------------------------------------------------------------------------


def loss_data(training: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The rows of each adapter's `curve`: step, train_loss or validation_loss; `chosen` marks the checkpoint used."""
    columns = ["train", "step", "train_loss", "validation_loss"]
    rows = [{"train": train, **row} for train, record in training.items() for row in record["curve"]]
    chosen = {train: record["chosen_step"] for train, record in training.items()}
    data = pd.DataFrame(rows, columns=columns)
    return data.assign(chosen=data.validation_loss.notna() & (data.step == data.train.map(chosen)))


def draw_loss_curves(data: pd.DataFrame) -> Figure:
    figure, grid = style.new_figure(1, 1, (5.6, 3.2))
    axis = grid[0, 0]
    for train, curve in data.groupby("train", sort=False):
        colour = COLOUR[str(train)]
        seen, held_out = curve[curve.train_loss.notna()], curve[curve.validation_loss.notna()]
        axis.plot(seen.step, seen.train_loss, color=colour, lw=1, alpha=0.5)
        axis.plot(held_out.step, held_out.validation_loss, color=colour, lw=1.8, marker=".", ms=7)
        best = curve[curve.chosen]
        axis.plot(best.step, best.validation_loss, ls="none", marker="D", ms=8, mfc="none", mec=colour, mew=1.6)
    axis.set(xlabel="training step", ylabel="loss per assistant token (log scale)", yscale="log")
    style.log_ticks(axis.yaxis)
    axis.grid()
    regimes = [Line2D([], [], color=COLOUR[t], lw=4, label=style.TRAINED[t]) for t in RUNTIMES]
    kinds = [
        Line2D([], [], color=INK, lw=1.8, marker=".", label="validation tasks"),
        Line2D([], [], color=SOFT, lw=1, label="training tasks"),
        Line2D([], [], color=INK, ls="none", marker="D", ms=7, mfc="none", mew=1.6, label="checkpoint chosen"),
    ]
    figure.legend(handles=[*regimes, *kinds], loc="outside lower center", ncols=3)
    return figure
