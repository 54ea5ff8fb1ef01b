"""Episodes read from a file as they are asked for: what a list would say, with the memory of one."""

import gzip
import hashlib
import tracemalloc
from dataclasses import replace

import pytest
from made import TURN, episode

from knapsack_lib.episodes import EpisodeFile, EpisodeStore, read_episodes
from knapsack_lib.errors import UserError


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
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress((five / "episodes.jsonl").read_bytes()))
    packed = EpisodeFile(tmp_path / "p.jsonl.gz")
    assert packed == plain and packed.digest == plain.digest
    assert packed.digest == hashlib.sha256((five / "episodes.jsonl").read_bytes()).hexdigest()


def test_episodes_written_meanwhile_do_not_change_what_was_opened(five):
    found = read_episodes(five, "make")
    with EpisodeStore(five, "k1") as store:
        store.write(episode(9), 1.0)
    assert len(list(found)) == len(found) == 5 and len(read_episodes(five, "make")) == 6


def test_a_file_that_shrinks_while_it_is_read_is_told(five):
    found = read_episodes(five, "make")
    lines = (five / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (five / "episodes.jsonl").write_bytes(b"".join(lines[:2]))
    with pytest.raises(UserError, match=r"episodes.jsonl lost lines") as caught:
        list(found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"episode_id": "e-001"}'])
def test_a_damaged_line_is_told_with_its_place_and_mend(five, damage):
    lines = (five / "episodes.jsonl").read_text().splitlines()
    (five / "episodes.jsonl").write_text("\n".join([*lines[:2], damage, *lines[3:]]) + "\n")
    with pytest.raises(
        UserError, match=r"^line 3 of s/episodes.jsonl is no episode .* may be taken out"
    ) as caught:
        list(read_episodes(five, "make"))
    assert "\n" not in str(caught.value)
    if "episode_id" not in damage:  # opening looks for the ids alone
        with (
            pytest.raises(UserError, match=r"^line 3 of s/episodes.jsonl"),
            EpisodeStore(five, "k1"),
        ):
            pass
    assert (five / "episodes.jsonl").read_text().splitlines()[
        2
    ] == damage  # nothing was thrown away


def test_a_cut_line_longer_than_a_block_is_dropped(five):
    whole = (five / "episodes.jsonl").read_bytes()
    (five / "episodes.jsonl").write_bytes(whole + b'{"a": "' + b"x" * 200_000)
    with EpisodeStore(five, "k1") as store:
        assert len(store.done) == 5
    assert (five / "episodes.jsonl").read_bytes() == whole
    (five / "episodes.jsonl").write_bytes(b"y" * 200_000)
    with EpisodeStore(five, "k1") as store:
        assert not store.done


def test_a_store_is_opened_ordered_and_read_an_episode_at_a_time(tmp_path):
    long = [replace(TURN, observation="x" * 50_000)]
    with EpisodeStore(tmp_path / "s", "k1") as store:
        for number in range(200):
            store.write(episode(number, turns=long), 1.0)
    assert (tmp_path / "s" / "episodes.jsonl").stat().st_size > 10_000_000
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
