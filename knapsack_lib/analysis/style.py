"""How figures look, and how they are saved so that equal data give equal bytes.

Colour says which traces a model was trained on, the marker (or hatch) says which runtime it acts
in: in every figure. The palette is Okabe and Ito's, which stays apart for colour-blind readers and
in grey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from knapsack_lib.analysis.output import write_csv
from knapsack_lib.profiles import RUNTIMES, TRAININGS

__all__ = [
    "COLOUR",
    "HATCH",
    "LINE",
    "MARKER",
    "SETTINGS",
    "SIZES",
    "THOUSANDS",
    "TRAINED",
    "cell_name",
    "face",
    "legend",
    "legend_bars",
    "new_figure",
    "panel_title",
    "places",
    "quiet",
    "save",
    "wrapped",
]

COLOUR = {"base": "#767676", "persistent": "#0072B2", "reset": "#D55E00"}
MARKER = {"persistent": "o", "reset": "s"}
HATCH = {"persistent": "", "reset": "/////"}
LINE = {"persistent": "-", "reset": (0, (4, 2))}
TRAINED = {
    "base": "base model",
    "persistent": "trained on persistent traces",
    "reset": "trained on reset traces",
}
SIZES = {"easy": "Easy: the size trained on", "medium": "Medium: larger than trained on"}
INK, SOFT = "#222222", "#8c8c8c"
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 1.1,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "pdf.compression": 0,
    "svg.hashsalt": "knapsack",
    "text.usetex": False,
    "path.simplify": False,
}


def cell_name(train: str, runtime: str) -> str:
    """How a cell is written in figures and tables: trained on, then acts in."""
    return f"{train} \N{RIGHTWARDS ARROW} {runtime}"


def face(train: str, runtime: str) -> str:
    """Fill of a marker: solid in the persistent runtime, hollow in the reset one, so that equal
    points both show."""
    return COLOUR[train] if runtime == "persistent" else "white"


def panel_title(difficulty: str, rows: pd.DataFrame) -> str:
    """A panel's title in two lines: the size, and both n of its rows: tasks a cell and training
    seeds a regime."""
    if rows.empty:
        return f"{SIZES[difficulty]}\n(no episodes)"
    n, seeds = int(rows.n.max()), int(rows.seeds.max())
    return f"{SIZES[difficulty]}\n(n = {n} tasks, {seeds} training seed{'s' if seeds > 1 else ''} a regime)"


def places() -> list[tuple[float, tuple[str, str]]]:
    """Where each cell's bar stands: pairs, with a gap between the models."""
    cells = [(train, runtime) for train in TRAININGS for runtime in RUNTIMES]
    return [(i + 0.45 * (i // 2), cell) for i, cell in enumerate(cells)]


def wrapped(title: str) -> str:
    """A contrast's title in two lines when it is long."""
    return title.replace(" − ", "\n− ") if len(title) > 28 else title


def legend(
    figure: Figure,
    lines: bool = False,
    markers: bool = True,
    base: bool = True,
    more: Sequence[Artist] = (),
    narrow: bool = False,
) -> None:
    """What the colours and the markers mean, under the panels; `narrow`: one below the other."""
    regimes = [
        Line2D(
            [],
            [],
            color=COLOUR[t],
            lw=4,
            label=(TRAINED[t].replace("trained on ", "") if narrow else TRAINED[t]),
        )
        for t in TRAININGS
        if base or t != "base"
    ]
    runtimes = [
        Line2D(
            [],
            [],
            color=INK,
            marker=MARKER[r] if markers else "",
            mfc=INK if r == "persistent" else "white",
            ms=5,
            ls=LINE[r] if lines else "none",
            label=f"in the {r} runtime" if narrow else f"acts in the {r} runtime",
        )
        for r in RUNTIMES
    ]
    if narrow:
        figure.legend(
            handles=[*regimes, *runtimes],
            loc="outside lower center",
            ncols=2,
            columnspacing=0.8,
            handlelength=1.4,
        )
    else:
        _place(figure, regimes, [*runtimes, *more])


def legend_bars(figure: Figure, more: Sequence[Artist]) -> None:
    """The same for bars: colour is the training, hatch is the runtime."""
    regimes = [Patch(facecolor=COLOUR[t], edgecolor=COLOUR[t], label=TRAINED[t]) for t in TRAININGS]
    runtimes = [
        Patch(
            fc=INK if r == "persistent" else "white",
            ec=INK,
            hatch=HATCH[r],
            label=f"acts in the {r} runtime",
        )
        for r in RUNTIMES
    ]
    _place(figure, regimes, [*runtimes, *more])


def _place(figure: Figure, above: Sequence[Artist], below: Sequence[Artist]) -> None:
    """Two rows of columns; matplotlib fills a legend column by column."""
    blank = Line2D([], [], ls="none", label=" ")
    pairs = [handle for pair in zip_longest(above, below, fillvalue=blank) for handle in pair]
    figure.legend(
        handles=pairs,
        loc="outside lower center",
        ncols=max(len(above), len(below)),
        columnspacing=1.2,
        handlelength=1.6,
    )


def new_figure(
    rows: int, columns: int, size: tuple[float, float], **shared: Any
) -> tuple[Figure, Any]:
    """A figure of its own (no global pyplot state) and its axes, always of shape [rows, columns]."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def save(
    draw: Callable[[pd.DataFrame], Figure], data: pd.DataFrame, stem: Path, stamp: str
) -> list[Path]:
    """Draw once with the house settings and write <stem>.csv, .pdf and .png. The pictures carry the
    stamp inside."""
    paths = [write_csv(data, stem.with_suffix(".csv"), stamp)]
    nothing = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
    inside = {".pdf": {**nothing, "Subject": stamp}, ".png": {"Software": None, "Comment": stamp}}
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the caller or a matplotlibrc has set
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        figure = draw(data)
        for suffix, metadata in inside.items():
            figure.savefig(stem.with_suffix(suffix), metadata=metadata)
            paths.append(stem.with_suffix(suffix))
    return paths


def log_ticks(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    )
    axis.set_minor_formatter(NullFormatter())


def quiet(axes: Axes, axis: str = "x") -> None:
    """Grid lines across one axis only, behind the data."""
    axes.grid(axis=axis)  # type: ignore[arg-type]
