"""A cell from its tasks to its store: who plays what, once, with a record of where it comes from."""

import json
import shutil

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.play import play_cell
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.store import current, find_stores, read_episodes


@pytest.fixture
def run(project):
    """A run of few tasks, which are drawn."""
    text = (project / "params" / "smoke.yaml").read_text(encoding="utf-8")
    counts = "tasks: {train: 2, validation: 1, easy: 3, medium: 1}"
    text = text.replace("tasks: {train: 24, validation: 3, easy: 4, medium: 3}", counts)
    (project / "params" / "smoke.yaml").write_text(text, encoding="utf-8")
    profile = load_profile("smoke")
    run, family = profile.run(), family_named(profile.family)
    for split, count in profile.splits().items():
        size = profile.difficulties["medium" if split == "medium" else "easy"]
        drawn = (family.make_task(size, seed=run.seed, split=split, index=i) for i in range(count))
        write_tasks(run.tasks(split), drawn)
    return run


def lines(run, cell):
    return (current(run.store(cell)) / "episodes.jsonl").read_bytes()


def test_the_teacher_plays_what_is_trained_and_validated_on(run):
    for cell in run.profile.teachers():
        episodes = play_cell(run, cell)
        splits = [episode.task_id.split("-")[1] for episode in episodes]
        assert splits == ["train", "train", "validation"]
        assert {(e.train, e.runtime, e.train_seed) for e in episodes} == {
            ("teacher", cell.runtime, 0)
        }
        assert all(turn.completion_tokens > 0 for e in episodes for turn in e.turns)


def test_the_expert_plays_the_test_tasks_of_a_size(run):
    easy, medium = (play_cell(run, cell) for cell in run.profile.experts())
    assert [e.task_id.split("-")[1] for e in easy] == ["easy"] * 3
    assert [e.task_id.split("-")[1] for e in medium] == ["medium"]
    assert {e.difficulty for e in medium} == {"medium"}


def test_what_was_played_is_not_played_again(run, capsys):
    cell = run.profile.teachers()[0]
    first = list(play_cell(run, cell))
    timings = (current(run.store(cell)) / "timings.jsonl").read_bytes()
    assert list(play_cell(run, cell)) == first
    assert (current(run.store(cell)) / "timings.jsonl").read_bytes() == timings
    assert "played by the scripted expert, persistent style" in capsys.readouterr().out


def test_other_tasks_are_another_store_and_the_old_one_returns_with_them(run):
    cell = run.profile.teachers()[1]
    play_cell(run, cell)
    before, text = lines(run, cell), next(run.tasks("train").glob("*00001.json"))
    kept = text.read_text(encoding="utf-8")
    other = json.loads(kept)
    other["public"]["capacity"] += 1
    text.write_text(json.dumps(other), encoding="utf-8")
    play_cell(run, cell)
    assert lines(run, cell) != before and len(list(find_stores(run.root))) == 1
    text.write_text(kept, encoding="utf-8")
    play_cell(run, cell)
    assert lines(run, cell) == before
    assert len([p for p in run.store(cell).iterdir() if p.is_dir()]) == 2


def test_where_the_episodes_come_from_is_recorded_next_to_them(run, project):
    cell = run.profile.teachers()[0]
    play_cell(run, cell)
    text = (current(run.store(cell)) / "provenance.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert set(record["inputs"]) == {"train", "validation"} and record["profile"] == "smoke"
    assert record["inputs"]["train"]["path"] == "runs/smoke/tasks/train"
    assert str(project) not in text


def test_missing_tasks_name_the_command_that_draws_them(run):
    shutil.rmtree(run.tasks("validation"))
    with pytest.raises(
        UserError, match="no tasks in validation; run first: knapsack run --profile smoke"
    ) as caught:
        play_cell(run, run.profile.teachers()[0])
    one_line(caught)
    assert not run.store(run.profile.teachers()[0]).exists()


def test_a_mode_between_the_two_is_a_cell_like_any_other(run):
    cell = Cell("knapsack", "teacher", "ttl:2", "easy")
    with pytest.raises(
        UserError, match="style = 'ttl:2' is unknown; choose one of: persistent, reset"
    ):
        play_cell(run, cell)
    base = Cell("knapsack", "base", "ttl:2", "medium")
    assert [e.runtime for e in play_cell(run, base)] == ["ttl:2"]
    assert read_episodes(run.root / "cells" / "base-ttl2-medium", "")
