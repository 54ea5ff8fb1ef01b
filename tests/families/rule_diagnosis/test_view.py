"""What the explorer shows of a diagnosis: counts worked by hand, and a table of whatever an episode holds."""

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from knapsack_lib.families.rule_diagnosis import FAMILY
from knapsack_lib.families.rule_diagnosis.view import picture, progress

SVG = "{http://www.w3.org/2000/svg}"
RULE = {"a": 3, "b": 2, "m": 7}
PUBLIC = {"kind": "affine_mod", "budget": 4, "input_range": [0, 9]}


def task(private=None, **public):
    return SimpleNamespace(
        public={**PUBLIC, **public}, private={"rule": RULE} if private is None else private
    )


def call(name, *args, result=None, error=None):
    return {"name": name, "args": list(args), "result": result, "error": error}


def answered(x, answer):
    return call("test_input", x, result=answer)


def texts(svg):
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg):
    return [one.get("stroke-dasharray") for one in ElementTree.fromstring(svg).iter(f"{SVG}rect")]


# Numbers ------------------------------------------------------------------------------------------


def test_tests_and_submissions_are_counted_and_refused_ones_are_not():
    turns = [
        [answered(0, 2), call("test_input", 99, error="ValueError: give")],
        [call("submit", "{}", error="ValueError: missing"), call("test_input"), call("finish")],
        [answered(1, 5), call("submit", '{"a": 1}')],
    ]
    found = progress(turns, {}, task())
    assert [list(one.values()) for one in found] == [[1, 3, 0], [1, 3, 0], [2, 2, 1]]
    assert list(found[0]) == ["tests", "tests left", "submissions"]


@pytest.mark.parametrize(
    ("result", "one", "left"),
    [
        ({"budget": 9}, None, [8]),
        ({}, None, []),
        ({"budget": float("nan")}, None, []),
        ({"budget": "9"}, None, []),
        ({"budget": 9}, task(budget="many"), []),
        ({}, task(budget=1), [0]),
    ],
)
def test_what_is_left_is_there_where_the_budget_is_known(result, one, left):
    (found,) = progress([[answered(0, 2)]], result, one)
    assert [found[name] for name in found if name == "tests left"] == left


def test_the_numbers_of_a_played_task_are_those_of_its_result():
    played = FAMILY.make_task("pocket-easy", seed=1, split="easy", index=0)
    world = FAMILY.world(played)
    calls = [answered(x, world.test_input(x)) for x in played.reference["inputs"]]
    (found,) = FAMILY.progress([calls], world.result(), played)
    assert found["tests"] == world.result()["tests"]
    assert found["tests left"] == world.budget - world.tests


# Picture ------------------------------------------------------------------------------------------


def test_the_table_has_each_test_in_order_and_an_empty_cell_for_each_that_is_left():
    svg = picture([[answered(0, 2)], [answered(5, 3), call("test_input", 12, error="no")]], task())
    assert texts(svg) == [
        "rule: (a*x + b) % m; tests 2, 2 of 4 left",
        "x",
        "f(x)",
        "0",
        "2",
        "5",
        "3",
        "nothing submitted",
    ]
    assert boxes(svg) == [None] * 4 + ["3 3"] * 2


@pytest.mark.parametrize(
    ("text", "one", "verdict"),
    [
        ('{"a": 3, "b": 2, "m": 7}', task(), " - right"),
        ('{"a": 10, "b": 2, "m": 7}', task(), " - right"),
        ('{"a": 3, "b": 2, "m": 8}', task(), " - wrong"),
        ("nonsense", task(), " - wrong"),
        ('{"a": 3, "b": 2, "m": 7}', None, ""),
        ('{"a": 3, "b": 2, "m": 7}', task(kind="cubic"), ""),
        ('{"a": 3, "b": 2, "m": 7}', task(kind=["x"]), ""),
        ('{"a": 3, "b": 2, "m": 7}', task({}), ""),
        ('{"a": 3, "b": 2, "m": 7}', task({"rule": {"a": 3, "b": 2}}), ""),
        ('{"a": 3, "b": 2, "m": 7}', task({"rule": {"a": 3, "b": 2, "m": 0}}), ""),
        ('{"a": 3, "b": 2, "m": 7}', task({"rule": "a"}), ""),
        ('{"a": 3, "b": 2, "m": 7}', task(input_range=[0]), ""),
        ('{"a": 3, "b": 2, "m": 7}', task(input_range="09"), ""),
        ('{"a": 3, "b": 2, "m": 7}', task(input_range=[0, 10**12]), ""),
    ],
)
def test_the_last_submission_is_right_or_wrong_where_the_task_tells(text, one, verdict):
    earlier = call("submit", '{"a": 1, "b": 1, "m": 2}')
    svg = picture([[earlier, call("submit", text)]], one)
    assert texts(svg)[-1] == f"submission 2: {text}{verdict}"


def test_without_a_task_the_table_is_of_the_tests_alone_and_there_is_none_of_nothing():
    assert texts(picture([[answered(0, 2)]], None))[0] == "rule; tests 1"
    assert boxes(picture([[answered(0, 2)]], None)) == [None] * 2
    assert picture([[call("finish")]], None) == ""


def test_a_long_table_goes_on_below_and_ends_somewhere():
    svg = picture([[answered(x, x) for x in range(40)]], task(budget=10**5))
    assert texts(svg).count("f(x)") == 4 and len(boxes(svg)) == 2 * 40 + 20
    assert "(the first 60 are shown)" in texts(svg)[0] and len(svg) < 20_000
    top, low = ElementTree.fromstring(svg).get("viewBox").split()[1::2]
    placed = [float(one.get("y")) for one in ElementTree.fromstring(svg).iter() if one.get("y")]
    assert float(top) <= min(placed) and max(placed) <= float(low)


@pytest.mark.parametrize("budget", [-1, 0, None, True, "4", 10**9, 2.5, []])
def test_an_odd_budget_is_no_budget(budget):
    assert texts(picture([[answered(0, 2)]], task(budget=budget)))[0].endswith("tests 1")


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "]]>&lt;",
    "\x1b[31m\0\u202e",
    "\ud800",
    "x" * 50_000,
    {"a": ["<b>"]},
    None,
    1e999,
    10**4000,
]


@pytest.mark.parametrize("odd", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_was_tested_or_submitted_is_text_that_can_be_shown(odd):
    calls = [call("test_input", odd, result=odd), call("submit", odd)]
    for one in (task(), None):
        svg = picture([calls], one)
        assert all(letter.isprintable() for letter in svg) and len(svg) < 4000
        assert "<script" not in svg and "<img" not in svg
        assert texts(svg)[-1].startswith("submission 1: ")


# Files --------------------------------------------------------------------------------------------


def test_the_metrics_that_are_written_are_read_again():
    world = FAMILY.world(FAMILY.make_task("pocket-easy", seed=1, split="easy", index=0))
    world.test_input(0)
    result = world.result()
    again = FAMILY.from_published(FAMILY.to_published(result))
    assert again == {k: v for k, v in result.items() if k not in ("score", "solved")}


@pytest.mark.parametrize("metrics", [{}, {"tests": float("nan")}, {"tests": -1, "other": 3.0}])
def test_metrics_that_nobody_wrote_are_zero(metrics):
    result = {**FAMILY.from_published(metrics), "score": 0.0, "solved": False}
    assert [one.of(result) for one in FAMILY.metrics.values()] == [0, 0, 0]
    assert not FAMILY.attempted(result) and not FAMILY.explored(result)
