"""Progress as a user sees it: in a file for a runner, on a terminal, nowhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pexpect
import pytest

from knapsack_lib import progress as progress_module

REPOSITORY = Path(__file__).resolve().parents[1]


def test_progress_goes_to_the_file_that_a_runner_reads(tmp_path, monkeypatch):
    monkeypatch.setenv("KNAPSACK_PROGRESS", str(tmp_path / "feed"))
    step = progress_module.progress("fine-tune", "steps")
    for done in range(101):
        step(done, 100)
    lines = [
        json.loads(line) for line in (tmp_path / "feed").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["done"] for line in lines] == [0, 100]  # the rest came too fast to be shown
    assert lines[-1] == {
        "label": "fine-tune",
        "unit": "steps",
        "done": 100,
        "total": 100,
        "counts": {"tokens": 0, "usd": 0, "errors": 0},
    }


@pytest.mark.parametrize(
    ("done", "counts", "text"),
    [
        (4, {}, "  4% of 100 episodes"),  # nothing was done in this run yet
        (54, {}, " 54% of 100 episodes · 0:09 left · 5.0/s"),
        (5, {"tokens": 81_234}, "  5% of 100 episodes · 15:50 left · 6.0/min · 81.2 k tokens"),
        (100, {"usd": 0.0123, "errors": 2}, "100% of 100 episodes · 9.6/s · $0.0123 · 2 errors"),
        (100, {"tokens": 999_700}, "100% of 100 episodes · 9.6/s · 1 M tokens"),
        (
            100,
            {"usd": 12.5, "tokens": 2_500_000},
            "100% of 100 episodes · 9.6/s · 2.5 M tokens · $12.50",
        ),
    ],
)
def test_the_line_of_progress_is_about_this_run(monkeypatch, done, counts, text):
    now = [100.0]
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    meter = progress_module.Meter("episodes")
    meter.text(4, 100)  # what an earlier run left
    now[0] += 10
    assert meter.text(done, 100, **counts) == text


def test_a_terminal_shows_the_line_and_a_bar(monkeypatch):
    """On a pseudo-terminal of 120 columns, as a user sees it."""
    code = (
        "from knapsack_lib.progress import progress; import time\n"
        "show = progress('04 reset in reset', 'episodes')\n"
        "show(0, 4)\n"
        "for n in (1, 2, 3, 4): time.sleep(0.15); show(n, 4, tokens=1500 * n, usd=0.25 * n, errors=1)\n"
        "show(4, 4, tokens=9999)\n"
        "show(0, 2); time.sleep(0.15); show(0, 2, tokens=77); time.sleep(0.15); show(0, 2, tokens=88)"
    )
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("KNAPSACK_PROGRESS", raising=False)
    screen = pexpect.spawn(
        sys.executable, ["-c", code], dimensions=(24, 120), encoding="utf-8", cwd=REPOSITORY
    ).read()
    last = screen.replace("\n", "\r").split("\r")
    assert any(
        "50% of 4 episodes · 0:00 left · " in line and "3 k tokens · $0.50 · 1 error" in line
        for line in last
    )
    assert any(
        "100% of 4 episodes" in line and "6 k tokens · $1.00 · 1 error █" in line for line in last
    )
    assert not any(
        "10 k tokens" in line for line in last
    )  # what comes after the end begins no new bar
    assert any("77 tokens" in line for line in last) and any("88 tokens" in line for line in last)


def test_progress_is_silent_in_ci_and_off_a_terminal(monkeypatch, capfd):
    monkeypatch.delenv("KNAPSACK_PROGRESS", raising=False)
    for ci in ("true", ""):
        monkeypatch.setenv("CI", ci)
        step = progress_module.progress("fine-tune", "steps")
        step(1, 2)
        step(2, 2)
    assert capfd.readouterr() == ("", "")
