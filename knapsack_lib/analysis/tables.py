"""The paper's tables, each as LaTeX (booktabs) for the paper and CSV for everyone else.

    write_all(Evidence(results), folder)     # teacher, main, seeds, contrasts, failures, claims: .tex and .csv

A CSV's first line is the provenance: read it with pandas.read_csv(path, comment="#").
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.analysis.claims import claims, p_text
from knapsack_lib.analysis.contrasts import PLANNED
from knapsack_lib.analysis.evidence import Evidence, training_traces
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.latex import escaped, number, percent, span, tabular
from knapsack_lib.analysis.output import write_csv, write_tex
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES

__all__ = ["NAMES", "failure_table", "rules_text", "teacher_table", "write_all"]

NAMES = ("teacher", "main", "seeds", "contrasts", "failures", "claims")
SMALL = {
    "score": "Score (difference)",
    "tokens": "Tokens (ratio)",
    "missing": "Missing-variable error (difference)",
}


def write_all(evidence: Evidence, folder: Path) -> list[Path]:
    """Write the tables into `folder` and return their files. One for which these results hold no
    row is left out."""
    stamp, written = evidence.results.stamp, []
    jobs = {
        "teacher": (teacher_table(evidence), _teacher_tex),
        "main": (evidence.summary, _main_tex),
        "seeds": (evidence.seeds, _seeds_tex),
        "contrasts": (evidence.contrasts, _contrasts_tex),
        "failures": (failure_table(evidence), _failures_tex),
        "claims": (claims(evidence), _claims_tex),
    }
    for name in NAMES:
        frame, tex = jobs[name]
        if len(frame) and (evidence.results.whole or name != "teacher"):
            written.append(write_csv(frame, folder / f"{name}.csv", stamp))
            written.append(write_tex(tex(frame), folder / f"{name}.tex", stamp))
    if evidence.contrasts.empty:
        return written
    chosen = evidence.contrasts[
        evidence.contrasts.planned | evidence.contrasts.contrast.isin(["aligned", "model"])
    ]
    short = _contrasts_tex(chosen[chosen.outcome != "missing"])
    written.append(write_tex(short, folder / "contrasts_planned.tex", stamp))
    return written


# Traces -------------------------------------------------------------------------------------------


def teacher_table(evidence: Evidence) -> pd.DataFrame:
    """Trace statistics per regime over the training traces: rates and means, and the share that
    holds a slip."""
    traces = training_traces(evidence.results.teacher)
    columns = [
        "solved",
        "score",
        "finished",
        "capacity_utilisation",
        "items_inspected",
        "steps",
        "tool_calls",
        "tokens",
    ]
    rows = []
    for runtime in RUNTIMES:
        mine = traces[traces.runtime == runtime]
        means = {name: float(mine[name].mean()) for name in columns}
        rows.append(
            {
                "regime": runtime,
                "n": len(mine),
                **means,
                "with_slip": float((mine.slips > 0).mean()),
            }
        )
    return pd.DataFrame(rows)


def _teacher_tex(frame: pd.DataFrame) -> str:
    head = (
        "regime",
        "$n$",
        "solved",
        "score",
        "finished",
        "capacity used",
        "inspected",
        "turns",
        "tool calls",
        "tokens",
        "with a slip",
    )
    rows = [
        (
            r.regime,
            f"{r.n:,}",
            percent(r.solved),
            f"{r.score:.3f}",
            percent(r.finished),
            percent(r.capacity_utilisation),
            f"{r.items_inspected:.1f}",
            f"{r.steps:.1f}",
            f"{r.tool_calls:.1f}",
            f"{r.tokens:,.0f}",
            percent(r.with_slip),
        )
        for r in frame.itertuples()
    ]
    return tabular("l" + "r" * 10, head, [("", rows)])


# Cells --------------------------------------------------------------------------------------------


def _main_tex(frame: pd.DataFrame) -> str:
    head = (
        "trained on",
        "runtime",
        r"score",
        "solved",
        "finished",
        "turns",
        r"tokens",
        "score/1k",
        "missing variable",
        "s",
    )
    groups = []
    for difficulty in DIFFICULTIES:
        here = frame[frame.difficulty == difficulty]
        if here.empty:
            continue
        best = {
            name: here[name].round(digits).max()
            for name, digits in (("score", 3), ("score_per_1k", 2))
        }
        cheapest = here[here.score > 0].tokens.round().min()
        rows = []
        for r in here.itertuples():
            score = span(r.score, r.score_low, r.score_high, ".3f")
            tokens = span(r.tokens, r.tokens_low, r.tokens_high, ",.0f")
            missing = f"{percent(r.missing_variable)} [{_hundred(r.missing_variable_low)}, {_hundred(r.missing_variable_high)}]"
            per_1k = f"{r.score_per_1k:.2f}"
            rows.append(
                (
                    r.train,
                    r.runtime,
                    _bold(score, round(r.score, 3) == best["score"]),
                    percent(r.solved),
                    percent(r.finished),
                    f"{r.steps:.1f}",
                    _bold(tokens, round(r.tokens) == cheapest),
                    _bold(per_1k, round(r.score_per_1k, 2) == best["score_per_1k"]),
                    missing,
                    number(r.seconds, ".0f"),
                )
            )
        groups.append((f"{difficulty}, $n = {int(here.n.iloc[0])}$ tasks", rows))
    return tabular("llrrrrrrrr", head, groups)


def _bold(text: str, best: bool) -> str:
    return rf"\textbf{{{text}}}" if best else text


def _hundred(share: float) -> str:
    return f"{100 * share:.0f}"


def _seeds_tex(frame: pd.DataFrame) -> str:
    head = ("trained on", "runtime", "training seed", "score", "tokens", "missing variable")
    groups = []
    for difficulty in DIFFICULTIES:
        here = frame[(frame.difficulty == difficulty) & (frame.train != "base")]
        if here.empty:
            continue
        rows = [
            (
                r.train,
                r.runtime,
                str(r.train_seed),
                f"{r.score:.3f}",
                f"{r.tokens:,.0f}",
                percent(r.missing_variable),
            )
            for r in here.itertuples()
        ]
        groups.append((f"{difficulty}, $n = {int(here.n.iloc[0])}$ tasks", rows))
    return tabular("llrrrr", head, groups)


# Contrasts ----------------------------------------------------------------------------------------


def _contrasts_tex(frame: pd.DataFrame) -> str:
    head = (
        "contrast",
        "effect",
        "$p$",
        "Holm $p$",
        "$r$",
        "TOST",
        "detectable",
        "over training seeds",
    )
    groups = []
    for outcome, title in SMALL.items():
        for difficulty in DIFFICULTIES:
            here = frame[(frame.outcome == outcome) & (frame.difficulty == difficulty)]
            if here.empty:
                continue
            n, form = int(here.n.max()), ".2f" if outcome == "tokens" else "+.3f"
            rows = [_contrast_row(row, form) for row in here.itertuples()]
            groups.append((f"{title}, {difficulty}, $n = {n}$ tasks", rows))
    return tabular("lrrrrlrr", head, groups)


def _contrast_row(row: Any, form: str) -> tuple[str, ...]:
    title = escaped(row.title)
    return (
        title if row.contrast in PLANNED else rf"\quad {title}",
        f"{number(row.effect, form)} [no spread]"
        if row.method == "constant"
        else span(row.effect, row.low, row.high, form),
        escaped(p_text(row.p)),
        escaped(p_text(row.p_holm)) if row.planned else "",
        number(row.rank_biserial, "+.2f"),
        "" if pd.isna(row.tost) else "--" if row.tost == "none" else str(row.tost),
        "" if pd.isna(row.tost) else number(row.detectable, ".3f"),
        ""
        if pd.isna(row.seed_low)
        else f"{number(row.seed_low, form)} to {number(row.seed_high, form)}",
    )


# Failures -----------------------------------------------------------------------------------------


def failure_table(evidence: Evidence) -> pd.DataFrame:
    """Counts of classes per cell, and what came of the first missing-variable error: its mean turn,
    the share that recovered with Wilson's interval."""
    counts, extra = evidence.failures, []
    for row in evidence.summary.itertuples():
        share, turn = evidence.recovery(row.train, row.runtime, row.difficulty)
        extra.append(
            {
                "train": row.train,
                "runtime": row.runtime,
                "difficulty": row.difficulty,
                "first_missing_turn": turn,
                "recovered": share.estimate,
                "recovered_low": share.low,
                "recovered_high": share.high,
            }
        )
    merged = counts.merge(pd.DataFrame(extra), on=["train", "runtime", "difficulty"], how="left")
    return merged.assign(failure=merged.failure.replace("", "ended well"))


def _failures_tex(frame: pd.DataFrame) -> str:
    names = [name for name in ("ended well", *RULES) if name in set(frame.failure)]
    head = (
        "trained on",
        "runtime",
        *(_narrow(name) for name in names),
        _narrow("first error, turn"),
        "recovered",
    )
    groups = []
    for difficulty in DIFFICULTIES:
        here, rows = frame[frame.difficulty == difficulty], []
        if here.empty:
            continue
        for (train, runtime), cell in here.groupby(["train", "runtime"]):
            count = cell.set_index("failure").episodes
            first = cell.iloc[0]
            rows.append(
                (
                    str(train),
                    str(runtime),
                    *(str(count.get(name, 0)) for name in names),
                    number(first.first_missing_turn, ".1f"),
                    "--"
                    if math.isnan(first.recovered)
                    else f"{percent(first.recovered)} [{_hundred(first.recovered_low)}, {_hundred(first.recovered_high)}]",
                )
            )
        groups.append((difficulty, rows))
    return tabular("ll" + "r" * (len(names) + 2), head, groups)


def _narrow(text: str) -> str:
    """A column's heading in two lines at its comma, or at the middle space."""
    first, _, rest = text.partition(", ") if "," in text else text.partition(" ")
    return rf"\shortstack[r]{{{first}\\{rest}}}" if rest else text


def rules_text(evidence: Evidence) -> str:
    """The rules of the classes that occur, in their order, for the note under the table."""
    met = set(evidence.failures.failure)
    return "; ".join(f"{name}: {rule.text}" for name, rule in RULES.items() if name in met) + "."


# Claims -------------------------------------------------------------------------------------------


def _claims_tex(frame: pd.DataFrame) -> str:
    head = ["claim and rule", "paper (8B model)", "ours, easy", "ours, medium", "verdict"]
    rows = [
        [
            rf"{escaped(r.claim)}\newline{{\scriptsize\color{{gray}} {escaped(r.rule)}}}",
            *map(escaped, (r.paper, r.easy, r.medium)),
            escaped(r.verdict),
        ]
        for r in frame.itertuples(index=False)
    ]
    widths = (0.31, 0.13, 0.17, 0.17, 0.1)
    layout = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in widths)
    return tabular(layout, head, [("", rows)])
