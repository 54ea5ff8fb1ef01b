"""How figures look, and how they are saved so that equal data give equal bytes.

Colour is the training (`train`), the marker, line or hatch is the runtime that the model acts in:
in every figure. The palette is Okabe and Ito's, which stays apart for colour-blind readers and in
grey.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from knapsack_lib.analysis.output import write_csv
from knapsack_lib.profiles import DIFFICULTIES, REACT, RUNTIMES

__all__ = [
    "COLOUR",
    "HATCH",
    "INK",
    "MARKER",
    "SOFT",
    "THOUSANDS",
    "Drawing",
    "cell_ticks",
    "face",
    "has_react",
    "house_style",
    "legend",
    "line_look",
    "log_ticks",
    "new_figure",
    "panel_title",
    "panels",
    "places",
    "sample",
    "save",
]

COLOUR = {"base": "#767676", "persistent": "#0072B2", "reset": "#D55E00", REACT: "#009E73"}
MARKER = {"persistent": "o", "reset": "s", REACT: "^"}
HATCH = {"persistent": "", "reset": "/////", REACT: "...."}
LINE = {"persistent": "-", "reset": (0, (4, 2)), REACT: (0, (1, 1.5))}
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


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and SETTINGS, whatever the caller or a matplotlibrc has set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        yield


class Drawing(Figure):
    """A figure that a notebook shows as it would be saved, without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        picture = io.BytesIO()
        with house_style():
            self.savefig(picture, format="png")
        return picture.getvalue(), {"width": round(110 * self.get_figwidth())}


def new_figure(
    rows: int, columns: int, size: tuple[float, float], **shared: Any
) -> tuple[Drawing, Any]:
    """A figure and its axes, always of shape [rows, columns]; `size` in inches."""
    figure = Drawing(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def save(
    draw: Callable[[pd.DataFrame], Figure], data: pd.DataFrame, stem: Path, stamp: str
) -> list[Path]:
    """Draw once and write <stem>.csv, .pdf and .png. The pictures carry the stamp inside."""
    paths = [write_csv(data, stem.with_suffix(".csv"), stamp)]
    nothing = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
    inside = {".pdf": {**nothing, "Subject": stamp}, ".png": {"Software": None, "Comment": stamp}}
    with house_style():
        figure = draw(data)
        for suffix, metadata in inside.items():
            figure.savefig(stem.with_suffix(suffix), metadata=metadata)
            paths.append(stem.with_suffix(suffix))
    return paths


# Cells --------------------------------------------------------------------------------------------


def places(cells: pd.DataFrame) -> dict[tuple[str, str], float]:
    """(train, runtime) -> where its bar stands: pairs, with a gap between the models; the base first and the ReAct arm
    last, where `cells` holds them."""
    base = ("base",) if (cells.train == "base").any() or cells.empty else ()
    rows = [[(train, runtime) for runtime in RUNTIMES] for train in (*base, *RUNTIMES)]
    if has_react(cells):
        rows.append([(train, REACT) for train in (*base, REACT)])
    return {
        cell: number * 2.45 + place
        for number, row in enumerate(rows)
        for place, cell in enumerate(row)
    }


def has_react(cells: pd.DataFrame) -> bool:
    """Whether any row is of the ReAct arm."""
    return bool((cells.runtime == REACT).any())


def face(train: str, runtime: str) -> str:
    """Fill of a marker or bar: solid in the persistent runtime, hollow in the reset one, so that
    equal points both show."""
    return COLOUR[train] if runtime == "persistent" else "white"


def line_look(train: str, runtime: str) -> dict[str, Any]:
    """Of a line with markers; those of the reset runtime are larger and hollow."""
    hollow = runtime == "reset"
    return {
        "color": COLOUR[train],
        "ls": LINE[runtime],
        "lw": 1.5,
        "marker": MARKER[runtime],
        "ms": 5.5 if hollow else 3.2,
        "mfc": "none" if hollow else COLOUR[train],
        "mew": 1.1,
    }


def cell_ticks(axis: Axes, where: Mapping[tuple[str, str], float]) -> None:
    """Name the cells at their places, the first on top."""
    names = [f"{train} \N{RIGHTWARDS ARROW} {runtime}" for train, runtime in where]
    axis.set_yticks(list(where.values()), names)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(max(where.values()) + 0.6, -0.6)


def panel_title(difficulty: str, rows: pd.DataFrame) -> str:
    """A panel's title in two lines: the size, and both n of its rows: tasks of a cell and training
    seeds of a training."""
    if rows.empty:
        return f"{SIZES[difficulty]}\n(no episodes)"
    n, seeds = int(rows.n.max()), int(rows.seeds.max())
    return f"{SIZES[difficulty]}\n(n = {n} tasks, {seeds} training seed{'s' if seeds > 1 else ''})"


def panels(axes: Sequence[Axes], data: pd.DataFrame) -> Iterator[tuple[Axes, pd.DataFrame]]:
    """Axes and rows of each difficulty, under its title."""
    for difficulty, axis in zip(DIFFICULTIES, axes, strict=True):
        rows = data[data.difficulty == difficulty]
        axis.set_title(panel_title(difficulty, rows))
        axis.grid()
        yield axis, rows


# Legends and axes ---------------------------------------------------------------------------------


def sample(label: str, **look: Any) -> Line2D:
    """A legend's entry: a line or a marker."""
    return Line2D([], [], label=label, **{"color": INK, "lw": 1, **look})


def legend(
    figure: Figure,
    kind: Literal["bars", "points", "lines", "steps"],
    more: Sequence[Artist] = (),
    base: bool = True,
    react: bool = False,
) -> None:
    """Under the panels, in two rows: what the colours mean, then what markers, lines or hatches
    mean, and `more`."""
    runtimes = (*RUNTIMES, REACT) if react else RUNTIMES
    trainings = [*runtimes, *(["base"] if base else [])]
    above = [Patch(color=COLOUR[train], label=f"train: {train}") for train in trainings]
    below: list[Artist] = []
    for runtime in runtimes:
        label, fill = f"runtime: {runtime}", INK if runtime == "persistent" else "white"
        if kind == "bars":
            below.append(Patch(fc=fill, ec=INK, hatch=HATCH[runtime], label=label))
        else:
            marker = "" if kind == "steps" else MARKER[runtime]
            line = "none" if kind == "points" else LINE[runtime]
            below.append(sample(label, marker=marker, mfc=fill, ms=5, ls=line, lw=1.5))
    # Matplotlib fills a legend column by column.
    pairs = zip_longest(above, [*below, *more], fillvalue=sample(" ", ls="none"))
    figure.legend(
        handles=list(chain.from_iterable(pairs)),
        loc="outside lower center",
        ncols=max(len(above), len(below) + len(more)),
        columnspacing=1.1,
        handlelength=1.6,
    )


def log_ticks(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    )
    axis.set_minor_formatter(NullFormatter())
