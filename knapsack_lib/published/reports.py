"""The authors' reports on two conditions, right: every episode counted, nothing guessed, everything
stated.

stats(found)                         # the seven measures over all episodes of a source
stats_as_published(found)            # what the authors' script prints for the same files, and why it differs
compare(found_a, found_b)            # the pairs of two sources
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from scipy.stats import rankdata

from knapsack_lib.analysis.intervals import FEWEST, mean_intervals
from knapsack_lib.analysis.statistics import Test, wilcoxon
from knapsack_lib.errors import UserError
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import Found, Record
from knapsack_lib.seeds import named_seed

__all__ = ["FAULTS", "Comparison", "Stats", "compare", "stats", "stats_as_published"]

PATTERN = re.compile(r"\b(?:inspect|take_item|list_items|finish)\(")
FAULTS = (
    "episodes without a step (time-outs before the first reply) are dropped, which flatters a condition that times out",
    "tool calls are counted by matching names in the source text: a call in a loop counts once, one in a comment too",
)


@dataclass(frozen=True)
class Stats:
    """Rates and utilisation in percent, optimality from 0 to 1, the rest means an episode; None:
    not recorded."""

    episodes: int
    success_rate: float | None
    optimality: float | None
    capacity_utilization: float | None
    items_inspected: float | None
    steps: float | None
    tool_calls: float | None
    total_tokens: float | None
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(
        default_factory=dict
    )  # 95%, of the means that have one


def stats(found: Found) -> Stats:
    """All episodes, with BCa intervals over them, whatever the order of the files. A score that is
    null counts as 0, as a failed episode does, and is stated."""
    records = sorted(found.records, key=lambda record: (record.task_id, str(record.cell)))
    return _stats(records, found.problems, None, (), True)


def stats_as_published(found: Found) -> Stats:
    """The figures of the authors' script, with its faults; `notes` names them."""
    kept = [record for record in found.records if record.steps > 0]
    calls = [
        sum(len(PATTERN.findall(str(step.get("code") or ""))) for step in r.step_events)
        for r in kept
    ]
    dropped = len(found.records) - len(kept)
    notes = (f"{dropped} of {len(found.records)} episodes dropped: {FAULTS[0]}", FAULTS[1])
    return _stats(kept, found.problems, calls, notes, False)


def _stats(
    records: Sequence[Record],
    problems: Sequence[str],
    calls: Sequence[int] | None,
    notes: tuple[str, ...],
    intervals: bool,
) -> Stats:
    unscored = sum(record.score is None for record in records)
    said = [f"{unscored} episodes have no score and count as 0"] if unscored else []
    untraced = sum(record.trace is None for record in records)
    said += (
        [f"{untraced} episodes have no trace: their steps and tokens are not in the means"]
        if untraced
        else []
    )
    missing = [r.task_id for r in records if not r.metrics.get("capacity")]
    said += (
        [f"{len(missing)} episodes record no capacity: not in the utilisation"] if missing else []
    )
    used = [
        100 * r.metrics.get("weight_used", 0) / r.metrics["capacity"]
        if r.metrics.get("capacity")
        else None
        for r in records
    ]
    measures: dict[str, Sequence[float | None]] = {
        "success_rate": [100.0 * (record.solved is True) for record in records],
        "optimality": [record.score or 0.0 for record in records],
        "capacity_utilization": used,
        "items_inspected": [record.metrics.get("inspected_count") for record in records],
        "steps": [None if record.trace is None else record.steps for record in records],
        "tool_calls": calls or [None] * len(records),
        "total_tokens": [None if record.trace is None else record.tokens for record in records],
    }
    known = {
        name: [value for value in values if value is not None] for name, values in measures.items()
    }
    means = {name: float(np.mean(values)) if values else None for name, values in known.items()}
    ends = _intervals(known, records) if intervals else {}
    return Stats(episodes=len(records), **means, notes=(*notes, *said, *problems), intervals=ends)


def _intervals(
    known: Mapping[str, Sequence[float]], records: Sequence[Record]
) -> dict[str, tuple[float, float]]:
    """The ends for each measure. Measures that all episodes have share their draws."""
    seed = named_seed(0, "stats", *(record.task_id for record in records))
    groups: dict[int, list[str]] = {}
    for name, values in known.items():
        if values:
            groups.setdefault(len(values), []).append(name)
    return {
        name: (found.low, found.high)
        for names in groups.values()
        for name, found in zip(
            names, mean_intervals([known[name] for name in names], seed=seed), strict=True
        )
        if not math.isnan(found.low)
    }


@dataclass(frozen=True)
class Comparison:
    """Scores of the same tasks. `mean_difference` is A - B in percentage points; `wilcoxon_w` the
    smaller of the two rank sums; `rank_biserial` (W+ - W-) / (W+ + W-), positive when A is better.
    None: no answer, and a note says why."""

    n_pairs: int
    only_a: int
    only_b: int
    mean_difference: float | None
    wilcoxon_w: float | None
    wilcoxon_p: float | None
    rank_biserial: float | None
    notes: tuple[str, ...] = ()


def compare(a: Found, b: Found) -> Comparison:
    """Pairs by task id. A score that is null counts as 0, and that is noted. Raises UserError when
    one source holds several conditions of a task."""
    one, other = _scores(a), _scores(b)
    pairs = sorted(one.keys() & other.keys())
    only_a, only_b = len(one.keys() - other.keys()), len(other.keys() - one.keys())
    null = sum((one[task] is None) + (other[task] is None) for task in pairs)
    notes = [f"{null} episodes of the pairs have no score and count as 0"] if null else []
    notes += (
        [f"{only_a} tasks only in A, {only_b} only in B: not compared"] if only_a or only_b else []
    )
    notes += [*a.problems, *b.problems]
    if not pairs:
        return Comparison(0, only_a, only_b, None, None, None, None, (*notes, "no task is in both"))
    difference = np.round([(one[task] or 0.0) - (other[task] or 0.0) for task in pairs], 12) + 0.0
    mean, test = float(100 * difference.mean()), _tested(difference)
    if math.isnan(test.p):
        return Comparison(len(pairs), only_a, only_b, mean, None, None, None, (*notes, test.note))
    moved = len(pairs) - test.zeros
    smaller = min(test.statistic, moved * (moved + 1) / 2 - test.statistic)
    said = f"{moved} of {len(pairs)} pairs differ; zeros are left out; {test.method}"
    said += f"; {test.note}" if test.note else ""
    return Comparison(
        len(pairs), only_a, only_b, mean, smaller, test.p, test.effect, (said, *notes)
    )


def _tested(difference: np.ndarray) -> Test:
    """The study's test, which needs FEWEST pairs that differ. Where that many were played and fewer
    of them differ, all patterns of signs are counted instead, and the note says how small p can be
    at all."""
    found, moved = wilcoxon(difference), difference[difference != 0]
    if not len(moved):
        return replace(found, note="no pair differs")
    if len(moved) >= FEWEST or len(difference) < FEWEST:
        return found
    ranks = rankdata(np.abs(moved))
    # W+ of each, [2 ** pairs that differ]
    patterns = np.array(list(product([0, 1], repeat=len(moved)))) @ ranks
    up, down = float(ranks[moved > 0].sum()), float(ranks[moved < 0].sum())
    p = float(np.mean(np.abs(patterns - (up + down) / 2) >= abs(up - down) / 2))
    note = f"p cannot be below {2 / len(patterns):g} with so few"
    return replace(
        found, statistic=up, p=p, effect=(up - down) / (up + down), method="exact", note=note
    )


def _scores(found: Found) -> dict[str, float | None]:
    """Task -> score of one condition."""
    twice = [
        task
        for task, count in Counter(record.task_id for record in found.records).items()
        if count > 1
    ]
    if twice:
        cells = sorted({"_".join(record.cell) for record in found.records if record.cell})
        which = f" ({', '.join(cells)})" if cells else ""
        where = shown_name(found.source)
        raise UserError(
            f"{where}: holds task {shown_name(twice[0])} in several conditions{which}; name the folder of one"
        )
    return {record.task_id: record.score for record in found.records}
