"""The modes between everything and nothing, their names, and that a mode shows in nothing but what
survives."""

from dataclasses import replace

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import MODES, Interpreter, persistence_named

ALL = ("persistent", "reset", "functions", "data", "ttl:2")
FOUND = "print(*sorted(n for n in globals() if not (n[:2] == n[-2:] == '__')))"  # all names but Python's own

# what: (block, names that the next step finds)
FUNCTIONS = {
    "def, not data": ("def f(): pass\nx = 1", "f"),
    "class, not its instance": ("class C: pass\nc = C()", "C"),
    "lambda and alias": ("f = lambda: 1\ng = f\nx = f()", "f g"),
    "coroutine function": ("async def f(): pass", "f"),
    "generator function, not its generator": ("def g(): yield\nit = g()", "g"),
    "modules": ("import math, json as j\nimport os.path\nx = math.pi", "j math os"),
    "values of modules": ("from math import pi, tau as t\ny = pi", "pi t"),
    "values with a star": ("from keyword import *", "iskeyword issoftkeyword kwlist softkwlist"),
    "import in try": (
        "try:\n    from json import nothing\nexcept ImportError:\n    from math import pi",
        "pi",
    ),
    "import in if": ("if True:\n    from math import e\nelse:\n    from math import tau", "e"),
    "import in with and for": (
        "import contextlib\nwith contextlib.nullcontext():\n    for _ in [1]:\n        from math import e",
        "contextlib e",
    ),
    "import, then something else": ("from math import pi\npi = [3]", ""),
    "import in a function": ("def f():\n    from math import pi\n    return pi\nx = f()", "f"),
    "cached function": (
        "from functools import lru_cache\n@lru_cache\ndef f(x): return x\nx = f(1)",
        "f lru_cache",
    ),
    "partial": ("from functools import partial\np = partial(int, base=2)", "p partial"),
    "function of a library": ("import math\nroot = math.sqrt\nn = len", "math n root"),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\na = A(1)",
        "A dataclass",
    ),
    "enum and its member": ("import enum\nclass E(enum.Enum):\n    P = 1\np = E.P", "E enum"),
    "named tuple": (
        "from typing import NamedTuple\nclass T(NamedTuple):\n    a: int\nt = T(1)",
        "NamedTuple T",
    ),
    "class of a metaclass": ("class M(type): pass\nclass C(metaclass=M): pass", "C M"),
    "exception": ("class Own(Exception): pass\ne = Own()", "Own"),
    "functions in a list": ("fs = [len, print]\nby = {'len': len}", ""),
    "hidden data": ("_x = 1\n__y = 2\ndef _f(): pass\ndef __g(): pass", "__g _f"),
    "what came before an error": ("def f(): pass\nx = 1\n1 / 0", "f"),
}
DATA = {
    "atoms": ("a, b, c, d, e, f, g = 1, 2.5, 1j, 'é', b'x', None, True", "a b c d e f g"),
    "containers": (
        "a, b, c, d, e, f = [], (), {}, set(), frozenset(), range(3)\ng = bytearray()",
        "a b c d e f g",
    ),
    "nested": ("x = {'k': [1, (2, {3}), {4: {'d': [None] * 3}}]}", "x"),
    "a list in itself": ("a = []\na.append(a)\nb = {}\nb['b'] = [b]", "a b"),
    "very deep": ("x = []\nfor _ in range(10_000): x = [x]", "_ x"),
    "functions and classes": ("def f(): pass\nclass C: pass\ng = lambda: 1\nx = 1", "x"),
    "modules": ("import math\nimport json as j\nx = math.floor(2.5)", "x"),
    "an instance": ("class C: pass\nc = C()\nx = 1", "x"),
    "an instance in a list": (
        "class C: pass\nc = [1, [C()]]\nd = {'k': (1, C())}\ne = {C(): 1}",
        "",
    ),
    "a function in a list": ("f = [len]\ng = {'k': print}", ""),
    "kinds of list and text": ("class L(list): pass\nclass S(str): pass\na, b = L(), S()", ""),
    "kinds of dict": (
        "from collections import *\na, b, c = Counter('a'), defaultdict(int), OrderedDict()\nd = deque()",
        "",
    ),
    "a member of an enum": (
        "import enum\nclass E(enum.IntEnum):\n    P = 1\np = E.P\nq = int(p)",
        "q",
    ),
    "a named tuple": (
        "from typing import NamedTuple\nclass T(NamedTuple):\n    a: int\nt = T(1)\nu = tuple(t)",
        "u",
    ),
    "iterators": (
        "a = iter([1])\nb = (i for i in [1])\nc = {}.keys()\nd = zip()\ne = map(int, [])",
        "",
    ),
    "an exception": ("try: 1 / 0\nexcept Exception as e: kept = e\ntext = str(kept)", "text"),
    "a tool's answer": ("x = echo({'a': [1, None]})", "x"),
    "json": ("import json\nx = json.loads('[1, {}]')", "x"),
    "types": ("a = int\nb = list[int]\nc = ...", ""),
    "hidden names": ("_x = 1\n__y = 2\ndef __g(): pass", "__y _x"),
    "what came before an error": ("def f(): pass\nx = 1\n1 / 0", "x"),
}


@pytest.mark.parametrize(
    ("mode", "what"), [("functions", w) for w in FUNCTIONS] + [("data", w) for w in DATA]
)
def test_what_a_mode_keeps_is_found_and_listed_and_nothing_else(pool, steps, mode, what):
    code, names = (FUNCTIONS if mode == "functions" else DATA)[what]
    seen, after, later = steps(pool, mode, code, FOUND, FOUND)
    assert after.stdout == later.stdout == names + "\n"
    assert sorted(n for n in seen.bindings) == names.split()


@pytest.mark.parametrize("mode", ["functions", "data"])
def test_all_of_it_survives_in_persistent_and_nothing_in_reset(pool, steps, mode):
    """So that the tables above tell modes apart and not blocks."""
    for code, names in (FUNCTIONS if mode == "functions" else DATA).values():
        assert set(names.split()) <= set(steps(pool, "persistent", code, FOUND)[1].stdout.split())
        assert steps(pool, "reset", code, FOUND)[1].stdout == "\n"


def test_a_function_that_survives_finds_its_missing_data_missing(pool, steps):
    seen = steps(pool, "functions", "n = 1\ndef f(): return n", "f()", "n = 5\nprint(f())", "f()")
    assert [(o.stdout, o.error_type) for o in seen] == [
        ("", None),
        ("", "NameError"),
        ("5\n", None),
        ("", "NameError"),
    ]


def test_an_import_that_is_bound_anew_is_data(pool, steps):
    found = steps(pool, "functions", "from math import pi", "pi = 3", FOUND)
    assert [found[0].bindings, found[1].bindings, found[2].stdout] == [("pi",), (), "\n"]


def test_data_that_survives_is_the_same_objects(pool, steps):
    seen = steps(
        pool,
        "data",
        "a = [1]\nb = {'a': a}\nc = id(a)",
        "print(b['a'] is a, id(a) == c)\na.append(2)",
        "print(b)",
    )
    assert [o.stdout for o in seen[1:]] == ["True True\n", "{'a': [1, 2]}\n"]


HELP = "n = 1000\ndef up():\n    global n\n    n += 1"

# what: (k, blocks, names that the step after each block finds)
TTL = {
    "one step": (1, ["x = 1", "y = 2", "pass"], ["x", "y", ""]),
    "two steps": (2, ["x = 1", "y = 2", "pass", "pass"], ["x", "x y", "y", ""]),
    "three steps": (3, ["x = 1", "pass", "pass", "pass"], ["x", "x", "x", ""]),
    "functions and imports too": (
        1,
        ["import math\ndef f(): pass\nclass C: pass", "pass"],
        ["C f math", ""],
    ),
    "bound anew": (1, ["x = 1", "x = 2", "pass"], ["x", "x", ""]),
    "the same value again": (1, ["x = 1", "x = 1", "x = x", "pass"], ["x", "x", "x", ""]),
    "added to": (1, ["x = 1", "x += 1", "pass"], ["x", "x", ""]),
    "by a loop": (1, ["x = 1", "for x in [1]: pass", "pass"], ["x", "x", ""]),
    "by := in a comprehension": (1, ["x = 1", "[x := 1 for _ in [1]]", "pass"], ["x", "x", ""]),
    "by unpacking": (1, ["x = y = 1", "(x, [y]) = 1, [1]", "pass"], ["x y", "x y", ""]),
    "by def, class, import": (
        1,
        ["f = C = json = 1", "def f(): pass\nclass C: pass\nimport json"],
        ["C f json"] * 2,
    ),
    "by with and except": (
        1,
        [
            "x = 1",
            "import io\nwith io.StringIO() as x: pass",
            "x = io = 1\ntry: 1 / 0\nexcept Exception as x: pass",
        ],
        ["x", "io x", "io"],
    ),
    "by match": (1, ["x = 1", "match [1]:\n    case [x]: pass", "pass"], ["x", "x", ""]),
    "not by a change within": (2, ["x = []", "x.append(1)", "x.append(2)"], ["x", "x", ""]),
    "not by an attribute or an item": (1, ["class C: k = [1]", "C.k = 2"], ["C", ""]),
    "not by reading": (1, ["x = 1", "print(x)"], ["x", ""]),
    "not by a name of the same spelling": (
        1,
        ["x = 1", "def f():\n    x = 2\nf()\n[x for x in [1]]"],
        ["x", "f"],
    ),
    "not by an assignment that was not reached": (
        1,
        ["x = 1", "if 'x' not in globals(): x = 2", ""],
        ["x", "", ""],
    ),
    "by a helper's global": (2, [HELP, "up()", "up = up"], ["n up", "n up", "n up"]),
    "by a helper's global, twice": (2, [HELP, "up()\nup()", "up = up"], ["n up", "n up", "n up"]),
    "not by a helper that was not called": (
        2,
        [HELP, "up = up", "up = up"],
        ["n up", "n up", "up"],
    ),
    "by globals()": (2, ["x = 1", "globals()['x'] = 2", "pass"], ["x", "x", "x"]),
    "deleted and bound again": (2, ["x = 1", "del x", "x = 1", "pass"], ["x", "", "x", "x"]),
    "hidden names": (1, ["_x = __y = 1", "pass"], ["__y _x", ""]),
    "before an error": (1, ["x = 1\n1 / 0", "pass"], ["x", ""]),
}


@pytest.mark.parametrize("what", TTL)
def test_a_name_lasts_k_steps_since_it_was_last_bound(pool, steps, what):
    """Each block runs in a fresh episode too, where a look is the step after it: looking changes no
    ages."""
    k, blocks, names = TTL[what]
    mode = f"ttl:{k}"
    assert [" ".join(sorted(o.bindings)) for o in steps(pool, mode, *blocks)] == names
    for number, expected in enumerate(names, 1):
        assert steps(pool, mode, *blocks[:number], FOUND)[-1].stdout == expected + "\n"


UNKNOWN = [
    "forgetful",
    "",
    "ttl",
    "ttl:",
    "ttl:0",
    "ttl:-1",
    "ttl:x",
    "ttl:1.5",
    "ttl:²",
    "ttl:k",
    "ttl: 2",
    "ttl:1:2",
    "TTL:2",
    "persistent:2",
    "ttl:99999999",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_mode_is_one_line_that_lists_the_modes(name):
    with pytest.raises(UserError) as caught:
        persistence_named(name)
    assert "\n" not in str(caught.value) and repr(name) in str(caught.value)
    assert all(mode in str(caught.value) for mode in MODES) and len(MODES) == 5


def test_every_mode_has_its_name():
    assert [persistence_named(name).name for name in ALL] == list(ALL)
    assert [persistence_named(name).keeps for name in ALL] == [True, False, True, True, True]
    assert persistence_named("stateless") == persistence_named("reset")
    assert persistence_named("ttl:03").name == "ttl:3"


# The mode is seen in nothing else -----------------------------------------------------------------

STATELESS = [
    "print(1 + 1)",
    "for i in range(3): print(i)",
    "1 / 0",
    "print('a')\nraise ValueError('b')",
    "x = ",
    "print(missing)",
    "",
    "# nothing",
    "[1, 'shown']",
    "None",
    "5;",
    "import json\nprint(json.dumps({'a': [1, None]}))",
    "print(set('knapsack'))",
    "print(echo([1, 'a', None]))",
    "refuse('PermissionError')",
    "echo = 5",
    "print(object())",
    "import sys\nsys.exit(3)",
    "print('x' * 5000)",
    "print('é 漢 \\x1b')",
    "import sys\nprint('err', file=sys.stderr)\nprint('out')",
    "print(locals() is globals(), __name__)",
    "def f(): f()\nf()",
    "x = bytearray(1 << 33)",
    "1 is 1",
    "def f():\n    return [][2]\ntry: f()\nexcept IndexError as e: raise KeyError(1) from e",
    "import os\nos._exit(3)",
    "import os\nos.write(1, b'half')\nos._exit(3)",
    "import os\nos.fork()",
    "open('/etc/passwd')",
    "import os\nprint([os.get_inheritable(n) for n in range(4)])",
    "import threading\nprint(threading.active_count())",
    "import os\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept OSError as e: print(type(e).__name__)",
    "import traceback\ntraceback.print_stack()",
    "import sys\nprint(sys.argv, sys.getrecursionlimit())",
    "import signal\nprint(signal.getitimer(signal.ITIMER_REAL), signal.pthread_sigmask(signal.SIG_BLOCK, ()))",
    "import gc\nprint(gc.isenabled(), gc.get_freeze_count() > 0, gc.callbacks)",
]


@pytest.mark.parametrize("code", STATELESS)
def test_a_block_that_needs_no_state_is_seen_alike_in_all_modes(pool, steps, code):
    """Three times in a row, so that it is seen in new and in used children, with and without a copy
    behind them."""

    def seen(mode):
        plain = dict(bindings=(), shadowed=(), restored=False, seconds=0)
        return [replace(o, **plain) for o in steps(pool, mode, code, code, code)]

    expected = seen("reset")
    for mode in ALL:
        assert seen(mode) == expected, mode
    assert not any(o.state_lost for o in expected)
    first, *others = [
        replace(o, traceback=None, stdout=o.stdout.replace(f"<block {n}>", ""))
        for n, o in enumerate(expected, 1)
    ]
    assert others == [first, first]


@pytest.mark.parametrize("mode", ALL)
def test_limits_are_the_same_in_every_step_of_every_mode(pool, mode):
    """Neither the size of the state nor the number of steps changes what a block may use."""
    with Interpreter(pool, persistence_named(mode), {}, 1) as interpreter:
        for _ in range(6):
            seen = interpreter.run(
                "kept = 'x' * (20 << 20)\nx = bytearray(60 << 20)\ndel x\nprint(1)"
            )
            assert (seen.stdout, seen.killed_by, seen.error_type) == ("1\n", None, None)
