"""Real models in the wild: how much each relies on state, and what training on persistent traces did
to it. An observation, not an experiment: nobody chose at random which base was trained on what.

    counts = counts_frame(read_transcripts("outputs/"))      # a row per episode, without its texts
    models = models_table(counts)                            # share and interval of every model
    pairs = pairs_table(counts, plan)                        # trained minus base, on the same tasks

The plan (results/in-the-wild/plan.yaml) holds the pairs, the checks and the predictions.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from knapsack_lib.audit.measures import BlockUse, measured
from knapsack_lib.audit.tally import Tally, counts_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.audit.verdict import verdict_of
from knapsack_lib.errors import UserError
from knapsack_lib.files import shown, write_whole
from knapsack_lib.seeds import named_seed

__all__ = [
    "CHECKS",
    "counts_frame",
    "load_plan",
    "models_table",
    "pairs_in_words",
    "pairs_table",
    "read_counts",
    "write_counts",
]

COUNTS = (
    "blocks",
    "unparsed",
    "failed",
    "missing",
    "later",
    "relies",
    "restates",
    "evidence",
    "alone",
    "several",
    "breaks",
    "relies_import",
    "relies_function",
    "relies_class",
    "relies_data",
)
# check -> (columns of part and whole, what it holds equal)
CHECKS = {
    "all later blocks": ("relies", "later", "nothing: the measure itself"),
    "the second block alone": ("second_relies", "second", "how many blocks an episode has"),
    "after a block that ran": ("calm_relies", "calm", "errors, which make agents start over"),
    "both solved the task": ("relies", "later", "skill: tasks that both models solved"),
    "data and functions alone": ("relies_held", "later", "imports, which are quickly said again"),
}
RESAMPLES = 10_000
LEAST_TASKS = 50  # for a check to count


def counts_frame(transcripts: Iterable[Transcript]) -> pd.DataFrame:
    """A row per episode: model, task, item (its place among the task's), what it solved, and the
    counts. No text of an episode is in it."""
    rows = []
    for transcript in transcripts:
        uses = measured(transcript)
        found = counts_of(uses)
        labels = transcript.labels
        rows.append(
            {
                **{name: labels.get(name, "") for name in ("model", "task", "item")},
                "solved": labels.get("solved", "") == "true",
                **{name: found[name] for name in COUNTS},
                **_checked(uses),
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        raise UserError("no episode in this source")
    return frame.sort_values(["model", "task", "item"], ignore_index=True)


def _checked(uses: Sequence[BlockUse]) -> dict[str, int]:
    """The counts that only the checks need."""
    later = [use for use in uses if use.parsed and not use.first]
    calm = [
        use
        for before, use in zip(uses, uses[1:], strict=False)
        if use in later and before.step.error_type is None
    ]
    return {
        "second": int(bool(later)),
        "second_relies": int(bool(later and later[0].relies)),
        "calm": len(calm),
        "calm_relies": sum(bool(use.relies) for use in calm),
        "relies_held": sum(any(kind != "import" for kind in use.relies.values()) for use in later),
    }


def write_counts(counts: pd.DataFrame, path: Path) -> Path:
    """The rows as a compressed CSV, the same bytes for the same rows."""
    text = counts.to_csv(index=False, lineterminator="\n").encode()
    return write_whole(path, [gzip.compress(text, mtime=0)])


def read_counts(path: Path) -> pd.DataFrame:
    """Rows as `write_counts` left them. Raises UserError where there are none."""
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{shown(path)} cannot be read ({error})") from None
    return pd.read_csv(io.BytesIO(text), dtype={"item": str}, keep_default_na=False)


def models_table(counts: pd.DataFrame) -> pd.DataFrame:
    """A row per model: episodes, blocks, share of later blocks that rely and that restate, each with
    its 95% interval over episodes, and the verdict; most reliant first."""
    rows = []
    for model, mine in counts.groupby("model"):
        tally = Tally()
        for row in mine[list(COUNTS)].to_dict("records"):
            tally.count(Counter(row))
        relies, restates = tally.share("relies"), tally.share("restates")
        rows.append(
            {
                "model": model,
                "episodes": len(mine),
                "blocks": int(mine["blocks"].sum()),
                "later": int(mine["later"].sum()),
                **{f"relies{end}": value for end, value in zip(ENDS, relies[:3], strict=True)},
                **{f"restates{end}": value for end, value in zip(ENDS, restates[:3], strict=True)},
                "unparsed": tally.share("unparsed").value,
                "missing": tally.share("missing").value,
                "solved": float(mine["solved"].mean()),
                "teaches": verdict_of(tally).teaches,
            }
        )
    order = ["relies", "model"]
    return pd.DataFrame(rows).sort_values(order, ascending=[False, True], ignore_index=True)


ENDS = ("", "_low", "_high")


def load_plan(path: Path) -> dict[str, Any]:
    """The pairs, with what is known of each training, the rules and the predictions."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def pairs_table(counts: pd.DataFrame, plan: Mapping[str, Any], seed: int = 1) -> pd.DataFrame:
    """A row per pair and check: the base's share, the trained model's, and the difference with a 95%
    percentile interval over tasks (both models' episodes of a task are drawn together), and whether
    the pair is told apart by the plan's rule."""
    rows = []
    for pair in plan["pairs"]:
        both = _paired(counts, pair["trained"], pair["base"])
        for check, (part, whole, holds) in CHECKS.items():
            chosen = both
            if check == "both solved the task":
                chosen = both[both["solved_trained"] & both["solved_base"]]
            estimate = _difference(chosen, part, whole, named_seed(seed, pair["trained"], check))
            rows.append(
                {
                    **{name: pair[name] for name in ("trained", "base", "kind")},
                    "check": check,
                    "holds_equal": holds,
                    "tasks": len(chosen),
                    **estimate,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(told_apart=_told_apart(table))


def pairs_in_words(pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per pair, and a column per check with the difference in points: +20 [+13, +26]."""
    said = [
        f"{100 * row.difference:+.0f} [{100 * row.low:+.0f}, {100 * row.high:+.0f}]"
        if row.low == row.low
        else f"{row.tasks} tasks"
        for row in pairs.itertuples()
    ]
    index = ["kind", "base", "trained", "told_apart"]
    wide = pairs.assign(said=said).pivot(index=index, columns="check", values="said")
    return wide[list(CHECKS)].reset_index().rename(columns={"told_apart": "told apart"})


def _told_apart(table: pd.DataFrame) -> list[bool]:
    """The plan's rule, of each row's pair: every interval that enough tasks are left for lies on one
    side of 0, and all on the same."""
    judged = table[table["tasks"] >= LEAST_TASKS]
    sides = np.sign(judged["low"]) * (np.sign(judged["low"]) == np.sign(judged["high"]))
    one = sides.groupby([judged["trained"], judged["base"]]).agg(["min", "max"])
    holds = ((one["min"] == one["max"]) & (one["min"] != 0)).to_dict()
    return [
        bool(holds.get((trained, base)))
        for trained, base in zip(table.trained, table.base, strict=True)
    ]


def _paired(counts: pd.DataFrame, trained: str, base: str) -> pd.DataFrame:
    known = set(counts["model"])
    if missing := [name for name in (trained, base) if name not in known]:
        raise UserError(f"the plan names {missing[0]}, of which there are no episodes")
    one, other = (counts[counts["model"] == name].drop(columns="model") for name in (trained, base))
    return one.merge(other, on=["task", "item"], suffixes=("_trained", "_base"))


def _difference(both: pd.DataFrame, part: str, whole: str, seed: int) -> dict[str, float]:
    """Shares of both and their difference, with an interval."""
    sums = both[
        [f"{name}_{side}" for side in ("trained", "base") for name in (part, whole)]
    ].to_numpy(float)
    n = len(sums)
    if not n:
        return dict.fromkeys(("base_share", "trained_share", "difference", "low", "high"), np.nan)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) @ sums
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = drawn[:, [0, 2]] / drawn[:, [1, 3]]
        trained, base = sums.sum(0)[[0, 2]] / sums.sum(0)[[1, 3]]
    gaps = shares[:, 0] - shares[:, 1]
    known = gaps[~np.isnan(gaps)]  # no block at all was drawn of one of the two
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return {
        "base_share": base,
        "trained_share": trained,
        "difference": trained - base,
        "low": low,
        "high": high,
    }
