"""What benchmarks share: tasks, episodes of the scripted expert, and a run in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knapsack_lib.episodes import EpisodeFile
from knapsack_lib.families import Task, family_named
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import RUNTIMES, Cell, Profile, Run
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import read_episodes

__all__ = ["KNAPSACK", "ScratchRun", "aligned", "draw", "expert", "play", "teach"]

KNAPSACK = family_named("knapsack")


def draw(size: Any, count: int, *, split: str, seed: int = 1) -> list[Task]:
    return [KNAPSACK.make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def expert(profile: Profile, runtime: str) -> ScriptedPolicy:
    return ScriptedPolicy("knapsack", runtime, profile.teacher)


def aligned(train: str) -> Cell:
    """The cell of an adapter in its own runtime."""
    return Cell("knapsack", train, train, "easy", 1)


def play(
    policy: Any, cell: Cell, profile: Profile, tasks: list[Task], folder: Path, **options: Any
) -> EpisodeFile:
    """Episodes of a cell, played into a store at `folder`; `options` are those of Rollouts."""
    Rollouts(policy, cell, profile, **{"seed": 1, "shard": 50, **options}).run(tasks, folder, "k")
    return read_episodes(folder, "")


@dataclass(frozen=True)
class ScratchRun(Run):
    """A run whose files lie in a folder of its own."""

    folder: Path = Path()

    @property
    def root(self) -> Path:
        return self.folder


def teach(run: Run, counts: Mapping[str, int], runtimes: Iterable[str] = RUNTIMES) -> None:
    """Easy tasks, so many of each split, and the teacher's traces of them."""
    tasks = {split: draw("pocket-easy", count, split=split) for split, count in counts.items()}
    for split, group in tasks.items():
        write_tasks(run.tasks(split), group)
    for runtime in runtimes:
        cell, policy = Cell("knapsack", "teacher", runtime, "easy"), expert(run.profile, runtime)
        play(policy, cell, run.profile, sum(tasks.values(), []), run.store(cell))
