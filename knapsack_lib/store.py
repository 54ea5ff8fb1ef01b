"""Stores of episodes: append-only, and whole after any kill.

    with EpisodeStore(folder, key) as store:
        store.done                       # ids already there
        store.write(episode, seconds)    # whole line, flushed to disk, or not at all
    episodes = read_episodes(folder, hint="make paper")

A store has a folder for each key (what shaped its episodes: settings, code, inputs), and the file `current` names the one
that counts. So episodes of other settings are kept, and are there again when the settings return. In a key's folder are
episodes.jsonl (no clock in it, compared byte for byte), timings.jsonl (seconds, never compared), turns.jsonl while
episodes are under way, and provenance.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from knapsack_lib.episodes import (
    Episode,
    EpisodeFile,
    Turn,
    line_places,
    lines_by_id,
    reporting_line,
    whole_lines,
)
from knapsack_lib.errors import UserError
from knapsack_lib.files import only_one, refused_in_one_line, write_whole

__all__ = ["EpisodeStore", "current", "find_stores", "is_complete", "read_episodes", "read_timings"]

BLOCK = 1 << 16  # bytes
CURRENT = "current"
KEY_LETTERS = 16  # of a key, in the name of its folder


class EpisodeStore:
    """One writer at a time: a second one gets a UserError."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.place = folder, folder / key[:KEY_LETTERS]
        self.done: set[str] = set()

    def __enter__(self) -> EpisodeStore:
        # A damaged line must not keep the lock.
        with refused_in_one_line(self.place), ExitStack() as opened:
            self.place.mkdir(parents=True, exist_ok=True)
            name = f"{self.folder.parent.name}/{self.folder.name}"
            busy = f"another run writes {name}; wait for it or stop it, then run the same command"
            opened.enter_context(only_one(self.place / ".lock", busy))
            self._make_current()
            _drop_cut_line(self._path("timings"))
            _drop_cut_line(self._path("episodes"))
            self.done = {episode_id for episode_id, _ in line_places(self._path("episodes"))}
            self._episodes = opened.enter_context(
                open(self._path("episodes"), "a", encoding="utf-8")
            )
            self._timings = opened.enter_context(open(self._path("timings"), "a", encoding="utf-8"))
            self._turns = opened.enter_context(open(self._path("turns"), "w", encoding="utf-8"))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with refused_in_one_line(
            self.place
        ):  # what a full disk did not take is still to be written
            self._opened.close()

    def _path(self, name: str) -> Path:
        return self.place / f"{name}.jsonl"

    def _make_current(self) -> None:
        before = current(self.folder)
        if before == self.place:
            return
        if before != self.folder:
            name = f"{self.folder.parent.name}/{self.folder.name}"
            these = (
                "those of these are back" if self._path("episodes").exists() else "these are new"
            )
            print(f"{name}: episodes of other settings or code are kept in {before.name}; {these}")
        write_whole(self.folder / CURRENT, self.place.name + "\n")

    def log_turn(self, episode_id: str, number: int, turn: Turn) -> None:
        """Every turn as it happens: what can be read of an episode that never ended."""
        line = {"episode_id": episode_id, "turn": number, **vars(turn)}
        with refused_in_one_line(self._path("turns")):
            self._turns.write(json.dumps(line, sort_keys=True) + "\n")
            self._turns.flush()

    def write(self, episode: Episode, seconds: float) -> None:
        """Once, whole. An episode that is there already (a shard played again after a kill) is left
        as it is."""
        if episode.episode_id in self.done:
            return
        timing = {"episode_id": episode.episode_id, "seconds": round(seconds, 3)}
        with refused_in_one_line(self._path("episodes")):
            self._timings.write(json.dumps(timing) + "\n")
            self._timings.flush()
            self._episodes.write(episode.to_line() + "\n")
            self._episodes.flush()
            self.done.add(episode.episode_id)
            os.fsync(self._episodes.fileno())

    def close_sorted(self) -> None:
        """When all are there: put them in id order, so that equal episodes are equal files; drop
        the turn log."""
        write_whole(self._path("episodes"), lines_by_id(self._path("episodes")))
        self._path("turns").unlink(missing_ok=True)


def _drop_cut_line(path: Path) -> None:
    """Remove a last line that a kill cut short."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:  # backwards, a block at a time
            begins = max(0, end - BLOCK)
            file.seek(begins)
            found = file.read(end - begins).rfind(b"\n")
            if found >= 0:
                file.truncate(begins + found + 1)
                return
            end = begins
        file.truncate(0)


def current(store: Path) -> Path:
    """The folder that holds a store's episodes: that of its current key, or the store itself, where it was imported."""
    mark = store / CURRENT
    return store / mark.read_text(encoding="utf-8").strip() if mark.is_file() else store


def is_complete(store: Path) -> bool:
    """Whether its episodes were played to the last one: turns.jsonl is there for as long as they are under way."""
    place = current(store)
    return (place / "episodes.jsonl").is_file() and not (place / "turns.jsonl").exists()


def find_stores(root: Path) -> Iterator[Path]:
    """The current episodes.jsonl of every store in a folder, sorted."""
    for path in sorted(root.rglob("episodes.jsonl")):
        above = [
            folder
            for folder in path.relative_to(root).parents
            if (root / folder / CURRENT).is_file()
        ]
        # The outermost: within a store, shards that workers are playing are stores of their own.
        if path.parent == current(root / above[-1] if above else path.parent):
            yield path


def read_episodes(store: Path, hint: str) -> EpisodeFile:
    """All episodes of a store. Raises UserError naming the command that makes them when there are none."""
    path = current(store) / "episodes.jsonl"
    if not path.exists() or not (found := EpisodeFile(path)):
        raise UserError(f"no episodes in {store.parent.name}/{store.name}; run first: {hint}")
    return found


def read_timings(store: Path) -> dict[str, float]:
    """episode_id -> seconds. An episode that was played again after a kill keeps its last timing."""
    path = current(store) / "timings.jsonl"
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(whole_lines(path), start=1):
        with reporting_line(path, number, "timing"):
            row = json.loads(line)
            found[row["episode_id"]] = float(row["seconds"])
    return found
