"""Play one cell of a run from its tasks to its store.

episodes = play_cell(run, Cell("knapsack", "persistent", "reset", "easy", train_seed=1))
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.families.task_files import TaskFiles, read_tasks
from knapsack_lib.interpreter.packages import found_packages
from knapsack_lib.keys import store_key
from knapsack_lib.policy_factory import load_policy
from knapsack_lib.profiles import SCRIPTED, Cell, Run
from knapsack_lib.progress import progress
from knapsack_lib.provenance import write_provenance
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import current, read_episodes
from knapsack_lib.training.marks import trained_base

__all__ = ["play_cell", "play_elsewhere"]

SCRIPTED_SHARD = 50  # tasks; an expert does not care who else is playing


def play_cell(run: Run, cell: Cell) -> EpisodeFile:
    """The cell's episodes: those that the store lacks are played now, and an interrupted cell continues.

    The teacher plays the training and validation tasks, everyone else the test tasks of the cell's size. Raises UserError
    for tasks or a model that are missing, and where training and serving would spell a conversation differently.
    """
    splits = ("train", "validation") if cell.train == "teacher" else (cell.difficulty,)
    inputs = {split: run.tasks(split) for split in splits}
    seed = "" if run.is_default_seed else f" --seed {run.seed}"
    hint = f"knapsack run --profile {run.profile.name}{seed}"
    tasks = sum((read_tasks(folder, hint) for folder in inputs.values()), TaskFiles([]))
    scripted = cell.train in SCRIPTED
    found_packages(run.profile.interpreter.packages)  # before a model is loaded for minutes
    if not scripted:
        _check_spelling(run, cell)
    with load_policy(run, cell) as loaded:
        print(loaded.description)
        inputs |= loaded.files
        Rollouts(
            loaded.policy,
            cell,
            run.profile,
            run.seed,
            shard=SCRIPTED_SHARD if scripted else 0,
            executor=run.profile.executor,
            show=progress(cell.label, "episodes"),
        ).run(tasks, run.store(cell), store_key(run, inputs, cell))
    write_provenance(run, current(run.store(cell)) / "provenance.json", inputs)
    return read_episodes(run.store(cell), hint)


def play_elsewhere(run: Run, style: str, runtime: str, count: int) -> list[Episode]:
    """The teacher of one style in a runtime that may be the other one, on the first validation tasks. Nothing is kept."""
    cell = Cell(run.profile.family, "teacher", style, "easy")
    tasks = read_tasks(
        run.tasks("validation"), f"knapsack run --profile {run.profile.name} --stage 01_generate"
    )[:count]
    with load_policy(run, cell) as loaded, tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        played = Cell(cell.family, "teacher", runtime, "easy")
        Rollouts(loaded.policy, played, run.profile, run.seed, shard=SCRIPTED_SHARD).run(
            tasks, store, "elsewhere"
        )
        return list(read_episodes(store, ""))


def _check_spelling(run: Run, cell: Cell) -> None:
    from knapsack_lib.training.parity import check_rendering

    base = trained_base(run.profile)
    folder = base if cell.train == "base" else run.adapter(cell)
    compared = check_rendering(base, folder, chat=run.profile.training.chat)
    print(f"training and serving spell a probe alike: {compared} tokens")
