"""Progress as a user sees it, and the runner's manners: lines, errors, signals, what is left
behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pexpect
import pytest
from common import comes_true, gone
from knapsack_lib.stages import STAGES, resolve

from knapsack_lib import progress as progress_module
from knapsack_lib.runner import _Report, main, run_stage

REPOSITORY = Path(__file__).resolve().parents[1]


def notebook(project: Path, stage: str, *cells: str) -> None:
    values = (
        {"profile": "smoke"} | {"seed": None} | dict.fromkeys(STAGES[stage].words, "persistent")
    )
    text = "\n".join(
        f"{name} = {'easy' if name == 'difficulty' else value!r}" for name, value in values.items()
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in (text, *cells)]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, project / "notebooks" / f"{stage}.ipynb")


def test_progress_goes_to_the_runner_s_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KNAPSACK_PROGRESS", str(tmp_path / "feed"))
    step = progress_module.progress("fine-tune", "steps")
    for done in range(101):
        step(done, 100)
    lines = [json.loads(line) for line in (tmp_path / "feed").read_text().splitlines()]
    assert [line["done"] for line in lines] == [0, 100]  # the rest came too fast to be told
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
def test_the_line_of_progress_speaks_of_this_run(monkeypatch, done, counts, text):
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


def run_stage_of(project, *words, **settings):
    command = [sys.executable, "-m", "knapsack_lib.runner", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **settings.pop("env", {})}
    return subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        **settings,
    )


SLOW = """
from knapsack_lib.progress import progress
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open("pids", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
step = progress("sleep", "naps")
for done in range(600):
    step(done, 600)
    time.sleep(0.1)
"""


def test_the_runner_shows_lines_and_leaves_a_clean_notebook(project):
    notebook(project, "01_generate", "from knapsack_lib.progress import progress", "print(6 * 7)")
    with run_stage_of(project, "01_generate", "--profile", "smoke", "--seed", "3") as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 0
    assert lines[0] == "[ 1/18] 01 generate  started"
    assert lines[-1].startswith("[ 1/18] 01 generate  done in 0:")
    folder = project / "runs" / "smoke-seed3" / "notebooks"
    assert sorted(p.name for p in folder.glob("[!.]*")) == ["01_generate.ipynb"]
    text = (folder / "01_generate.ipynb").read_text()
    assert '"42\\n"' in text and str(project) not in text and str(REPOSITORY) not in text


def test_progress_lines_say_how_far_and_what_follows(project, monkeypatch):
    monkeypatch.setenv("CI", "true")
    silent = _Report(resolve("02_teacher", {"runtime": "reset"}))
    silent.say = pytest.fail
    counts = {"tokens": 81_234, "usd": 0.25, "errors": 1}
    play = {"label": "play", "unit": "episodes", "total": 40, "counts": counts}
    silent.show([json.dumps({**play, "done": 40}) + "\n"])
    monkeypatch.delenv("CI")
    report = _Report(resolve("02_teacher", {"runtime": "reset"}))
    said = []
    report.say = said.append
    for done in (0, 1, 28, 29, 40):
        report.show([json.dumps({**play, "done": done}) + "\n"])
    assert len(said) == 2  # at 70% and at the end; 1 and 29 of 40 pass no tenth
    assert said[0].startswith("███████░░░  70% of 40 episodes · 0:00 left · ")
    assert said[0].endswith("/s · 81.2 k tokens · $0.25 · 1 error · then 03 x2, 04 x12, 05, paper")
    assert "left" not in said[1]


def test_a_failed_notebook_is_one_line_and_never_the_output(project):
    notebook(project, "01_generate", "assert 1 > 2, 'gate not reached'")
    with run_stage_of(project, "01_generate", "--profile", "smoke") as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1
    copy = "runs/smoke/notebooks/01_generate.failed.ipynb"
    assert lines[1:] == [
        f"[ 1/18] 01 generate  failed: AssertionError: gate not reached (see {copy})"
    ]
    assert not (project / "runs/smoke/notebooks/01_generate.ipynb").exists()
    assert '"gate not reached"' in (project / copy).read_text()


def test_a_dead_kernel_is_a_failure(project):
    notebook(project, "01_generate", "import os\nos.kill(os.getpid(), 9)")
    with run_stage_of(project, "01_generate", "--profile", "smoke") as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1
    assert "failed: " in lines[-1] and "Kernel died" in lines[-1]
    assert not (project / "runs/smoke/notebooks/01_generate.ipynb").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_kernel_and_its_children(project, number):
    notebook(project, "01_generate", SLOW)
    with run_stage_of(
        project, "01_generate", "--profile", "smoke", start_new_session=True
    ) as child:
        assert comes_true(
            lambda: (
                (project / "pids").exists() and len((project / "pids").read_text().split()) == 2
            ),
            60,
        )
        pids = [int(pid) for pid in (project / "pids").read_text().split()]
        child.send_signal(number)
        assert child.wait(60) == 130  # how soon: make bench
        assert gone(pids)
        said = child.stdout.read()
        assert "what had ended is saved" in said
        assert "(papermill notebooks/01_generate.ipynb -p profile smoke)" in said


def test_a_stage_whose_lines_nobody_can_read_any_more_ends(project, monkeypatch):
    """As in `make paper | head`: the stage is in a session of its own, and would run on unwatched."""
    notebook(project, "01_generate", SLOW)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    def closed(self, lines):
        if (project / "pids").exists() and len((project / "pids").read_text().split()) == 2:
            raise BrokenPipeError

    monkeypatch.setattr(_Report, "show", closed)
    with pytest.raises(BrokenPipeError):
        run_stage(resolve("01_generate", {"profile": "smoke"}))
    assert gone((project / "pids").read_text().split())


def test_the_stage_ends_when_make_is_killed(project):
    notebook(project, "01_generate", SLOW)
    command = [sys.executable, "-m", "knapsack_lib.runner", "01_generate", "--profile", "smoke"]
    script = f"import subprocess; subprocess.run({command!r})"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    make = subprocess.Popen(
        [sys.executable, "-c", script], cwd=project, env=environment, stdout=subprocess.DEVNULL
    )
    assert comes_true(
        lambda: (project / "pids").exists() and len((project / "pids").read_text().split()) == 2, 60
    )
    pids = [int(pid) for pid in (project / "pids").read_text().split()]
    make.kill()
    make.wait()
    assert gone(pids)


def test_a_wrong_word_ends_the_runner_at_once(project, capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, action: None)
    assert main(["04_cross_eval", "--train", "none"]) == 1
    assert (
        capsys.readouterr().err
        == "train = 'none' is unknown; choose one of: base, persistent, reset\n"
    )
