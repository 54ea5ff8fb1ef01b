"""Tasks of rule diagnosis: each can be done within its budget, which a second method agrees with; the same seed gives the
same bytes."""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from common import one_line
from pydantic import ValidationError

from knapsack_lib.errors import UserError
from knapsack_lib.families.rule_diagnosis import FAMILY
from knapsack_lib.families.rule_diagnosis.rule import KEYS, value
from knapsack_lib.families.rule_diagnosis.tasks import SIZES, Size, strategy_inputs

ROOT = Path(__file__).parents[3]
make_task = FAMILY.make_task


def tasks(count, size="pocket-easy", *, seed=1, split="x"):
    return [make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def table_of(task, inputs):
    return [(x, value(task.public["kind"], task.private["rule"], x)) for x in inputs]


# The rule can be found ----------------------------------------------------------------------------


def congruent(residue, modulus, ends):
    """The whole numbers of a range that leave this residue."""
    low, high = ends
    return range(low + (residue - low) % modulus, high + 1, modulus)


def solutions(public, table):
    """Every rule of the stated ranges that fits a table of two tests or more, by algebra: the slope from a linear equation
    or, for each modulus, a linear congruence; no rule is tried that does not solve it."""
    (x0, y0), (x1, y1) = table[:2]
    low, high = public["a_range"]
    if public["kind"] == "linear_int":
        a, rest = divmod(y1 - y0, x1 - x0)
        b = y0 - a * x0
        fits = rest == 0 and low <= a <= high and all(a * x + b == y for x, y in table)
        return [(a, b)] if fits and public["b_range"][0] <= b <= public["b_range"][1] else []
    found = []
    for m in range(public["m_range"][0], public["m_range"][1] + 1):
        step, common = x1 - x0, math.gcd(x1 - x0, m)
        if max(y for _, y in table) >= m or (y1 - y0) % common:
            continue
        small = m // common
        slope = (y1 - y0) // common * pow(step // common, -1, small) % small if small > 1 else 0
        for a in congruent(slope, small, (low, high)):
            found += [
                (a, b, m)
                for b in congruent((y0 - a * x0) % m, m, public["b_range"])
                if all((a * x + b - y) % m == 0 for x, y in table)
            ]
    return found


COUNTS = {"easy": 120, "medium": 60, "hard": 60, "pocket-easy": 200, "pocket-medium": 100}


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_inputs_leave_the_hidden_rule_alone_as_algebra_finds_too(size):
    for task in tasks(COUNTS[size], size):
        public, hidden = task.public, tuple(task.private["rule"].values())
        inputs, (low, high) = task.reference["inputs"], public["input_range"]
        assert solutions(public, table_of(task, inputs)) == [hidden]
        assert task.reference["rule"] == task.private["rule"]
        assert len(inputs) == task.difficulty["tests_needed"] <= public["budget"]
        assert inputs == sorted(set(inputs)) and inputs[0] == low and inputs[-1] <= high
        if len(inputs) > 2:  # and one test fewer would not do
            assert len(solutions(public, table_of(task, inputs[:-1]))) > 1


def test_each_test_is_on_the_smallest_input_that_tells_two_of_the_rules_left_apart():
    for task in tasks(60):
        inputs = task.reference["inputs"]
        for done in range(2, len(inputs)):
            left = solutions(task.public, table_of(task, inputs[:done]))
            apart = [
                x
                for x in range(task.public["input_range"][1] + 1)
                if len({(a * x + b) % m for a, b, m in left}) > 1
            ]
            assert inputs[done] == apart[0]


def test_the_strategy_by_hand():
    def rules(*given):
        return np.array(given)

    # b is seen at 0; 2x and 3x differ at 1; (2x) % 5 and (2x) % 7 first at 3: 6 % 5 = 1, 6 % 7 = 6
    three = rules((2, 0, 5), (2, 0, 7), (3, 0, 7))
    assert strategy_inputs(three, (3, 0, 7), (0, 9), 5) == [0, 1]
    assert strategy_inputs(three, (2, 0, 7), (0, 9), 5) == [0, 1, 3]
    assert strategy_inputs(three, (2, 0, 7), (0, 9), 2) is None  # no third test
    assert strategy_inputs(three, (2, 0, 7), (0, 2), 5) is None  # 3 cannot be tested
    assert strategy_inputs(rules((1, 4), (-1, 4)), (-1, 4), (-3, 3), 5) == [-3]


# What a size says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_every_task_keeps_the_ranges_of_its_size(name):
    size = SIZES[name]
    for task in tasks(60, name):
        public, rule = task.public, task.private["rule"]
        assert tuple(rule) == KEYS[public["kind"]] and public["kind"] in size.kinds
        for key in rule:
            low, high = getattr(size, key)
            assert public[f"{key}_range"] == [low, high] and low <= rule[key] <= high
        assert size.budget[0] <= public["budget"] <= size.budget[1]
        assert size.min_tests <= task.difficulty["tests_needed"]
        assert task.to_json().isascii()


def test_the_budgets_are_the_authors():
    assert [SIZES[name].budget for name in ("easy", "medium", "hard")] == [
        (3, 5),
        (10, 15),
        (6, 12),
    ]


@pytest.mark.parametrize("name", ["easy", "medium", "hard"])
def test_both_kinds_occur_at_the_authors_sizes(name):
    kinds = [task.public["kind"] for task in tasks(60, name)]
    assert 15 <= kinds.count("linear_int") <= 45


def test_pocket_numbers_are_one_piece_each_and_medium_needs_more_tests():
    needed = {}
    for name in ("pocket-easy", "pocket-medium"):
        size = SIZES[name]
        assert max(size.a[1], size.b[1], size.m[1], size.inputs[1]) < 100
        needed[name] = [task.difficulty["tests_needed"] for task in tasks(100, name)]
    assert set(needed["pocket-easy"]) == {3, 4, 5, 6}
    assert set(needed["pocket-medium"]) == {6, 7}


def test_no_test_task_hides_a_rule_that_a_training_task_hides():
    def rules(split, count, size="pocket-easy"):
        return {json.dumps(t.private) for t in tasks(count, size, split=split)}

    train = rules("train", 600) | rules("validation", 100)
    assert not train & (rules("easy", 150) | rules("medium", 100, "pocket-medium"))
    assert rules("x", 100) & train and rules("x", 100) - train  # other splits hide any


# Same seed, same bytes ----------------------------------------------------------------------------

DIGEST = """
import hashlib
from knapsack_lib.families.rule_diagnosis import FAMILY
tasks = [FAMILY.make_task(s, seed=5, split=p, index=i) for s in FAMILY.sizes for p in ("train", "easy") for i in range(3)]
print(hashlib.sha256("".join(task.to_json() for task in tasks).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    texts = [
        make_task(s, seed=5, split=p, index=i).to_json()
        for s in SIZES
        for p in ("train", "easy")
        for i in range(3)
    ]
    digests = {hashlib.sha256("".join(texts).encode()).hexdigest()}
    for hash_seed in ("0", "4321"):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_another_seed_split_index_or_size_is_another_draw():
    def drawn(size="pocket-easy", seed=1, split="train", index=0):
        return make_task(size, seed=seed, split=split, index=index).seed

    others = [drawn(seed=2), drawn(split="easy"), drawn(index=1), drawn(size="pocket-medium")]
    assert len({drawn(), *others}) == 5


# Impossible settings ------------------------------------------------------------------------------

GOOD = Size("good", ("affine_mod",), (3, 5), (1, 9), (0, 9), (10, 30), (0, 19))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kinds": ()}, "choose from linear_int, affine_mod"),
        ({"kinds": ("cubic",)}, "kinds = .*cubic"),
        ({"budget": (0, 5)}, "budget = .*1 <= low"),
        ({"budget": (5, 3)}, "budget"),
        ({"a": (9, 1)}, r"a = \[9, 1\] is an empty range"),
        ({"b": (9, 1)}, r"b = \[9, 1\]"),
        ({"m": (1, 30)}, "m = .*2 <= low"),
        ({"m": (30, 10)}, "m = "),
        ({"inputs": (5, 4)}, "inputs = "),
        ({"inputs": (0, 1000)}, "inputs are 1,001; give at most 1,000"),
        ({"inputs": (2 * 10**6, 2 * 10**6 + 1)}, "inputs = .*goes too far"),
        ({"a": (-(10**7), 9)}, "a = .*goes too far"),
        ({"a": (0, 999), "b": (0, 999)}, "affine_mod rules; narrow a, b or m"),
        ({"kinds": ("linear_int",), "a": (0, 9999), "b": (0, 999)}, "linear_int rules; narrow"),
        ({"kinds": ("linear_int",), "min_tests": 3}, "two tests settle linear_int"),
        ({"min_tests": 6}, "min_tests = 6 of at most 5 tests"),
        ({"inputs": (0, 1), "min_tests": 3}, "min_tests = 3"),
    ],
)
def test_an_impossible_size_is_one_line_that_names_the_setting(change, says):
    with pytest.raises(UserError, match=says) as caught:
        replace(GOOD, **change)
    assert "good" in one_line(caught)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": (0, 0)},  # one input tells b alone
        {"budget": (1, 1)},
        {"m": (200, 220)},  # never reached, so never told
        {"a": (0, 59), "b": (0, 59), "m": (10, 12)},  # a and a + m are the same rule
    ],
)
def test_rules_that_no_strategy_finds_end_in_one_line(change):
    size = replace(GOOD, **{"min_tests": 1, **change})
    with pytest.raises(UserError, match="1000 rules in a row could not be found") as caught:
        make_task(size, seed=1, split="x", index=0)
    one_line(caught)


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="easy, medium, hard, pocket-easy, pocket-medium"):
        FAMILY.size("hardest")


# The authors' configs -----------------------------------------------------------------------------


def config(section, seed=123456789):
    return list(FAMILY.tasks_from_config(section, seed=seed, run_name="bench"))


def test_an_empty_section_gives_a_hundred_tasks_in_the_authors_numbering():
    found = config({})
    assert [t.task_id for t in found] == [f"rule_diagnosis-{i:010d}" for i in range(100)]
    assert {t.public["kind"] for t in found} == {"linear_int", "affine_mod"}
    assert {t.run_name for t in found} == {"bench"} and found == config({})
    assert config({"num_tasks": 3}) != config({"num_tasks": 3}, seed=7)


def test_a_section_sets_kinds_and_ranges():
    section = {
        "num_tasks": 5,
        "kinds": ["affine_mod"],
        "budget_range": [6, 6],
        "a_range": [1, 5],
        "b_range": [2, 6],
        "m_range": [11, 19],
    }
    for task in config(section):
        assert task.public["budget"] == 6 and task.public["m_range"] == [11, 19]
        assert 1 <= task.private["rule"]["a"] <= 5 and 2 <= task.private["rule"]["b"] <= 6


@pytest.mark.parametrize(
    "section",
    [{"kind": []}, {"kinds": []}, {"kinds": ["x"]}, {"a_range": [1]}, {"num_tasks": -1}, 3, None],
)
def test_a_bad_section_is_refused(section):
    with pytest.raises(ValidationError):
        config(section)


def test_impossible_ranges_of_a_section_are_one_line():
    with pytest.raises(UserError, match="'bench': m = ") as caught:
        config({"m_range": [0, 4]})
    one_line(caught)
