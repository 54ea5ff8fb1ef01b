"""Memory and time of a run that continues from where it was stopped, as the number of its episodes
grows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from many import write_store
from measure import Row, apart
from scratch import KNAPSACK

from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.store import current

PART = "a run resumed and finished"
LEFT = 20  # episodes
CODE = """
import sys, time
from pathlib import Path
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import read_episodes
profile, place = load_profile("pocket"), Path(sys.argv[1])
began = time.perf_counter()
tasks = read_tasks(place / "tasks", "")
found = {"tasks": time.perf_counter() - began}
store, policy = place / "store", ScriptedPolicy("knapsack", "reset", profile.teacher)
cell = Cell("knapsack", "reset", "reset", "easy", 1)
Rollouts(policy, cell, profile, seed=1, shard=50).run(tasks, store, "k")
found["play"] = time.perf_counter() - began - found["tasks"]
began = time.perf_counter()
assert sum(1 for _ in read_episodes(store, "")) == len(tasks)
found["read"] = time.perf_counter() - began
"""


def rows(tiny: bool) -> Iterator[Row]:
    for count in (100, 200) if tiny else (1000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            write_tasks(
                Path(place) / "tasks",
                (
                    KNAPSACK.make_task("pocket-easy", seed=1, split="easy", index=i)
                    for i in range(count)
                ),
            )
            names = [f"knapsack-easy-{i:05d}" for i in range(count)]
            write_store(Path(place) / "store", "k", names[:-LEFT])
            size = (current(Path(place) / "store") / "episodes.jsonl").stat().st_size / 2**20
            found = apart(CODE, place)
        yield Row(
            PART,
            f"{count:,} episodes ({size:,.0f} MiB), the last {LEFT} to play",
            found["mib"],
            "MiB",
            wanted="<= 1024",
        )
        yield Row(
            PART,
            f"{count:,} episodes: an episode",
            1e3 * (found["tasks"] + found["play"] + found["read"]) / count,
            "ms",
            why=f"tasks read {found['tasks']:.1f} s, opened, finished and put in order {found['play']:.1f} s, read {found['read']:.1f} s",
        )
