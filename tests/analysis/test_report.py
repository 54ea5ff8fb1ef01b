"""Figures, tables and numbers as files: which there are, the same bytes everywhere, their origin,
what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from knapsack_lib.analysis import figures, tables

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("figures", "paper", "results")


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_every_figure_is_three_files_and_every_table_two(
    which: str, request: pytest.FixtureRequest
):
    made = request.getfixturevalue(which)
    wanted = {
        f"figures/{name}.{kind}" for name in figures.FIGURES for kind in ("csv", "pdf", "png")
    }
    wanted |= {f"paper/tables/{name}.{kind}" for name in tables.TABLES for kind in ("csv", "tex")}
    wanted |= {
        "paper/tables/contrasts_planned.tex",
        "paper/tables/prompts.tex",
        "paper/numbers.tex",
        "paper/main.tex",
    }
    assert {path.relative_to(made.run.root).as_posix() for path in made.written} == wanted
    assert len(made.written) == len(wanted) == 9 * 3 + 6 * 2 + 4 and all(
        path.stat().st_size for path in made.written
    )


@pytest.mark.parametrize(("name", "source"), [("smoke", "results"), ("twice", "run")])
def test_rebuilding_in_another_process_gives_the_same_bytes(
    name: str, source: str, copied: Path, built_once, digests, tmp_path: Path
):
    """Of other hash seeds and in another folder; `--from run` gathers the compact results anew as
    well."""
    root = copied / "runs" / name
    for folder in FOLDERS if source == "run" else FOLDERS[:2]:
        shutil.rmtree(root / folder)
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(REPOSITORY)}
    command = [
        sys.executable,
        "-m",
        "knapsack_lib.cli",
        "figures",
        "--profile",
        name,
        "--from",
        source,
    ]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, check=True, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.startswith(f"wrote 43 files under runs/{name} from: profile {name} ")
    for folder in FOLDERS:
        assert digests(root / folder) == digests(built_once.folder / "runs" / name / folder)


def test_every_generated_file_names_its_origin_and_no_path_or_clock(smoke):
    results = smoke.results
    assert re.fullmatch(r"profile smoke [0-9a-f]{64}, seed 1, episodes [0-9a-f]{64}", results.stamp)
    text = smoke.run.root / "paper" / "main.tex"
    for path in smoke.written:
        data = path.read_bytes()
        assert str(smoke.run.root).encode() not in data and b"CreationDate" not in data, path.name
        if path != text:
            assert results.stamp.encode() in data, path.name
        if path != text and path.suffix in (".tex", ".csv"):
            mark = "%" if path.suffix == ".tex" else "#"
            assert data.decode().split("\n")[0] == f"{mark} {results.stamp}"


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_no_generated_text_prints_a_number_that_is_not_there(
    which: str, request: pytest.FixtureRequest
):
    made = request.getfixturevalue(which)
    text = made.run.root / "paper" / "main.tex"
    paths = [path for path in made.written if path.suffix == ".tex" and path != text]
    lines = [
        (path.name, line)
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert (
        len(lines) > 300
        and [one for one in lines if re.search(r"(?<![A-Za-z])(nan|inf|NaT)\b", one[1])] == []
    )
