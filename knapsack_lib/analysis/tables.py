"""The paper's tables, each as LaTeX (booktabs) for the paper and CSV for everyone else.

    write_all(results, folder)          # teacher, main and claims, .tex and .csv
    main_table(results)                 # the frame behind one of them

A CSV's first line is the provenance: read it with pandas.read_csv(path, comment="#").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from knapsack_lib.analysis.claims import claims, training_traces
from knapsack_lib.analysis.output import write_csv, write_tex
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.statistics import cell_summary
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES

__all__ = ["main_table", "teacher_table", "write_all"]

ESCAPES = {
    "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "→": r"$\to$", "×": r"$\times$", "+": "$+$",
}  # fmt: skip


def write_all(results: Results, folder: Path) -> list[Path]:
    """Write the three tables into `folder` and return their files."""
    stamp, written = results.stamp, []
    for name, frame, tex in (
        ("teacher", teacher_table(results), _teacher_tex),
        ("main", main_table(results), _main_tex),
        ("claims", claims(results), _claims_tex),
    ):
        written.append(write_csv(frame, folder / f"{name}.csv", stamp))
        written.append(write_tex(tex(frame), folder / f"{name}.tex", stamp))
    return written


def teacher_table(results: Results) -> pd.DataFrame:
    """Trace statistics per regime over the training traces: rates and means, and the share that holds a slip."""
    traces = training_traces(results.teacher)
    columns = [
        "solved", "optimality", "finished", "capacity_utilisation", "items_inspected", "steps", "tool_calls", "tokens",
    ]  # fmt: skip
    rows = []
    for runtime in RUNTIMES:
        mine = traces[traces.runtime == runtime]
        means = {name: float(mine[name].mean()) for name in columns}
        rows.append({"regime": runtime, "n": len(mine), **means, "with_slip": float((mine.slips > 0).mean())})
    return pd.DataFrame(rows)


def main_table(results: Results) -> pd.DataFrame:
    """Twelve rows: train x runtime x difficulty, with 95% intervals (BCa for means, Wilson for rates)."""
    return cell_summary(results.cells, results.seed)


def escaped(text: object) -> str:
    """Plain text as LaTeX; a hyphen before a digit is a minus sign."""
    out = "".join(ESCAPES.get(letter, letter) for letter in str(text))
    return re.sub(r"-(?=\d)", "$-$", out)


def tabular(layout: str, head: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> str:
    """A booktabs tabular of cells that are LaTeX already; a group with a title gets a line of its own."""
    lines = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", " & ".join(head) + r" \\"]
    for title, rows in groups:
        lines.append(r"\midrule")
        if title:
            lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\emph{{{title}}}}} \\")
        lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _teacher_tex(frame: pd.DataFrame) -> str:
    head = ("regime", "$n$", "solved", "score", "finished", "capacity used", "inspected", "turns", "tool calls",
            "tokens", "with a slip")  # fmt: skip
    rows = [
        (r.regime, f"{r.n:,}", _pc(r.solved), f"{r.optimality:.3f}", _pc(r.finished), _pc(r.capacity_utilisation),
         f"{r.items_inspected:.1f}", f"{r.steps:.1f}", f"{r.tool_calls:.1f}", f"{r.tokens:,.0f}", _pc(r.with_slip))
        for r in frame.itertuples()
    ]  # fmt: skip
    return tabular("l" + "r" * 10, head, [("", rows)])


def _main_tex(frame: pd.DataFrame) -> str:
    head = ("trained on", "runtime", "score [95\\% interval]", "solved", "finished", "turns", "tokens", "seconds",
            "score/1k", "missing variable")  # fmt: skip
    groups = []
    for difficulty in DIFFICULTIES:
        here = frame[frame.difficulty == difficulty]
        rows = [
            (r.train, r.runtime, f"{r.optimality:.3f} [{r.optimality_low:.3f}, {r.optimality_high:.3f}]", _pc(r.solved),
             _pc(r.finished), f"{r.steps:.1f}", f"{r.tokens:,.0f}", f"{r.seconds:.1f}", f"{r.score_per_1k:.2f}",
             f"{_pc(r.missing_variable)} [{100 * r.missing_variable_low:.0f}, {100 * r.missing_variable_high:.0f}]")
            for r in here.itertuples()
        ]  # fmt: skip
        groups.append((f"{difficulty}, $n = {int(here.n.iloc[0])}$ a cell", rows))
    return tabular("llrrrrrrrr", head, groups)


def _claims_tex(frame: pd.DataFrame) -> str:
    head = [r"measure", r"paper (8B model)", "ours, easy", "ours, medium"]
    rows = [[escaped(cell) for cell in row] for row in frame.itertuples(index=False)]
    layout = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in (0.39, 0.19, 0.19, 0.16))
    return tabular(layout, head, [("", rows)])


def _pc(share: float) -> str:
    return rf"{100 * share:.0f}\%"
