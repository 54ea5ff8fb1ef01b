"""The authors' reports on two conditions, corrected: every episode is counted, nothing is guessed,
everything left out is stated.

stats(found)                         # the measures over all episodes of a source
stats(found, as_published=True)      # what the authors' script prints for the same files, and why it differs
compare(found_a, found_b)            # the pairs of two sources
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.stats import rankdata

from knapsack_lib.analysis.intervals import FEWEST, mean_intervals
from knapsack_lib.analysis.statistics import Test, wilcoxon
from knapsack_lib.errors import UserError
from knapsack_lib.families import family_or_unknown
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import Found, Record
from knapsack_lib.seeds import named_seed

__all__ = ["FAULTS", "Comparison", "Measure", "Stats", "compare", "measures", "stats"]

FAULTS = (
    "episodes without token usage (time-outs before the first reply) are dropped, which flatters a condition that times out",
    "tool calls are counted by matching names in the source text: a call in a loop counts once, one in a comment too",
)


@dataclass(frozen=True)
class Measure:
    """A number of an episode: `of` gives NaN where it is not recorded, `form` formats its mean."""

    label: str
    of: Callable[[Record], float]
    form: str


@dataclass(frozen=True)
class Stats:
    """Means over episodes: rates and utilisation in percent, optimality from 0 to 1; None where
    nothing is recorded. `intervals` (95%) are of the means that have one."""

    episodes: int
    means: Mapping[str, float | None]
    notes: tuple[str, ...]
    intervals: Mapping[str, tuple[float, float]]


def measures(found: Iterable[Found], as_published: bool = False) -> dict[str, Measure]:
    """What a report on these sources holds, in its order; the families in them add their own."""
    out = {
        "success_rate": Measure("solved, %", lambda r: 100.0 * (r.solved is True), ".1f"),
        "optimality": Measure("optimality", lambda r: r.score or 0.0, ".4f"),
    }
    for family in sorted({record.family for one in found for record in one.records}):
        for name, metric in family_or_unknown(family).published_metrics.items():
            out[name] = Measure(metric.label, lambda r, of=metric.of: of(r.metrics), metric.form)  # type: ignore[misc]
    return out | {
        "steps": Measure("steps", lambda r: math.nan if r.trace is None else r.steps, ".2f"),
        "tool_calls": Measure(
            "tool calls", _matches if as_published else lambda r: r.tool_calls, ".2f"
        ),
        "total_tokens": Measure(
            "tokens", lambda r: math.nan if r.trace is None else r.tokens, ",.0f"
        ),
    }


def _matches(record: Record) -> float:
    """Names of tools in the source text, as the authors' script counts calls; NaN where no one here
    knows the family's tools."""
    tools = family_or_unknown(record.family).tools
    if not tools:
        return math.nan
    call = re.compile(rf"\b(?:{'|'.join(tools)})\(")
    return sum(len(call.findall(str(step.get("code") or ""))) for step in record.step_events)


def stats(found: Found, as_published: bool = False) -> Stats:
    """All episodes, with BCa intervals over them, whatever the order of the files. A score that is
    null counts as 0, as a failed episode does, and is noted.

    `as_published`: the figures of the authors' script, without intervals and with its faults, which
    `notes` names.
    """
    records = sorted(found.records, key=lambda record: (record.task_id, str(record.cell)))
    notes: list[str] = []
    if as_published:
        records = [record for record in records if isinstance(record.usage, dict)]
        dropped = len(found.records) - len(records)
        notes = [f"{dropped} of {len(found.records)} episodes dropped: {FAULTS[0]}", FAULTS[1]]
    notes += _several(record.family for record in records)
    if unscored := sum(record.score is None for record in records):
        notes.append(f"{unscored} episodes have no score and count as 0")
    if untraced := sum(record.trace is None for record in records):
        notes.append(
            f"{untraced} episodes have no trace: their steps and tokens are not in the means"
        )
    known: dict[str, list[float]] = {}
    for name, measure in measures([found], as_published).items():
        values = [measure.of(record) for record in records]
        known[name] = [value for value in values if not math.isnan(value)]
        unknown = len(values) - len(known[name])
        if 0 < unknown < len(values) and unknown != untraced:
            notes.append(f"{unknown} episodes do not record {measure.label!r}: not in its mean")
    return Stats(
        len(records),
        {name: float(np.mean(values)) if values else None for name, values in known.items()},
        (*notes, *found.problems, *found.notes),
        {} if as_published else _intervals(known, records),
    )


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


def _several(families: Iterable[str]) -> list[str]:
    """A note where a mean is over more than one family."""
    names = sorted(set(families))
    return [f"the means are over {len(names)} families: {', '.join(names)}"] if names[1:] else []


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
    counts = len(pairs), len(one) - len(pairs), len(other) - len(pairs)
    notes: list[str] = []
    if null := sum((one[task] is None) + (other[task] is None) for task in pairs):
        notes.append(f"{null} episodes of the pairs have no score and count as 0")
    if len(one) + len(other) > 2 * len(pairs):
        notes.append(f"{counts[1]} tasks only in A, {counts[2]} only in B: not compared")
    notes += _several(family for family, _ in pairs)
    notes += [*a.problems, *a.notes, *b.problems, *b.notes]
    if not pairs:
        return Comparison(*counts, None, None, None, None, (*notes, "no task is in both"))
    difference = np.round([(one[task] or 0.0) - (other[task] or 0.0) for task in pairs], 12) + 0.0
    mean, test = float(100 * difference.mean()), _tested(difference)
    if math.isnan(test.p):
        return Comparison(*counts, mean, None, None, None, (*notes, test.note))
    moved = len(pairs) - test.zeros
    smaller = min(test.statistic, moved * (moved + 1) / 2 - test.statistic)
    how = f"{moved} of {len(pairs)} pairs differ; zeros are left out; {test.method}"
    notes.insert(0, f"{how}; {test.note}" if test.note else how)
    return Comparison(*counts, mean, smaller, test.p, test.effect, tuple(notes))


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
    up, middle = float(ranks[moved > 0].sum()), float(ranks.sum()) / 2
    # W+ of each, [2 ** pairs that differ]
    patterns = np.array(list(product([0, 1], repeat=len(moved)))) @ ranks
    return replace(
        found,
        statistic=up,
        p=float(np.mean(np.abs(patterns - middle) >= abs(up - middle))),
        effect=(up - middle) / middle,
        method="exact",
        note=f"p cannot be below {2 / len(patterns):g} with so few",
    )


def _scores(found: Found) -> dict[tuple[str, str], float | None]:
    """(Family, task) -> score of one condition."""
    scores = {(record.family, record.task_id): record.score for record in found.records}
    if len(scores) < len(found.records):
        tasks = Counter((record.family, record.task_id) for record in found.records)
        [((_, twice), _)] = tasks.most_common(1)
        cells = sorted({record.cell.name for record in found.records if record.cell})
        which = f" ({', '.join(cells)})" if cells else ""
        raise UserError(
            f"{shown_name(found.source)}: holds task {shown_name(twice)} in several conditions{which}; name the folder of one"
        )
    return scores
