"""Everything that a published source holds, as episodes: result and trace files, training traces,
archives, data sets.

found = read_source("benchmarks/", cell=Cell("knapsack", "published", "persistent", "easy"))
found.episodes, found.seconds, found.notes
write_stores(found, Path("runs/theirs"))
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import SPELLINGS, UserError, check_choice
from knapsack_lib.hub import ID, fetched
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, Cell
from knapsack_lib.published.chats import UNNAMED, read_chats
from knapsack_lib.published.episodes import ANY_CELL, to_episode
from knapsack_lib.published.files import (
    ARCHIVES,
    is_archive,
    is_litter,
    members,
    must_be_new,
    plain_name,
    shown_name,
    written_whole,
)
from knapsack_lib.published.layout import folders_above
from knapsack_lib.published.records import CHATS, read_records

__all__ = ["Imported", "read_source", "write_stores"]

LINES = 20  # problems of one file that are listed
PLAIN = re.compile(r"[A-Za-z0-9_-]+")  # it becomes a part of a folder's name


@dataclass(frozen=True)
class Imported:
    """`seconds` goes with `episodes`: None where no clock was kept. `notes` list what could not be
    read or is not recorded; `left_out` counts the files and lines that could not be read."""

    episodes: tuple[Episode, ...]
    seconds: tuple[float | None, ...]
    notes: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class _Row:
    """An episode, its seconds, and where in the source it was found."""

    episode: Episode
    seconds: float | None
    place: str


class _Part(NamedTuple):
    rows: list[_Row]
    notes: list[str]
    left_out: int


def read_source(source: str | Path, cell: Cell = ANY_CELL) -> Imported:
    """Read a path or a data set id; archives inside a folder are read too.

    `cell` is for files whose folders and names say nothing. An episode_id that several episodes of a
    cell have gets the place of each, and task ids stay. Raises UserError when there is nothing, and
    for a cell that is none.
    """
    for name, word in (("train", cell.train), ("family", cell.family)):
        if not PLAIN.fullmatch(word):
            raise UserError(f"{name} = {word!r:.80} is no plain word; use letters, digits, _ and -")
    cell = replace(
        cell,
        train=SPELLINGS.get(cell.train, cell.train),
        runtime=check_choice("runtime", cell.runtime, RUNTIMES),
        difficulty=check_choice("difficulty", cell.difficulty, DIFFICULTIES),
    )
    path = _local(source)
    places = [path]
    if path.is_dir():
        inner = ((one, one.relative_to(path).as_posix()) for one in sorted(path.rglob("*")))
        places += [
            one
            for one, name in inner
            if name.endswith(ARCHIVES) and not is_litter(name) and one.is_file()
        ]
    parts = [part for place in places for part in _read(place, path, cell)]
    notes = [note for part in parts for note in part.notes]
    rows, twice = _distinct([row for part in parts for row in part.rows])
    if not rows:
        tried = f"; {notes[0]}" if notes else ""
        raise UserError(
            f"{shown_name(source)}: no knapsack-<task>.json and no .jsonl with conversations in it{tried}"
        )
    if twice:
        notes.append(
            f"{twice} episodes have an id that is in their cell already: @<place> was added; import"
            " different conditions one by one, or name their folders after their cells"
        )
    return Imported(
        tuple(row.episode for row in rows),
        tuple(row.seconds for row in rows),
        tuple(notes),
        sum(part.left_out for part in parts),
    )


def _distinct(rows: list[_Row]) -> tuple[list[_Row], int]:
    """The rows, and how many of them got another id since it stood for several episodes of a cell:
    a store has room for one of each."""

    def key(row: _Row) -> tuple[Any, ...]:
        one = row.episode
        return one.train, one.runtime, one.difficulty, one.train_seed, one.episode_id

    times = Counter(map(key, rows))
    named = [
        replace(
            row, episode=replace(row.episode, episode_id=f"{row.episode.episode_id}@{row.place}")
        )
        if times[key(row)] > 1
        else row
        for row in rows
    ]
    return named, sum(count for count in times.values() if count > 1)


def _local(source: str | Path) -> Path:
    path = Path(source)
    if not path.exists() and not ID.fullmatch(str(source)):
        raise UserError(
            f"{shown_name(source)}: no such folder, archive or file, and no data set id (owner/name)"
        )
    return path if path.exists() else fetched(str(source), "dataset")


def _read(place: Path, source: Path, cell: Cell) -> Iterator[_Part]:
    """What a folder, an archive or a file of the source holds; archives in a folder are places of
    their own."""
    inside = place.relative_to(source).as_posix() if place != source else ""
    if not CHATS.search(place.name):
        found = read_records(place, may_be_empty=True)
        untraced = sum(record.trace is None for record in found.records)
        note = f"{untraced} episodes have no trace: their turns and tokens count as 0"
        yield _Part(
            [
                _Row(to_episode(one, cell), one.seconds, _joined(inside, one.folder, one.family))
                for one in found.records
            ],
            [*([note] if untraced else []), *found.problems, *found.notes],
            len(found.problems),
        )
    if place.is_dir() or is_archive(place) or CHATS.search(place.name):
        above = folders_above(place)
        for name, data in members(place, lambda name: CHATS.search(name) is not None):
            chats, problems = read_chats(name, data, cell, above)
            unnamed = sum(UNNAMED.search(episode.task_id) is not None for episode in chats)
            note = f"{shown_name(name)}: conversations record no tokens: they count as 0"
            if unnamed:
                note += (
                    f"; {unnamed} have no task id: they are called after their lines, and are not"
                    " paired with those of another file"
                )
            yield _Part(
                [_Row(episode, None, _joined(inside, name)) for episode in chats],
                [*([note] if chats else []), *problems[:LINES]],
                len(problems),
            )


def _joined(*parts: str) -> str:
    """A place in the source. A family's folder is not named twice."""
    path = "/".join(filter(None, parts))
    return re.sub(r"(^|/)([^/]+)/\2$", r"\1\2", path)


def write_stores(found: Imported, out: Path) -> list[Path]:
    """A store per cell, OUT/<train>-<runtime>-<difficulty>/: episodes.jsonl, and timings.jsonl
    where clocks were kept. Several families: OUT/<family>/ holds those of each.

    Whole or not at all. Raises UserError when `out` is there already, or a cell's word cannot be in
    a folder's name.
    """
    must_be_new(out)
    several = len({episode.family for episode in found.episodes}) > 1
    cells: dict[Path, list[tuple[Episode, float | None]]] = {}
    for episode, seconds in zip(found.episodes, found.seconds, strict=True):
        name = plain_name(f"{episode.train}-{episode.runtime}-{episode.difficulty}", "the cell")
        family = plain_name(episode.family, "family") if several else ""
        cells.setdefault(Path(family, name), []).append((episode, seconds))
    if not cells:
        raise UserError("there is no episode to write")
    with written_whole(out) as part:
        for place, rows in cells.items():
            _write_store(part / place, rows)
    return [out / place for place in sorted(cells)]


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
