"""The paper's tables, each as LaTeX (booktabs) for the paper and CSV for everyone else.

    write_all(Evidence(results), folder)     # those of TABLES, each as .tex and .csv

contrasts_planned.tex is the short form of contrasts.csv: planned contrasts, the aligned one and the
model, of scores and tokens.

A CSV's first line is the provenance: read it with pandas.read_csv(path, comment="#").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.analysis.claims import claims
from knapsack_lib.analysis.contrasts import PLANNED
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.intervals import Interval
from knapsack_lib.analysis.latex import escaped, tabular
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.output import write_csv, write_tex
from knapsack_lib.analysis.quantities import COLUMNS, printed
from knapsack_lib.families import family_named
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["TABLES", "failure_table", "teacher_table", "write_all"]

OUTCOMES = {
    "score": "Score (difference)",
    "tokens": "Tokens (ratio)",
    "missing": "Missing-variable error (difference)",
}
INDENT = "\N{EM SPACE}"
LEFT = (*CELL, "title", "tost")  # columns that are not set to the right
Columns = Mapping[str, tuple[str, str]]


def write_all(evidence: Evidence, folder: Path) -> list[Path]:
    """Write the tables into `folder` and return their files. One for which these results hold no
    row is left out."""
    stamp, written = evidence.results.stamp, []
    forms = {**COLUMNS, **_metrics(evidence)}
    for name, (data, tex) in TABLES.items():
        frame = data(evidence)
        if len(frame):
            written.append(write_csv(frame, folder / f"{name}.csv", stamp))
            written.append(write_tex(tex(frame, forms), folder / f"{name}.tex", stamp))
    if evidence.contrasts.empty:
        return written
    chosen = evidence.contrasts[
        evidence.contrasts.planned | evidence.contrasts.contrast.isin(["aligned", "model"])
    ]
    short = _contrasts_tex(chosen[chosen.outcome != "missing"], forms)
    written.append(write_tex(short, folder / "contrasts_planned.tex", stamp))
    return written


# Rows of cells ------------------------------------------------------------------------------------


def _tabular(
    columns: Sequence[str],
    forms: Columns,
    groups: Mapping[str, pd.DataFrame],
    best: Callable[[pd.DataFrame], dict[str, float]] = lambda rows: {},
) -> str:
    """A line for each row of the groups, under their titles. "[score]" is the score with its
    interval; `best` gives the value of a column that is set in bold."""
    names = [column.strip("[]") for column in columns]
    layout = "".join("l" if name in LEFT else "r" for name in names)
    body = []
    for title, rows in groups.items():
        bold = {name: printed(value, forms[name][1]) for name, value in best(rows).items()}
        lines = [
            [_text(row, column, forms, bold) for column in columns]
            for row in rows.to_dict("records")
        ]
        body.append((title, lines))
    return tabular(layout, [forms[name][0] for name in names], body)


def _text(row: dict[str, Any], column: str, forms: Columns, bold: dict[str, str]) -> str:
    name = column.strip("[]")
    value, form = row[name], forms[name][1]
    text = escaped(printed(value if name == column else Interval.of_row(row, name), form))
    return rf"\textbf{{{text}}}" if bold.get(name) == printed(value, form) else text


def _by_difficulty(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Title -> rows."""
    groups = {d: frame[frame.difficulty == d] for d in DIFFICULTIES}
    return {
        f"{d}, $n = {rows.n.iloc[0]}$ tasks" if "n" in rows else d: rows
        for d, rows in groups.items()
        if len(rows)
    }


def teacher_table(evidence: Evidence) -> pd.DataFrame:
    """Rates and means of the training traces of each runtime: the share that holds a slip, the
    family's metrics last."""
    if not evidence.results.whole:
        return pd.DataFrame()
    columns = "runtime n solved score finished steps tool_calls tokens with_slip".split()
    return evidence.traces.reset_index()[[*columns, *_metrics(evidence)]]


def _metrics(evidence: Evidence) -> Columns:
    """Those of the family, as COLUMNS."""
    metrics = family_named(evidence.results.settings["family"]).metrics
    return {name: (metric.label, metric.form) for name, metric in metrics.items()}


def _teacher_tex(frame: pd.DataFrame, forms: Columns) -> str:
    return _tabular(list(frame), forms, {"": frame})


def _main_tex(frame: pd.DataFrame, forms: Columns) -> str:
    columns = "train runtime [score] solved finished steps [tokens] score_per_1k [missing_variable] seconds"
    return _tabular(columns.split(), forms, _by_difficulty(frame), _best)


def _best(cells: pd.DataFrame) -> dict[str, float]:
    """The highest score and score for each token; the fewest tokens among cells that score."""
    highest = cells[["score", "score_per_1k"]].max().to_dict()
    return highest | {"tokens": cells[cells.score > 0].tokens.min()}


def _seeds_tex(frame: pd.DataFrame, forms: Columns) -> str:
    columns = ["train", "runtime", "train_seed", "score", "tokens", "missing_variable"]
    return _tabular(columns, forms, _by_difficulty(frame[frame.train != "base"]))


# Contrasts ----------------------------------------------------------------------------------------


def _contrasts_tex(frame: pd.DataFrame, forms: Columns) -> str:
    columns = "title effect p p_holm rank_biserial tost detectable seeds".split()
    groups = {}
    for (outcome, difficulty), rows in frame.groupby(["outcome", "difficulty"], sort=False):
        form = forms["ratio" if outcome == "tokens" else "difference"][1]
        # What is not asked of a contrast stays blank.
        tested = rows.tost.notna()
        asked = {"p_holm": rows.planned.astype(bool), "tost": tested, "detectable": tested}
        title = f"{OUTCOMES[outcome]}, {difficulty}, $n = {rows.n.max()}$ tasks"
        groups[title] = rows.assign(
            **{name: rows[name].astype(object).where(here, "") for name, here in asked.items()},
            title=rows.title.where(rows.contrast.isin(PLANNED), INDENT + rows.title),
            effect=[_effect(row, form) for row in rows.to_dict("records")],
            seeds=[
                "" if pd.isna(low) else printed([low, high], form)
                for low, high in zip(rows.seed_low, rows.seed_high, strict=True)
            ],
        )
    own = {
        "title": ("contrast", ""),
        "effect": ("effect", ""),
        "seeds": ("over training seeds", ""),
    }
    return _tabular(columns, {**forms, **own}, groups)


def _effect(row: dict[str, Any], form: str) -> str:
    if row["method"] == "constant":
        return f"{printed(row['effect'], form)} [no spread]"
    return printed(Interval.of_row(row, "effect", "low", "high"), form)


# Failures -----------------------------------------------------------------------------------------


def failure_table(evidence: Evidence) -> pd.DataFrame:
    """Counts of classes per cell, and what came of the first missing-variable error: its mean turn,
    the share that recovered with Wilson's interval."""
    extra = []
    for cell in evidence.summary[CELL].itertuples(index=False):
        share, turn = evidence.recovery(*cell)
        extra.append(
            {
                **cell._asdict(),
                "first_missing_turn": turn,
                "recovered": share.estimate,
                "recovered_low": share.low,
                "recovered_high": share.high,
            }
        )
    merged = evidence.failures.merge(pd.DataFrame(extra), on=CELL, how="left")
    return merged.assign(failure=merged.failure.replace("", "ended well"))


def _failures_tex(frame: pd.DataFrame, forms: Columns) -> str:
    names = [name for name in ("ended well", *RULES) if name in set(frame.failure)]
    counts = frame.pivot(index=CELL, columns="failure", values="episodes").fillna(0).astype(int)
    cells = frame.drop_duplicates(CELL).drop(columns=["failure", "episodes", "share"])
    known = {**forms, **{name: (name, "d") for name in names}}
    narrow = {name: (_narrow(heading), form) for name, (heading, form) in known.items()}
    columns = ["train", "runtime", *names, "first_missing_turn", "[recovered]"]
    return _tabular(columns, narrow, _by_difficulty(counts.reset_index().merge(cells, on=CELL)))


def _narrow(text: str) -> str:
    """A column's heading in two lines at its comma, or at the middle space."""
    first, _, rest = text.partition(", ") if "," in text else text.partition(" ")
    return rf"\shortstack[r]{{{first}\\{rest}}}" if rest else text


# Claims -------------------------------------------------------------------------------------------


def _claims_tex(frame: pd.DataFrame, _: Columns) -> str:
    head = ["claim and rule", "paper (8B model)", "ours, easy", "ours, medium", "verdict"]
    rows = [
        [
            rf"{escaped(r.claim)}\newline{{\scriptsize\color{{gray}} {escaped(r.rule)}}}",
            *map(escaped, (r.paper, r.easy, r.medium, r.verdict)),
        ]
        for r in frame.itertuples(index=False)
    ]
    widths = (0.31, 0.13, 0.17, 0.17, 0.1)
    layout = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in widths)
    return tabular(layout, head, [("", rows)])


TABLES: Mapping[
    str, tuple[Callable[[Evidence], pd.DataFrame], Callable[[pd.DataFrame, Columns], str]]
] = {
    "teacher": (teacher_table, _teacher_tex),
    "main": (lambda evidence: evidence.summary, _main_tex),
    "seeds": (lambda evidence: evidence.seeds, _seeds_tex),
    "contrasts": (lambda evidence: evidence.contrasts, _contrasts_tex),
    "failures": (failure_table, _failures_tex),
    "claims": (claims, _claims_tex),
}
