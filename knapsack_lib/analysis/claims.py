"""The original paper's claims beside ours: paired contrasts between cells, and the table that sets them side by side.

    found = contrasts(results.cells, "easy", results.seed)      # name -> Interval
    table = claims(results)                                     # claim, paper, easy, medium

The paper's figures are those of arXiv 2603.01209 (an 8B model); ours are whatever the episodes say. Nothing here judges.
"""

from __future__ import annotations

import pandas as pd

from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.statistics import Interval, cell_summary, mean_interval, rate_interval, ratio_interval
from knapsack_lib.profiles import DIFFICULTIES, UserError, named_seed

__all__ = ["claims", "contrasts", "teacher_ratio", "training_traces"]

ALIGNED, RESET = ("persistent", "persistent"), ("reset", "reset")
RATIOS = {  # name -> (cell, the cell it is divided by); tokens of the same task
    "ratioAligned": (RESET, ALIGNED),
    "ratioAmnesia": (("reset", "persistent"), ALIGNED),
    "ratioBroken": (("persistent", "reset"), ALIGNED),
}
DIFFERENCES = {  # name -> (cell, the cell taken from it); optimality on the same task
    "diffAligned": (ALIGNED, RESET),
    "diffRuntimePersistent": (ALIGNED, ("persistent", "reset")),
    "diffRuntimeReset": (("reset", "persistent"), RESET),
}


def contrasts(cells: pd.DataFrame, difficulty: str, seed: int) -> dict[str, Interval]:
    """Every ratio and difference above at one difficulty, paired by task. Raises UserError for unpaired cells."""
    here = cells[cells.difficulty == difficulty]
    found = {}
    for column, pairs, estimate in (("tokens", RATIOS, ratio_interval), ("optimality", DIFFERENCES, _difference)):
        wide = here.pivot(index="task_id", columns=["train", "runtime"], values=column)
        if wide.isna().any(axis=None):
            raise UserError(f"the {difficulty} cells played different tasks; run notebook 04 again for each of them")
        for name, (a, b) in pairs.items():
            found[name] = estimate(wide[a], wide[b], seed=named_seed(seed, "bootstrap", name, difficulty))
    return found


def _difference(a: pd.Series, b: pd.Series, *, seed: int) -> Interval:
    return mean_interval(a - b, seed=seed)


def training_traces(teacher: pd.DataFrame) -> pd.DataFrame:
    """The teacher's episodes on training tasks (a teacher store holds the validation tasks' traces too)."""
    return teacher[teacher.task_id.str.contains("-train-")]


def teacher_ratio(teacher: pd.DataFrame, seed: int) -> Interval:
    """Tokens of a reset trace over those of the persistent trace of the same task."""
    wide = training_traces(teacher).pivot(index="task_id", columns="runtime", values="tokens").dropna()
    return ratio_interval(wide["reset"], wide["persistent"], seed=named_seed(seed, "bootstrap", "teacher"))


def claims(results: Results) -> pd.DataFrame:
    """A row per claim: what it is about, the paper's figure, and ours at each difficulty with 95% intervals."""
    summary = cell_summary(results.cells, results.seed).set_index(CELL)
    ours = {d: _ours(summary, contrasts(results.cells, d, results.seed), d) for d in DIFFICULTIES}
    traces = training_traces(results.teacher).groupby("runtime").tokens.mean()
    ratio = teacher_ratio(results.teacher, results.seed)
    head = (f"{traces['persistent']:,.0f}; {traces['reset']:,.0f}; {_span(ratio, '.2f')}×", "not trained on")
    rows = [("teacher tokens an episode: persistent; reset; ratio", "18,337; 55,516; 3.03×", *head)]
    rows += [(*said, ours["easy"][i], ours["medium"][i]) for i, said in enumerate(PAPER)]
    return pd.DataFrame(rows, columns=["claim", "paper", *DIFFICULTIES])


PAPER = (
    ("persistent → persistent: tokens; score per 1k tokens", "easy 19,648; 4.13. hard 18,612; 4.05"),
    ("reset → reset: tokens; score per 1k tokens", "easy 58,814; 1.39. hard 67,898; 1.00"),
    ("reset → reset over persistent → persistent: tokens", "easy 2.99×. hard 3.65×"),
    ("persistent → reset: episodes with a missing-variable error", "about 80%"),
    ("reset → persistent over persistent → persistent: tokens", "about 3.5×"),
    ("persistent → persistent minus reset → reset: score", "not significant (n = 100)"),
    ("base model: score in the persistent; reset runtime", "below 8%"),
    ("base model: solved in the persistent; reset runtime", "none"),
    ("base model: tokens in the persistent; reset runtime", "hundreds of thousands"),
)


def _ours(summary: pd.DataFrame, found: dict[str, Interval], difficulty: str) -> list[str]:
    """Our side of PAPER, in its order."""

    def at(train: str, runtime: str) -> pd.Series:
        return summary.loc[(train, runtime, difficulty)]

    aligned, reset, broken = at(*ALIGNED), at(*RESET), at("persistent", "reset")
    base = (at("base", "persistent"), at("base", "reset"))
    missing = rate_interval(round(broken.missing_variable * broken.n), int(broken.n))
    return [
        f"{aligned.tokens:,.0f}; {aligned.score_per_1k:.2f}",
        f"{reset.tokens:,.0f}; {reset.score_per_1k:.2f}",
        f"{_span(found['ratioAligned'], '.2f')}×",
        _span(missing, ".0%"),
        f"{_span(found['ratioAmnesia'], '.2f')}×",
        _span(found["diffAligned"], "+.3f"),
        "; ".join(f"{cell.optimality:.1%}" for cell in base),
        "; ".join(f"{cell.solved:.0%}" for cell in base),
        "; ".join(f"{cell.tokens:,.0f}" for cell in base),
    ]


def _span(value: Interval, form: str) -> str:
    return f"{value.estimate:{form}} [{value.low:{form}}, {value.high:{form}}]"
