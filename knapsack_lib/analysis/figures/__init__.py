"""Every figure, each a PDF for LaTeX, a PNG for the README and the CSV behind it.

    write_all(Evidence(results), folder)
    show(draw_main_result, main_result_data(evidence))  # in a notebook

A figure is a pair: `*_data` picks the rows (that is the CSV), `draw_*` draws nothing but those
rows. Widths are those of a page in two columns: 3.4 inches for one column, 7 for both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from knapsack_lib.analysis import style
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.figures.cells import (
    cost_quality_data,
    draw_cost_quality,
    draw_failures,
    draw_main_result,
    main_result_data,
)
from knapsack_lib.analysis.figures.curves import (
    draw_loss_curves,
    draw_state_by_turn,
    draw_survival,
    draw_tokens_by_turn,
    loss_data,
    state_data,
    survival_data,
    tokens_data,
)
from knapsack_lib.analysis.figures.effects import contrast_data, draw_contrasts, draw_power

__all__ = [
    "FIGURES",
    "contrast_data",
    "cost_quality_data",
    "draw_contrasts",
    "draw_cost_quality",
    "draw_failures",
    "draw_loss_curves",
    "draw_main_result",
    "draw_power",
    "draw_state_by_turn",
    "draw_survival",
    "draw_tokens_by_turn",
    "loss_data",
    "main_result_data",
    "show",
    "state_data",
    "survival_data",
    "tokens_data",
    "write_all",
]

FIGURES = {
    "main_result": (main_result_data, draw_main_result),
    "contrasts": (contrast_data, draw_contrasts),
    "cost_quality": (cost_quality_data, draw_cost_quality),
    "tokens_by_turn": (tokens_data, draw_tokens_by_turn),
    "survival": (survival_data, draw_survival),
    "failures": (lambda evidence: evidence.failures, draw_failures),
    "state_by_turn": (state_data, draw_state_by_turn),
    "power": (lambda evidence: evidence.power, draw_power),
    "loss_curves": (loss_data, draw_loss_curves),
}


def write_all(evidence: Evidence, folder: Path) -> list[Path]:
    """Write the figures into `folder` and return their files. One for which these results hold no
    row is left out."""
    stamp, written = evidence.results.stamp, []
    for name, (data, draw) in FIGURES.items():
        rows = data(evidence)
        if len(rows):
            written += style.save(draw, rows, folder / name, stamp)
    return written


def show(draw: Callable[[pd.DataFrame], Figure], data: pd.DataFrame) -> None:
    """Display a figure in a notebook, or a line where there are no rows to draw."""
    from IPython.display import Markdown, display

    display(draw(data) if len(data) else Markdown("*There are no rows for this figure.*"))
