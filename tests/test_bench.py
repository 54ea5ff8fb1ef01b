"""The bench runs from end to end at its smallest size. What it measures is not judged here: no test is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = [sys.executable, "benchmarks/bench", "--tiny"]


@pytest.mark.parametrize("parts", [["tasks", "interpreter", "episodes"], ["analysis", "memory"], ["growth", "starting"],
                                   ["training"], ["generation"]], ids=" ".join)  # fmt: skip
def test_every_part_runs_and_gives_a_table(parts):
    done = subprocess.run([*BENCH, *parts], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert any(line.split() == ["measured", "floor", "ratio", "wanted"] for line in lines)
    assert sum(line.startswith("  ") and not line.startswith("    ") for line in lines) > 2 * len(parts)
    assert "nan" not in done.stdout


def test_a_wrong_part_lists_the_right_ones():
    done = subprocess.run([*BENCH, "taks"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "there is no part 'taks'; choose of: tasks, interpreter" in done.stderr


def test_the_kept_run_is_a_line_of_json_for_every_run_and_the_table_of_the_last():
    records = [json.loads(line) for line in (ROOT / "benchmarks/bench.jsonl").read_text().splitlines()]
    last = records[-1]
    parts = {row["part"] for row in last["rows"]}
    assert len(parts) == 9 and last["packages"]["torch"]
    table = (ROOT / "benchmarks/bench.txt").read_text()
    assert all(row["what"] in table for row in last["rows"]) and last["processor"] in table
