"""Everything that is worked out from one set of results, each once: tables, figures, numbers and
claims read it here.

    evidence = Evidence(results)
    evidence.cell("persistent", "reset", "easy").tokens
    evidence.contrast("score", "easy", "aligned").p_holm
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import pandas as pd

from knapsack_lib.analysis.contrasts import at, contrast_table, power_table
from knapsack_lib.analysis.failures import failure_counts
from knapsack_lib.analysis.intervals import (
    Interval,
    efficiency_ratio,
    rate_interval,
    ratio_interval,
)
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.summary import (
    cell_summary,
    of_cell,
    seed_summary,
    state_summary,
    task_means,
    trace_summary,
)
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, Analysis
from knapsack_lib.seeds import named_seed

__all__ = ["Evidence", "NotThere", "training_traces"]


class NotThere(LookupError):
    """These results lack the cells or the traces that a question needs."""


def training_traces(teacher: pd.DataFrame) -> pd.DataFrame:
    """The teacher's episodes on training tasks: a store of ours holds the validation tasks' traces
    too."""
    return teacher[~teacher.task_id.str.contains("-validation-")]


@dataclass(frozen=True)
class Evidence:
    """What `results` say, lazily. Nothing here is drawn or written."""

    results: Results

    @property
    def analysis(self) -> Analysis:
        return self.results.analysis

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row per cell (summary.cell_summary)."""
        return cell_summary(self.results.cells, self.analysis, self.results.seed)

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """A row per cell and adapter (summary.seed_summary)."""
        return seed_summary(self.results.cells)

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """A row per outcome, difficulty and contrast (contrasts.contrast_table)."""
        return contrast_table(self.results)

    @cached_property
    def power(self) -> pd.DataFrame:
        """Power of the aligned comparison (contrasts.power_table)."""
        return power_table(self.results)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """A row per cell and failure class (failures.failure_counts)."""
        return failure_counts(self.results.cells)

    @property
    def difficulties(self) -> list[str]:
        """Those that were played, in order."""
        return [d for d in DIFFICULTIES if (self.results.cells.difficulty == d).any()]

    def cell(self, train: str, runtime: str, difficulty: str) -> Any:
        """One row of the summary. Raises NotThere when these results lack the cell."""
        rows = self.summary.set_index(CELL)
        if (train, runtime, difficulty) not in rows.index:
            raise NotThere(f"no episodes of {train}→{runtime}, {difficulty}")
        return rows.loc[(train, runtime, difficulty)]

    def contrast(self, outcome: str, difficulty: str, name: str) -> Any:
        """One row of the contrasts. Raises NotThere when these results lack the difficulty."""
        if difficulty not in self.difficulties:
            raise NotThere(f"no episodes on {difficulty} tasks")
        return at(self.contrasts, outcome, difficulty, name)

    def effect(self, outcome: str, difficulty: str, name: str) -> Interval:
        """The effect of a contrast with its interval."""
        return Interval.of_row(self.contrast(outcome, difficulty, name), "effect", "low", "high")

    def token_ratio(self, difficulty: str, name: str) -> Interval:
        """A contrast of tokens as a ratio. Raises NotThere as `contrast` does."""
        return self.effect("tokens", difficulty, name)

    def expert(self, difficulty: str) -> float:
        """The scripted expert's mean score on the same test tasks."""
        expert = self.results.expert
        return float(expert[expert.difficulty == difficulty].score.mean())

    @cached_property
    def traces(self) -> pd.DataFrame:
        """Runtime -> count, rates and means of the training traces (summary.trace_summary)."""
        return trace_summary(training_traces(self.results.teacher))

    @cached_property
    def state(self) -> pd.DataFrame:
        """Cell -> what its blocks say about state (summary.state_summary)."""
        return state_summary(self.results.turns, CELL)

    @cached_property
    def _later_state(self) -> pd.DataFrame:
        turns = self.results.turns
        return state_summary(turns[turns.turn > 1], CELL)

    def reliance(self, train: str, runtime: str, difficulty: str) -> float:
        """The share of a cell's blocks after the first turn that need a name from an earlier
        turn."""
        return float(self._later_state.relies.get((train, runtime, difficulty), math.nan))

    def tasks_needed(self, difficulty: str) -> float:
        """The tasks on which the aligned cells must be compared to find a difference as small as
        the margin."""
        return float(self.power[self.power.difficulty == difficulty].needed.iloc[0])

    @property
    def tokens_played(self) -> int:
        return int(self.results.cells.tokens.sum())

    @property
    def tokens_trained(self) -> int:
        adapters = chain.from_iterable(self.results.training.values())
        return sum(record["tokens_seen"] for record in adapters)

    @cached_property
    def teacher_ratio(self) -> Interval:
        """Tokens of a reset trace over those of the persistent trace of the same task."""
        traces = training_traces(self.results.teacher)
        if not set(RUNTIMES) <= set(traces.runtime):
            raise NotThere("no traces of both runtimes")
        wide = traces.pivot(index="task_id", columns="runtime", values="tokens").dropna()
        return self._seeded(ratio_interval, wide["reset"], wide["persistent"], name=("teacher",))

    def efficiency(self, difficulty: str) -> Interval:
        """Score for each token of persistent→persistent over that of reset→reset. Raises NotThere
        without these."""
        for runtime in RUNTIMES:
            self.cell(runtime, runtime, difficulty)
        return self._efficiencies[difficulty]

    @cached_property
    def _efficiencies(self) -> dict[str, Interval]:
        """Difficulty -> its efficiency, where both aligned cells were played."""
        aligned, found = [(runtime, runtime) for runtime in RUNTIMES], {}
        for difficulty, cells in self.results.cells.groupby("difficulty"):
            score, tokens = (task_means(cells, name) for name in ("score", "tokens"))
            if {*aligned} <= {*score}:
                score, tokens = score[aligned].dropna(), tokens[aligned].dropna()
                sides = [(score[cell].to_numpy(), tokens[cell].to_numpy()) for cell in aligned]
                found[difficulty] = self._seeded(
                    efficiency_ratio, *sides, name=("efficiency", difficulty)
                )
        return found

    def recovery(self, train: str, runtime: str, difficulty: str) -> tuple[Interval, float]:
        """Of the episodes with a missing-variable error: the share that recovered (Wilson's
        interval over tasks), and the mean turn of the first such error. Both NaN where no episode
        met one."""
        met = self.results.cells[self.results.cells.missing_variable]
        met = of_cell(met, train, runtime, difficulty).astype({"recovered": float})
        share = met.groupby("task_id").recovered.mean()
        turn = float(met.first_missing_turn.astype(float).mean())
        return rate_interval(float(share.sum()), len(share), level=self.analysis.level), turn

    def _seeded(self, function: Any, *data: Any, name: tuple[str, ...]) -> Interval:
        seed = named_seed(self.results.seed, "bootstrap", *name)
        return function(
            *data, seed=seed, resamples=self.analysis.resamples, level=self.analysis.level
        )
