"""The authors' result and trace files as records: what each holds, and what is wrong with it.

    found = read_records("benchmarks/persistent_stateless_easy")
    found.records        # a Record per task, sorted
    found.problems       # a line per file that could not be read

A result file is <family>-<task_id>.json, its trace <family>-<task_id>.trace.json; either may be
missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.families import family_names
from knapsack_lib.profiles import Cell
from knapsack_lib.published.files import members, shown_name

__all__ = [
    "Found",
    "Record",
    "as_count",
    "as_number",
    "as_object",
    "json_object",
    "numbers",
    "read_records",
]

CELL = re.compile(
    r"(?:^|/)(base|persistent|stateless|reset)_(persistent|stateless|reset)_(easy|hard|medium)(?:/|$)"
)
STATUSES = ("completed", "timeout", "error")
# Beyond them nothing was counted or measured, and sums would overflow.
LARGEST_COUNT, LARGEST_NUMBER = 2.0**53, 1e300


@dataclass(frozen=True)
class Record:
    """One episode as published. `cell` is what its folder's name says; `score` is None where there
    is none, `trace` where there is no trace."""

    family: str
    task_id: str
    cell: Cell | None = None
    status: str = "completed"
    solved: bool | None = None
    score: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    trace: Mapping[str, Any] | None = None
    seconds: float | None = None

    @property
    def steps(self) -> int:
        return as_count(self.summary.get("num_steps"))

    @property
    def summary(self) -> Mapping[str, Any]:
        return as_object((self.trace or {}).get("summary"))

    @property
    def step_events(self) -> list[Mapping[str, Any]]:
        events = [as_object(event) for event in (self.trace or {}).get("events") or []]
        return [
            event["data"]
            for event in events
            if event.get("type") == "StepEvent" and isinstance(event.get("data"), dict)
        ]

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of the whole episode; 0 where nothing was spent."""
        return as_count(as_object(self.summary.get("token_usage")).get("total_tokens"))


@dataclass(frozen=True)
class Found:
    """Everything that a source holds. `problems` are files that could not be read; `notes` is what
    else is missing."""

    source: str
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_records(source: str | Path, may_be_empty: bool = False) -> Found:
    """Read every episode of a folder or archive. A file that cannot be read becomes a line of
    `problems`; a source without any episode raises UserError (unless it may be empty)."""
    named = re.compile(rf"(?:^|/)({'|'.join(family_names())})-([^/]+?)(\.trace)?\.json$")
    results: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    traces: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    problems = []
    for name, data in members(source, lambda name: named.search(name) is not None):
        match = named.search(name)
        assert match is not None
        key, into = (name.rpartition("/")[0], match[1], match[2]), traces if match[3] else results
        try:
            into[key] = _checked(data, name, trace=bool(match[3]))
        except UserError as error:
            problems.append(str(error))
    records = [_record(key, results.get(key), traces.get(key)) for key in sorted(results | traces)]
    if not records and not may_be_empty:
        tried = f"; {problems[0]}" if problems else ""
        raise UserError(
            f"{shown_name(source)}: no knapsack-<task>.json (or another family's) in it{tried}"
        )
    notes = (
        f"{shown_name(task_id)}: a trace without its result file; it is counted with no score"
        for _, _, task_id in sorted(traces.keys() - results.keys())
    )
    return Found(str(source), tuple(records), tuple(problems), tuple(notes))


def json_object(data: bytes, name: str) -> dict[str, Any]:
    """The object that a JSON file holds. Raises UserError naming the file and what is wrong: empty,
    cut short, another encoding, something else than an object."""
    shown = shown_name(name)
    if not data.strip():
        raise UserError(f"{shown}: the file is empty; fetch it again")
    try:
        found = json.loads(data)
    except UnicodeDecodeError:
        raise UserError(f"{shown}: not UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise UserError(f"{shown}: nested too deep to be read") from None
    except ValueError as error:
        raise UserError(f"{shown}: no whole JSON ({shown_name(error)}); fetch it again") from None
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise UserError(f"{shown}: holds a {kind} where an object is expected")
    return found


def _checked(data: bytes, name: str, trace: bool) -> Mapping[str, Any]:
    """The parts that are read must have the shapes that are documented."""
    found = json_object(data, name)
    result = found.get("result")
    parts: list[tuple[str, Any, type]] = [
        ("result", result, dict),
        ("metrics", as_object(result).get("metrics"), dict),
    ]
    if trace:
        parts = [("summary", found.get("summary"), dict), ("events", found.get("events"), list)]
    elif found.get("status") not in STATUSES:
        status = f"{found.get('status')!r:.60}"
        raise UserError(f"{shown_name(name)}: status {status} is none of {', '.join(STATUSES)}")
    for part, value, kind in parts:
        if not isinstance(value, (kind, NoneType)):
            raise UserError(f"{shown_name(name)}: {part} is no {kind.__name__}")
    return found


def _record(key: tuple[str, str, str], result: Any, trace: Any) -> Record:
    folder, family, task_id = key
    named = CELL.search(f"/{folder}/")
    words = [SPELLINGS.get(word, word) for word in named.groups()] if named else []
    result = result or {"status": "error"}
    outcome = as_object(result.get("result"))
    solved = outcome.get("is_solved")
    begin, end = as_number(result.get("started_at")), as_number(result.get("finished_at"))
    return Record(
        family,
        task_id,
        Cell(family, *words) if words else None,  # type: ignore[arg-type]
        result["status"],
        solved if isinstance(solved, bool) else None,
        as_number(outcome.get("score")),
        numbers(outcome.get("metrics")),
        trace,
        None if begin is None or end is None or end <= begin else end - begin,
    )


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers of a JSON object, by name."""
    found = {name: as_number(number) for name, number in as_object(value).items()}
    return {name: number for name, number in found.items() if number is not None}


def as_object(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_count(value: Any) -> int:
    """A number of things; 0 for anything else."""
    number = as_number(value)
    return int(number) if number is not None and 0 <= number < LARGEST_COUNT else 0


def as_number(value: Any) -> float | None:
    """A finite number that sums can be made of; None for anything else."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if usable and abs(value) < LARGEST_NUMBER else None  # NaN is not below
