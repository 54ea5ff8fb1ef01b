"""Training traces: a JSONL file with a conversation per line.

    episodes, problems = read_chats("persistent/traces.jsonl", data)

A line is {"messages": [{"role": ..., "content": ...}, ...]}, as chat fine-tuning takes it, or a
whole trace object (`summary`, `events`). Next to it there may be `task_id`, `score`, `is_solved`,
`finish_reason` and `metrics`. The regime and the family are read from the file's path. Tokens, tool
calls and live names are not recorded in conversations.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from knapsack_lib.agent import FENCE
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.families import family_names
from knapsack_lib.messages import Message
from knapsack_lib.profiles import Cell
from knapsack_lib.published.episodes import (
    ANY_CELL,
    FINISHES,
    UNRECORDED,
    episode_of,
    to_episode,
)
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import Record, as_number, json_object, numbers

__all__ = ["CHATS", "read_chats"]

CHATS = re.compile(r"\.jsonl$")
REGIMES = ("persistent", "stateless", "reset")
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "tool": "user"}
ERROR = re.compile(r"^([A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit))(?::\s*(.*))?$", re.M)


def read_chats(
    name: str, data: bytes, runtime: str = "persistent"
) -> tuple[list[Episode], list[str]]:
    """(episodes, a line for each line of the file that holds none). `runtime` is for names that
    contain no regime.

    A last line that was cut short is one of the problems; so is a task that comes twice.
    """
    regime = _word_of(name, REGIMES, runtime)
    family = _word_of(name, family_names(), ANY_CELL.family)
    cell = Cell(family, "teacher", SPELLINGS.get(regime, regime), "easy")
    episodes: dict[str, Episode] = {}
    problems = []
    lines = {n: line for n, line in enumerate(data.splitlines(), start=1) if line.strip()}
    for number, line in lines.items():
        where = f"{shown_name(name)}:{number}"
        try:
            episode = _episode(json_object(line, where), where, cell, f"trace-{number:06d}")
            if episode.task_id in episodes:
                raise UserError(
                    f"{where}: task {shown_name(episode.task_id)} is in an earlier line too"
                )
            episodes[episode.task_id] = episode
        except UserError as error:
            problems.append(str(error))
    return list(episodes.values()), problems


def _word_of(name: str, words: Collection[str], otherwise: str) -> str:
    """The first part of a path that is one of these words."""
    return next((part for part in re.split("[/_.-]", name) if part in words), otherwise)


def _episode(line: dict[str, Any], where: str, cell: Cell, unnamed: str) -> Episode:
    task, trace = line.get("task_id", line.get("id")), line.get("trace", line)
    named = isinstance(task, (str, int)) and not isinstance(task, bool)
    record = Record(
        cell.family,
        str(task) if named else unnamed,
        cell,
        solved=line.get("is_solved") is True,
        score=as_number(line.get("score")),
        metrics=numbers(line.get("metrics")),
    )
    if isinstance(trace, dict) and isinstance(trace.get("events"), list):
        return to_episode(replace(record, trace=trace))
    given = line.get("messages", line.get("conversations"))
    if not given or not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise UserError(f"{where}: has neither messages nor events")
    messages = [_message(one) for one in given]
    replies = [place for place, one in enumerate(messages) if one["role"] == "assistant"]
    turns = [
        _turn(messages[place]["content"], *(one["content"] for one in messages[place + 1 :][:1]))
        for place in replies
    ]
    ended = bool(turns) and turns[-1].observation is None and "finish(" in (turns[-1].code or "")
    reason = FINISHES.get(str(line.get("finish_reason")), "finish" if ended else "unknown")
    return episode_of(record, cell, messages[: min(replies, default=None)], turns, reason)


def _message(one: dict[str, Any]) -> Message:
    role = str(one.get("role", one.get("from", "")))
    content = str(one.get("content", one.get("value")) or "")
    return {"role": ROLES.get(role, role), "content": content}


def _turn(reply: str, observation: str | None = None) -> Turn:
    blocks = FENCE.findall(reply)
    status = "code" if len(blocks) == 1 else "several_blocks" if blocks else "no_code"
    errors = ERROR.findall(observation or "")
    kind, message = errors[-1] if errors else (None, None)
    return replace(
        UNRECORDED,
        reply=reply,
        parse_status=status,
        code=blocks[0] if len(blocks) == 1 else None,
        observation=observation,
        stdout=observation or "",
        error_type=kind,
        error=message,
    )
