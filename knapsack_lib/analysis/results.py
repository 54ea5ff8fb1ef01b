"""The compact, committed form of a run, results/<profile>/, and back.

    write_results(run)             # from runs/...: gathers stores, frames, timings, training records
    results = read_results(run)    # .cells, .turns, .teacher, .expert, .training, .stamp

cells.jsonl.gz holds every evaluation episode (without the sampled ids), teacher.csv.gz and
expert.csv.gz a row per scripted episode, timings.csv the only clock, training.json what each
adapter saw, provenance.json what made it all.
"""

from __future__ import annotations

import gzip
import heapq
import io
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from knapsack_lib.analysis.behaviour import behaviour_frame
from knapsack_lib.analysis.metrics import CELL, episode_frame, typed
from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.files import path_digest, shown, write_whole
from knapsack_lib.profiles import Analysis, Run
from knapsack_lib.store import current, read_episodes, read_timings

__all__ = ["KEY", "Results", "read_results", "results_folder", "write_results"]

KEY = [*CELL, "train_seed", "task_id"]


@dataclass(frozen=True)
class Results:
    """A whole run: its episodes as they stand on disk, its frames in memory. `digest` is the
    SHA-256 of the text inside cells.jsonl.gz."""

    episodes: Sequence[Episode]
    timings: pd.DataFrame
    teacher: pd.DataFrame
    expert: pd.DataFrame
    training: dict[str, list[dict[str, Any]]]  # training -> a record for each of its adapters
    provenance: dict[str, Any]
    digest: str

    @property
    def seed(self) -> int:
        return self.provenance["seed"]

    @property
    def analysis(self) -> Analysis:
        """How these results are judged: the settings in the profile."""
        return Analysis(**self.settings["analysis"])

    @property
    def whole(self) -> bool:
        """Whether this is a study from its traces on, and not only episodes of it."""
        return bool(self.training) and not self.teacher.empty

    @property
    def settings(self) -> dict[str, Any]:
        return self.provenance["settings"]

    @property
    def stamp(self) -> str:
        """The provenance line of everything that is built from these results: no clock, no path."""
        made = self.provenance
        if "source" in made:
            return f"source {made['source']}, judged by profile {made['profile']}, episodes {self.digest}"
        return f"profile {made['profile']} {made['profile_digest']}, seed {made['seed']}, episodes {self.digest}"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row per evaluation episode, with its wall-clock `seconds`."""
        frame = episode_frame(self.episodes).merge(
            self.timings, on=KEY, how="left", validate="one_to_one"
        )
        # The authors' files do not record tool calls: no number is better than 0.
        return frame if frame.tool_calls.any() else frame.assign(tool_calls=math.nan)

    @cached_property
    def turns(self) -> pd.DataFrame:
        """A row per episode and turn: tokens, and what the blocks say about state (behaviour.py)."""
        return behaviour_frame(self.episodes)


def results_folder(run: Run) -> Path:
    """Where the compact files of a run are."""
    return run.published_root / "results" / run.profile.name


def write_results(run: Run) -> Path:
    """Gather the run's files into results/<profile>/ and return that folder. The same run gives the
    same bytes.

    Raises UserError naming the notebook to run when a cell, the teacher, the expert or an adapter
    is missing.
    """
    episodes, timings = _cells(run)
    teacher, expert = (
        chain.from_iterable(read_episodes(run.store(cell), _make(run)) for cell in cells)
        for cells in (run.profile.teachers(), run.profile.experts())
    )
    files: dict[str, Iterable[bytes]] = {
        "teacher.csv.gz": _gzip([_csv(episode_frame(teacher))]),
        "expert.csv.gz": _gzip([_csv(episode_frame(expert))]),
        "timings.csv": [_csv(timings)],
        "training.json": [_json(_training(run))],
        "provenance.json": [_json(_provenance(run))],
        "cells.jsonl.gz": _gzip((e.to_line() + "\n").encode() for e in episodes),
    }
    folder = results_folder(run)
    for name, parts in files.items():
        write_whole(folder / name, parts)
    return folder


def read_results(run: Run) -> Results:
    """Read results/<profile>/. Raises UserError naming the command that makes it when it is not
    there."""
    folder = results_folder(run)
    found: dict[str, Any] = {}
    for field, (name, read) in READERS.items():
        try:
            found[field] = read(folder / name)
        except FileNotFoundError:
            raise UserError(f"no {name} in {shown(folder)}; run first: {_make(run)}") from None
        except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{shown(folder / name)} is damaged ({reason}); make it again: {_make(run)}"
            ) from None
    return Results(**found, digest=found["episodes"].digest)


def _cells(run: Run) -> tuple[Iterator[Episode], pd.DataFrame]:
    """All evaluation episodes, those of a task next to each other (they compress best so), and their
    seconds."""
    stores, clock = [], []
    for cell in run.profile.cells():
        store = run.store(cell)
        found, seconds = read_episodes(store, _make(run)), read_timings(store)
        played = [episode.task_id for episode in found]  # an episode is called as its task
        wanted = run.profile.splits()[cell.difficulty]
        if len(played) != wanted or any(task_id not in seconds for task_id in played):
            what = f"{shown(store)} holds {len(played)} of {wanted} timed episodes"
            raise UserError(f"{what}; run again: {_make(run)}")
        stores.append(found.by_id())
        labels = (cell.train, cell.runtime, cell.difficulty, cell.train_seed)
        clock += [(*labels, task_id, seconds[task_id]) for task_id in played]
    timings = pd.DataFrame(clock, columns=[*KEY, "seconds"]).sort_values(KEY, ignore_index=True)
    # Every store comes in the order of its tasks, so that one episode of each at a time is enough
    # to put all in order.
    merged = heapq.merge(
        *stores, key=lambda e: (e.difficulty, e.task_id, e.train, e.runtime, e.train_seed)
    )
    bare = (replace(e, turns=[replace(turn, reply_ids=None) for turn in e.turns]) for e in merged)
    return bare, timings


def _training(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Regime -> the record of each of its adapters."""
    found: dict[str, list[dict[str, Any]]] = {train: [] for train in run.profile.arms}
    for cell in run.profile.adapters():
        path = run.adapter(cell) / "training.json"
        if not path.exists():
            raise UserError(f"no {shown(path)}; run first: {_make(run)}")
        found[cell.train].append(json.loads(path.read_text(encoding="utf-8")))
    return found


def _provenance(run: Run) -> dict[str, Any]:
    """Settings, seed, the hash of every store this was gathered from, and what each store says made
    it."""
    profile = run.profile
    inputs, made_by = {}, {}
    for cell in [*profile.cells(), *profile.teachers(), *profile.experts()]:
        place = current(run.store(cell))
        inputs[cell.path] = path_digest(place / "episodes.jsonl")
        record = place / "provenance.json"
        if record.exists():
            made_by[cell.path] = json.loads(record.read_text(encoding="utf-8"))
    return {
        "profile": profile.name,
        "profile_digest": profile.digest(),
        "seed": run.seed,
        "settings": profile.model_dump(mode="json"),
        "parameters": _parameters(run),
        "inputs": inputs,
        "made_by": made_by,
    }


def _parameters(run: Run) -> int | None:
    """How many weights the evaluated model has, from its file's header; None where only an adapter
    is kept."""
    path = run.adapter(run.profile.adapters()[0]) / "model.safetensors"
    if not path.exists():
        return None
    with safe_open(path, framework="numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def _make(run: Run) -> str:
    """The command that makes what is missing."""
    seed = "" if run.is_default_seed else f" --seed {run.seed}"
    return f"knapsack run --profile {run.profile.name}{seed}"


def _gzip(parts: Iterable[bytes]) -> Iterator[bytes]:
    """As gzip.compress(b"".join(parts), mtime=0), part by part."""
    packer = zlib.compressobj(9, wbits=31)
    yield from (packer.compress(part) for part in parts)
    yield packer.flush()


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def _read_frame(path: Path) -> pd.DataFrame:
    text = gzip.decompress(path.read_bytes()).decode()
    empty = {"first_missing_turn": [""], "recovered": [""]}
    return typed(pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=empty))


def _read_cells(path: Path) -> EpisodeFile:
    found = EpisodeFile(path)
    if not found:
        raise ValueError("no episode is in it")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("no object of names and values")
    return found


READERS: dict[
    str, tuple[str, Callable[[Path], Any]]
] = {  # of read_results: field -> file, how it is read
    "provenance": ("provenance.json", _read_json),
    "episodes": ("cells.jsonl.gz", _read_cells),
    "timings": ("timings.csv", pd.read_csv),
    "teacher": ("teacher.csv.gz", _read_frame),
    "expert": ("expert.csv.gz", _read_frame),
    "training": ("training.json", _read_json),
}
