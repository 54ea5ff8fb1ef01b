"""What a turn did to the task, the bill and the state, and which parts of its block are marked; all
worked by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import pytest

from knapsack_lib.explorer import pages
from knapsack_lib.explorer.reading import Mark, read

BAFE, BOKU = '{"class":"A","value":9,"weight":4}', '{"class":"B","value":7,"weight":5}'


def columns(readings, *names: str) -> list[tuple]:
    return [tuple(getattr(one, name) for name in names) for one in readings]


def drawn(**public):
    """A task, as far as the explorer looks at it."""
    return SimpleNamespace(public={"capacity": 20, "inspect_budget": 3, **public})


# The task and the bill ----------------------------------------------------------------------------


@pytest.fixture
def played(episode, turn, call):
    """Two items inspected, one of them twice; two taken; everything else refused."""
    return episode(
        turn(
            "a",
            "",
            call("list_items", result='["bafe","boku"]'),
            call("inspect", "bafe", result=BAFE),
        ),
        turn("b", "", call("take_item", "bafe"), call("inspect", "bafe", result=BAFE)),
        turn(None, "", prompt_tokens=100, completion_tokens=0),
        turn(
            "c",
            "",
            call("inspect", "boku", result=BOKU),
            call("take_item", "boku", error="PermissionError: class B"),
            call("inspect", "goma", error="RuntimeError: inspect budget"),
            call("take_item", error="TypeError: wants 1"),
        ),
        turn("d", None, call("take_item", "boku"), call("finish")),
    )


def test_each_turn_has_the_numbers_of_its_family_so_far_and_the_tokens(played):
    readings = read(played, drawn())
    names = ("value taken", "weight used", "capacity left", "inspected", "inspections left")
    assert [list(one.progress.items()) for one in readings] == [
        list(zip(names, numbers, strict=True))
        for numbers in (
            (0, 0, 20, 1, 2),
            (9, 4, 16, 1, 2),
            (9, 4, 16, 1, 2),
            (9, 4, 16, 2, 1),
            (16, 9, 11, 2, 1),
        )
    ]
    assert [one.tokens for one in readings] == [15, 30, 130, 145, 160]
    assert [one.turn for one in readings] == played.turns


def test_each_turn_has_the_picture_of_its_own_state(played):
    pictures = [one.picture for one in read(played, drawn())]
    assert ["value 0" in one for one in pictures] == [True, False, False, False, False]
    assert pictures[1] == pictures[2] and len(set(pictures)) == 4


def test_an_episode_of_an_unknown_family_has_neither_numbers_nor_a_picture(played):
    readings = read(replace(played, family="somebody else's"))
    assert columns(readings, "progress", "picture") == [({}, "")] * 5
    assert [one.tokens for one in readings] == [15, 30, 130, 145, 160]


def test_an_episode_without_a_turn_has_no_reading(episode):
    assert read(episode()) == []


# State --------------------------------------------------------------------------------------------

COUNTED = "def count():\n    global n\n    n += 1"


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        # (block, bindings after it) -> (before, new, changed, lost)
        (
            [("a = b = 1", "a b"), ("b = a\nc = 2", "a b c"), ("del a\nprint(c)", "b c")],
            [("", "a b", "", ""), ("a b", "c", "b", ""), ("b a c", "", "", "a")],
        ),
        (
            [("a = 1", ""), ("a = 2\nb = a", "")],
            [("", "", "", ""), ("", "", "", "")],
        ),  # reset: nothing is left behind
        (
            [("a = 1", "a"), ("a = = 2", "a")],
            [("", "a", "", ""), ("a", "", "", "")],
        ),  # was never run
        (
            [("a = {}", "a"), ("a['k'] = 1", "a")],
            [("", "a", "", ""), ("a", "", "", "")],
        ),  # is bound to the same thing
        (
            [("a = 1", "a"), ("for a, b in []: pass\nimport c.d\ndef e(): pass", "a b c e")],
            [("", "a", "", ""), ("a", "b c e", "a", "")],
        ),
        (
            [("n = 0", "n"), (COUNTED, "n count"), ("count()", "n count"), ("print(n)", "n count")],
            [
                ("", "n", "", ""),
                ("n", "count", None, ""),
                ("n count", "", "n", ""),
                ("n count", "", "", ""),
            ],
        ),
        # a helper that another helper calls; then a redefinition without `global`
        (
            [
                (f"n = 0\n{COUNTED}\ndef twice():\n    count(); count()", "n count twice"),
                ("twice()", "n count twice"),
                ("def count(): pass", "n count twice"),
                ("count()", "n count twice"),
            ],
            [
                ("", "n count twice", "", ""),
                ("n count twice", "", "n", ""),
                ("n count twice", "", "count", ""),
                ("n count twice", "", "", ""),
            ],
        ),
        # two helpers of one block: only what the one that is called binds has changed
        (
            [
                (f"n = m = 0\n{COUNTED}\ndef other():\n    global m\n    m = 1", "n m count other"),
                ("other()", "n m count other"),
            ],
            [("", "n m count other", "", ""), ("n m count other", "", "m", "")],
        ),
    ],
)
def test_names_are_new_changed_or_lost_as_the_records_and_the_block_say(
    episode, turn, blocks, expected
):
    readings = read(episode(*(turn(code, bindings=after.split()) for code, after in blocks)))
    found = columns(readings, "before", "new", "changed", "lost")
    for one, wanted in zip(found, expected, strict=True):
        for names, listed in zip(one, wanted, strict=True):
            assert listed is None or set(names) == set(listed.split()), (one, wanted)


def test_a_kill_that_lost_the_state_loses_every_name_and_one_that_was_undone_changes_none(
    episode, turn
):
    kept, names = {"killed_by": "time", "observation": "The block was stopped"}, ["a", "b"]
    readings = read(
        episode(
            turn("a, b = 1, 2", bindings=names),
            turn(
                "a = 3\nwhile True: pass", **kept, bindings=names
            ),  # restored: as it was before the block
            turn("a = 4\nwhile True: pass", **kept, state_lost=True),
            turn("print(a)", "NameError", error_type="NameError", error="name 'a' is not defined"),
        )
    )
    assert columns(readings, "changed", "lost") == [((), ()), ((), ()), ((), ("a", "b")), ((), ())]
    assert [one.trouble for one in readings] == ["", "other", "other", "missing"]
    assert readings[3].before == () and readings[3].marks == (Mark(6, 7, "missing"),)


# What the reply says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code", "expected"),
    [
        ("I look.\n```python\nx\n```", "x", ("I look.", "")),
        ("```py\nx\n```\n\nThen <b>I</b> wait.\n", "x", ("", "Then <b>I</b> wait.")),
        (
            "One.\n\nTwo: ```text``` é\n```python\nx = '''\n'''\n```\nAfter.",
            "x = '''\n'''",
            ("One.\n\nTwo: ```text``` é", "After."),
        ),
        (
            "```python\nx\n```\nand\n```python\ny\n```",
            None,
            ("```python\nx\n```\nand\n```python\ny\n```", ""),
        ),
        (" no block ", None, (" no block ", "")),
        ("cut ```python\nx = ", None, ("cut ```python\nx = ", "")),
        ("", None, ("", "")),
    ],
)
def test_a_reply_is_what_it_says_before_and_behind_its_block_or_whole_if_none_was_run(
    episode, turn, reply, code, expected
):
    (one,) = read(episode(turn(code, reply=reply)))
    assert (one.reasoning, one.after) == expected


# Marks --------------------------------------------------------------------------------------------


def marked(block: str) -> tuple[str, list[tuple[str, int, int]]]:
    """A block in which [name] is missing and {literal} is restated, as (plain block, what is
    marked)."""
    plain, found, opened = "", [], []
    for letter in block:
        if letter in "⟦⟨":
            opened.append(len(plain))
        elif letter in "⟧⟩":
            found.append(("missing" if letter == "⟧" else "restated", opened.pop(), len(plain)))
        else:
            plain += letter
    return plain, sorted(found)


@pytest.mark.parametrize(
    "block",
    [
        "print(⟦gone⟧, here, len)",  # `here` is there, `len` is Python's, `inspect` a tool
        "inspect(⟦gone⟧)\nlist_items(); take_item; finish()",
        "y = ⟦gone⟧ + ⟦gone⟧\nprint(y, ⟦gone⟧)",
        "größe = 'ß日🎒'; print('é', ⟦gone⟧, größe)\n\t\nif 1:\n\tpass; é = '🎒'; ⟦weg⟧",
        "a = 'é'\r\nb = ⟨12⟩; ⟦gone⟧\r\n\x0c\n⟦gone⟧",
        "print(f'é {⟦gone⟧} {here!r:>{⟦w⟧}} {⟦gone⟧}')",
        "x = [⟨[12, 'bafe']⟩, ⟨'größe'⟩, 99, ⟨'12'⟩, ⟦gone⟧]\nz = ⟨(12,\n  'bafe')⟩",
        "x = ⟨['größe', 12]⟩; '🎒'; ⟨'bafe'⟩",
        "⟦gone⟧ += 1",  # reads it, too
        "del ⟦gone⟧",
        "⟦gone⟧[0] = ⟦other⟧.x = 1",
        "def f(gone): return gone\nprint(⟦gone⟧)",  # an argument of that name is there
        "print(⟦gone⟧, [gone for gone in here])",
        "print(⟦gone⟧, [lambda: gone for gone in here], lambda gone: gone)",
        "def f():\n    return ⟦gone⟧, later\nlater = f",
        "gone = 1\nprint(gone)",
        "x = 0, 1, '', 'no such word'",
    ],
)
def test_missing_names_and_restated_literals_are_marked_letter_for_letter(episode, turn, block):
    code, expected = marked(block)
    before = turn("here = 1", "bafe größe", bindings=["here"])
    found = read(episode(before, turn(code), shown="Capacity 12."))[1].marks
    assert sorted((mark.kind, mark.start, mark.end) for mark in found) == expected


def test_a_value_is_restated_only_after_it_was_shown(episode, turn):
    readings = read(episode(turn("x = 45", "45 it is"), turn("x = 45", None)))
    assert [[mark.kind for mark in one.marks] for one in readings] == [[], ["restated"]]


@pytest.mark.parametrize(
    "code",
    ["print(gone", "gone = = 12", "gone\0", "return gone", " gone", "'\ud800', gone", "# gone", ""],
)
def test_a_block_that_is_no_python_or_says_nothing_has_no_marks(episode, turn, code):
    (one,) = read(episode(turn(code, bindings=["x"]), shown="12"))
    assert one.marks == () and one.new == ("x",)


DEEP = {
    "sum": lambda n: "1 + " * n + "gone",
    "not": lambda n: "not " * n + "gone",
    "else": lambda n: "if gone: pass\n" + "elif gone: pass\n" * n,
    "call": lambda n: "gone" + "()" * n,
}


@pytest.mark.parametrize("depth", [50, 900, 3000, 20_000])
@pytest.mark.parametrize("shape", DEEP)
def test_a_block_that_is_nested_too_deep_is_read_as_text(episode, turn, depth, shape):
    code = DEEP[shape](depth)
    first, second = read(
        episode(turn(code, "seen 12", bindings=["a"]), turn("a = 12", bindings=["a"]))
    )
    assert {code[mark.start : mark.end] for mark in first.marks} == (
        {"gone"} if depth < 100 else set()
    )
    assert first.reasoning == "I look." and first.new == ("a",)
    assert second.changed == ("a",) and second.marks == (Mark(4, 6, "restated"),)


def test_every_committed_block_that_met_a_missing_name_of_its_own_has_it_marked(committed):
    missed: dict[tuple[int, int], str] = {}
    for place in (place for place in committed.find(missing_variable=True).index if place % 3 == 0):
        for one in read(committed.open(place)):
            met = re.match(r"name '(\w+)' is not defined", one.turn.error or "")
            if met and re.search(
                rf"\b{met[1]}\b", one.turn.code
            ):  # else a helper of an earlier block met it
                texts = {
                    one.turn.code[mark.start : mark.end]
                    for mark in one.marks
                    if mark.kind == "missing"
                }
                missed |= {} if met[1] in texts else {(place, one.number): met[1]}
    assert missed == {}


def test_a_react_turn_is_read_as_what_it_says_and_the_call_that_it_makes(episode, turn):
    call = '{"tool": "inspect", "args": ["BaDe"]}'
    reply = f"I look.\n```json\n{call}\n```\nSo."
    calling = replace(turn(None), reply=reply, code=None, parse_status="tool_calls")
    (reading,) = read(episode(calling))
    assert (reading.reasoning, reading.call, reading.after) == ("I look.", call, "So.")
    shown = pages.turn(reading)
    assert call in unescape(shown) and "```" not in shown and "bindings" not in shown
