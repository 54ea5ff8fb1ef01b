"""The same episodes on a cluster, also when a node is killed in the middle of a run.

    python benchmarks/cluster.py ray|dask     # needs the extra of that name; everything on this machine's loopback

A cluster of two nodes of one worker each plays the scripted expert's episodes in shards; once a
third of them are back, a node is killed outright. The store must equal the one that this process
plays alone, byte for byte, with nothing twice.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scratch import draw, expert
from scratch import play as played

from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import silent
from knapsack_lib.store import current

TASKS, SHARD = 240, 10


def play(folder: Path, executor: str, show: Callable[..., None] = silent) -> float:
    """Seconds taken."""
    profile, cell = load_profile("pocket"), Cell("knapsack", "teacher", "reset", "easy")
    tasks, policy = draw("pocket-easy", TASKS, split="easy"), expert(profile, "reset")
    began = time.perf_counter()
    played(policy, cell, profile, tasks, folder, shard=SHARD, executor=executor, show=show)
    return time.perf_counter() - began


class Killing:
    """Progress that kills a node once a third of the episodes are back."""

    def __init__(self, kill: Callable[[], None]):
        self.kill, self.at = kill, 0

    def __call__(self, done: int, total: int, **counts: float) -> None:
        if not self.at and done >= total / 3:
            self.at = done
            self.kill()


def on_ray(folder: Path) -> tuple[float, int]:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    os.environ["RAY_ADDRESS"] = cluster.address
    killing = Killing(lambda: cluster.remove_node(other, allow_graceful=False))
    taken = play(folder, "ray", killing)
    ray.shutdown()
    cluster.shutdown()
    return taken, killing.at


def on_dask(folder: Path) -> tuple[float, int]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        os.environ["DASK_SCHEDULER_ADDRESS"] = cluster.scheduler_address

        def kill() -> None:
            worker = cluster.workers[1]
            os.kill(worker.process.pid, 9)  # the nanny starts another, as a machine that comes back

        killing = Killing(kill)
        return play(folder, "dask", killing), killing.at


def main() -> None:
    executor = sys.argv[1] if len(sys.argv) > 1 else "ray"
    with tempfile.TemporaryDirectory() as place:
        alone = play(Path(place) / "alone", "local")
        taken, at = (on_ray if executor == "ray" else on_dask)(Path(place) / "cluster")
        one, other = (
            (current(Path(place) / name) / "episodes.jsonl").read_bytes()
            for name in ("alone", "cluster")
        )
    print(f"{executor}: {TASKS} episodes in shards of {SHARD}, a node killed after {at}")
    print(f"this process alone {alone:.1f} s, cluster of two {taken:.1f} s")
    print(f"episodes equal, byte for byte: {one == other}; lines {len(other.splitlines())}")
    assert one == other and at


if __name__ == "__main__":
    main()
