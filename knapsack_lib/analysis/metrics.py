"""Episodes -> tidy frames. Reads no file: whoever has episodes hands them in.

    frame = episode_frame(episodes)     # a row per episode

A failed episode keeps its score (0 when nothing was taken) and stays in: no row is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

import pandas as pd

from knapsack_lib.analysis.failures import after_missing, failure_of
from knapsack_lib.episodes import ACTED, Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.families import family_or_unknown

__all__ = ["CELL", "episode_frame", "labels", "tidy", "typed"]

CELL = ["train", "runtime", "difficulty"]
LABELS = {
    "train": "str",
    "runtime": "str",
    "difficulty": "str",
    "train_seed": "int64",
    "task_id": "str",
}

CHUNK = 10_000  # rows
ORDER = [*CELL, "train_seed", "task_id"]

COLUMNS = {
    **LABELS,
    "score": "float64",
    "solved": "bool",
    "finish_reason": "str",
    "finished": "bool",
    "steps": "int64",
    "tool_calls": "int64",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "tokens": "int64",
    "missing_variable": "bool",
    "first_missing_turn": "Int64",
    "recovered": "boolean",
    "failure": "str",
    "errors": "int64",
    "not_run": "int64",
    "slips": "int64",
    "state_lost": "bool",
}
TURN_COLUMNS = {
    **LABELS,
    "turn": "int64",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "tokens": "int64",
}


def episode_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode, sorted by cell and task, with the columns of COLUMNS and the metrics of the
    episodes' families.

    tokens = prompt + completion, summed over turns; steps = turns; tool_calls as the host recorded
    them; first_missing_turn counts from 1 and recovered says what came of it (both empty: no such
    error; failures.py); failure is the class of an episode that did not end well, else ""; errors =
    turns whose code raised or was stopped; not_run = turns whose reply held no single block that
    could be run.
    """
    metrics: dict[str, str] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for episode in episodes:
            own = family_or_unknown(episode.family).metrics
            if taken := COLUMNS.keys() & own.keys():
                raise UserError(
                    f"family {episode.family}: the metric {min(taken)} has the name of another column; rename it"
                )
            metrics.update((name, metric.kind) for name, metric in own.items())
            yield _row(episode) | {name: metric.of(episode.result) for name, metric in own.items()}

    return tidy(rows(), COLUMNS, ORDER, metrics)


def typed(frame: pd.DataFrame, columns: dict[str, str] = COLUMNS) -> pd.DataFrame:
    """The frame with these columns first and of these types: what was read from a CSV equals what
    was written. Other columns stay as they are."""
    others = [name for name in frame if name not in columns]
    return frame[[*columns, *others]].astype(columns)


def tidy(
    rows: Iterable[dict[str, Any]],
    columns: dict[str, str],
    order: list[str],
    more: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Rows -> a frame with these columns and types, sorted by `order`. `more` may fill while the rows
    are read. A row costs far less in a frame than as a dict, so no more than CHUNK of them are dicts
    at a time."""
    parts = iter(rows)
    frames: list[pd.DataFrame] = []
    while (chunk := list(islice(parts, CHUNK))) or not frames:
        frame = pd.DataFrame(chunk, columns=[*columns, *more])
        whole = {name: kind for name, kind in more.items() if frame[name].notna().all()}
        frames.append(frame.astype(columns | whole))
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def labels(episode: Episode) -> dict[str, Any]:
    """Which cell, training seed and task an episode belongs to."""
    return {name: getattr(episode, name) for name in LABELS}


def _tokens(turns: list[Turn]) -> dict[str, int]:
    prompt, completion = (
        sum(t.prompt_tokens for t in turns),
        sum(t.completion_tokens for t in turns),
    )
    return {"prompt_tokens": prompt, "completion_tokens": completion, "tokens": prompt + completion}


def _row(episode: Episode) -> dict[str, Any]:
    turns, result = episode.turns, episode.result
    after = after_missing(episode)
    return {
        **labels(episode),
        **_tokens(turns),
        "score": result["score"],
        "solved": result["solved"],
        "finish_reason": episode.finish_reason,
        "finished": episode.finish_reason == "finish",
        "steps": len(turns),
        "tool_calls": sum(len(turn.tool_calls) for turn in turns),
        "missing_variable": after is not None,
        "first_missing_turn": after.turn if after else None,
        "recovered": after.recovered if after else None,
        "failure": failure_of(episode),
        "errors": sum(turn.error_type is not None or turn.killed_by is not None for turn in turns),
        "not_run": sum(turn.parse_status not in ACTED for turn in turns),
        "slips": sum(turn.slip for turn in turns),
        "state_lost": any(turn.state_lost for turn in turns),
    }
