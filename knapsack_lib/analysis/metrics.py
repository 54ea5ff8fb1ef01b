"""Episodes -> tidy frames. Reads no file: whoever has episodes hands them in.

    frame = episode_frame(episodes)     # a row per episode
    turns = turn_frame(episodes)        # a row per episode and turn

A failed episode keeps its score (0 when nothing was taken) and stays in: no row is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from knapsack_lib.episodes import Episode, Turn

__all__ = ["CELL", "MISSING", "episode_frame", "turn_frame"]

CELL = ["train", "runtime", "difficulty"]
MISSING = ("NameError", "UnboundLocalError")  # the code used a name that its interpreter does not hold

COLUMNS = {
    "train": "str", "runtime": "str", "difficulty": "str", "task_id": "str", "optimality": "float64", "solved": "bool",
    "finish": "str", "finished": "bool", "steps": "int64", "tool_calls": "int64", "items_inspected": "int64",
    "items_taken": "int64", "capacity_utilisation": "float64", "prompt_tokens": "int64", "completion_tokens": "int64",
    "tokens": "int64", "missing_variable": "bool", "first_missing_turn": "Int64", "errors": "int64",
    "not_run": "int64", "slips": "int64", "state_lost": "bool",
}  # fmt: skip
TURN_COLUMNS = {
    "train": "str", "runtime": "str", "difficulty": "str", "task_id": "str", "turn": "int64", "prompt_tokens": "int64",
    "completion_tokens": "int64", "tokens": "int64",
}  # fmt: skip


def episode_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode with the columns of COLUMNS, sorted by cell and task.

    tokens = prompt + completion, summed over turns; steps = turns; tool_calls as the host recorded them;
    first_missing_turn counts from 1 (empty: none); errors = turns whose code raised or was stopped; not_run = turns
    whose reply held no single block that could be run; capacity_utilisation = weight used / capacity.
    """
    return _frame((_row(episode) for episode in episodes), COLUMNS, [*CELL, "task_id"])


def turn_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode and turn (from 1) with the tokens of that model call."""
    rows = (
        {**_labels(episode), "turn": number, **_tokens([turn])}
        for episode in episodes
        for number, turn in enumerate(episode.turns, start=1)
    )
    return _frame(rows, TURN_COLUMNS, [*CELL, "task_id", "turn"])


def typed(frame: pd.DataFrame, columns: dict[str, str] = COLUMNS) -> pd.DataFrame:
    """The frame with exactly these columns and types: what was read from a CSV equals what was written."""
    return frame[list(columns)].astype(columns)


def _frame(rows: Iterable[dict[str, Any]], columns: dict[str, str], order: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return typed(frame, columns).sort_values(order, kind="stable", ignore_index=True)


def _labels(episode: Episode) -> dict[str, str]:
    return {
        "train": episode.policy, "runtime": episode.runtime, "difficulty": episode.difficulty,
        "task_id": episode.task_id,
    }  # fmt: skip


def _tokens(turns: list[Turn]) -> dict[str, int]:
    prompt, completion = sum(t.prompt_tokens for t in turns), sum(t.completion_tokens for t in turns)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "tokens": prompt + completion}


def _row(episode: Episode) -> dict[str, Any]:
    turns, outcome = episode.turns, episode.outcome
    missing = [number for number, turn in enumerate(turns, start=1) if turn.error_type in MISSING]
    return {
        **_labels(episode),
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
        "missing_variable": bool(missing),
        "first_missing_turn": missing[0] if missing else None,
        "errors": sum(turn.error_type is not None or turn.killed_by is not None for turn in turns),
        "not_run": sum(turn.outcome != "code" for turn in turns),
        "slips": sum(turn.slip for turn in turns),
        "state_lost": any(turn.state_lost for turn in turns),
    }
