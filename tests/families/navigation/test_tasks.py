"""Navigation's tasks: the fewest steps are exact, the goal is always in reach, the same seed gives the same bytes."""

import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.navigation.tasks import SIZES, Size, fewest_steps

make_task = family_named("navigation").make_task
ROOT = Path(__file__).parents[3]


def tasks(count, size="pocket-easy", *, seed=1, split="test"):
    return [make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def distances(task):
    """(place of each node, steps from each node to each) by scipy's Dijkstra: another method, another author."""
    adjacency = task.private["adjacency"]
    place = {node: number for number, node in enumerate(adjacency)}
    edges = [(place[a], place[b]) for a, others in adjacency.items() for b in others]
    rows, columns = np.array(edges).T
    graph = csr_array((np.ones(len(edges)), (rows, columns)), shape=(len(place), len(place)))
    return place, shortest_path(graph, method="D", unweighted=True)


# The optimum --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "count"),
    [("easy", 100), ("medium", 60), ("hard", 30), ("pocket-easy", 300), ("pocket-medium", 200)],
)
def test_the_fewest_steps_are_what_scipy_finds_and_the_goal_is_in_reach_from_everywhere(
    size, count
):
    for task in tasks(count, size, seed=11):
        place, steps = distances(task)
        start, goal = place[task.public["start"]], place[task.public["goal"]]
        assert task.reference["optimal_steps"] == steps[start, goal]
        assert np.isfinite(steps[start]).all()  # there is no node that nobody can come to
        assert np.isfinite(steps[:, goal]).all()


@given(st.integers(1, 9), st.data())
@settings(max_examples=150, deadline=None)
def test_any_graph_is_searched_as_scipy_searches_it(nodes, data):
    """Graphs with cycles, loops and parts out of reach, which no task has."""
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=20, unique=True))
    neighbours = [[b for a, b in edges if a == one] for one in range(nodes)]
    graph = np.zeros((nodes, nodes))
    for a, b in edges:
        graph[a, b] = 1
    steps = shortest_path(csr_array(graph), method="BF", unweighted=True)
    for goal in range(nodes):
        found = fewest_steps(neighbours, 0, goal)
        assert (math.inf if found is None else found) == steps[0, goal]


# Rules of a graph ---------------------------------------------------------------------------------


def test_the_sizes_have_the_authors_horizons():
    assert {name: SIZES[name].horizon for name in ("easy", "medium", "hard")} == {
        "easy": (5, 10),
        "medium": (15, 25),
        "hard": (30, 50),
    }
    assert {size.second_edge for size in SIZES.values()} == {0.35}
    assert SIZES["pocket-medium"].horizon[0] > SIZES["pocket-easy"].horizon[1]


@pytest.mark.parametrize("name", SIZES)
def test_every_graph_keeps_the_rules_of_its_size(name):
    size = SIZES[name]
    for task in tasks(40, name, seed=3):
        adjacency, layers, path = (task.private[key] for key in ("adjacency", "layers", "path"))
        start, goal = task.public["start"], task.public["goal"]
        horizon = layers[goal]
        assert size.horizon[0] <= horizon <= size.horizon[1]
        extra = len(layers) - horizon - 1
        assert size.extra_nodes[0] <= extra <= size.extra_nodes[1]
        assert task.difficulty["extra_nodes"] == extra and set(adjacency) == set(layers)
        assert (path[0], path[-1]) == (start, goal)
        assert all(b in adjacency[a] for a, b in zip(path, path[1:], strict=False))
        assert [layers[node] for node in path] == list(range(horizon + 1))
        assert all(layers[node] < horizon for node in layers if node != goal)
        assert adjacency[goal] == []
        for node, others in adjacency.items():
            assert len(set(others)) == len(others) and node not in others
            assert all(abs(layers[node] - layers[other]) <= 1 for other in others)
        # A layer a step: no walk is shorter than the layers are many
        assert task.reference["optimal_steps"] == horizon
        assert task.public["max_steps"] == size.max_steps_multiplier * horizon


def test_extra_nodes_are_left_by_a_second_edge_and_extra_edges_drawn_as_often_as_asked():
    plain = replace(SIZES["easy"], horizon=(8, 8), extra_nodes=(8, 8), extra_edge_factor=0)

    def edges(size):
        return [sum(map(len, t.private["adjacency"].values())) for t in tasks(150, size)]

    assert set(edges(replace(plain, second_edge=0))) == {8 + 2 * 8}
    assert set(edges(replace(plain, second_edge=0, extra_edge_factor=0.5))) == {8 + 2 * 8 + 8}
    second = [count - 24 for count in edges(plain)]
    assert statistics.fmean(second) / 8 == pytest.approx(0.35, abs=0.05)


@pytest.mark.parametrize("name", ["pocket-easy", "pocket-medium", "easy"])
def test_many_tasks_have_a_node_that_leads_no_further(name):
    def dead_ends(task):
        adjacency, layers = task.private["adjacency"], task.private["layers"]
        return [a for a in adjacency if all(layers[b] <= layers[a] for b in adjacency[a])]

    found = [len(dead_ends(task)) > 1 for task in tasks(100, name)]  # the goal is one
    assert statistics.fmean(found) > 0.5


def test_where_the_path_goes_on_is_not_told_by_the_order_of_neighbours():
    firsts = [
        task.private["adjacency"][a].index(b) == 0
        for task in tasks(200, "easy")
        for a, b in zip(task.private["path"], task.private["path"][1:], strict=False)
        if len(task.private["adjacency"][a]) == 2
    ]
    assert statistics.fmean(firsts) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", ["pocket-easy", "pocket-medium"])
def test_pocket_ids_are_two_syllables_that_no_other_node_shares(name):
    for task in tasks(40, name):
        pieces = [piece for i in task.private["layers"] for piece in (i[:2], i[2:])]
        assert all(len(i) == 4 for i in task.private["layers"]) and len(set(pieces)) == len(pieces)


@pytest.mark.parametrize("name", ["easy", "medium", "hard"])
def test_ids_at_paper_scale_are_opaque(name):
    for node in tasks(1, name)[0].private["layers"]:
        assert len(node) == 17 and node.startswith("node_") and int(node[5:], 16) >= 0


# Same seed, same bytes ----------------------------------------------------------------------------

DIGEST = """
import hashlib
from knapsack_lib.families import family_named
family = family_named("navigation")
text = "".join(
    family.make_task(s, seed=5, split=p, index=i).to_json()
    for s in family.sizes for p in ("train", "easy") for i in range(4)
)
assert text.isascii()
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    digests = set()
    for hash_seed in ("0", "1", "4321"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        digests.add(done.stdout)
    texts = [
        make_task(s, seed=5, split=p, index=i).to_json()
        for s in SIZES
        for p in ("train", "easy")
        for i in range(4)
    ]
    assert digests == {hashlib.sha256("".join(texts).encode()).hexdigest() + "\n"}


def test_another_seed_split_index_or_size_gives_another_task():
    def hidden(size="pocket-easy", seed=1, split="train", index=0):
        return json.dumps(make_task(size, seed=seed, split=split, index=index).private)

    others = [hidden(seed=2), hidden(split="easy"), hidden(index=1), hidden(size="pocket-medium")]
    assert len({hidden(), *others}) == 5


def test_no_test_task_is_a_training_task():
    train = {json.dumps(t.private, sort_keys=True) for t in tasks(400, split="train")}
    test = {json.dumps(t.private, sort_keys=True) for t in tasks(100, split="easy")}
    assert len(train) == 400 and len(test) == 100 and not train & test


# Impossible settings ------------------------------------------------------------------------------

GOOD = Size("good", (4, 6), (2, 3), 0.3, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"horizon": (0, 4)}, "horizon = .* give 1 <= low"),
        ({"horizon": (6, 4)}, "horizon"),
        ({"horizon": (4, 501)}, "high <= 500"),
        ({"horizon": (math.nan, 4)}, "horizon"),
        ({"extra_nodes": (-1, 4)}, "extra_nodes = .* give 0 <= low"),
        ({"extra_nodes": (4, 3)}, "extra_nodes"),
        ({"extra_nodes": (4, 10**30)}, "high <= 500"),
        ({"extra_edge_factor": -0.1}, "extra_edge_factor"),
        ({"extra_edge_factor": math.nan}, "extra_edge_factor"),
        ({"extra_edge_factor": math.inf}, "extra_edge_factor"),
        ({"max_steps_multiplier": 0.9}, "max_steps_multiplier = 0.9; give 1 to 1000"),
        ({"max_steps_multiplier": math.nan}, "max_steps_multiplier"),
        ({"second_edge": 1.1}, "second_edge"),
        ({"second_edge": math.nan}, "second_edge"),
        ({"ids": "words"}, "hex or syllables"),
        ({"ids": "syllables", "extra_nodes": (2, 19)}, "26 nodes need more than 50 .* syllables"),
    ],
)
def test_an_impossible_size_is_one_line_that_names_the_setting(change, says):
    with pytest.raises(UserError, match=says) as caught:
        replace(GOOD, **change)
    assert "good" in one_line(caught)


def test_more_extra_edges_than_there_is_room_for_end_in_one_line():
    size = replace(GOOD, horizon=(1, 1), extra_nodes=(0, 0), extra_edge_factor=1)
    with pytest.raises(UserError, match=r"draws in a row .* lower extra_edge_factor") as caught:
        make_task(size, seed=1, split="x", index=0)
    one_line(caught)


@given(
    horizon=st.tuples(st.integers(-1, 9), st.integers(-1, 9)),
    extra=st.tuples(st.integers(-1, 9), st.integers(-1, 9)),
    numbers=st.tuples(*[st.floats(-1, 12) | st.just(math.nan)] * 3),
)
@settings(max_examples=200, deadline=None)
def test_any_size_gives_good_tasks_or_one_line(horizon, extra, numbers):
    try:
        size = Size("odd", horizon, extra, *numbers, redraws=3)
        task = make_task(size, seed=1, split="x", index=0)
    except UserError as error:
        assert "'odd'" in str(error) and "\n" not in str(error)
        return
    place, steps = distances(task)
    assert np.isfinite(steps[:, place[task.public["goal"]]]).all()
    assert task.public["max_steps"] >= task.reference["optimal_steps"] >= 1


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="easy, medium, hard, pocket-easy, pocket-medium") as caught:
        family_named("navigation").size("hardest")
    one_line(caught)
