"""One step of the interpreter (benchmarks/interpreter.py has the whole comparison)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import interpreter as steps
from measure import Row, apart

PART = "interpreter"


def rows(tiny: bool) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        named = {
            runner.name: runner
            for runner in [*steps.ours(stack), steps.bare_exec(), steps.fresh_process()]
        }
        for _ in range(1 if tiny else 10):
            for runner in named.values():
                runner.measure(2 if tiny else 10)
    fork = _fork_and_wait(5 if tiny else 100)
    slow = named["fresh python -I process"].median("0")
    for mode, calls, floor, why in (
        (
            "persistent",
            "0",
            named["bare exec on a thread"].median("0"),
            "bare exec of the block on a thread, unconfined",
        ),
        (
            "persistent",
            "25",
            named["bare exec on a thread"].median("25"),
            "bare exec, tools called in the process",
        ),
        ("reset", "0", fork, "a fork that ends at once, and waiting for it"),
    ):
        value = named[f"ours, {mode}"].median(calls)
        yield Row(
            PART,
            f"{mode}: a step of {calls} tool calls",
            value,
            "ms",
            floor,
            why,
            slow / value if calls == "0" else None,
            "a fresh python process" if calls == "0" else "",
        )


def _fork_and_wait(times: int) -> float:
    """Milliseconds, in a process that holds nothing: a large one takes far longer to fork."""
    code = (
        "import os, statistics, sys, time\n"
        "taken = []\n"
        "for _ in range(int(sys.argv[1])):\n"
        "    began = time.perf_counter()\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    taken.append(time.perf_counter() - began)\n"
        "found = {'ms': 1e3 * statistics.median(taken)}"
    )
    return apart(code, times)["ms"]
