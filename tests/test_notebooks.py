"""One papermill run of every notebook at params/smoke.yaml, in the order of a study, in a scratch
project."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from knapsack_lib.stages import plan, resolve

from knapsack_lib.files import project_root
from knapsack_lib.profiles import load_profile


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
    return folder


def _papermill(project, *words):
    command = [sys.executable, "-m", "papermill", *words]
    environment = {
        **os.environ,
        "KNAPSACK_ROOT": str(project),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    return subprocess.run(
        command,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_a_study_needs_eighteen_notebooks():
    assert len(plan(resolve("01_generate", {"profile": "smoke"}))) == 1 + 2 + 2 + 12 + 1


@pytest.mark.timeout(2700)  # the whole graph, and other tests beside it
def test_every_notebook_runs_at_the_smoke_profile(project):
    stages = plan(resolve("01_generate", {"profile": "smoke"}))
    out = project / "out"
    out.mkdir()
    beside = [resolve(name, {"profile": "smoke"}) for name in ("00_pocket_base", "06_explore")]
    for stage in [beside[0], *stages, beside[1]]:
        name = "-".join([stage.stage.name, *stage.words])
        result = _papermill(
            project,
            f"notebooks/{stage.stage.name}.ipynb",
            str(out / f"{name}.ipynb"),
            *stage.arguments,
        )
        assert result.returncode == 0, f"{name}: {result.stderr[-3000:]}"
        done = nbformat.read(out / f"{name}.ipynb", as_version=4)
        code = [c for c in done.cells if c.cell_type == "code"]
        assert all(c.execution_count for c in code), name
        assert not [o for c in code for o in c.outputs if o.output_type == "error"], name
    # A mode between the two
    other = [
        "-p",
        "profile",
        "smoke",
        "-p",
        "train",
        "base",
        "-p",
        "runtime",
        "ttl:2",
    ]
    result = _papermill(project, "notebooks/04_cross_eval.ipynb", str(out / "ttl.ipynb"), *other)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (project / "runs" / "smoke" / "cells" / "base-ttl2-easy" / "episodes.jsonl").exists()
    figures = project / "runs" / "smoke" / "figures"
    assert {p.suffix for p in figures.iterdir()} >= {".pdf", ".png", ".csv"}
    assert not (project / "figures").exists(), (
        "the smoke profile must not write the published figures"
    )


def test_the_smoke_profile_uses_the_shipped_base_and_every_split():
    profile = load_profile("smoke")
    assert profile.training.base == load_profile("pocket").training.base and not profile.published
