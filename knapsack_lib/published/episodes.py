"""Published records as ordinary episodes, and ordinary episodes as published files.

    episodes = to_episodes(read_records("persistent_stateless_easy").records)
    write_published(episodes, folder)                       # result and trace files of the authors' format
    write_chat(episodes, Path("train.jsonl"))               # {"messages": [...]} for chat fine-tuning

What the format does not record is left empty: tool calls, live names, the text that the model was
shown (the output of its block stands in for it). A score that is null stays NaN.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.published.files import must_be_new, plain_name, written_whole
from knapsack_lib.published.records import Record, as_count, as_number, as_object

__all__ = ["to_episode", "to_episodes", "write_chat", "write_published"]

FINISHES = {"finish_tool": "finish", "max_turns": "max_turns"}
PUBLISHED = {"finish": "finish_tool", "max_turns": "max_turns", "context": "error"}
WORDS = {"reset": "stateless", "medium": "hard"}
OURS = "knapsack_lib"  # the key under which a trace of ours keeps what the format has no place for


class _Result(BaseModel):
    """What an episode's result must hold to be written and reported on; NaN stands for what was not
    recorded."""

    value: float
    optimal_value: float
    score: float
    solved: bool
    weight_used: float
    capacity: float
    items_taken: int
    items_inspected: int


EPISODE = TypeAdapter(Episode)


def to_episodes(
    records: Iterable[Record], cell: tuple[str, str, str] = ("published", "persistent", "easy")
) -> list[Episode]:
    """Every record as an episode. `cell` (train, runtime, difficulty) is for records whose folder
    does not say."""
    return [to_episode(record, cell) for record in records]


def to_episode(
    record: Record, cell: tuple[str, str, str] = ("published", "persistent", "easy")
) -> Episode:
    """One record as an episode."""
    kept = _kept((record.trace or {}).get(OURS))
    if kept is not None:
        return kept
    train, runtime, difficulty = record.cell or cell
    metrics = record.metrics
    prompts = record.summary.get("system_prompts")
    opening = [
        {"role": "system", "content": str(text)}
        for text in (prompts if isinstance(prompts, list) else [])
    ]
    opening.append({"role": "user", "content": str(record.summary.get("task") or "")})
    result: dict[str, Any] = {
        "score": math.nan if record.score is None else record.score,
        "solved": record.solved is True,
        "value": metrics.get("agent_value", 0),
        "optimal_value": metrics.get("optimal_value", 0),
        "weight_used": metrics.get("weight_used", 0),
        "capacity": metrics.get("capacity") or math.nan,
        "items_taken": as_count(metrics.get("items_taken_count")),
        "items_inspected": as_count(metrics.get("inspected_count")),
    }
    return Episode(
        episode_id=record.task_id,
        task_id=record.task_id,
        family="knapsack",
        difficulty=difficulty,
        train=train,
        runtime=runtime,
        seed=0,
        opening=opening,
        turns=[_turn(step) for step in record.step_events],
        finish_reason=_finish(record),
        result=result,
    )


def _kept(data: Any) -> Episode | None:
    """The episode as write_published kept it, nothing lost; None where there is none, or it was
    damaged or is of another version: then it is read as any other."""
    try:
        episode = EPISODE.validate_python(data)
        result = _Result.model_validate(episode.result, strict=True)
    except ValidationError:
        return None
    measures = (
        result.value,
        result.optimal_value,
        result.score,
        result.weight_used,
        result.capacity,
    )
    counts = [result.items_taken, result.items_inspected, episode.train_seed]
    counts += [
        number for turn in episode.turns for number in (turn.prompt_tokens, turn.completion_tokens)
    ]
    usable = all(math.isnan(x) or as_number(x) is not None for x in measures) and all(
        as_count(x) == x for x in counts
    )
    return episode if usable else None


def _finish(record: Record) -> str:
    if record.status == "timeout":
        return "timeout"
    reason = record.summary.get("finish_reason")
    return FINISHES.get(
        str(reason), "infrastructure" if record.status == "error" else str(reason or "unknown")
    )


def _turn(step: dict[str, Any] | Any) -> Turn:
    result, usage = as_object(step.get("interpreter_result")), as_object(step.get("token_usage"))
    output, problem = str(result.get("output") or ""), result.get("error")
    kind, message = _error(problem)
    code = step.get("code")
    return Turn(
        reply=str(step.get("assistant_text") or ""),
        reply_ids=None,
        parse_status="code" if code else "no_code",
        code=str(code) if code else None,
        observation="\n".join(filter(None, [output.rstrip("\n"), str(problem or "")])),
        stdout=output,
        error_type=kind,
        error=message,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=[],
        prompt_tokens=as_count(usage.get("prompt_tokens")),
        completion_tokens=as_count(usage.get("completion_tokens")),
        slip=False,
    )


def _error(problem: object) -> tuple[str | None, str | None]:
    """(type, message) of an error as the traces hold it: a line, or a traceback whose last line it
    is."""
    if not problem:
        return None, None
    if isinstance(problem, dict):
        return str(problem.get("type") or "Error"), str(problem.get("message") or "")
    lines = [line for line in str(problem).splitlines() if line.strip()]
    if not lines:
        return None, None  # an error that says nothing is none, as the empty one
    kind, _, message = lines[-1].strip().partition(":")
    return (
        (kind, message.strip())
        if re.fullmatch(r"[A-Za-z_][\w.]*", kind)
        else ("Error", lines[-1].strip())
    )


# Writing ------------------------------------------------------------------------------------------


def write_published(
    episodes: Sequence[Episode], folder: Path, seconds: Sequence[float | None] | None = None
) -> int:
    """A result and a trace file per episode, in a folder per cell:
    {train}_{runtime}_{difficulty}/knapsack/, and beside these a summary.json. Further adapters of a
    regime go into seed2/, seed3/, ...

    Clocks begin at zero and end at `seconds`, where these are known. Reading the files again gives
    the same episodes. Returns how many were written. Raises UserError when `folder` is there
    already, or a word or task id cannot be in a file's name.
    """
    must_be_new(folder)
    cells: dict[Path, list[tuple[Episode, float | None]]] = {}
    for episode, spent in zip(episodes, seconds or [None] * len(episodes), strict=True):
        words = (episode.train, episode.runtime, episode.difficulty)
        cell = plain_name("_".join(WORDS.get(word, word) for word in words), "the cell")
        plain_name(episode.task_id, "task id")
        place = Path(*([f"seed{episode.train_seed}"] if episode.train_seed > 1 else []))
        known = None if spent is None or math.isnan(spent) else spent
        cells.setdefault(place / cell, []).append((episode, known))
    if not cells:
        raise UserError("there is no episode to write")
    with written_whole(folder) as part:
        for path, rows in cells.items():
            _write_cell(part / path, rows)
    return len(episodes)


def _write_cell(cell: Path, rows: Sequence[tuple[Episode, float | None]]) -> None:
    place = cell / "knapsack"
    place.mkdir(parents=True)
    results = []
    for episode, spent in rows:
        results.append(_result(episode, spent or 0.0))
        _write(place / f"knapsack-{episode.task_id}.json", results[-1])
        _write(place / f"knapsack-{episode.task_id}.trace.json", _trace(episode))
    _write(cell / "summary.json", _summary([episode for episode, _ in rows], results))


def _summary(episodes: Sequence[Episode], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means of a cell under the names of the authors' summary files; the score is among the
    metrics."""

    def spread(values: list[float]) -> dict[str, float]:
        return {
            "mean": statistics.fmean(values),
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
        }

    inner = [result["result"] for result in results]
    metrics = {
        name: spread([one["metrics"][name] for one in inner]) for name in inner[0]["metrics"]
    }
    solved = sum(one["is_solved"] for one in inner)
    return {
        "average_is_solved": solved / len(inner),
        "average_runtime": statistics.fmean(result["finished_at"] for result in results) or None,
        "average_steps": statistics.fmean(len(episode.turns) for episode in episodes),
        "average_total_tokens": statistics.fmean(
            _usage(episode.turns)["total_tokens"] for episode in episodes
        ),
        "metrics": metrics | {"score": spread([one["score"] or 0.0 for one in inner])},
        "num_tasks_executed": len(inner),
        "num_tasks_solved": solved,
    }


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _result(episode: Episode, seconds: float) -> dict[str, Any]:
    out = episode.result
    metrics = {
        "agent_value": out["value"],
        "optimal_value": out["optimal_value"],
        "optimality_gap": out["optimal_value"] - out["value"],
        "weight_used": out["weight_used"],
        "capacity": out["capacity"],
        "items_taken_count": out["items_taken"],
        "inspected_count": out["items_inspected"],
    }
    score = None if math.isnan(out["score"]) else out["score"]
    result = {"is_solved": out["solved"], "score": score, "metrics": metrics}
    status = "timeout" if episode.finish_reason == "timeout" else "completed"
    return {
        "status": status,
        "error": None,
        "result": result,
        "finished_at": seconds,
        "started_at": 0.0,
    }


def _trace(episode: Episode) -> dict[str, Any]:
    clock = "1970-01-01T00:00:00"
    prompts = [message["content"] for message in episode.opening if message["role"] == "system"]
    task = "\n".join(
        message["content"] for message in episode.opening if message["role"] != "system"
    )
    usage = _usage(episode.turns)
    reason = PUBLISHED.get(episode.finish_reason)
    events: list[tuple[str, dict[str, Any]]] = [
        ("StartEvent", {"task": task}),
        ("SystemPromptEvent", {"prompts": prompts}),
    ]
    for number, turn in enumerate(episode.turns):
        problem = f"{turn.error_type}: {turn.error}" if turn.error_type else turn.killed_by
        answer = {"success": not problem, "result": None, "output": turn.stdout, "error": problem}
        events.append(
            (
                "StepEvent",
                {
                    "turn": number,
                    "assistant_text": turn.reply,
                    "code": turn.code,
                    "interpreter_result": answer,
                    "token_usage": _usage([turn]),
                },
            )
        )
    if reason:
        events.append(("FinishEvent", {"reason": reason, "token_usage": usage}))
    summary = {
        "task": task,
        "system_prompts": prompts,
        "num_steps": len(episode.turns),
        "finish_reason": reason,
        "errors": [],
        "token_usage": usage,
    }
    return {
        "started_at": clock,
        "finished_at": clock,
        "summary": summary,
        "events": [{"type": kind, "data": data, "timestamp": clock} for kind, data in events],
        OURS: json.loads(episode.to_line()),
    }


def _usage(turns: Sequence[Turn]) -> dict[str, int]:
    prompt, completion = (
        sum(t.prompt_tokens for t in turns),
        sum(t.completion_tokens for t in turns),
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def write_chat(episodes: Sequence[Episode], path: Path) -> int:
    """A line {"messages": [...]} per episode, as TRL and Axolotl read it. Deliberate slips are in
    it like any other turn; our own training gives them no loss."""
    with written_whole(path) as part, open(part, "w", encoding="utf-8") as file:
        for episode in episodes:
            file.write(json.dumps({"messages": episode.messages()}, ensure_ascii=False) + "\n")
    return len(episodes)
