"""Why episodes did not end well: each rule alone and its near miss, their order, one class for any
episode."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knapsack_lib.analysis.failures import (
    RULES,
    after_missing,
    ended_well,
    failure_counts,
    failure_of,
    trouble,
)
from knapsack_lib.analysis.metrics import episode_frame
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.families.base import ToolError
from knapsack_lib.families.knapsack import FAMILY

# Made-up episodes ---------------------------------------------------------------------------------


def calls(*errors: str | None) -> list[dict]:
    """Tool calls: None was granted, a text is the refusal."""
    return [
        {"name": "inspect", "args": ["a"], "result": None if e else "{}", "error": e}
        for e in errors
    ]


def turn(error: str | None = None, *made: str | None, **other: object) -> Turn:
    plain = Turn(
        reply="ok",
        reply_ids=None,
        parse_status="code",
        code="x",
        observation="o",
        stdout="o",
        error_type=error,
        error=error,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=calls(*made),
        prompt_tokens=10,
        completion_tokens=5,
        slip=False,
    )
    return replace(plain, **other)


VALUE, KEY, FORBIDDEN = (
    "ValueError: no item 'a'",
    "KeyError: 'a'",
    "PermissionError: class B is not allowed",
)
TURNS = {
    "fine": turn(None, None),
    "idle": turn(),  # runs, and calls no tool
    "missing": turn("NameError"),
    "syntax": turn("SyntaxError"),
    "tool": turn("ValueError", VALUE),
    "refused": turn("PermissionError", FORBIDDEN),
    "no_code": turn(parse_status="no_code", code=None),
    "cut_off": turn(parse_status="cut_off", code=None),
    "other": turn("ZeroDivisionError"),
}


def episode(
    finish: str, turns: str, taken: int = 0, cell: str = "base", task: str = "t"
) -> Episode:
    """`turns` names the turns of TURNS in order."""
    outcome = {
        "value": taken,
        "optimal_value": 9,
        "score": taken / 9,
        "solved": False,
        "weight_used": 0,
        "capacity": 9,
        "items_taken": taken,
        "items_inspected": 0,
    }
    played = [TURNS[name] for name in turns.split()]
    return Episode(task, task, "knapsack", "easy", cell, "reset", 1, [], played, finish, outcome)


def fitting(e: Episode) -> list[str]:
    return [name for name, rule in RULES.items() if rule.fits(e)]


# One turn -----------------------------------------------------------------------------------------


TROUBLE = {
    # the last two: a refusal that was caught next to a call that was granted
    "": [turn(), turn(None, None, None), turn(None, FORBIDDEN, None), turn(None, None, VALUE)],
    "cut_off": [turn(parse_status="cut_off", code=None), turn(parse_status="context", code=None)],
    "no_code": [
        turn(parse_status="no_code", code=None),
        turn(parse_status="several_blocks", code=None),
    ],
    # the last one: raised while a refusal was handled
    "missing": [turn("NameError", None), turn("UnboundLocalError"), turn("NameError", FORBIDDEN)],
    "syntax": [turn("SyntaxError"), turn("IndentationError"), turn("TabError")],
    # the last two: caught, but nothing was granted, and the last refusal counts
    "tool": [
        turn("ValueError", None, VALUE),
        turn("KeyError", KEY),
        turn("TypeError", "TypeError: inspect() takes 1"),
        turn(None, VALUE, VALUE),
        turn(None, FORBIDDEN, VALUE),
    ],
    "refused": [
        turn("PermissionError", None, FORBIDDEN),
        turn("RuntimeError", "RuntimeError: the budget is used up"),
        turn(None, FORBIDDEN),
        turn(None, VALUE, FORBIDDEN),
    ],
    # the second is the block's own; the last ones were stopped
    "other": [
        turn("ZeroDivisionError", None),
        turn("ValueError", None),
        turn(killed_by="time"),
        turn(None, None, killed_by="signal 9", state_lost=True),
    ],
}


@pytest.mark.parametrize(
    ("what", "expected"), [(what, name) for name, turns in TROUBLE.items() for what in turns]
)
def test_a_turn_has_the_trouble_that_one_sees_in_it(what: Turn, expected: str):
    assert trouble(what) == expected


@pytest.mark.parametrize("error", ["ZeroDivisionError", "ValueError"])
def test_an_error_of_the_block_itself_is_not_put_down_to_a_refusal_that_it_caught(error: str):
    assert (
        trouble(turn(error, FORBIDDEN, None)) == "other"
    )  # another call was granted: the refusal is no trouble


def test_what_the_tools_call_wrong_is_told_from_what_the_task_forbids():
    world = FAMILY.world(FAMILY.make_task("pocket-easy", seed=1, split="failures", index=0))
    allowed = [i for i in world._ids if world._items[i]["class"] in world._allowed]
    banned = next(i for i in world._ids if i not in allowed)

    def met(tool: str, *args: object) -> str:
        try:
            world.tools[tool](*args)
        except ToolError as error:
            return trouble(turn(None, f"{error.kind}: {error}"))
        return ""

    assert met("inspect", "nothing") == met("inspect", 7) == met("take_item", allowed[0]) == "tool"
    seen = [met("inspect", i) for i in [allowed[0], banned, *allowed[1:]]]
    assert seen[:2] == ["", ""] and met("take_item", allowed[0]) == ""
    assert met("take_item", allowed[0]) == "tool"  # a second time
    assert met("take_item", banned) == "refused"
    world.budget = len(world.inspected)
    assert {met("inspect", i) for i in world._ids} == {
        "",
        "refused",
    }  # known items are free, new ones cost
    world.capacity = world.weight
    assert met("take_item", allowed[1]) == "refused"
    world.finish()
    assert met("take_item", allowed[1]) == "refused"


# After a missing variable -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "expected", "recovered"),
    [
        ("fine syntax other", None, None),
        ("", None, None),
        ("missing", (1, 0.0), False),
        ("fine fine missing", (3, 0.0), False),  # no turn was left to recover in
        ("fine missing fine", (2, 1.0), True),
        ("missing fine other", (1, 1 / 2), False),  # half is not more than half
        ("missing idle no_code fine", (1, 2 / 3), True),
        (
            "fine missing fine missing fine fine",
            (2, 3 / 4),
            True,
        ),  # the second one is trouble after the first
        ("missing missing refused cut_off fine", (1, 1 / 4), False),
    ],
)
def test_recovery_is_the_share_of_clean_turns_after_the_first_missing_variable(
    turns, expected, recovered
):
    found = after_missing(episode("max_turns", turns))
    assert (found and (found.turn, found.clean)) == expected
    assert (found and found.recovered) == recovered


# Rules --------------------------------------------------------------------------------------------

# Each rule: an episode, then a near miss with the class that it has instead.
ALONE = [
    ("infrastructure", ("infrastructure", "fine fine"), ("max_turns", "fine fine"), "turn limit"),
    (
        "cut off",
        ("max_turns", "fine fine cut_off"),
        ("max_turns", "fine cut_off fine"),
        "turn limit",
    ),
    ("cut off", ("context", "fine fine"), ("max_turns", "fine fine"), "turn limit"),
    (
        "missing variable, cascade",
        ("max_turns", "fine missing fine other"),
        ("max_turns", "fine missing fine other fine"),
        "missing variable, recovered",
    ),
    (
        "missing variable, cascade",
        ("finish", "fine fine missing"),
        ("finish", "fine fine fine"),
        "nothing taken",
    ),
    (
        "syntax",
        ("max_turns", "syntax fine fine"),
        ("max_turns", "syntax fine fine fine"),
        "turn limit",
    ),
    (
        "wrong tool use",
        ("max_turns", "fine tool fine"),
        ("max_turns", "fine tool fine fine"),
        "turn limit",
    ),
    (
        "refusal loop",
        ("max_turns", "fine fine refused"),
        ("max_turns", "fine fine fine refused"),
        "turn limit",
    ),
    (
        "no code",
        ("max_turns", "no_code fine fine"),
        ("max_turns", "fine fine no_code fine"),
        "turn limit",
    ),
    (
        "other error",
        ("max_turns", "other fine fine"),
        ("max_turns", "other fine fine fine"),
        "turn limit",
    ),
    ("time limit", ("timeout", "fine fine"), ("max_turns", "fine fine"), "turn limit"),
    ("no tool called", ("max_turns", "idle idle"), ("max_turns", "idle fine"), "turn limit"),
    ("no tool called", ("max_turns", ""), ("max_turns", "fine"), "turn limit"),
    (
        "missing variable, recovered",
        ("max_turns", "fine missing fine fine"),
        ("max_turns", "fine missing fine refused"),
        "missing variable, cascade",
    ),
    ("turn limit", ("max_turns", "fine fine"), ("stopped", "fine fine"), "unclassified"),
    ("nothing taken", ("finish", "fine fine"), ("finish", "fine fine", 1), ""),
    ("unclassified", ("stopped", "fine fine"), ("max_turns", "fine fine"), "turn limit"),
]


@pytest.mark.parametrize(("name", "own", "near", "instead"), ALONE)
def test_a_rule_classifies_its_episode_alone_and_no_near_miss(
    name: str, own: tuple, near: tuple, instead: str
):
    ended = {"turn limit", "nothing taken", "unclassified"} - {
        name
    }  # what is left when no other rule fits
    assert failure_of(episode(*own)) == name and set(fitting(episode(*own))) - ended == {name}
    assert failure_of(episode(*near)) == instead
    assert name == "unclassified" or name not in fitting(episode(*near))


def test_no_rule_is_without_an_example():
    assert [name for name in RULES if name in {row[0] for row in ALONE}] == list(RULES)


@pytest.mark.parametrize(
    ("earlier", "later", "finish", "turns"),
    [
        ("infrastructure", "cut off", "infrastructure", "fine cut_off"),
        ("cut off", "missing variable, cascade", "max_turns", "missing fine cut_off"),
        ("missing variable, cascade", "syntax", "max_turns", "missing syntax"),
        ("syntax", "wrong tool use", "max_turns", "tool syntax fine"),
        ("wrong tool use", "refusal loop", "max_turns", "refused tool fine"),
        ("refusal loop", "no code", "max_turns", "no_code refused fine"),
        ("no code", "other error", "max_turns", "other no_code fine"),
        ("other error", "no tool called", "max_turns", "idle idle other"),
        ("no tool called", "missing variable, recovered", "max_turns", "missing idle idle idle"),
        ("missing variable, recovered", "turn limit", "max_turns", "missing fine fine fine"),
        ("missing variable, recovered", "nothing taken", "finish", "missing fine fine fine"),
    ],
)
def test_an_episode_that_fits_two_rules_gets_the_earlier(
    earlier: str, later: str, finish: str, turns: str
):
    found = episode(finish, turns)
    assert [name for name in fitting(found) if name in (earlier, later)] == [earlier, later]
    assert failure_of(found) == earlier


SOME_TURN = st.builds(
    lambda error, made, outcome, killed: turn(error, *made, parse_status=outcome, killed_by=killed),
    st.sampled_from(
        [None, "NameError", "SyntaxError", "ValueError", "PermissionError", "ZeroDivisionError"]
    ),
    st.lists(st.sampled_from([None, VALUE, FORBIDDEN]), max_size=3),
    st.sampled_from(["code", "no_code", "several_blocks", "cut_off", "context"]),
    st.sampled_from([None, "time"]),
)
FINISHES = st.sampled_from(["finish", "max_turns", "context", "infrastructure", "stopped"])


@given(FINISHES, st.integers(0, 2), st.lists(SOME_TURN, max_size=8))
def test_every_episode_has_exactly_one_class_and_none_if_it_ended_well(
    finish: str, taken: int, turns: list[Turn]
):
    played = replace(episode(finish, "", taken), turns=turns)
    well = finish == "finish" and taken > 0
    assert ended_well(played) == well
    assert failure_of(played) in ([""] if well else list(RULES))
    assert (failure_of(played) == "infrastructure") == (finish == "infrastructure")


# Counts -------------------------------------------------------------------------------------------


def test_classes_are_counted_per_cell_in_the_order_of_the_rules_after_what_ended_well():
    played = [
        ("base", "finish", "fine", 2),
        ("base", "max_turns", "fine", 0),
        ("base", "max_turns", "idle", 0),
        ("base", "max_turns", "fine", 3),
        ("base", "context", "", 0),
        ("base", "finish", "missing missing", 1),
        ("base", "finish", "fine", 0),
        ("base", "infrastructure", "", 0),
        ("reset", "max_turns", "fine", 0),
        ("reset", "finish", "fine", 1),
        ("reset", "finish", "fine", 1),
        ("reset", "max_turns", "syntax", 0),
    ]
    cells = episode_frame(
        [episode(f, turns, n, cell, f"t{i}") for i, (cell, f, turns, n) in enumerate(played)]
    )
    counts = failure_counts(cells)
    assert list(counts.columns) == [
        "train",
        "runtime",
        "difficulty",
        "failure",
        "episodes",
        "share",
    ]
    assert list(
        counts[["train", "failure", "episodes", "share"]].itertuples(index=False, name=None)
    ) == [
        ("base", "", 2, 2 / 8),
        ("base", "infrastructure", 1, 1 / 8),
        ("base", "cut off", 1, 1 / 8),
        ("base", "no tool called", 1, 1 / 8),
        ("base", "turn limit", 2, 2 / 8),
        ("base", "nothing taken", 1, 1 / 8),
        ("reset", "", 2, 2 / 4),
        ("reset", "syntax", 1, 1 / 4),
        ("reset", "turn limit", 1, 1 / 4),
    ]
    assert counts.groupby(["train", "runtime", "difficulty"]).share.sum().tolist() == [1.0, 1.0]
    assert failure_counts(cells[:0]).empty
