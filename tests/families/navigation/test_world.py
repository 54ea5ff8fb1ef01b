"""Navigation's world: what it allows, refuses and settles, when it ends, and that it hides what it must."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.families import family_named
from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.navigation.tasks import SIZES
from knapsack_lib.families.navigation.world import NavigationWorld
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import opening

# a -> b -> d is the way; c leads only back.
HAND_MADE = {
    "task_id": "t",
    "family": "navigation",
    "seed": 1,
    "difficulty": {},
    "tools": [],
    "public": {"start": "a", "goal": "d", "max_steps": 5},
    "private": {
        "adjacency": {"a": ["c", "b"], "b": ["d"], "c": ["a"], "d": []},
        "layers": {"a": 0, "b": 1, "c": 1, "d": 2},
        "path": ["a", "b", "d"],
    },
    "reference": {"optimal_steps": 2},
}


def new_world():
    return NavigationWorld(Task.from_json(json.dumps(HAND_MADE)))


@pytest.fixture
def world():
    return new_world()


def walk(world, nodes):
    return [world.move(node) for node in nodes]


def refused(tool, *args):
    with pytest.raises(ToolError) as caught:
        tool(*args)
    assert caught.value.kind in ("ValueError", "RuntimeError")
    return str(caught.value)


def test_the_shortest_walk_is_solved_with_a_score_of_one(world):
    assert world.scan() == "c,b"
    assert walk(world, "bd") == [4, 3]
    out = world.result()
    assert world.done and (out["score"], out["solved"], out["steps"]) == (1.0, True, 2)
    assert (out["nodes_visited"], out["scans"], out["optimal_steps"]) == (3, 1, 2)


def test_a_detour_costs_its_share_of_the_score(world):
    walk(world, "cabd")
    out = world.result()
    assert (out["score"], out["solved"], out["nodes_visited"]) == (0.5, True, 4)


def test_a_walk_that_does_not_arrive_is_worth_nothing(world):
    walk(world, "b")
    assert not world.done
    assert (world.result()["score"], world.result()["solved"]) == (0.0, False)


def test_the_walk_is_over_when_the_steps_are_used_up(world):
    assert walk(world, "cacac") == [4, 3, 2, 1, 0]
    assert world.done and "over" in refused(world.move, "a")
    assert (world.here, world.result()["score"]) == ("c", 0.0)


def test_the_last_step_may_be_the_one_to_the_goal():
    task = json.loads(json.dumps(HAND_MADE))
    task["public"]["max_steps"] = 2
    world = NavigationWorld(Task.from_json(json.dumps(task)))
    walk(world, "bd")
    assert world.done and world.result()["score"] == 1.0


def test_nothing_moves_at_the_goal(world):
    walk(world, "bd")
    before = world.result()
    assert "over" in refused(world.move, "b") and world.result() == before
    assert world.scan() == ""


def test_an_edge_goes_one_way_and_a_refusal_costs_no_step(world):
    walk(world, "b")
    for node in ("a", "b", "c"):
        assert "no edge" in refused(world.move, node)
    assert (world.here, world.steps) == ("b", 1)


def test_scanning_costs_no_step(world):
    assert [world.scan() for _ in range(20)] == ["c,b"] * 20
    assert (world.steps, world.done) == (0, False)


def test_two_worlds_of_one_task_share_nothing():
    task = Task.from_json(json.dumps(HAND_MADE))
    one, two = NavigationWorld(task), NavigationWorld(task)
    walk(one, "bd")
    assert not two.done and two.here == "a" and two.result()["nodes_visited"] == 1
    assert task == Task.from_json(json.dumps(HAND_MADE))


ODD = ["", "B", " b", "c,b", 1, 0, -1, 2.5, float("nan"), True, None, [], ["b"], {}, {"b": 1}]
ODD += [10**5000, "x" * 10**6, "\x00", "\n", "\ud800"]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_id_is_refused_with_a_short_line(world, odd):
    assert len(refused(world.move, odd)) < 300
    assert (world.here, world.steps) == ("a", 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
@settings(max_examples=100, deadline=None)
def test_no_json_value_breaks_a_tool(value):
    world = new_world()
    if value not in ("b", "c"):
        refused(world.move, value)
        assert world.steps == 0


@pytest.mark.parametrize("size", SIZES)
def test_whatever_is_walked_the_score_stays_between_0_and_1_and_the_walk_ends(size):
    family = family_named("navigation")
    for index in range(10):
        world = family.world(family.make_task(size, seed=6, split="w", index=index))
        for turn in range(world.max_steps):
            if world.done:
                break
            near = world.scan().split(",")
            world.move(near[turn * 7 % len(near)])
        out = world.result()
        assert world.done and 0 <= out["score"] <= 1
        assert out["solved"] == (out["score"] > 0)
        assert family.attempted(out) and family.explored(out)


def test_what_was_never_walked_was_not_attempted(world):
    family = family_named("navigation")
    assert not family.attempted(world.result()) and not family.explored(world.result())
    world.scan()
    assert not family.attempted(world.result()) and family.explored(world.result())


# Nothing hidden -----------------------------------------------------------------------------------


def test_facts_are_start_goal_and_steps_and_do_not_change(world):
    facts = {"start": "a", "goal": "d", "max_steps": 5}
    assert world.facts() == facts
    walk(world, "bd")
    assert world.facts() == facts


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("name", SIZES)
def test_the_opening_holds_nothing_that_is_hidden(name, prompt, make_limits):
    """It is the same text when graph, layers and optimum are all others, and names two nodes."""
    family = family_named("navigation")
    options = PromptOptions(style=prompt, cue="stated", list_bindings=True)

    def shown(task):
        facts = family.world(task).facts()
        return json.dumps(opening(family, facts, "reset", make_limits(), options))

    for index in range(6):
        task = family.make_task(name, seed=4, split="h", index=index)
        data = json.loads(task.to_json())
        start, goal = task.public["start"], task.public["goal"]
        data["private"] = {
            "adjacency": {start: ["elsewhere"], "elsewhere": [goal], goal: []},
            "layers": {},
            "path": [],
        }
        data["reference"] = {"optimal_steps": 999}
        assert shown(Task.from_json(json.dumps(data))) == shown(task)
        named = [node for node in task.private["layers"] if node in shown(task)]
        assert set(named) == {start, goal}


def test_a_refusal_names_no_node_but_the_one_that_was_asked_for(world):
    said = refused(world.move, "zz")
    assert not any(f"'{node}'" in said for node in "abcd")
