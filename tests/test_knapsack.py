"""Opaque Knapsack: exact optimum, the paper's instance rules, the published schema, a world that hides what it must."""

import hashlib
import json
import math
import os
import pickle
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from knapsack_lib.families.base import Task, ToolError, read_tasks, write_tasks
from knapsack_lib.families.knapsack import (
    SIZES,
    KnapsackWorld,
    Size,
    best_subset,
    inspect_budget,
    make_task,
    make_tasks,
    size_named,
)
from knapsack_lib.profiles import Cues, UserError
from knapsack_lib.prompts import opening

ROOT = Path(__file__).parent.parent
TASK_KEYS = {
    "difficulty", "family", "nl", "private", "public", "reference", "run_name", "schema_version", "seed", "task_id",
    "tools",
}  # fmt: skip
NESTED_KEYS = {
    "difficulty": {"budget_coverage", "capacity", "max_item_dominance", "n_items", "optimal_set_size", "p_valid"},
    "private": {"items"},
    "public": {"allowed_classes", "capacity", "inspect_budget", "item_ids"},
    "reference": {"optimal_item_ids", "optimal_value", "optimal_weight"},
}


def one_line(caught):
    text = str(caught.value)
    assert text and "\n" not in text
    return text


# The optimum ----------------------------------------------------------------------------------------------------------


def milp_optimum(weights, values, capacity):
    """The optimal value by branch and bound: another method, another author."""
    if len(weights) == 0:
        return 0
    found = milp(
        -values, integrality=np.ones(len(values)), bounds=Bounds(0, 1),
        constraints=LinearConstraint(weights[None, :], ub=capacity), options={"mip_rel_gap": 0},
    )  # fmt: skip
    assert found.success
    return round(-found.fun)


def random_instances(count):
    """Weights, values and capacity at the ranges of every size, and degenerate ones among them."""
    rng = np.random.Generator(np.random.PCG64(20))
    ranges = [
        (1, 14, 12, 30, 0.55),
        (1, 14, 12, 30, 1.2),
        (3, 12, 20, 100, 0.42),
        (10, 30, 50, 500, 0.5),
        (1, 6, 3, 3, 0.4),
    ]
    for number in range(count):
        low, high, heaviest, dearest, ratio = ranges[number % len(ranges)]
        n = int(rng.integers(low, high + 1))
        weights, values = rng.integers(1, heaviest + 1, n), rng.integers(1, dearest + 1, n)
        yield weights, values, int(weights.sum() * ratio * rng.uniform(0.1, 1.1))


def test_the_optimum_is_what_an_integer_programme_finds_on_500_instances():
    for weights, values, capacity in random_instances(500):
        value, picked = best_subset(weights, values, capacity)
        assert value == milp_optimum(weights, values, capacity)
        assert value == sum(values[picked]) and sum(weights[picked]) <= capacity
        assert picked == sorted(set(picked))


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_of_a_task_is_optimal_over_its_allowed_items(size):
    for task in make_tasks(size, 10, seed=11, split="x"):
        items = [i for i in task.private["items"].values() if i["class"] in task.public["allowed_classes"]]
        weights, values = (np.array([i[what] for i in items]) for what in ("weight", "value"))
        assert task.reference["optimal_value"] == milp_optimum(weights, values, task.public["capacity"])


def test_nothing_fits_a_capacity_of_zero_and_no_items_are_worth_nothing():
    assert best_subset(np.array([1, 2]), np.array([5, 5]), 0) == (0, [])
    assert best_subset(np.array([], dtype=int), np.array([], dtype=int), 7) == (0, [])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=9), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_the_optimum_is_the_best_of_all_subsets(items, capacity):
    weights, values = (np.array([i[k] for i in items], dtype=int) for k in (0, 1))
    every = ([i for i in range(len(items)) if mask >> i & 1] for mask in range(1 << len(items)))
    best = max(int(values[s].sum()) for s in every if weights[s].sum() <= capacity)
    assert best_subset(weights, values, capacity)[0] == best


# Instance rules -------------------------------------------------------------------------------------------------------


def test_the_papers_sizes_have_the_papers_numbers():
    easy, medium = SIZES["easy"], SIZES["medium"]
    assert (easy.items, easy.weight, easy.value, easy.classes, easy.allowed) == ((25, 40), (5, 20), (10, 100), 15, 3)
    assert (medium.items, medium.weight, medium.value, medium.classes, medium.allowed) == (
        (80, 120),
        (5, 50),
        (10, 500),
        26,
        5,
    )
    assert (easy.capacity_ratio, medium.capacity_ratio) == ((0.35, 0.50), (0.40, 0.60))
    for size in (easy, medium):
        assert (size.min_allowed_items, size.min_optimal_items, size.max_share) == (5, 3, 0.4)
        assert (size.budget_share, size.redraws, size.ids) == (None, 200, "hex")


@pytest.mark.parametrize("name", SIZES)
def test_every_task_keeps_the_rules_of_its_size(name):
    size = SIZES[name]
    for task in make_tasks(name, 60, seed=3, split="rules"):
        items, allowed = task.private["items"], task.public["allowed_classes"]
        ids, capacity, best = task.public["item_ids"], task.public["capacity"], task.reference["optimal_item_ids"]
        usable = [i for i in ids if items[i]["class"] in allowed]
        assert size.items[0] <= len(ids) <= size.items[1] and len(set(ids)) == len(ids) and set(ids) == set(items)
        for item in items.values():
            assert (
                size.weight[0] <= item["weight"] <= size.weight[1] and size.value[0] <= item["value"] <= size.value[1]
            )
            assert item["class"] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: size.classes]
        assert len(set(allowed)) == size.allowed
        assert len(usable) >= size.min_allowed_items and ids[0] in usable
        ratio = capacity / sum(items[i]["weight"] for i in usable)
        assert size.capacity_ratio[0] - 0.05 <= ratio <= size.capacity_ratio[1]
        assert len(best) >= size.min_optimal_items and set(best) <= set(usable)
        assert sum(items[i]["value"] for i in best) == task.reference["optimal_value"]
        assert sum(items[i]["weight"] for i in best) == task.reference["optimal_weight"] <= capacity
        assert max(items[i]["value"] for i in best) <= size.max_share * task.reference["optimal_value"]
        assert task.public["inspect_budget"] == inspect_budget(size, capacity, len(ids), len(best)) <= len(ids)


@pytest.mark.parametrize("name", ["pocket-easy", "pocket-medium"])
def test_pocket_ids_are_two_syllables_that_no_other_item_shares(name):
    for task in make_tasks(name, 40, seed=3, split="ids"):
        ids = task.public["item_ids"]
        pieces = [piece for i in ids for piece in (i[:2], i[2:])]
        assert all(len(i) == 4 for i in ids) and len(set(pieces)) == len(pieces)


def test_pocket_medium_is_larger_than_anything_trained_on():
    assert SIZES["pocket-medium"].items[0] > SIZES["pocket-easy"].items[1]


@pytest.mark.parametrize("name", ["easy", "medium"])
def test_the_papers_ids_are_opaque(name):
    ids = make_task(name, seed=1, split="x", index=0).public["item_ids"]
    assert all(len(i) == 17 and i.startswith("item_") and int(i[5:], 16) >= 0 for i in ids)


@pytest.mark.parametrize(
    ("capacity", "n", "n_optimal", "budget"),
    [
        (41, 33, 3, 25),
        (48, 39, 5, 29),
        (69, 33, 5, 33),
        (21, 28, 3, 13),
        (51, 39, 4, 31),
        (51, 34, 5, 31),
        (67, 37, 7, 37),
        (40, 36, 4, 25),
    ],
)
def test_the_inspect_budget_is_that_of_the_published_easy_tasks(capacity, n, n_optimal, budget):
    assert inspect_budget(SIZES["easy"], capacity, n, n_optimal) == budget


def test_the_inspect_budget_by_hand():
    # easy: 1.5 * (41 / 12.5) / (3/15) = 24.6, so 25; medium: 1.5 * (200 / 27.5) / (5/26) = 56.7, so 57
    assert inspect_budget(SIZES["easy"], 41, 33, 3) == 25
    assert inspect_budget(SIZES["medium"], 200, 100, 9) == 57
    assert inspect_budget(SIZES["easy"], 1, 33, 3) == 5  # never fewer than five
    assert inspect_budget(SIZES["easy"], 500, 33, 3) == 33  # never more than there are
    assert inspect_budget(SIZES["easy"], 10, 40, 12) == 14  # 1.1 * 12 = 13.2 where the optimum is large
    assert inspect_budget(SIZES["pocket-easy"], 40, 11, 3) == math.ceil(SIZES["pocket-easy"].budget_share * 11)


@pytest.mark.parametrize(("name", "items", "cover", "optimum"), [("easy", 34, 0.82, 4), ("medium", 102, 0.78, 12)])
def test_tasks_look_like_the_published_ones_on_average(name, items, cover, optimum):
    tasks = make_tasks(name, 200, seed=9, split="mean")
    mean = {key: statistics.fmean(t.difficulty[key] for t in tasks) for key in tasks[0].difficulty}
    assert abs(mean["n_items"] / items - 1) < 0.06
    assert abs(mean["budget_coverage"] - cover) < 0.04
    assert abs(mean["optimal_set_size"] / optimum - 1) < 0.15


# Same seed, same bytes ------------------------------------------------------------------------------------------------

DIGEST = """
import hashlib
from knapsack_lib.families.knapsack import SIZES, make_task
tasks = [make_task(s, seed=5, split=p, index=i) for s in SIZES for p in ("train", "easy") for i in range(4)]
text = "".join(task.to_json() for task in tasks)
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    texts = [
        make_task(s, seed=5, split=p, index=i).to_json() for s in SIZES for p in ("train", "easy") for i in range(4)
    ]
    digests = {hashlib.sha256("".join(texts).encode()).hexdigest()}
    for hash_seed in ("0", "1", "4321"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_a_task_does_not_depend_on_what_was_drawn_before_it_nor_on_global_randomness():
    first = make_task("easy", seed=5, split="train", index=7).to_json()
    np.random.seed(0)  # noqa: NPY002 - the very thing that must not matter
    make_tasks("medium", 3, seed=5, split="train")
    assert make_tasks("easy", 8, seed=5, split="train")[7].to_json() == first


def test_another_seed_split_index_or_size_gives_another_task():
    def hidden(size="pocket-easy", seed=1, split="train", index=0):
        return json.dumps(make_task(size, seed=seed, split=split, index=index).private)

    others = [hidden(seed=2), hidden(split="easy"), hidden(index=1), hidden(size="pocket-medium")]
    assert len({hidden(), *others}) == 5


def test_no_test_task_is_a_training_task():
    train = {json.dumps(t.private, sort_keys=True) for t in make_tasks("pocket-easy", 400, seed=1, split="train")}
    test = {json.dumps(t.private, sort_keys=True) for t in make_tasks("pocket-easy", 100, seed=1, split="easy")}
    assert len(train) == 400 and len(test) == 100 and not train & test


# The published schema -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_a_task_file_has_the_keys_of_the_published_ones(name):
    data = json.loads(make_task(name, seed=1, split="x", index=0).to_json())
    assert set(data) == TASK_KEYS and data["schema_version"] == "pythonformer.task.v1"
    for key, inner in NESTED_KEYS.items():
        assert set(data[key]) == inner
    assert all(set(item) == {"class", "value", "weight"} for item in data["private"]["items"].values())


def test_a_published_task_file_is_read_with_its_clock_ignored():
    data = json.loads(make_task("easy", seed=1, split="x", index=0).to_json())
    for absent in ("nl", "tools"):  # the published files lack these and carry a clock
        del data[absent]
    data["generated_at"] = "2026-01-01T00:00:00Z"
    task = Task.from_json(json.dumps(data))
    assert KnapsackWorld(task).outcome()["optimal_value"] == data["reference"]["optimal_value"]


@given(name=st.sampled_from(list(SIZES)), seed=st.integers(0, 2**40), index=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_task_survives_the_way_through_json(name, seed, index):
    task = make_task(name, seed=seed, split="x", index=index)
    again = Task.from_json(task.to_json())
    assert again == task and again.to_json() == task.to_json()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("[]", "JSON"),
        ("null", "JSON"),
        ("{}", "lacks the key"),
        ('{"schema_version": "v9"}', "lacks|schema"),
    ],
)
def test_a_broken_task_file_is_one_line_that_names_it(text, says):
    with pytest.raises(UserError, match=says) as caught:
        Task.from_json(text, "knapsack-7.json")
    assert "knapsack-7.json" in one_line(caught)


def test_a_task_of_another_schema_is_refused():
    data = json.loads(make_task("easy", seed=1, split="x", index=0).to_json())
    with pytest.raises(UserError, match="pythonformer.task.v2") as caught:
        Task.from_json(json.dumps({**data, "schema_version": "pythonformer.task.v2"}))
    one_line(caught)


def test_a_task_folder_holds_exactly_the_tasks_written_last(tmp_path):
    tasks = make_tasks("pocket-easy", 5, seed=1, split="train")
    write_tasks(tmp_path, tasks)
    write_tasks(tmp_path, tasks[:3])
    assert read_tasks(tmp_path, "make tasks") == tasks[:3]
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}
    write_tasks(tmp_path, tasks[:3])
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()} == before


def test_tasks_on_disk_are_a_sequence_that_travels_as_names(tmp_path):
    tasks = make_tasks("pocket-easy", 5, seed=1, split="train")
    write_tasks(tmp_path / "a", tasks[:3])
    write_tasks(tmp_path / "b", iter(tasks[3:]))
    found = read_tasks(tmp_path / "a", "make") + read_tasks(tmp_path / "b", "make")
    assert len(found) == 5 and found == tasks and found[-1] == tasks[-1] and found[1:4] == tasks[1:4]
    assert found != tasks[:4] and found != "tasks"
    assert pickle.loads(pickle.dumps(found[2:])) == tasks[2:] and len(pickle.dumps(found[2:])) < 1000


def test_tasks_that_cannot_all_be_made_leave_the_folder_as_it_was(tmp_path):
    write_tasks(tmp_path, make_tasks("pocket-easy", 4, seed=1, split="train"))
    before = list(read_tasks(tmp_path, "make tasks"))

    def half():
        yield from make_tasks("pocket-easy", 2, seed=2, split="train")
        raise UserError("200 draws in a row broke its rules")

    with pytest.raises(UserError):
        write_tasks(tmp_path, half())
    assert read_tasks(tmp_path, "make tasks") == before


def test_a_bad_task_file_is_told_before_anything_is_played(tmp_path):
    write_tasks(tmp_path, make_tasks("pocket-easy", 5, seed=1, split="train"))
    (tmp_path / "knapsack-train-00004.json").write_text("{")
    with pytest.raises(UserError, match="knapsack-train-00004.json is not a JSON object") as caught:
        read_tasks(tmp_path, "make tasks")
    one_line(caught)


def test_missing_tasks_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(UserError, match="papermill notebooks/01") as caught:
        read_tasks(tmp_path, "papermill notebooks/01_generate.ipynb")
    one_line(caught)


# Impossible settings --------------------------------------------------------------------------------------------------

GOOD = Size("good", (9, 12), (2, 12), (3, 30), 6, 3, (0.45, 0.65))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"allowed": 7}, "allowed = 7 of 6"),
        ({"allowed": 0}, "allowed"),
        ({"classes": 0}, "classes"),
        ({"classes": 27}, "classes"),
        ({"items": (12, 9)}, "items"),
        ({"items": (0, 9)}, "items"),
        ({"weight": (5, 4)}, "weight"),
        ({"weight": (-3, 4)}, "weight"),
        ({"value": (0, 0)}, "value"),
        ({"capacity_ratio": (0.6, 0.5)}, "capacity_ratio"),
        ({"capacity_ratio": (0.001, 0.002), "weight": (90, 90), "items": (2, 3)}, "no item can ever fit"),
        ({"ids": "syllables", "items": (9, 26)}, "syllables"),
        ({"ids": "words"}, "hex or syllables"),
    ],
)
def test_an_impossible_size_is_one_line_that_names_the_setting(change, says):
    with pytest.raises(UserError, match=says) as caught:
        replace(GOOD, **change)
    assert "good" in one_line(caught)


def test_the_most_syllable_ids_that_exist_can_be_used():
    size = replace(GOOD, ids="syllables", items=(25, 25))
    assert len(set(make_task(size, seed=1, split="x", index=0).public["item_ids"])) == 25


@pytest.mark.parametrize("change", [{"min_allowed_items": 13}, {"min_optimal_items": 11}, {"max_share": 0.01}])
def test_rules_that_no_draw_meets_end_in_one_line(change):
    with pytest.raises(UserError, match="draws in a row") as caught:
        make_task(replace(GOOD, **change), seed=1, split="x", index=0)
    one_line(caught)


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="easy, medium, pocket-easy, pocket-medium") as caught:
        size_named("hardest")
    one_line(caught)


# The world ------------------------------------------------------------------------------------------------------------

HAND_MADE = {
    "task_id": "t", "family": "knapsack", "seed": 1, "difficulty": {}, "tools": [],
    "public": {"item_ids": ["a", "b", "c", "d", "e"], "capacity": 10, "inspect_budget": 4, "allowed_classes": ["A",
    "B"]},
    "private": {"items": {
        "a": {"class": "A", "value": 10, "weight": 6}, "b": {"class": "B", "value": 6, "weight": 4},
        "c": {"class": "C", "value": 99, "weight": 1}, "d": {"class": "A", "value": 7, "weight": 5},
        "e": {"class": "A", "value": 1, "weight": 3},
    }},
    "reference": {"optimal_item_ids": ["a", "b"], "optimal_value": 16, "optimal_weight": 10},
}  # fmt: skip


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
    assert (world.outcome()["optimality"], world.outcome()["solved"]) == (0.625, False)
    world.take_item("b")
    out = world.outcome()
    assert (out["value"], out["optimality"], out["solved"], out["weight_used"], out["items_taken"]) == (
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
    assert world.outcome()["value"] == 0
    world.inspect("a")
    world.take_item("a")
    assert world.outcome()["value"] == 10


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
    assert (world.outcome()["value"], world.weight) == (6, 4)


def test_the_budget_counts_distinct_items_and_repeats_are_free(world):
    for item in "abcd" * 3:
        world.inspect(item)
    assert "budget" in refused(world.inspect, "e")
    assert json.loads(world.inspect("a"))["weight"] == 6
    assert world.outcome()["items_inspected"] == 4


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
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
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
    before = world.outcome()
    refused(world.take_item, "a")
    assert world.outcome() == before and world.done


def test_two_worlds_of_one_task_share_nothing():
    task = Task.from_json(json.dumps(HAND_MADE))
    one, two = KnapsackWorld(task), KnapsackWorld(task)
    one.inspect("a")
    one.take_item("a")
    one.finish()
    assert not two.done and two.inspected == [] and two.outcome()["value"] == 0
    assert task == Task.from_json(json.dumps(HAND_MADE))


# Nothing hidden -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("name", SIZES)
def test_the_opening_holds_nothing_that_is_hidden(name, prompt, make_limits):
    """It is the same text when weights, values, ids, the allowed classes and the optimum are all others."""
    cues = Cues(prompt=prompt, cue="stated", list_bindings=True)
    for task in make_tasks(name, 10, seed=4, split="hide"):
        data = json.loads(task.to_json())
        text = json.dumps(opening("knapsack", KnapsackWorld(task).facts(), "reset", make_limits(), cues))
        classes = sorted({item["class"] for item in data["private"]["items"].values()})
        data["public"]["allowed_classes"] = [
            c for c in classes if c not in data["public"]["allowed_classes"]
        ] or classes
        data["public"]["item_ids"] = [f"other_{k}" for k in range(len(data["public"]["item_ids"]))]
        changed = [{"class": i["class"], "weight": 7777, "value": 8888} for i in data["private"]["items"].values()]
        data["private"]["items"] = dict(zip(data["public"]["item_ids"], changed, strict=True))
        data["reference"] = {"optimal_item_ids": [], "optimal_value": 9999, "optimal_weight": 1}
        other = KnapsackWorld(Task.from_json(json.dumps(data)))
        assert json.dumps(opening("knapsack", other.facts(), "reset", make_limits(), cues)) == text
        assert ", ".join(classes) in text
        assert not any(i in text for i in task.public["item_ids"])


def test_facts_are_capacity_budget_and_every_class_that_occurs(world):
    assert world.facts() == {"capacity": 10, "budget": 4, "classes": ["A", "B", "C"]}
    world.inspect("a")
    assert world.facts() == {"capacity": 10, "budget": 4, "classes": ["A", "B", "C"]}


def test_a_refusal_does_not_tell_what_is_allowed_or_what_items_weigh(world):
    world.inspect("c")
    said = refused(world.take_item, "c") + refused(world.take_item, "b")
    assert not any(hidden in said for hidden in ("99", "A", "B", "4", "6"))
