"""Published records as ordinary episodes, and ordinary episodes as published files.

    episodes = [to_episode(record, cell) for record in read_records("persistent_stateless_easy").records]
    write_published(episodes, folder)                       # result and trace files of the authors' format
    write_chat(episodes, Path("train.jsonl"))               # {"messages": [...]} for chat fine-tuning

What the format does not record is left empty: live names, the tool calls of a block (those of a
ReAct step are listed), the text that the model was shown (the output of its block stands in for
it). A score that is null stays NaN.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.families import family_or_unknown
from knapsack_lib.messages import Message
from knapsack_lib.profiles import Cell
from knapsack_lib.published.files import must_be_new, plain_name, written_whole
from knapsack_lib.published.observations import calls_text, error_of, step_calls
from knapsack_lib.published.records import Record, as_count, as_number, as_object

__all__ = [
    "ANY_CELL",
    "FINISHES",
    "UNRECORDED",
    "episode_of",
    "to_episode",
    "write_chat",
    "write_published",
]

# Files that name no family are the authors', whose data sets hold no other.
ANY_CELL = Cell("knapsack", "published", "persistent", "easy")
FINISHES = {"finish_tool": "finish", "max_turns": "max_turns"}  # theirs -> ours
PUBLISHED = {"finish": "finish_tool", "max_turns": "max_turns", "context": "error"}
WORDS = {ours: theirs for theirs, ours in SPELLINGS.items()}
OURS = "knapsack_lib"  # the key under which a trace of ours keeps what the format has no place for
CLOCK = "1970-01-01T00:00:00"
EPISODE = TypeAdapter(Episode)
UNRECORDED = Turn(
    reply="",
    reply_ids=None,
    parse_status="no_code",
    code=None,
    observation=None,
    stdout="",
    error_type=None,
    error=None,
    killed_by=None,
    state_lost=False,
    bindings=[],
    tool_calls=[],
    prompt_tokens=0,
    completion_tokens=0,
    slip=False,
)


def to_episode(record: Record, cell: Cell = ANY_CELL) -> Episode:
    """One record as an episode. `cell` is for a record whose folder names none."""
    kept = _kept((record.trace or {}).get(OURS))
    if kept is not None:
        return kept
    prompts = record.summary.get("system_prompts")
    opening = [
        {"role": "system", "content": str(text)}
        for text in (prompts if isinstance(prompts, list) else [])
    ]
    opening.append({"role": "user", "content": str(record.summary.get("task") or "")})
    reason = str(record.summary.get("finish_reason") or "unknown")
    if record.status == "timeout":
        reason = "timeout"
    elif record.status == "error" and reason not in FINISHES:
        reason = "infrastructure"
    turns = [_turn(step) for step in record.step_events]
    return episode_of(record, cell, opening, turns, FINISHES.get(reason, reason))


def episode_of(
    record: Record, cell: Cell, opening: list[Message], turns: list[Turn], finish_reason: str
) -> Episode:
    """The episode of a record whose conversation is known."""
    cell = record.cell or cell
    family = family_or_unknown(record.family)
    return Episode(
        episode_id=record.task_id,
        task_id=record.task_id,
        family=record.family,
        difficulty=cell.difficulty,
        train=cell.train,
        runtime=cell.runtime,
        seed=0,
        opening=opening,
        turns=turns,
        finish_reason=finish_reason,
        result={
            **family.from_published(record.metrics),
            "score": math.nan if record.score is None else record.score,
            "solved": record.solved is True,
        },
    )


def _kept(data: Any) -> Episode | None:
    """The episode as write_published kept it, nothing lost; None where there is none, or it was
    damaged or is of another version: then it is read as any other."""
    try:
        episode = EPISODE.validate_python(data)
        family, result = family_or_unknown(episode.family), episode.result
        measures = [result["score"], *family.to_published(result).values()]
        found = [(metric.kind, metric.of(result)) for metric in family.metrics.values()]
    except (ValueError, ArithmeticError, LookupError, TypeError):  # ValidationError is the first
        return None
    counts = [episode.train_seed, *(number for kind, number in found if kind == "int64")]
    for turn in episode.turns:
        counts += [turn.prompt_tokens, turn.completion_tokens]
    usable = (
        isinstance(result.get("solved"), bool)
        and all(value != value or as_number(value) is not None for value in measures)
        and all(as_count(count) == count for count in counts)
    )
    return episode if usable else None


def _turn(step: Mapping[str, Any]) -> Turn:
    """A ReAct step has no code and lists its tool calls."""
    result, usage = as_object(step.get("interpreter_result")), as_object(step.get("token_usage"))
    output, problem, code = str(result.get("output") or ""), result.get("error"), step.get("code")
    kind, message = error_of(problem)
    calls = step_calls(result) or []
    shown = [output.rstrip("\n"), str(problem or ""), "" if code else calls_text(calls)]
    return replace(
        UNRECORDED,
        reply=str(step.get("assistant_text") or ""),
        parse_status="code" if code else "tool_calls" if calls else "no_code",
        code=str(code) if code else None,
        observation="\n".join(filter(None, shown)),
        stdout=output,
        error_type=kind,
        error=message,
        tool_calls=calls,
        prompt_tokens=as_count(usage.get("prompt_tokens")),
        completion_tokens=as_count(usage.get("completion_tokens")),
    )


# Writing ------------------------------------------------------------------------------------------


def write_published(
    episodes: Sequence[Episode], folder: Path, seconds: Sequence[float | None] | None = None
) -> None:
    """A result and a trace file per episode, in {train}_{runtime}_{difficulty}/{family}/, and a
    summary.json per cell. Further adapters of a regime go into seed2/, seed3/, ...

    Clocks begin at zero and end at `seconds`, where these are known. Reading the files again gives
    the same episodes. Raises UserError when `folder` is there already, or a word or task id cannot
    be in a file's name.
    """
    must_be_new(folder)
    cells: dict[Path, list[tuple[Episode, float]]] = {}
    for episode, spent in zip(episodes, seconds or [None] * len(episodes), strict=True):
        words = (episode.train, episode.runtime, episode.difficulty)
        cell = plain_name("_".join(WORDS.get(word, word) for word in words), "the cell")
        plain_name(f"{episode.family}-{episode.task_id}", "task id")
        place = Path(f"seed{episode.train_seed}" if episode.train_seed > 1 else "", cell)
        cells.setdefault(place, []).append((episode, as_number(spent) or 0.0))
    if not cells:
        raise UserError("there is no episode to write")
    with written_whole(folder) as part:
        for place, rows in cells.items():
            _write_cell(part / place, rows)


def _write_cell(cell: Path, rows: Sequence[tuple[Episode, float]]) -> None:
    results = []
    for episode, spent in rows:
        results.append(_result(episode, spent))
        path = cell / episode.family / f"{episode.family}-{episode.task_id}.json"
        _write(path, results[-1])
        _write(path.with_name(f"{episode.family}-{episode.task_id}.trace.json"), _trace(episode))
    _write(cell / "summary.json", _summary([episode for episode, _ in rows], results))


def _summary(episodes: Sequence[Episode], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means of a cell under the names of the authors' summary files; the score is among the
    metrics."""
    inner = [result["result"] for result in results]
    values: dict[str, list[float]] = {}
    for one in inner:
        for name, value in (one["metrics"] | {"score": one["score"] or 0.0}).items():
            values.setdefault(name, []).append(value)
    solved = sum(one["is_solved"] for one in inner)
    tokens = [_usage(episode.turns)["total_tokens"] for episode in episodes]
    return {
        "average_is_solved": solved / len(inner),
        "average_runtime": statistics.fmean(result["finished_at"] for result in results) or None,
        "average_steps": statistics.fmean(len(episode.turns) for episode in episodes),
        "average_total_tokens": statistics.fmean(tokens),
        "metrics": {
            name: {
                "mean": statistics.fmean(found),
                "median": statistics.median(found),
                "min": min(found),
                "max": max(found),
            }
            for name, found in values.items()
        },
        "num_tasks_executed": len(inner),
        "num_tasks_solved": solved,
    }


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _result(episode: Episode, seconds: float) -> dict[str, Any]:
    score = episode.result["score"]
    return {
        "status": "timeout" if episode.finish_reason == "timeout" else "completed",
        "error": None,
        "result": {
            "is_solved": episode.result["solved"],
            "score": None if math.isnan(score) else score,
            "metrics": family_or_unknown(episode.family).to_published(episode.result),
        },
        "finished_at": seconds,
        "started_at": 0.0,
    }


def _trace(episode: Episode) -> dict[str, Any]:
    prompts = [one["content"] for one in episode.opening if one["role"] == "system"]
    task = "\n".join(one["content"] for one in episode.opening if one["role"] != "system")
    usage, reason = _usage(episode.turns), PUBLISHED.get(episode.finish_reason)
    events: list[tuple[str, dict[str, Any]]] = [
        ("StartEvent", {"task": task}),
        ("SystemPromptEvent", {"prompts": prompts}),
    ]
    for number, turn in enumerate(episode.turns):
        problem = f"{turn.error_type}: {turn.error}" if turn.error_type else turn.killed_by
        answer = {"success": not problem, "result": None, "output": turn.stdout, "error": problem}
        step = {
            "turn": number,
            "assistant_text": turn.reply,
            "code": turn.code,
            "interpreter_result": answer,
            "token_usage": _usage([turn]),
        }
        events.append(("StepEvent", step))
    if reason:
        events.append(("FinishEvent", {"reason": reason, "token_usage": usage}))
    return {
        "started_at": CLOCK,
        "finished_at": CLOCK,
        "summary": {
            "task": task,
            "system_prompts": prompts,
            "num_steps": len(episode.turns),
            "finish_reason": reason,
            "errors": [],
            "token_usage": usage,
        },
        "events": [{"type": kind, "data": data, "timestamp": CLOCK} for kind, data in events],
        OURS: json.loads(episode.to_line()),
    }


def _usage(turns: Sequence[Turn]) -> dict[str, int]:
    prompt = sum(turn.prompt_tokens for turn in turns)
    completion = sum(turn.completion_tokens for turn in turns)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def write_chat(episodes: Iterable[Episode], path: Path) -> None:
    """A line {"messages": [...]} per episode, as TRL and Axolotl read it. Deliberate slips are in
    it like any other turn; our own training gives them no loss."""
    with written_whole(path) as part, open(part, "w", encoding="utf-8") as file:
        for episode in episodes:
            file.write(json.dumps({"messages": episode.messages()}, ensure_ascii=False) + "\n")
