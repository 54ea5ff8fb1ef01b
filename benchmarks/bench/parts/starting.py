"""Starting and stopping: what an import costs and loads, and how long Ctrl-C takes."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import ROOT, Row, apart

from knapsack_lib.store import current

PART = "starting and stopping"
HEAVY = ("torch", "transformers", "pandas")
LONG = """
import sys
from pathlib import Path
from knapsack_lib.families import family_named
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import Rollouts
profile, draw = load_profile("pocket"), family_named("knapsack").make_task
tasks = [draw("pocket-easy", seed=1, split="long", index=i) for i in range(5000)]
policy, cell = ScriptedPolicy("knapsack", "reset", profile.teacher), Cell("knapsack", "teacher", "reset", "easy")
Rollouts(policy, cell, profile, seed=1, shard=50).run(tasks, Path(sys.argv[1]), "k")
"""


def rows(tiny: bool) -> Iterator[Row]:
    bare = _seconds("pass", tiny)
    for name in (
        "knapsack_lib",
        "knapsack_lib.families",
        "knapsack_lib.study",
        "knapsack_lib.rollouts",
    ):
        brought = apart(
            f"import sys, {name}\nfound = {{'heavy': [n for n in {HEAVY} if n in sys.modules]}}"
        )["heavy"]
        assert not brought, f"import {name} brings {brought}"
        wanted = "<= 0.2" if name == "knapsack_lib" else ""
        yield Row(
            PART,
            f"import {name}",
            _seconds(f"import {name}", tiny),
            "s",
            bare,
            "the interpreter without an import; no torch, transformers or pandas comes with it",
            wanted=wanted,
        )
    taken = [_stopped() for _ in range(1 if tiny else 3)]
    yield Row(
        PART, "Ctrl-C to the end of the process", statistics.median(taken), "s", wanted="<= 2"
    )


def _seconds(code: str, tiny: bool) -> float:
    taken = []
    for _ in range(2 if tiny else 9):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _stopped() -> float:
    """Seconds from SIGINT, in the middle of a run, until it has ended with every episode whole on
    disk."""
    with tempfile.TemporaryDirectory() as place:
        store = Path(place) / "s"
        run = subprocess.Popen(
            [sys.executable, "-c", LONG, str(store)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # a shell's background job ignores it
        )
        file = lambda: current(store) / "episodes.jsonl"  # noqa: E731
        while not file().exists() or file().stat().st_size < 100_000:
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.05)
        began = time.perf_counter()
        run.send_signal(signal.SIGINT)
        printed = run.communicate()[1]
        seconds = time.perf_counter() - began
        kept = file().read_bytes()
        assert f"stopped: {kept.count(chr(10).encode())} of 5000 episodes are saved" in printed, (
            printed[-300:]
        )
        return seconds
