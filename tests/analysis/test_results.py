"""The compact form of a run: reading gives back what was played, writing twice gives the same
bytes, what is missing is named with the fix."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
from common import one_line
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis.behaviour import behaviour_frame
from knapsack_lib.analysis.evidence import training_traces
from knapsack_lib.analysis.metrics import CELL, episode_frame
from knapsack_lib.analysis.results import read_results, write_results
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import RUNTIMES, Cell, load_profile
from knapsack_lib.store import read_episodes, read_timings

FILES = [
    "cells.jsonl.gz",
    "expert.csv.gz",
    "provenance.json",
    "teacher.csv.gz",
    "timings.csv",
    "training.json",
]


def cell_of(run, train, runtime, difficulty="easy", train_seed=1):
    return Cell(run.profile.family, train, runtime, difficulty, train_seed)


def everything(run):
    cells = run.profile.cells()
    return [episode for cell in cells for episode in read_episodes(run.store(cell), "")]


def without_ids(episode):
    return replace(episode, turns=[replace(turn, reply_ids=None) for turn in episode.turns])


# There and back -----------------------------------------------------------------------------------


def test_reading_the_compact_form_equals_reading_the_run(twice):
    run, results, episodes = twice.run, twice.results, everything(twice.run)
    assert_frame_equal(
        results.cells.drop(columns="seconds"), episode_frame(episodes), check_exact=True
    )
    assert_frame_equal(results.turns, behaviour_frame(episodes), check_exact=True)
    traces = [e for c in run.profile.teachers() for e in read_episodes(run.store(c), "")]
    assert_frame_equal(results.teacher, episode_frame(traces), check_exact=True)
    played = [e for c in run.profile.experts() for e in read_episodes(run.store(c), "")]
    assert_frame_equal(results.expert, episode_frame(played), check_exact=True)
    name = lambda e: (e.train, e.runtime, e.difficulty, e.train_seed, e.task_id)  # noqa: E731
    assert {name(e): e for e in results.episodes} == {name(e): without_ids(e) for e in episodes}
    for k in (1, 2):
        cell = results.cells.set_index([*CELL, "train_seed"]).loc[
            ("persistent", "reset", "easy", k)
        ]
        clock = read_timings(run.store(cell_of(run, "persistent", "reset", train_seed=k)))
        assert cell.set_index("task_id").seconds.to_dict() == clock


def test_the_settings_are_those_that_the_run_was_made_with(twice):
    results, profile = twice.results, twice.run.profile
    assert results.analysis == profile.analysis and results.seed == profile.seed
    assert results.settings == profile.model_dump(mode="json")
    assert re.fullmatch(
        rf"profile twice {profile.digest()}, seed 1, episodes [0-9a-f]{{64}}", results.stamp
    )
    assert results.provenance["parameters"] == 30_000
    assert len(results.provenance["inputs"]) == 4 + 2 * 8 + 2 + 2


def test_the_base_is_one_model_and_every_regime_has_its_adapters(twice):
    seeds = twice.results.cells.groupby("train").train_seed.unique().map(sorted).to_dict()
    assert seeds == {"base": [0], "persistent": [1, 2], "reset": [1, 2]}
    records = twice.results.training
    assert {train: [r["train_seed"] for r in records[train]] for train in records} == {
        r: [1, 2] for r in RUNTIMES
    }
    assert set(twice.results.teacher.train_seed) | set(twice.results.expert.train_seed) == {0}


def test_training_traces_are_those_of_training_tasks(smoke):
    traces = smoke.results.teacher
    both = traces.assign(task_id=traces.task_id.str.replace("-train-", "-validation-"))
    assert len(training_traces(both)) == 0 and training_traces(traces).equals(traces)


# The same bytes -----------------------------------------------------------------------------------


def test_writing_twice_gives_the_same_bytes_with_no_path_in_them(run, digests):
    folder = write_results(run)
    first = digests(folder)
    assert sorted(first) == FILES
    shutil.rmtree(folder)
    assert digests(write_results(run)) == first
    assert (folder / "cells.jsonl.gz").read_bytes()[4:8] == bytes(4)  # gzip's clock
    assert str(run.root) not in (folder / "provenance.json").read_text(encoding="utf-8")


def test_the_order_of_a_store_does_not_change_the_bytes(run, digests):
    first = digests(write_results(run))
    path = run.store(cell_of(run, "reset", "reset")) / "episodes.jsonl"
    path.write_text(
        "".join(reversed(path.read_text(encoding="utf-8").splitlines(keepends=True))),
        encoding="utf-8",
    )
    again = digests(write_results(run))
    assert {name for name in FILES if again[name] != first[name]} == {
        "provenance.json"
    }  # it has the store's hash


def test_the_stamp_changes_with_an_episode_and_not_with_the_clock(run):
    write_results(run)
    first = read_results(run)
    folder = run.store(cell_of(run, "reset", "reset"))
    clock = folder / "timings.jsonl"
    clock.write_text(
        clock.read_text(encoding="utf-8").replace('"seconds": 1.', '"seconds": 7.'),
        encoding="utf-8",
    )
    write_results(run)
    later = read_results(run)
    assert later.stamp == first.stamp and later.cells.seconds.sum() > first.cells.seconds.sum()
    path = folder / "episodes.jsonl"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"items_inspected":7', '"items_inspected":6', 1),
        encoding="utf-8",
    )
    write_results(run)
    assert read_results(run).stamp != first.stamp


# What is missing ----------------------------------------------------------------------------------


def test_what_is_missing_is_named_with_the_command_that_makes_it(run):
    with pytest.raises(
        UserError, match=r"no provenance.json .*run first: knapsack run --profile smoke$"
    ):
        read_results(run)
    path = run.store(cell_of(run, "reset", "persistent", "medium")) / "episodes.jsonl"
    path.write_text(path.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    with pytest.raises(
        UserError, match="reset-persistent-medium holds 1 of 3 .*: knapsack run --profile smoke$"
    ):
        write_results(run)
    shutil.rmtree(path.parent)
    with pytest.raises(
        UserError, match="no episodes in cells/reset-persistent-medium; run first: knapsack run"
    ):
        write_results(run)


def test_an_episode_without_its_seconds_is_missing_too(run):
    path = run.store(cell_of(run, "reset", "reset")) / "timings.jsonl"
    path.write_text(
        "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8"
    )
    with pytest.raises(
        UserError, match="reset-reset-easy holds 4 of 4 timed episodes; run again: knapsack run"
    ):
        write_results(run)


@pytest.mark.parametrize("folder", ["teacher/reset", "expert/easy"])
def test_a_missing_teacher_or_expert_is_named(run, folder: str):
    shutil.rmtree(run.root / folder)
    with pytest.raises(
        UserError, match=f"no episodes in {folder}; run first: knapsack run --profile"
    ):
        write_results(run)


@pytest.mark.parametrize("train_seed", [1, 2])
def test_a_missing_adapter_is_named(make_run, train_seed: int):
    run = make_run("twice")
    folder = run.adapter(cell_of(run, "reset", "reset", train_seed=train_seed))
    (folder / "training.json").unlink()
    what = f"no runs/twice/adapters/{folder.name}/training.json; run first: knapsack run"
    with pytest.raises(UserError, match=f"{what} --profile twice$"):
        write_results(run)


def test_a_missing_cell_of_a_second_adapter_is_named(make_run):
    run = make_run("twice")
    shutil.rmtree(run.store(cell_of(run, "reset", "persistent", "medium", 2)))
    with pytest.raises(UserError, match="no episodes in cells/reset-persistent-medium-train2; run"):
        write_results(run)


def test_the_command_for_a_run_of_another_root_seed_names_the_seed(run):
    with pytest.raises(UserError, match=r"knapsack run --profile smoke --seed 9$"):
        write_results(load_profile("smoke").run(9))


def test_a_store_s_own_provenance_is_kept(run):
    (run.store(run.profile.teachers()[1]) / "provenance.json").write_text(
        json.dumps({"made": "somewhere"}), encoding="utf-8"
    )
    write_results(run)
    assert read_results(run).provenance["made_by"] == {"teacher/reset": {"made": "somewhere"}}


@pytest.mark.parametrize(
    "name", ["cells.jsonl.gz", "teacher.csv.gz", "provenance.json", "training.json", "timings.csv"]
)
@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_a_committed_file_that_is_gone_or_damaged_is_one_line(run, name, how):
    file = write_results(run) / name
    whole = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(
            whole[: len(whole) // 2] if how == "cut" and name != "timings.csv" else b""
        )
    with pytest.raises(
        UserError, match=f"{name} (in .*run first|is damaged .*make it again)|no {name} in"
    ) as caught:
        read_results(run)
    one_line(caught)
