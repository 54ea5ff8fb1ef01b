"""What the explorer shows of a knapsack: sums worked by hand, and a picture of whatever an episode
holds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from knapsack_lib.families import family_named
from knapsack_lib.families.knapsack.view import WIDTH, picture, progress

SVG = "{http://www.w3.org/2000/svg}"
TASK = SimpleNamespace(public={"capacity": 20, "inspect_budget": 3})


def call(name, *args, result=None, error=None):
    return {"name": name, "args": list(args), "result": result, "error": error}


def inspected(item, value, weight, kind="A"):
    return call(
        "inspect", item, result=json.dumps({"class": kind, "value": value, "weight": weight})
    )


def drawn(svg: str) -> SimpleNamespace:
    """What can be seen of a picture: its texts, and the items of its bar by their titles."""
    tree = ElementTree.fromstring(svg)
    items = {
        group.find(f"{SVG}title").text: group.find(f"{SVG}rect").attrib
        for group in tree.iter(f"{SVG}g")
    }
    return SimpleNamespace(texts=[one.text or "" for one in tree.iter(f"{SVG}text")], items=items)


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refused",
    [
        call("take_item", "boku", error="PermissionError: class B"),
        call("inspect", "goma", error="RuntimeError: inspect budget"),
        call("take_item", error="TypeError: wants 1"),
        call("take_item"),
        call("list_items", result='["bafe"]'),
        call("finish"),
    ],
)
def test_what_was_refused_or_is_no_item_counts_for_nothing(refused):
    turns = [[inspected("bafe", 9, 4)], [refused], [call("take_item", "bafe"), refused]]
    found = [list(one.values()) for one in progress(turns, {"capacity": 20}, TASK)]
    assert found == [[0, 0, 20, 1, 2], [0, 0, 20, 1, 2], [9, 4, 16, 1, 2]]


def test_an_item_inspected_twice_counts_once():
    turns = [[inspected("bafe", 9, 4)] * 2, [inspected("bafe", 9, 4), inspected("boku", 7, 5)]]
    assert [one["inspected"] for one in progress(turns, {}, TASK)] == [1, 2]


@pytest.mark.parametrize(
    ("result", "task", "names"),
    [
        ({"capacity": 20}, None, ["capacity left", "inspected"]),
        ({"capacity": float("nan")}, None, ["inspected"]),  # the authors' files may not have it
        ({"capacity": "20"}, None, ["inspected"]),
        ({}, None, ["inspected"]),
        ({}, TASK, ["capacity left", "inspected", "inspections left"]),
    ],
)
def test_what_only_the_task_or_the_result_knows_is_left_out_without_it(result, task, names):
    for one in progress([[], [inspected("bafe", 9, 4)]], result, task):
        assert list(one) == ["value taken", "weight used", *names]


@pytest.mark.parametrize(
    "result",
    [
        None,
        "<b>",
        "[9, 4]",
        "9",
        "null",
        "NaN",
        {},
        "[" * 100_000,
        '{"value": "9", "weight": null}',
        '{"value": true, "weight": [4]}',
        '{"value": NaN, "weight": Infinity}',
        f'{{"value": 1{"0" * 400}, "weight": 1e999}}',
    ],
)
def test_an_answer_that_is_no_item_is_inspected_and_worth_nothing(result):
    calls = [call("inspect", "bafe", result=result), call("take_item", "bafe")]
    (found,) = progress([calls], {}, TASK)
    assert list(found.values()) == [0, 0, 20, 1, 2]
    assert "weight 0 of 20, value 0" in drawn(picture([calls], TASK)).texts[0]


def test_the_numbers_of_a_played_task_are_those_of_its_result():
    family = family_named("knapsack")
    task = family.make_task("pocket-easy", seed=1, split="easy", index=0)
    world, calls = family.world(task), []
    for item in task.reference["optimal_item_ids"]:
        for name in ("inspect", "take_item"):
            calls.append(call(name, item, result=world.tools[name](item)))
    result = world.result()
    (found,) = family.progress([calls], result, task)
    assert (found["value taken"], found["weight used"]) == (result["value"], result["weight_used"])
    heading = drawn(family.picture([calls], task)).texts[0]
    assert heading == (
        f"knapsack: weight {result['weight_used']} of {result['capacity']}, value {result['value']}"
    )


# Picture ------------------------------------------------------------------------------------------


def test_each_item_taken_is_as_long_as_its_weight_and_shows_what_is_known_of_it():
    turns = [
        [inspected("bafe", 9, 4), inspected("boku", 7, 5, "B")],
        [call("take_item", "boku"), call("take_item", "bafe"), inspected("goma", 1, 12)],
    ]
    found = drawn(picture(turns, TASK))
    assert list(found.items) == [
        "boku: class B, value 7, weight 5",
        "bafe: class A, value 9, weight 4",
    ]
    boku, bafe = found.items.values()
    assert float(boku["x"]) == 0 and float(boku["width"]) == WIDTH * 5 / 20
    assert float(bafe["x"]) == WIDTH * 5 / 20 and float(bafe["width"]) == WIDTH * 4 / 20
    assert found.texts == [
        "knapsack: weight 9 of 20, value 16",
        "boku",
        "value 7, weight 5",
        "bafe",
        "value 9, weight 4",
        "11 free",
        "inspected, not taken (value/weight): goma 1/12",
    ]


def test_a_short_item_has_a_short_label_and_one_too_short_has_none():
    items = [inspected("bafe", 9, 2), inspected("boku", 7, 0.2)]
    found = drawn(picture([[*items, call("take_item", "bafe"), call("take_item", "boku")]], TASK))
    assert found.texts[1:-1] == ["bafe", "9/2", "17.8 free"]


def test_an_empty_knapsack_is_all_free_and_a_full_one_has_no_room():
    assert drawn(picture([[]], TASK)).texts == ["knapsack: weight 0 of 20, value 0", "20 free", ""]
    full = [inspected("bafe", 9, 20), call("take_item", "bafe")]
    assert not any("free" in text for text in drawn(picture([full], TASK)).texts)


def test_without_a_task_the_bar_is_as_long_as_what_is_in_it_and_there_is_none_of_nothing():
    calls = [inspected("bafe", 9, 4), call("take_item", "bafe")]
    found = drawn(picture([calls], None))
    assert found.texts[0] == "knapsack: weight 4, value 9"
    assert float(found.items["bafe: class A, value 9, weight 4"]["width"]) == WIDTH
    assert picture([calls[:1]], None) == ""


@pytest.mark.parametrize("weight", [-5, 1e300, 25, 0])
def test_an_impossible_weight_stays_inside_the_picture(weight):
    calls = [inspected("bafe", 9, 4), inspected("boku", 1, weight)]
    calls += [call("take_item", "bafe"), call("take_item", "boku")]
    for one in drawn(picture([calls], TASK)).items.values():
        assert 0 <= float(one["x"]) <= WIDTH and 0 <= float(one["width"]) <= WIDTH


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "]]>&lt;",
    "\x1b[31m\0\u202e",
    "\ud800",
    "x" * 50_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_an_item_is_called_is_text_that_can_be_shown(text):
    answer = json.dumps({text: text, "value": 9, "weight": 20})
    left = call("inspect", f"{text}2", result=answer)
    calls = [call("inspect", text, result=answer), left, call("take_item", text)]
    svg = picture([calls], TASK)
    assert all(letter.isprintable() for letter in svg) and len(svg) < 2000
    found = drawn(svg)
    shown = text if text.isprintable() else ascii(text)
    assert [title.startswith(shown[:40]) for title in found.items] == [True]
    assert f"(value/weight): {shown[:6]}" in found.texts[-1]


def test_of_many_items_left_out_as_many_as_fit_are_named():
    calls = [inspected(f"item_{n:03d}", n, n) for n in range(100)]
    line = drawn(picture([calls], TASK)).texts[-1]
    assert "item_000 0/0, item_001 1/1" in line and line.endswith("…") and len(line) <= 115
