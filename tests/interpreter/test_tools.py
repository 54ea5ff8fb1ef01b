"""Tools: plain values there and back, refusals as exceptions, a record the block cannot change, a
limit that holds."""

import time

import pytest

from knapsack_lib.interpreter import Pool

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
ALL = pytest.mark.parametrize("mode", ["persistent", "reset", "functions", "data", "ttl:2"])


@BOTH
def test_a_tools_result_comes_back_as_it_was(pool, steps, mode):
    values = [1, -2.5, "é漢\n", None, True, [1, ["a"]], {"k": {"n": None}}, 10**40, ""]
    seen = steps(
        pool,
        mode,
        *(f"v = {value!r}\nr = echo(v)\nprint(type(r) is type(v), r == v)" for value in values),
    )
    assert [o.stdout for o in seen] == ["True True\n"] * len(values)
    assert (
        [o.tool_calls[0].result for o in seen] == [o.tool_calls[0].args[0] for o in seen] == values
    )


@pytest.mark.parametrize("kind", ["ValueError", "PermissionError", "RuntimeError", "KeyError"])
@BOTH
def test_a_refusal_is_the_builtin_exception_of_its_kind(pool, steps, mode, kind):
    caught = f"try:\n    refuse('{kind}')\nexcept {kind} as error:\n    print(type(error).__name__, error)"
    seen, bare = steps(pool, mode, caught, f"refuse('{kind}')")
    assert (
        seen.stdout.startswith(kind)
        and f"a {kind} for you" in seen.stdout
        and seen.error_type is None
    )
    assert (
        seen.tool_calls[0].error == f"{kind}: a {kind} for you"
        and seen.tool_calls[0].result is None
    )
    assert (bare.error_type, bare.line) == (kind, 1) and f"a {kind} for you" in bare.error


@BOTH
def test_tool_calls_are_recorded_as_the_host_saw_them(pool, steps, mode):
    block = "echo(1)\nf = echo\nf('two')\ngetattr(__builtins__, 'print')\n[echo(x) for x in [[3]]]"
    seen = steps(pool, mode, block)[0]
    assert [(c.name, c.args) for c in seen.tool_calls] == [
        ("echo", [1]),
        ("echo", ["two"]),
        ("echo", [[3]]),
    ]


@BOTH
def test_wrong_arguments_are_type_errors(pool, steps, mode):
    seen = steps(
        pool,
        mode,
        "echo()",
        "echo(1, 2)",
        "echo(value=1)",
        "echo({1, 2})",
        "echo(object())",
        "echo({(): 1})",
    )
    assert [o.error_type for o in seen] == ["TypeError"] * 6
    assert all(o.killed_by is None for o in seen)


@BOTH
def test_arguments_that_cannot_be_spelled_are_errors_of_the_block(pool, steps, mode):
    loop = "a = []\na.append(a)\necho(a)"
    deep = "a = []\nfor _ in range(100_000): a = [a]\necho(a)"
    seen = steps(pool, mode, loop, deep, "echo('\\ud800')\nprint(echo(1e999))", "print(echo(1))")
    assert [o.killed_by for o in seen] == [None] * 4
    assert [o.error_type for o in seen[:2]] == ["ValueError", "RecursionError"] and seen[
        3
    ].stdout == "1\n"


@BOTH
def test_a_huge_argument_is_an_observation(pool, steps, mode):
    seen, after = steps(pool, mode, "echo('x' * 50_000)\necho('x' * 5_000_000)", "print(1)")
    assert (seen.error_type or seen.killed_by) and after.stdout == "1\n"
    assert len(seen.tool_calls[0].args[0]) == 50_000


@BOTH
def test_the_tool_limit_refuses_further_calls_and_is_anew_in_each_step(pool, steps, mode):
    seen = steps(
        pool, mode, "for i in range(6): print(echo(i))", "print(echo(0), echo(1), echo(2), echo(3))"
    )
    assert (
        seen[0].stdout == "0\n1\n2\n3\n"
        and seen[0].error_type == "RuntimeError"
        and "4 tool calls" in seen[0].error
    )
    assert seen[1].stdout == "0 1 2 3\n" and seen[1].error_type is None


TRY = "\nfor i in range(12):\n    try: done.append(echo(i))\n    except BaseException: pass"
ATTACKS = {
    "trying on": TRY,
    "a patched main module": "import __main__\n__main__.MAX_MESSAGE = 1 << 40\n__main__.tools = {}"
    + TRY,
    "a patched tool": "for n in ('__code__', '__closure__', '__name__'):\n    try: setattr(echo, n, None)\n"
    "    except Exception: pass" + TRY,
    "patched names of the tool": "own = echo.__globals__\nfor k in [*own]:\n    if k.isupper(): own[k] = 1 << 40"
    + TRY,
    "the tool's own send and receive": (
        "own = echo.__globals__\nfor i in range(12):\n"
        "    own['send']({'call': 'echo', 'args': [i]})\n    own['receive']()"
    ),
    "bytes on the socket": (
        "import json, os\nfor i in range(12):\n    m = json.dumps({'call': 'echo', 'args': [i]}).encode()\n"
        "    os.write(3, len(m).to_bytes(4, 'big') + m)\n    os.read(3, 1000)"
    ),
    "threads": "import threading\ndef ask(first):\n    for i in range(first, first + 6):\n"
    "        try: echo(i)\n        except RuntimeError: pass\n"
    "ts = [threading.Thread(target=ask, args=(i,)) for i in (0, 6)]\nfor t in ts: t.start()\nfor t in ts: t.join()",
}

# These may leave no working tool behind
BREAKING = {
    "patched names of the tool",
    "the tool's own send and receive",
}


@pytest.mark.parametrize("what", ATTACKS)
@BOTH
def test_the_tool_limit_cannot_be_got_round(pool, steps, mode, what):
    answered = []

    def count(value):
        answered.append(value)
        return value

    seen = steps(pool, mode, "done = []\n" + ATTACKS[what], tools={"echo": count})[0]
    assert answered == [c.args[0] for c in seen.tool_calls if c.error is None]
    assert len(answered) == 4 or (what in BREAKING and not answered)


@BOTH
def test_a_block_that_never_stops_calling_is_stopped(pool, steps, mode):
    seen, after = steps(
        pool, mode, "while True:\n    try: echo(1)\n    except Exception: pass", "print('on')"
    )
    assert seen.killed_by == "tool calls" and after.stdout == "on\n"
    assert len(seen.tool_calls) <= 16 and sum(c.error is None for c in seen.tool_calls) == 4


@BOTH
def test_calls_from_several_threads_each_get_their_own_answer(make_limits, steps, mode):
    def slow(value):
        time.sleep(0.002)
        return value

    block = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    print(list(pool.map(slow, range(24))) == list(range(24)))"
    )
    with Pool(make_limits(tool_calls=24)) as pool:
        assert [o.stdout for o in steps(pool, mode, block, block, tools={"slow": slow})] == [
            "True\n",
            "True\n",
        ]


@BOTH
def test_a_tool_that_fails_on_the_host_is_not_hidden_from_it(pool, steps, mode):
    """A fault of the world must not pass for something the agent did."""

    def broken():
        raise ZeroDivisionError("in the world")

    with pytest.raises(ZeroDivisionError, match="in the world"):
        steps(pool, mode, "try: broken()\nexcept BaseException: pass", tools={"broken": broken})


# Names --------------------------------------------------------------------------------------------


@ALL
def test_tools_are_there_in_every_step_and_are_no_binding(pool, steps, mode):
    seen = steps(
        pool,
        mode,
        "x = echo(1)",
        "print(echo(2), 'echo' in globals())",
        "def f(): return echo(3)\nprint(f())",
    )
    assert [o.stdout for o in seen] == ["", "2 False\n", "3\n"]
    assert not any("echo" in o.bindings or o.shadowed for o in seen)


SHADOWS = {
    "assignment": "echo = 5",
    "def": "def echo(x): return 5",
    "import": "import json as echo",
    "for": "for echo in [5]: pass",
    "globals()": "globals()['echo'] = 5",
}


@pytest.mark.parametrize("what", SHADOWS)
def test_a_tool_that_was_shadowed_is_listed_and_back_with_del(pool, steps, what):
    seen = steps(
        pool,
        "persistent",
        SHADOWS[what],
        "x = 1",
        "1 / 0",
        "del echo\nprint(echo(3))",
        "print(echo(4))",
    )
    assert [o.shadowed for o in seen] == [("echo",)] * 3 + [()] * 2
    assert [o.stdout for o in seen[3:]] == ["3\n", "4\n"]
    assert [c.args for c in seen[3].tool_calls] == [[3]]


@pytest.mark.parametrize(
    ("mode", "code", "shadowed"),
    [
        ("reset", "echo = 5", [(), (), ()]),
        ("data", "echo = 5", [("echo",)] * 3),
        ("data", "def echo(): pass", [(), (), ()]),
        ("functions", "echo = 5", [(), (), ()]),
        ("functions", "def echo(): pass", [("echo",)] * 3),
        ("ttl:2", "echo = 5", [("echo",), ("echo",), ()]),
        ("persistent", "echo = refuse = 5", [("echo", "refuse")] * 3),
    ],
)
def test_a_shadow_lasts_as_long_as_the_mode_keeps_it(pool, steps, mode, code, shadowed):
    look = "try: print(echo(3))\nexcept TypeError: print('mine')"
    seen = steps(pool, mode, code, look, look)
    assert [o.shadowed for o in seen] == shadowed
    assert [o.stdout for o in seen[1:]] == ["mine\n" if names else "3\n" for names in shadowed[:2]]


def test_a_shadow_behind_many_names_is_listed_too(pool, steps):
    seen = steps(pool, "persistent", "for i in range(2000): globals()[f'n{i}'] = i\necho = 5")[0]
    assert seen.shadowed == ("echo",)


def test_a_kill_keeps_the_shadows_of_the_state_it_goes_back_to(pool, steps):
    kill = "import os\nos._exit(0)"
    seen = steps(
        pool, "persistent", "echo = 5", "del echo\n" + kill, "refuse = 5\n" + kill, "print(echo)"
    )
    assert [o.shadowed for o in seen] == [("echo",)] * 4 and seen[3].stdout == "5\n"
