"""This project's own episodes."""

import json
from dataclasses import replace

from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts
from knapsack_lib.episodes import Episode
from knapsack_lib.published.episodes import UNRECORDED
from knapsack_lib.store import EpisodeStore

TURN = replace(UNRECORDED, reply="I see.", parse_status="code", code="x = 1", observation="ok")
FAILED = replace(
    TURN,
    code="x = 1\nprint(y)",
    observation="NameError: name 'y' is not defined (line 2)",
    error_type="NameError",
    error="name 'y' is not defined",
)


def episode(name, *turns):
    return Episode(
        name, name, "knapsack", "easy", "persistent", "reset", 0, [], list(turns), "finish", {}
    )


def test_the_record_says_what_ran_and_what_came_of_it(tmp_path):
    killed = replace(TURN, killed_by="time")
    silent = replace(TURN, parse_status="several_blocks", code=None)
    path = tmp_path / "episodes.jsonl"
    path.write_text(
        episode("a", TURN, silent, FAILED, killed).to_line() + "\n{}\n", encoding="utf-8"
    )
    problems = Problems()
    (found,) = read_transcripts(path, problems=problems)
    assert [(step.code, step.error_type, step.line, step.stopped) for step in found.steps] == [
        ("x = 1", None, None, False),
        ("x = 1\nprint(y)", "NameError", 2, False),
        ("x = 1", None, None, True),
    ]
    assert found.labels["train"] == "persistent" and found.labels["runtime"] == "reset"
    assert "take_item" in found.provided
    assert problems.count == 1


def test_of_a_store_the_current_episodes_are_read(tmp_path):
    for key, name in (("old", "a"), ("new", "b")):
        with EpisodeStore(tmp_path / "cell", key) as store:
            store.write(episode(name, TURN), 1.0)
    problems = Problems()
    found = [one.transcript_id for one in read_transcripts(tmp_path, problems=problems)]
    assert found == ["cell/new/episodes.jsonl:1 b"] and problems.count == 0
    old = list(read_transcripts(tmp_path / "cell" / "old"))
    assert len(old) == 1  # asked for by name


def test_odd_values_are_told_or_passed_over(tmp_path):
    check_odd_values(tmp_path, "episodes", json.loads(episode("a", TURN, FAILED).to_line()))
