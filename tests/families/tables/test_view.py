"""What the explorer shows of a database: numbers counted by hand, and a picture of whatever an episode holds."""

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from families.tables.drawn import FAMILY, by_hand
from knapsack_lib.explorer.markup import drawing
from knapsack_lib.families.base import ToolError
from knapsack_lib.families.tables.view import QUERIES, TABLES, WIDTH, picture, progress

SVG = "{http://www.w3.org/2000/svg}"


def call(name, *args, result=None, error=None):
    return {"name": name, "args": list(args), "result": result, "error": error}


LISTED = call("tables", result='["item","sale"]')
SALE = call("schema", "sale", result='{"id":"integer","item":"integer -> item.id","kind":"text"}')
TWO = call("query", "select kind from sale", result='{"columns":["kind"],"rows":[["a"],["b"]]}')
WRONG = call("query", "select town from sale", error="ValueError: no such column: town")


def drawn(svg):
    """The texts of a picture and its places, once the explorer takes it."""
    assert drawing(svg).startswith("<svg")
    tree = ElementTree.fromstring(svg)
    height = int(tree.get("height"))
    for one in tree.iter():
        if one.tag != SVG + "svg" and one.get("x"):
            assert 0 <= int(one.get("x")) <= WIDTH and 0 <= int(one.get("y")) <= height
    return SimpleNamespace(
        texts=[one.text or "" for one in tree.iter(SVG + "text")],
        colours={one.text: one.get("fill") for one in tree.iter(SVG + "text")},
    )


# Numbers ------------------------------------------------------------------------------------------


def test_what_the_calls_brought_is_counted_turn_by_turn():
    found = progress([[LISTED, SALE], [TWO, WRONG], [SALE, TWO]], {"query_budget": 6})
    assert [list(one.values()) for one in found] == [[1, 0, 0, 6], [1, 2, 2, 4], [1, 3, 4, 3]]
    assert list(found[0]) == ["tables looked at", "queries", "rows read", "queries left"]


@pytest.mark.parametrize("result", [{}, {"query_budget": None}, {"query_budget": "6"}])
def test_without_a_budget_nothing_is_said_to_be_left(result):
    (found,) = progress([[LISTED, TWO]], result)
    assert found == {"tables looked at": 0, "queries": 1, "rows read": 2}


@pytest.mark.parametrize(
    "odd",
    [
        call("query", "select 1", error="RuntimeError: the 6 queries are used up"),
        call("query", 5, error="ValueError: a query is a text of SQL"),
        call("schema", "nosuch", error="ValueError: no table 'nosuch'"),
        call("schema", "sale", result="[1]"),
        call("schema", "sale", result="{"),
        call("schema"),
        call("tables", result='{"a": 1}'),
        call("tables", result="[" * 100_000),
        call("answer", 5),
        call("finish"),
    ],
)
def test_what_was_not_asked_or_is_no_answer_counts_for_nothing(odd):
    found = progress([[LISTED, TWO], [odd]], {})
    assert found[0] == found[1]
    assert picture([[LISTED, TWO, odd]]) == picture([[LISTED, TWO]])


@pytest.mark.parametrize("result", [None, "", "3", "[]", '{"rows": 5}', "NaN", 7, {"rows": [1]}])
def test_an_answer_without_rows_is_a_query_without_rows(result):
    (found,) = progress([[call("query", "select 1", result=result)]], {})
    assert (found["queries"], found["rows read"]) == (1, 0)


def test_the_numbers_of_a_played_task_are_those_of_its_result():
    world, calls = FAMILY.world(by_hand()), []
    for name, args in (
        ("tables", []),
        ("schema", ["sale"]),
        ("query", ["select town from sale"]),
        ("query", ["select paid from sale"]),
        ("answer", [3]),
    ):
        try:
            calls.append(call(name, *args, result=world.tools[name](*args)))
        except ToolError as refusal:
            calls.append(call(name, *args, error=f"{refusal.kind}: {refusal}"))
    result = world.result()
    (found,) = FAMILY.progress([calls], result, None)
    assert found == {
        "tables looked at": result["tables_seen"],
        "queries": result["queries"],
        "rows read": result["rows_read"],
        "queries left": 1,
    }
    assert drawn(FAMILY.picture([calls], None)).texts[0] == (
        "tables looked at: 1 of 3, queries: 2, rows read: 3"
    )


# Picture ------------------------------------------------------------------------------------------


def test_tables_are_boxes_with_the_columns_that_are_known_and_queries_stand_below():
    found = drawn(picture([[LISTED, SALE], [TWO, WRONG]]))
    assert found.texts == [
        "tables looked at: 1 of 2, queries: 2, rows read: 2",
        "item",
        "sale",
        "id: integer",
        "item: item.id",
        "kind: text",
        "2 rows",
        "select kind from sale",
        "refused",
        "select town from sale",
    ]
    assert found.colours["refused"] == found.colours["select town from sale"]
    assert found.colours["refused"] != found.colours["2 rows"]


def test_there_is_no_picture_of_nothing():
    assert picture([[call("finish")], []]) == ""


def test_of_many_tables_columns_and_queries_some_are_shown_and_the_rest_is_counted():
    many = call("tables", result=json.dumps([f"t{k}" for k in range(TABLES + 3)]))
    wide = call("schema", "t0", result=json.dumps({f"c{k}": "text" for k in range(30)}))
    calls = [many, wide, *[call("query", f"select {k}", result='{"rows":[]}') for k in range(20)]]
    texts = drawn(picture([calls])).texts
    assert "and 22 more" in texts and "and 3 more tables" in texts
    assert f"{20 - QUERIES} earlier queries" in texts and texts[-1] == "select 19"
    assert "c7: text" in texts and "c8: text" not in texts and "select 11" not in texts


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "]]>&lt;",
    "\x1b[31m\0\u202e",
    "\ud800",
    "x" * 50_000,
    "\n\n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_things_are_called_is_text_that_can_be_shown(text):
    calls = [
        call("tables", result=json.dumps([text, 5, None])),
        call("schema", text, result=json.dumps({text: text, "a": {"b": [text]}})),
        call("query", text, result=json.dumps({"rows": [text]})),
        call("query", text, error=text),
    ]
    svg = picture([calls])
    assert all(letter.isprintable() for letter in svg) and len(svg) < 6000
    drawn(svg)
