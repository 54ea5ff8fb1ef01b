"""The bench runs from end to end at its smallest size. What it measures is not judged here: no test
is timed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = [sys.executable, "benchmarks/bench", "--tiny"]


@pytest.mark.parametrize(
    "parts",
    [
        ["tasks", "interpreter", "episodes"],
        ["analysis", "memory"],
        ["growth", "starting"],
        ["training"],
        ["generation"],
    ],
    ids=" ".join,
)
def test_every_part_runs_and_gives_a_table(parts):
    done = subprocess.run(
        [*BENCH, *parts], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert any(line.split() == ["measured", "floor", "ratio", "wanted"] for line in lines)
    assert sum(line.startswith("  ") and not line.startswith("    ") for line in lines) > 2 * len(
        parts
    )
    assert "nan" not in done.stdout


def test_the_plain_trainer_takes_the_same_steps_in_the_same_precision(monkeypatch, tmp_path):
    from knapsack_lib.profiles import load_profile
    from knapsack_lib.training.trainer import _config

    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "bench")
    for changed in ({}, {"bf16": False}, {"gradient_accumulation_steps": 3}):
        setting = load_profile("pocket").training.model_copy(update=changed)
        plain = importlib.import_module("parts.training")._plain_arguments(setting, str(tmp_path))
        ours = _config(setting, tmp_path, 1)
        for name in (
            "bf16",
            "fp16",
            "tf32",
            "use_cpu",
            "max_steps",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "train_sampling_strategy",
            "gradient_checkpointing",
            "max_grad_norm",
            "learning_rate",
            "weight_decay",
            "dataloader_num_workers",
            "torch_compile",
        ):
            assert getattr(plain, name) == getattr(ours, name), name


@pytest.fixture
def pairs(monkeypatch):
    """pairs(name): a module of benchmarks/, with what it hands to `alternated`: which works, side
    by side. Each is done once."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "bench")
    seen = []

    def once(repeats, **works):
        seen.append(tuple(works))
        return {name: (work(), 1.0)[1] for name, work in works.items()}

    def load(name):
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "alternated", once)
        return module, seen

    return load


def test_the_explorer_and_a_data_frame_take_turns(pairs, monkeypatch, capsys):
    explorer, seen = pairs("explorer")
    monkeypatch.setattr(sys, "argv", ["explorer.py", "--episodes", "60"])
    explorer.main()
    assert seen == [("ours", "frame")] * 4 + [("ours",)]
    assert capsys.readouterr().out.count("    1000.0      1000.0") == 4


def test_one_worker_and_many_take_turns(pairs):
    from knapsack_lib.profiles import load_profile

    growth, seen = pairs("parts.growth")
    one, many = growth._workers(load_profile("pocket"), True)
    assert seen == [("one", "many")] and (one.ratio, many.ratio) == (None, 1.0)


def test_a_wrong_part_lists_the_right_ones():
    done = subprocess.run([*BENCH, "taks"], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert (
        done.returncode == 2
        and "there is no part 'taks'; choose of: tasks, interpreter" in done.stderr
    )


def test_the_kept_run_is_a_line_of_json_for_every_run_and_the_table_of_the_last():
    records = [
        json.loads(line)
        for line in (ROOT / "benchmarks/bench.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    last = records[-1]
    parts = {row["part"] for row in last["rows"]}
    assert len(parts) == 9 and last["packages"]["torch"]
    table = (ROOT / "benchmarks/bench.txt").read_text(encoding="utf-8")
    assert all(row["what"] in table for row in last["rows"]) and last["processor"] in table
