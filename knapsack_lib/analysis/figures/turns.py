"""Figures along an episode: the tokens spent so far, and how far blocks lean on earlier ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.style import COLOUR, LINE, MARKER
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["draw_state_by_turn", "draw_tokens_by_turn", "state_data", "tokens_data"]

FEWEST = 10  # episodes below which a turn's share is not drawn


def tokens_data(evidence: Evidence) -> pd.DataFrame:
    """Mean tokens spent up to each turn, over *all* episodes of a cell: one that has ended keeps
    its total, so the last value is the cell's mean. `playing` counts the episodes that reached the
    turn."""
    rows: list[dict[str, Any]] = []
    played = dict(list(evidence.results.cells.groupby(CELL)[["task_id", "train_seed"]]))
    for key, cell in evidence.results.turns.groupby(CELL, sort=False):
        spent = cell.pivot(index=["task_id", "train_seed"], columns="turn", values="tokens")
        spent = spent.reindex(
            pd.MultiIndex.from_frame(played[key])
        )  # also what ended before its first turn
        total, playing = spent.fillna(0).cumsum(axis=1).mean(), spent.notna().sum()
        labels = dict(zip(CELL, key, strict=True))
        labels |= {"n": played[key].task_id.nunique(), "seeds": played[key].train_seed.nunique()}
        rows += [
            labels | {"turn": t, "playing": int(playing[t]), "tokens": float(total[t])}
            for t in spent.columns
        ]
    return pd.DataFrame(rows)


def draw_tokens_by_turn(data: pd.DataFrame) -> Figure:
    """A line per cell."""
    figure, grid = style.new_figure(1, 2, (7, 2.7), sharey=True, sharex=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        here = data[data.difficulty == difficulty]
        for (train, runtime), line in here.groupby(["train", "runtime"], sort=False):
            hollow = runtime == "reset"
            axis.plot(
                line.turn,
                line.tokens,
                color=COLOUR[train],
                ls=LINE[runtime],
                lw=1.5,
                marker=MARKER[runtime],
                ms=5.5 if hollow else 3.2,
                mfc="none" if hollow else COLOUR[train],
                mew=1.1,
            )
        axis.set(
            title=style.panel_title(difficulty, here),
            xlabel="turn",
            ylim=(0, 1.05 * data.tokens.max()),
        )
        axis.set_xticks(np.arange(2, data.turn.max() + 1, 2))
        axis.yaxis.set_major_formatter(style.THOUSANDS)
        axis.grid()
    grid[0, 0].set_ylabel("mean tokens spent so far\n(an ended episode keeps its total)")
    style.legend(figure, lines=True)
    return figure


def state_data(evidence: Evidence) -> pd.DataFrame:
    """For each cell and turn, over blocks that are Python: the share that needs a name from an
    earlier turn, and over all replies the share of completion tokens that restate literals or
    define helpers again."""
    rows = []
    for key, here in evidence.results.turns.groupby([*CELL, "turn"], sort=False):
        blocks, spent = here[here.code], here.completion_tokens.sum()
        rows.append(
            {
                **dict(zip([*CELL, "turn"], key, strict=True)),
                "n": here.task_id.nunique(),
                "seeds": here.train_seed.nunique(),
                "blocks": len(blocks),
                "relies": float((blocks.reads_earlier > 0).mean()),
                "names": float(blocks.reads_earlier.mean()),
                "restated": float((here.restated * here.completion_tokens).sum() / spent),
                "again": float((here.again * here.completion_tokens).sum() / spent),
            }
        )
    return pd.DataFrame(rows)


def draw_state_by_turn(data: pd.DataFrame) -> Figure:
    """Above: reliance on state. Below: tokens that pay for not relying on it. Turns of few episodes
    are not drawn."""
    figure, grid = style.new_figure(2, 2, (7, 3.8), sharex=True, sharey="row")
    seen = data[(data.blocks >= FEWEST) & (data.train != "base")].assign(
        tax=lambda rows: rows.restated + rows.again
    )
    labels = {
        "relies": "blocks that need a name\nfrom an earlier turn",
        "tax": "completion tokens that\nrestate what was there",
    }
    for row, (measure, label) in zip(grid, labels.items(), strict=True):
        for difficulty, axis in zip(DIFFICULTIES, row, strict=True):
            here = seen[seen.difficulty == difficulty]
            for (train, runtime), line in here.groupby(["train", "runtime"], sort=False):
                hollow = runtime == "reset"
                sns.lineplot(
                    line,
                    x="turn",
                    y=measure,
                    color=COLOUR[train],
                    ls=LINE[runtime],
                    lw=1.5,
                    ax=axis,
                    marker=MARKER[runtime],
                    ms=6 if hollow else 4,
                    mfc="none" if hollow else COLOUR[train],
                    mec=COLOUR[train],
                    mew=1.1,
                    errorbar=None,
                    legend=False,
                )
            if here.empty and (data.difficulty == difficulty).any():
                axis.text(
                    0.5,
                    0.5,
                    f"fewer than {FEWEST} blocks a turn",
                    transform=axis.transAxes,
                    ha="center",
                    va="center",
                )
            axis.set(xlabel="turn", ylabel="")
            axis.yaxis.set_major_formatter(PercentFormatter(1))
            axis.grid()
        row[0].set_ylabel(label)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        axis.set_title(style.panel_title(difficulty, data[data.difficulty == difficulty]))
        axis.set_ylim(-0.04, 1.04)
    grid[1, 0].set_ylim(bottom=-0.01)
    style.legend(figure, lines=True, base=False)
    return figure
