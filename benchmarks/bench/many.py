"""Studies of any size, made of the committed episodes again and again under new names: for what
grows with their number."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import ROOT

from knapsack_lib.store import EpisodeStore

COMMITTED = ROOT / "results" / "pocket-seeds"


def records() -> list[dict[str, Any]]:
    """The committed episodes with one adapter of each regime: ten cells' worth, and the base's two,
    by task."""
    with gzip.open(COMMITTED / "cells.jsonl.gz", "rt", encoding="utf-8") as file:
        return [record for record in map(json.loads, file) if record["train_seed"] <= 1]


def renamed(count: int) -> Iterator[dict[str, Any]]:
    """`count` episodes: whole rounds of tasks, each task in all its cells."""
    tasks = {
        name: list(group)
        for name, group in itertools.groupby(records(), lambda r: (r["difficulty"], r["task_id"]))
    }
    made = 0
    for number in itertools.count():
        for (difficulty, _), group in tasks.items():
            for record in group:
                if made == count:
                    return
                made += 1
                name = f"knapsack-{difficulty}-{number:03d}{record['task_id'][-5:]}"
                yield record | {"task_id": name, "episode_id": name}


def line(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n"


def write_cells(path: Path, count: int) -> None:
    """A cells.jsonl.gz of that many episodes."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.writelines(line(record) for record in renamed(count))


def write_store(folder: Path, key: str, names: list[str]) -> None:
    """A store of one cell with these episodes, as a run that was stopped left it: not in order, not
    closed."""
    cell = [
        r
        for r in records()
        if (r["train"], r["runtime"], r["difficulty"]) == ("reset", "reset", "easy")
    ]
    with EpisodeStore(folder, key) as store:
        place = store.place
    with (
        open(place / "episodes.jsonl", "w", encoding="utf-8") as file,
        open(place / "timings.jsonl", "w", encoding="utf-8") as clock,
    ):
        for name, record in zip(reversed(names), itertools.cycle(cell), strict=False):
            file.write(line(record | {"task_id": name, "episode_id": name}))
            clock.write(json.dumps({"episode_id": name, "seconds": 1.0}) + "\n")
