"""Which episodes there are, found without reading more of them than is shown.

    catalogue = open_catalogue("pocket", "runs/other/cells/base-reset-easy")
    rows = catalogue.find(train="persistent", runtime="reset", text="NameError")
    episode = catalogue.open(rows.index[0])

A source is a profile's name, a folder of a run, a store, a results folder, or files in the authors'
formats (a folder, an archive, a data set id). The index holds a row per episode; the episodes
themselves stay on disk (or compressed text in memory) until one is opened.
"""

from __future__ import annotations

import gzip
import json
import math
import mmap
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.analysis.metrics import CELL, episode_frame, labels
from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.families import Task, family_named
from knapsack_lib.files import project_root
from knapsack_lib.profiles import Run, load_profile
from knapsack_lib.published.reading import read_source
from knapsack_lib.store import find_stores, read_timings

__all__ = ["Catalogue", "open_catalogue"]

COLUMNS = [
    "train",
    "runtime",
    "difficulty",
    "train_seed",
    "task_id",
    "score",
    "solved",
    "finish_reason",
    "failure",
    "steps",
    "tokens",
    "missing_variable",
    "first_missing_turn",
    "errors",
    "tool_calls",
    "items_taken",
]
QUICK = ("score", "tokens", "steps", "errors")


@dataclass
class Source:
    """One file of episodes: where each line begins and ends, and what its tasks are drawn from."""

    name: str
    data: bytes | mmap.mmap
    spans: list[tuple[int, int]]
    sizes: dict[str, str] = field(
        default_factory=dict
    )  # difficulty -> size in the family; empty: not known
    seed: int = 0
    family: str = ""
    notes: tuple[str, ...] = ()  # what could not be read, or is not recorded

    def line(self, number: int) -> bytes:
        start, end = self.spans[number]
        return bytes(self.data[start:end])


class Catalogue:
    """`frame` has a row per episode with the columns of COLUMNS, `run` and `seconds`; its index is
    the episode's place."""

    def __init__(
        self, sources: Sequence[Source], frame: pd.DataFrame, places: Sequence[tuple[int, int]]
    ):
        self.sources, self.frame, self._places = list(sources), frame, list(places)

    def __len__(self) -> int:
        return len(self.frame)

    def open(self, place: int) -> Episode:
        """Read one episode."""
        source, number = self._places[place]
        return _episode(self.sources[source].line(number))

    def task(self, place: int) -> Task | None:
        """The episode's task, drawn again from its seed; None where the source does not say from
        what."""
        source = self.sources[self._places[place][0]]
        row = self.frame.loc[place]
        found = re.fullmatch(r".*-(train|validation|easy|medium)-(\d+)", row.task_id)
        if not source.sizes or not found:
            return None
        split = found[1]
        size = source.sizes[split if split in source.sizes else "easy"]
        task = family_named(source.family).make_task(
            size, seed=source.seed, split=split, index=int(found[2])
        )
        return task if task.task_id == row.task_id else None

    def find(
        self, text: str = "", order: str = "", descending: bool = False, **wanted: Any
    ) -> pd.DataFrame:
        """Rows that match. `wanted`: a column's value, a tuple (lowest, highest), or None for any;
        `text` is looked for in all messages, in any case. Raises UserError for a column that does
        not exist."""
        unknown = [name for name in [*wanted, *filter(None, [order])] if name not in self.frame]
        if unknown:
            raise UserError(
                f"episodes have no column {unknown[0]!r}; choose one of: {', '.join(self.frame)}"
            )
        rows = self.frame
        for name, value in wanted.items():
            if isinstance(value, tuple):
                rows = rows[rows[name].between(*value)]
            elif value is not None:
                rows = rows[rows[name] == value]
        if text:
            rows = rows[
                pd.Series(
                    [self._says(place, text) for place in rows.index], index=rows.index, dtype=bool
                )
            ]
        return rows.sort_values(order, ascending=not descending, kind="stable") if order else rows

    def _says(self, place: int, text: str) -> bool:
        source, number = self._places[place]
        start, end = self.sources[source].spans[number]
        if text.isascii():  # as it stands in a line of JSON: most lines need not be read
            inside = re.escape(json.dumps(text)[1:-1]).encode()
            if re.compile(inside, re.I).search(self.sources[source].data, start, end) is None:
                return False
        told = json.loads(self.sources[source].line(number))
        said = [message["content"] for message in told["opening"]]
        said += [
            part for turn in told["turns"] for part in (turn["reply"], turn["observation"]) if part
        ]
        wanted = text.casefold()
        return any(wanted in part.casefold() for part in said)

    def same_task(self, place: int) -> pd.DataFrame:
        """The other episodes of the same task in the same run."""
        mine = self.frame.loc[place]
        rows = self.frame[(self.frame.task_id == mine.task_id) & (self.frame.run == mine.run)]
        return rows.drop(index=place)


def open_catalogue(
    *sources: str | Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Catalogue:
    """Index the episodes of every source. Raises UserError for a source that holds none, naming
    what makes them."""
    if not sources or not all(map(str, sources)):
        raise UserError("no source was given; give a profile's name, a run's folder or a store")
    files = [entry for source in sources for entry in _files(str(source))]
    opened: list[Source] = []
    frames, places = [], []
    for number, (name, path, run) in enumerate(files):
        source, episodes, clock = _index(name, path, run) if path else _foreign(name)
        frame = episode_frame(episodes)[COLUMNS]
        order = {tuple(labels(episode).values()): i for i, episode in enumerate(episodes)}
        keys = list(
            zip(
                frame.train,
                frame.runtime,
                frame.difficulty,
                frame.train_seed,
                frame.task_id,
                strict=True,
            )
        )
        places += [(number, order[key]) for key in keys]
        seconds = _seconds(path, frame) if path else [clock[order[key]] for key in keys]
        frames.append(frame.assign(run=source.name, seconds=seconds))
        opened.append(source)
        progress(number + 1, len(files))
    return Catalogue(opened, pd.concat(frames, ignore_index=True), places)


def _foreign(given: str) -> tuple[Source, list[Episode], list[float]]:
    """A source in the authors' formats."""
    try:
        found = read_source(given)
    except UserError as error:
        raise UserError(f"no episodes in {given} ({error}); run first: make paper") from None
    lines = [episode.to_line().encode() for episode in found.episodes]
    spans, start = [], 0
    for line in lines:
        spans.append((start, start + len(line)))
        start += len(line) + 1
    source = Source(Path(given).name, b"\n".join(lines), spans, notes=found.notes)
    return source, list(found.episodes), [math.nan if s is None else s for s in found.seconds]


def _index(name: str, path: Path, run: Run | None) -> tuple[Source, list[Episode], list[float]]:
    data: bytes | mmap.mmap
    if path.suffix == ".gz":
        data = gzip.decompress(path.read_bytes())
    else:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    spans, start = [], 0
    while (
        end := data.find(b"\n", start)
    ) >= 0:  # a last line without its end was cut short by a kill
        spans.append((start, end))
        start = end + 1
    source = Source(name, data, spans)
    if run:
        source.sizes = {
            str(difficulty): size for difficulty, size in run.profile.difficulties.items()
        }
        source.seed, source.family = run.seed, run.profile.family
    return source, [_episode(source.line(i)) for i in range(len(spans))], []


def _files(given: str) -> list[tuple[str, Path | None, Run | None]]:
    """(name of the run, file, the run) for everything that a source holds; no file where it is in
    the authors' formats."""
    root, path, run = project_root(), Path(given), None
    if not path.exists() and (root / "params" / f"{given}.yaml").is_file():
        run = load_profile(given).run()
        played = any(find_stores(run.root))
        path = run.root if played else run.published_root / "results" / run.profile.name
    if path.is_file():
        ours = path.name.startswith(("episodes.jsonl", "cells.jsonl"))
        found = [path] if ours and _begun(path) else []
    else:
        found = [p for p in find_stores(path) if _begun(p)]
        found = found or sorted(path.glob("cells.jsonl.gz"))
    if not found and run is None:
        return [(given, None, None)]
    if not found:
        raise UserError(f"no episodes in {given}; run first: make paper PROFILE={given}")
    name = run.profile.name if run else path.name
    return [(name, file, run or _run_of(file)) for file in found]


def _seconds(path: Path, frame: pd.DataFrame) -> list[float]:
    """Wall-clock of every episode of a frame; NaN where nobody kept it."""
    beside = path.with_name("timings.csv")
    if path.name == "episodes.jsonl":
        known = read_timings(path.parent)
        return [known.get(task, math.nan) for task in frame.task_id]
    if not beside.exists():
        return [math.nan] * len(frame)
    keys = [*CELL, "train_seed", "task_id"]
    return frame[keys].merge(pd.read_csv(beside), on=keys, how="left").seconds.tolist()


def _begun(file: Path) -> bool:
    """Whether there is a whole line in it, or it is compressed."""
    with open(file, "rb") as lines:
        return file.suffix == ".gz" or lines.readline().endswith(b"\n")


def _episode(line: bytes) -> Episode:
    """An episode of a line. Half a character (a lone surrogate, which JSON can spell) becomes a
    question mark."""
    if re.search(rb"\\ud[89a-f]", line, re.I):
        line = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
    return Episode.from_line(line.decode())


def _run_of(file: Path) -> Run | None:
    """The run that a store lies in, from the record beside it."""
    record = file.parent / "provenance.json"
    try:
        made = json.loads(record.read_text())
        return load_profile(made["profile"]).run(made["seed"])
    except (OSError, ValueError, KeyError, UserError):
        return None
