"""What the host does around its steps: an interrupt, a closed pool, what was dropped, time and
memory that are its own."""

import gc
import os
import resource
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import pytest
from common import comes_true, is_running

from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.interpreter import pool as pools

PERSISTENT = persistence_named("persistent")
RAW = "import os\ndef raw(b): os.write(3, len(b).to_bytes(4, 'big') + b)\n"


def stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize("after_kill", ["restore", "lose"])
def test_an_interrupted_block_does_not_go_on(make_limits, tools, after_kill):
    """As by the stop button of a notebook, while a tool is at work."""
    called = []
    tools = {**tools, "stop": stop, "note": called.append}
    with (
        Pool(make_limits(), after_kill=after_kill) as pool,
        Interpreter(pool, PERSISTENT, tools, 1) as interpreter,
    ):
        interpreter.run("x = 1")
        with pytest.raises(KeyboardInterrupt):
            interpreter.run("x = 2\nprint('old')\ntry: stop()\nfinally: note(1)")
        seen = interpreter.run("print(x)"), interpreter.run("print(6 * 7)")
        shown = "1\n" if after_kill == "restore" else ""
        assert [(o.stdout, o.killed_by, o.tool_calls) for o in seen] == [
            (shown, None, ()),
            ("42\n", None, ()),
        ]
        assert called == [] and pool.take().ready()


def test_an_interrupt_while_a_child_ends_leaves_no_answer_unread(make_limits, monkeypatch, steps):
    with Pool(make_limits()) as pool:
        child = pool.take()
        with monkeypatch.context() as patch:
            patch.setattr(pools, "receive", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                real = Pool._start
                patch.setattr(pool, "_start", lambda: (patch.undo(), real(pool)))
                pool.end(child, report=True)
        seen = steps(pool, "persistent", "x = 5", "import ctypes\nctypes.string_at(1)", "x")
        assert [(o.stdout, o.killed_by) for o in seen] == [
            ("", None),
            ("", "signal 11"),
            ("5\n", None),
        ]


def test_a_closed_pool_starts_nothing_any_more(make_limits, children):
    pool = Pool(make_limits())
    interpreter, other = (Interpreter(pool, PERSISTENT, {}, 1) for _ in range(2))
    interpreter.run("x = 1")
    pool.close()
    before = set(children())
    for unready in (interpreter, other):
        with pytest.raises(ConnectionResetError, match="closed"):
            unready.run("x")
        unready.close()
    pool.restart()
    pool.close()
    assert set(children()) <= before


def test_a_child_that_is_dropped_leaves_no_descriptor(make_limits):
    with Pool(make_limits()) as pool:
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with pool._new_child() as child:
                pass
            del child
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before


HOLD = (
    "import os, time\ndef hook():\n    keep = bytearray(b'1') * (20 << 20)\n    time.sleep(600)\n"
)
BUSY = {
    "held up by a hook": HOLD + "os.register_at_fork(after_in_child=hook)",
    "deaf": "import sys, os, time\ndef hook():\n    f = sys._getframe()\n    while f: f.f_globals.update(_exit=time.sleep)"
    "; f = f.f_back\nos.register_at_fork(after_in_child=hook)",
}


@pytest.mark.parametrize("what", BUSY)
def test_copies_that_do_not_leave_do_not_add_up(make_limits, children, what):
    with Pool(make_limits()) as pool, Interpreter(pool, PERSISTENT, {}, 1) as interpreter:
        assert interpreter.run(BUSY[what]).error is None
        child = interpreter._child.pid
        for number in range(1, 31):
            assert interpreter.run("x = 1").killed_by is None
            if number % 6 == 0:
                assert comes_true(lambda: sum(map(is_running, children(child))) <= 1, 5)


def test_a_host_with_many_open_files_hands_none_of_them_on(make_limits, steps):
    """Its end of the control socket has a number beyond what a child may open, and beyond what a
    loop would close."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1500:
        pytest.skip("this machine allows no process that many open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    look = "import os\nfound = []\nfor fd in range(3000):\n    try: os.fstat(fd); found.append(fd)\n    except OSError: pass\nfound"
    try:
        with Pool(make_limits()) as pool:
            seen = steps(pool, "persistent", look, "import os\nos._exit(0)", look) + steps(
                pool, "reset", look
            )
    finally:
        for fd in opened:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [o.stdout for o in seen] == ["[0, 1, 2, 3]\n", "", "[0, 1, 2, 3]\n", "[0, 1, 2, 3]\n"]


# Time ---------------------------------------------------------------------------------------------


def test_a_block_that_reads_its_answers_slowly_has_no_more_time_than_others(make_limits, steps):
    slowly = RAW + 'import time\nfor _ in range(200): raw(b\'{"call":"echo","args":[1]}\')\n'
    slowly += "while True:\n    time.sleep(0.93)\n    os.read(3, 65536)"
    with Pool(make_limits(wall_seconds=1.0, tool_calls=200)) as pool:
        seen = steps(pool, "reset", slowly, tools={"echo": lambda value: "x" * 20_000})[0]
    assert (
        seen.killed_by == "time" and seen.seconds < 12
    )  # all of them, each in less than the limit, take a minute


def test_threads_do_not_work_for_nothing_while_the_model_thinks(make_limits):
    burn = "import threading\ndef burn():\n    while True: pass\nthreading.Thread(target=burn, daemon=True).start()"
    with (
        Pool(make_limits(cpu_seconds=1, wall_seconds=20)) as pool,
        Interpreter(pool, PERSISTENT, {}, 1) as interpreter,
    ):
        assert interpreter.run("x = 1\n" + burn).killed_by is None
        end, child = time.monotonic() + 60, interpreter._child
        while child.cpu_seconds() - child.cpu_counted < 1.2 and time.monotonic() < end:
            time.sleep(0.05)
        assert interpreter.run("print(x)").killed_by == "cpu"


def test_threads_on_several_cores_use_little_more_than_is_allowed(make_limits):
    burn = "import hashlib, threading\nfor _ in range(3):\n    threading.Thread(target=hashlib.pbkdf2_hmac, "
    burn += "args=('sha256', b'', b'', 10**8)).start()\nimport time\ntime.sleep(60)"
    with (
        Pool(make_limits(cpu_seconds=3, wall_seconds=60, memory_mb=512)) as pool,
        Interpreter(pool, PERSISTENT, {}, 1) as interpreter,
    ):
        interpreter.run("x = 1")
        child = interpreter._child
        before = child.cpu_counted
        assert interpreter.run(burn).killed_by == "cpu"
        assert (
            3 <= child.cpu_counted - before < 5
        )  # 6 on two cores, were the time left waited for as it is


# Memory -------------------------------------------------------------------------------------------


def test_a_call_of_many_bytes_is_refused_in_one_line(pool, steps):
    small, large = steps(pool, "persistent", "print(len(echo('x' * 65_000)))", "echo('x' * 66_000)")
    assert small.stdout == "65000\n"
    assert (
        large.error_type == "ValueError"
        and "65536 bytes" in large.error
        and "\n" not in large.error
    )
    assert [(c.args, c.result) for c in large.tool_calls] == [([], None)]


def test_arguments_of_calls_past_the_limit_are_recorded_only_when_they_are_short(pool, steps):
    block = "for size in (1, 1, 1, 1, 5, 5000):\n    try: echo('x' * size)\n    except RuntimeError as error: print(error)"
    seen = steps(pool, "reset", block)[0]
    assert seen.stdout == "at most 4 tool calls in one turn\n" * 2
    assert [c.args for c in seen.tool_calls] == [["x"]] * 4 + [["xxxxx"], []]


STARTED = """
from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import load_profile
try:
    with Pool(load_profile("smoke").limits) as pool:
        with Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
            interpreter.run("import os\\nos._exit(3)")
            print(interpreter.run("print(6 * 7)").stdout)
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), "42"),
        (
            lambda: resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20)),
            "cannot protect limits on this machine (a process may have 300 MB here, see ulimit -v, ",
        ),
    ],
    ids=["children ignored", "less memory than a block is to have"],
)
def test_what_the_host_was_started_with_is_coped_with_or_said(left, said):
    done = subprocess.run(
        [sys.executable, "-c", STARTED], preexec_fn=left, capture_output=True, encoding="utf-8"
    )
    assert said in done.stdout and done.stdout.strip().count("\n") == 0, done.stderr
