"""What a block does with the state before it, counted by hand."""

import pytest

from knapsack_lib.audit.measures import measured
from knapsack_lib.audit.transcripts import Step, Transcript


def uses(*steps, provided=()):
    turns = tuple(step if isinstance(step, Step) else Step(step) for step in steps)
    return measured(Transcript("t", turns, provided=frozenset(provided)))


def failed(code, error_type="NameError", error="name 'x' is not defined", line=None, **more):
    return Step(code, error_type=error_type, error=error, line=line, **more)


@pytest.mark.parametrize(
    ("first", "second", "relies"),
    [
        ("x = 1", "print(x)", {"x": "data"}),
        ("import math", "print(math.pi)", {"math": "import"}),
        ("def f(): return 1", "f()", {"f": "function"}),
        ("f = lambda: 1", "f()", {"f": "function"}),
        ("class K: pass", "K()", {"K": "class"}),
        ("x = 1", "x = 2\nprint(x)", {}),
        ("x = 1", "x += 1", {"x": "data"}),
        ("x = 1", "print([x for x in range(3)])", {}),
        ("x = 1", "def f(): return x", {}),  # it runs later, if ever
        ("x = 1", "def f(): return x\nf()", {"x": "data"}),
        ("x = 1", "def f(x): return x\nf(2)", {}),
        ("x = 1", "if 'x' not in globals():\n    x = 1", {}),
        ("x = 1\ndel x", "print(x)", {}),
        ("for i in range(3): y = i", "print(i, y)", {"i": "data", "y": "data"}),
        ("if input(): x = 1", "print(x)", {"x": "data"}),
        ("def f():\n    global x\n    x = 1\nf()", "print(x)", {"x": "data"}),
        ("(y := 3)", "print(y)", {"y": "data"}),
        ("%time x = f()", "print(x)", {"x": "data"}),
        ("%pip install numpy\nx = 1", "!ls\nprint(x)", {"x": "data"}),
        ("with open('a') as x: pass", "x.name", {"x": "data"}),
        ("from math import sin\nx = 1", "from math import *\nsin(x)", {"x": "data"}),
    ],
)
def test_a_block_relies_on_what_an_earlier_one_bound(first, second, relies):
    assert uses(first, second)[1].relies == relies


@pytest.mark.parametrize(
    ("first", "second", "again", "rewritten"),
    [
        ("import math", "import math\nmath.pi", ("math",), ()),
        ("import math", "import math as m\nm.pi", (), ()),
        ("import math, json", "import json", ("json",), ()),
        ("from math import pi", "from math import e, pi", ("pi",), ()),
        ("def f(): return 1", "def f(): return 1\nf()", ("f",), ()),
        ("def f(): return 1", "def f(): return 2\nf()", (), ()),  # mended, not said again
        ("seen = {'a': 1, 'b': 2}", "seen = {'a': 1, 'b': 2}", ("seen",), ()),
        ("seen = {'a': 1}", "seen = {'a': 1, 'b': -2}", (), ("seen",)),
        ("x = f(1)", "x = f(1)", ("x",), ()),
        ("x = f(1)", "x = f(2)", (), ()),
        ("total = 0", "total = 0", (), ()),  # a sum begins anew
        ("n = 12", "n = 12", ("n",), ()),
    ],
)
def test_a_block_restates_what_it_binds_again(first, second, again, rewritten):
    use = uses(first, second)[1]
    assert (use.again, use.rewritten) == (again, rewritten)


def test_what_is_said_again_is_counted_in_characters():
    assert uses("import math\nx = 12", "import math\nx = 12")[1].again_characters == len(
        " import math None" + "x = 12"
    )


def test_a_block_that_neither_needs_nor_repeats_stands_alone():
    first, second, third = uses("x = 1", "y = 2", "print(y)")
    assert first.first and not second.first
    assert second.alone and not third.alone
    assert uses("x = 1", "if 'x' in globals(): print(1)")[1].guarded == ("x",)


def test_how_far_back_is_counted_to_the_newest_of_what_is_needed():
    steps = [
        Step("x = 1", reply="." * 10),
        Step("y = 2", reply="." * 20),
        Step("x + y", reply="." * 5),
    ]
    use = uses(*steps)[2]
    assert (use.back, use.back_characters) == (1, 5)
    assert uses("x = 1", "y = 2", "x")[2].back == 2


def test_a_failed_block_has_bound_what_stands_before_the_failing_line():
    code = "import math\na = 1\nb = 1 / 0\nc = 3"
    known = uses(failed(code, "ZeroDivisionError", "", line=3), "print(math, a, b, c)")[1]
    assert known.relies == {"math": "import", "a": "data"} and known.unknown == ("b", "c")
    unknown = uses(failed(code, "ZeroDivisionError", ""), "print(math, a, b, c)")[1]
    assert unknown.relies == {"math": "import"}
    assert uses(failed("x = (", "SyntaxError", ""), "x")[1].relies == {}
    assert uses(Step("x = 1", stopped=True), "x")[1].relies == {}


def test_unknown_names_are_those_nobody_bound_or_offers():
    assert uses("x = 1", "look(x, y)", provided=["look"])[1].unknown == ("y",)
    assert uses("from math import *", "print(pi)")[1].unknown == ()


def test_what_is_no_python_is_said_and_binds_nothing():
    first, second = uses("x = = 1", "x")
    assert not first.parsed and second.first and second.unknown == ("x",)


@pytest.mark.parametrize(
    ("following", "after"),
    [
        (None, "given up"),
        ("print( x )", "same again"),
        (failed("print(x + 1)"), "same again"),
        ("x = 1\nprint(x)", "mended"),
        ("import math\nx = 1\nprint(x)", "restated"),
        ("print(2)", "other"),
        ("x = = 2", "other"),
    ],
)
def test_what_follows_a_missing_name(following, after):
    steps = ["import math", failed("print(x)"), *([] if following is None else [following])]
    use = uses(*steps)[1]
    assert (use.missing, use.after) == ("x", after)
