"""The interpreter: what survives a step, tools over the pipe, kills as observations, nothing hidden or left over.

Every test runs real child processes. `step` and `steps` run blocks in a new episode of one mode.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter import MODES, Pool, persistence_named
from knapsack_lib.profiles import UserError

ROOT = Path(__file__).parent.parent
BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])


def echo(value):
    return value


def refuse(kind):
    raise ToolError(kind, f"a {kind} for you")


TOOLS = {"echo": echo, "refuse": refuse}


@pytest.fixture(scope="module")
def pool(make_limits):
    with Pool(make_limits()) as pool:
        yield pool


@pytest.fixture(scope="module")
def hasty(make_limits):
    """A pool whose steps have half a second."""
    with Pool(make_limits(wall_seconds=0.5, cpu_seconds=1)) as pool:
        yield pool


def steps(pool, mode, *blocks, tools=TOOLS, seed=1):
    with pool.interpreter(persistence_named(mode), tools, seed) as interpreter:
        return [interpreter.run(block) for block in blocks]


def still_there(pid):
    """Whether a process runs (one that is dead and waits for init to reap it does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids, within=3.0):
    deadline = time.monotonic() + within
    while any(map(still_there, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = [pid for pid in pids if still_there(pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not left


# What survives a step -------------------------------------------------------------------------------------------------

SURVIVORS = {
    "a variable": ("x = [1]", "print(x == [1])"),
    "a changed variable": ("x = [1]\nx.append(2)", "print(x == [1, 2])"),
    "a function": ("def f(): return 7", "print(f() == 7)"),
    "a function's globals": ("n = 1\ndef f():\n    global n\n    n += 1\nf()", "f()\nprint(n == 3)"),
    "a class": ("class C:\n    k = 3", "print(C.k == 3)"),
    "an import": ("import math", "print(math.pi > 3)"),
    "a module's attribute": ("import json\njson.x = 1", "import json\nprint(json.x == 1)"),
    "a patched builtin": ("import builtins\nbuiltins.sum = lambda v: 'mine'", "print(sum([1]) == 'mine' or 1 / 0)"),
    "an added builtin": ("import builtins\nbuiltins.zz = 5", "print(zz == 5)"),
    "a shadowed builtin": ("sum = max = 9", "print(sum == 9 or 1 / 0)"),
    "an environment variable": ("import os\nos.environ['K'] = 'v'", "import os\nprint(os.environ['K'] == 'v')"),
    "the working folder": ("import os\nos.chdir('/proc')", "import os\nprint(os.getcwd() == '/proc' or 1 / 0)"),
    "an open pipe": ("import os\nr, w = os.pipe()\nos.write(w, b'hi')", "print(os.read(r, 2) == b'hi')"),
    "sys.modules": ("import sys\nsys.modules['mine'] = sys", "import mine\nprint(mine.__name__ == 'sys')"),
    "a thread's work": (
        "import threading, time\nn = []\nthreading.Thread(target=lambda: (time.sleep(0.05), n.append(1))).start()",
        "import time\ntime.sleep(0.2)\nprint(n == [1])",
    ),
    "the recursion limit": ("import sys\nsys.setrecursionlimit(77)",
    "import sys\nprint(sys.getrecursionlimit() == 77 or 1 / 0)"),
    "what came before an error": ("x = 1\nraise ValueError", "print(x == 1)"),
    "what came before sys.exit": ("import sys\nx = 1\nsys.exit()", "print(x == 1)"),
}  # fmt: skip


@pytest.mark.parametrize("what", SURVIVORS)
def test_it_survives_a_step_of_a_persistent_episode_and_no_other(pool, what):
    first, second = SURVIVORS[what]
    kept = steps(pool, "persistent", first, second)[1]
    assert (kept.stdout, kept.error_type, kept.killed_by, kept.state_lost) == ("True\n", None, None, False)
    lost = steps(pool, "reset", first, second)[1]
    assert lost.error_type in ("NameError", "AttributeError", "KeyError", "ModuleNotFoundError", "ZeroDivisionError")
    assert "True" not in lost.stdout and not lost.state_lost


@BOTH
def test_nothing_crosses_from_one_episode_to_the_next(pool, mode):
    steps(pool, mode, "import json, builtins\nx = 1\njson.x = 1\nbuiltins.zz = 1")
    seen = steps(pool, mode, "import json\nprint('x' in globals(), hasattr(json, 'x'), 'zz' in dir(__builtins__))")
    assert seen[0].stdout == "False False False\n"


def test_live_names_are_the_agents_own_and_none_after_a_reset(pool):
    blocks = ("a = 1\nimport json\ndef f(): pass\n_b = 2", "c = 3\ndel a")
    assert [o.bindings for o in steps(pool, "persistent", *blocks)] == [
        ("a", "json", "f", "_b"),
        ("json", "f", "_b", "c"),
    ]
    assert [o.bindings for o in steps(pool, "reset", blocks[0], "c = 3")] == [(), ()]


@pytest.mark.parametrize(
    "code",
    [
        "print(1 + 1)", "for i in range(3): print(i)", "1 / 0", "print('a')\nraise ValueError('b')", "x = ",
        "print(missing)",
        "import json\nprint(json.dumps({'a': [1, None]}))", "print(set('knapsack'))", "print(echo([1, 'a', None]))",
        "refuse('PermissionError')", "print(object())", "import sys\nsys.exit(3)", "print('x' * 5000)",
        "print('é 漢 \\x1b')",
        "import sys\nprint('err', file=sys.stderr)\nprint('out')", "print(locals() is globals(), __name__)", "",
    ],
)  # fmt: skip
def test_a_block_that_needs_no_state_is_seen_alike_in_both_modes(pool, code):
    """Twice in a row, so that the second is seen in a used child and in a new one."""

    def seen(mode):
        return [replace(o, bindings=(), seconds=0) for o in steps(pool, mode, code, code)]

    assert seen("persistent") == seen("reset")
    assert seen("reset")[0] == seen("reset")[1]


def test_randomness_is_seeded_by_the_episode(pool):
    code = "import random\nprint(random.random(), hash('a'))"
    first, again = (steps(pool, "reset", code, code)[0].stdout for _ in range(2))
    assert first == again == steps(pool, "persistent", code)[0].stdout
    assert first != steps(pool, "reset", code, seed=2)[0].stdout


def test_an_unknown_mode_lists_the_modes():
    assert persistence_named("stateless") is MODES["reset"]
    with pytest.raises(UserError, match="persistent, reset"):
        persistence_named("forgetful")


# What is seen ---------------------------------------------------------------------------------------------------------


@BOTH
def test_an_error_is_reported_with_type_message_and_line(pool, mode):
    seen = steps(pool, mode, "x = 1\ndef f():\n    return [][2]\nf()")[0]
    assert (seen.error_type, seen.error, seen.line, seen.killed_by) == (
        "IndexError",
        "list index out of range",
        3,
        None,
    )


def test_a_missing_name_is_a_name_error_however_it_arises(pool):
    found = steps(pool, "reset", "print(rest)", "def f():\n    return rest\nf()", "def f():\n    n += 1\nf()")
    assert [o.error_type for o in found] == ["NameError", "NameError", "UnboundLocalError"]


def test_object_addresses_are_masked_in_output_and_errors(pool):
    seen = steps(pool, "persistent", "o = object()\nprint(o, [lambda: 0])\nraise ValueError(repr(o))")[0]
    assert not re.search(r"0x[0-9a-f]+", seen.stdout + seen.error)
    assert "object at 0x" in seen.stdout and "object at 0x" in seen.error


def test_set_order_is_the_same_in_every_child_and_every_pool(pool, make_limits):
    code = "print(list({'item_a', 'item_b', 'item_c', 'Ba', 'Ko', 'Ti', 'Mu'}))"
    seen = {o.stdout for o in steps(pool, "reset", code, code)}
    with Pool(make_limits()) as other:
        seen.add(steps(other, "persistent", code)[0].stdout)
    assert len(seen) == 1


@BOTH
def test_output_beyond_the_limit_is_cut_and_said_to_be(pool, mode):
    seen = steps(pool, mode, "print('é' * 1999)", "print('é' * 2001)", "print('ab' * 90_000)")
    assert seen[0].stdout == "é" * 1999 + "\n"
    assert seen[1].stdout == "é" * 2000 + "\n[output cut at 2000 characters]\n"
    assert seen[2].stdout == "ab" * 1000 + "\n[output cut at 2000 characters]\n"
    assert all(o.killed_by is None for o in seen)


@BOTH
def test_output_that_is_not_utf8_is_shown_as_well_as_can_be(pool, mode):
    assert steps(pool, mode, "import os\nos.write(1, b'\\xff\\xfeok\\n')")[0].stdout == "\ufffd\ufffdok\n"
    assert steps(pool, mode, "print('\\ud800 ok')")[0].stdout == "? ok\n"


def test_what_was_printed_before_a_tool_call_or_an_error_comes_in_order(pool):
    seen = steps(
        pool, "reset", "import sys, os\nprint('a')\necho(1)\nos.write(1, b'b\\n')\nprint('c', file=sys.stderr)\n1 / 0"
    )[0]
    assert seen.stdout == "a\nb\nc\n"


@BOTH
def test_usual_python_works(pool, mode):
    block = (
        "from dataclasses import dataclass\nfrom collections import Counter, namedtuple\n"
        "from itertools import combinations\n"
        "import re, math, heapq, functools, typing, enum\n"
        "@dataclass\nclass A:\n    x: int\n"
        "class E(enum.Enum):\n    P = 1\n"
        "print(A(1), E.P, namedtuple('T', 'a')(2), len(list(combinations(range(5), 2))), [y := 3, y])"
    )
    assert steps(pool, mode, block)[0].stdout == "A(x=1) E.P T(a=2) 10 [3, 3]\n"


@BOTH
def test_asking_for_input_does_not_hang(pool, mode):
    seen = steps(pool, mode, "input('?')")[0]
    assert seen.error_type == "EOFError" and seen.seconds < 2


# Tools ----------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_tools_result_comes_back_as_it_was(pool, mode):
    values = [1, -2.5, "é漢\n", None, True, [1, ["a"]], {"k": {"n": None}}]
    seen = steps(pool, mode, *(f"v = {value!r}\nr = echo(v)\nprint(type(r) is type(v), r == v)" for value in values))
    assert [o.stdout for o in seen] == ["True True\n"] * len(values)
    assert [o.tool_calls[0].result for o in seen] == [o.tool_calls[0].args[0] for o in seen] == values


@pytest.mark.parametrize("kind", ["ValueError", "PermissionError", "RuntimeError", "KeyError"])
@BOTH
def test_a_refusal_is_the_builtin_exception_of_its_kind(pool, mode, kind):
    caught = f"try:\n    refuse('{kind}')\nexcept {kind} as error:\n    print(type(error).__name__, error)"
    seen, bare = steps(pool, mode, caught, f"refuse('{kind}')")
    assert seen.stdout.startswith(kind) and f"a {kind} for you" in seen.stdout and seen.error_type is None
    assert seen.tool_calls[0].error == f"{kind}: a {kind} for you" and seen.tool_calls[0].result is None
    assert (bare.error_type, bare.line) == (kind, 1) and f"a {kind} for you" in bare.error


@BOTH
def test_tool_calls_are_recorded_as_the_host_saw_them(pool, mode):
    seen = steps(pool, mode, "echo(1)\nf = echo\nf('two')\ngetattr(__builtins__, 'print')\n[echo(x) for x in [[3]]]")[0]
    assert [(c.name, c.args) for c in seen.tool_calls] == [("echo", [1]), ("echo", ["two"]), ("echo", [[3]])]


@BOTH
def test_wrong_arguments_are_type_errors(pool, mode):
    seen = steps(pool, mode, "echo()", "echo(1, 2)", "echo(value=1)", "echo({1, 2})")
    assert [o.error_type for o in seen] == ["TypeError"] * 4
    assert all(o.killed_by is None for o in seen)


@BOTH
def test_the_tool_limit_refuses_further_calls_and_is_anew_in_each_step(pool, mode):
    seen = steps(pool, mode, "for i in range(6): print(echo(i))", "print(echo(0), echo(1), echo(2), echo(3))")
    assert seen[0].stdout == "0\n1\n2\n3\n" and seen[0].error_type == "RuntimeError" and "4 tool calls" in seen[0].error
    assert seen[1].stdout == "0 1 2 3\n" and seen[1].error_type is None


@pytest.mark.parametrize(
    "attack",
    [
        "for i in range(12):\n    try: done.append(echo(i))\n    except BaseException: pass",
        "import __main__\n__main__.MAX_MESSAGE = 1 << 40\n__main__.tools = {}\nfor i in range(12):\n"
        "    try: done.append(echo(i))\n    except Exception: pass",
        "import __main__\n"
        "sock = [c.cell_contents for c in echo.__closure__ if hasattr(c.cell_contents, 'sendall')][0]\n"
        "for i in range(12):\n    __main__.send(sock, {'call': 'echo', 'args': [i]})\n    __main__.receive(sock)",
    ],
)  # fmt: skip
@BOTH
def test_the_tool_limit_cannot_be_got_round(pool, mode, attack):
    answered = []

    def count(value):
        answered.append(value)
        return value

    steps(pool, mode, "done = []\n" + attack, tools={"echo": count})
    assert answered == [0, 1, 2, 3]


@BOTH
def test_a_block_that_never_stops_calling_is_stopped(pool, mode):
    seen, after = steps(pool, mode, "while True:\n    try: echo(1)\n    except Exception: pass", "print('on')")
    assert seen.killed_by == "tool calls" and after.stdout == "on\n"
    assert len(seen.tool_calls) <= 16 and sum(c.error is None for c in seen.tool_calls) == 4


@BOTH
def test_calls_from_several_threads_each_get_their_own_answer(make_limits, mode):
    def slow(value):
        time.sleep(0.002)
        return value

    block = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    print(list(pool.map(slow, range(24))) == list(range(24)))"
    )
    with Pool(make_limits(tool_calls=24)) as pool:
        assert [o.stdout for o in steps(pool, mode, block, block, tools={"slow": slow})] == ["True\n", "True\n"]


@BOTH
def test_a_tool_that_was_shadowed_is_back_only_after_a_reset(pool, mode):
    seen = steps(pool, mode, "echo = 5", "print(echo(3))")[1]
    assert (seen.stdout == "3\n") == (mode == "reset")


# Whatever a block does is an observation ------------------------------------------------------------------------------

ERRORS = {
    "sys.exit": ("import sys\nsys.exit('bye')", "SystemExit"),
    "SystemExit": ("raise SystemExit", "SystemExit"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "own BaseException": ("class Own(BaseException): pass\nraise Own('x')", "BaseException"),
    "own Exception": ("class Own(Exception): pass\nraise Own('x')", "Exception"),
    "exception group": ("raise ExceptionGroup('g', [ValueError(1)])", "ExceptionGroup"),
    "str raises": ("class E(Exception):\n    def __str__(self): raise KeyError\nraise E", "Exception"),
    "str raises itself": ("class E(BaseException):\n    def __str__(self): raise self\nraise E", "BaseException"),
    "str is no text": ("class E(Exception):\n    def __str__(self): return 5\nraise E", "Exception"),
    "str exits": ("import sys\nclass E(Exception):\n    def __str__(self): sys.exit()\nraise E", "Exception"),
    "str is huge": ("class E(Exception):\n    def __str__(self): return 'x' * 10**7\nraise E", "Exception"),
    "raise a non-exception": ("raise 5", "TypeError"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("x = bytearray(1 << 33)", "MemoryError"),
    "memory by parts": ("x = []\nwhile True: x.append(bytearray(1 << 22))", "MemoryError"),
    "syntax": ("def f(:", "SyntaxError"),
    "indentation": ("  x = 1\n y = 2", "IndentationError"),
    "tabs": ("if 1:\n        x = 1\n\ty = 2", "TabError"),
    "a NUL byte": ("x = 1\0", "SyntaxError"),
    "a lone surrogate": ("x = '\ud800'", "UnicodeEncodeError"),
    "deep brackets": ("x = " + "(" * 50_000 + ")" * 50_000, "SyntaxError"),
    "a tool named by dots": ("echo.missing", "AttributeError"),
    "import of the package": ("import knapsack_lib", "ModuleNotFoundError"),
    "import of numpy": ("import numpy", "ModuleNotFoundError"),
    "return outside": ("return 5", "SyntaxError"),
    "writing": ("import os\nfd = os.memfd_create('m')\nos.write(fd, b'x')", "OSError"),
}  # fmt: skip


@pytest.mark.parametrize("what", ERRORS)
@BOTH
def test_an_error_is_an_observation_and_state_stays(pool, mode, what):
    code, kind = ERRORS[what]
    before, seen, after = steps(pool, mode, "kept = 1", code, "print('kept' in globals())")
    assert (seen.error_type, seen.killed_by, seen.state_lost) == (kind, None, False)
    assert len(seen.error) <= 300
    assert (after.stdout, after.error_type) == (f"{mode == 'persistent'}\n", None)


@BOTH
def test_a_block_can_put_nothing_into_a_file(pool, tmp_path, mode):
    """Else a note on disk would carry state across a reset."""
    target = tmp_path / "note"
    seen = steps(pool, mode, f"with open({str(target)!r}, 'w') as file: file.write('x' * 10)", "print(1)")
    assert seen[0].error_type is not None and seen[1].stdout == "1\n"
    assert not target.exists() or target.read_bytes() == b""


KILLS = {
    "os._exit": ("import os\nos._exit(0)", "exit"),
    "os._exit 3": ("import os\nos._exit(3)", "exit"),
    "SIGSEGV": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
    "SIGKILL": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "signal 9, or exit"),
    "abort": ("import os\nos.abort()", "signal 6"),
    "kill the group": ("import os\nos.killpg(0, 9)", "signal 9, or exit"),
    "output flood": ("while True: print('x' * 1000)", "output"),
    "raw output flood": ("import os\nwhile True: os.write(2, b'y' * 65536)", "output"),
    "garbage to every descriptor": (
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'garbage ' * 9)\n    except OSError: pass",
        "protocol",
    ),
    "a message of no sense": (
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'\\0\\0\\0\\2{}')\n    except OSError: pass",
        "protocol",
    ),
    "a huge message": (
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'\\x7f\\xff\\xff\\xff')\n    except OSError: pass",
        "protocol",
    ),
    "deeply nested message": (
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'\\0\\0\\xff\\0' + b'[' * 0xff00)\n"
        "    except OSError: pass",
        "protocol",
    ),
    "a call of no tool": (
        "import os, json\nm = json.dumps({'call': '__class__', 'args': []}).encode()\nfor fd in range(3, 256):\n"
        "    try: os.write(fd, len(m).to_bytes(4, 'big') + m)\n    except OSError: pass",
        "protocol",
    ),
    "a false end": (
        "import os, json\nm = json.dumps({'done': True, 'error': 5, 'bindings': []}).encode()\n"
        "for fd in range(3, 256):\n"
        "    try: os.write(fd, len(m).to_bytes(4, 'big') + m)\n    except OSError: pass",
        "protocol",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", KILLS)
@BOTH
def test_a_kill_is_an_observation_and_the_episode_goes_on(pool, mode, what):
    code, by = KILLS[what]
    seen, after, last = steps(
        pool, mode, "kept = 1", code, "x = 4\nprint('kept' in globals())", "print('x' in globals())"
    )[1:]
    assert seen.killed_by in by.split(", or ") and seen.bindings == ()
    assert seen.state_lost == (mode == "persistent")
    assert (after.stdout, after.error_type, after.killed_by, after.state_lost) == ("False\n", None, None, False)
    assert last.stdout == f"{mode == 'persistent'}\n"


SLOW = {
    "a busy loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(60)",
    "a loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a stop": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "signals ignored": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except OSError: pass\nwhile True: pass",
    "a long C call": "10 ** 10 ** 9",
    "half a message": (
        "import os, time\nfor fd in range(3, 256):\n    try: os.write(fd, b'\\0\\0\\0\\x10')\n"
        "    except OSError: pass\ntime.sleep(60)"
    ),
    "a lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
}  # fmt: skip


@pytest.mark.parametrize("what", SLOW)
@BOTH
def test_a_block_that_does_not_end_is_stopped_in_time(hasty, mode, what):
    seen, after = steps(
        hasty, mode, "kept = 1", "print('so far', flush=True)\n" + SLOW[what], "print('kept' in globals())"
    )[1:]
    assert seen.killed_by == "time" and 0.4 < seen.seconds < 3
    assert seen.stdout == "so far\n"
    assert seen.state_lost == (mode == "persistent") and after.stdout == "False\n"


@BOTH
def test_processor_time_is_limited_too(make_limits, mode):
    with Pool(make_limits(wall_seconds=30, cpu_seconds=1)) as pool:
        seen, after = steps(pool, mode, "while True: pass", "print(1)")
    assert seen.killed_by == "time" and seen.seconds < 15 and after.stdout == "1\n"


@BOTH
def test_processor_time_of_one_step_is_not_counted_against_the_next(make_limits, mode):
    burn = "import time\nend = time.process_time() + 0.7\nwhile time.process_time() < end: pass"
    with Pool(make_limits(wall_seconds=30, cpu_seconds=1)) as pool:
        assert [o.killed_by for o in steps(pool, mode, burn, burn, burn, burn)] == [None] * 4


ODD_STREAMS = {
    "sys.stdout is None": "import sys\nsys.stdout = None",
    "sys.stdout is a number": "import sys\nsys.stdout = 5",
    "sys.stdout is closed": "import sys\nsys.stdout.close()",
    "sys.stdout is a text": "import sys, io\nsys.stdout = io.StringIO()\nprint('inside')",
    "flush fails": "import sys\nclass S:\n    def write(self, text): pass\n    def flush(self): raise OSError\n"
    "sys.stdout = S()",
    "descriptor 1 is closed": "import os\nos.close(1)",
    "descriptor 1 is closed after a print": "import os\nprint('a')\nos.close(1)",
    "all descriptors are closed": "import os\nos.closerange(0, 256)",
    "builtins are deleted": "del __builtins__",
    "builtins are emptied": "import builtins\nfor k in list(vars(builtins)): delattr(builtins, k)",
    "len is gone": "import builtins\nbuiltins.len = None",
    "json is broken": "import json\njson.dumps = None",
    "sys.modules is emptied": "import sys\nsys.modules.clear()",
    "globals are emptied": "globals().clear()",
    "a name that is no text": "globals()[5] = 1\nglobals()[None] = 2",
    "a name that cannot be printed": "class K(str):\n    def __str__(self): raise ValueError\nglobals()[K('k')] = 1",
    "an exit code that cannot be printed": "class K:\n    def __str__(self): raise ValueError\nraise SystemExit(K())",
    "a message that is a trap": (
        "class S(str):\n    def __getitem__(self, i): raise ValueError\n"
        "class E(Exception):\n    def __str__(self): return S('x')\nraise E"
    ),
    "a type without a name": (
        "class M(type):\n    @property\n    def __name__(cls): raise ValueError\n"
        "class E(Exception, metaclass=M): pass\nraise E"
    ),
    "a line that is no number": "e = SyntaxError('x')\ne.lineno = object()\nraise e",
    "a timer that raises later": (
        "import signal, time\ndef ring(*_): raise ValueError\nsignal.signal(signal.SIGALRM, ring)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01)"
    ),
    "a profiler that raises": "import sys\ndef f(*_): raise ValueError\nsys.setprofile(f)",
    "limits lowered": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1, 1))",
    "no more descriptors": "import os\nkeep = []\ntry:\n    while True: keep.append(os.dup(0))\nexcept OSError: pass",
}  # fmt: skip


@pytest.mark.parametrize("what", ODD_STREAMS)
@BOTH
def test_a_block_that_breaks_its_own_interpreter_breaks_nothing_else(hasty, mode, what):
    """It is an observation without our own files in it, the same each time; the next reset step is as new."""

    def play():
        first, after = steps(hasty, mode, ODD_STREAMS[what], "print(6 * 7)")
        return replace(first, seconds=0), after

    (first, after), (again, _) = play(), play()
    assert "worker.py" not in first.stdout and str(ROOT) not in first.stdout
    assert first == again
    assert mode == "persistent" or after.stdout == "42\n"


@BOTH
def test_a_huge_block_is_run_or_refused_but_harmless(pool, mode):
    seen, after = steps(pool, mode, "x = 1\n" * 40_000, "print(1)")
    assert seen.killed_by in (None, "time") and after.stdout == "1\n"


@pytest.mark.parametrize(
    "code",
    [
        "raise type('X' * 30_000, (ValueError,), {})()",
        "raise type('X' * 100_000, (ValueError,), {})()",
        "for i in range(3000): globals()['name' * 200 + str(i)] = 1",
        "for i in range(500): globals()['é' * 75 + str(i)] = 1",
        "raise SystemExit('x' * 10**6)",
        "raise ValueError('x' * 10**6)",
    ],
    ids=["long type", "longer type", "many names", "many foreign names", "long exit", "long message"],
)
@BOTH
def test_what_is_said_of_a_harmless_block_is_bounded_and_no_kill(pool, mode, code):
    seen = steps(pool, mode, code)[0]
    assert seen.killed_by is None
    assert len(seen.error or "") <= 300 and len(seen.error_type or "") <= 300
    assert len(seen.bindings) <= 500 and all(len(name) <= 80 for name in seen.bindings)


@BOTH
def test_a_huge_argument_is_an_observation(pool, mode):
    seen, after = steps(pool, mode, "echo('x' * 50_000)\necho('x' * 5_000_000)", "print(1)")
    assert (seen.error_type or seen.killed_by) and after.stdout == "1\n"
    assert len(seen.tool_calls[0].args[0]) == 50_000


# Forks and what is left over ------------------------------------------------------------------------------------------

SLEEPERS = """
import os, time
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        {first}
        time.sleep(60)
        os._exit(0)
    print(pid)
"""


@pytest.mark.parametrize("first", ["pass", "os.setsid()"], ids=["plain", "in sessions of their own"])
@BOTH
def test_processes_a_block_leaves_behind_hold_nothing_up_and_end_with_the_episode(pool, mode, first):
    start = time.monotonic()
    seen, after = steps(pool, mode, SLEEPERS.format(first=first), "print('on')")
    took = time.monotonic() - start
    pids = [int(word) for word in seen.stdout.split()]
    assert gone(pids), "processes outlived the episode"
    assert len(pids) == 20 and after.stdout == "on\n" and took < 4


@BOTH
def test_a_forked_copy_cannot_answer_for_the_episode(pool, mode):
    """The copy falls out of the block too; what it says and does must not be taken for the next step."""
    with pool.interpreter(persistence_named(mode), TOOLS, 1) as interpreter:
        interpreter.run("import os, time\nme = os.getpid()\nif os.fork() == 0: time.sleep(0.1)")
        time.sleep(0.4)
        seen = [interpreter.run(f"import time\ntime.sleep(0.02)\nprint({i})") for i in range(4)]
        assert [o.stdout for o in seen] == ["0\n", "1\n", "2\n", "3\n"]
        if mode == "persistent":
            assert {interpreter.run("import os\nprint(os.getpid() == me)").stdout for _ in range(4)} == {"True\n"}


def test_a_block_that_kills_the_warm_parent_ends_no_run(make_limits):
    with Pool(make_limits()) as pool:
        seen = steps(pool, "reset", "import os\nos.kill(os.getppid(), 9)", "print('on')")
        assert seen[1].stdout == "on\n"


@BOTH
def test_no_child_and_no_zombie_is_left_when_a_pool_closes(make_limits, children, mode):
    before = set(children())
    with Pool(make_limits(wall_seconds=0.3)) as pool:
        parent = (set(children()) - before).pop()
        kept = [pool.interpreter(persistence_named(mode), TOOLS, i) for i in range(3)]
        for interpreter in kept:  # left open on purpose
            interpreter.run("x = 1")
        steps(pool, mode, "import os\nos._exit(1)", "while True: pass", "print(1)")
        assert "Z" not in children(parent).values()
        family = list(children(parent))
        assert len(family) == (3 if mode == "persistent" else 0)
    assert set(children()) == before
    assert gone([parent, *family])


@BOTH
def test_three_hundred_steps_leave_no_descriptor_open_in_the_host(make_limits, mode):
    def opened():
        return sorted(
            os.readlink(f"/proc/self/fd/{fd}").split(":")[0]
            for fd in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{fd}")
        )

    before = opened()
    with Pool(make_limits()) as pool:
        for _ in range(10):
            with pool.interpreter(persistence_named(mode), TOOLS, 1) as interpreter:
                for number in range(30):
                    interpreter.run("import os\nos._exit(1)" if number % 10 == 9 else "print(echo(1))")
        during = opened()
    assert len(during) <= len(before) + 2
    assert opened() == before


HOST = """
import sys, time
from knapsack_lib.interpreter import Pool, persistence_named
from knapsack_lib.profiles import Limits
limits = Limits(turns=2, tool_calls=2, wall_seconds=60, cpu_seconds=60, memory_mb=256, output_chars=500)
with Pool(limits) as pool, pool.interpreter(persistence_named("persistent"), {}, 1) as interpreter:
    print(pool._parent.pid, interpreter.run("import os; print(os.getpid())").stdout, flush=True)
    interpreter.run("while True: pass")
"""


def test_a_killed_host_leaves_no_process_behind():
    host = subprocess.Popen(
        [sys.executable, "-c", HOST], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    pids = [int(word) for word in host.stdout.readline().split()]
    time.sleep(0.2)
    host.kill()
    host.wait()
    host.stdout.close()
    assert len(pids) == 2 and gone(pids)


# Nothing hidden -------------------------------------------------------------------------------------------------------


@BOTH
def test_the_hosts_environment_is_not_in_the_child(make_limits, monkeypatch, mode):
    mark = "hidden-" + uuid.uuid4().hex
    monkeypatch.setenv("KNAPSACK_MARK", mark)
    with Pool(make_limits()) as pool:
        seen = steps(
            pool, mode, "import os\nprint(sorted(os.environ))\nprint(open('/proc/self/environ').read().split('\\0'))"
        )[0]
    assert (
        seen.error_type is None
        and mark not in seen.stdout
        and "KNAPSACK" not in seen.stdout
        and "HOME" not in seen.stdout
    )


@BOTH
def test_nothing_of_the_package_or_the_task_is_in_the_childs_memory(make_limits, monkeypatch, mode):
    """The block searches every readable page of its own process, as no honest agent would."""
    mark = "hidden-" + uuid.uuid4().hex
    monkeypatch.setenv("KNAPSACK_MARK", mark)
    hidden = {"item_a": {"class": mark, "value": 10}}

    def inspect(item_id):
        return "seen-" + str(hidden[item_id]["value"]) + "-" + "5f" * 16

    search = """
import re, sys
answer = inspect('item_a')
pattern = re.compile(rb'(hidden|seen-10)-[0-9a-f]{32}')
found = set()
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        area, rights = line.split()[:2]
        low, high = (int(x, 16) for x in area.split('-'))
        if rights[0] != 'r' or 'vvar' in line or 'vsyscall' in line or high - low > 1 << 26:
            continue
        memory.seek(low)
        try:
            found |= {m[1] for m in pattern.finditer(memory.read(high - low))}
        except OSError:
            pass
print(sorted(found))
print([m for m in sys.modules if m.split('.')[0] in ('knapsack_lib', 'numpy', 'pydantic', 'yaml')])
"""
    with Pool(make_limits(memory_mb=512)) as pool:
        seen = steps(pool, mode, search, tools={"inspect": inspect})[0]
    assert seen.stdout == "[b'seen-10']\n[]\n", seen  # what a tool answered is there, so the search does find things


@BOTH
def test_the_child_holds_no_descriptor_but_its_own(pool, mode):
    os_open = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(os_open, True)
    try:
        seen = steps(
            pool,
            mode,
            "import os\nnames = os.listdir('/proc/self/fd')[:-1]\n"
            "print(sorted(os.readlink(f'/proc/self/fd/{name}').split(':')[0] for name in names))",
        )[0]
    finally:
        os.close(os_open)
    assert seen.stdout == "['/dev/null', 'pipe', 'pipe', 'socket']\n"


def test_observations_can_be_written_as_json(pool):
    """Also with the texts that most writers forget: they reach a file sooner or later."""
    for seen in steps(
        pool,
        "persistent",
        "print('\\u2028')",
        "raise ValueError('\\ud800')",
        "globals()['\\udc00'] = 1",
        "echo('\\ud9ff')",
    ):
        shown = [seen.stdout, seen.error, *seen.bindings, *(str(c) for c in seen.tool_calls)]
        assert json.dumps(shown, ensure_ascii=False).encode("utf-8")
