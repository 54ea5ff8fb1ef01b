"""What families share: the published schema of tasks, a way there and back, one line for whatever is
broken, and what a family that says nothing more has."""

import json

import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.base import Task

FAMILY = family_named("knapsack")
TASK_KEYS = {
    "difficulty",
    "family",
    "nl",
    "private",
    "public",
    "reference",
    "run_name",
    "schema_version",
    "seed",
    "task_id",
    "tools",
}
NESTED_KEYS = {
    "difficulty": {
        "budget_coverage",
        "capacity",
        "max_item_dominance",
        "n_items",
        "optimal_set_size",
        "p_valid",
    },
    "private": {"items"},
    "public": {"allowed_classes", "capacity", "inspect_budget", "item_ids"},
    "reference": {"optimal_item_ids", "optimal_value", "optimal_weight"},
}


# The published schema -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILY.sizes)
def test_a_task_file_has_the_keys_of_the_published_ones(name):
    data = json.loads(FAMILY.make_task(name, seed=1, split="x", index=0).to_json())
    assert set(data) == TASK_KEYS and data["schema_version"] == "pythonformer.task.v1"
    for key, inner in NESTED_KEYS.items():
        assert set(data[key]) == inner
    assert all(
        set(item) == {"class", "value", "weight"} for item in data["private"]["items"].values()
    )


def test_a_published_task_file_is_read_with_its_clock_ignored():
    data = json.loads(FAMILY.make_task("easy", seed=1, split="x", index=0).to_json())
    for absent in ("nl", "tools"):  # the published files lack these and carry a clock
        del data[absent]
    data["generated_at"] = "2026-01-01T00:00:00Z"
    task = Task.from_json(json.dumps(data))
    assert FAMILY.world(task).result()["optimal_value"] == data["reference"]["optimal_value"]


@given(
    name=st.sampled_from(list(FAMILY.sizes)),
    seed=st.integers(0, 2**40),
    index=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None)
def test_a_task_survives_the_way_through_json(name, seed, index):
    task = FAMILY.make_task(name, seed=seed, split="x", index=index)
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
    data = json.loads(FAMILY.make_task("easy", seed=1, split="x", index=0).to_json())
    with pytest.raises(UserError, match="pythonformer.task.v2") as caught:
        Task.from_json(json.dumps({**data, "schema_version": "pythonformer.task.v2"}))
    one_line(caught)
