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
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.analysis.metrics import CELL, episode_frame, labels
from knapsack_lib.episodes import Episode, reporting_line, whole_lines
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.reading import Reading, read
from knapsack_lib.families import Task, family_named
from knapsack_lib.files import project_root
from knapsack_lib.profiles import DIFFICULTIES, Run, load_profile
from knapsack_lib.published.reading import read_source
from knapsack_lib.store import find_stores, read_timings

__all__ = ["Catalogue", "open_catalogue"]

Clock = Callable[[int, Episode], float | None]  # number of the line, episode -> seconds


@dataclass(frozen=True)
class Source:
    """Lines of episodes, and the run that drew their tasks, where it is known."""

    name: str
    path: Path
    data: bytes | mmap.mmap
    run: Run | None = None


class Catalogue:
    """`frame` has a row per episode: the columns of `episode_frame`, then `run`, `family` and `seconds`. Its
    index is the episode's place here."""

    def __init__(self, frame: pd.DataFrame, lines: Sequence[tuple[Source, slice]]):
        self.frame, self._lines = frame, lines

    def __len__(self) -> int:
        return len(self.frame)

    def open(self, place: int) -> Episode:
        """Read one episode."""
        source, line = self._lines[place]
        return _episode(source.data[line])

    def read(self, place: int) -> tuple[Episode, list[Reading]]:
        """Read one episode, and what each of its turns did."""
        episode = self.open(place)
        return episode, read(episode, self.task(place))

    def task(self, place: int) -> Task | None:
        """The episode's task, drawn again from its seed (one of a published source is read from its run); None where
        its source does not say by which run."""
        run, task_id = self._lines[place][0].run, self.frame.task_id[place]
        found = re.fullmatch(r".*-(train|validation|easy|medium)-(\d{1,9})", task_id)
        if run is None or found is None:
            return None
        split, sizes = found[1], run.profile.difficulties
        if run.profile.tasks.source and split in DIFFICULTIES:
            file = run.tasks(split) / f"{task_id}.json"
            return Task.from_json(file.read_text(encoding="utf-8")) if file.is_file() else None
        size = sizes["medium" if split == "medium" else "easy"]
        family = family_named(run.profile.family)
        task = family.make_task(size, seed=run.seed, split=split, index=int(found[2]))
        return task if task.task_id == task_id else None

    def find(
        self, text: str = "", order: str = "", descending: bool = False, **wanted: Any
    ) -> pd.DataFrame:
        """Rows that match. `wanted`: a column's value, a tuple (lowest, highest), or None for any;
        `text` is looked for in all messages, in any case. Raises UserError for a column that does
        not exist."""
        unknown = [name for name in [*wanted, order] if name and name not in self.frame]
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
            rows = rows.loc[[place for place in rows.index if self._contains(place, text)]]
        return rows.sort_values(order, ascending=not descending, kind="stable") if order else rows

    def _contains(self, place: int, text: str) -> bool:
        source, line = self._lines[place]
        if text.isascii():  # as it stands in a line of JSON: most lines need not be read
            spelt = re.escape(json.dumps(text)[1:-1]).encode()
            if re.compile(spelt, re.I).search(source.data, line.start, line.stop) is None:
                return False
        messages = [message["content"].casefold() for message in self.open(place).messages()]
        return any(text.casefold() in message for message in messages)

    def same_task(self, place: int) -> pd.DataFrame:
        """The other episodes of the same task in the same run."""
        mine = self.frame.loc[place]
        names = ["task_id", "family", "run"]
        rows = self.frame[(self.frame[names] == mine[names]).all(axis=1)]
        return rows.drop(index=place)


def open_catalogue(
    *sources: str | Path | Catalogue,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Catalogue:
    """Index the episodes of every source; one that is open already is given back as it is. Raises
    UserError for a source that holds none, naming what makes them, and for a line that is no
    episode."""
    if len(sources) == 1 and isinstance(sources[0], Catalogue):
        return sources[0]
    if not sources or not all(map(str, sources)):
        raise UserError("no source was given; give a profile's name, a run's folder or a store")
    opened = [entry for given in sources for entry in _sources(str(given))]
    frames, lines = [], []
    for number, (source, clock) in enumerate(opened, start=1):
        frame, found = _index(source, clock)
        frames.append(frame)
        lines += found
        progress(number, len(opened))
    return Catalogue(pd.concat(frames, ignore_index=True), lines)


def _sources(given: str) -> Iterator[tuple[Source, Clock]]:
    root, path, run = project_root(), Path(given), None
    if not path.exists() and (root / "params" / f"{given}.yaml").is_file():
        run = load_profile(given).run()
        played = any(find_stores(run.root))
        path = run.root if played else run.published_root / "results" / run.profile.name
    files = [file for file in _files(path) if any(whole_lines(file))]
    if not files and run:
        raise UserError(f"no episodes in {given}; run first: make paper PROFILE={given}")
    if not files:
        yield _published(given)
    for file in files:
        yield _ours(run.profile.name if run else path.name, file, run or _run_of(file))


def _files(path: Path) -> list[Path]:
    """The files of episodes in our own format that a source holds."""
    if path.is_file():
        return [path] if path.name.startswith(("episodes.jsonl", "cells.jsonl")) else []
    if (path / "episodes.jsonl").is_file():  # of any key, also one that is not current
        return [path / "episodes.jsonl"]
    return [*find_stores(path)] or [*path.glob("cells.jsonl.gz")]


def _ours(name: str, file: Path, run: Run | None) -> tuple[Source, Clock]:
    if file.suffix == ".gz":
        source = Source(name, file, gzip.decompress(file.read_bytes()), run)
    else:
        with open(file, "rb") as opened:
            source = Source(name, file, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ), run)
    if file.name == "episodes.jsonl":
        timings = read_timings(file.parent)
        return source, lambda number, episode: timings.get(episode.episode_id)
    table, known = file.with_name("timings.csv"), {}
    if table.exists():
        known = pd.read_csv(table).set_index([*CELL, "train_seed", "task_id"]).seconds.to_dict()
    return source, lambda number, episode: known.get(tuple(labels(episode).values()))


def _published(given: str) -> tuple[Source, Clock]:
    """A source in the authors' formats."""
    try:
        found = read_source(given)
    except UserError as error:
        raise UserError(f"no episodes in {given} ({error}); run first: make paper") from None
    data = "".join(episode.to_line() + "\n" for episode in found.episodes).encode()
    return Source(Path(given).name, Path(given), data), lambda number, _: found.seconds[number]


def _index(source: Source, clock: Clock) -> tuple[pd.DataFrame, list[tuple[Source, slice]]]:
    """A frame of a source's episodes, and the lines of its rows. One episode is in memory at a time."""
    found: list[tuple[tuple, float | None, slice, str]] = []

    def episodes() -> Iterator[Episode]:
        start = 0
        # A last line without its end was cut short by a kill.
        while (end := source.data.find(b"\n", start)) >= 0:
            with reporting_line(source.path, len(found) + 1):
                episode = _episode(source.data[start:end])
            seconds = clock(len(found), episode)
            line = slice(start, end)
            found.append((tuple(labels(episode).values()), seconds, line, episode.family))
            start = end + 1
            yield episode

    frame = episode_frame(episodes())
    found.sort(key=lambda entry: entry[0])  # as the frame is
    seconds = pd.Series([entry[1] for entry in found], dtype="float64")
    lines = [(source, entry[2]) for entry in found]
    families = [entry[3] for entry in found]
    return frame.assign(run=source.name, family=families, seconds=seconds), lines


def _episode(line: bytes) -> Episode:
    """An episode of a line. Half a character (a lone surrogate, which JSON can spell) becomes a
    question mark."""
    if re.search(rb"\\ud[89a-f]", line, re.I):
        line = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
    return Episode.from_line(line.decode())


def _run_of(file: Path) -> Run | None:
    """The run that a file of episodes belongs to, from the record next to it."""
    try:
        record = json.loads(file.with_name("provenance.json").read_text(encoding="utf-8"))
        return load_profile(record["profile"]).run(record["seed"])
    except (OSError, ValueError, KeyError, UserError):
        return None
