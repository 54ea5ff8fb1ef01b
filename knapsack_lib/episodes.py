"""What is recorded of an episode, and files of episodes.

    for episode in EpisodeFile(path):
        episode.result["score"], episode.messages()

A line of a file is one episode, whole. No more than one is in memory at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, overload

from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message

__all__ = [
    "ACTED",
    "Episode",
    "EpisodeFile",
    "Turn",
    "line_places",
    "lines_by_id",
    "reporting_line",
    "whole_lines",
]


# Parse statuses of a reply that did something: its block was run, or it called tools, as a ReAct agent
# does without any code
ACTED = ("code", "tool_calls")


@dataclass(frozen=True)
class Turn:
    """One reply and what came of it. Token counts are those of this model call.

    `parse_status`: code, tool_calls, no_code, several_blocks, cut_off or context. `reply_ids`: the
    sampled ids, where known.
    """

    reply: str
    reply_ids: list[int] | None
    parse_status: str
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

    @property
    def lost_before(self) -> bool:
        """Whether the interpreter was lost, unannounced, before the block was run (teacher.restarts)."""
        return self.state_lost and self.killed_by is None


@dataclass(frozen=True)
class Episode:
    """One task played once. `finish_reason`: finish, max_turns or context. `result` is the world's
    (score and metrics)."""

    episode_id: str
    task_id: str
    family: str
    difficulty: str
    train: str  # who acted: teacher, base, or the regime an adapter was trained on
    runtime: str
    seed: int
    opening: list[Message]
    turns: list[Turn]
    finish_reason: str
    result: dict[str, Any]
    train_seed: int = 0  # which of the regime's adapters acted; 0 where nothing was trained

    def messages(self) -> list[Message]:
        """The whole conversation, as it was served."""
        out = list(self.opening)
        for turn in self.turns:
            out.append({"role": "assistant", "content": turn.reply})
            # In the authors' traces a block that printed nothing has no answer.
            if turn.observation:
                out.append({"role": "user", "content": turn.observation})
        return out

    def to_line(self) -> str:
        # Asdict would copy all of it
        record = vars(self) | {"turns": [vars(turn) for turn in self.turns]}
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> Episode:
        data = json.loads(line)
        data["turns"] = [Turn(**turn) for turn in data["turns"]]
        return cls(**{field.name: data[field.name] for field in fields(cls)})


class EpisodeFile(Sequence[Episode]):
    """The episodes of a file of lines (.jsonl or .jsonl.gz), parsed as they are asked for: every
    pass reads the file again and holds one episode. A last line that a kill cut short does not
    count. Indexing reads from the start.

    Raises UserError naming file and line for a line that is no episode, and when the file has
    shrunk since it was opened.
    """

    def __init__(self, path: Path):
        self.path = path
        self._count = sum(1 for _ in whole_lines(path))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the whole lines, unpacked."""
        total = hashlib.sha256()
        for line in whole_lines(self.path):
            total.update(line)
        return total.hexdigest()

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    def __iter__(self) -> Iterator[Episode]:
        number = 0
        for number, line in enumerate(islice(whole_lines(self.path), self._count), start=1):
            with reporting_line(self.path, number):
                episode = Episode.from_line(line.decode("utf-8", errors="replace"))
            yield episode
        if number < self._count:
            raise UserError(
                f"{self.path.name} lost lines while it was read; run the same command again"
            )

    def by_id(self) -> Iterator[Episode]:
        """Sorted by episode_id, whatever order the file has. Only for a file that is not packed."""
        return (
            Episode.from_line(line.decode("utf-8", errors="replace"))
            for line in lines_by_id(self.path)
        )

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


def whole_lines(path: Path) -> Iterator[bytes]:
    """Lines of a file, plain or packed, with their ends; not a last one that a kill cut short."""
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def line_places(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each episode's id, and where its line begins and how long it is, in bytes, in a file that is
    not packed."""
    begins = 0
    for number, line in enumerate(whole_lines(path) if path.exists() else (), start=1):
        with reporting_line(path, number):
            episode_id = json.loads(line)["episode_id"]
        yield episode_id, (begins, len(line))
        begins += len(line)


def lines_by_id(path: Path) -> Iterator[bytes]:
    """Each episode's line once: the first, should one be there twice."""
    places: dict[str, tuple[int, int]] = {}
    for episode_id, place in line_places(path):
        places.setdefault(episode_id, place)
    with open(path, "rb") as file:
        for _, (begins, length) in sorted(places.items()):
            file.seek(begins)
            yield file.read(length)


@contextmanager
def reporting_line(path: Path, number: int, what: str = "episode") -> Iterator[None]:
    """Raise UserError with the place of a line, and what to do, where the block finds it damaged."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"line {number} of {'/'.join(path.parts[-3:])} is no {what} ({type(error).__name__}: {error}); a line of"
            " a run's own store may be taken out: the same command plays that task again"
        ) from None
