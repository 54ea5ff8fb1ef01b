"""Episodes on disk: records, an append-only store that survives any kill, provenance.

    with EpisodeStore(folder, key) as store:
        store.done                       # ids already there
        store.write(episode, seconds)    # whole line, flushed to disk, or not at all

A store folder holds episodes.jsonl (no clock in it, compared byte for byte), timings.jsonl (seconds, never compared),
turns.jsonl while episodes are under way, and provenance.json. No more than one episode of a store is in memory, when it
is opened, put in order or read.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, overload

from knapsack_lib.profiles import UserError
from knapsack_lib.prompts import Message

__all__ = ["Episode", "EpisodeFile", "EpisodeStore", "Turn", "read_episodes", "read_timings"]

BLOCK = 1 << 16  # bytes


@dataclass(frozen=True)
class Turn:
    """One reply and what came of it. Token counts are those of this model call.

    `outcome`: code, no_code, several_blocks, cut_off or context. `reply_ids`: the sampled ids, where known.
    """

    reply: str
    reply_ids: list[int] | None
    outcome: str
    code: str | None
    observation: str | None  # the user message that answered it; None after the last turn
    stdout: str
    error_type: str | None
    error: str | None
    killed_by: str | None
    state_lost: bool
    bindings: list[str]
    tool_calls: list[dict[str, Any]]
    prompt_tokens: int
    completion_tokens: int
    slip: bool


@dataclass(frozen=True)
class Episode:
    """One task played once. `finish`: finish, max_turns or context. `outcome` is the world's (score and metrics)."""

    episode_id: str
    task_id: str
    family: str
    difficulty: str
    policy: str  # who acted: teacher, base, or the regime an adapter was trained on
    runtime: str
    seed: int
    opening: list[Message]
    turns: list[Turn]
    finish: str
    outcome: dict[str, Any]
    train_seed: int = 0  # which of the regime's adapters acted; 0 where nothing was trained

    def messages(self) -> list[Message]:
        """The whole conversation, as it was served."""
        out = list(self.opening)
        for turn in self.turns:
            out.append({"role": "assistant", "content": turn.reply})
            if turn.observation is not None:
                out.append({"role": "user", "content": turn.observation})
        return out

    def to_line(self) -> str:
        record = vars(self) | {"turns": [vars(turn) for turn in self.turns]}  # asdict would copy all of it
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> Episode:
        data = json.loads(line)
        data["turns"] = [Turn(**turn) for turn in data["turns"]]
        return cls(**{field.name: data[field.name] for field in fields(cls)})


class EpisodeFile(Sequence[Episode]):
    """The episodes of a file of lines (.jsonl or .jsonl.gz), parsed as they are asked for: every pass reads the file
    again and holds one episode. A last line that a kill cut short does not count. Indexing reads from the start.

    Raises UserError naming file and line for a line that is no episode, and when the file has shrunk since it was opened.
    """

    def __init__(self, path: Path):
        self.path = path
        self._count = sum(1 for _ in _whole_lines(path))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the whole lines, unpacked."""
        total = hashlib.sha256()
        for line in _whole_lines(self.path):
            total.update(line)
        return total.hexdigest()

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __iter__(self) -> Iterator[Episode]:
        number = 0
        for number, line in enumerate(islice(_whole_lines(self.path), self._count), start=1):
            with _told(self.path, number):
                episode = Episode.from_line(line.decode("utf-8", errors="replace"))
            yield episode
        if number < self._count:
            raise UserError(f"{self.path.name} lost lines while it was read; run the same command again")

    def by_id(self) -> Iterator[Episode]:
        """Sorted by episode_id, whatever order the file has. Only for a file that is not packed."""
        return (Episode.from_line(line.decode("utf-8", errors="replace")) for line in _lines_by_id(self.path))

    @overload
    def __getitem__(self, place: int) -> Episode: ...
    @overload
    def __getitem__(self, place: slice) -> list[Episode]: ...
    def __getitem__(self, place: int | slice) -> Episode | list[Episode]:
        wanted = range(self._count)[place]
        if isinstance(wanted, int):
            return next(islice(iter(self), wanted, None))
        chosen = set(wanted)
        found = {number: episode for number, episode in enumerate(self) if number in chosen}
        return [found[number] for number in wanted]


def _whole_lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _places(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each episode's id, and where its line begins and how long it is, in bytes, in a file that is not packed."""
    begins = 0
    for number, line in enumerate(_whole_lines(path) if path.exists() else (), start=1):
        with _told(path, number):
            episode_id = json.loads(line)["episode_id"]
        yield episode_id, (begins, len(line))
        begins += len(line)


def _lines_by_id(path: Path) -> Iterator[bytes]:
    """Each episode's line once: the first, should one be there twice."""
    places: dict[str, tuple[int, int]] = {}
    for episode_id, place in _places(path):
        places.setdefault(episode_id, place)
    with open(path, "rb") as file:
        for _, (begins, length) in sorted(places.items()):
            file.seek(begins)
            yield file.read(length)


@contextmanager
def _told(path: Path, number: int, what: str = "episode") -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"line {number} of {path.parent.name}/{path.name} is no {what} ({type(error).__name__}: {error}); a line of"
            " a run's own store may be taken out: the same command plays that task again"
        ) from None


class EpisodeStore:
    """Append-only, and one writer at a time: a second one gets a UserError. `key` stands for everything that shapes an
    episode. A store with another key is set aside, which is printed, and comes back when its key does."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key
        self.done: set[str] = set()
        self.set_aside: Path | None = None

    def __enter__(self) -> EpisodeStore:
        with ExitStack() as opened:  # closes what is open should the rest fail: a damaged line must not keep the lock
            opened.enter_context(self._own())
            _drop_cut_line(self._path("timings"))
            _drop_cut_line(self._path("episodes"))
            self.done = {episode_id for episode_id, _ in _places(self._path("episodes"))}
            self._episodes = opened.enter_context(open(self._path("episodes"), "a", encoding="utf-8"))
            self._timings = opened.enter_context(open(self._path("timings"), "a", encoding="utf-8"))
            self._turns = opened.enter_context(open(self._path("turns"), "w", encoding="utf-8"))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def _own(self) -> IO[str]:
        """The folder for this key, and the file that keeps other writers out until it is closed."""
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                mark = open(self.folder / "key", "a+", encoding="utf-8")  # noqa: SIM115, open as long as the store
            except FileNotFoundError:  # another run has just set the folder aside
                continue
            with ExitStack() as opened:
                opened.enter_context(mark)
                _lock(mark, self.folder)
                if not _is_at(mark, self.folder / "key"):
                    continue
                mark.seek(0)
                old = mark.read().strip()
                if old in ("", self.key):
                    mark.write(self.key + "\n" if not old else "")
                    mark.flush()
                    opened.pop_all()
                    return mark
                self._set_aside(old)

    def _set_aside(self, old: str) -> None:
        beside = self.folder.parent
        self.set_aside, back = (beside / f"{self.folder.name}.was-{key[:8]}" for key in (old, self.key))
        if self.set_aside.exists():
            raise UserError(f"{self.set_aside.name} exists already beside {self.folder.name}; remove or rename it")
        mark = back / "key"
        returns = mark.is_file() and mark.read_text(encoding="utf-8").strip() == self.key
        self.folder.rename(self.set_aside)
        print(f"{self.folder.name} was made by other settings or code: it is kept as {self.set_aside.name}")
        if returns:
            with suppress(OSError):  # another run has begun the folder anew: it has the lock
                back.rename(self.folder)
                print(f"{back.name} was made as things are now: it is {self.folder.name} again")

    def log_turn(self, episode_id: str, number: int, turn: Turn) -> None:
        """Every turn as it happens: what can be read of an episode that never ended."""
        line = {"episode_id": episode_id, "turn": number, **vars(turn)}
        self._turns.write(json.dumps(line, sort_keys=True) + "\n")
        self._turns.flush()

    def write(self, episode: Episode, seconds: float) -> None:
        """Once, whole. An episode that is there already (a shard played again after a kill) is left as it is."""
        if episode.episode_id in self.done:
            return
        self._timings.write(json.dumps({"episode_id": episode.episode_id, "seconds": round(seconds, 3)}) + "\n")
        self._timings.flush()
        self._episodes.write(episode.to_line() + "\n")
        self._episodes.flush()
        self.done.add(episode.episode_id)
        os.fsync(self._episodes.fileno())

    def close_sorted(self) -> None:
        """When all are there: put them in id order, so that equal episodes are equal files; drop the turn log."""
        part = self.folder / "episodes.part"
        with open(part, "wb") as file:
            file.writelines(_lines_by_id(self._path("episodes")))
            file.flush()
            os.fsync(file.fileno())  # it takes the place of lines that are safe
        part.replace(self._path("episodes"))
        self._path("turns").unlink(missing_ok=True)


def _lock(mark: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        name = f"{folder.parent.name}/{folder.name}"
        raise UserError(f"another run writes {name}; wait for it or stop it, then run the same command") from None
    except OSError:  # a file system without locks
        pass


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether this open file is still the one at that path: its folder may have been moved before it was locked."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


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


def read_episodes(folder: Path, mend: str) -> EpisodeFile:
    """All episodes of a store. Raises UserError naming the command that makes them when there are none."""
    path = folder / "episodes.jsonl"
    if not path.exists() or not (found := EpisodeFile(path)):
        raise UserError(f"no episodes in {folder.parent.name}/{folder.name}; run first: {mend}")
    return found


def read_timings(folder: Path) -> dict[str, float]:
    """episode_id -> seconds. An episode that was played again after a kill keeps its last timing."""
    path = folder / "timings.jsonl"
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(_whole_lines(path), start=1):
        with _told(path, number, "timing"):
            row = json.loads(line)
            found[row["episode_id"]] = float(row["seconds"])
    return found
