"""What a block needs of earlier ones, as code that makes it again."""

import pytest

from knapsack_lib.audit.replay import LIMITS
from knapsack_lib.audit.slices import Past, Unmade
from knapsack_lib.audit.state import state_of
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named

TOOLS = {"ask": lambda: [1, 2, 3], "tell": lambda value: None}


@pytest.fixture(scope="module")
def pool():
    with Pool(LIMITS, after_kill="lose") as opened:
        yield opened


@pytest.fixture
def prefix(pool):
    """What stands in front of the last block, once the others have run."""

    def of(*blocks):
        *earlier, last = blocks
        past = Past(frozenset(TOOLS))
        with Interpreter(pool, persistence_named("persistent"), TOOLS, 1) as interpreter:
            before = state_of(interpreter)
            for block in earlier:
                seen = interpreter.run(block)
                after = state_of(interpreter)
                past.add(block, before, after, seen.line)
                before = after
            return past.before(last, before).code

    return of


def test_statements_come_in_their_order_and_only_those_that_are_needed(prefix):
    assert prefix("a = 1\nb = 2\nc = a + 1", "unused = 0\nd = c * 2", "print(d)") == (
        "a = 1\nc = a + 1\nd = c * 2"
    )


def test_a_block_that_needs_nothing_gets_nothing(prefix):
    assert prefix("x = 1", "print(2)") == prefix("x = 1", "x = 3\nprint(x)") == ""


def test_what_was_bound_again_is_taken_from_where_it_was_bound_last(prefix):
    assert prefix("x = 1", "x = 2", "print(x)") == "x = 2"
    assert prefix("x = 1", "x += 1", "print(x)") == "x = 1\nx += 1"
    assert prefix("x = 1\ny = x", "x = 5", "print(x, y)") == "x = 1\ny = x\nx = 5"


def test_functions_bring_what_they_take_when_they_run(prefix):
    assert prefix(
        "import math\nscale = 3\ndef g(x): return math.floor(x) * scale",
        "def f(x): return g(x) + 1",
        "scale = 4",
        "print(f(2.5))",
    ) == (
        "import math\ndef g(x): return math.floor(x) * scale\ndef f(x): return g(x) + 1\nscale = 4"
    )


def test_a_function_that_data_holds_finds_what_it_takes_as_it_is_now(prefix):
    blocks = ("n = 1\ndef f(): return n\nrows = [f]", "n = 2", "print(rows[0]())")
    assert prefix(*blocks) == "n = 1\ndef f(): return n\nrows = [f]\nn = 2"


def test_mutated_data_is_made_as_it_was_made(prefix):
    made = "d = {}\nfor k in 'ab':\n    d[k] = 1"
    assert prefix(made, "d['c'] = 2", "rows = []\nrows.append(d)", "print(rows)") == (
        f"{made}\nd['c'] = 2\nrows = []\nrows.append(d)"
    )
    assert prefix("a = [1]\nb = a", "b.append(2)", "print(a)") == "a = [1]\nb = a\nb.append(2)"
    assert prefix("def fill(x): x.append(1)\na = []", "fill(a)", "print(a)") == (
        "def fill(x): x.append(1)\na = []\nfill(a)"
    )


def test_what_a_tool_gave_is_written_down(prefix):
    assert prefix("rest = ask()", "print(rest)") == "rest = [1, 2, 3]"
    assert prefix("rest = ask()\nn = 0", "rest.pop()\nn += 1", "print(rest, n)") == (
        "rest = [1, 2]\nn = 0\nn += 1"
    )
    assert prefix("n = 0\nprint(n)\ndef go():\n    global n\n    n += len(ask())\ngo()", "n") == (
        "n = 3"
    )


def test_a_statement_that_prints_is_not_repeated(prefix):
    assert prefix("total = 0\nfor i in range(3):\n    print(i)\n    total += i", "total") == (
        "total = 3"
    )


def test_one_list_with_two_names_stays_one(prefix):
    assert prefix("a = ask()\nb = a", "a.append(4)\nprint(b)") == "a = [1, 2, 3]\nb = a"


def test_a_failed_block_has_done_what_stands_before_the_failing_line(prefix):
    assert prefix("x = 1", "x = 2\ny = 1 / 0\nx = 3", "print(x)") == "x = 2"
    assert prefix("d = []", "for i in range(3):\n    d.append(1 / (1 - i))", "d") == "d = [1.0]"


def test_a_guard_finds_what_it_asks_for(prefix):
    assert prefix("x = 1", "if 'x' not in globals():\n    x = 0\nprint(x)") == "x = 1"


def test_names_that_a_star_brought_are_brought_again(prefix):
    assert prefix("from math import *", "print(floor(2.5))") == "from math import *"


@pytest.mark.parametrize(
    "made", ["x = iter(ask())", "x = (i for i in ask())", "class A(dict): pass\nx = A(a=ask())"]
)
def test_a_value_that_no_literal_gives_says_so(prefix, made):
    with pytest.raises(Unmade, match="x holds an object") if "ask()" in made else None:
        prefix(made, "print(x)")


def test_an_object_made_of_a_tools_answer_is_made_of_its_literal(prefix):
    assert prefix(
        "rows = ask()\nimport collections\nx = collections.Counter(rows)", "print(x)"
    ) == ("import collections\nrows = [1, 2, 3]\nx = collections.Counter(rows)")


def test_looking_changes_nothing(pool):
    block = "import json\nx = [1]\nx.append(x)\nclass A: pass\na = A()\ng = (i for i in [1])\n"
    with Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
        bindings = interpreter.run(block).bindings
        first, second = state_of(interpreter), state_of(interpreter)
        seen = interpreter.run("print(next(g), _ if '_' in globals() else 0)")
    assert first == second and tuple(first) == bindings == seen.bindings and seen.stdout == "1 0\n"
    assert first["x"].literal is None  # it holds itself
    assert [first[name].kind for name in ("json", "x", "A", "a")] == [
        *("import", "data", "class", "object")
    ]


def test_equal_values_have_equal_marks_and_others_do_not(pool):
    block = "def f(x): return x + 1\nclass A:\n    def m(self): return 2\na = A()\na.v = [1, {2}]\n"
    with Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
        interpreter.run(block)
        first = state_of(interpreter)
        interpreter.run("\n\n" + block)
        assert {n: h.mark for n, h in state_of(interpreter).items()} == {
            n: h.mark for n, h in first.items()
        }
        interpreter.run(block.replace("+ 1", "+ 3").replace("{2}", "{5}").replace("2\na", "4\na"))
        again = state_of(interpreter)
    assert all(again[name].mark != one.mark for name, one in first.items())
