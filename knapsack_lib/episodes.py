"""Episodes on disk: records, an append-only store that survives any kill, provenance.

    with EpisodeStore(folder, key) as store:
        store.done                       # ids already there
        store.write(episode, seconds)    # whole line, flushed to disk, or not at all

A store folder holds episodes.jsonl (no clock in it, compared byte for byte), timings.jsonl (seconds, never compared),
turns.jsonl while episodes are under way, and provenance.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from knapsack_lib.profiles import UserError
from knapsack_lib.prompts import Message

__all__ = ["Episode", "EpisodeStore", "Turn", "read_episodes", "read_timings"]


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
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> Episode:
        data = json.loads(line)
        data["turns"] = [Turn(**turn) for turn in data["turns"]]
        return cls(**{field.name: data[field.name] for field in fields(cls)})


class EpisodeStore:
    """Append-only. `key` stands for everything that shapes an episode; a store with another key is set aside."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key
        self.done: set[str] = set()
        self.set_aside: Path | None = None

    def __enter__(self) -> EpisodeStore:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_key()
        _drop_cut_line(self._path("timings"))
        self.done = {episode.episode_id for episode in self._whole_lines()}
        self._episodes = open(self._path("episodes"), "a", encoding="utf-8")
        self._timings = open(self._path("timings"), "a", encoding="utf-8")
        self._turns = open(self._path("turns"), "w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._episodes, self._timings, self._turns):
            file.close()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def _check_key(self) -> None:
        mark = self.folder / "key"
        old = mark.read_text().strip() if mark.exists() else None
        if old is not None and old != self.key:
            self.set_aside = self.folder.with_name(f"{self.folder.name}.was-{old[:8]}")
            if self.set_aside.exists():
                raise UserError(f"{self.set_aside.name} exists already beside {self.folder.name}; remove or rename it")
            self.folder.rename(self.set_aside)
            self.folder.mkdir()
        if old != self.key:
            part = mark.with_suffix(".part")
            part.write_text(self.key + "\n")
            part.replace(mark)

    def _whole_lines(self) -> Iterator[Episode]:
        """What is on disk. A last line that a kill cut short is removed."""
        path = self._path("episodes")
        if not path.exists():
            return
        _drop_cut_line(path)
        for line in path.read_text(encoding="utf-8").splitlines():
            yield Episode.from_line(line)

    def log_turn(self, episode_id: str, number: int, turn: Turn) -> None:
        """Every turn as it happens: what can be read of an episode that never ended."""
        line = {"episode_id": episode_id, "turn": number, **asdict(turn)}
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
        os.fsync(self._episodes.fileno())
        self.done.add(episode.episode_id)

    def close_sorted(self) -> None:
        """When all are there: put them in id order, so that equal episodes are equal files; drop the turn log."""
        episodes = sorted(self._whole_lines(), key=lambda e: e.episode_id)
        part = self.folder / "episodes.part"
        part.write_text("".join(e.to_line() + "\n" for e in episodes), encoding="utf-8")
        part.replace(self._path("episodes"))
        self._path("turns").unlink(missing_ok=True)


def _drop_cut_line(path: Path) -> None:
    """Remove a last line that a kill cut short."""
    data = path.read_bytes() if path.exists() else b""
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)


def read_episodes(folder: Path, mend: str) -> list[Episode]:
    """All episodes of a store. Raises UserError naming the command that makes them when there are none."""
    path = folder / "episodes.jsonl"
    data = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    whole = data[: data.rfind("\n") + 1].splitlines()  # what follows was cut short by a kill
    if not whole:
        raise UserError(f"no episodes in {folder.parent.name}/{folder.name}; run first: {mend}")
    return [Episode.from_line(line) for line in whole]


def read_timings(folder: Path) -> dict[str, float]:
    """episode_id -> seconds. An episode that was played again after a kill keeps its last timing."""
    path = folder / "timings.jsonl"
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {row["episode_id"]: row["seconds"] for row in rows}
