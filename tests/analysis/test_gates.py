"""Gates: two lines for each adapter in each aligned cell, that say whether they hold and why."""

from __future__ import annotations

import re

import pytest

from knapsack_lib.analysis.gates import gates
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile


def test_gates_are_eight_lines_with_their_numbers(smoke):
    results, bounds = smoke.results, load_profile("pocket").gates
    found = gates(results.cells, results.expert, bounds)
    assert len(found) == 8 and {g.cell.split(",")[0] for g in found} == {
        "persistent -> persistent",
        "reset -> reset",
    }
    best = results.expert[results.expert.difficulty == "easy"].score.mean()
    first = found[0]
    mine = results.cells.set_index(CELL).loc[("persistent", "persistent", "easy")].score.mean()
    assert (first.value, first.bound, first.holds) == (mine, 0.85 * best, mine >= 0.85 * best)
    assert re.match(
        r"(holds|FAILS)  persistent -> persistent, easy: mean score 0\.\d{3} ", str(first)
    )


def test_every_adapter_has_gates_of_its_own(twice):
    results = twice.results
    found = gates(results.cells, results.expert, load_profile("pocket").gates)
    assert len(found) == 2 * 8
    assert [g.cell for g in found[:4]] == [
        f"persistent -> persistent, easy, training seed {k}" for k in (1, 1, 2, 2)
    ]
    means = results.cells.groupby([*CELL, "train_seed"]).score.mean()
    assert [g.value for g in found[:4:2]] == [
        means["persistent", "persistent", "easy", k] for k in (1, 2)
    ]
    assert all(g.why.endswith("n = 8") for g in found if ", easy," in g.cell)


def test_a_gate_fails_for_the_adapter_that_misses_the_bound_whatever_the_other_does(twice):
    results, bounds = twice.results, load_profile("pocket").gates
    second = (results.cells.train == "reset") & (results.cells.train_seed == 2)
    uneven = results.cells.assign(score=1.0 - second.astype(float))
    found = {
        g.cell: g.holds for g in gates(uneven, results.expert, bounds) if g.what == "mean score"
    }
    assert {cell for cell, holds in found.items() if not holds} == {
        f"reset -> reset, {d}, training seed 2" for d in ("easy", "medium")
    }


def test_a_gate_fails_where_the_bound_is_missed_and_holds_where_it_is_met(smoke):
    results, bounds = smoke.results, load_profile("pocket").gates
    aligned = (results.cells.train == "reset") & (results.cells.runtime == "reset")
    poor = results.cells.assign(score=results.cells.score.mask(aligned, 0.0))
    lines = {str(g)[:5] + g.cell + g.what for g in gates(poor, results.expert, bounds)}
    assert (
        "FAILSreset -> reset, easymean score" in lines
        and "holdsreset -> reset, easyfinished" in lines
    )
    exact = results.cells.assign(finished=False)
    nothing = bounds.model_copy(update={"share_of_expert": 0.0, "finished": 0.0})
    assert all(g.holds for g in gates(exact, results.expert, nothing))
    assert not any(g.holds for g in gates(exact, results.expert, bounds) if g.what == "finished")


def test_mismatched_cells_and_the_base_may_be_as_bad_as_they_like(smoke):
    results, bounds = smoke.results, load_profile("pocket").gates
    off = results.cells.train != results.cells.runtime
    worse = results.cells.assign(score=results.cells.score.mask(off, 0.0), finished=~off)
    assert [str(g) for g in gates(worse, results.expert, bounds) if g.what != "finished"] == [
        str(g) for g in gates(results.cells, results.expert, bounds) if g.what != "finished"
    ]
    assert all(g.holds for g in gates(worse, results.expert, bounds) if g.what == "finished")


def test_a_gate_needs_the_expert_on_the_same_tasks(smoke):
    results, bounds = smoke.results, load_profile("smoke").gates
    with pytest.raises(UserError, match="other tasks"):
        gates(results.cells, results.expert.iloc[1:], bounds)


def test_a_gate_needs_every_adapter_on_all_tasks(twice):
    results, bounds = twice.results, load_profile("smoke").gates
    cells = results.cells.set_index([*CELL, "train_seed", "task_id"], drop=False)
    less = cells.drop(index=("reset", "reset", "medium", 2, "knapsack-medium-00003"))
    with pytest.raises(
        UserError, match=r"reset -> reset, medium, training seed 2: .*\(5 episodes here, 6 of"
    ):
        gates(less.reset_index(drop=True), results.expert, bounds)
    none = results.cells[results.cells.train != "persistent"]
    with pytest.raises(
        UserError, match=r"persistent -> persistent, easy: .*\(0 episodes here, 8 of"
    ):
        gates(none, results.expert, bounds)
