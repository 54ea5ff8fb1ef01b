"""What the explorer shows of a folder: files as the calls left them, curves worked by hand, and whatever an episode holds."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from knapsack_lib.families.files import FAMILY
from knapsack_lib.families.files.view import BOX, LETTERS, SHOWN

SVG = "{http://www.w3.org/2000/svg}"
TASK = replace(
    FAMILY.make_task("pocket-easy", seed=1, split="x", index=0),
    private={
        "files": {"orders.csv": "id,buyer\na,b\nc,d\ne,f\ng,h\n", "buyers.json": "{}\n"},
        "page": 3,
    },
    reference={"columns": ["city", "cost"], "rows": [["A", 1], ["B", 2]]},
)


def call(name, *args, result=None, error=None):
    return {"name": name, "args": list(args), "result": result, "error": error}


def drawn(svg):
    """What can be seen: the title and lines of each box, and its colours."""
    boxes = []
    for part in ElementTree.fromstring(svg):
        if part.tag == f"{SVG}rect":
            boxes.append(SimpleNamespace(fill=part.get("fill"), texts=[], x=float(part.get("x"))))
        else:
            boxes[-1].texts.append(part.text or "")
    return boxes


# Curves -------------------------------------------------------------------------------------------


def test_the_curves_count_files_and_right_rows_after_each_turn():
    turns = [
        [call("ls"), call("read", "orders.csv", 0, 1)],
        [call("read", "orders.csv", 1, 3), call("grep", "x", "buyers.json")],
        [call("write", "a.csv", "city,cost\nA,1\n"), call("sort", "orders.csv", "id", "s.csv")],
        [call("submit", "a.csv")],
        [call("write", "a.csv", "city,cost\nA,1\nB,2\n")],
        [call("submit", "a.csv"), call("finish")],
    ]
    found = [list(one.values()) for one in FAMILY.progress(turns, {}, TASK)]
    assert found == [[1, 0, 0], [2, 0, 0], [2, 2, 0], [2, 2, 1], [2, 2, 1], [2, 2, 2]]


def test_what_only_the_task_knows_is_left_out_without_it():
    turns = [[call("write", "a.csv", "x")], []]
    assert FAMILY.progress(turns, {}, None) == [{"files read": 0, "files written": 1}] * 2
    assert list(FAMILY.progress(turns, {}, TASK)[0]) == [
        "files read",
        "files written",
        "rows right",
    ]


@pytest.mark.parametrize(
    "refused",
    [
        call("write", "b.csv", "x", error="OSError: full"),
        call("write", "b.csv"),
        call("write", "../b.csv", "x"),
        call("write", {"a": 1}, ["x"]),
        call("sort", "orders.csv", "nothing", "b.csv"),
        call(["write"], "b.csv", "x"),
        call("delete", "orders.csv"),
        {**call("write"), "args": None},
    ],
)
def test_what_was_refused_or_is_no_call_counts_for_nothing(refused):
    turns = [[call("write", "a.csv", "x"), refused]]
    assert [list(one.values()) for one in FAMILY.progress(turns, {}, TASK)] == [[0, 1, 0]]
    assert FAMILY.picture(turns, TASK) == FAMILY.picture([turns[0][:1]], TASK)


# Picture ------------------------------------------------------------------------------------------


def test_each_file_is_a_box_with_its_size_and_first_lines():
    turns = [[call("write", "a.csv", "city,cost\nA,1\nC,9\n")], [call("submit", "a.csv")]]
    boxes = drawn(FAMILY.picture(turns, TASK))
    assert [box.texts for box in boxes] == [
        ["orders.csv: 5 lines, 25 bytes", "id,buyer", "a,b", "c,d", "…"],
        ["buyers.json: 1 line, 3 bytes", "{}"],
        ["a.csv: 3 lines, 18 bytes", "city,cost", "A,1", "C,9"],
        ["handed in: 1 of 2 rows right", "city,cost", "A,1", "C,9"],
    ]
    assert boxes[0].fill == boxes[1].fill and len({box.fill for box in boxes}) == 3
    assert [box.x for box in boxes] == [0, BOX + 8, 2 * (BOX + 8), 0]


def test_a_file_that_was_written_over_is_shown_as_written():
    boxes = drawn(FAMILY.picture([[call("write", "orders.csv", "new\n")]], TASK))
    assert boxes[0].texts == ["orders.csv: 1 line, 4 bytes", "new"]
    assert boxes[0].fill != boxes[1].fill


def test_what_was_handed_in_stays_when_its_file_changes():
    turns = [
        [call("write", "a.csv", "one"), call("submit", "a.csv"), call("write", "a.csv", "two")]
    ]
    assert [box.texts[1] for box in drawn(FAMILY.picture(turns, TASK))[2:]] == ["two", "one"]


def test_without_a_task_only_what_was_written_is_known_and_nothing_has_no_picture():
    turns = [[call("write", "a.csv", "x"), call("submit", "a.csv")]]
    boxes = drawn(FAMILY.picture(turns, None))
    assert [box.texts[0] for box in boxes] == ["a.csv: 1 line, 1 bytes", "handed in"]
    assert FAMILY.picture([[]], None) == ""


ODD_TASKS = [
    {},
    {"files": {}},
    {"files": None, "page": 3},
    {"files": [1, 2], "page": 3},
    {"files": {"a.csv": 3}, "page": 3},
    {"files": {"a.csv": None, "b": []}, "page": 3},
    {"files": {"a.csv": "x"}},
]


@pytest.mark.parametrize("private", ODD_TASKS, ids=str)
def test_a_task_that_is_none_of_this_family_is_an_empty_folder(private):
    task = replace(TASK, private=private)
    boxes = drawn(FAMILY.picture([[call("write", "c.csv", "x")]], task))
    assert [box.texts[0] for box in boxes] == ["c.csv: 1 line, 1 bytes"]
    assert FAMILY.progress([[]], {}, replace(TASK, reference={"rows": 3}))


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "]]>&lt;",
    "\x1b[31m\0\u202e",
    "\ud800",
    "x" * 50_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_file_holds_or_is_called_is_text_that_can_be_shown(text):
    files = {text: "x", "held.csv": f"{text}\n{text}"}
    task = replace(TASK, private={"files": files, "page": 3})
    svg = FAMILY.picture([[call("write", "own.csv", text), call("write", text, "x")]], task)
    assert all(letter.isprintable() for letter in svg) and len(svg) < 4000
    texts = [line for box in drawn(svg) for line in box.texts]
    assert all(len(line) <= LETTERS for line in texts)
    shown = text if text.isprintable() else ascii(text)
    assert sum(line.startswith(shown[:6]) for line in texts) >= 2


def test_of_many_files_as_many_as_fit_are_shown():
    files = {f"f{k}.csv": "x\n" * 500 for k in range(200)}
    svg = FAMILY.picture([[]], replace(TASK, private={"files": files, "page": 3}))
    assert len(drawn(svg)) == SHOWN and len(svg) < 20_000


def test_a_deep_list_among_the_arguments_is_no_call():
    deep = json.loads("[" * 900 + "]" * 900)
    assert FAMILY.progress([[call("cut", "orders.csv", deep, "o.csv")]], {}, TASK)
