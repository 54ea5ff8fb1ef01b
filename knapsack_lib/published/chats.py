"""Training traces: a JSONL file with a conversation per line.

    episodes, problems = read_chats("navigation/persistent/traces.jsonl", data)

A line is {"messages": [{"role": ..., "content": ...}, ...]}, as chat fine-tuning takes it, or a
whole trace object (`summary`, `events`). Next to it there may be `task_id`, `score`, `is_solved`,
`finish_reason` and `metrics`. The regime and the family are read from the file's path. Tokens and
live names are not recorded in conversations, and tool calls only in those of a ReAct agent.

A line without a task id gets one of the file's content and its own number: never an id that a line
of another file has, since the same number in two files is not the same task.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

from knapsack_lib.blocks import the_block
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message
from knapsack_lib.profiles import Cell
from knapsack_lib.published.episodes import (
    ANY_CELL,
    FINISHES,
    UNRECORDED,
    episode_of,
    to_episode,
)
from knapsack_lib.published.files import shown_name, unpacked
from knapsack_lib.published.layout import Place
from knapsack_lib.published.observations import listed_calls, observed
from knapsack_lib.published.records import Record, as_number, json_object, numbers

__all__ = ["UNNAMED", "read_chats"]

UNNAMED = re.compile(r"-[0-9a-f]{8}-line\d{6,}$")  # an id that a line got here
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "tool": "user"}


def read_chats(
    name: str, data: bytes, cell: Cell = ANY_CELL, above: tuple[str, ...] = ()
) -> tuple[list[Episode], list[str]]:
    """(episodes, a line for each line of the file that holds none). `cell` is for what the path
    (and `above`, the folders above the source) does not name.

    A last line that was cut short is one of the problems; so is a task that comes twice.
    """
    cell = _cell(Place(name, above), cell)
    unnamed = f"{cell.family}-{cell.runtime}-{hashlib.sha256(data).hexdigest()[:8]}"
    episodes: dict[str, Episode] = {}
    problems: list[str] = []
    try:
        lines = _as_utf8(unpacked(data, name) if name.endswith(".gz") else data, name).splitlines()
    except UserError as error:
        return [], [str(error)]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{shown_name(name)}:{number}"
        try:
            found = json_object(line, where)
            task_id = _task_id(found) or f"{unnamed}-line{number:06d}"
            episode = _episode(found, where, cell, task_id)
            if episode.task_id in episodes:
                raise UserError(
                    f"{where}: task {shown_name(episode.task_id)} is in an earlier line too"
                )
            episodes[episode.task_id] = episode
        except UserError as error:
            problems.append(str(error))
    return list(episodes.values()), problems


def _cell(place: Place, otherwise: Cell) -> Cell:
    """The cell of a benchmark folder, or who taught in the regime of a data set's."""
    family = place.family or otherwise.family
    if place.cell:
        return Cell(family, *place.cell)
    return Cell(family, "teacher", place.regime or otherwise.runtime, otherwise.difficulty)


def _as_utf8(data: bytes, name: str) -> bytes:
    """Without a mark at its beginning. A file in UTF-16 has its line ends in UTF-16 too."""
    data = data.removeprefix(codecs.BOM_UTF8)
    encoding = json.detect_encoding(data[:4])
    try:
        return data if encoding.startswith("utf-8") else data.decode(encoding).encode()
    except ValueError:
        raise UserError(f"{shown_name(name)}: not UTF-8; save it as UTF-8") from None


def _task_id(line: dict[str, Any]) -> str:
    """As the line gives it; "" where it gives none."""
    given = (line.get(name) for name in ("task_id", "id"))
    usable = (
        str(one) for one in given if isinstance(one, (str, int)) and not isinstance(one, bool)
    )
    return next((one for one in usable if one.strip()), "")


def _episode(line: dict[str, Any], where: str, cell: Cell, task_id: str) -> Episode:
    trace = line.get("trace", line)
    record = Record(
        cell.family,
        task_id,
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
        _turn(messages[begin:end], last=end == len(messages))
        for begin, end in pairwise([*replies, len(messages)])
    ]
    if any(turn.tool_calls for turn in turns) and turns[-1].observation is None:
        turns[-1] = replace(turns[-1], parse_status="tool_calls")  # their last answer is left out
    ended = bool(turns) and turns[-1].observation is None and "finish(" in (turns[-1].code or "")
    reason = FINISHES.get(str(line.get("finish_reason")), "finish" if ended else "unknown")
    return episode_of(record, cell, messages[: min(replies, default=None)], turns, reason)


def _message(one: dict[str, Any]) -> Message:
    role = str(one.get("role", one.get("from", "")))
    content = one.get("content", one.get("value"))
    if isinstance(content, list):  # parts, as some APIs have them
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = "\n".join(str(text) for text in texts if text)
    return {"role": ROLES.get(role, role), "content": str(content or "")}


def _turn(messages: list[Message], last: bool) -> Turn:
    """A reply and what follows it up to the next one. Nothing does where its block printed nothing."""
    reply, *answers = (one["content"] for one in messages)
    observation = None if last and not answers else "\n".join(answers)
    status, block = the_block(reply)
    stdout, kind, message = observed(observation or "")
    calls = [] if block else listed_calls(observation or "")
    return replace(
        UNRECORDED,
        reply=reply,
        parse_status="tool_calls" if calls else status,
        code=None if block is None else block.code,
        observation=observation,
        stdout="" if calls else stdout,
        error_type=None if calls else kind,
        error=None if calls else message,
        tool_calls=calls,
    )
