"""The explorer without a browser: what its boxes, clicks and keys do to what is shown."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.explorer import explore
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.widget import PAGE, WELL, Explorer
from knapsack_lib.interpreter import persistence_named

pytestmark = pytest.mark.usefixtures("no_session")


@pytest.fixture
def explorer(committed, study) -> Explorer:
    return Explorer(committed, study)


@pytest.fixture
def small(nine) -> Explorer:
    """Over the nine made-up episodes, with nothing to play them again."""
    return Explorer(nine)


@pytest.fixture
def places(parse):
    """The places of the rows that a table shows."""
    return lambda explorer: [
        int(row["data-place"]) for row in parse(explorer.table.html).all("tr")[1:]
    ]


def send(explorer: Explorer, content: object) -> None:
    """A message as it comes from the page."""
    for callback in explorer.table._msg_callbacks.callbacks:
        callback(explorer.table, content, [])


def state(explorer: Explorer) -> tuple:
    shown = (explorer.table.html, explorer.reader.html, explorer.count.value, explorer.result.value)
    return (
        *shown,
        explorer.place,
        explorer.turn,
        explorer.page,
        explorer.order,
        explorer.descending,
    )


# Find ---------------------------------------------------------------------------------------------


def test_at_first_a_page_of_all_episodes_is_shown_and_none_is_open(explorer, committed, places):
    assert places(explorer) == list(range(PAGE)) and explorer.place == -1
    assert (
        explorer.count.value
        == f"1–{PAGE} of {len(committed):,} episodes ({len(committed):,} in all)"
    )
    assert "click a row" in explorer.reader.html and explorer.again.disabled
    assert all(box.value == "any" and box.options[0] == "any" for box in explorer.choices.values())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"train": "base"}, [0, 1, 2]),
        ({"runtime": "reset", "difficulty": "medium"}, [5, 8]),
        ({"failure": WELL}, [*range(9)]),
        ({"finish_reason": "finish"}, [*range(9)]),
    ],
)
def test_a_choice_narrows_the_rows_and_the_table(small, places, chosen, expected):
    for name, value in chosen.items():
        small.choices[name].value = value
    assert places(small) == expected == small.rows.index.tolist()
    assert small.count.value == f"1–{len(expected)} of {len(expected)} episodes (9 in all)"
    for name in chosen:
        small.choices[name].value = "any"
    assert places(small) == [*range(9)]


def test_ranges_and_words_narrow_the_rows_too_down_to_none(small, places):
    small.score.value = (0.2, 0.6)
    assert places(small) == [3, 4, 6, 7]
    small.tokens.value = (30, 45)
    assert places(small) == [4, 7]
    small.phrase.value = "PERSISTENT2 saw"
    assert places(small) == [7]
    small.phrase.value = "said by nobody"
    assert places(small) == [] and small.count.value == "0–0 of 0 episodes (9 in all)"
    small.choices["train"].value = "base"  # no row is left whose text could be looked at
    small.phrase.value = "nor by anybody"
    send(small, {"order": "tokens"})
    small.press("ArrowDown")
    assert places(small) == [] and small.place == -1
    small.choices["train"].value, small.phrase.value, small.score.value, small.tokens.value = (
        "any",
        "",
        (0, 1),
        (0, 45),
    )
    assert sorted(places(small)) == [*range(9)]


def test_pages_end_at_the_first_and_the_last_and_a_choice_starts_at_its_first(explorer, places):
    send(explorer, {"key": "PageUp"})
    assert explorer.page == 0
    send(explorer, {"key": "PageDown"})
    assert explorer.page == 1 and places(explorer) == [*range(PAGE, 2 * PAGE)]
    explorer.choices["train"].value = "base"
    explorer.choices["difficulty"].value = "medium"
    assert explorer.page == 0 and places(explorer) == explorer.rows.index[:PAGE].tolist()
    last = (len(explorer.rows) - 1) // PAGE
    for _ in range(last + 3):
        send(explorer, {"key": "PageDown"})
    assert explorer.page == last and explorer.rows.index[-1] in places(explorer)
    assert explorer.count.value.startswith(f"{last * PAGE + 1}–{len(explorer.rows)} of ")


@pytest.mark.parametrize("column", ["tokens", "score", "task_id"])
def test_a_click_on_a_heading_sorts_and_another_turns_the_order_round(explorer, places, column):
    values = explorer.catalogue.frame[column]
    send(explorer, {"order": column})
    assert (
        values.loc[places(explorer)].tolist() == sorted(values)[:PAGE]
        and "▴" in explorer.table.html
    )
    send(explorer, {"order": column})
    assert (
        values.loc[places(explorer)].tolist() == sorted(values)[: -PAGE - 1 : -1]
        and "▾" in explorer.table.html
    )
    send(explorer, {"order": "steps"})
    assert not explorer.descending and explorer.order == "steps"


# Read ---------------------------------------------------------------------------------------------


def test_a_click_opens_the_episode_of_that_row(explorer, parse):
    send(explorer, {"place": "3"})
    assert explorer.place == 3 and parse(explorer.reader.html).text.count("turn 1") == 1
    assert explorer.catalogue.frame.task_id[3] in explorer.reader.html
    chosen = [
        one["data-place"]
        for one in parse(explorer.table.html).all("tr")
        if one.get("class") == "chosen"
    ]
    assert chosen == ["3"] and not explorer.again.disabled


def test_keys_step_through_the_turns_and_stop_at_both_ends(small, parse):
    send(small, {"place": 8})
    keys = "ArrowRight ArrowLeft ArrowLeft ArrowRight End ArrowRight ArrowRight ArrowLeft Home ArrowLeft End Home"
    for key, turn in zip(keys.split(), [2, 1, 1, 2, 3, 3, 3, 2, 1, 1, 3, 1], strict=True):
        send(small, {"key": key})
        assert small.turn == turn and f"x = {turn - 1}" in parse(small.reader.html).text


def test_keys_walk_through_the_rows_across_pages_in_their_order(explorer, places):
    send(explorer, {"order": "tokens"})
    order = explorer.rows.index.tolist()
    for place in order[: PAGE + 2]:
        send(explorer, {"key": "ArrowDown"})
        assert explorer.place == place and place in places(explorer)
    assert explorer.page == 1
    for place in [*order[PAGE::-1], order[0]]:  # and stays at the first
        send(explorer, {"key": "ArrowUp"})
        assert explorer.place == place
    assert explorer.page == 0
    for message in ({"place": order[-1]}, {"key": "ArrowDown"}):
        send(explorer, message)
    assert explorer.place == order[-1] and explorer.page == (len(order) - 1) // PAGE


def test_another_episode_of_the_task_is_compared_with_and_stays_while_the_turns_move(small, parse):
    send(small, {"place": 2})
    assert small.other.options[1:] == (
        ("persistent → reset, train seed 1", 5),
        ("persistent → reset, train seed 2", 8),
    )
    small.other.value = 8
    send(small, {"key": "ArrowRight"})
    shown = parse(small.reader.html)
    assert (
        len(shown.all("h1")) == 2
        and shown.text.count("turn 2") == 2
        and "base0 saw 1" in shown.text
    )
    small.whole.value = True
    assert parse(small.reader.html).text.count("turn 3") == 2
    send(small, {"place": 1})  # another task: nothing to compare with
    assert small.other.value == -1 and len(parse(small.reader.html).all("h1")) == 1
    assert parse(small.reader.html).text.count("turn ") == 2


def test_an_episode_without_a_turn_is_shown_too(tmp_path: Path, store, episode, turn, parse):
    both = [episode(shown="Fill it."), episode(turn(), task="knapsack-easy-00001")]
    explorer = Explorer(open_catalogue(store(tmp_path / "cell", both)))
    send(explorer, {"place": 0})
    send(explorer, {"key": "ArrowRight"})
    explorer.whole.value = True
    assert "0 turns" in parse(explorer.reader.html).text and "Fill it." in explorer.reader.html


NONSENSE = [
    None,
    3,
    "ArrowRight",
    [],
    [{"place": 1}],
    {},
    {"place": None},
    {"place": ""},
    {"place": "x"},
    {"place": -1},
    {"place": "-1"},
    {"place": 9},
    {"place": "99999999"},
    {"place": "²"},
    {"place": "9" * 5000},
    {"place": 1.5},
    {"place": [1]},
    {"place": {"place": 1}},
    {"place": True},
    {"order": "scroe"},
    {"order": ""},
    {"order": None},
    {"order": 3},
    {"order": ["tokens"]},
    {"order": {}},
    {"key": "x"},
    {"key": None},
    {"key": 1},
    {"key": ["Home"]},
    {"key": {}},
    {"key": "<script>"},
    {"turn": 2},
    {"place": "99", "order": ["tokens"], "key": ["End"]},
]


@pytest.mark.parametrize("content", NONSENSE, ids=lambda content: repr(content)[:30])
def test_a_message_that_is_nonsense_changes_nothing_and_raises_nothing(small, content):
    for message in ({"order": "tokens"}, {"place": 5}, {"key": "ArrowRight"}):
        send(small, message)
    before = state(small)
    send(small, content)
    assert state(small) == before


# Do -----------------------------------------------------------------------------------------------


def test_playing_again_stands_at_the_turn_that_is_shown(explorer, no_session):
    rows = explorer.catalogue.find(train="persistent", runtime="persistent", solved=True, errors=0)
    send(explorer, {"place": int(rows.index[0])})
    send(explorer, {"key": "ArrowRight"})
    alive = len(psutil.Process().children())
    explorer.again.click()
    first = explorer.session
    assert (
        len(first.turns) == 2 and all(one.same for one in first.turns) and no_session.last is first
    )
    assert (
        "explorer.session.run(...)" in explorer.result.value and "turn 2" in explorer.result.value
    )
    explorer.runtime.value = "reset"
    explorer.again.click()
    assert explorer.session is not first and explorer.session.runtime == "reset"
    assert "NameError" in explorer.result.value and "not as in the episode" in explorer.result.value
    assert len(psutil.Process().children()) == alive + 1  # the first one was closed


def test_every_mode_that_is_offered_can_be_played(explorer):
    assert [persistence_named(mode).name for mode in explorer.runtime.options] == list(
        explorer.runtime.options
    )


def test_without_a_profile_or_a_task_nothing_can_be_played_again(
    small, committed, study, tmp_path, store, episode, turn
):
    send(small, {"place": 4})
    assert small.again.disabled
    odd = store(tmp_path / "odd", [episode(turn(), task="made-up-x")])
    unknown = Explorer(open_catalogue(odd), study)
    send(unknown, {"place": 0})
    assert unknown.again.disabled
    for one in (small, unknown, Explorer(committed, study)):
        one.rerun()
        assert one.session is None and "no task to play again" in one.result.value


def test_explore_knows_the_limits_of_a_profile_and_is_static_where_nobody_can_click(
    project, monkeypatch, parse
):
    assert explore("smoke").profile.name == "smoke" and explore("runs/smoke").profile is None
    assert (
        explore("runs/smoke", "pocket-seeds", profile="pocket-seeds").profile.name == "pocket-seeds"
    )
    opened = open_catalogue("runs/smoke")
    assert explore(opened, profile="smoke").catalogue is opened and explore(opened).profile is None
    with pytest.raises(UserError, match="profile 'gone' has no file"):
        explore("smoke", profile="gone")
    monkeypatch.setenv("KNAPSACK_PROGRESS", "1")
    assert "tokens" in parse(explore("smoke").data).text
