"""Frames by hand: what an episode's row holds, and the rows that a figure is drawn from."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis.behaviour import behaviour_frame
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.figures.cells import cost_quality_data, main_result_data
from knapsack_lib.analysis.figures.effects import contrast_data
from knapsack_lib.analysis.figures.errors import survival_data
from knapsack_lib.analysis.figures.training import loss_data
from knapsack_lib.analysis.figures.turns import state_data, tokens_data
from knapsack_lib.analysis.metrics import CELL, episode_frame, turn_frame

BASE = ("base", "reset", "easy")

# Rows ---------------------------------------------------------------------------------------------


def test_an_episode_becomes_the_row_that_one_counts_by_hand(turn, episode):
    call = {"name": "inspect", "args": ["a"], "result": "{}", "error": None}
    turns = [
        turn(100, 20, tool_calls=[call, call]),
        turn(130, 10, "UnboundLocalError", slip=True),
        turn(150, 5, "NameError", tool_calls=[call]),
        turn(160, 3, parse_status="no_code", code=None),
        turn(170, 2, killed_by="time", state_lost=True),
    ]
    played = episode("t1", 30, turns, ("reset", "persistent", "easy"), "max_turns", train_seed=2)
    expected = {
        "train": "reset",
        "runtime": "persistent",
        "difficulty": "easy",
        "train_seed": 2,
        "task_id": "t1",
        "score": 0.75,
        "solved": False,
        "finish": "max_turns",
        "finished": False,
        "steps": 5,
        "tool_calls": 3,
        "items_inspected": 7,
        "items_taken": 3,
        "capacity_utilisation": 15 / 24,
        "prompt_tokens": 710,
        "completion_tokens": 40,
        "tokens": 750,
        "missing_variable": True,
        "first_missing_turn": 2,
        "recovered": False,
        "failure": "missing variable, cascade",
        "errors": 3,
        "not_run": 1,
        "slips": 1,
        "state_lost": True,
    }
    assert episode_frame([played]).iloc[0].to_dict() == expected


def test_an_episode_that_failed_stays_in_with_its_score(turn, episode):
    frame = episode_frame(
        [
            episode("a", 40, [turn()], BASE),
            episode("b", 10, [turn()], BASE, "context"),
            episode("c", 0, [], BASE, "max_turns"),
        ]
    )
    assert frame.score.tolist() == [1.0, 0.25, 0.0]
    assert frame.score.mean() == pytest.approx(1.25 / 3)
    assert frame[["first_missing_turn", "recovered"]].isna().all(
        axis=None
    ) and frame.steps.tolist() == [1, 1, 0]
    assert frame.failure.tolist() == ["", "cut off", "turn limit"]


def test_an_adapter_is_told_from_another_and_rows_are_sorted_by_cell_adapter_and_task(
    turn, episode
):
    cast = ("reset", "reset", "easy")
    made = [
        episode(task, 10, [turn(), turn()], cast, train_seed=k)
        for task, k in (("b", 2), ("b", 1), ("a", 2), ("a", 1))
    ]
    for frame in (
        episode_frame(made),
        turn_frame(made).query("turn == 2"),
        behaviour_frame(made).query("turn == 2"),
    ):
        assert list(zip(frame.train_seed, frame.task_id, strict=True)) == [
            (1, "a"),
            (1, "b"),
            (2, "a"),
            (2, "b"),
        ]


def test_no_episodes_give_an_empty_frame_of_the_same_columns_and_types(turn, episode):
    one = [episode("a", 40, [turn()], BASE)]
    for made in (episode_frame, turn_frame):
        assert_frame_equal(made([]), made(one).iloc[:0])


def test_tokens_of_turns_sum_to_those_of_the_episode(twice):
    turns = turn_frame(twice.results.episodes)
    summed = turns.groupby([*CELL, "train_seed", "task_id"]).tokens.sum().reset_index()
    assert_frame_equal(summed, twice.results.cells[summed.columns])


# Rows of figures ----------------------------------------------------------------------------------


def turns_alone(episodes: list) -> Evidence:
    return Evidence(SimpleNamespace(turns=behaviour_frame(episodes), cells=episode_frame(episodes)))


def test_tokens_by_turn_keep_the_total_of_an_episode_that_ended(turn, episode):
    turns = [[turn(10, 2)], [turn(20, 4), turn(30, 6)]]
    data = tokens_data(
        turns_alone([episode(name, 0, turns[i], BASE) for i, name in enumerate("ab")])
    )
    assert data.tokens.tolist() == [(12 + 24) / 2, (12 + 60) / 2]
    assert (
        data.playing.tolist() == [2, 1]
        and data.n.tolist() == [2, 2]
        and data.seeds.tolist() == [1, 1]
    )


def test_tokens_by_turn_end_at_the_mean_of_the_cell(twice):
    last = tokens_data(twice.evidence).groupby(CELL).last()
    assert last.tokens.to_dict() == pytest.approx(
        twice.evidence.summary.set_index(CELL).tokens.to_dict()
    )
    assert set(last.loc["base"].seeds) == {1} and set(last.loc["reset"].seeds) == {2}


def test_the_curve_without_errors_is_kaplan_and_meiers_by_hand(turn, episode):
    """Five episodes: errors in turns 1 and 3, one that ends without in turn 2, two that play three
    turns without."""
    fine, wrong = turn(), turn(error="NameError")
    played = [[wrong, fine], [fine, fine, wrong], [fine, fine], [fine] * 3, [fine] * 3]
    data = survival_data(
        turns_alone([episode(f"t{i}", 10, turns, BASE) for i, turns in enumerate(played)])
    )
    assert data.at_risk.tolist() == [5, 5, 4, 3] and data.met.tolist() == [0, 1, 0, 1]
    assert data.without_error.tolist() == pytest.approx([1, 4 / 5, 4 / 5, 4 / 5 * 2 / 3])


def test_a_share_of_blocks_that_rely_on_state_leaves_out_replies_without_a_block(turn, episode):
    lines = ["x = 12", "print(x)", "y = 1"]
    blocks = [turn(code=code, reply=code) for code in lines] + [
        turn(parse_status="no_code", code=None)
    ]
    data = state_data(
        turns_alone(
            [episode("a", 0, blocks[:2], BASE), episode("b", 0, [blocks[0], *blocks[2:]], BASE)]
        )
    )
    assert data.blocks.tolist() == [2, 2, 0] and data.relies.tolist()[:2] == [0, 0.5]
    assert data.restated.tolist() == [0, 0, 0]


def test_a_cell_is_on_the_pareto_line_if_no_other_is_cheaper_and_at_least_as_good(
    cells_of, results_of
):
    tokens = {"bp": [50] * 2, "pp": [100] * 2, "pr": [100] * 2, "rp": [200] * 2, "rr": [300] * 2}
    score = {"bp": [0.0] * 2, "pp": [0.8] * 2, "pr": [0.7] * 2, "rp": [0.9] * 2, "rr": [0.9] * 2}
    data = cost_quality_data(Evidence(results_of(cells_of({"tokens": tokens, "score": score}))))
    easy = (
        data[(data.difficulty == "easy") & (data.point == "cell mean")]
        .set_index(["train", "runtime"])
        .pareto
    )
    assert {cell for cell, best in easy.items() if best} == {
        ("base", "persistent"),
        ("persistent", "persistent"),
        ("reset", "persistent"),
    }
    assert (
        len(data[data.point == "episode"]) == 20 and not data[data.point == "episode"].pareto.any()
    )


def test_the_opening_picture_has_a_row_for_each_cell_and_one_for_each_adapter(twice):
    data = main_result_data(twice.evidence)
    cells, adapters = data[data.seeds.notna()], data[data.seeds.isna()]
    assert len(cells) == 12 and len(adapters) == 2 * 8 and "base" not in set(adapters.train)
    means = adapters.groupby(CELL).score.mean()
    assert means.to_dict() == pytest.approx(
        cells[cells.train != "base"].set_index(CELL).score.to_dict()
    )
    assert data.groupby("difficulty").expert_score.unique().map(list).to_dict() == {
        d: [twice.evidence.expert(d)] for d in ("easy", "medium")
    }


def test_the_picture_of_contrasts_shows_the_margin_and_no_other_outcome(twice):
    data = contrast_data(twice.evidence)
    assert len(data) == 2 * 6 and set(data.margin) == {0.05} and data.planned.sum() == 8
    shown = twice.evidence.contrast("score", "medium", "gain")
    row = data[(data.difficulty == "medium") & (data.contrast == "gain")].iloc[0]
    assert (row.effect, row.low, row.high, row.tost_low) == (
        shown.effect,
        shown.low,
        shown.high,
        shown.tost_low,
    )


def test_the_chosen_checkpoint_is_marked_once_per_adapter():
    curve = [
        {"step": 6, "train_loss": 2.0},
        {"step": 6, "validation_loss": 1.0},
        {"step": 9, "validation_loss": 1.5},
    ]
    records = [
        {"train_seed": k, "chosen_step": step, "curve": curve} for k, step in ((1, 6), (2, 9))
    ]
    training = {"persistent": records, "reset": [{**records[0], "chosen_step": 3}]}
    data = loss_data(Evidence(SimpleNamespace(training=training)))
    assert data.chosen.tolist() == [False, True, False] + [False, False, True] + [False] * 3
    assert data.train_seed.tolist() == [1, 1, 1, 2, 2, 2, 1, 1, 1]
