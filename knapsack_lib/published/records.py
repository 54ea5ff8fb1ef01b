"""The authors' result and trace files as records: what each holds, and what is wrong with it.

    found = read_records("benchmarks/persistent_stateless_easy")
    found.records        # a Record per task, sorted
    found.problems       # a line per file that could not be read

A result file is <family>-<task_id>.json, its trace <family>-<task_id>.trace.json; either may be
missing. A family that is unknown here is taken for one in the benchmark layout (layout.py), and
where there is a trace.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from knapsack_lib.errors import UserError
from knapsack_lib.profiles import Cell
from knapsack_lib.published.files import members, shown_name
from knapsack_lib.published.layout import Place, folders_above, known_families
from knapsack_lib.published.observations import step_calls

__all__ = [
    "CHATS",
    "Found",
    "Record",
    "as_count",
    "as_number",
    "as_object",
    "json_object",
    "numbers",
    "read_records",
]

CHATS = re.compile(r"\.jsonl(\.gz)?$")  # of training traces
HALVES = re.compile(r"\\ud[89a-f]", re.I)
NAMED = re.compile(r"(?:([A-Za-z_]\w*)-)?([^/]+?)(\.trace)?\.json$")
TASK = {"public", "private"}  # in a task file, which has the name of a result file
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
    folder: str = ""  # within the source

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
        return as_count(as_object(self.usage).get("total_tokens"))

    @property
    def usage(self) -> Any:
        """The summary's token usage: None where an episode ended before its first reply."""
        return self.summary.get("token_usage")

    @property
    def tool_calls(self) -> float:
        """Calls that the trace lists, as those of a ReAct agent do; NaN where it lists none."""
        steps = [as_object(step.get("interpreter_result")) for step in self.step_events]
        listed = [calls for calls in map(step_calls, steps) if calls is not None]
        return sum(map(len, listed)) if listed else math.nan


@dataclass(frozen=True)
class Found:
    """Everything that a source holds. `problems` are files that could not be read; `notes` is what
    else is missing."""

    source: str
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Key(NamedTuple):
    folder: str
    family: str
    task_id: str


class _File(NamedTuple):
    """What a name says. `certain`: it can be no other file, so that damage to it is a problem;
    `placed`: it lies in its family's folder."""

    key: _Key
    is_trace: bool
    certain: bool
    placed: bool


def _named(place: Place, known: Collection[str]) -> _File | None:
    folder, _, name = place.name.rpartition("/")
    match, placed = NAMED.fullmatch(name), place.family_folder
    if match is None or name == "summary.json":
        return None
    family, task_id, trace = match.groups()
    certain = family is not None and (family in known or family == placed)
    if not certain and placed is not None:  # no family in the name
        family, task_id = placed, name.removesuffix(".json").removesuffix(".trace")
    if family is None:
        return None
    return _File(_Key(folder, family, task_id), bool(trace), certain, placed is not None)


def read_records(source: str | Path, may_be_empty: bool = False) -> Found:
    """Read every episode of a folder or archive. A file that cannot be read becomes a line of
    `problems`; a source without any episode raises UserError (unless it may be empty)."""
    above, known = folders_above(source), frozenset(known_families())
    results: dict[_Key, Mapping[str, Any]] = {}
    traces: dict[_Key, Mapping[str, Any]] = {}
    problems, guessed, conversations = [], set(), []

    def wanted(name: str) -> bool:
        conversations.extend([name] if CHATS.search(name) else [])
        return _named(Place(name, above), known) is not None

    for name, data in members(source, wanted):
        file = _named(Place(name, above), known)
        assert file is not None  # it was wanted
        try:
            found = _checked(data, name, file.is_trace)
        except UserError as error:
            if file.certain:
                problems.append(str(error))
            continue
        if file.is_trace and (file.certain or found.keys() & {"summary", "events"}):
            traces[file.key] = found
        elif not file.is_trace and not found.keys() >= TASK:
            results[file.key] = found
            guessed |= set() if file.certain or file.placed else {file.key}
    results = {key: found for key, found in results.items() if key in traces or key not in guessed}
    records = [
        _record(key, results.get(key), traces.get(key), above) for key in sorted(results | traces)
    ]
    if not records and not may_be_empty:
        tried = f"; {problems[0]}" if problems else ""
        if conversations:
            tried = (
                f"; conversations ({shown_name(conversations[0])}) are for knapsack import, and are not"
                " paired: the number of a line is no task id"
            )
        raise UserError(
            f"{shown_name(source)}: no knapsack-<task>.json (or another family's) in it{tried}"
        )
    notes = (
        f"{shown_name(key.task_id)}: a trace without its result file; it is counted with no score"
        for key in sorted(traces.keys() - results.keys())
    )
    return Found(str(source), tuple(records), tuple(problems), tuple(notes))


def json_object(data: bytes, name: str) -> dict[str, Any]:
    """The object that a JSON file holds. Raises UserError naming the file and what is wrong: empty,
    cut short, another encoding, something else than an object."""
    shown = shown_name(name)
    if not data.strip():
        raise UserError(f"{shown}: the file is empty; fetch it again")
    try:
        text = data.decode(json.detect_encoding(data))
        found = json.loads(text)
        if HALVES.search(text):  # half a character, which JSON can spell and no file can hold
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
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
    elif found.get("status") not in STATUSES and not found.keys() >= TASK:
        status = f"{found.get('status')!r:.60}"
        raise UserError(f"{shown_name(name)}: status {status} is none of {', '.join(STATUSES)}")
    for part, value, kind in parts:
        if not isinstance(value, (kind, NoneType)):
            raise UserError(f"{shown_name(name)}: {part} is no {kind.__name__}")
    return found


def _record(key: _Key, result: Any, trace: Any, above: tuple[str, ...]) -> Record:
    words = Place(f"{key.folder}/", above).cell
    result = result or {"status": "error"}
    outcome = as_object(result.get("result"))
    solved = outcome.get("is_solved")
    begin, end = as_number(result.get("started_at")), as_number(result.get("finished_at"))
    return Record(
        key.family,
        key.task_id,
        Cell(key.family, *words) if words else None,
        result["status"],
        solved if isinstance(solved, bool) else None,
        as_number(outcome.get("score")),
        numbers(outcome.get("metrics")),
        trace,
        None if begin is None or end is None or end <= begin else end - begin,
        key.folder,
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
