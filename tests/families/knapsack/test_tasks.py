"""Opaque Knapsack's tasks: the optimum is exact, the paper's instance rules hold, the same seed
gives the same bytes."""

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
from made import tasks
from scipy.optimize import Bounds, LinearConstraint, milp

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.knapsack.tasks import SIZES, Size, best_subset, inspect_budget

make_task = family_named("knapsack").make_task
ROOT = Path(__file__).parents[3]


# The optimum --------------------------------------------------------------------------------------


def milp_optimum(weights, values, capacity):
    """The optimal value by branch and bound: another method, another author."""
    if len(weights) == 0:
        return 0
    found = milp(
        -values,
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(weights[None, :], ub=capacity),
        options={"mip_rel_gap": 0},
    )
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
    for task in tasks(10, size, seed=11, split="x"):
        items = [
            i
            for i in task.private["items"].values()
            if i["class"] in task.public["allowed_classes"]
        ]
        weights, values = (np.array([i[what] for i in items]) for what in ("weight", "value"))
        assert task.reference["optimal_value"] == milp_optimum(
            weights, values, task.public["capacity"]
        )


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


# Instance rules -----------------------------------------------------------------------------------


def test_the_papers_sizes_have_the_papers_numbers():
    easy, medium = SIZES["easy"], SIZES["medium"]
    assert (easy.items, easy.weight, easy.value, easy.classes, easy.allowed) == (
        (25, 40),
        (5, 20),
        (10, 100),
        15,
        3,
    )
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
    for task in tasks(60, name, seed=3, split="rules"):
        items, allowed = task.private["items"], task.public["allowed_classes"]
        ids, capacity, best = (
            task.public["item_ids"],
            task.public["capacity"],
            task.reference["optimal_item_ids"],
        )
        usable = [i for i in ids if items[i]["class"] in allowed]
        assert (
            size.items[0] <= len(ids) <= size.items[1]
            and len(set(ids)) == len(ids)
            and set(ids) == set(items)
        )
        for item in items.values():
            assert (
                size.weight[0] <= item["weight"] <= size.weight[1]
                and size.value[0] <= item["value"] <= size.value[1]
            )
            assert item["class"] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: size.classes]
        assert len(set(allowed)) == size.allowed
        assert len(usable) >= size.min_allowed_items and ids[0] in usable
        ratio = capacity / sum(items[i]["weight"] for i in usable)
        assert size.capacity_ratio[0] - 0.05 <= ratio <= size.capacity_ratio[1]
        assert len(best) >= size.min_optimal_items and set(best) <= set(usable)
        assert sum(items[i]["value"] for i in best) == task.reference["optimal_value"]
        assert sum(items[i]["weight"] for i in best) == task.reference["optimal_weight"] <= capacity
        assert (
            max(items[i]["value"] for i in best) <= size.max_share * task.reference["optimal_value"]
        )
        assert (
            task.public["inspect_budget"]
            == inspect_budget(size, capacity, len(ids), len(best))
            <= len(ids)
        )


@pytest.mark.parametrize("name", ["pocket-easy", "pocket-medium"])
def test_pocket_ids_are_two_syllables_that_no_other_item_shares(name):
    for task in tasks(40, name, seed=3, split="ids"):
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
    # easy: 1.5 * (41 / 12.5) / (3/15) = 24.6, so 25; medium: 1.5 * (200 / 27.5) / (5/26) = 56.7, so
    # 57
    assert inspect_budget(SIZES["easy"], 41, 33, 3) == 25
    assert inspect_budget(SIZES["medium"], 200, 100, 9) == 57
    assert inspect_budget(SIZES["easy"], 1, 33, 3) == 5  # never fewer than five
    assert inspect_budget(SIZES["easy"], 500, 33, 3) == 33  # never more than there are
    assert (
        inspect_budget(SIZES["easy"], 10, 40, 12) == 14
    )  # 1.1 * 12 = 13.2 where the optimum is large
    assert inspect_budget(SIZES["pocket-easy"], 40, 11, 3) == math.ceil(
        SIZES["pocket-easy"].budget_share * 11
    )


@pytest.mark.parametrize(
    ("name", "items", "cover", "optimum"), [("easy", 34, 0.82, 4), ("medium", 102, 0.78, 12)]
)
def test_tasks_look_like_the_published_ones_on_average(name, items, cover, optimum):
    drawn = [task.difficulty for task in tasks(200, name, seed=9)]
    mean = {key: statistics.fmean(one[key] for one in drawn) for key in drawn[0]}
    assert abs(mean["n_items"] / items - 1) < 0.06
    assert abs(mean["budget_coverage"] - cover) < 0.04
    assert abs(mean["optimal_set_size"] / optimum - 1) < 0.15


# Same seed, same bytes ----------------------------------------------------------------------------

DIGEST = """
import hashlib
from knapsack_lib.families import family_named
from knapsack_lib.families.knapsack import SIZES
make_task = family_named("knapsack").make_task
tasks = [make_task(s, seed=5, split=p, index=i) for s in SIZES for p in ("train", "easy") for i in range(4)]
text = "".join(task.to_json() for task in tasks)
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    texts = [
        make_task(s, seed=5, split=p, index=i).to_json()
        for s in SIZES
        for p in ("train", "easy")
        for i in range(4)
    ]
    digests = {hashlib.sha256("".join(texts).encode()).hexdigest()}
    for hash_seed in ("0", "1", "4321"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_a_task_does_not_depend_on_what_was_drawn_before_it_nor_on_global_randomness():
    first = make_task("easy", seed=5, split="train", index=7).to_json()
    np.random.seed(0)  # noqa: NPY002 - the very thing that must not matter
    tasks(3, "medium", seed=5, split="train")
    assert tasks(8, "easy", seed=5, split="train")[7].to_json() == first


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
        (
            {"capacity_ratio": (0.001, 0.002), "weight": (90, 90), "items": (2, 3)},
            "no item can ever fit",
        ),
        ({"ids": "syllables", "items": (9, 26)}, "syllables"),
        ({"ids": "words"}, "hex or syllables"),
        ({"capacity_ratio": (math.nan, 0.5)}, r"capacity_ratio = \[nan, 0.5\] is an empty range"),
        ({"capacity_ratio": (0.5, math.nan)}, r"capacity_ratio = \[0.5, nan\] is an empty range"),
        ({"capacity_ratio": (0.5, math.inf)}, "capacity_ratio = .* goes too high; give at most 10"),
        ({"value": (1, 2**63)}, "value = .* goes too high"),
        ({"items": (9, 10**30)}, "items = .* goes too high"),
        ({"weight": (1, 10**12)}, "weight = .* goes too high; give at most 1,000,000"),
        (
            {"weight": (1, 10**6), "items": (9, 100)},
            "more than 256 MiB; lower items, weight or capacity_ratio",
        ),
    ],
)
def test_an_impossible_size_is_one_line_that_names_the_setting(change, says):
    with pytest.raises(UserError, match=says) as caught:
        replace(GOOD, **change)
    assert "good" in one_line(caught)


def test_the_most_syllable_ids_that_exist_can_be_used():
    size = replace(GOOD, ids="syllables", items=(25, 25))
    assert len(set(make_task(size, seed=1, split="x", index=0).public["item_ids"])) == 25


@pytest.mark.parametrize(
    "change", [{"min_allowed_items": 13}, {"min_optimal_items": 11}, {"max_share": 0.01}]
)
def test_rules_that_no_draw_meets_end_in_one_line(change):
    with pytest.raises(UserError, match="draws in a row") as caught:
        make_task(replace(GOOD, **change), seed=1, split="x", index=0)
    one_line(caught)


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="easy, medium, pocket-easy, pocket-medium") as caught:
        family_named("knapsack").size("hardest")
    one_line(caught)
