"""How much of this machine is ours: cores and memory, where a container or a scheduler shares them out.

    cores(), memory()                # on a node of 64 cores, in a container of two: 2

Linux limits a process through control groups. They nest, so the smallest limit on the way up holds; both versions of
them are read. (joblib counts cores too, but looks at the outermost group only, and nothing installed here tells memory.)
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cores", "memory"]

GROUPS = "sys/fs/cgroup"


def cores(root: Path = Path("/")) -> int:
    """How many this process can keep busy: those it may run on, and no more than its share of time. At least one.
    `root` holds proc/ and sys/."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shares = [math.ceil(quota / period) for quota, period in _quotas(root) if quota > 0 < period]
    return max(1, min([found or 1, *shares]))


def memory(root: Path = Path("/")) -> int:
    """Bytes that this process and those beside it in its group may fill. `root` holds proc/ and sys/."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += _numbers(folder / name)
    return min(limit for limit in limits if limit > 0)


def _quotas(root: Path) -> Iterator[list[int]]:
    """(microseconds of processor time, in so many microseconds) of every group that has such a limit; -1 is none."""
    for folder in _groups(root, "cpu"):
        old = _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
        yield from (pair for pair in (_numbers(folder / "cpu.max"), old) if len(pair) == 2)


def _numbers(file: Path) -> list[int]:
    """The numbers of a file; nothing where it is not there or a word of it is none ("max")."""
    with suppress(OSError, ValueError):
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    return []


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in, for that controller, innermost first. A container may see
    its own group as the outermost, whatever the group is called outside."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = root / GROUPS / (controller if controllers else "")
            inner = Path(*(part for part in Path(group).parts if part not in ("/", "..")))
            yield from (top / folder for folder in (inner, *inner.parents))
