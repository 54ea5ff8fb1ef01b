"""Tasks on disk: the published schema, a way there and back, one line for whatever is broken."""

import json
import pickle

import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.knapsack import (
    SIZES,
    KnapsackWorld,
    make_task,
    make_tasks,
)
from knapsack_lib.families.task_files import read_tasks, write_tasks

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


@pytest.mark.parametrize("name", SIZES)
def test_a_task_file_has_the_keys_of_the_published_ones(name):
    data = json.loads(make_task(name, seed=1, split="x", index=0).to_json())
    assert set(data) == TASK_KEYS and data["schema_version"] == "pythonformer.task.v1"
    for key, inner in NESTED_KEYS.items():
        assert set(data[key]) == inner
    assert all(
        set(item) == {"class", "value", "weight"} for item in data["private"]["items"].values()
    )


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
    assert (
        len(found) == 5 and found == tasks and found[-1] == tasks[-1] and found[1:4] == tasks[1:4]
    )
    assert found != tasks[:4] and found != "tasks"
    assert (
        pickle.loads(pickle.dumps(found[2:])) == tasks[2:] and len(pickle.dumps(found[2:])) < 1000
    )


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
