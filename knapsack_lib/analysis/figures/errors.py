"""Figures of what goes wrong: when a name is first missing, and why episodes do not end well."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.style import COLOUR, LINE, cell_name
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["draw_failures", "draw_survival", "survival_data"]

SHADES = {  # class -> (colour, hatch): light ones end well, dark ones do not; hatches for readers without colour
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


# No missing variable yet --------------------------------------------------------------------------


def survival_data(evidence: Evidence) -> pd.DataFrame:
    """Share of a cell's episodes without a missing-variable error up to and with each turn (Kaplan
    and Meier 1958).

    An episode that ends without one is censored at its last turn. Episodes of all adapters;
    `at_risk` counts those that play the turn and have met none before.
    """
    rows = []
    for key, cell in evidence.results.cells.groupby(CELL, sort=False):
        first, last, share = cell.first_missing_turn.astype("float64"), cell.steps, 1.0
        labels = dict(zip(CELL, key, strict=True)) | {
            "n": cell.task_id.nunique(),
            "seeds": cell.train_seed.nunique(),
        }
        rows.append(labels | {"turn": 0, "at_risk": len(cell), "met": 0, "without_error": 1.0})
        for turn in range(1, int(last.max()) + 1):
            at_risk = int(((last >= turn) & ~(first < turn)).sum())
            met = int((first == turn).sum())
            share *= 1 - met / at_risk if at_risk else 1.0
            rows.append(
                labels | {"turn": turn, "at_risk": at_risk, "met": met, "without_error": share}
            )
    return pd.DataFrame(rows)


def draw_survival(data: pd.DataFrame) -> Figure:
    """A step curve per cell, one panel above the other."""
    figure, grid = style.new_figure(2, 1, (3.4, 3.3), sharey=True, sharex=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[:, 0], strict=True):
        here = data[data.difficulty == difficulty]
        lift: dict[tuple[float, ...], int] = {}  # equal curves stand beside each other
        for (train, runtime), curve in here.groupby(["train", "runtime"], sort=False):
            same = tuple(curve.without_error.round(6))
            lift[same] = lift.get(same, -1) + 1
            axis.step(
                curve.turn,
                curve.without_error + 0.018 * lift[same],
                where="post",
                color=COLOUR[str(train)],
                ls=LINE[str(runtime)],
                lw=1.7,
            )
        title = style.panel_title(difficulty, here)
        axis.set(
            title=title,
            ylabel="no missing\nvariable yet",
            ylim=(-0.03, 1.1),
            xlim=(0, data.turn.max()),
        )
        axis.yaxis.set_major_formatter(PercentFormatter(1))
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axis.grid()
    grid[1, 0].set_xlabel("turn")
    style.legend(figure, lines=True, markers=False, narrow=True)
    return figure


# Why episodes do not end well ---------------------------------------------------------------------


def draw_failures(data: pd.DataFrame) -> Figure:
    """Stacked shares of the classes of failures.py, a bar per cell."""
    figure, grid = style.new_figure(2, 1, (3.4, 3.7), sharey=True, sharex=True)
    met = [name for name in ("", *RULES) if name in set(data.failure)]
    for difficulty, axis in zip(DIFFICULTIES, grid[:, 0], strict=True):
        here = data[data.difficulty == difficulty]
        axis.set_title(
            style.SIZES[difficulty] if len(here) else style.panel_title(difficulty, here)
        )
        wide = here.pivot_table(
            index=["train", "runtime"], columns="failure", values="share", fill_value=0.0
        )
        for place, cell in style.places():
            left = 0.0
            for name in met:
                share = float(wide.loc[cell].get(name, 0.0)) if cell in wide.index else 0.0
                colour, hatch = SHADES[name]
                axis.barh(
                    place,
                    share,
                    0.74,
                    left=left,
                    color=colour,
                    hatch=hatch,
                    edgecolor="white",
                    lw=0.4,
                )
                left += share
        axis.set_yticks(
            [place for place, _ in style.places()], [cell_name(*cell) for _, cell in style.places()]
        )
        axis.tick_params(axis="y", length=0)
        axis.set_xlim(0, 1)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        sns.despine(ax=axis, left=True)
    grid[0, 0].invert_yaxis()
    grid[1, 0].set_xlabel("share of episodes")
    names = [
        Patch(
            facecolor=SHADES[name][0],
            hatch=SHADES[name][1],
            edgecolor="white",
            lw=0.4,
            label=name or "ended well",
        )
        for name in met
    ]
    figure.legend(handles=names, loc="outside lower center", ncols=2, columnspacing=1.4)
    return figure
