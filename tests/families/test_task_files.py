"""Tasks on disk: a folder holds exactly what was written last, and one line names whatever is broken."""

import pickle

import pytest
from common import one_line
from made import tasks

from knapsack_lib.errors import UserError
from knapsack_lib.families.task_files import read_tasks, write_tasks


def test_a_task_folder_holds_exactly_the_tasks_written_last(tmp_path):
    five = tasks(5, split="train")
    write_tasks(tmp_path, five)
    write_tasks(tmp_path, five[:3])
    assert read_tasks(tmp_path, "make tasks") == five[:3]
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}
    write_tasks(tmp_path, five[:3])
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()} == before


def test_tasks_on_disk_are_a_sequence_that_travels_as_names(tmp_path):
    five = tasks(5, split="train")
    write_tasks(tmp_path / "a", five[:3])
    write_tasks(tmp_path / "b", iter(five[3:]))
    found = read_tasks(tmp_path / "a", "make") + read_tasks(tmp_path / "b", "make")
    assert len(found) == 5 and found == five and found[-1] == five[-1] and found[1:4] == five[1:4]
    assert found != five[:4] and found != "tasks"
    assert pickle.loads(pickle.dumps(found[2:])) == five[2:] and len(pickle.dumps(found[2:])) < 1000


def test_tasks_that_cannot_all_be_made_leave_the_folder_as_it_was(tmp_path):
    write_tasks(tmp_path, tasks(4, split="train"))
    before = list(read_tasks(tmp_path, "make tasks"))

    def half():
        yield from tasks(2, seed=2, split="train")
        raise UserError("200 draws in a row broke its rules")

    with pytest.raises(UserError):
        write_tasks(tmp_path, half())
    assert read_tasks(tmp_path, "make tasks") == before


def test_a_bad_task_file_is_named_before_anything_is_played(tmp_path):
    write_tasks(tmp_path, tasks(5, split="train"))
    (tmp_path / "knapsack-train-00004.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="knapsack-train-00004.json is not a JSON object") as caught:
        read_tasks(tmp_path, "make tasks")
    one_line(caught)


def test_missing_tasks_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(UserError, match="papermill notebooks/01") as caught:
        read_tasks(tmp_path, "papermill notebooks/01_generate.ipynb")
    one_line(caught)
