"""Everything that a published source holds, as episodes: result and trace files, training traces,
archives, data sets.

found = read_source("benchmarks/", cell=("published", "persistent", "easy"))
found.episodes, found.seconds, found.notes
write_stores(found, Path("runs/theirs"))
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import SPELLINGS, UserError, check_choice
from knapsack_lib.hub import ID, fetched
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES
from knapsack_lib.published.chats import CHATS, read_chats
from knapsack_lib.published.episodes import to_episode
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

LINES = 20  # problems of one file that are told
ANY_CELL = ("published", "persistent", "easy")
TRAIN = re.compile(r"[A-Za-z0-9_-]+")  # it becomes a part of a folder's name


@dataclass(frozen=True)
class Imported:
    """`seconds` goes with `episodes`: None where no clock was kept. `notes` say what could not be
    read or is not recorded."""

    episodes: tuple[Episode, ...]
    seconds: tuple[float | None, ...]
    notes: tuple[str, ...] = ()


def read_source(source: str | Path, cell: tuple[str, str, str] = ANY_CELL) -> Imported:
    """Read a path or a data set id; archives inside a folder are read too.

    `cell` (train, runtime, difficulty) is for files whose folder does not say. Raises UserError
    when there is nothing, and for a cell that is none.
    """
    cell, path = _canonical(cell), _local(source)
    places = [path]
    if path.is_dir():
        places += [
            one
            for one in sorted(path.rglob("*"))
            if one.is_file() and one.name.endswith((".tar", ".tar.gz", ".tgz"))
        ]
    parts = [part for place in places for part in _read(place, cell)]
    if not any(part.episodes for part in parts):
        tried = next((f"; {note}" for part in parts for note in part.notes), "")
        raise UserError(
            f"{shown_name(source)}: no knapsack-<task>.json and no .jsonl with conversations in it{tried}"
        )
    episodes = tuple(episode for part in parts for episode in part.episodes)
    seconds = tuple(second for part in parts for second in part.seconds)
    return Imported(episodes, seconds, tuple(note for part in parts for note in part.notes))


def _canonical(cell: tuple[str, str, str]) -> tuple[str, str, str]:
    train, runtime, difficulty = cell
    if not TRAIN.fullmatch(train):
        raise UserError(f"train = {train!r:.80} is no plain word; use letters, digits, _ and -")
    runtime = check_choice("runtime", runtime, RUNTIMES)
    return (
        SPELLINGS.get(train, train),
        runtime,
        check_choice("difficulty", difficulty, DIFFICULTIES),
    )


def _local(source: str | Path) -> Path:
    path = Path(source)
    if path.exists():
        return path
    if not ID.fullmatch(str(source)):
        raise UserError(
            f"{shown_name(source)}: no such folder, archive or file, and no data set id (owner/name)"
        )
    return fetched(str(source), "dataset")


def _read(place: Path, cell: tuple[str, str, str]) -> list[Imported]:
    found = []
    if not CHATS.search(place.name):
        records = read_records(place, may_be_empty=True)
        episodes = tuple(to_episode(record, cell) for record in records.records)
        untraced = sum(record.trace is None for record in records.records)
        lacking = (
            (f"{untraced} episodes have no trace: their turns and tokens count as 0",)
            if untraced
            else ()
        )
        seconds = tuple(record.seconds for record in records.records)
        found.append(Imported(episodes, seconds, (*lacking, *records.problems)))
    if place.is_dir() or is_archive(place) or CHATS.search(place.name):
        for name, data in members(place, lambda name: CHATS.search(name) is not None):
            chats, problems = read_chats(name, data, cell[1])
            if chats:
                problems = [
                    f"{shown_name(name)}: conversations record no tokens: they count as 0",
                    *problems,
                ]
            found.append(Imported(tuple(chats), (None,) * len(chats), tuple(problems[:LINES])))
    return [part for part in found if part.episodes or part.notes]


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
        for name, rows in sorted(cells.items()):
            _write_store(part / name, rows)
    return [out / name for name in sorted(cells)]


def _write_store(folder: Path, rows: list[tuple[Episode, float | None]]) -> None:
    folder.mkdir(parents=True)
    rows.sort(key=lambda row: (row[0].train_seed, row[0].episode_id))
    (folder / "episodes.jsonl").write_text(
        "".join(e.to_line() + "\n" for e, _ in rows), encoding="utf-8"
    )
    timed = [{"episode_id": e.episode_id, "seconds": round(s, 3)} for e, s in rows if s is not None]
    if timed:
        (folder / "timings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in timed))
