"""The analysis of a study, with 5,000 resamples: time and memory as the number of episodes grows."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from many import COMMITTED, write_cells
from measure import Row, apart, best

PART = "analysis with 5,000 resamples"
CODE = """
import json, sys, time
from pathlib import Path
import pandas as pd
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.results import KEY, Results
from knapsack_lib.episodes import EpisodeFile
began = time.perf_counter()
def lap():
    global began
    seconds, began = time.perf_counter() - began, time.perf_counter()
    return seconds
episodes = EpisodeFile(Path(sys.argv[1]))
clock = pd.DataFrame([(e.train, e.runtime, e.difficulty, e.train_seed, e.task_id, 1.0) for e in episodes], columns=[*KEY, "seconds"])
made = json.loads(Path(sys.argv[2], "provenance.json").read_text())
results = Results(episodes, clock, pd.DataFrame(), pd.DataFrame(), {}, made, episodes.digest)
found = {"reading": lap()}
results.cells, results.turns
found["frames"] = lap()
evidence = Evidence(results)
evidence.summary, evidence.failures
found["summary"] = lap()
evidence.contrasts
found["contrasts"] = lap()
"""


def rows(tiny: bool) -> Iterator[Row]:
    whole = {}
    for count in (60, 120) if tiny else (1200, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "cells.jsonl.gz"
            write_cells(path, count)
            found = apart(CODE, path, COMMITTED)
            floor = best(lambda path=path: _parse(path), 1)
        parts = {name: found[name] for name in ("reading", "frames", "summary", "contrasts")}
        whole[count] = sum(parts.values())
        yield Row(
            PART,
            f"{count:,} episodes",
            whole[count],
            "s",
            floor,
            "unpacking and json.loads of the same lines, once; measured: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()),
        )
        yield Row(PART, f"{count:,} episodes: peak memory", found["mib"], "MiB", wanted="<= 1024")


def _parse(path: Path) -> None:
    with gzip.open(path, "rb") as file:
        for line in file:
            json.loads(line)
