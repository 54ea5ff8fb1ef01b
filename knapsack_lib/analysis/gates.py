"""What must hold before anything is reported, one line a gate. No gate is set on mismatched cells
or on the base.

    found = gates(results.cells, results.expert, profile.gates)

Printing a gate gives its line; `gate.holds` says whether it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pandas as pd

from knapsack_lib.analysis.summary import of_cell
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import ARMS, DIFFICULTIES, REACT, Gates

__all__ = ["Gate", "gates"]


@dataclass(frozen=True)
class Gate:
    """`value` must be at least `bound`. str() gives the line a notebook shows."""

    cell: str
    what: str
    value: float
    bound: float
    why: str

    @property
    def holds(self) -> bool:
        return self.value >= self.bound

    def __str__(self) -> str:
        word, sign = ("holds", ">=") if self.holds else ("FAILS", "< ")
        return f"{word}  {self.cell}: {self.what} {self.value:.3f} {sign} {self.bound:.3f} ({self.why})"


def gates(cells: pd.DataFrame, expert: pd.DataFrame, bounds: Gates) -> list[Gate]:
    """Two gates for each adapter in each aligned cell (that of the ReAct arm too, where it was played): mean score
    against the expert's on the same tasks, and finishes.

    `cells` and `expert` are frames of metrics.episode_frame. Raises UserError when they played
    different tasks.
    """
    found = []
    arms = [arm for arm in ARMS if arm != REACT or REACT in set(cells.train)]
    for difficulty, runtime in product(DIFFICULTIES, arms):
        yard = expert[expert.difficulty == difficulty]
        aligned = of_cell(cells, runtime, runtime, difficulty)
        name, adapters = (
            f"{runtime} -> {runtime}, {difficulty}",
            dict(list(aligned.groupby("train_seed"))),
        )
        for train_seed, mine in (adapters or {1: aligned}).items():
            which = f"{name}, training seed {train_seed}" if len(adapters) > 1 else name
            found += _two(which, mine, yard, bounds)
    return found


def _two(name: str, mine: pd.DataFrame, yard: pd.DataFrame, bounds: Gates) -> list[Gate]:
    if mine.empty or sorted(mine.task_id) != sorted(yard.task_id):
        counts = f"{len(mine)} episodes here, {len(yard)} of the expert's"
        raise UserError(f"{name}: the expert played other tasks ({counts}); run notebook 01 again")
    best, share = float(yard.score.mean()), bounds.share_of_expert
    why = f"{share:g} of the expert's {best:.3f} on the same tasks, n = {len(mine)}"
    score = Gate(name, "mean score", float(mine.score.mean()), share * best, why)
    why = f"share of episodes ended by finish(), n = {len(mine)}"
    return [score, Gate(name, "finished", float(mine.finished.mean()), bounds.finished, why)]
