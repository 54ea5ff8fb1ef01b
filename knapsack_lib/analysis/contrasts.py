"""The comparisons between cells, planned ones and those that explain them, paired by task.

    table = contrast_table(results)                  # a row per outcome, difficulty and contrast
    at(table, "score", "easy", "aligned")            # one of its rows
    power = power_table(results)                     # power of the aligned comparison

PLANNED were chosen before the second and third adapters were played and are the family that Holm's
correction spans, over both difficulties, for each outcome by itself; SIMPLE comparisons explain
them and are not corrected. Effects: a difference of scores (0 to 1), a ratio of tokens (worked out
on the log scale), a difference of rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from knapsack_lib.analysis.intervals import mean_interval
from knapsack_lib.analysis.power import detectable_difference, power_curve, tasks_needed
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.statistics import holm, interaction_model, mcnemar, tost, wilcoxon
from knapsack_lib.analysis.summary import task_means
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, Analysis
from knapsack_lib.seeds import named_seed

__all__ = [
    "OUTCOMES",
    "PLANNED",
    "SIMPLE",
    "Contrast",
    "at",
    "contrast_table",
    "power_table",
    "values",
]

PP, PR = ("persistent", "persistent"), ("persistent", "reset")
RP, RR = ("reset", "persistent"), ("reset", "reset")
COLUMNS = (
    "outcome difficulty contrast title planned effect low high method n seeds test p p_holm rank_biserial zeros"
    " seed_low seed_high tost_low tost_high tost_p tost detectable note"
).split()
OUTCOMES = MappingProxyType({"score": "score", "tokens": "tokens", "missing": "missing_variable"})


@dataclass(frozen=True)
class Contrast:
    """Weights of the cells (trained on, acts in)."""

    title: str
    weights: Mapping[tuple[str, str], float]


PLANNED = MappingProxyType(
    {
        "training": Contrast(
            "training: persistent − reset", {PP: 0.5, PR: 0.5, RP: -0.5, RR: -0.5}
        ),
        "runtime": Contrast("runtime: persistent − reset", {PP: 0.5, PR: -0.5, RP: 0.5, RR: -0.5}),
        "interaction": Contrast("training × runtime", {PP: 1, PR: -1, RP: -1, RR: 1}),
        "matched": Contrast("matched − mismatched", {PP: 0.5, PR: -0.5, RP: -0.5, RR: 0.5}),
    }
)
SIMPLE = MappingProxyType(
    {
        "aligned": Contrast("persistent→persistent − reset→reset", {PP: 1, RR: -1}),
        "loss": Contrast("persistent→persistent − persistent→reset", {PP: 1, PR: -1}),
        "gain": Contrast("reset→persistent − reset→reset", {RP: 1, RR: -1}),
        "habit": Contrast("reset→persistent − persistent→persistent", {RP: 1, PP: -1}),
        "broken": Contrast("persistent→reset − reset→reset", {PR: 1, RR: -1}),
    }
)
CONTRASTS = {**PLANNED, **SIMPLE}


def values(cells: pd.DataFrame, outcome: str, contrast: Contrast) -> tuple[np.ndarray, str]:
    """A number per task, and what must be noted about them. `cells` is of one difficulty.

    Tokens are taken as logarithms. Tasks that are not in every cell of the contrast are left out,
    and so are, for tokens, those on which a cell spent none (it never began); the note counts them.
    Differences below 1e-12 are rounding and become zero.
    """
    wide = task_means(cells, OUTCOMES[outcome])
    lacking = [cell for cell in contrast.weights if cell not in wide]
    if lacking:
        return np.empty(0), f"no episodes of {' and '.join('→'.join(cell) for cell in lacking)}"
    here = wide[list(contrast.weights)]
    whole = here.dropna()
    left_out, notes = len(here) - len(whole), []
    if left_out:
        notes.append(f"{left_out} of {len(here)} tasks are not in every cell")
    if outcome == "tokens" and (unspent := int((whole == 0).any(axis=1).sum())):
        notes.append(f"{unspent} tasks on which a cell spent no token have no ratio")
        whole = whole[(whole > 0).all(axis=1)]
    data = np.log(whole) if outcome == "tokens" else whole
    found = np.round(
        sum(data[cell].to_numpy() * weight for cell, weight in contrast.weights.items()), 12
    )
    return np.asarray(found) + 0.0, "; ".join(notes)


def contrast_table(results: Results) -> pd.DataFrame:
    """A row per outcome, difficulty and contrast: effect with its interval over tasks, p and Holm's
    p, signed rank-biserial, TOST, the smallest detectable difference, and the range of the effect
    over training seeds."""
    rows, trained = [], results.cells[results.cells.train != "base"]
    for outcome, difficulty in product(OUTCOMES, DIFFICULTIES):
        cells = trained[trained.difficulty == difficulty]
        if cells.empty:
            continue
        rows += [_row(cells, outcome, name, results.analysis, results.seed) for name in CONTRASTS]
        if outcome == "score":
            rows.append(_model_row(cells, results.analysis))
    table = pd.DataFrame(rows, columns=COLUMNS)
    for _, family in table[table.planned.astype(bool)].groupby("outcome"):
        table.loc[family.index, "p_holm"] = holm(family.p.tolist())
    return table


def at(table: pd.DataFrame, outcome: str, difficulty: str, contrast: str) -> Any:
    """The row of one contrast."""
    named = table[["outcome", "difficulty", "contrast"]] == [outcome, difficulty, contrast]
    return table[named.all(axis=1)].iloc[0]


def _row(
    cells: pd.DataFrame, outcome: str, name: str, analysis: Analysis, seed: int
) -> dict[str, Any]:
    contrast, difficulty = CONTRASTS[name], cells.difficulty.iloc[0]
    x, note = values(cells, outcome, contrast)
    own = named_seed(seed, "bootstrap", outcome, name, difficulty)
    found = mean_interval(x, seed=own, resamples=analysis.resamples, level=analysis.level)
    test = wilcoxon(x)
    each = [values(part, outcome, contrast)[0] for _, part in cells.groupby("train_seed")]
    # One training may have more adapters than the other
    adapters = [float(one.mean()) for one in each if len(one)]
    back = math.exp if outcome == "tokens" else float
    row = {
        "outcome": outcome,
        "difficulty": difficulty,
        "contrast": name,
        "title": contrast.title,
        "planned": name in PLANNED,
        "effect": back(found.estimate),
        "low": back(found.low),
        "high": back(found.high),
        "method": found.method,
        "n": found.n,
        "seeds": len(adapters),
        "test": "Wilcoxon",
        "p": test.p,
        "rank_biserial": test.effect,
        "zeros": test.zeros,
        "seed_low": back(min(adapters, default=math.nan)),
        "seed_high": back(max(adapters, default=math.nan)),
    }
    reason = test.note
    if outcome == "score":
        equal = tost(x, analysis.margin, alpha=analysis.alpha)
        least = detectable_difference(x, alpha=analysis.alpha, power=analysis.power)
        row |= {
            "tost_low": equal.low,
            "tost_high": equal.high,
            "tost_p": equal.p,
            "tost": equal.verdict,
            "detectable": least.estimate,
        }
    if outcome == "missing" and name in SIMPLE:
        p, reason = _mcnemar(cells, contrast)
        row |= {"test": "McNemar", "rank_biserial": math.nan, "p": p}
    notes = dict.fromkeys([note, found.note, reason])
    return row | {"note": "; ".join(filter(None, notes))}


def _mcnemar(cells: pd.DataFrame, contrast: Contrast) -> tuple[float, str]:
    """The exact p of each adapter by itself, the largest of them: a task is played once by each.
    NaN and why where no adapter's pairs differ; an adapter whose pairs do not counts as p = 1, one
    without pairs (of the other cell) not."""
    (a, _), (b, _) = contrast.weights.items()
    found = []
    for _, part in cells.groupby("train_seed"):
        pairs = task_means(part, "missing_variable").reindex(columns=[a, b]).dropna()
        found += [mcnemar(pairs[a] > 0.5, pairs[b] > 0.5)] if len(pairs) else []
    if all(math.isnan(test.p) for test in found):
        return math.nan, next((test.note for test in found), "no pairs")
    return max(1.0 if math.isnan(test.p) else test.p for test in found), ""


def _model_row(cells: pd.DataFrame, analysis: Analysis) -> dict[str, Any]:
    found, test = interaction_model(cells, "score", level=analysis.level)
    return {
        "outcome": "score",
        "difficulty": cells.difficulty.iloc[0],
        "contrast": "model",
        "title": "training × runtime, model of all episodes",
        "planned": False,
        "effect": found.estimate,
        "low": found.low,
        "high": found.high,
        "method": found.method,
        "n": found.n,
        "seeds": cells.train_seed.nunique(),
        "test": "t, clustered",
        "p": test.p,
        "note": found.note,
    }


def power_table(results: Results) -> pd.DataFrame:
    """Power of the aligned comparison of scores against the true difference, and the tasks that the
    margin needs.

    Rows: difficulty, difference, power, n, spread (of the paired differences), needed (tasks for
    the margin at the power that is wanted).
    """
    analysis, frames = results.analysis, []
    effects = [round(0.0025 * step, 4) for step in range(61)]
    trained = results.cells[results.cells.train.isin(RUNTIMES)]
    for difficulty in DIFFICULTIES:
        cells = trained[trained.difficulty == difficulty]
        if len(cells):
            x, _ = values(cells, "score", SIMPLE["aligned"])
            needed = tasks_needed(x, analysis.margin, alpha=analysis.alpha, power=analysis.power)
            columns = {
                "difficulty": difficulty,
                "difference": effects,
                "power": power_curve(x, effects, alpha=analysis.alpha),
                "n": len(x),
                "spread": float(x.std(ddof=1)) if len(x) > 1 else math.nan,
                "needed": needed,
                "wanted": analysis.power,
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
