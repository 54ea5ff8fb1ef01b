"""Episodes as published files and back: whole or not at all, under the name that was asked for and
no other."""

import json
import re

import pytest
from common import one_line

from knapsack_lib.analysis.results import read_results
from knapsack_lib.errors import UserError
from knapsack_lib.published.episodes import to_episode, write_chat, write_published
from knapsack_lib.published.reading import Imported, read_source, write_stores
from knapsack_lib.published.records import read_records
from knapsack_lib.published.table import latex_table


def test_our_episodes_come_back_from_published_files_as_they_were(run, tmp_path):
    ours = read_results(run).episodes[::97]
    seconds = [None, 2.5, *[7.0] * (len(ours) - 2)]
    write_published(ours, tmp_path / "out", seconds)
    found = read_records(tmp_path / "out")
    order = [(e.train, e.runtime, e.difficulty, e.train_seed, e.task_id) for e in ours]
    back = {
        (e.train, e.runtime, e.difficulty, e.train_seed, e.task_id): e
        for e in map(to_episode, found.records)
    }
    assert [back[key] for key in order] == ours and not found.problems
    assert {record.tokens for record in found.records} == {
        sum(t.prompt_tokens + t.completion_tokens for t in e.turns) for e in ours
    }
    assert sorted(record.seconds or 0 for record in found.records)[:3] == [0, 2.5, 7.0]
    with pytest.raises(UserError, match="is there already"):
        write_published(ours, tmp_path / "out")


def test_chat_lines_hold_the_conversations(run, tmp_path):
    ours = read_results(run).episodes[:5]
    write_chat(ours, tmp_path / "deep" / "chat.jsonl")
    lines = [
        json.loads(line)
        for line in (tmp_path / "deep" / "chat.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["messages"] for line in lines] == [e.messages() for e in ours]


def test_every_cell_has_a_summary_that_agrees_with_its_episodes(whole):
    folder, kept = whole
    summary = json.loads(
        (folder / "persistent_persistent_easy" / "summary.json").read_text(encoding="utf-8")
    )
    mine = [
        e
        for e in kept
        if (e.train, e.runtime, e.difficulty, e.train_seed)
        == ("persistent", "persistent", "easy", 1)
    ]
    assert summary["num_tasks_executed"] == len(mine) > 10
    assert summary["num_tasks_solved"] == sum(e.result["solved"] for e in mine)
    assert summary["average_is_solved"] == summary["num_tasks_solved"] / len(mine)
    assert summary["metrics"]["score"]["mean"] == pytest.approx(
        sum(e.result["score"] for e in mine) / len(mine)
    )
    spec = {
        "cells": [
            {
                "difficulty": "Easy",
                "train": "Persistent",
                "runtime": "Persistent",
                "path": "summary.json",
            },
            {
                "difficulty": "Easy",
                "train": "Persistent",
                "runtime": "Persistent",
                "metrics_path": "knapsack",
            },
        ]
    }
    (folder / "persistent_persistent_easy" / "spec.json").write_text(
        json.dumps(spec), encoding="utf-8"
    )
    rows = [
        line
        for line in latex_table(folder / "persistent_persistent_easy" / "spec.json").splitlines()
        if "Persistent &" in line
    ]
    assert re.sub(r" \[.*?\]", "", rows[1]) == rows[0]


def writers(episodes):
    found = Imported(tuple(episodes), (None,) * len(episodes))
    return {
        "stores": lambda path: write_stores(found, path),
        "published": lambda path: write_published(episodes, path),
        "chat": lambda path: write_chat(episodes, path),
    }


@pytest.mark.parametrize("kind", ["stores", "published", "chat"])
def test_a_part_of_the_users_own_stays_as_it_is(kind, sample, tmp_path):
    write = writers(read_source(sample / "persistent").episodes)[kind]
    (tmp_path / "a.part").mkdir()
    (tmp_path / "a.part" / "mine").write_text("precious", encoding="utf-8")
    (tmp_path / "b.part").write_text("precious", encoding="utf-8")
    for name in ("a", "b"):
        write(tmp_path / name)
    assert (
        (tmp_path / "a.part" / "mine").read_text(encoding="utf-8")
        == (tmp_path / "b.part").read_text(encoding="utf-8")
        == "precious"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.part", "b", "b.part"}


@pytest.fixture
def exported(sample, tmp_path):
    """exported(episode_id="x", ...): the sample as this library publishes it, the episode kept in
    one trace changed."""
    write_published(read_source(sample / "persistent").episodes, tmp_path / "ours")
    path = min((tmp_path / "ours").rglob("*.trace.json"))

    def make(**changed):
        trace = json.loads(path.read_text(encoding="utf-8"))
        trace["knapsack_lib"] |= changed
        path.write_text(json.dumps(trace), encoding="utf-8")
        return tmp_path / "ours"

    return make


@pytest.mark.parametrize(
    "changed", [{"train": "../../esc"}, {"difficulty": "a/b"}, {"runtime": "a\nb"}]
)
def test_a_cell_that_a_file_names_cannot_lead_elsewhere(exported, tmp_path, tree, changed):
    episodes = read_source(exported(**changed)).episodes
    before = tree(tmp_path.parent)
    for write in (writers(episodes)[kind] for kind in ("stores", "published")):
        with pytest.raises(UserError, match="the cell '.*' cannot be in a file's name") as error:
            write(tmp_path / "deep" / "new")
        one_line(error)
    assert tree(tmp_path.parent) == before


def test_an_episode_that_was_kept_in_a_trace_comes_back(exported):
    damaged = min(read_source(exported(result=GOOD)).episodes, key=lambda episode: episode.task_id)
    assert damaged.result == GOOD


GOOD = {
    "value": 5,
    "optimal_value": 9,
    "score": 0.5,
    "solved": False,
    "weight_used": 3,
    "capacity": 7,
    "items_taken": 2,
    "items_inspected": 4,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"result": {}},
        {"result": {**GOOD, "value": "5"}},
        {"result": {**GOOD, "score": None}},
        {"result": {**GOOD, "capacity": 0}},
        {"result": {**GOOD, "solved": 1}},
        {"result": 3},
        {"result": {**GOOD, "value": 10**400}},
        {"result": {**GOOD, "capacity": float("inf")}},
        {"turns": [{}]},
        {"result": {**GOOD, "items_taken": 10**30}},
        {"turns": 3},
        {"task_id": 7},
        {"opening": None},
    ],
)
def test_an_episode_that_was_kept_in_a_trace_and_is_damaged_is_read_as_any_other(
    command, exported, changed
):
    folder = exported(**changed)
    assert command("export", folder, "--format", "parquet", "--out", "e.parquet")[0] == 0
    assert command("export", folder, "--out", "again")[0] == 0
    damaged = min(read_source(folder).episodes, key=lambda episode: episode.task_id)
    assert len(read_source(folder).episodes) == 8 and damaged.result["items_taken"] < 100
    assert damaged.result != changed.get("result") and damaged.opening and damaged.turns


@pytest.mark.parametrize("problem", [" ", "\n\t\n", "\x1c"])
def test_an_interpreter_error_of_blanks_is_no_error(copy, problem):
    folder = copy("persistent")
    path = folder / "knapsack-knapsack-0000000000.trace.json"
    trace = json.loads(path.read_text(encoding="utf-8"))
    for event in trace["events"]:
        if event["type"] == "StepEvent":
            event["data"]["interpreter_result"]["error"] = problem
    path.write_text(json.dumps(trace), encoding="utf-8")
    first = to_episode(read_records(folder).records[0])
    assert first.turns and all(turn.error_type is turn.error is None for turn in first.turns)


def test_nothing_is_not_written(tmp_path):
    with pytest.raises(UserError, match="there is no episode to write"):
        write_published([], tmp_path / "out")
    assert not list(tmp_path.iterdir())
