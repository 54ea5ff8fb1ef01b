"""Episodes on disk: every line reads back as it was written, and no kill, cut or change of key
mixes or loses any."""

import json
from dataclasses import replace

import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from made import TURN, episode, filled

from knapsack_lib import episodes
from knapsack_lib.episodes import Episode, EpisodeStore, read_episodes, read_timings
from knapsack_lib.errors import UserError

# One line, one episode ----------------------------------------------------------------------------

ANY_TEXT = st.text(
    st.characters(), max_size=20
)  # lone surrogates and every line separator among them
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


@given(
    text=ANY_TEXT,
    value=st.floats(allow_nan=False),
    number=st.integers(),
    names=st.lists(ANY_TEXT, max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_an_episode_survives_the_way_through_its_line(text, value, number, names):
    turn = replace(TURN, reply=text, stdout=text, error=text, bindings=names, prompt_tokens=number)
    whole = episode(1, turns=[turn], outcome={"score": value})
    line = whole.to_line()
    assert "\n" not in line and Episode.from_line(line) == whole


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


def test_equal_episodes_are_equal_lines_whatever_the_order_of_keys():
    assert (
        episode(1, outcome={"a": 1, "b": 2}).to_line()
        == episode(1, outcome={"b": 2, "a": 1}).to_line()
    )


def test_messages_are_the_conversation_as_it_was_served():
    roles = [m["role"] for m in episode(1).messages()]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert episode(1).messages()[2:4] == [
        {"role": "assistant", "content": TURN.reply},
        {"role": "user", "content": "1"},
    ]


# The store ----------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_the_store_is_opened_again(tmp_path):
    filled(tmp_path / "s", 3)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-000", "e-001", "e-002"} and store.set_aside is None


def test_an_episode_is_on_disk_as_soon_as_it_is_written(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.write(episode(0), 0.5)
        assert (tmp_path / "s" / "episodes.jsonl").read_text() == episode(0).to_line() + "\n"
        assert read_timings(tmp_path / "s") == {"e-000": 0.5}


def test_a_turn_can_be_read_while_its_episode_is_under_way(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.log_turn("e-000", 4, TURN)
        line = json.loads((tmp_path / "s" / "turns.jsonl").read_text())
        assert (line["episode_id"], line["turn"], line["stdout"]) == ("e-000", 4, "1\n")


def test_an_episode_that_is_there_is_never_written_again(tmp_path):
    filled(tmp_path / "s", 2)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.write(episode(1, finish="max_turns"), 9.0)
    assert [e.finish_reason for e in read_episodes(tmp_path / "s", "make")] == ["finish", "finish"]
    assert read_timings(tmp_path / "s")["e-001"] == 0.5


@pytest.mark.parametrize(
    "left",
    ["{", '{"episode_id": "e-002", "fam', "half é", "\ud83d".encode("utf-8", "surrogatepass")[:2]],
)
def test_a_last_line_that_a_kill_cut_short_is_played_again(tmp_path, left):
    filled(tmp_path / "s", 2)
    path = tmp_path / "s" / "episodes.jsonl"
    path.write_bytes(path.read_bytes() + (left if isinstance(left, bytes) else left.encode()))
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-000", "e-001"}
        store.write(episode(2), 0.5)
        store.close_sorted()
    assert read_episodes(tmp_path / "s", "make") == [episode(n) for n in range(3)]


def test_every_cut_of_the_file_leaves_whole_episodes_only(tmp_path):
    filled(tmp_path / "s", 3)
    path = tmp_path / "s" / "episodes.jsonl"
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
    with open(tmp_path / "s" / "timings.jsonl", "a") as file:
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
    assert not (tmp_path / "s" / "turns.jsonl").exists()


def test_seconds_are_kept_apart_from_what_is_compared(tmp_path):
    for folder, seconds in (("a", 0.5), ("b", 77.0)):
        with EpisodeStore(tmp_path / folder, "k1") as store:
            store.write(episode(0), seconds)
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == (
        tmp_path / "b" / "episodes.jsonl"
    ).read_bytes()
    assert read_timings(tmp_path / "b") == {"e-000": 77.0}
    assert "seconds" not in (tmp_path / "a" / "episodes.jsonl").read_text()


# Another key --------------------------------------------------------------------------------------


def test_a_store_made_under_another_key_is_set_aside_whole(tmp_path):
    filled(tmp_path / "s", 3, "old-key-of-some-length")
    with EpisodeStore(tmp_path / "s", "new") as store:
        assert store.done == set() and store.set_aside.name == "s.was-old-key-"
        store.write(episode(7), 0.5)
        aside = store.set_aside
    assert [e.seed for e in read_episodes(aside, "make")] == [0, 1, 2]
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [7]


def test_what_was_set_aside_is_never_written_over(tmp_path):
    filled(tmp_path / "s", 1, "the same beginning, one")
    filled(tmp_path / "s", 2, "the same beginning, two")
    with pytest.raises(UserError, match="remove or rename") as caught:
        filled(tmp_path / "s", 3, "the same beginning, three")
    one_line(caught)
    assert len(read_episodes(tmp_path / "s.was-the same", "make")) == 1
    assert len(read_episodes(tmp_path / "s", "make")) == 2


def test_a_store_that_was_set_aside_comes_back_with_its_key_and_both_ways_are_told(
    tmp_path, capsys
):
    filled(tmp_path / "s", 3, "one")
    filled(tmp_path / "s", 1, "two")
    assert (
        capsys.readouterr().out == "s was made by other settings or code: it is kept as s.was-one\n"
    )
    with EpisodeStore(tmp_path / "s", "one") as store:
        assert len(store.done) == 3
    assert (
        len(read_episodes(tmp_path / "s.was-two", "make")) == 1
        and not (tmp_path / "s.was-one").exists()
    )
    assert "s.was-one was made as things are now: it is s again" in capsys.readouterr().out


def test_a_second_writer_is_kept_out_and_leaves_the_first_alone(tmp_path):
    with EpisodeStore(tmp_path / "s", "k") as store:
        store.write(episode(0), 0.5)
        for key in ("k", "another"):
            with pytest.raises(UserError, match="another run writes .*/s; wait for it") as caught:
                EpisodeStore(tmp_path / "s", key).__enter__()
            one_line(caught)
        store.write(episode(1), 0.5)
    filled(tmp_path / "s", 3, "k")
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [0, 1, 2]


def test_a_store_that_could_not_be_opened_is_nobodys(tmp_path):
    """The error stays alive, as it does in a notebook, and with it whatever its frames hold."""
    filled(tmp_path / "s", 2)
    log = tmp_path / "s" / "episodes.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("{}\n" + lines[1])
    with pytest.raises(UserError, match="may be taken out") as caught:
        EpisodeStore(tmp_path / "s", "k1").__enter__()
    log.write_text(lines[1])
    with EpisodeStore(tmp_path / "s", "k1") as store:
        assert store.done == {"e-001"} and caught


def test_a_folder_that_was_moved_before_it_was_locked_is_not_taken_for_the_store(
    tmp_path, monkeypatch
):
    """Another run sets it aside between the opening of `key` and the lock."""
    filled(tmp_path / "s", 1, "old")
    lock, moved = episodes._lock, []

    def late(mark, folder):
        if not moved:
            moved.append(folder.rename(tmp_path / "elsewhere"))
        lock(mark, folder)

    monkeypatch.setattr(episodes, "_lock", late)
    with EpisodeStore(tmp_path / "s", "old") as store:
        assert store.done == set()
        store.write(episode(5), 0.5)
    assert [e.seed for e in read_episodes(tmp_path / "elsewhere", "make")] == [0]
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [5]


def test_an_episode_that_is_there_twice_is_put_in_order_once(tmp_path):
    filled(tmp_path / "s", 2)
    log = tmp_path / "s" / "episodes.jsonl"
    log.write_bytes(log.read_bytes() * 2)
    with EpisodeStore(tmp_path / "s", "k1") as store:
        store.close_sorted()
    assert [e.seed for e in read_episodes(tmp_path / "s", "make")] == [0, 1]


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
    with open(tmp_path / "s" / "episodes.jsonl", "a") as file:
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
def test_a_damaged_timing_is_told_with_its_place(tmp_path, damage):
    filled(tmp_path / "s", 1)
    with open(tmp_path / "s" / "timings.jsonl", "a") as file:
        file.write(damage + "\n")
    with pytest.raises(UserError, match="line 2 of s/timings.jsonl is no timing") as caught:
        read_timings(tmp_path / "s")
    one_line(caught)


def test_a_store_without_timings_has_none(tmp_path):
    assert read_timings(tmp_path / "nowhere") == {}
