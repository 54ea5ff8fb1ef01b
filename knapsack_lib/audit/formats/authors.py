"""Files in the layout of the paper's authors: <family>-<task>.trace.json with its events, and
traces.jsonl with a conversation in each line, in folders that name a family and a regime. Result and
task files lie beside traces.

Exactly one block of a reply was run, as everywhere in this project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.episodes import transcript_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.episodes import Episode
from knapsack_lib.profiles import Cell
from knapsack_lib.published.chats import read_chats
from knapsack_lib.published.episodes import ANY_CELL, to_episode
from knapsack_lib.published.layout import known_families
from knapsack_lib.published.records import Record

IMPORTED = frozenset({"json"})  # their blocks use it, and none imports it


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    where = file.where
    words = where.cell or ("teacher", where.regime or ANY_CELL.runtime, ANY_CELL.difficulty)
    cell = Cell(where.family or ANY_CELL.family, *words)
    for place, value in file.values(problems.add):
        if _has_events(value):
            trace = value.get("trace", value)
            yield _transcript(to_episode(Record(cell.family, "", cell, trace=trace)), place)
            continue
        data = json.dumps(value).encode()
        episodes, lines = read_chats(file.name.removesuffix(".gz"), data, cell, where.above)
        for line in lines:
            problems.add(f"{place}: {line.partition(': ')[2]}")
        for episode in episodes:
            yield _transcript(episode, place)


def _transcript(episode: Episode, place: str) -> Transcript:
    found = transcript_of(episode, place)
    return replace(found, provided=found.provided | IMPORTED)


def _has_events(value: Any) -> bool:
    trace = value.get("trace", value) if isinstance(value, dict) else None
    events = trace.get("events") if isinstance(trace, dict) else None
    return isinstance(events, list) and any(
        isinstance(one, dict) and isinstance(one.get("data"), dict) and "type" in one
        for one in events
    )


def knows(sample: Sample) -> bool:
    if _has_events(sample.first):
        return True
    named = sample.where.family_folder is not None and sample.where.regime is not None
    return named and sample.kind == "jsonl" and "messages" in sample.names


FORMAT = Format(
    "authors",
    "files of the paper's authors (*.trace.json, traces.jsonl)",
    read,
    keys=(frozenset({"events", "summary"}),),
    knows=knows,
    beside=rf"(^|/)(({'|'.join(known_families())})-[^/]*|summary)\.json$",
)
