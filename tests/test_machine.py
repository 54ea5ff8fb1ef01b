"""What of a machine is ours: both versions of control groups, nested, in and out of containers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from knapsack_lib import doctor, machine
from knapsack_lib.machine import cores, memory

ROOT = Path(__file__).parents[1]
GIB = 2**30


@pytest.fixture
def wide(monkeypatch):
    """A host of 64 cores and 256 GiB, of which this process may run everywhere."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 256 * GIB // 4096}
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: sizes.get(name) or real(name))


def groups(folder, member, files):
    """A tree of control groups: `member` is proc/self/cgroup, `files` lie below sys/fs/cgroup."""
    for name, text in {
        "proc/self/cgroup": member,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


TREES = {
    "a container of version 2, which sees its own group as the outermost": (
        "0::/\n",
        {"cpu.max": "200000 100000\n", "memory.max": f"{8 * GIB}\n"},
        (2, 8 * GIB),
    ),
    "a step of a job: the limits are those of the job, two groups above": (
        "0::/system.slice/slurmd/job_7/step_0\n",
        {
            "system.slice/slurmd/job_7/step_0/cpu.max": "max 100000\n",
            "system.slice/slurmd/job_7/step_0/memory.max": "max\n",
            "system.slice/slurmd/job_7/cpu.max": "400000 100000\n",
            "system.slice/slurmd/job_7/memory.max": f"{16 * GIB}\n",
            "system.slice/memory.max": f"{100 * GIB}\n",
            "system.slice/slurmd/job_8/cpu.max": "100000 100000\n",
        },
        (4, 16 * GIB),
    ),
    "the inner limit is the smaller one": (
        "0::/pod/box\n",
        {
            "pod/cpu.max": "800000 100000",
            "pod/box/cpu.max": "150000 100000",
            "pod/memory.max": f"{9 * GIB}",
            "pod/box/memory.max": f"{3 * GIB}",
        },
        (2, 3 * GIB),
    ),
    "less than a core is one": ("0::/\n", {"cpu.max": "50000 100000"}, (1, 256 * GIB)),
    "version 1, nested": (
        "11:memory:/a/b\n4:cpu,cpuacct:/a/b\n0::/a/b\n",
        {
            "cpu/a/b/cpu.cfs_quota_us": "-1\n",
            "cpu/a/b/cpu.cfs_period_us": "100000\n",
            "cpu/a/cpu.cfs_quota_us": "300000\n",
            "cpu/a/cpu.cfs_period_us": "100000\n",
            "memory/a/b/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            "memory/a/memory.limit_in_bytes": f"{5 * GIB}\n",
        },
        (3, 5 * GIB),
    ),
    "version 1 in a container that knows its group by the host's name": (
        "4:cpu,cpuacct:/docker/0a1b\n5:memory:/docker/0a1b\n",
        {
            "cpu/cpu.cfs_quota_us": "250000",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": f"{2 * GIB}",
        },
        (3, 2 * GIB),
    ),
    "moved out of what the container can see": (
        "0::/../../other\n",
        {"cpu.max": "600000 100000"},
        (6, 256 * GIB),
    ),
    "no limit": ("0::/user.slice\n", {"user.slice/cpu.max": "max 100000"}, (64, 256 * GIB)),
    "half a file": ("0::/\n", {"cpu.max": "100", "memory.max": ""}, (64, 256 * GIB)),
}


@pytest.mark.parametrize("name", TREES)
def test_the_smallest_limit_of_the_groups_above_holds(wide, tmp_path, name):
    member, files, expected = TREES[name]
    root = groups(tmp_path, member, files)
    assert (cores(root), memory(root)) == expected


def test_a_machine_without_groups_is_all_ours(wide, tmp_path):
    assert (cores(tmp_path), memory(tmp_path)) == (64, 256 * GIB)


def test_cores_that_this_process_may_not_run_on_are_not_ours():
    code = "from knapsack_lib.machine import cores; print(cores())"
    first = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{first}]); {code}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"1\n"


@pytest.fixture
def shared(wide, tmp_path, monkeypatch):
    """This process, in a group of one core and 3 GiB of a wide host."""
    root = groups(tmp_path, "0::/\n", {"cpu.max": "100000 100000", "memory.max": f"{3 * GIB}"})
    for count in (cores, memory):
        monkeypatch.setattr(count, "__defaults__", (root,))
    return machine


def test_the_screen_about_the_machine_shows_our_share(shared):
    found = doctor.look()
    assert (found.cores, found.memory) == (1, 3 * GIB)


def _process(_):
    import time

    time.sleep(0.2)  # long enough that a second worker would take the next job
    return os.getpid()


def test_as_many_workers_start_as_there_are_cores_of_ours(shared):
    from knapsack_lib.executors import as_done

    assert len({pid for _, pid in as_done(_process, range(4), "processes")}) == 1
