"""What all parts of the bench share: rows, alternated medians, and the ceilings that floors are
worked out from."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # scratch.py, interpreter.py


@dataclass(frozen=True)
class Row:
    """One figure. `floor` is in the same unit: what it cannot fall below (or, for a rate, rise
    above), `why` how that was found. `ratio` compares two things of the same run; `wanted` is its
    target, as `>= 8`."""

    part: str
    what: str
    value: float
    unit: str
    floor: float | None = None
    why: str = ""
    ratio: float | None = None
    against: str = ""
    wanted: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if not self.wanted:
            return None
        sign, bound = self.wanted.split()
        value = self.value if self.ratio is None else self.ratio
        return value >= float(bound) if sign == ">=" else value <= float(bound)


def alternated(repeats: int, **works: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each piece of work; they take turns, so that what else the machine does
    hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the quickest of several: a ceiling is what the machine can do, not what it mostly
    does."""
    return min(alternated(1, work=work)["work"] for _ in range(repeats))


def apart(code: str, *arguments: object) -> dict[str, Any]:
    """Run a program in a process of its own: what it printed as JSON on its last line, with `mib`,
    its peak of memory."""
    # Not ru_maxrss: a child begins with its parent's.
    ending = (
        "\nimport json, re\n"
        "peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(json.dumps({**found, 'mib': int(peak) / 1024}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + ending, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CI": "true"},
        cwd=ROOT,
    )
    if done.returncode:
        sys.exit(f"a part of the bench failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: list[Row]) -> Iterator[str]:
    """The lines of a table; a part's name stands before its first row."""
    yield f"{'':52}{'measured':>12}  {'':14}{'floor':>10}{'ratio':>9}  wanted"
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            yield f"\n{part}"
        floor = "" if row.floor is None else _number(row.floor)
        ratio = (
            ""
            if row.ratio is None
            else f"{row.ratio:.2f}x"
            if row.ratio < 10
            else f"{row.ratio:.0f}x"
        )
        verdict = "" if row.met is None else f"{row.wanted}: {'met' if row.met else 'NOT MET'}"
        yield f"  {row.what:50}{_number(row.value):>12}  {row.unit:14}{floor:>10}{ratio:>9}  {verdict}".rstrip()
        why = f"floor: {row.why}" if row.floor is not None else row.why
        for text in (row.against and f"ratio: {row.against}", row.why and why):
            if text:
                yield f"      {text}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# Ceilings -----------------------------------------------------------------------------------------


def bytes_a_second() -> float:
    """How fast one core reads memory that is in no cache."""
    block = np.ones(32_000_000)
    return block.nbytes / best(block.sum)


def cells_a_second() -> float:
    """How fast numpy makes cells of a table that fits a cache: an addition, a comparison, a
    maximum; the best length."""
    return max(_cells_a_second(length) for length in (256, 1024, 4096, 16384))


def _cells_a_second(length: int) -> float:
    row, so_far, mark = (
        np.arange(length),
        np.zeros(length, dtype=np.int64),
        np.zeros(length, dtype=bool),
    )
    times = 1_000_000 // length

    def work() -> None:
        for _ in range(times):
            new = row + 7
            np.greater(new, so_far, out=mark)
            np.maximum(new, so_far, out=so_far)

    return times * length / best(work)
