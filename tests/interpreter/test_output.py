"""What the agent sees of a block that goes well: its output, in order, bounded, with nothing of
this machine in it."""

import json
import re

import pytest

from knapsack_lib.interpreter import Pool

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])

LAST = {
    "an expression": ("1 + 1", "2\n"),
    "after other lines": ("print('a')\nx = [1, 'é']\nx", "a\n[1, 'é']\n"),
    "on several lines": ("[\n  1,\n  2,\n]", "[1, 2]\n"),
    "before a comment": ("5  # five\n\n# the end\n", "5\n"),
    "a text": ("'a\\n'", "'a\\n'\n"),
    "a text that ends like no expression": ("'a;'", "'a;'\n"),
    "an object": ("object()", "<object object at 0x>\n"),
    "an assignment by :=": ("(x := 3)", "3\n"),
    "a call that prints and gives": ("[print('a')]", "a\n[None]\n"),
    "None": ("None", ""),
    "a call that gives None": ("print('a')", "a\n"),
    "with a semicolon": ("5;", ""),
    "with a semicolon and more": ("5; 6", "6\n"),
    "with a semicolon and spaces": ("5 ;  \n", ""),
    "an assignment": ("x = 5", ""),
    "inside an if": ("if True: 5", ""),
    "not the last": ("5\nx = 1", ""),
    "a definition": ("def f(): return 5", ""),
    "an empty block": ("", ""),
}


@pytest.mark.parametrize("what", LAST)
@BOTH
def test_a_last_expression_is_shown_as_in_a_notebook(pool, steps, mode, what):
    code, shown = LAST[what]
    seen = steps(pool, mode, code)[0]
    assert (seen.stdout, seen.error_type) == (shown, None)


@BOTH
def test_a_last_expression_that_cannot_be_shown_is_an_error_of_the_block(pool, steps, mode):
    block = "class R:\n    def __repr__(self): raise KeyError('no')\nprint('a')\nR()"
    seen = steps(pool, mode, block)[0]
    assert (seen.stdout, seen.error_type, seen.error, seen.line, seen.killed_by) == (
        "a\n",
        "KeyError",
        "'no'",
        2,
        None,
    )


def test_object_addresses_are_masked_in_output_and_errors(pool, steps):
    seen = steps(
        pool, "persistent", "o = object()\nprint(o, [lambda: 0])\nraise ValueError(repr(o))"
    )[0]
    assert not re.search(r"0x[0-9a-f]+", seen.stdout + seen.error + seen.traceback)
    assert all("object at 0x" in text for text in (seen.stdout, seen.error, seen.traceback))
    assert steps(pool, "reset", "print(hex(255), hex(10**9))")[0].stdout == "0xff 0x3b9aca00\n"


def test_set_order_is_the_same_in_every_child_and_every_pool(pool, steps, make_limits):
    code = "print(list({'item_a', 'item_b', 'item_c', 'Ba', 'Ko', 'Ti', 'Mu'}))"
    seen = {o.stdout for o in steps(pool, "reset", code, code)}
    with Pool(make_limits()) as other:
        seen.add(steps(other, "persistent", code)[0].stdout)
    assert len(seen) == 1


@BOTH
def test_output_beyond_the_limit_is_cut_with_a_note(pool, steps, mode):
    seen = steps(
        pool, mode, "print('é' * 1999)", "print('é' * 2001)", "print('ab' * 90_000)", "'x' * 2001"
    )
    assert seen[0].stdout == "é" * 1999 + "\n"
    assert seen[1].stdout == "é" * 2000 + "\n[output cut at 2000 characters]\n"
    assert seen[2].stdout == "ab" * 1000 + "\n[output cut at 2000 characters]\n"
    assert seen[3].stdout == "'" + "x" * 1999 + "\n[output cut at 2000 characters]\n"
    assert all(o.killed_by is None for o in seen)


@BOTH
def test_output_that_is_not_utf8_is_shown_as_well_as_can_be(pool, steps, mode):
    assert (
        steps(pool, mode, "import os\nn = os.write(1, b'\\xff\\xfeok\\n')")[0].stdout
        == "\ufffd\ufffdok\n"
    )
    assert steps(pool, mode, "print('\\ud800 ok')")[0].stdout == "? ok\n"


def test_what_was_printed_before_a_tool_call_or_an_error_comes_in_order(pool, steps):
    code = "import sys, os\nprint('a')\necho(1)\nos.write(1, b'b\\n')\nprint('c', file=sys.stderr)\n1 / 0"
    assert steps(pool, "reset", code)[0].stdout == "a\nb\nc\n"


@BOTH
def test_output_before_an_error_is_kept_to_the_last_letter(pool, steps, mode):
    seen = steps(
        pool,
        mode,
        "print('a')\nprint('b', end='')\n1 / 0",
        "import sys\nsys.stdout.write('c')\nsys.exit()",
    )
    assert [o.stdout for o in seen] == ["a\nb", "c"]


@BOTH
def test_usual_python_works(pool, steps, mode):
    block = (
        "from dataclasses import dataclass\nfrom collections import Counter, namedtuple\n"
        "from itertools import combinations\n"
        "import re, math, heapq, functools, typing, enum\n"
        "@dataclass\nclass A:\n    x: int\n"
        "class E(enum.Enum):\n    P = 1\n"
        "print(A(1), E.P, namedtuple('T', 'a')(2), len(list(combinations(range(5), 2))), [y := 3, y])"
    )
    assert steps(pool, mode, block)[0].stdout == "A(x=1) E.P T(a=2) 10 [3, 3]\n"


# Modules that a confined process can break: those with C parts, with data files, with threads, with
# clocks.
LIBRARY = {
    "C libraries": "import bz2, ctypes, hashlib, lzma, sqlite3, zlib\n"
    "print(sqlite3.connect(':memory:').execute('select 7').fetchone())",
    "numbers": "import decimal, fractions, math, random, statistics\nprint((statistics.median([7, 1, 9]),))",
    "texts": "import difflib, json, pprint, re, string, textwrap, unicodedata\n"
    "print((len(textwrap.wrap('a ' * 50, 15)),))",
    "time": "import calendar, datetime, time, zoneinfo\ntime.sleep(0.001)\n"
    "z = zoneinfo.ZoneInfo('Europe/Berlin')\n"
    "print((datetime.datetime(2024, 7, 1, 5, tzinfo=datetime.UTC).astimezone(z).hour,))",
    "threads": "import queue, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(3) as p: print((sum(p.map(len, ['abc', 'abcd'])),))",
    "code": "import ast, contextlib, dis, functools, inspect, timeit, typing\ndef f():\n    return 7\n"
    "print((eval(inspect.getsource(f).split('return')[1]),))",
    "chance": "import os, secrets, uuid\nprint((len({secrets.token_hex() for _ in range(7)}),))",
    "a coroutine by hand": "async def f(): return 7\ntry: f().send(None)\nexcept StopIteration as e: print((e.value,))",
}


@pytest.mark.parametrize("what", LIBRARY)
def test_the_standard_library_works_in_a_confined_child(pool, steps, what):
    seen = steps(pool, "reset", LIBRARY[what])[0]
    assert (seen.stdout, seen.error) == ("(7,)\n", None)


@BOTH
def test_asking_for_input_does_not_hang(pool, steps, mode):
    seen = steps(pool, mode, "input('?')")[0]
    assert seen.error_type == "EOFError" and seen.seconds < 2


@pytest.mark.parametrize(
    "code",
    [
        "raise type('X' * 30_000, (ValueError,), {})()",
        "raise type('X' * 100_000, (ValueError,), {})()",
        "for i in range(3000): globals()['name' * 200 + str(i)] = 1",
        "for i in range(500): globals()['é' * 75 + str(i)] = 1",
        "raise SystemExit('x' * 10**6)",
        "raise ValueError('x' * 10**6)",
        "def " + "f" * 50_000 + "(): 1 / 0\n" + "f" * 50_000 + "()",
        "1 / 0 #" + "x" * 100_000,
        "try:\n    raise ValueError('y' * 10**6)\nexcept ValueError as e:\n    raise KeyError('x' * 10**6) from e",
        "def f(n): return f(n - 1) if n else 1 / 0\nf(500)",
        "exec('def f(n):\\n  try: 1 / 0 if n < 1 else f(n - 1)\\n  except Exception: raise ValueError(n)')\nf(50)",
    ],
    ids=[
        "long type",
        "longer type",
        "many names",
        "many foreign names",
        "long exit",
        "long message",
        "long function",
        "long line",
        "long cause",
        "many calls",
        "many causes",
    ],
)
@BOTH
def test_the_report_of_a_harmless_block_is_bounded_and_no_kill(pool, steps, mode, code):
    seen = steps(pool, mode, code)[0]
    assert seen.killed_by is None
    assert (
        len(seen.error or "") <= 300
        and len(seen.error_type or "") <= 300
        and len(seen.traceback or "") <= 8000
    )
    for names in (seen.bindings, seen.written):
        assert len(names) <= 500 and all(len(name) <= 80 for name in names)


FORGED = """
import json, os, time
error = {"type": "E" * 9000, "message": "m" * 90_000, "trace": "t" * 90_000, "line": 10**300}
names = ["n" * 9000] * 50
text = json.dumps({"done": 1, "error": error, "bindings": names, "written": names, "shadowed": names}).encode()
text = len(text).to_bytes(4, "big") + text
while text: text = text[os.write(3, text):]
time.sleep(0.2)
"""


@BOTH
def test_a_report_that_a_block_forges_is_bounded_too(pool, steps, mode):
    """A block can end its own step with a message in the worker's place: then it is shown no more
    than others."""
    seen = steps(pool, mode, FORGED)[0]
    assert (
        len(seen.error or "") <= 300
        and len(seen.error_type or "") <= 300
        and len(seen.traceback or "") <= 8000
    )
    for names in (seen.bindings, seen.written):
        assert len(names) <= 500 and all(len(name) <= 80 for name in names)


@BOTH
def test_a_huge_block_is_run_or_refused_but_harmless(pool, steps, mode):
    seen, after = steps(pool, mode, "x = 1\n" * 40_000, "print(1)")
    assert seen.killed_by in (None, "time", "cpu") and after.stdout == "1\n"


def test_observations_can_be_written_as_json(pool, steps):
    """Also with the texts that most writers forget: they reach a file sooner or later."""
    texts = [
        "print('\\u2028')",
        "raise ValueError('\\ud800')",
        "globals()['\\udc00'] = 1",
        "echo('\\ud9ff')",
        "'\\ud800'",
        "x = '\ud800'",
        "class E(Exception):\n    def __str__(self): return '\\udfff'\nraise E",
    ]
    for seen in steps(pool, "persistent", *texts):
        shown = [
            seen.stdout,
            seen.error,
            seen.traceback,
            *seen.bindings,
            *seen.written,
            *map(str, seen.tool_calls),
        ]
        assert json.dumps(shown, ensure_ascii=False).encode("utf-8")
