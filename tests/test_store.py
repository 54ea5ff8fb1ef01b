"""Stores of episodes: no kill, cut or change of key mixes or loses any."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import pytest
from common import one_line
from made import TURN, episode, filled

from knapsack_lib.errors import UserError
from knapsack_lib.store import (
    EpisodeStore,
    current,
    find_stores,
    is_complete,
    read_episodes,
    read_timings,
)

AWKWARD = [
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b\x0c\x1c\x1d\x1e",
    "\r\n",
    "\x00",
    '"\\',
    "\ufeff",
    "\ud800",
    "\udfff x",
    "é漢😀",
]


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_any_text_that_a_block_can_print_survives_the_store(tmp_path, text):
    """Writers forget line separators that are no newline, and halves of characters: here they cost
    a whole run."""
    awkward = episode(
        0,
        turns=[
            replace(TURN, stdout=text, observation=text, error=text, reply=text, bindings=[text])
        ],
    )
    for _ in range(2):  # written, then found again
        with EpisodeStore(tmp_path / "s", "k1") as store:
            store.log_turn("e-000", 0, awkward.turns[0])
            store.write(awkward, 1.0)
            store.write(episode(1), 1.0)
            assert store.done == {"e-000", "e-001"}
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.close_sorted()
    assert read_episodes(tmp_path / "s", "make") == [awkward, episode(1)]


# The store ----------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_the_store_is_opened_again(tmp_path):
    filled(tmp_path / "s", 3)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-000", "e-001", "e-002"}


def test_an_episode_is_on_disk_as_soon_as_it_is_written(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.write(episode(0), 0.5)
        assert (tmp_path / "s" / "k1" / "episodes.jsonl").read_text(encoding="utf-8") == episode(
            0
        ).to_line() + "\n"
        assert read_timings(tmp_path / "s") == {"e-000": 0.5}


def test_a_turn_can_be_read_while_its_episode_is_under_way(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.log_turn("e-000", 4, TURN)
        line = json.loads((tmp_path / "s" / "k1" / "turns.jsonl").read_text(encoding="utf-8"))
        assert (line["episode_id"], line["turn"], line["stdout"]) == ("e-000", 4, "1\n")


def test_an_episode_that_is_there_is_never_written_again(tmp_path):
    filled(tmp_path / "s", 2)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.write(episode(1, finish_reason="max_turns"), 9.0)
    assert [e.finish_reason for e in read_episodes(tmp_path / "s", "make")] == ["finish", "finish"]
    assert read_timings(tmp_path / "s")["e-001"] == 0.5


@pytest.mark.parametrize(
    "left",
    ["{", '{"episode_id": "e-002", "fam', "half é", "\ud83d".encode("utf-8", "surrogatepass")[:2]],
)
def test_a_last_line_that_a_kill_cut_short_is_played_again(tmp_path, left):
    filled(tmp_path / "s", 2)
    path = tmp_path / "s" / "k1" / "episodes.jsonl"
    path.write_bytes(path.read_bytes() + (left if isinstance(left, bytes) else left.encode()))
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-000", "e-001"}
        store.write(episode(2), 0.5)
        store.close_sorted()
    assert read_episodes(tmp_path / "s", "make") == [episode(n) for n in range(3)]


def test_every_cut_of_the_file_leaves_whole_episodes_only(tmp_path):
    filled(tmp_path / "s", 3)
    path = tmp_path / "s" / "k1" / "episodes.jsonl"
    data = path.read_bytes()
    for cut in range(0, len(data), 97):
        path.write_bytes(data[:cut])
        with EpisodeStore(tmp_path / "s", "k1") as store:
            assert len(store.done) == data[:cut].count(b"\n")
            for number in range(3):
                store.write(episode(number), 0.1)
        assert path.read_bytes() == data


def test_a_timing_that_a_kill_cut_short_spoils_no_other(tmp_path):
    filled(tmp_path / "s", 1)
    with open(tmp_path / "s" / "k1" / "timings.jsonl", "a", encoding="utf-8") as file:
        file.write('{"episode_id": "e-001", "sec')
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.write(episode(1), 0.7)
        store.write(episode(2), 0.9)
    timings = read_timings(tmp_path / "s")
    assert timings["e-000"] == 0.5 and timings["e-002"] == 0.9


def test_a_closed_store_is_in_id_order_and_drops_its_turn_log(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        for number in (2, 0, 1):
            store.log_turn(f"e-{number:03d}", 0, TURN)
            store.write(episode(number), 0.5)
        store.close_sorted()
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [0, 1, 2]
    assert not (tmp_path / "s" / "k1" / "turns.jsonl").exists()


def test_seconds_are_kept_apart_from_what_is_compared(tmp_path):
    for folder, seconds in (("a", 0.5), ("b", 77.0)):
        with EpisodeStore(tmp_path / folder, "k1") as store:
            store.write(episode(0), seconds)
    assert (tmp_path / "a" / "k1" / "episodes.jsonl").read_bytes() == (
        tmp_path / "b" / "k1" / "episodes.jsonl"
    ).read_bytes()
    assert read_timings(tmp_path / "b") == {"e-000": 77.0}
    assert "seconds" not in (tmp_path / "a" / "k1" / "episodes.jsonl").read_text(encoding="utf-8")


# A folder for each key ----------------------------------------------------------------------------


def test_each_key_has_a_folder_and_the_last_one_opened_counts(tmp_path):
    filled(tmp_path / "s", 3, "0123456789abcdef-and-more")
    filled(tmp_path / "s", 1, "another")
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [0]
    assert current(tmp_path / "s") == tmp_path / "s" / "another"
    assert len(read_episodes(tmp_path / "s" / "0123456789abcdef", "make")) == 3


def test_when_a_key_returns_its_episodes_are_there_again(tmp_path, capsys):
    filled(tmp_path / "s", 3, "one")
    assert capsys.readouterr().out == ""
    filled(tmp_path / "s", 1, "two")
    before = (tmp_path / "s" / "two" / "episodes.jsonl").read_bytes()
    said = "episodes of other settings or code are kept in one; these are new"
    assert said in capsys.readouterr().out
    with EpisodeStore(tmp_path / "s", "one") as store:
        assert store.done == {"e-000", "e-001", "e-002"}
        store.close_sorted()
    assert len(read_episodes(tmp_path / "s", "make")) == 3 and is_complete(tmp_path / "s")
    assert (tmp_path / "s" / "two" / "episodes.jsonl").read_bytes() == before
    assert len(read_timings(tmp_path / "s")) == 3


def test_the_message_about_another_key_says_whether_its_episodes_are_back(tmp_path, capsys):
    filled(tmp_path / "s", 3, "one")
    filled(tmp_path / "s", 1, "two")
    capsys.readouterr()
    filled(tmp_path / "s", 3, "one")
    assert capsys.readouterr().out.endswith("kept in two; those of these are back\n")


def test_a_store_is_complete_when_its_last_episode_was_played(tmp_path):
    assert not is_complete(tmp_path / "s")
    filled(tmp_path / "s", 2)
    assert not is_complete(tmp_path / "s")
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.close_sorted()
    assert is_complete(tmp_path / "s")
    with EpisodeStore(tmp_path / "s", "k2"):
        pass
    assert not is_complete(tmp_path / "s")


def test_stores_are_found_by_the_key_that_counts(tmp_path):
    filled(tmp_path / "cells" / "a", 1, "old")
    filled(tmp_path / "cells" / "a", 1, "new")
    filled(tmp_path / "teacher" / "reset", 1, "old")
    imported = tmp_path / "imported"
    imported.mkdir()
    (imported / "episodes.jsonl").write_text(episode(0).to_line() + "\n", encoding="utf-8")
    filled(tmp_path / "teacher" / "reset" / "old" / "shards" / "x", 1, "shard")
    found = [path.parent for path in find_stores(tmp_path)]
    wanted = ["cells/a/new", "imported", "teacher/reset/old"]
    assert found == [tmp_path / name for name in wanted]
    assert [p.parent for p in find_stores(tmp_path / "cells" / "a")] == found[:1]
    assert [p.parent for p in find_stores(found[0])] == found[:1]
    (tmp_path / "cells" / "a" / "episodes.jsonl").write_text(
        "", encoding="utf-8"
    )  # imported before it was played
    assert [p.parent for p in find_stores(tmp_path)] == found


def test_an_imported_store_is_read_where_it_lies(tmp_path):
    line = episode(4).to_line() + "\n"
    (tmp_path / "episodes.jsonl").write_text(line, encoding="utf-8")
    assert [e.seed for e in read_episodes(tmp_path, "make")] == [4] and is_complete(tmp_path)


def test_a_second_writer_is_one_line_and_leaves_the_first_alone(tmp_path):
    with EpisodeStore(tmp_path / "cells" / "s", "k") as store:
        store.write(episode(0), 0.5)
        with pytest.raises(UserError, match="another run writes cells/s; wait for it") as caught:
            EpisodeStore(tmp_path / "cells" / "s", "k").__enter__()
        one_line(caught)
        store.write(episode(1), 0.5)
    filled(tmp_path / "cells" / "s", 3, "k")
    assert [e.seed for e in read_episodes(tmp_path / "cells" / "s", "make")] == [0, 1, 2]


def test_a_store_that_could_not_be_opened_is_nobodys(tmp_path):
    """The error stays alive, as it does in a notebook, and with it whatever its frames hold."""
    filled(tmp_path / "s", 2)
    log = tmp_path / "s" / "k1" / "episodes.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("{}\n" + lines[1], encoding="utf-8")
    with pytest.raises(UserError, match="may be taken out") as caught:
        EpisodeStore(tmp_path / "s", "k1").__enter__()
    log.write_text(lines[1], encoding="utf-8")
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-001"} and caught


def test_an_episode_that_is_there_twice_is_put_in_order_once(tmp_path):
    filled(tmp_path / "s", 2)
    log = tmp_path / "s" / "k1" / "episodes.jsonl"
    log.write_bytes(log.read_bytes() * 2)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.close_sorted()
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [0, 1]


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from made import episode
from knapsack_lib.store import EpisodeStore
from pathlib import Path
with EpisodeStore(Path(sys.argv[2]), sys.argv[3]) as store:
    print("open", flush=True)
    for number in range(2000):
        store.write(episode(number), 0.1)
"""


def test_a_writer_that_was_killed_keeps_nobody_out(tmp_path):
    command = [sys.executable, "-c", WRITER, os.path.dirname(__file__), str(tmp_path / "s"), "k1"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
    assert writer.stdout.readline() == "open\n"
    with pytest.raises(UserError, match="another run writes"):
        EpisodeStore(tmp_path / "s", "k1").__enter__()
    writer.kill()
    writer.wait()
    with EpisodeStore(tmp_path / "s", "k1") as store:
        there = len(store.done)
        assert there < 2000
        for number in range(there + 3):
            store.write(episode(number), 0.1)
    assert len(read_episodes(tmp_path / "s", "make")) == there + 3


def test_a_kill_between_making_a_folder_and_naming_it_leaves_the_old_key_in_place(tmp_path):
    filled(tmp_path / "s", 2, "one")
    (tmp_path / "s" / "two").mkdir()
    (tmp_path / "s" / "current.part").write_text("tw", encoding="utf-8")
    assert len(read_episodes(tmp_path / "s", "make")) == 2
    filled(tmp_path / "s", 3, "two")
    assert len(read_episodes(tmp_path / "s", "make")) == 3


# Readers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no folder", "no episode"])
def test_missing_episodes_name_the_command_that_makes_them(tmp_path, how):
    if how == "no episode":
        filled(tmp_path / "s", 0)
    with pytest.raises(UserError, match="papermill notebooks/04") as caught:
        read_episodes(tmp_path / "s", "papermill notebooks/04_cross_eval.ipynb")
    one_line(caught)


def test_a_store_that_was_cut_is_read_as_far_as_it_goes_or_refused_in_one_line(tmp_path):
    filled(tmp_path / "s", 2)
    with open(tmp_path / "s" / "k1" / "episodes.jsonl", "a", encoding="utf-8") as file:
        file.write('{"episode_id": "e-002", "fam')
    try:
        found = read_episodes(tmp_path / "s", "make evaluate")
    except UserError as error:
        assert "make evaluate" in str(error) and "\n" not in str(error)
    else:
        assert found == [episode(0), episode(1)]


@pytest.mark.parametrize(
    "damage", ["{}", "[]", '{"episode_id": "e-001", "seconds": "long"}', "\x00"]
)
def test_a_damaged_timing_is_one_line_with_its_place(tmp_path, damage):
    filled(tmp_path / "s", 1)
    with open(tmp_path / "s" / "k1" / "timings.jsonl", "a", encoding="utf-8") as file:
        file.write(damage + "\n")
    with pytest.raises(UserError, match="line 2 of s/k1/timings.jsonl is no timing") as caught:
        read_timings(tmp_path / "s")
    one_line(caught)


def test_a_store_without_timings_has_none(tmp_path):
    assert read_timings(tmp_path / "nowhere") == {}


# One at a time in memory --------------------------------------------------------------------------


def test_a_cut_line_longer_than_a_block_is_dropped(tmp_path):
    five = tmp_path / "s" / "k1"
    filled(tmp_path / "s", 5)
    whole = (five / "episodes.jsonl").read_bytes()
    (five / "episodes.jsonl").write_bytes(whole + b'{"a": "' + b"x" * 200_000)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert len(store.done) == 5
    assert (five / "episodes.jsonl").read_bytes() == whole
    (five / "episodes.jsonl").write_bytes(b"y" * 200_000)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert not store.done


def test_a_store_is_opened_ordered_and_read_an_episode_at_a_time(tmp_path):
    long = [replace(TURN, observation="x" * 50_000)]
    with EpisodeStore(tmp_path / "s", "k1") as store:
        for number in range(200):
            store.write(episode(number, turns=long), 1.0)
    assert (tmp_path / "s" / "k1" / "episodes.jsonl").stat().st_size > 10_000_000
    tracemalloc.start()
    try:
        with EpisodeStore(tmp_path / "s", "k1") as store:
            assert len(store.done) == 200
            store.close_sorted()
        assert sum(len(e.turns) for e in read_episodes(tmp_path / "s", "make")) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_system_without_locks_is_one_line_before_anything_is_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="no locks.*KNAPSACK_NO_LOCK") as caught:
        filled(tmp_path / "s", 1)
    one_line(caught)
    assert not list(tmp_path.rglob("*.jsonl"))
    monkeypatch.setenv("KNAPSACK_NO_LOCK", "1")
    filled(tmp_path / "s", 1)
    assert read_episodes(tmp_path / "s", "") == [episode(0)]
