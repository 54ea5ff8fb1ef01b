"""The world of a hidden rule: what it answers, refuses and settles, and that it hides what it must."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.rule_diagnosis import FAMILY
from knapsack_lib.families.rule_diagnosis.rule import read_rule, same_rule, value
from knapsack_lib.families.rule_diagnosis.tasks import SIZES
from knapsack_lib.families.rule_diagnosis.world import RuleWorld
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import opening

HAND_MADE = {
    "task_id": "t",
    "family": "rule_diagnosis",
    "seed": 1,
    "difficulty": {},
    "public": {
        "kind": "affine_mod",
        "budget": 4,
        "input_range": [-2, 9],
        "a_range": [1, 6],
        "b_range": [0, 6],
        "m_range": [7, 11],
    },
    "private": {"rule": {"a": 3, "b": 2, "m": 7}},
    "reference": {"rule": {"a": 3, "b": 2, "m": 7}, "inputs": [-2, -1]},
}
LINEAR = {
    **HAND_MADE,
    "public": {
        "kind": "linear_int",
        "budget": 2,
        "input_range": [0, 9],
        "a_range": [-5, 5],
        "b_range": [-9, 9],
    },
    "private": {"rule": {"a": -3, "b": 2}},
}


def world_of(data=HAND_MADE):
    return RuleWorld(Task.from_json(json.dumps(data)))


@pytest.fixture
def world():
    return world_of()


def refused(tool, *args):
    with pytest.raises(ToolError) as caught:
        tool(*args)
    assert caught.value.kind in ("ValueError", "RuntimeError")
    line = str(caught.value)
    assert "\n" not in line and len(line) < 120
    return line


# Tests --------------------------------------------------------------------------------------------


def test_a_test_answers_with_the_rules_value(world):
    # 3 * -2 + 2 = -4, which is 3 above -7; 3 * 9 + 2 = 29 = 4 * 7 + 1
    assert [world.test_input(x) for x in (-2, 0, 9)] == [3, 2, 1]
    assert [world_of(LINEAR).test_input(x) for x in (9,)] == [-25]


def test_every_test_costs_also_one_that_is_repeated_and_past_the_budget_none_is_made(world):
    for _ in range(4):
        world.test_input(5)
    assert "budget of 4 tests is used up" in refused(world.test_input, 6)
    assert world.result()["tests"] == 4


@pytest.mark.parametrize("odd", [-3, 10, 2.0, "3", None, True, [], {}, 10**400, float("nan")])
def test_what_is_no_whole_number_of_the_range_is_refused_and_costs_nothing(world, odd):
    assert refused(world.test_input, odd) == "give a whole number from -2 to 9"
    assert world.result()["tests"] == 0


# Submissions --------------------------------------------------------------------------------------


def test_the_last_submission_counts_and_is_not_judged_aloud(world):
    assert world.submit('{"a": 3, "b": 2, "m": 7}') is None and world.result()["solved"]
    assert world.submit('{"a": 3, "b": 2, "m": 8}') is None
    assert (world.result()["score"], world.result()["submissions"]) == (0.0, 2)
    world.submit('{"a": 3, "b": 2, "m": 7}')
    assert (world.result()["score"], world.result()["solved"]) == (1.0, True)


def test_a_refused_submission_leaves_the_one_before(world):
    world.submit('{"a": 3, "b": 2, "m": 7}')
    refused(world.submit, '{"a": 3}')
    assert world.result()["solved"] and world.result()["submissions"] == 1


@pytest.mark.parametrize(
    ("stated", "right"),
    [
        ({"a": 3, "b": 2, "m": 7}, True),
        ({"a": 10, "b": -5, "m": 7}, True),  # the same remainders
        ({"a": 3, "b": 2, "m": 7, "kind": "affine_mod"}, True),
        ({"a": 3, "b": 2, "m": 29}, False),
        ({"a": 3, "b": 2, "m": 1}, False),
        ({"a": 4, "b": 2, "m": 7}, False),
        ({"a": 3 + 7 * 10**300, "b": 2, "m": 7}, True),
    ],
)
def test_a_submission_is_right_if_it_is_the_same_function_on_the_inputs(world, stated, right):
    world.submit(json.dumps(stated))
    assert world.result()["solved"] is right


def test_rules_that_differ_outside_the_inputs_alone_are_the_same():
    low, high = {"a": 1, "b": 0, "m": 20}, {"a": 1, "b": 0, "m": 30}
    assert same_rule("affine_mod", low, high, range(20))
    assert not same_rule("affine_mod", low, high, range(21))


def test_a_linear_rule_has_two_numbers_and_no_other_pair_is_right():
    world = world_of(LINEAR)
    world.submit('{"a": -3, "b": 2}')
    assert world.result()["solved"]
    world.submit('{"a": 3, "b": 2, "m": 7}')
    assert not world.result()["solved"]
    assert '"m"' not in refused(world.submit, "{}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON;"),
        ("a=3, b=2, m=7", "no JSON;"),
        ("[3, 2, 7]", "no JSON object"),
        ("3", "no JSON object"),
        ("null", "no JSON object"),
        ('{"a": 3, "b": 2}', '"m" is missing'),
        ('{"a": 3, "m": 7}', '"b" is missing'),
        ('{"a": "3", "b": 2, "m": 7}', '"a" is no whole number'),
        ('{"a": 3.0, "b": 2, "m": 7}', '"a" is no whole number'),
        ('{"a": true, "b": 2, "m": 7}', '"a" is no whole number'),
        ('{"a": null, "b": 2, "m": 7}', '"a" is no whole number'),
        ('{"a": NaN, "b": 2, "m": 7}', '"a" is no whole number'),
        ('{"a": 3, "b": 2, "m": 0}', '"m" is below 1'),
        ('{"a": 3, "b": 2, "m": -7}', '"m" is below 1'),
        ("[" * 990, "no JSON;"),
        ("1" * 10**6, "more than 1000 letters"),
        ({"a": 3, "b": 2, "m": 7}, "no text"),
        (None, "no text"),
    ],
)
def test_what_states_no_rule_is_refused_in_one_line(world, text, says):
    line = refused(world.submit, text)
    assert says in line and line.endswith('give a JSON object with "a", "b", "m"')
    assert world.submitted is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda s: st.lists(s) | st.dictionaries(st.text(), s),
)


@given(JSON)
@settings(max_examples=80, deadline=None)
def test_no_json_value_breaks_a_tool(given_value):
    world = world_of()
    for tool, argument in (
        (world.test_input, given_value),
        (world.submit, given_value),
        (world.submit, json.dumps(given_value)),
        (world.submit, json.dumps({"a": given_value, "b": 1, "m": given_value})),
    ):
        try:
            tool(argument)
        except ToolError as refusal:
            assert refusal.kind == "ValueError"
    assert world.result()["score"] in (0.0, 1.0)


@given(st.integers(), st.integers(), st.integers(1, 10**9), st.integers(-50, 50))
@settings(max_examples=100, deadline=None)
def test_a_rule_that_is_written_is_read_and_its_value_is_a_remainder(a, b, m, x):
    rule = {"a": a, "b": b, "m": m}
    assert read_rule("affine_mod", json.dumps(rule)) == rule
    found = value("affine_mod", rule, x)
    assert 0 <= found < m and (found - value("linear_int", rule, x)) % m == 0


# The end ------------------------------------------------------------------------------------------


def test_efficiency_is_what_is_left_of_the_budget_of_a_task_that_is_solved(world):
    world.test_input(1)
    assert world.result()["efficiency"] == 0.0
    world.submit('{"a": 3, "b": 2, "m": 7}')
    assert world.result() == {
        "score": 1.0,
        "solved": True,
        "tests": 1,
        "budget": 4,
        "submissions": 1,
        "efficiency": 0.75,
    }


def test_finish_settles_the_score(world):
    world.finish()
    before = world.result()
    assert "finished" in refused(world.test_input, 1)
    assert "finished" in refused(world.submit, '{"a": 3, "b": 2, "m": 7}')
    assert world.result() == before and world.done and before["score"] == 0.0


def test_two_worlds_of_one_task_share_nothing():
    task = Task.from_json(json.dumps(HAND_MADE))
    one, two = RuleWorld(task), RuleWorld(task)
    one.test_input(1)
    one.submit('{"a": 3, "b": 2, "m": 7}')
    one.finish()
    assert not two.done and two.result()["tests"] == 0 and two.submitted is None
    assert task == Task.from_json(json.dumps(HAND_MADE))


# Nothing hidden -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("name", SIZES)
def test_the_opening_is_the_same_whatever_the_rule_is(name, prompt, make_limits):
    options = PromptOptions(style=prompt, cue="stated", list_bindings=True)

    def shown(data):
        facts = world_of(data).facts()
        return json.dumps(opening(FAMILY, facts, "reset", make_limits(), options))

    for index in range(10):
        task = FAMILY.make_task(name, seed=4, split="x", index=index)
        data = json.loads(task.to_json())
        text = shown(data)
        data["private"] = {"rule": dict.fromkeys(task.private["rule"], 777)}
        data["reference"] = data["difficulty"] = {}
        assert shown(data) == text and str(task.public["budget"]) in text
        for key in task.private["rule"]:
            low, high = task.public[f"{key}_range"]
            assert f"{key} {low} to {high}" in text


def test_facts_stay_what_they_were(world):
    before = world.facts()
    world.test_input(1)
    world.submit('{"a": 3, "b": 2, "m": 7}')
    assert world.facts() == before
    assert before == {
        "form": "(a*x + b) % m",
        "ranges": "a 1 to 6, b 0 to 6, m 7 to 11",
        "inputs": "-2 to 9",
        "budget": 4,
        "keys": "a, b, m",
    }
