"""Episodes -> tidy frames. Reads no file: whoever has episodes hands them in.

    frame = episode_frame(episodes)     # a row per episode
    turns = turn_frame(episodes)        # a row per episode and turn

A failed episode keeps its score (0 when nothing was taken) and stays in: no row is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import pandas as pd

from knapsack_lib.analysis.failures import after_missing, failure_of
from knapsack_lib.episodes import Episode, Turn

__all__ = ["CELL", "episode_frame", "labels", "tidy", "turn_frame", "typed"]

CELL = ["train", "runtime", "difficulty"]
LABELS = {"train": "str", "runtime": "str", "difficulty": "str", "train_seed": "int64", "task_id": "str"}

CHUNK = 10_000  # rows

COLUMNS = {
    **LABELS, "optimality": "float64", "solved": "bool",
    "finish": "str", "finished": "bool", "steps": "int64", "tool_calls": "int64", "items_inspected": "int64",
    "items_taken": "int64", "capacity_utilisation": "float64", "prompt_tokens": "int64", "completion_tokens": "int64",
    "tokens": "int64", "missing_variable": "bool", "first_missing_turn": "Int64",
    "recovered": "boolean", "failure": "str", "errors": "int64", "not_run": "int64", "slips": "int64", "state_lost": "bool",
}  # fmt: skip
TURN_COLUMNS = {
    **LABELS, "turn": "int64", "prompt_tokens": "int64", "completion_tokens": "int64", "tokens": "int64",
}  # fmt: skip


def episode_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode with the columns of COLUMNS, sorted by cell and task.

    tokens = prompt + completion, summed over turns; steps = turns; tool_calls as the host recorded them;
    first_missing_turn counts from 1 and recovered says what came of it (both empty: no such error; failures.py);
    failure is the class of an episode that did not end well, else ""; errors = turns whose code raised or was stopped;
    not_run = turns whose reply held no single block that could be run; capacity_utilisation = weight used / capacity.
    """
    return tidy((_row(episode) for episode in episodes), COLUMNS, [*CELL, "train_seed", "task_id"])


def turn_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode and turn (from 1) with the tokens of that model call."""
    rows = (
        {**labels(episode), "turn": number, **_tokens([turn])}
        for episode in episodes
        for number, turn in enumerate(episode.turns, start=1)
    )
    return tidy(rows, TURN_COLUMNS, [*CELL, "train_seed", "task_id", "turn"])


def typed(frame: pd.DataFrame, columns: dict[str, str] = COLUMNS) -> pd.DataFrame:
    """The frame with exactly these columns and types: what was read from a CSV equals what was written."""
    return frame[list(columns)].astype(columns)


def tidy(rows: Iterable[dict[str, Any]], columns: dict[str, str], order: list[str]) -> pd.DataFrame:
    """Rows -> a frame with these columns and types, sorted by `order`. A row costs far less in a frame than as a dict, so
    no more than CHUNK of them are dicts at a time."""
    parts = iter(rows)
    frames = [typed(pd.DataFrame(list(islice(parts, CHUNK)), columns=list(columns)), columns)]
    while chunk := list(islice(parts, CHUNK)):
        frames.append(typed(pd.DataFrame(chunk, columns=list(columns)), columns))
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def labels(episode: Episode) -> dict[str, Any]:
    """Which cell, training seed and task an episode belongs to."""
    return {
        "train": episode.policy, "runtime": episode.runtime, "difficulty": episode.difficulty,
        "train_seed": episode.train_seed, "task_id": episode.task_id,
    }  # fmt: skip


def _tokens(turns: list[Turn]) -> dict[str, int]:
    prompt, completion = sum(t.prompt_tokens for t in turns), sum(t.completion_tokens for t in turns)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "tokens": prompt + completion}


def _row(episode: Episode) -> dict[str, Any]:
    turns, outcome = episode.turns, episode.outcome
    after = after_missing(episode)
    return {
        **labels(episode),
        **_tokens(turns),
        "optimality": outcome["optimality"],
        "solved": outcome["solved"],
        "finish": episode.finish,
        "finished": episode.finish == "finish",
        "steps": len(turns),
        "tool_calls": sum(len(turn.tool_calls) for turn in turns),
        "items_inspected": outcome["items_inspected"],
        "items_taken": outcome["items_taken"],
        "capacity_utilisation": outcome["weight_used"] / outcome["capacity"],
        "missing_variable": after is not None,
        "first_missing_turn": after.turn if after else None,
        "recovered": after.recovered if after else None,
        "failure": failure_of(episode),
        "errors": sum(turn.error_type is not None or turn.killed_by is not None for turn in turns),
        "not_run": sum(turn.outcome != "code" for turn in turns),
        "slips": sum(turn.slip for turn in turns),
        "state_lost": any(turn.state_lost for turn in turns),
    }
