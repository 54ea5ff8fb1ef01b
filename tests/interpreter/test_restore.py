"""After a kill, a keeping mode continues from the state before the block that was killed, or, if so
set, from nothing."""

import time

import pytest

from knapsack_lib.interpreter import Interpreter, Pool, persistence_named

KEEPING = pytest.mark.parametrize("mode", ["persistent", "functions", "data", "ttl:3"])
EXIT = "import os\nos._exit(0)"
KILLS = {
    "time": ("import time\ntime.sleep(60)", "time"),
    "cpu": (
        "import hashlib, threading\nfor _ in range(3):\n    threading.Thread(target=hashlib.pbkdf2_hmac, "
        "args=('sha256', b'', b'', 10**8)).start()\nhashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)",
        "cpu",
    ),
    "output": ("while True: print('x' * 10_000)", "output"),
    "tool calls": ("while True:\n    try: echo(1)\n    except RuntimeError: pass", "tool calls"),
    "protocol": ("import os\nn = os.write(3, b'garbage ' * 9)", "protocol"),
    "exit": (EXIT, "exit"),
    "signal": ("import ctypes\nctypes.string_at(1)", "signal 11"),
}


# Profiles have whole seconds of processor time, tests need not
SHORT = {
    "wall_seconds": 1.5,
    "cpu_seconds": 0.2,
}


@pytest.fixture(scope="module")
def brief(make_limits):
    with Pool(make_limits().model_copy(update=SHORT)) as pool:
        yield pool


@pytest.fixture(scope="module")
def losing(make_limits):
    with Pool(make_limits().model_copy(update=SHORT), after_kill="lose") as pool:
        yield pool


SETUP = {
    "persistent": (
        "x = [1]\ndef g():\n    yield from 'abcdef'\nit = g()\nnext(it)\nimport random\nrandom.random()",
        "x.append(2); next(it); random.random(); y = 1; del g",
        "print(x, next(it), 'y' in globals(), g.__name__)",
        "[1] b False g\n",
    ),
    "functions": (
        "import math\ndef f(): return 7",
        "math.x = 1; f = None; g = lambda: 1; del math",
        "print(f(), hasattr(math, 'x'), 'g' in globals())",
        "7 False False\n",
    ),
    "data": (
        "x = [1]\ny = {'x': x}",
        "x.append(2); y['z'] = 1; z = 1",
        "print(x, y, y['x'] is x, 'z' in globals())",
        "[1] {'x': [1]} True False\n",
    ),
    "ttl:3": (
        "x = [1]\ndef f(): return 7",
        "x.append(2); z = 1; f = None",
        "print(x, f(), 'z' in globals())",
        "[1] 7 False\n",
    ),
}


@pytest.mark.parametrize("kill", KILLS)
@KEEPING
def test_what_the_killed_block_changed_is_undone(brief, steps, mode, kill):
    first, change, look, shown = SETUP[mode]
    code, by = KILLS[kill]
    before, seen, after = steps(brief, mode, first, f"{change}\nprint('seen')\n{code}", look)
    assert (seen.killed_by, seen.restored, seen.state_lost) == (by, True, False)
    assert seen.bindings == before.bindings and seen.written == ()
    assert kill == "output" or seen.stdout == "seen\n"
    assert (after.stdout, after.error_type, after.killed_by, after.restored) == (
        shown,
        None,
        None,
        False,
    )


@pytest.mark.parametrize("kill", KILLS)
@KEEPING
def test_the_state_can_be_lost_instead(losing, steps, mode, kill):
    first, change, _, _ = SETUP[mode]
    code, by = KILLS[kill]
    before, seen, after = steps(
        losing, mode, first, f"{change}\n{code}", "print(sorted(globals()))"
    )
    assert before.bindings and (seen.killed_by, seen.restored, seen.state_lost) == (by, False, True)
    assert seen.bindings == ()
    assert after.stdout == steps(losing, "reset", "print(sorted(globals()))")[0].stdout


@pytest.mark.parametrize("kill", KILLS)
def test_a_reset_step_has_no_state_to_restore_or_to_lose(brief, losing, steps, kill):
    code, by = KILLS[kill]
    for pool in (brief, losing):
        for seen in steps(pool, "reset", "x = 1", code, code, "x")[1:]:
            assert (seen.restored, seen.state_lost, seen.bindings) == (False, False, ())
            assert seen.killed_by == by or seen.error_type == "NameError"


@KEEPING
def test_a_kill_in_the_first_step_leaves_a_new_state(brief, losing, steps, mode):
    for pool in (brief, losing):
        seen = steps(
            pool,
            mode,
            EXIT,
            EXIT,
            "x = 1",
            "print(x if 'x' in globals() else 'functions keep no x')",
        )
        assert [(o.killed_by, o.restored, o.state_lost) for o in seen[:2]] == [
            ("exit", False, False)
        ] * 2
        assert seen[3].stdout == ("functions keep no x\n" if mode == "functions" else "1\n")


def test_several_kills_in_a_row_and_between_blocks_lead_back_each_time(brief, steps):
    blocks = ["x = [0]"]
    for n in range(1, 5):
        blocks += [
            EXIT,
            f"x.append('lost')\n{EXIT}",
            KILLS["signal"][0],
            f"x.append({n})\nprint(x)",
        ]
    seen = steps(brief, "persistent", *blocks)
    assert [o.stdout for o in seen if o.stdout] == [
        "[0, 1]\n",
        "[0, 1, 2]\n",
        "[0, 1, 2, 3]\n",
        "[0, 1, 2, 3, 4]\n",
    ]
    assert [o.restored for o in seen[1:]] == [True, True, True, False] * 4
    assert not any(o.state_lost for o in seen)


def test_errors_are_no_kills_and_undo_nothing(brief, steps):
    seen = steps(
        brief,
        "persistent",
        "x = [0]",
        "x.append(1)\n1 / 0",
        EXIT,
        "x.append(2)\nimport sys\nsys.exit()",
        "x",
    )
    assert seen[4].stdout == "[0, 1, 2]\n"


CONTINUED = {
    "random numbers": ("import random\nrandom.random()", "random.random()"),
    "normal numbers, two at a time": ("import random\nrandom.gauss(0, 1)", "random.gauss(0, 1)"),
    "a generator of random numbers": (
        "import random\nr = random.Random(1)\nr.random()",
        "r.random()",
    ),
    "a generator": ("it = (i * i for i in range(9))\nnext(it)", "next(it)"),
    "an iterator of a file in memory": (
        "import io\nf = io.StringIO('a\\nb\\nc\\nd\\n')\nnext(f)",
        "next(f)",
    ),
    "the recursion limit": ("import sys\nsys.setrecursionlimit(500)", "sys.getrecursionlimit()"),
    "the working folder": ("import os\nos.chdir('/proc')", "os.getcwd()"),
    "the environment": ("import os\nos.environ['K'] = 'v'", "os.environ['K']"),
    "signal handlers": (
        "import signal\nh = signal.signal(signal.SIGUSR1, print)",
        "signal.getsignal(signal.SIGUSR1)",
    ),
    "sys.stdout": (
        "import sys\nclass S:\n    write = sys.stdout.write\n    flush = sys.stdout.flush\nsys.stdout = S()",
        "type(sys.stdout).__name__",
    ),
    "objects by identity": ("a = object()\nb = id(a)", "id(a) == b"),
    "sets in their order": ("s = {'item_a', 'item_b', 'item_c', 'Ba', 'Ko'}", "s"),
    "the process": ("import os\nme = os.getpid()", "os.getpid() > 0"),
    "a lock that is held": (
        "import threading\nlock = threading.Lock()\nlock.acquire()",
        "lock.locked()",
    ),
    "the switch of gc": ("import gc\ngc.disable()", "gc.isenabled()"),
}


@pytest.mark.parametrize("what", CONTINUED)
@pytest.mark.parametrize("kills", [1, 3])
def test_the_episode_continues_as_if_the_killed_blocks_had_not_been(brief, steps, what, kills):
    first, again = CONTINUED[what]
    undisturbed = steps(brief, "persistent", first, again, again)
    seen = steps(
        brief, "persistent", first, *[f"{again}\n{EXIT}"] * kills, again, f"{again}\n{EXIT}", again
    )
    assert undisturbed[1].stdout and undisturbed[1].error_type is None
    assert [o.stdout for o in (seen[1 + kills], seen[-1])] == [o.stdout for o in undisturbed[1:]]


def test_what_a_copy_shares_with_its_original_is_not_as_it_was(brief, steps):
    """The kernel keeps these once for both: docs/interpreter.md says so."""
    first = (
        "import mmap, os\nr, w = os.pipe()\nn = os.write(w, b'abc')\nm = mmap.mmap(-1, 9)\nx = 0"
    )
    seen = steps(
        brief,
        "persistent",
        first,
        f"m[0] = x = 7\nn = os.read(r, 2)\n{EXIT}",
        "print(x, m[0], os.read(r, 9))",
    )
    assert seen[1].restored and seen[2].stdout == "0 7 b'c'\n"


PRINTING = """
import threading, time
def work():
    while True:
        print("." * 50)
        echo(0) if calls else time.sleep(0)
for _ in range(3): threading.Thread(target=work, daemon=True).start()
"""


@pytest.mark.parametrize("calls", [False, True], ids=["that prints", "that calls tools"])
def test_a_kill_next_to_a_thread_of_an_earlier_step(brief, steps, calls):
    """Threads are not copied; what they held while the copy was made must not hold up the next
    steps."""
    for _ in range(8):
        seen = steps(
            brief,
            "persistent",
            f"calls = {calls}\nx = [1]" + PRINTING,
            f"x.append(2)\n{EXIT}",
            "x",
            "x.append(3)",
            "x",
        )
        if seen[1].restored:
            assert [o.killed_by for o in seen[2:]] == [None] * 3
            assert seen[2].stdout.endswith("[1]\n") and seen[4].stdout.endswith("[1, 3]\n")
        else:
            assert calls  # a call between two steps can stand in the way of the copy


def test_a_child_that_dies_between_two_steps_is_a_kill_of_the_next(brief, steps):
    later = "import os, threading, time\nx = [1]\nthreading.Thread(target=lambda: (time.sleep(0.1), os._exit(0))).start()"
    with Interpreter(brief, persistence_named("persistent"), {}, 1) as interpreter:
        interpreter.run("x = [0]")
        interpreter.run(later)
        time.sleep(0.3)
        seen, after = interpreter.run("x.append(2)"), interpreter.run("x")
    assert seen.killed_by == "exit" and seen.restored != seen.state_lost
    assert after.stdout == "[1]\n" if seen.restored else after.error_type == "NameError"


def test_a_large_state_is_restored_within_its_memory_limit(steps, make_limits):
    """The copy shares what did not change, and what it may use is what the original might."""
    with Pool(make_limits(memory_mb=512)) as pool:
        look = "print(x[5], len(x) >> 20, 'y' in globals())"
        more = f"y = bytearray(100 << 20)\n{EXIT}"
        seen = steps(
            pool,
            "persistent",
            "x = bytearray(b'1') * (200 << 20)",
            f"x[5] = 0\n{EXIT}",
            look,
            "y = bytearray(400 << 20)",
            more,
            look,
        )
    assert (
        seen[2].stdout == seen[5].stdout == "49 200 False\n" and seen[3].error_type == "MemoryError"
    )


def test_an_unknown_way_after_a_kill_is_an_error(make_limits):
    from knapsack_lib.errors import UserError

    with pytest.raises(UserError, match="after_kill.*forgive.*restore, lose"):
        Pool(make_limits(), after_kill="forgive")
