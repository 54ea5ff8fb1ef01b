"""Opaque Knapsack's world: what it allows, refuses and settles, and that it hides what it must."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import tasks

from knapsack_lib.families import family_named
from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.knapsack.tasks import SIZES
from knapsack_lib.families.knapsack.world import KnapsackWorld
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import opening

# The world ----------------------------------------------------------------------------------------

HAND_MADE = {
    "task_id": "t",
    "family": "knapsack",
    "seed": 1,
    "difficulty": {},
    "tools": [],
    "public": {
        "item_ids": ["a", "b", "c", "d", "e"],
        "capacity": 10,
        "inspect_budget": 4,
        "allowed_classes": ["A", "B"],
    },
    "private": {
        "items": {
            "a": {"class": "A", "value": 10, "weight": 6},
            "b": {"class": "B", "value": 6, "weight": 4},
            "c": {"class": "C", "value": 99, "weight": 1},
            "d": {"class": "A", "value": 7, "weight": 5},
            "e": {"class": "A", "value": 1, "weight": 3},
        }
    },
    "reference": {"optimal_item_ids": ["a", "b"], "optimal_value": 16, "optimal_weight": 10},
}


@pytest.fixture
def world():
    return KnapsackWorld(Task.from_json(json.dumps(HAND_MADE)))


def refused(tool, *args):
    with pytest.raises(ToolError) as caught:
        tool(*args)
    assert caught.value.kind in ("ValueError", "RuntimeError", "PermissionError")
    return str(caught.value)


def test_the_optimum_can_be_taken_and_is_solved(world):
    assert json.loads(world.list_items()) == ["a", "b", "c", "d", "e"]
    assert json.loads(world.inspect("a")) == {"class": "A", "value": 10, "weight": 6}
    world.inspect("b")
    assert world.take_item("a") is None
    assert (world.result()["score"], world.result()["solved"]) == (0.625, False)
    world.take_item("b")
    out = world.result()
    assert (out["value"], out["score"], out["solved"], out["weight_used"], out["items_taken"]) == (
        16,
        1.0,
        True,
        10,
        2,
    )
    assert not world.done
    world.finish()
    assert world.done


def test_an_item_that_was_not_inspected_cannot_be_taken(world):
    assert "never inspected" in refused(world.take_item, "a")
    assert world.result()["value"] == 0
    world.inspect("a")
    world.take_item("a")
    assert world.result()["value"] == 10


def test_an_item_of_a_disallowed_class_cannot_be_taken(world):
    world.inspect("c")
    assert "not allowed" in refused(world.take_item, "c")
    assert world.taken == []


def test_a_take_over_capacity_is_refused_and_leaves_the_rest_as_it_was(world):
    for item in "ade":
        world.inspect(item)
    world.take_item("a")
    assert "fit" in refused(world.take_item, "d")
    assert world.weight == 6
    world.take_item("e")
    assert world.weight == 9


def test_an_item_counts_once_however_often_it_is_taken(world):
    world.inspect("b")
    world.take_item("b")
    assert "already" in refused(world.take_item, "b")
    assert (world.result()["value"], world.weight) == (6, 4)


def test_the_budget_counts_distinct_items_and_repeats_are_free(world):
    for item in "abcd" * 3:
        world.inspect(item)
    assert "budget" in refused(world.inspect, "e")
    assert json.loads(world.inspect("a"))["weight"] == 6
    assert world.result()["items_inspected"] == 4


def test_a_refused_inspection_costs_nothing(world):
    for odd in ("zz", 3, None):
        refused(world.inspect, odd)
    for item in "abcd":
        world.inspect(item)


ODD = [
    "",
    "A",
    " a",
    "zz",
    5,
    0,
    -1,
    2.5,
    float("nan"),
    True,
    None,
    [],
    ["a"],
    {},
    {"a": 1},
    "x" * 10**6,
    "\x00",
    "\n",
    "é",
    "0" * 4000,
]


@pytest.mark.parametrize("odd", ODD, ids=lambda o: repr(o)[:12])
@pytest.mark.parametrize("tool", ["inspect", "take_item"])
def test_an_odd_id_is_refused_with_a_short_line(world, tool, odd):
    assert len(refused(world.tools[tool], odd)) < 200
    assert world.inspected == [] and world.taken == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
@settings(max_examples=80, deadline=None)
def test_no_json_value_breaks_a_tool(value):
    world = KnapsackWorld(Task.from_json(json.dumps(HAND_MADE)))
    if value not in ("a", "b", "c", "d", "e"):
        refused(world.inspect, value)
        refused(world.take_item, value)


def test_finish_settles_the_score(world):
    world.inspect("a")
    world.finish()
    before = world.result()
    refused(world.take_item, "a")
    assert world.result() == before and world.done


def test_two_worlds_of_one_task_share_nothing():
    task = Task.from_json(json.dumps(HAND_MADE))
    one, two = KnapsackWorld(task), KnapsackWorld(task)
    one.inspect("a")
    one.take_item("a")
    one.finish()
    assert not two.done and two.inspected == [] and two.result()["value"] == 0
    assert task == Task.from_json(json.dumps(HAND_MADE))


# Nothing hidden -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("name", SIZES)
def test_the_opening_holds_nothing_that_is_hidden(name, prompt, make_limits):
    """It is the same text when weights, values, ids, the allowed classes and the optimum are all
    others."""
    options = PromptOptions(style=prompt, cue="stated", list_bindings=True)
    for task in tasks(10, name, seed=4):
        data = json.loads(task.to_json())
        text = json.dumps(
            opening(
                family_named("knapsack"),
                KnapsackWorld(task).facts(),
                "reset",
                make_limits(),
                options,
            )
        )
        classes = sorted({item["class"] for item in data["private"]["items"].values()})
        data["public"]["allowed_classes"] = [
            c for c in classes if c not in data["public"]["allowed_classes"]
        ] or classes
        data["public"]["item_ids"] = [f"other_{k}" for k in range(len(data["public"]["item_ids"]))]
        changed = [
            {"class": i["class"], "weight": 7777, "value": 8888}
            for i in data["private"]["items"].values()
        ]
        data["private"]["items"] = dict(zip(data["public"]["item_ids"], changed, strict=True))
        data["reference"] = {"optimal_item_ids": [], "optimal_value": 9999, "optimal_weight": 1}
        other = KnapsackWorld(Task.from_json(json.dumps(data)))
        assert (
            json.dumps(
                opening(family_named("knapsack"), other.facts(), "reset", make_limits(), options)
            )
            == text
        )
        assert ", ".join(classes) in text
        assert not any(i in text for i in task.public["item_ids"])


def test_facts_are_capacity_budget_and_every_class_that_occurs(world):
    told = {"capacity": 10, "budget": 4, "classes": ["A", "B", "C"], "unseen": ""}
    assert world.facts() == told
    world.inspect("a")
    assert world.facts() == told


def test_a_refusal_does_not_reveal_what_is_allowed_or_what_items_weigh(world):
    world.inspect("c")
    said = refused(world.take_item, "c") + refused(world.take_item, "b")
    assert not any(hidden in said for hidden in ("99", "A", "B", "4", "6"))
