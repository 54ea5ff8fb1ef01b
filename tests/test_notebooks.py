"""Every notebook runs at params/smoke.yaml, in a scratch project, by the command that users type."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from knapsack_lib.files import project_root
from knapsack_lib.profiles import load_profile
from knapsack_lib.store import read_episodes
from knapsack_lib.study import graph


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A scratch project folder with this one's notebooks and params; runs/ of the checkout stay
    untouched."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("params", "notebooks", "paper"):
        shutil.copytree(
            project_root() / name,
            folder / name,
            ignore=shutil.ignore_patterns("tables", "*.pdf", "numbers.tex"),
        )
    wild = Path("results", "in-the-wild")
    shutil.copytree(project_root() / wild, folder / wild)
    return folder


def knapsack(project, *words):
    """The command in the project, as a process whose lines can be read."""
    environment = {**os.environ, "KNAPSACK_ROOT": str(project), "CI": "true"}
    return subprocess.Popen(
        [sys.executable, "-m", "knapsack_lib.cli", *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


@pytest.fixture
def studied(project):
    """The project with a whole smoke study. Nothing is left to do where a test before ran it, in
    this process: tests are shared out among processes, each with a project of its own."""
    with knapsack(project, "run", "--profile", "smoke") as child:
        lines = child.stdout.read()
    assert child.returncode == 0, lines
    return project


def executed(path):
    """The code cells of an executed notebook, none of which may have failed."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells), path
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"], path
    return cells


@pytest.mark.timeout(2700)  # the whole graph, on a machine that does something else as well
def test_a_smoke_study_that_is_killed_on_its_way_comes_to_its_end(project):
    killed = 0
    for seconds, number in ((4, 9), (9, 15), (14, 9)):
        with knapsack(project, "run", "--profile", "smoke") as child:
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.send_signal(number)
                killed += 1
            child.stdout.read()
    with knapsack(project, "run", "--profile", "smoke") as child:
        lines = child.stdout.read()
    assert child.returncode == 0 and killed, lines
    run = load_profile("smoke").run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_ROOT", str(project))
        for step in graph(run):
            executed(step.output)
            assert not step.is_stale(), step.name
    with knapsack(project, "run", "--profile", "smoke") as child:
        again = child.stdout.read()
    assert child.returncode == 0 and "started" not in again and "nothing left to do" in again
    figures = project / "runs" / "smoke" / "figures"
    assert {path.suffix for path in figures.iterdir()} >= {".pdf", ".png", ".csv"}
    assert not (project / "figures").exists(), "a smoke study must not write published figures"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["00_pocket_base", "06_explore", "07_in_the_wild"])
def test_a_notebook_outside_the_graph_runs_at_the_smoke_profile(studied, name):
    with knapsack(studied, "run", "--profile", "smoke", "--stage", name) as child:
        lines = child.stdout.read()
    assert child.returncode == 0, lines
    assert len(executed(studied / "runs" / "smoke" / "notebooks" / f"{name}.ipynb")) > 3


@pytest.mark.timeout(1800)
def test_a_cell_in_a_mode_between_the_two_is_played_by_notebook_04(studied):
    words = ["-p", "profile", "smoke", "-p", "train", "base", "-p", "runtime", "ttl:2"]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "notebooks/04_cross_eval.ipynb", *words],
        cwd=studied,
        env={**os.environ, "KNAPSACK_ROOT": str(studied)},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    store = studied / "runs" / "smoke" / "cells" / "base-ttl2-easy"
    assert len(read_episodes(store, "")) == load_profile("smoke").tasks.easy


def test_the_smoke_profile_uses_the_shipped_base_and_every_split():
    profile = load_profile("smoke")
    assert profile.training.base == load_profile("pocket").training.base and not profile.published
