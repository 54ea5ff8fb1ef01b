"""Where the time goes: every part of a study compared with another way to do it and with its
floor.

    python benchmarks/bench [part ...] [--tiny] [--keep]

Prints a table (single runs where a part says no ratio); with --keep it goes to benchmarks/bench.txt
and one line of JSON is added to benchmarks/bench.jsonl. Ratios are of one run, medians of
alternated repeats; seconds are this machine's. `--tiny` only tries the code.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}

from measure import Row, table

from knapsack_lib.keys import ANALYSIS, sources_digest
from knapsack_lib.machine import cores
from knapsack_lib.provenance import package_versions

PARTS = (
    "tasks",
    "interpreter",
    "episodes",
    "training",
    "generation",
    "analysis",
    "memory",
    "growth",
    "starting",
)
FOLDER = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: to see that it runs")
    parser.add_argument(
        "--keep", action="store_true", help="write bench.txt and add to bench.jsonl"
    )
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; choose of: {', '.join(PARTS)}")
    if given.keep and (given.parts or given.tiny):
        parser.error("--keep is for a whole run, without --tiny or the names of parts")
    rows: list[Row] = []
    for part in given.parts or PARTS:
        began = time.monotonic()
        for row in importlib.import_module(f"parts.{part}").rows(given.tiny):
            rows.append(row)
            print(*list(table([row]))[1:], sep="\n", file=sys.stderr, flush=True)
        print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    text = "\n".join([f"{_processor()}, {cores()} cores; one thread", "", *table(rows)])
    print(text)
    if given.keep:
        (FOLDER / "bench.txt").write_text(text + "\n", encoding="utf-8")
        record = {
            "code": sources_digest("knapsack", (*ANALYSIS, "training")),
            "packages": dict(package_versions()),
            "processor": _processor(),
            "rows": [asdict(r) for r in rows],
        }
        with open(FOLDER / "bench.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record, sort_keys=True) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown processor"
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        "unknown processor",
    )


if __name__ == "__main__":
    main()
