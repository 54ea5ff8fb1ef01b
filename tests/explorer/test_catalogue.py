"""The index: every whole episode of every kind of source, found by value, range and text, read only
when opened."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.explorer import episodes_of
from knapsack_lib.explorer.catalogue import Catalogue, open_catalogue
from knapsack_lib.families import family_named
from knapsack_lib.profiles import load_profile

CELL = "runs/smoke/cells/persistent-reset-easy-train2"
KEY = "0123456789abcdef"
WORDS = 'He said "hi"\nGröße: C:\\new\ttab 日本 🎒 /a{1}(.*) </b>'


def labels(one: Episode) -> tuple:
    return one.train, one.runtime, one.difficulty, one.train_seed, one.task_id


# Sources ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "count", "run"),
    [
        (CELL, 3, "persistent-reset-easy-train2"),
        ("runs/smoke", 9, "smoke"),
        ("results/pocket-seeds", 9, "pocket-seeds"),
        ("smoke", 9, "smoke"),
        ("pocket-seeds", 9, "pocket-seeds"),  # nothing was run: the results that are kept
        (f"{CELL}/{KEY}", 3, KEY),
        (f"{CELL}/{KEY}/episodes.jsonl", 3, "episodes.jsonl"),
    ],
)
def test_a_source_gives_a_row_per_episode_and_each_row_opens_its_own(
    project: Path, source: str, count: int, run: str
):
    catalogue = open_catalogue(source)
    assert len(catalogue) == count and set(catalogue.frame.run) == {run}
    columns = ["train", "runtime", "difficulty", "train_seed", "task_id"]
    rows = list(catalogue.frame[columns].itertuples(index=False, name=None))
    assert (
        rows == [labels(catalogue.open(place)) for place in catalogue.frame.index]
        and len(set(rows)) == count
    )
    assert catalogue.frame.steps.tolist() == [
        len(catalogue.open(place).turns) for place in catalogue.frame.index
    ]


def test_an_opened_episode_is_the_one_that_was_written(tmp_path: Path, store, episode, turn):
    written = [
        episode(turn(WORDS, WORDS), task=f"knapsack-easy-{n:05d}", shown=WORDS * n)
        for n in (3, 1, 2)
    ]
    catalogue = open_catalogue(store(tmp_path / "cell", written))
    opened = {one.task_id: one for one in map(catalogue.open, catalogue.frame.index)}
    assert opened == {one.task_id: one for one in written}


@pytest.mark.parametrize("packed", [False, True], ids=["store", "results"])
def test_a_last_line_that_a_kill_cut_short_is_left_out(
    tmp_path: Path, store, episode, turn, packed: bool
):
    whole = [
        episode(turn(), task="knapsack-easy-00001"),
        episode(turn(), task="knapsack-easy-00002"),
    ]
    folder = store(tmp_path / "cell", whole, after=episode(turn()).to_line()[:-20])
    if packed:
        (folder / "cells.jsonl.gz").write_bytes(
            gzip.compress((folder / "episodes.jsonl").read_bytes())
        )
        (folder / "episodes.jsonl").unlink()
    assert open_catalogue(folder).frame.task_id.tolist() == [
        "knapsack-easy-00001",
        "knapsack-easy-00002",
    ]


def test_of_a_store_only_the_current_key_is_listed_and_nothing_of_one_without_a_whole_line(
    project: Path, store, episode, turn
):
    cells = project / "runs" / "smoke" / "cells"
    changed = cells / "base-persistent-easy-train0"
    store(changed, [episode(turn(), cell=("old", "reset", 1))], key="fedcba9876543210")
    (changed / "current").write_text(
        KEY + "\n", encoding="utf-8"
    )  # the settings are again as they were before
    store(cells / "base-reset-easy", [])
    store(
        cells / "reset-reset-easy", [], after='{"episode_id": "knap'
    )  # under way, in its first line
    assert open_catalogue("smoke").frame.groupby("train").size().to_dict() == {
        "base": 3,
        "persistent": 6,
    }
    old = open_catalogue(changed / "fedcba9876543210")  # unless it is what one asks for
    assert old.frame.train.tolist() == ["old"]


def test_several_sources_stand_in_one_index_each_under_its_name(project: Path):
    seen: list[tuple[int, int]] = []
    catalogue = open_catalogue(
        CELL, "pocket-seeds", progress=lambda done, total: seen.append((done, total))
    )
    assert catalogue.frame.groupby("run").size().to_dict() == {
        "persistent-reset-easy-train2": 3,
        "pocket-seeds": 9,
    }
    assert [labels(catalogue.open(place))[0] for place in (0, 3, 11)] == [
        "persistent",
        "base",
        "persistent",
    ]
    assert catalogue.frame.index.tolist() == list(range(12)) and seen == [(1, 2), (2, 2)]


def test_seconds_are_those_of_the_store_or_of_the_file_next_to_the_results(
    nine: Catalogue, committed: Catalogue
):
    assert (
        nine.find(train="base").seconds.tolist() == [1.5, 2.5, 3.5]
        and committed.frame.seconds.gt(0).all()
    )


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("nowhere", "make paper"),
        ("bare", "make paper"),
        ("pocket", "make paper PROFILE=pocket"),
        ("empty", "make paper"),
        ("empty/episodes.jsonl", "make paper"),
        ("begun", "make paper"),
        ("begun/episodes.jsonl", "make paper"),
    ],
)
def test_a_source_without_an_episode_is_one_line_that_names_the_command(
    project: Path, store, source, command
):
    (project / "bare").mkdir()
    store(project / "empty", [])
    store(project / "begun", [], after='{"episode_id": "knap')  # killed within its first line
    with pytest.raises(UserError) as error:
        open_catalogue(source)
    assert (
        "\n" not in str(error.value)
        and source in str(error.value)
        and str(error.value).endswith(command)
    )


def test_what_is_explored_is_the_source_given_else_the_run_else_the_committed_results(
    project: Path,
):
    smoke, pocket = load_profile("smoke").run(), load_profile("pocket").run()
    assert episodes_of(smoke, "elsewhere") == ["elsewhere"]
    assert episodes_of(smoke) == [str(smoke.root)] and episodes_of(pocket) == ["pocket-seeds"]


def test_episodes_that_only_their_text_tells_apart_are_each_opened(
    tmp_path: Path, store, episode, turn
):
    """Files from elsewhere may hold a task twice in the same cell."""
    twice = [episode(turn("first")), episode(turn("second"), turn())]
    catalogue = open_catalogue(store(tmp_path / "cell", twice))
    assert [catalogue.open(place) for place in (0, 1)] == twice
    assert catalogue.frame.steps.tolist() == [1, 2]


def test_a_line_that_is_no_episode_is_one_line_that_names_it(tmp_path: Path, store, episode, turn):
    folder = store(tmp_path / "cell", [episode(turn())], after='{"episode_id": 1}\n')
    with pytest.raises(
        UserError, match=r"^line 2 of \S*cell/episodes.jsonl is no episode"
    ) as error:
        open_catalogue(folder)
    assert "\n" not in str(error.value)


def test_a_column_of_a_family_is_there_to_be_found_by(nine: Catalogue):
    assert nine.find(items_taken=2).index.tolist() == [*range(9)]
    assert nine.find(capacity_utilisation=(0.5, 1)).empty


def test_a_catalogue_that_is_open_is_not_read_again(nine: Catalogue):
    assert open_catalogue(nine) is nine


# Find ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({}, range(9)),
        ({"train": "base"}, [0, 1, 2]),
        ({"train": "persistent", "train_seed": 2}, [6, 7, 8]),
        ({"train": None, "difficulty": "medium"}, [2, 5, 8]),
        ({"score": (0.25, 0.5)}, [3, 4, 6, 7]),  # both ends count
        ({"tokens": (30, 1000), "runtime": "reset"}, [4, 5, 7, 8]),
        ({"first_missing_turn": (1, 16)}, []),  # an episode without such an error has no such turn
        ({"run": "smoke", "steps": 3}, [2, 5, 8]),
        ({"text": "persistent2 saw"}, [6, 7, 8]),
        ({"text": "SAW 2", "train": "base"}, [2]),
        ({"text": "saw 2", "order": "tokens", "train": "nobody"}, []),
    ],
)
def test_rows_are_found_by_value_range_and_text_together(nine: Catalogue, wanted: dict, places):
    found = nine.find(**wanted)
    assert found.index.tolist() == list(places) and list(found.columns) == list(nine.frame.columns)


@pytest.fixture
def spoken(tmp_path: Path, store, episode, turn) -> Catalogue:
    """WORDS in an opening, in a reply and in an observation; then an episode without them."""
    spoken_in = [
        episode(turn(), shown=WORDS),
        episode(turn(reply=WORDS)),
        episode(turn("x", WORDS), turn()),
        episode(turn()),
    ]
    found = [
        Episode(**{**vars(one), "task_id": f"knapsack-easy-0000{n}"})
        for n, one in enumerate(spoken_in)
    ]
    return open_catalogue(store(tmp_path / "cell", found))


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        WORDS.upper().replace("SS", "ß"),
        '"hi"',
        'HI"\ngr',
        "Größe",
        "GRÖ",
        "C:\\new",
        "c:\\NEW",
        "\ttab",
        "日本",
        "🎒",
        "a{1}(.*)",
        "</b>",
    ],
)
def test_a_text_is_found_in_every_message_in_any_case_whatever_its_letters(
    spoken: Catalogue, text: str
):
    assert spoken.find(text).index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text", ["hi'", ".new", "\new", "nGr", "tttab", "u00f6", "completion_tokens", '","']
)
def test_what_stands_in_no_message_is_not_found_in_how_a_line_is_spelt(
    spoken: Catalogue, text: str
):
    assert spoken.find(text).empty


@pytest.mark.parametrize(
    "column", ["score", "task_id", "train_seed", "seconds", "first_missing_turn"]
)
def test_rows_come_in_the_order_of_a_column_up_or_down(nine: Catalogue, column: str):
    up, down = nine.find(order=column), nine.find(order=column, descending=True)
    assert up[column].is_monotonic_increasing or up[column].isna().all()
    assert up[column].dropna().tolist() == down[column].dropna().tolist()[::-1]
    assert sorted(up.index) == sorted(down.index) == list(range(9))


@pytest.mark.parametrize(
    "asked", [{"scroe": 1}, {"order": "scroe"}, {"train": "base", "scroe": (0, 1)}]
)
def test_an_unknown_column_is_one_line_with_the_columns_that_there_are(
    nine: Catalogue, asked: dict
):
    with pytest.raises(
        UserError, match=r"no column 'scroe'; choose one of: train, .*score.*seconds"
    ) as error:
        nine.find(**asked)
    assert "\n" not in str(error.value)


def test_the_other_episodes_of_a_task_are_those_of_the_same_run(project: Path):
    catalogue = open_catalogue("smoke", "pocket-seeds")
    assert catalogue.same_task(4).index.tolist() == [
        1,
        7,
    ]  # one store after the other: seed 1, then seed 2
    assert catalogue.same_task(16).index.tolist() == [
        11,
        17,
    ]  # one file of them all: easy, then medium


# Episodes and their tasks -------------------------------------------------------------------------


def test_opening_an_episode_reads_one_line_and_no_episode_was_kept(
    nine: Catalogue, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []
    real = Episode.from_line.__func__
    monkeypatch.setattr(
        Episode, "from_line", classmethod(lambda cls, line: read.append(line) or real(cls, line))
    )
    nine.find(train="base", order="tokens"), nine.same_task(4), nine.task(4)
    assert read == []
    assert nine.open(4) == nine.open(4) and len(read) == 2 and nine.open(4).to_line() == read[0]


@pytest.mark.parametrize(
    ("place", "size"), [(0, "pocket-easy"), (1, "pocket-easy"), (2, "pocket-medium")]
)
def test_a_task_is_drawn_again_as_the_record_next_to_the_store_says(
    project: Path, place: int, size: str
):
    split, index = size.removeprefix("pocket-"), int(place == 1)
    expected = family_named("knapsack").make_task(size, seed=1, split=split, index=index)
    assert open_catalogue(CELL).task(place) == expected == open_catalogue("smoke").task(place)


def test_every_committed_task_is_the_one_that_was_played(committed: Catalogue):
    for place in committed.frame.drop_duplicates("task_id").index[::4]:
        task, result = committed.task(place), committed.open(place).result
        assert task is not None and task.reference["optimal_value"] == result["optimal_value"]
        assert task.public["capacity"] == result["capacity"]


@pytest.mark.parametrize("record", [None, "no JSON", "{}", '{"profile": "gone", "seed": 1}'])
def test_a_task_of_an_unknown_source_is_none(project: Path, record: str | None):
    file = project / CELL / KEY / "provenance.json"
    file.unlink() if record is None else file.write_text(record, encoding="utf-8")
    assert open_catalogue(CELL).task(0) is None


def test_a_task_id_that_names_no_split_is_no_task(project: Path, store, episode, turn):
    odd = [
        episode(turn(), task=name)
        for name in ("knapsack-hard-1", "made-up-x", "other-easy-0", f"knapsack-easy-{'9' * 5000}")
    ]
    catalogue = open_catalogue(store(project / "odd", odd))
    assert [catalogue.task(place) for place in range(4)] == [None] * 4
