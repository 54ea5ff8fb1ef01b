"""What blocks say about state: names needed and bound, values restated, helpers defined again; all
counted by hand."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from knapsack_lib.analysis.behaviour import COLUMNS, WORD, behaviour_frame, restated
from knapsack_lib.episodes import Episode, Turn

# Values that were shown before --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "shown", "expected"),
    [
        ("x = [12, 7, 'bafe']", "12 7 bafe", ["[12, 7, 'bafe']"]),
        ("x = [12, 99, 'bafe', (12, 7)]", "12 7 bafe", ["12", "'bafe'", "(12, 7)"]),
        (
            "x = {'bafe': ('A', 12), 'boku': {45}}",
            "bafe: A 12, boku: 45",
            ["{'bafe': ('A', 12), 'boku': {45}}"],
        ),
        ("x = {'bafe': 12, 'boku': 99}", "bafe 12 boku", ["'bafe'", "'boku'", "12"]),
        ("x = [12, y, f(45)]", "12 45 y f", ["12", "45"]),  # a name or a call makes it no literal
        (
            "x = [*y, 12]\nz = [12 for i in y]\nw = {**y, 'bafe': 12}",
            "y 12 bafe",
            ["12", "12", "'bafe'", "12"],
        ),
        ("x = [-12, 45]\ny = -12", "12 45", ["[-12, 45]", "12"]),  # the sign alone is no part of it
        (
            "print('bafe', 12, x, ['boku'])",
            "bafe 12 boku",
            ["['boku']"],
        ),  # labels of what is printed
        ("x = 123", "12 3", []),
        ("x = 3.25 + 1_000 + 0x10", "3.25, 1000, 16", ["3.25", "1_000", "0x10"]),
        ("x = 3.25", "25", []),
        (
            "a, b, c = 0, 7, ''\nd = [1, 7]\ne = []\nf = '?!'",
            "0 1 7",
            [],
        ),  # too little to restate anything
        ("x = 'Take bafe-boku, 12%!'", "boku, 12 (bafe): Take", ["'Take bafe-boku, 12%!'"]),
        ("x = 'Take bafe-boku'", "Take bafe", []),
        ("x = 'größe 12'", "größe=12", ["'größe 12'"]),
        (
            "inspect('bafe')\nx['weight'] = f(12, k=45)",
            "bafe weight 12 45",
            ["'bafe'", "12", "45", "'weight'"],
        ),
        ("x = [\n    12,\n    45,\n]", "12 45", ["[\n    12,\n    45,\n]"]),
        (
            "x, y, z = True, None, [False, ...]",
            "True None False Ellipsis",
            [],
        ),  # neither numbers nor texts
    ],
)
def test_the_largest_literals_are_restated_whose_every_word_was_shown(
    code: str, shown: str, expected: list[str]
):
    found = restated(ast.parse(code), set(WORD.findall(shown)))
    assert sorted(ast.get_source_segment(code, node) or "" for node in found) == sorted(expected)


# Frames -------------------------------------------------------------------------------------------


def turn(code: str | None, observation: str | None = "", **other: object) -> Turn:
    plain = Turn(
        reply="." * 100,
        reply_ids=None,
        parse_status="code" if code is not None else "no_code",
        code=code,
        observation=observation,
        stdout="",
        error_type=None,
        error=None,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=[],
        prompt_tokens=100,
        completion_tokens=20,
        slip=False,
    )
    return replace(plain, **other)


def episode(
    *turns: Turn, task: str = "t1", shown: str = "", train: str = "reset", seed: int = 1
) -> Episode:
    opening = [{"role": "system", "content": "Act."}, {"role": "user", "content": shown}]
    return Episode(
        task,
        task,
        "knapsack",
        "easy",
        train,
        "persistent",
        5,
        opening,
        list(turns),
        "finish",
        {},
        seed,
    )


def test_an_episode_becomes_the_rows_that_one_counts_by_hand():
    first = episode(
        turn(
            "x = [24, 56]\ndef show(v):\n    print(v)", "56"
        ),  # 24 is in the prompt, 56 is not there yet
        turn(None, "99", reply="ids = [24, 56]", prompt_tokens=150, completion_tokens=7),
        turn("w = 24\nw = = 1", "SyntaxError: 77"),
        turn(
            "y = [24, 56, 99]\nshow(x, w, ids)"
        ),  # x and show are from before; w and ids were never bound
        turn(
            "é = 'größe 24'\ndef show(v):\n    print('é', v, x)\nq = 77\nshow(y)", None
        ),  # x in the helper, and y
        task="t2",
        shown="capacity 24, größe",
        seed=2,
    )
    second = episode(
        turn("show(x, [24, 56])", reply="é" * 50), train="base"
    )  # knows nothing of the first
    frame = behaviour_frame([first, second])
    expected = {
        "train": ["base"] + ["reset"] * 5,
        "runtime": ["persistent"] * 6,
        "difficulty": ["easy"] * 6,
        "train_seed": [1] + [2] * 5,
        "task_id": ["t1"] + ["t2"] * 5,
        "turn": [1, 1, 2, 3, 4, 5],
        "prompt_tokens": [100, 100, 150, 100, 100, 100],
        "completion_tokens": [20, 20, 7, 20, 20, 20],
        "tokens": [120, 120, 157, 120, 120, 120],
        "code": [True, True, False, False, True, True],
        "reads_earlier": [0, 0, 0, 0, 2, 2],
        "helpers_again": [0, 0, 0, 0, 0, 1],
        # of 100 bytes each: 24; [24, 56, 99]; 'größe 24' and 77, where ö and ß are two bytes each
        "restated": [0, 0.02, 0, 0, 0.12, 0.14],
        "again": [0, 0, 0, 0, 0, 0.34],  # 12 + 1 + 21, é being two
    }
    assert list(frame.columns) == list(COLUMNS) == list(expected)
    assert frame.dtypes.astype(str).to_dict() == COLUMNS
    for column, values in expected.items():
        assert frame[column].tolist() == values, column


def test_what_a_block_costs_is_counted_in_the_whole_reply():
    code = "x = ['größe',\r\n     12]  # ö\ny = 'größe'"
    reply = f"Ich führe aus.\n```python\n{code}\n```"
    row = behaviour_frame([episode(turn(code, reply=reply), shown="größe 12")]).iloc[0]
    assert len(reply.encode()) == 75 and row.restated == (21 + 9) / 75


def test_rows_are_sorted_by_cell_seed_task_and_turn():
    one, cast = (
        turn("x = 1"),
        [("reset", 2, "t1"), ("reset", 1, "t2"), ("base", 1, "t9"), ("reset", 1, "t1")],
    )
    frame = behaviour_frame(
        [episode(one, one, train=train, seed=seed, task=task) for train, seed, task in cast]
    )
    found = list(
        frame[["train", "train_seed", "task_id", "turn"]].itertuples(index=False, name=None)
    )
    assert found == [
        (*key, number) for key in [cast[2], cast[3], cast[1], cast[0]] for number in (1, 2)
    ]


def test_no_episodes_and_an_episode_without_turns_give_an_empty_frame_of_the_same_columns():
    for nothing in ([], [episode()]):
        frame = behaviour_frame(nothing)
        assert frame.empty and frame.dtypes.astype(str).to_dict() == COLUMNS


def test_the_next_turn_reads_and_restates_what_a_block_that_raised_showed_and_left_behind():
    raised = turn("seen = f()\n1 / 0", "bafe\nZeroDivisionError", error_type="ZeroDivisionError")
    frame = behaviour_frame([episode(raised, turn("inspect('bafe', seen)"))])
    assert frame.reads_earlier.tolist() == [0, 1] and frame.restated.tolist() == [0, 0.06]


@pytest.mark.parametrize(
    ("before", "block", "count"),
    [
        ("def f(): pass", "def f(): return 1\nasync def f(): pass\ndef g(): pass", 2),
        ("def f(): pass\ndef f(): pass", "f()", 0),  # twice in one block, then used
        ("f = 1", "def f(): pass", 0),  # was no function
        ("def f(): pass", "class C:\n    def f(self): pass", 0),
        ("def f(): pass", "def f(:", 0),
        ("def f(:", "def f(): pass", 0),
    ],
)
def test_a_helper_is_defined_again_if_an_earlier_block_defined_a_function_of_that_name(
    before, block, count
):
    frame = behaviour_frame([episode(turn(before), turn(block))])
    assert frame.helpers_again.tolist() == [0, count] and (frame.again[1] > 0) == (count > 0)


@pytest.mark.parametrize(
    "code",
    ["x = = 99", "x = 99\n y = 1", "x = 99\0", "x = [99", "x = 99\nreturn x", "x = 99\nbreak"],
)
def test_a_block_that_python_does_not_accept_gives_zeros_and_binds_nothing(code: str):
    wrong = turn(code, error_type="SyntaxError")
    frame = behaviour_frame([episode(turn("y = 1"), wrong, turn("print(x, y)"), shown="99")])
    assert frame.code.tolist() == [True, False, True] and frame.reads_earlier.tolist() == [0, 0, 1]
    assert frame.restated.tolist() == [0, 0, 0]


def test_text_in_braces_and_formats_is_not_counted_as_restated_nor_anything_twice():
    code = "print(f'ba12 {first:2f} ba12 {second:2f}')"
    row = behaviour_frame([episode(turn(code, reply=code), shown="ba12 2f")]).iloc[0]
    assert row.restated <= len("ba12  ba12 ") / len(code)


@pytest.mark.parametrize(
    "code", ["x = " + "1 + " * 1000 + "y", f"x = y, 0x{'f' * 4000}"], ids=["deep", "long number"]
)
def test_a_block_that_python_runs_does_not_stop_the_analysis_however_odd(code: str):
    compile(code, "block", "exec")
    assert behaviour_frame([episode(turn("y = 1"), turn(code))]).turn.tolist() == [1, 2]
