"""Figures of whole cells: the three measures side by side, and what the tokens buy."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.style import COLOUR, HATCH, INK, MARKER, SOFT, cell_name, face
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["cost_quality_data", "draw_cost_quality", "draw_main_result", "main_result_data"]

PANELS = {
    "score": "Score\n(share of the optimal value)",
    "tokens": "Tokens per episode\n(prompt + completion)",
    "missing_variable": "Episodes with a\nmissing-variable error",
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


def draw_main_result(data: pd.DataFrame) -> Figure:
    """Rows are cells (trained on -> acts in), columns are the three measures, one band for each
    difficulty."""
    figure, grid = style.new_figure(2, 3, (7, 4.6), sharey="row", sharex="col")
    adapters = data[data.seeds.isna()]
    for difficulty, axes in zip(DIFFICULTIES, grid, strict=True):
        rows = data[(data.difficulty == difficulty) & data.seeds.notna()].set_index(
            ["train", "runtime"]
        )
        dots = adapters[adapters.difficulty == difficulty]
        for axis, measure in zip(axes, PANELS, strict=True):
            _bars(axis, rows, dots, measure)
            axis.tick_params(labelbottom=True)
        heading = style.panel_title(difficulty, rows).replace("\n", " ")
        label = axes[0].annotate(
            heading,
            (0, 1),
            (0, 7),
            xycoords="axes fraction",
            textcoords="offset points",
            weight="bold",
            fontsize=8,
        )
        label.set_in_layout(
            False
        )  # it may run over the next panel, whose own heading stands higher
        axes[0].annotate(
            "trained on \N{RIGHTWARDS ARROW} acts in",
            (0, 1),
            (-6, 7),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            color=SOFT,
            fontsize=7.5,
        )
        if rows.expert_score.notna().any():
            axes[0].axvline(rows.expert_score.iloc[0], color=INK, lw=1, ls=":")
        axes[0].invert_yaxis()
    for axis, (measure, title) in zip(grid[0], PANELS.items(), strict=True):
        axis.set_title(title, pad=24)
        axis.set_xlim(0, 1.38 * (data.tokens_high.max() if measure == "tokens" else 1))
    expert = Line2D([], [], color=INK, lw=1, ls=":", label="the scripted expert")
    more = [expert] if data.expert_score.notna().any() else []
    if len(adapters.train_seed.unique()) > 1:
        more.append(
            Line2D([], [], ls="none", marker="|", ms=6, color=INK, label="one training seed")
        )
    style.legend_bars(figure, more)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, dots: pd.DataFrame, measure: str) -> None:
    for place, cell in style.places():
        if cell not in rows.index:
            continue
        row, (train, runtime) = rows.loc[cell], cell
        value, low, high = row[measure], row[f"{measure}_low"], row[f"{measure}_high"]
        axis.barh(
            place,
            value,
            0.74,
            color=COLOUR[train] if runtime == "persistent" else "white",
            edgecolor=COLOUR[train],
            hatch=HATCH[runtime],
            lw=1.0,
        )
        axis.plot([low, high], [place, place], color=INK, lw=1.3, solid_capstyle="butt")
        own = dots[(dots.train == train) & (dots.runtime == runtime)]
        if len(own) > 1:
            axis.plot(
                own[measure],
                [place + 0.24] * len(own),
                ls="none",
                marker="|",
                ms=4.5,
                mew=1,
                color=INK,
            )
        text = (
            f"{value:,.0f}"
            if measure == "tokens"
            else f"{value:.2f}"
            if measure == "score"
            else f"{value:.0%}"
        )
        axis.annotate(
            text,
            (max(high, value), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )
    axis.set_yticks(
        [place for place, _ in style.places()], [cell_name(*cell) for _, cell in style.places()]
    )
    axis.tick_params(axis="y", length=0)
    if measure == "tokens":
        axis.xaxis.set_major_formatter(style.THOUSANDS)
        axis.locator_params(axis="x", nbins=3)
    else:
        axis.set_xticks([0, 0.5, 1])
    if measure == "missing_variable":
        axis.xaxis.set_major_formatter(PercentFormatter(1))
    style.quiet(axis)


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


def draw_cost_quality(points: pd.DataFrame) -> Figure:
    """Tokens (log scale) against score: a large marker is a cell's mean with its intervals, a dot
    is an episode."""
    figure, grid = style.new_figure(1, 2, (7, 2.8), sharey=True, sharex=True)
    for difficulty, axis in zip(DIFFICULTIES, grid[0], strict=True):
        here = points[points.difficulty == difficulty]
        dots, means = here[here.point == "episode"], here[here.point == "cell mean"]
        axis.set_title(style.panel_title(difficulty, means))
        if here.empty:
            continue
        sns.scatterplot(
            dots,
            x="tokens",
            y="score",
            hue="train",
            style="runtime",
            palette=COLOUR,
            markers=MARKER,
            s=7,
            alpha=0.22,
            linewidth=0,
            legend=False,
            ax=axis,
            zorder=2,
            rasterized=True,
        )
        line = means[means.pareto].sort_values("tokens")
        axis.plot(line.tokens, line.score, color=INK, lw=1, ls=":", zorder=3)
        for row in means.itertuples():
            colour, hollow = COLOUR[row.train], row.runtime == "reset"
            order = 5 if hollow else 4
            axis.plot(
                [row.tokens_low, row.tokens_high],
                [row.score] * 2,
                color=colour,
                lw=1.6,
                zorder=order,
            )
            axis.plot(
                [row.tokens] * 2,
                [row.score_low, row.score_high],
                color=colour,
                lw=1.6,
                zorder=order,
            )
            axis.plot(
                [row.tokens],
                [row.score],
                marker=MARKER[row.runtime],
                ms=10 if hollow else 7,
                mew=1.8,
                mec=colour,
                mfc="none" if hollow else face(row.train, row.runtime),
                zorder=order + 1,
            )
        axis.set_xscale("log")
        style.log_ticks(axis.xaxis)
        axis.set(ylim=(-0.04, 1.06), ylabel="")
        axis.set_xlabel("tokens per episode (log scale)")
        axis.grid()
    grid[0, 0].set_ylabel("score (share of the optimal value)")
    style.legend(
        figure,
        more=[Line2D([], [], color=INK, lw=1, ls=":", label="Pareto line of the cell means")],
    )
    return figure
