"""Everything that a published source holds, as episodes: result and trace files, training traces,
archives, data sets.

found = read_source("benchmarks/", cell=Cell("knapsack", "published", "persistent", "easy"))
found.episodes, found.seconds, found.notes
write_stores(found, Path("runs/theirs"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import SPELLINGS, UserError, check_choice
from knapsack_lib.hub import ID, fetched
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, Cell
from knapsack_lib.published.chats import CHATS, read_chats
from knapsack_lib.published.episodes import ANY_CELL, to_episode
from knapsack_lib.published.files import (
    is_archive,
    members,
    must_be_new,
    plain_name,
    shown_name,
    written_whole,
)
from knapsack_lib.published.records import read_records

__all__ = ["Imported", "read_source", "write_stores"]

LINES = 20  # problems of one file that are listed
TRAIN = re.compile(r"[A-Za-z0-9_-]+")  # it becomes a part of a folder's name


@dataclass(frozen=True)
class Imported:
    """`seconds` goes with `episodes`: None where no clock was kept. `notes` list what could not be
    read or is not recorded; `left_out` counts the files and lines that could not be read."""

    episodes: tuple[Episode, ...]
    seconds: tuple[float | None, ...]
    notes: tuple[str, ...] = ()
    left_out: int = 0


def read_source(source: str | Path, cell: Cell = ANY_CELL) -> Imported:
    """Read a path or a data set id; archives inside a folder are read too.

    `cell` is for files whose folder names none. Raises UserError when there is nothing, and for a
    cell that is none.
    """
    if not TRAIN.fullmatch(cell.train):
        raise UserError(
            f"train = {cell.train!r:.80} is no plain word; use letters, digits, _ and -"
        )
    cell = replace(
        cell,
        train=SPELLINGS.get(cell.train, cell.train),
        runtime=check_choice("runtime", cell.runtime, RUNTIMES),
        difficulty=check_choice("difficulty", cell.difficulty, DIFFICULTIES),
    )
    path = _local(source)
    places = [path]
    if path.is_dir():
        places += [
            one
            for one in sorted(path.rglob("*"))
            if one.is_file() and one.name.endswith((".tar", ".tar.gz", ".tgz"))
        ]
    parts = [part for place in places for part in _read(place, cell)]
    notes = tuple(note for part in parts for note in part.notes)
    if not any(part.episodes for part in parts):
        tried = f"; {notes[0]}" if notes else ""
        raise UserError(
            f"{shown_name(source)}: no knapsack-<task>.json and no .jsonl with conversations in it{tried}"
        )
    return Imported(
        tuple(episode for part in parts for episode in part.episodes),
        tuple(seconds for part in parts for seconds in part.seconds),
        notes,
        sum(part.left_out for part in parts),
    )


def _local(source: str | Path) -> Path:
    path = Path(source)
    if not path.exists() and not ID.fullmatch(str(source)):
        raise UserError(
            f"{shown_name(source)}: no such folder, archive or file, and no data set id (owner/name)"
        )
    return path if path.exists() else fetched(str(source), "dataset")


def _read(place: Path, cell: Cell) -> Iterator[Imported]:
    if not CHATS.search(place.name):
        found = read_records(place, may_be_empty=True)
        untraced = sum(record.trace is None for record in found.records)
        note = f"{untraced} episodes have no trace: their turns and tokens count as 0"
        yield Imported(
            tuple(to_episode(record, cell) for record in found.records),
            tuple(record.seconds for record in found.records),
            (*([note] if untraced else []), *found.problems, *found.notes),
            len(found.problems),
        )
    if place.is_dir() or is_archive(place) or CHATS.search(place.name):
        for name, data in members(place, lambda name: CHATS.search(name) is not None):
            chats, problems = read_chats(name, data, cell.runtime)
            note = f"{shown_name(name)}: conversations record no tokens: they count as 0"
            notes = [*([note] if chats else []), *problems[:LINES]]
            yield Imported(tuple(chats), (None,) * len(chats), tuple(notes), len(problems))


def write_stores(found: Imported, out: Path) -> list[Path]:
    """A store per cell, OUT/<train>-<runtime>-<difficulty>/: episodes.jsonl, and timings.jsonl
    where clocks were kept.

    Whole or not at all. Raises UserError when `out` is there already, or a cell's word cannot be in
    a folder's name.
    """
    must_be_new(out)
    cells: dict[str, list[tuple[Episode, float | None]]] = {}
    for episode, seconds in zip(found.episodes, found.seconds, strict=True):
        name = plain_name(f"{episode.train}-{episode.runtime}-{episode.difficulty}", "the cell")
        cells.setdefault(name, []).append((episode, seconds))
    if not cells:
        raise UserError("there is no episode to write")
    with written_whole(out) as part:
        for name, rows in cells.items():
            _write_store(part / name, rows)
    return [out / name for name in sorted(cells)]


def _write_store(folder: Path, rows: list[tuple[Episode, float | None]]) -> None:
    folder.mkdir(parents=True)
    rows.sort(key=lambda row: (row[0].train_seed, row[0].episode_id))
    lines = {
        "episodes": [episode.to_line() for episode, _ in rows],
        "timings": [
            json.dumps({"episode_id": episode.episode_id, "seconds": round(seconds, 3)})
            for episode, seconds in rows
            if seconds is not None
        ],
    }
    for name, found in lines.items():
        if found:
            (folder / f"{name}.jsonl").write_text("\n".join(found) + "\n", encoding="utf-8")
