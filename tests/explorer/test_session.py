"""Episodes played again and tasks played by hand, through the real interpreter."""

from __future__ import annotations

import os
from dataclasses import replace

import psutil
import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.session import play, register_magic, rerun
from knapsack_lib.families import family_named

pytestmark = pytest.mark.usefixtures("no_session")


@pytest.fixture(scope="module")
def kept(committed):
    """A committed episode that ended well, acting in what it was trained on, and its task:
    kept("persistent")."""

    def find(regime: str, difficulty: str = "easy"):
        rows = committed.find(
            train=regime, runtime=regime, difficulty=difficulty, train_seed=1, solved=True, errors=0
        )
        return committed.open(rows.index[0]), committed.task(rows.index[0])

    return find


@pytest.fixture(scope="module")
def task():
    return family_named("knapsack").make_task("pocket-easy", seed=3, split="easy", index=0)


def limited(study, **limits):
    return study.model_copy(update={"limits": study.limits.model_copy(update=limits)})


def below() -> set[int]:
    return {one.pid for one in psutil.Process().children(recursive=True)}


# Episodes again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("difficulty", ["easy", "medium"])
@pytest.mark.parametrize("regime", ["persistent", "reset"])
def test_an_episode_played_again_prints_what_it_printed_and_scores_what_it_scored(
    kept, study, regime, difficulty
):
    episode, task = kept(regime, difficulty)
    with rerun(episode, task, study) as session:
        assert session.runtime == regime and len(session.turns) == len(episode.turns) > 3
        assert [one.observation for one in session.turns[:-1]] == [
            one.observation for one in episode.turns[:-1]
        ]
        assert all(one.same for one in session.turns) and session.result == episode.result
        assert "not as in the episode" not in session._repr_html_()


def test_a_persistent_episode_meets_a_missing_name_in_the_second_turn_when_every_block_starts_afresh(
    kept, study
):
    episode, task = kept("persistent")
    with rerun(episode, task, study, runtime="reset", turns=2) as session:
        first, second = session.turns
        assert first.same and not second.same and second.before == episode.turns[1].observation
        assert "NameError" in second.observation and "not as in the episode" in second._repr_html_()
        assert session.result["value"] == 0


def test_one_continues_by_hand_where_the_episode_was_stopped(kept, study):
    episode, task = kept("persistent")
    with rerun(episode, task, study, turns=2) as session:
        assert len(session.turns) == 2 and session.turns_left == study.limits.turns - 2
        assert session.result["items_taken"] == 0 and task.task_id in session._repr_html_()
        third = session.run(episode.turns[2].code)
        assert (
            third.observation == episode.turns[2].observation
            and third.number == 3
            and third.before is None
        )
        shown = session.run("here = 6 * 7\nprint(here, len(dir()))")
        assert (
            shown.observation.startswith("42 ") and session.run("print(here)").observation == "42"
        )


def test_a_reply_that_was_not_run_is_a_turn_too(kept, study):
    """Numbers and turns left are those of the episode."""
    episode, task = kept("persistent")
    unrun = replace(
        episode.turns[0],
        code=None,
        parse_status="no_code",
        reply="I wait.",
        observation="No block was found.",
    )
    with rerun(
        replace(episode, turns=[episode.turns[0], unrun, *episode.turns[1:]]), task, study, turns=3
    ) as session:
        assert session.turns[-1].number == 3 and session.turns_left == study.limits.turns - 3
        assert all(one.same for one in session.turns)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (
            {"runtime": "forgetful"},
            "runtime = 'forgetful' is unknown; choose one of: persistent, reset",
        ),
        ({"runtime": "ttl:k"}, "runtime = 'ttl:k' is unknown"),
        ({"turns": 99}, "turns = 99: the episode has "),
        ({"turns": -1}, "turns = -1: the episode has "),
    ],
)
def test_what_cannot_be_played_again_is_one_line(kept, study, no_session, asked, problem):
    before = below()
    with pytest.raises(UserError) as error:
        rerun(*kept("persistent"), study, **asked)
    assert str(error.value).startswith(problem) and "\n" not in str(error.value)
    assert below() == before and no_session.last is None


def test_a_task_of_another_episode_is_one_line(kept, study, task):
    episode, own = kept("persistent")
    other = replace(own, task_id="knapsack-easy-77777")
    with pytest.raises(
        UserError, match=f"^task knapsack-easy-77777 is not that of the episode, {own.task_id}$"
    ):
        rerun(episode, other, study)


def test_an_episode_whose_task_is_not_known_is_one_line(
    episode, store, study, tmp_path, no_session
):
    """As in notebook 06: a store without provenance.json does not say what its tasks were drawn
    from."""
    folder = store(tmp_path / "bare", [episode()])
    (folder / "provenance.json").unlink()
    catalogue, before = open_catalogue(folder), below()
    with pytest.raises(UserError) as error:
        rerun(catalogue.open(0), catalogue.task(0), study)
    assert str(error.value).startswith(
        "the task of episode knapsack-easy-00000 cannot be drawn again: its source has no "
    )
    assert "\n" not in str(error.value) and below() == before and no_session.last is None


def test_an_episode_longer_than_the_study_allows_is_one_line_and_leaves_no_process(kept, study):
    before = below()
    with pytest.raises(UserError, match="^no turn is left: "):
        rerun(*kept("persistent"), limited(study, turns=2))
    assert below() == before


# By hand ------------------------------------------------------------------------------------------


def test_a_player_reads_what_an_agent_reads_and_is_scored_against_the_optimum(task, study):
    best = task.reference["optimal_item_ids"]
    with play(task, study) as session:
        html = session._repr_html_()
        assert f"Capacity {task.public['capacity']}" in html and "at most 4 tool calls" in html
        assert session.score == (
            f"score 0.000 (value 0, optimal value {task.reference['optimal_value']}, weight used 0, "
            f"capacity {task.public['capacity']}, items taken 0, items inspected 0), 16 turns left"
        )
        assert (
            "'weight'"
            in session.run(f"import json\nprint(json.loads(inspect({best[0]!r})))").observation
        )
        assert session.run(f"take_item({best[0]!r})").observation == "(no output)"
        assert 0 < session.result["score"] < 1
        for item in best[1:]:
            session.run(f"inspect({item!r}); take_item({item!r})")
        assert (
            session.result["score"] == 1
            and session.result["solved"]
            and session.score.startswith("score 1.000 (value ")
        )


def test_an_agent_s_limits_are_a_player_s(task, study):
    ids = task.public["item_ids"]
    with play(task, limited(study, turns=6, output_chars=100, wall_seconds=1)) as session:
        assert (
            "at most 4 tool calls in one turn"
            in session.run("for i in range(5): list_items()").observation
        )
        assert "was never inspected" in session.run(f"take_item({ids[0]!r})").observation
        assert session.run("print('x' * 5000)").observation.endswith(
            "[output cut at 100 characters]"
        )
        assert "time limit" in session.run("while True: pass").observation
        assert (
            "ModuleNotFoundError" in session.run("import numpy").observation
            and session.turns_left == 1
        )
        session.run("pass")
        with pytest.raises(
            UserError, match=r"^no turn is left: score 0.000 \(.*; start again with play"
        ) as error:
            session.run("pass")
        assert "\n" not in str(error.value) and len(session.turns) == 6


@pytest.mark.parametrize(
    ("runtime", "seen"),
    [
        ("persistent", "3"),
        ("data", "3"),
        ("ttl:1", "3"),
        ("functions", "Name"),
        ("reset", "Name"),
        ("stateless", "Name"),
    ],
)
def test_a_player_chooses_what_is_left_of_a_block(task, study, runtime, seen):
    with play(task, study, runtime=runtime) as session:
        session.run("x = 3")
        assert session.run("print(x)").observation.startswith(seen)


def test_a_finished_task_takes_no_more_blocks(task, study):
    with play(task, study) as session:
        session.run("finish()")
        with pytest.raises(UserError, match="^the task is finished: score 0.000 ") as error:
            session.run("print(1)")
        assert "\n" not in str(error.value) and len(session.turns) == 1


def test_closing_leaves_no_process_behind_and_what_was_played_is_still_there(task, study):
    before = below()
    session = play(task, study)
    session.run("import subprocess, os, threading\nprint(1)")
    assert below() - before
    session.close()
    assert (
        below() == before and session.turns[0].observation == "1" and session.result["value"] == 0
    )
    session.close()


def test_a_closed_session_takes_no_more_blocks_and_starts_nothing(task, study):
    before = below()
    with play(task, study) as session:
        session.run("x = 1")
    with pytest.raises(UserError) as error:
        session.run("print(x)")
    assert "\n" not in str(error.value) and len(session.turns) == 1 and below() == before


def test_a_new_session_closes_the_one_before_it_and_leaves_no_process_and_no_open_file(
    task, study, no_session
):
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    processes, files = below(), open_files()
    first = play(task, study)
    first.run("x = 1")
    # Those of two sessions
    two = {
        "processes": 2 * len(below() - processes),
        "files": 2 * (open_files() - files),
    }
    for _ in range(3):
        play(task, study).run("x = 1")
    assert first.closed and first.turns
    assert len(below() - processes) < two["processes"] and open_files() - files < two["files"]
    with pytest.raises(UserError, match="^the session is closed"):
        first.run("x")
    with pytest.raises(UserError, match="is unknown"):
        play(task, study, runtime="forgetful")
    assert not no_session.last.closed and no_session.last.run("print(x)").observation == "1"
    no_session.last.close()
    assert below() == processes and open_files() == files


# %%turn -------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """An IPython without history, which is gone afterwards."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    register_magic()
    yield made
    InteractiveShell.clear_instance()


def test_a_cell_of_turn_is_the_next_block_of_the_last_session(shell, task, study):
    first = play(task, study)
    with play(task, study) as last:
        played = shell.run_cell_magic("turn", "", "y = 5\nprint(y)")
        assert (
            (played.number, played.observation) == (1, "5")
            and last.turns == [played]
            and first.turns == []
        )
        assert shell.run_cell_magic("turn", "", "print(y + 1)").observation == "6"


def test_without_a_session_a_cell_of_turn_says_what_to_do(shell, task, study):
    with pytest.raises(
        UserError, match=r"^no session is open; start one with play\(\.\.\.\) or rerun\(\.\.\.\)$"
    ):
        shell.run_cell_magic("turn", "", "print(1)")
    play(task, study).close()
    with pytest.raises(UserError, match="^no session is open"):
        shell.run_cell_magic("turn", "", "print(1)")


def test_without_ipython_there_is_nothing_to_make_known():
    register_magic()
