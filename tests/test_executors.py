"""Shards on several processes: the store of one process, also when a worker or the driver is killed
on the way."""

import os
import subprocess
import sys
import time

import pytest
from made import tasks

from knapsack_lib.errors import UserError
from knapsack_lib.executors import WorkerLost, as_done
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell, Profile, load_profile
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import find_stores, read_episodes

SMOKE = load_profile("smoke")
TASKS = tasks(12)
CELL = Cell("knapsack", "teacher", "reset", "easy")


class KillingPolicy(ScriptedPolicy):
    """Kills the worker that is the first to play `victim`; the next one finds the mark and plays
    on."""

    def __init__(self, mark, victim):
        super().__init__("knapsack", "reset", SMOKE.teacher)
        self.mark, self.victim = str(mark), victim

    def play(self, rollouts):
        for rollout in rollouts:
            if rollout.key == self.victim and not os.path.exists(self.mark):
                open(self.mark, "w", encoding="utf-8").close()
                os.kill(os.getpid(), 9)
            yield from super().play([rollout])


def played(folder, policy, executor="processes", **more):
    rollouts = Rollouts(policy, CELL, SMOKE, seed=1, shard=3, executor=executor, **more)
    rollouts.run(TASKS, folder, "key")
    return (folder / "key" / "episodes.jsonl").read_bytes()


def scripted():
    return ScriptedPolicy("knapsack", "reset", SMOKE.teacher)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return played(tmp_path_factory.mktemp("alone") / "s", scripted(), "local")


def test_processes_leave_the_store_that_one_process_leaves(alone, tmp_path):
    seen = []
    show = lambda done, total, **counts: seen.append(done)  # noqa: E731
    assert played(tmp_path / "s", scripted(), show=show) == alone
    assert (
        seen[0] == 0
        and seen[-1] == 12
        and seen == sorted(seen)
        and not list(tmp_path.rglob("shards"))
    )
    assert played(tmp_path / "s", scripted()) == alone  # nothing is left to do


def test_a_worker_that_is_killed_costs_its_shard_and_nothing_else(alone, tmp_path):
    assert played(tmp_path / "s", KillingPolicy(tmp_path / "mark", TASKS[4].task_id)) == alone
    assert (tmp_path / "mark").exists()
    assert len(read_episodes(tmp_path / "s", "")) == 12


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_executors import played, scripted
played(Path(sys.argv[2]), scripted())
"""


def test_a_driver_that_is_killed_continues_from_what_its_workers_left(alone, tmp_path):
    command = [sys.executable, "-c", DRIVER, os.path.dirname(__file__), str(tmp_path / "s")]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while process.poll() is None and not list((tmp_path / "s").glob("key/shards/knapsack*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list(find_stores(tmp_path)) == [tmp_path / "s" / "key" / "episodes.jsonl"]
    assert played(tmp_path / "s", scripted()) == alone


def test_a_paid_teacher_is_asked_from_one_machine_only():
    paper = load_profile("paper").model_dump()
    assert Profile.model_validate(paper).executor == "local"
    with pytest.raises(
        ValueError, match="a paid teacher is asked from one machine: executor = local"
    ):
        Profile.model_validate({**paper, "executor": "ray"})


def _fails(_):
    raise UserError("no such thing")


def _dies(_):
    os.kill(os.getpid(), 9)


def test_what_the_work_raises_comes_through_and_a_lost_worker_has_a_name():
    with pytest.raises(UserError, match="no such thing"):
        list(as_done(_fails, [1, 2], "processes"))
    with pytest.raises(WorkerLost):
        list(as_done(_dies, [1, 2], "processes"))
    assert sorted(as_done(abs, [-1, -2], "local")) == [(0, 1), (1, 2)]
    with pytest.raises(UserError, match="choose one of: local, processes, ray, dask"):
        list(as_done(abs, [1], "slurm"))
