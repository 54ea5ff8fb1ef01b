"""knapsack table: figures of summaries and of episodes, intervals, and what is wrong named in one
line."""

import json
import re
import shutil
import subprocess

import pytest
from common import one_line

from knapsack_lib.analysis.intervals import mean_interval
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.table import latex_table

SUMMARY = {
    "average_is_solved": 0.25,
    "average_runtime": 3.0,
    "average_steps": 3.75,
    "average_total_tokens": 7878.4,
    "metrics": {"score": {"mean": 0.5373, "median": 0.5, "min": 0, "max": 1}},
    "num_tasks_executed": 8,
    "num_tasks_solved": 2,
}


@pytest.fixture
def table(tmp_path, copy):
    """table(cell, ..., **top): the LaTeX of a spec next to a copy of the sample and a summary file."""
    copy("persistent")
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")

    def make(*cells, **top):
        plain = {"difficulty": "Easy", "train": "Persistent", "runtime": "Stateless"}
        spec = {
            "caption": "50% & more",
            "label": "tab:x",
            "cells": [{**plain, **cell} for cell in cells],
            **top,
        }
        (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        return latex_table(tmp_path / "spec.json")

    return make


def test_a_summary_and_its_episodes_give_the_same_figures_and_only_the_episodes_an_interval(table):
    text = table(
        {"path": "summary.json"},
        {"metrics_path": "persistent", "train": "Reset", "difficulty": "hard"},
    )
    assert r"Persistent & Stateless & 0.537 & 25\% & 3.8 & 7,878 \\" in text
    assert (
        "Reset & Stateless & 0.537 [" in text and r"\emph{Easy}" in text and r"\emph{Hard}" in text
    )
    assert r"\caption{50\% \& more}" in text and r"\label{tab:x}" in text


def test_a_caption_is_plain_text(table):
    text = table({"path": "summary.json"}, caption=r"a $5 {x} ^2 ~ \n")
    assert r"\caption{a \$5 \{x\} \textasciicircum{}2 \textasciitilde{} \textbackslash{}n}" in text


def test_intervals_do_not_depend_on_the_order_of_files(table, tmp_path):
    first = table({"metrics_path": "persistent"})
    files = sorted((tmp_path / "persistent").iterdir())
    (tmp_path / "other").mkdir()
    for path in reversed(files):
        path.rename(tmp_path / "other" / path.name)
    assert table({"metrics_path": "other"}) == first


def test_scales_counts_overrides_and_absent_cells(table):
    text = table(
        {"path": "summary.json"}, {"absent": True}, score_scale="percent", solved_format="count"
    )
    assert r"Score (\%)" in text and "& 53.7 & 2/8 &" in text and "& -- & -- & -- & -- " in text
    assert "& 0.900 &" in table({"metrics_path": "persistent", "score_override": 0.9})
    assert r"Score (\%)" in table({"path": "summary.json", "score_override": 53.7})
    assert mean_interval([0.0, 1.0, 0.5, 0.25, 1.0], seed=1).low < 0.55


@pytest.mark.parametrize(
    ("cell", "top", "message"),
    [
        ({"metrics_pth": "x"}, {}, r"cells\.0\.metrics_pth"),
        ({"path": "gone.json"}, {}, r"cells\.0\.path: no file or folder gone\.json; declare"),
        ({}, {}, "neither path nor metrics_path"),
        (
            {"path": "summary.json", "difficulty": "tough"},
            {},
            r"^spec.json: cells\.0\.difficulty: Input should be 'easy', 'medium' or 'hard'",
        ),
        ({"path": "summary.json"}, {"score_scale": "per mille"}, "score_scale"),
        ({"path": "summary.json"}, {"colour": 1}, "colour"),
        ({"path": "spec.json"}, {}, "holds no score"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(table, cell, top, message):
    with pytest.raises(UserError, match=message) as error:
        table(cell, **top)
    one_line(error)


def test_a_row_is_not_over_two_families(table, tmp_path):
    for path in sorted((tmp_path / "persistent").iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("knapsack", "navigation")))
    with pytest.raises(UserError, match=r"several families \(knapsack, navigation\)") as error:
        table({"metrics_path": "persistent"})
    one_line(error)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here")
def test_the_table_compiles_with_the_packages_of_the_paper(whole, tmp_path):
    cells = [
        {
            "difficulty": size,
            "train": train,
            "runtime": runtime,
            "metrics_path": str(whole[0] / f"{train}_{runtime}_{size}"),
        }
        for size in ("easy", "hard")
        for train in ("base", "persistent", "stateless")
        for runtime in ("persistent", "stateless")
    ]
    spec = {"caption": "All_cells & 100% #1 \\ {x}", "label": "tab:all", "cells": cells}
    (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    table = latex_table(tmp_path / "spec.json")
    assert table.count("[") == 12 - sum("nan" in line for line in table.splitlines())
    head = re.findall(
        r"\\usepackage.*",
        (load_profile("pocket").run().published_root.parents[1] / "paper/main.tex").read_text(
            encoding="utf-8"
        ),
    )
    text = ["\\documentclass{article}", *head, "\\begin{document}", table, "\\end{document}"]
    (tmp_path / "t.tex").write_text("\n".join(text), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-2000:]
