"""Task files drawn from configs in the authors' shape."""

import json

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.families import Task, family_named
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.published.tasks import generate_tasks

CONFIG = {
    "run_name": "easy_5",
    "seed_start": 7,
    "navigation": {"num_tasks": 0},
    "knapsack": {
        "num_tasks": 5,
        "n_items_range": [25, 40],
        "weight_range": [5, 20],
        "value_range": [10, 100],
        "classes": list("ABCDEFGHIJKLMNO"),
        "num_allowed_classes": 3,
        "capacity_ratio_range": [0.35, 0.5],
    },
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "easy.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    return path


def test_tasks_of_a_config_are_the_same_every_time_and_those_there_are_kept(config, tmp_path):
    first, again = (
        generate_tasks(str(config), tmp_path / "a"),
        generate_tasks(str(config), tmp_path / "b"),
    )
    assert first.written == again.written == tuple(f"knapsack-{i:010d}.json" for i in range(5))
    for name in first.written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (tmp_path / "a" / first.written[2]).write_text("{", encoding="utf-8")
    third = generate_tasks(str(config), tmp_path / "a")
    assert (third.written, len(third.kept), third.different) == ((), 5, (first.written[2],))
    assert (tmp_path / "a" / first.written[2]).read_text(encoding="utf-8") == "{"


def test_drawn_tasks_obey_the_config(config, tmp_path):
    generate_tasks(str(config), tmp_path / "a")
    for task in read_tasks(tmp_path / "a", ""):
        items = task.private["items"].values()
        assert 25 <= len(items) <= 40 and all(
            5 <= i["weight"] <= 20 and 10 <= i["value"] <= 100 for i in items
        )
        assert len(task.public["allowed_classes"]) == 3 and {i["class"] for i in items} <= set(
            "ABCDEFGHIJKLMNO"
        )
        assert task.run_name == "easy_5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "^bad.json: colour: Extra inputs"),
        ({"knapsack": 3}, "^bad.json: knapsack: "),
        ({"knapsack": {"num_items": 3}}, "knapsack.num_items"),
        ({"knapsack": {"num_allowed_classes": 4}}, "only 3 classes"),
        ({"knapsack": {"n_items_range": [9, 3], "num_allowed_classes": 2}}, "items"),
        (
            {"knapsack": {"classes": ["A", "B", "A"], "num_allowed_classes": 1}},
            "classes names 'A' twice",
        ),
        (
            {"knapsack": {"capacity_ratio_range": [0.3, float("inf")], "num_allowed_classes": 2}},
            "capacity_ratio",
        ),
        ({"knapsack": {"value_range": [1, 2**70], "num_allowed_classes": 2}}, "value"),
    ],
)
def test_a_bad_config_is_one_line(tmp_path, change, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"knapsack": {}, **change}), encoding="utf-8")
    with pytest.raises(UserError, match=message) as error:
        generate_tasks(str(path), tmp_path / "a")
    assert one_line(error) and not (tmp_path / "a").exists()


def test_a_config_without_a_section_that_is_drawn_is_one_line(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('{"run_name": "x", "llm": {}}', encoding="utf-8")
    with pytest.raises(UserError, match="bad.json: has no section files or knapsack") as error:
        generate_tasks(str(path), tmp_path / "a")
    one_line(error)


def test_a_config_with_the_authors_three_families_makes_tasks_of_each(tmp_path):
    config = {
        "run_name": "all",
        "seed_start": 3,
        "knapsack": {"num_tasks": 2, "num_allowed_classes": 2},
        "navigation": {"num_tasks": 3, "horizon_range": [5, 10]},
        "rule_diagnosis": {"num_tasks": 4},
        "out_dir": "unused",
    }
    (tmp_path / "all.json").write_text(json.dumps(config), encoding="utf-8")
    made = generate_tasks(str(tmp_path / "all.json"), tmp_path / "tasks")
    assert len(made.written) == 9 and not made.different
    for path in sorted((tmp_path / "tasks").glob("*.json")):
        task = Task.from_json(path.read_text(encoding="utf-8"), path.name)
        assert family_named(task.family).world(task).result()["score"] == 0
    assert generate_tasks(str(tmp_path / "all.json"), tmp_path / "tasks").kept == made.written
