"""Episodes: every line reads back as it was written, and a file of them reads as a list does, with
the memory of one."""

import gzip
import hashlib
from dataclasses import replace

import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from made import TURN, episode

from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.store import EpisodeStore, read_episodes

ANY_TEXT = st.text(
    st.characters(), max_size=20
)  # lone surrogates and every line separator among them


@given(
    text=ANY_TEXT,
    value=st.floats(allow_nan=False),
    number=st.integers(),
    names=st.lists(ANY_TEXT, max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_an_episode_survives_the_way_through_its_line(text, value, number, names):
    turn = replace(TURN, reply=text, stdout=text, error=text, bindings=names, prompt_tokens=number)
    whole = episode(1, turns=[turn], result={"score": value})
    line = whole.to_line()
    assert "\n" not in line and Episode.from_line(line) == whole


def test_equal_episodes_are_equal_lines_whatever_the_order_of_keys():
    assert (
        episode(1, result={"a": 1, "b": 2}).to_line()
        == episode(1, result={"b": 2, "a": 1}).to_line()
    )


def test_messages_are_the_conversation_as_it_was_served():
    roles = [m["role"] for m in episode(1).messages()]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert episode(1).messages()[2:4] == [
        {"role": "assistant", "content": TURN.reply},
        {"role": "user", "content": "1"},
    ]


@pytest.fixture
def five(tmp_path):
    with EpisodeStore(tmp_path / "s", "k1") as store:
        for number in (3, 0, 4, 1, 2):
            store.write(episode(number), 1.0)
    return tmp_path / "s"


def test_a_file_of_episodes_reads_as_a_list_does(five):
    found, same = read_episodes(five, "make"), [episode(n) for n in (3, 0, 4, 1, 2)]
    assert len(found) == 5 and found == same and same == found and list(found) == list(found)
    for place in (0, 2, -1, slice(1, 4), slice(None, None, -2), slice(7, 9)):
        assert found[place] == same[place]
    with pytest.raises(IndexError):
        found[5]
    assert (
        found != same[:4]
        and found != "five"
        and list(found.by_id()) == [episode(n) for n in range(5)]
    )


def test_packed_episodes_read_as_plain_ones(five, tmp_path):
    plain = read_episodes(five, "make")
    (tmp_path / "p.jsonl.gz").write_bytes(
        gzip.compress((five / "k1" / "episodes.jsonl").read_bytes())
    )
    packed = EpisodeFile(tmp_path / "p.jsonl.gz")
    assert packed == plain and packed.digest == plain.digest
    assert (
        packed.digest == hashlib.sha256((five / "k1" / "episodes.jsonl").read_bytes()).hexdigest()
    )


def test_episodes_written_meanwhile_do_not_change_what_was_opened(five):
    found = read_episodes(five, "make")
    with EpisodeStore(five, "k1") as store:
        store.write(episode(9), 1.0)
    assert len(list(found)) == len(found) == 5 and len(read_episodes(five, "make")) == 6


def test_a_file_that_shrinks_while_it_is_read_is_one_line(five):
    found = read_episodes(five, "make")
    path = five / "k1" / "episodes.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match=r"episodes.jsonl lost lines") as caught:
        list(found)
    one_line(caught)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"episode_id": "e-001"}'])
def test_a_damaged_line_is_one_line_with_its_place_and_the_fix(five, damage):
    path = five / "k1" / "episodes.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], damage, *lines[3:]]) + "\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"^line 3 of s/k1/episodes.jsonl is no episode .* may be taken out"
    ) as caught:
        list(read_episodes(five, "make"))
    one_line(caught)
    if "episode_id" not in damage:  # opening looks for the ids alone
        with (
            pytest.raises(UserError, match=r"^line 3 of s/k1/episodes.jsonl"),
            EpisodeStore(five, "k1"),
        ):
            pass
    assert path.read_text(encoding="utf-8").splitlines()[2] == damage  # nothing was thrown away
