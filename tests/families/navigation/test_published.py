"""Navigation's section of a config in the authors' shape."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.published.tasks import generate_tasks

SECTION = {
    "num_tasks": 6,
    "horizon_range": [3, 4],
    "extra_nodes": [2, 2],
    "extra_edge_factor": 0.5,
    "max_steps_multiplier": 2.0,
    "second_edge_probability": 0.0,
}


def drawn(section, seed=42):
    family = family_named("navigation")
    return list(family.tasks_from_config(section, seed=seed, run_name="theirs"))


def test_a_section_gives_its_tasks_in_the_authors_numbering_with_their_seeds():
    tasks = drawn(SECTION)
    assert [t.task_id for t in tasks] == [f"navigation-{i:010d}" for i in range(6)]
    first = 42 + int(hashlib.sha256(b"navigation").hexdigest()[:8], 16)
    assert [t.seed for t in tasks] == list(range(first, first + 6))
    assert {t.run_name for t in tasks} == {"theirs"}
    assert len({json.dumps(t.private) for t in tasks}) == 6
    for task in tasks:
        horizon, nodes = task.reference["optimal_steps"], len(task.private["layers"])
        assert horizon in (3, 4) and nodes == horizon + 1 + 2
        assert task.public["max_steps"] == 2 * horizon
        edges = sum(map(len, task.private["adjacency"].values()))
        assert edges == horizon + 2 * 2 + round(0.5 * nodes)
        assert family_named("navigation").world(task).scan()


def test_a_section_that_says_nothing_gives_a_hundred_easy_tasks():
    tasks = drawn({})
    assert len(tasks) == 100 and {5, 10} <= {t.reference["optimal_steps"] for t in tasks}
    assert drawn({}, seed=43)[0].private == tasks[1].private


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"horizon": [3, 4]}, "navigation.horizon"),
        ({"num_tasks": -1}, "navigation.num_tasks"),
        ({"horizon_range": [3]}, "navigation.horizon_range"),
        ({"extra_nodes": "many"}, "navigation.extra_nodes"),
    ],
)
def test_a_bad_section_names_the_place(change, says):
    with pytest.raises(ValidationError) as caught:
        drawn({**SECTION, **change})
    assert says in ".".join(map(str, caught.value.errors()[0]["loc"]))


def test_a_section_that_no_graph_fits_is_one_line():
    with pytest.raises(UserError, match="horizon = "):
        drawn({**SECTION, "horizon_range": [4, 3]})


def test_a_whole_config_is_read(tmp_path):
    path = tmp_path / "config.json"
    config = {"seed_start": 123456789, "run_name": "theirs", "navigation": SECTION}
    path.write_text(json.dumps(config), encoding="utf-8")
    generate_tasks(str(path), tmp_path / "tasks")
    assert list(read_tasks(tmp_path / "tasks", "")) == drawn(SECTION, seed=123456789)
