"""Frames by hand: what an episode's row holds."""

from __future__ import annotations

import pytest
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis.behaviour import behaviour_frame
from knapsack_lib.analysis.metrics import CELL, episode_frame
from knapsack_lib.families.knapsack import FAMILY

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
        "finish_reason": "max_turns",
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
        behaviour_frame(made).query("turn == 2"),
    ):
        assert list(zip(frame.train_seed, frame.task_id, strict=True)) == [
            (1, "a"),
            (1, "b"),
            (2, "a"),
            (2, "b"),
        ]


def test_no_episodes_give_an_empty_frame_of_the_same_columns_and_types(turn, episode):
    """But for a family's own metrics: no episode names a family."""
    one = [episode("a", 40, [turn()], BASE)]
    for made in (episode_frame, behaviour_frame):
        empty = made([])
        assert_frame_equal(empty, made(one).iloc[:0][list(empty)])
    assert set(episode_frame(one)) - set(episode_frame([])) == set(FAMILY.metrics)


def test_tokens_of_turns_sum_to_those_of_the_episode(twice):
    turns = twice.results.turns
    summed = turns.groupby([*CELL, "train_seed", "task_id"]).tokens.sum().reset_index()
    assert_frame_equal(summed, twice.results.cells[summed.columns])
