"""Other people's episodes in the analysis: what it finds in them is what it finds in ours."""

import shutil

import pandas as pd
import pytest
from common import one_line

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.report import build
from knapsack_lib.analysis.results import read_results
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import Cell
from knapsack_lib.published.reading import read_source
from knapsack_lib.published.results import results_of


def test_results_of_exported_files_are_those_of_the_run(whole, run):
    folder, kept = whole
    results, notes = results_of(str(folder), run)
    own = read_results(run)
    chosen = {e.task_id for e in kept}
    mine = own.cells[own.cells.task_id.isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        results.cells.drop(columns="seconds"), mine.drop(columns="seconds")
    )
    assert not notes and not results.whole and "source benchmarks" in results.stamp
    row = Evidence(results).contrast("score", "easy", "interaction")
    assert (
        row.n == (mine[mine.difficulty == "easy"].task_id.nunique())
        and row.seeds == 3
        and row.p_holm < 0.05
    )


def test_two_cells_are_analysed_as_far_as_they_go(sample, run, tmp_path):
    for name, cell in (
        ("persistent", "persistent_persistent_easy"),
        ("stateless", "stateless_stateless_easy"),
    ):
        shutil.copytree(sample / name, tmp_path / "theirs" / cell / "knapsack")
    results, notes = results_of(str(tmp_path / "theirs"), run)
    evidence = Evidence(results)
    assert evidence.cell("persistent", "persistent", "easy").score == pytest.approx(0.537325)
    assert results.cells.tool_calls.isna().all() and len(results.cells) == 16
    assert (results.cells.failure == "time limit").sum() == 2 and not notes
    tokens = evidence.contrast("tokens", "easy", "aligned")
    assert tokens.n == 7 and "1 tasks on which a cell spent no token have no ratio" in tokens.note
    written = {path.name for path in build(results, run, tmp_path / "out")}
    assert {"main_result.png", "contrasts.csv", "main.tex", "claims.csv"} <= written
    assert not {"loss_curves.png", "teacher.tex", "numbers.tex"} & written
    by_turn = pd.read_csv(tmp_path / "out" / "figures" / "tokens_by_turn.csv", comment="#")
    assert (by_turn.n == 8).all()  # the two that never began are counted
    assert by_turn[by_turn.train == "persistent"].tokens.max() == pytest.approx(7878.375)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "cell 'published_persistent_easy' is none of the study's"),
        ("teacher_persistent_easy", "none of|no episodes"),
    ],
)
def test_results_without_a_cell_of_the_study_are_one_line(sample, run, tmp_path, cell, message):
    shutil.copytree(sample / "persistent", tmp_path / "x" / cell)
    with pytest.raises(UserError, match=message) as error:
        results_of(str(tmp_path / "x"), run)
    assert "knapsack import" in one_line(error)


def test_a_folder_above_may_be_called_expert(sample, run, tmp_path):
    for folder in (
        "expert/mine/base",
        "expert/mine/expert/easy",
    ):  # the second is a yardstick within the source
        (tmp_path / folder).mkdir(parents=True)
        cell = Cell("knapsack", "base", "persistent", "easy")
        episodes = read_source(sample / "persistent", cell).episodes
        (tmp_path / folder / "episodes.jsonl").write_text(
            "".join(e.to_line() + "\n" for e in episodes), encoding="utf-8"
        )
    results, _ = results_of(str(tmp_path / "expert" / "mine"), run)
    assert len(results.cells) == 8


def test_no_mean_is_over_two_families(sample, run, tmp_path):
    cell = tmp_path / "theirs" / "persistent_persistent_easy"
    shutil.copytree(sample / "persistent", cell / "knapsack")
    shutil.copytree(sample / "stateless", cell / "navigation")
    for path in sorted((cell / "navigation").iterdir()):
        path.rename(path.with_name(path.name.replace("knapsack", "navigation")))
    results, notes = results_of(str(tmp_path / "theirs"), run)
    assert len(results.cells) == 8
    assert notes == ["left out, since the profile's family is knapsack: 8 of navigation episodes"]
