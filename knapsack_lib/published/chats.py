"""Training traces: a JSONL file with a conversation a line.

    episodes, problems = read_chats("persistent/traces.jsonl", data)

A line is {"messages": [{"role": ..., "content": ...}, ...]}, as chat fine-tuning takes it, or a
whole trace object (`summary`, `events`). Beside it may stand `task_id`, `score`, `is_solved`,
`finish_reason`. Which regime wrote it is said by the folder. Tokens, tool calls and live names are
not recorded in conversations.
"""

from __future__ import annotations

import math
import re
from typing import Any

from knapsack_lib.agent import FENCE
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.published.episodes import FINISHES, to_episode
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import Record, as_count, as_number, as_object, read_json

__all__ = ["CHATS", "read_chats"]

CHATS = re.compile(r"\.jsonl$")
REGIME = re.compile(r"(?:^|[/_.-])(persistent|stateless|reset)(?=[/_.-])")
ERROR = re.compile(r"^([A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit))(?::\s*(.*))?$", re.M)


def read_chats(
    name: str, data: bytes, runtime: str = "persistent"
) -> tuple[list[Episode], list[str]]:
    """(episodes, a line for each line of the file that holds none). `runtime` is for names that say
    no regime.

    A last line that was cut short is one of the problems; so is a file without a single
    conversation.
    """
    said = REGIME.search(name)
    regime = SPELLINGS.get(said[1], said[1]) if said else runtime
    episodes: dict[str, Episode] = {}
    problems = []
    for number, line in enumerate(data.splitlines(), start=1):
        where = f"{shown_name(name)}:{number}"
        if not line.strip():
            continue
        try:
            episode = _episode(read_json(line, where), where, regime, f"trace-{number:06d}")
            if episode.task_id in episodes:
                raise UserError(
                    f"{where}: task {shown_name(episode.task_id)} stands in an earlier line too"
                )
            episodes[episode.task_id] = episode
        except UserError as error:
            problems.append(str(error))
    return list(episodes.values()), problems


def _episode(line: Any, where: str, regime: str, unnamed: str) -> Episode:
    if not isinstance(line, dict):
        raise UserError(f"{where}: holds a {type(line).__name__} where an object is expected")
    task = line.get("task_id", line.get("id"))
    task_id = str(task) if isinstance(task, (str, int)) and not isinstance(task, bool) else unnamed
    score, solved = as_number(line.get("score")), line.get("is_solved")
    cell = ("teacher", regime, "easy")
    trace = line.get("trace", line)
    if isinstance(trace, dict) and isinstance(trace.get("events"), list):
        record = Record(
            task_id,
            cell,
            "completed",
            "",
            solved if isinstance(solved, bool) else None,
            score,
            _metrics(line.get("metrics")),
            trace,
        )
        return to_episode(record)
    messages = line.get("messages", line.get("conversations"))
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(one, dict) for one in messages)
    ):
        raise UserError(f"{where}: has neither messages nor events")
    return _conversation([_message(one) for one in messages], task_id, regime, score, line)


def _message(one: dict[str, Any]) -> dict[str, str]:
    role = str(one.get("role", one.get("from", "")))
    role = {"human": "user", "gpt": "assistant", "model": "assistant", "tool": "user"}.get(
        role, role
    )
    return {"role": role, "content": str(one.get("content", one.get("value")) or "")}


def _conversation(
    messages: list[dict[str, str]],
    task_id: str,
    regime: str,
    score: float | None,
    line: dict[str, Any],
) -> Episode:
    first = next((i for i, one in enumerate(messages) if one["role"] == "assistant"), len(messages))
    turns = [
        _turn(one["content"], messages[i + 1]["content"] if messages[i + 1 :] else None)
        for i, one in enumerate(messages)
        if one["role"] == "assistant"
    ]
    metrics, solved = _metrics(line.get("metrics")), line.get("is_solved")
    result: dict[str, Any] = {
        "score": math.nan if score is None else score,
        "solved": solved is True,
        "value": metrics.get("agent_value", 0),
        "optimal_value": metrics.get("optimal_value", 0),
        "weight_used": metrics.get("weight_used", 0),
        "capacity": metrics.get("capacity") or math.nan,
        "items_taken": as_count(metrics.get("items_taken_count")),
        "items_inspected": as_count(metrics.get("inspected_count")),
    }
    ended = bool(turns) and turns[-1].observation is None and "finish(" in (turns[-1].code or "")
    finish = FINISHES.get(str(line.get("finish_reason")), "finish" if ended else "unknown")
    return Episode(
        episode_id=task_id,
        task_id=task_id,
        family="knapsack",
        difficulty="easy",
        train="teacher",
        runtime=regime,
        seed=0,
        opening=messages[:first],
        turns=turns,
        finish_reason=finish,
        result=result,
    )


def _turn(reply: str, observation: str | None) -> Turn:
    blocks = FENCE.findall(reply)
    status = "code" if len(blocks) == 1 else "several_blocks" if blocks else "no_code"
    errors = ERROR.findall(observation or "")
    kind, message = errors[-1] if errors else (None, None)
    return Turn(
        reply=reply,
        reply_ids=None,
        parse_status=status,
        code=blocks[0] if len(blocks) == 1 else None,
        observation=observation,
        stdout=observation or "",
        error_type=kind,
        error=message,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=[],
        prompt_tokens=0,
        completion_tokens=0,
        slip=False,
    )


def _metrics(given: Any) -> dict[str, float]:
    return {
        name: number
        for name, value in as_object(given).items()
        if (number := as_number(value)) is not None
    }
