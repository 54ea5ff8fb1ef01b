"""Which names a block has bound: those of the stores that ran, whatever value they stored."""

import subprocess
import sys
from dataclasses import replace

import pytest

BEFORE = "x = y = None\nfrom math import pi\nfrom keyword import *"

# what a block does with x, which is None already: (block, whether that counts as binding it)
STORES = {
    "the same value": ("x = None", True),
    "itself": ("x = x", True),
    "the same value after another": ("x = 5\nx = None", True),
    "deleted, then bound": ("del x\nx = None", True),
    "in a branch that is taken": ("if 'x' in globals(): x = None", True),
    "in one that is not": ("if 'x' not in globals(): x = None", False),
    "on the same line, not reached": ("x is None or (x := None)", False),
    "on the same line, reached": ("x or (x := None)", True),
    "before an error": ("x = None\n1 / 0", True),
    "after an error": ("1 / 0\nx = None", False),
    "where its value cannot be made": ("try: x = 1 / 0\nexcept Exception: pass", False),
    "in a handler": ("try: 1 / 0\nexcept Exception: x = None", True),
    "in a handler that is not needed": ("try: pass\nexcept Exception: x = None", False),
    "at the end of a try": ("try: pass\nfinally: x = None", True),
    "by a loop": ("for x in [None]: pass", True),
    "by a loop over pairs": ("for x, _ in [(None, 1)]: pass", True),
    "by a loop that breaks": ("for x in [None]: break", True),
    "by a loop over nothing": ("for x in []: pass", False),
    "after a loop over nothing": ("for _ in []: pass\nelse: x = None", True),
    "in a loop that is not entered": ("while x: x = None", False),
    "by with": ("import contextlib\nwith contextlib.nullcontext() as x: pass", True),
    "by a with that fails": ("with 5 as x: pass", False),
    "by unpacking": ("[y, (*_, x)] = 1, (2, None)", True),
    "by an unpacking that fails": ("x, y = [None]", False),
    "by several targets": ("z = x = None", True),
    "with a type": ("x: int = None", True),
    "as a type alone": ("x: int", False),
    "as an item or an attribute": ("d = {}\nd[x] = d\ndef f(): pass\nf.x = None", False),
    "by match": ("match [None]:\n    case [x]: pass", True),
    "by match, the rest": ("match {'k': 1}:\n    case {**x}: x = None", True),
    "by a match that fits nothing": ("match [1, 2]:\n    case [x]: pass", False),
    "in a comprehension": ("[x := None for _ in [1]]", True),
    "in a comprehension over nothing": ("[x := None for _ in []]", False),
    "in the condition of a loop": ("while x := None: pass", True),
    "of a comprehension's own": ("[x for x in [1]]", False),
    "of a lambda's own": ("(lambda: (x := None))()", False),
    "in a default": ("def f(a=(x := None)): pass", True),
    "in a decorator": ("@(x := lambda f: f)\ndef f(): pass\nx = None", True),
    "of a function's own": ("def f():\n    x = None\nf()", False),
    "of a function's, declared": ("def f():\n    global x\n    x = None\nf()", True),
    "declared deep inside": (
        "def f():\n    if True:\n        global x\n    [x := None for _ in [1]]\nf()",
        True,
    ),
    "declared further out": (
        "def f():\n    global x\n    def g(): x = None\n    g()\nf()",
        False,
    ),
    "of a function that is not called": ("def f():\n    global x\n    x = None", False),
    "of a generator, reached": (
        "def f():\n    global x\n    yield\n    x = None\nlist(f())",
        True,
    ),
    "of a generator, not reached": (
        "def f():\n    global x\n    yield\n    x = None\nnext(f())",
        False,
    ),
    "of a class's own": ("class C:\n    x = None", False),
    "of a class's, declared": ("class C:\n    global x\n    x = None", True),
    "by a thread": (
        "import threading\ndef f():\n    global x\n    x = None\n"
        "t = threading.Thread(target=f)\nt.start()\nt.join()",
        True,
    ),
    "through globals(), another value": ("globals()['x'] = 5", True),
    "through exec, another value": ("exec('x = 5')", True),
    "read": ("print(x)", False),
    "compared": ("x == x", False),
    "after a future import": (
        "from __future__ import annotations\nfrom __future__ import division\nx = None",
        True,
    ),
}


@pytest.mark.parametrize("what", STORES)
def test_a_store_counts_when_it_ran_whatever_it_stored(pool, steps, what):
    code, counts = STORES[what]
    seen = steps(pool, "persistent", BEFORE, code)[1]
    assert ("x" in seen.written) == counts, seen
    assert not {"pi", "kwlist"} & set(seen.written)


# block: (what it must have written, what of pi and kwlist is left)
IMPORTS = {
    "from math import pi": ("pi", "kwlist pi"),
    "from keyword import *": ("iskeyword issoftkeyword kwlist softkwlist", "kwlist pi"),
    "import math\nimport math, nothing_of_that_name": ("math", "kwlist pi"),
    "if not pi: pi = 3": ("", "kwlist pi"),
    "pi = 3": ("pi", "kwlist"),
    "pi = 3\nfrom math import pi": ("pi", "kwlist pi"),
    "pi = [3]\nif not pi: from math import pi": ("pi", "kwlist"),
    "def f():\n    global pi\n    from math import pi\nf()": ("f pi", "kwlist pi"),
    "kwlist = kwlist": ("kwlist", "pi"),
}


@pytest.mark.parametrize("code", IMPORTS)
def test_a_name_is_imported_when_an_import_bound_it_last(pool, steps, code):
    """In the mode `functions`, which keeps what was imported, whatever it is."""
    written, kept = IMPORTS[code]
    seen = steps(pool, "functions", BEFORE, code)[1]
    assert " ".join(seen.written) == written
    assert " ".join(sorted({"pi", "kwlist"} & set(seen.bindings))) == kept


def test_a_function_of_an_earlier_block_says_what_it_binds_also_after_a_kill(pool, steps):
    seen = steps(
        pool,
        "persistent",
        "x = None\ndef f():\n    global x\n    x = None",
        "import os\nos._exit(1)",
        "f()",
        "f",
    )
    assert [o.written for o in seen] == [("f", "x"), (), ("x",), ()]


HIDDEN = "class C:\n    def m(self):\n        global __x\n        __x = None\n"


def test_a_private_name_of_a_class_is_known_as_python_spells_it(pool, steps):
    seen = steps(pool, "persistent", "_C__x = None\n" + HIDDEN + "c = C()", "c.m()")
    assert seen[1].written == ("_C__x",)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a statement of Python 3.12")
def test_a_type_alias_is_a_store(pool, steps):
    assert steps(pool, "persistent", "type x = int")[0].written == ("x",)


LOOKS = {
    "its names": ("print([n for n in [*dir(), *vars()] if n[:1] != '_'])", "[]\n"),
    "names of a function": (
        "def f():\n    global x\n    x = 1\nprint(f.__code__.co_names)",
        "('x',)\n",
    ),
    "its doc": ("'what it does'\nx = 1\nprint(__doc__)", "what it does\n"),
    "a function's doc": (
        "def f():\n    'what it does'\n    global x\n    x = 1\nprint(f.__doc__)",
        "what it does\n",
    ),
    "a function's source": (
        "def f():\n    global x\n    x = 1\nimport inspect\nprint(inspect.getsource(f))",
        "def f():\n    global x\n    x = 1\n\n",
    ),
}


@pytest.mark.parametrize("what", LOOKS)
def test_a_block_sees_nothing_of_the_marks(pool, steps, what):
    code, shown = LOOKS[what]
    assert steps(pool, "reset", code)[0].stdout == shown


def test_an_error_among_many_stores_has_the_line_that_python_gives_it(pool, steps):
    code = (
        "for x in [\n    1,\n]:\n    y = z = (\n        x\n    )\n"
        "    with open('/dev/null') as f:\n        y /= 0\n"
    )
    first, second = steps(pool, "persistent", code, code)
    assert (first.line, first.written) == (8, ("f", "x", "y", "z"))
    again = second.traceback.replace("block 2", "block 1")
    assert replace(second, traceback=again, seconds=0) == replace(first, seconds=0)


TRACED = """
import sys
lines = []
def trace(frame, event, _):
    if event == "line":
        lines.append(frame.f_lineno)
    return trace
def f():
    global x, g
    for x in [1, 2]:
        y = [
            x]
        x = y
    def g():
        return (z := 1)
    g()
sys.settrace(trace)
f()
sys.settrace(None)
print(lines)
"""


def test_a_tracer_sees_the_lines_that_it_sees_in_python(pool, steps):
    plain = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, encoding="utf-8")
    assert steps(pool, "reset", TRACED)[0].stdout == plain.stdout != ""
