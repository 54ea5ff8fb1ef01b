"""What the explorer shows of a walk: counts worked by hand, and a picture of whatever an episode holds."""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from knapsack_lib.explorer.markup import drawing
from knapsack_lib.families import family_named
from knapsack_lib.families.navigation.view import MOST, picture, progress

SVG = "{http://www.w3.org/2000/svg}"
TASK = SimpleNamespace(public={"start": "BaFe", "goal": "KuTo", "max_steps": 9})


def scan(answer):
    return {"name": "scan", "args": [], "result": answer, "error": None}


def move(node, error=None):
    return {"name": "move", "args": [node], "result": None if error else 8, "error": error}


def drawn(svg: str) -> SimpleNamespace:
    """What can be seen of a picture: its texts, its nodes (title -> box) and its edges, walked or not."""
    tree = ElementTree.fromstring(svg)
    nodes = {
        group.find(f"{SVG}title").text: group.find(f"{SVG}rect").attrib
        for group in tree.iter(f"{SVG}g")
    }
    widths = [float(one.get("stroke-width")) for one in tree.iter(f"{SVG}path")]
    return SimpleNamespace(
        texts=[one.text or "" for one in tree.iter(f"{SVG}text")],
        nodes=nodes,
        columns={title: float(box["x"]) for title, box in nodes.items()},
        walked=sum(width > 2 for width in widths),
        seen=sum(width < 2 for width in widths),
        size=(float(tree.get("width")), float(tree.get("height"))),
    )


# Numbers ------------------------------------------------------------------------------------------


def test_steps_and_nodes_are_counted_turn_by_turn():
    turns = [
        [scan("LiMe,GoRa")],
        [move("LiMe"), scan("BaFe")],
        [move("BaFe"), move("GoRa"), move("Nowhere", error="ValueError: no edge")],
    ]
    assert progress(turns, TASK) == [
        {"steps walked": 0, "nodes visited": 1, "seen, not visited": 2, "steps left": 9},
        {"steps walked": 1, "nodes visited": 2, "seen, not visited": 1, "steps left": 8},
        {"steps walked": 3, "nodes visited": 3, "seen, not visited": 0, "steps left": 6},
    ]


def test_what_only_the_task_knows_is_left_out_without_it():
    for one in progress([[], [scan("LiMe")]], None):
        assert list(one) == ["steps walked", "nodes visited", "seen, not visited"]


# The picture --------------------------------------------------------------------------------------


def test_nodes_stand_in_columns_by_their_steps_from_the_start_and_say_what_they_are():
    turns = [[scan("LiMe,GoRa"), move("LiMe"), scan("BaFe,KuTo")]]
    found = drawn(picture(turns, TASK))
    assert list(found.nodes) == ["BaFe: visited", "LiMe: here", "GoRa: new", "KuTo: new, goal"]
    start, here, beside, goal = found.columns.values()
    assert start < here == beside < goal
    assert (found.walked, found.seen) == (1, 3)
    assert found.texts[0] == (
        "walk: step 1 of 9, 2 nodes visited, 2 seen and not visited; at LiMe, goal KuTo"
    )
    assert found.texts[1:5] == ["BaFe", "LiMe", "GoRa", "KuTo"]


def test_before_anything_was_done_there_is_the_start_alone():
    assert list(drawn(picture([[]], TASK)).nodes) == ["BaFe: here"]
    assert list(drawn(picture([[]], None)).nodes) == ["start: here"]


def test_without_a_task_there_is_no_goal_and_no_number_of_steps_to_take():
    heading = drawn(picture([[scan("LiMe"), move("LiMe")]], None)).texts[0]
    assert heading == "walk: step 1, 2 nodes visited, 0 seen and not visited; at LiMe"


def test_a_long_id_is_shown_by_its_end_and_whole_as_a_title():
    found = drawn(picture([[scan("node_0123456789ab")]], TASK))
    assert "89ab" in found.texts and "node_0123456789ab: new" in found.nodes


def boxes(found):
    return [(float(b["x"]), float(b["y"])) for b in found.nodes.values()]


@pytest.mark.parametrize("size", ["pocket-medium", "easy", "medium", "hard"])
def test_a_whole_walk_is_drawn_without_boxes_over_one_another(size):
    """An explorer of everything there is: depth first, by edges that exist."""
    family = family_named("navigation")
    task = family.make_task(size, seed=1, split="v", index=0)
    calls, visited = [], [task.public["start"]]
    for node in visited:
        others = task.private["adjacency"][node]
        calls += [move(node), scan(",".join(others))] if calls else [scan(",".join(others))]
        visited += [other for other in others if other not in visited]
    svg = picture([calls], task)
    assert "<svg" in drawing(svg)  # nothing but shapes and text
    found = drawn(svg)
    places, (width, height) = boxes(found), found.size
    assert len(places) == min(MOST, len(task.private["layers"]))
    for x, y in places:
        assert 0 <= x <= width - 36 and 0 <= y <= height - 16
        near = [(a, b) for a, b in places if abs(a - x) < 40 and abs(b - y) < 20]
        assert near == [(x, y)]


HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x>",
    "]]>&lt;",
    "\x1b[31m\0\u202e",
    "\ud800",
    "x" * 50_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_node_is_called_is_text_that_can_be_shown(text):
    task = SimpleNamespace(public={"start": text, "goal": text, "max_steps": 9})
    svg = picture([[scan(f"{text},b"), move(text), move("b")]], task)
    assert all(letter.isprintable() for letter in svg) and len(svg) < 4000
    assert "<svg" in drawing(svg)
    shown = text if text.isprintable() else ascii(text)
    assert next(iter(drawn(svg).nodes)).startswith(shown[:20])


@pytest.mark.parametrize(
    "call",
    [
        scan(None),
        scan(7),
        scan(["a"]),
        scan(",,,"),
        move(None),
        move(10**5000),
        move(["a"]),
        {"name": "move", "args": [], "result": 1, "error": None},
        {"name": "leap", "args": ["a"], "result": 1, "error": None},
    ],
)
def test_a_call_that_makes_no_sense_changes_nothing(call):
    assert picture([[call]], TASK) == picture([[]], TASK)
    assert progress([[call]], TASK) == progress([[]], TASK)


def test_of_too_many_nodes_as_many_as_fit_are_drawn_and_the_rest_is_counted():
    calls = [scan(",".join(f"n{k}_{j}" for j in range(500))) for k in range(3)]
    calls += [move(f"m{k}") for k in range(2000)]
    found = drawn(picture([calls], TASK))
    assert len(found.nodes) == MOST
    assert found.texts[-1].endswith(f"; {1 + 180 + 2000 - MOST} more nodes are not drawn")
