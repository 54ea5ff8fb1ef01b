"""The authors' result and trace files as records: what each says, and what is wrong with it.

    found = read_records("benchmarks/persistent_stateless_easy")
    found.records        # Record for each task, sorted
    found.problems       # one line for each file that could not be read

A result file is knapsack-<task_id>.json, its trace knapsack-<task_id>.trace.json; either may be
missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.published.files import members, shown_name

__all__ = ["Found", "Record", "as_count", "as_number", "as_object", "read_json", "read_records"]

TRACE = ".trace.json"
NAME = re.compile(r"(?:^|/)knapsack-([^/]+?)(\.trace)?\.json$")
CELL = re.compile(
    r"(?:^|/)(base|persistent|stateless|reset)_(persistent|stateless|reset)_(easy|hard|medium)(?:/|$)"
)
STATUSES = ("completed", "timeout", "error")
LARGEST_COUNT, LARGEST_NUMBER = (
    2.0**53,
    1e300,
)  # beyond them nothing was counted or measured, and sums would overflow


@dataclass(frozen=True)
class Record:
    """One episode as published. `score` is None where the file says null; `trace` is None where
    there is no trace."""

    task_id: str
    cell: (
        tuple[str, str, str] | None
    )  # train, runtime, difficulty in our words, from the folder's name
    status: str
    error: str
    solved: bool | None
    score: float | None
    metrics: Mapping[str, float]
    trace: Mapping[str, Any] | None
    seconds: float | None = None

    @property
    def steps(self) -> int:
        return as_count(self.summary.get("num_steps"))

    @property
    def summary(self) -> Mapping[str, Any]:
        return as_object((self.trace or {}).get("summary"))

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return [
            event for event in (self.trace or {}).get("events") or [] if isinstance(event, dict)
        ]

    @property
    def step_events(self) -> list[Mapping[str, Any]]:
        return [
            event["data"]
            for event in self.events
            if event.get("type") == "StepEvent" and isinstance(event.get("data"), dict)
        ]

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of the whole episode; 0 where nothing was spent."""
        return as_count(as_object(self.summary.get("token_usage")).get("total_tokens"))


@dataclass(frozen=True)
class Found:
    """Everything that a source holds."""

    source: str
    records: tuple[Record, ...]
    problems: tuple[str, ...] = field(default=())


def read_records(source: str | Path, may_be_empty: bool = False) -> Found:
    """Read every episode of a folder or archive. A file that cannot be read becomes a line of
    `problems`; a source without any episode raises UserError (unless it may be empty)."""
    results: dict[tuple[Any, str], Any] = {}
    traces: dict[tuple[Any, str], Any] = {}
    problems: list[str] = []
    for name, data in members(source, lambda name: NAME.search(name) is not None):
        match = NAME.search(name)
        assert match is not None
        key, into = (_folder(name), match[1]), traces if match[2] else results
        try:
            into[key] = _checked(read_json(data, name), name, trace=bool(match[2]))
        except UserError as error:
            problems.append(str(error))
    if not results and not traces and not may_be_empty:
        tried = f"; {problems[0]}" if problems else ""
        raise UserError(f"{shown_name(source)}: no knapsack-<task>.json in it{tried}")
    records = []
    for key in sorted({*results, *traces}, key=str):
        (_, cell), task_id = key[0], key[1]
        if key not in results:
            problems.append(
                f"{shown_name(task_id)}: a trace without its result file; it is counted with no score"
            )
        records.append(_record(task_id, cell, results.get(key), traces.get(key)))
    return Found(str(source), tuple(records), tuple(problems))


def read_json(data: bytes, name: str) -> Any:
    """JSON of a file. Raises UserError naming the file and what is wrong: empty, cut short, another
    encoding."""
    shown = shown_name(name)
    if not data.strip():
        raise UserError(f"{shown}: the file is empty; fetch it again")
    try:
        return from_json(data)
    except ValueError:
        pass  # the slower reader takes more (a byte order mark, half characters) and says better what is wrong
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(f"{shown}: not UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise UserError(f"{shown}: nested too deep to be read") from None
    except ValueError as error:
        raise UserError(f"{shown}: no whole JSON ({shown_name(error)}); fetch it again") from None


def _folder(name: str) -> tuple[str, tuple[str, str, str] | None]:
    """The folder of a file, and the cell that its name says."""
    folder = name.rpartition("/")[0]
    found = CELL.search(f"/{folder}/")
    if not found:
        return folder, None
    train, runtime, difficulty = (SPELLINGS.get(word, word) for word in found.groups())
    return folder, (train, runtime, difficulty)


def _checked(data: Any, name: str, trace: bool) -> Mapping[str, Any]:
    """The parts that are read must have the shapes that are documented."""
    shown = shown_name(name)
    if not isinstance(data, dict):
        raise UserError(f"{shown}: holds a {type(data).__name__} where an object is expected")
    if trace:
        for part, kind in (("summary", dict), ("events", list)):
            if not isinstance(data.get(part), (kind, type(None))):
                raise UserError(f"{shown}: {part} is no {kind.__name__}")
        return data
    if data.get("status") not in STATUSES:
        raise UserError(
            f"{shown}: status {data.get('status')!r:.60} is none of {', '.join(STATUSES)}"
        )
    result = data.get("result")
    if not isinstance(result, (dict, type(None))) or not isinstance(
        (result or {}).get("metrics"), (dict, type(None))
    ):
        raise UserError(f"{shown}: result or its metrics are no objects")
    return data


def _record(task_id: str, cell: tuple[str, str, str] | None, result: Any, trace: Any) -> Record:
    inner = (result or {}).get("result") or {}
    metrics = {
        name: number
        for name, value in (inner.get("metrics") or {}).items()
        if (number := as_number(value)) is not None
    }
    solved = inner.get("is_solved")
    begin, end = (as_number((result or {}).get(name)) for name in ("started_at", "finished_at"))
    seconds = None if begin is None or end is None or end <= begin else end - begin
    return Record(
        task_id,
        cell,
        (result or {}).get("status", "error"),
        str((result or {}).get("error") or ""),
        solved if isinstance(solved, bool) else None,
        as_number(inner.get("score")),
        metrics,
        trace,
        seconds,
    )


def as_object(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_count(value: Any) -> int:
    """A number of things; 0 for anything else."""
    number = as_number(value)
    return int(number) if number is not None and 0 <= number < LARGEST_COUNT else 0


def as_number(value: Any) -> float | None:
    """A finite number that sums can be made of; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return number if abs(number) < LARGEST_NUMBER else None
