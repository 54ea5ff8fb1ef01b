"""Blocks that must be stopped: by which limit, how soon, with what output, and that the episode continues."""

import os
import sys

import pytest

from knapsack_lib.interpreter import Pool

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
EACH = "import os\nfor fd in range(3, 128):\n    try: os.write(fd, {})\n    except OSError: pass\n"
MESSAGE = (
    "import json\nm = json.dumps({}).encode()\nm = len(m).to_bytes(4, 'big') + m\n"
    + EACH.format("m")
)

RAW = 'import os\nm = b\'{{"call": "echo", "args": {}}}\'\nm = len(m).to_bytes(4, \'big\') + m\nn = os.write(3, m)\nos.read(3, 9)'

# what: (block, killed_by)
KILLS = {
    "os._exit": ("import os\nos._exit(0)", "exit"),
    "os._exit 3": ("import os\nos._exit(3)", "exit"),
    "os._exit in a thread": (
        "import os, threading, time\nthreading.Thread(target=os._exit, args=(1,)).start()\ntime.sleep(9)",
        "exit",
    ),
    "a false address": ("import ctypes\nctypes.string_at(1)", "signal 11"),
    # Since Python 3.12 no recursion of its own reaches the end of the stack.
    **(
        {
            "a stack overflow": (
                "import sys\nsys.setrecursionlimit(10**7)\nx, y = [], []\n"
                "for _ in range(3 * 10**5): x, y = [x], [y]\nx == y",
                "signal 11",
            )
        }
        if sys.version_info < (3, 12)
        else {}
    ),
    "abort": ("import os\nos.abort()", "signal 6, or signal 11"),
    "a timer without a handler": (
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(9)",
        "signal 14",
    ),
    "output flood": ("while True: print('x' * 1000)", "output"),
    "raw output flood": ("import os\nwhile True: os.write(2, b'y' * 65536)", "output"),
    "garbage to every descriptor": (EACH.format("b'garbage ' * 9"), "protocol"),
    "a message of no sense": (EACH.format("b'\\0\\0\\0\\2{}'"), "protocol"),
    "a huge message": (EACH.format("b'\\x7f\\xff\\xff\\xff'"), "protocol"),
    "a deeply nested message": (EACH.format("b'\\0\\0\\xff\\0' + b'[' * 0xff00"), "protocol"),
    "a message that is no text": (EACH.format("b'\\0\\0\\0\\2\\xff\\xfe'"), "protocol"),
    "a number without end": (RAW.format("[1e999]"), "protocol"),
    "a number without end among others": (RAW.format('[{"a": [0, -1e400]}]'), "protocol"),
    "a call of no tool": (MESSAGE.format("{'call': '__class__', 'args': []}"), "protocol"),
    "a call of a list": (MESSAGE.format("{'call': [], 'args': []}"), "protocol"),
    "a call with no list": (MESSAGE.format("{'call': 'echo', 'args': {'value': 1}}"), "protocol"),
    "a false end": (MESSAGE.format("{'done': True, 'error': 5, 'bindings': []}"), "protocol"),
    "the end of another step": (
        MESSAGE.format(
            "{'done': 77, 'error': None, 'bindings': [], 'written': [], 'shadowed': []}"
        ),
        "protocol",
    ),
    "an end with names that are none": (
        MESSAGE.format(
            "{'done': 2, 'error': None, 'bindings': [1], 'written': [], 'shadowed': []}"
        ),
        "protocol",
    ),
    "two ends": (
        MESSAGE.format(
            "{'done': 2, 'error': None, 'bindings': [], 'written': [], 'shadowed': []}"
        ).replace("+ m", "+ m\nm *= 2"),
        "protocol",
    ),
}


@pytest.mark.parametrize("what", KILLS)
@BOTH
def test_a_kill_is_an_observation_and_the_episode_continues(pool, steps, mode, what):
    """What the next step finds after it is in test_restore.py."""
    code, by = KILLS[what]
    _, seen, after = steps(pool, mode, "kept = 1", code, "x = 4\nprint(x)")
    assert seen.killed_by in by.split(", or ")
    assert (seen.error_type, seen.written, seen.state_lost) == (None, (), False)
    assert (after.stdout, after.error_type, after.killed_by) == ("4\n", None, None)


UNGUARDED = {
    "SIGSEGV": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
    "SIGKILL": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "exit"),
    "SIGTERM": ("import signal\nsignal.raise_signal(signal.SIGTERM)", "signal 15"),
}


@pytest.mark.parametrize("what", UNGUARDED)
@BOTH
def test_a_signal_that_nothing_refuses_is_an_observation(open_pool, steps, mode, what):
    code, by = UNGUARDED[what]
    _, seen, after = steps(open_pool, mode, "kept = 1", code, "print('kept' in globals())")
    assert (seen.killed_by, seen.restored, seen.state_lost) == (by, mode == "persistent", False)
    assert after.stdout == f"{mode == 'persistent'}\n"


@BOTH
def test_a_block_that_kills_its_group_costs_itself_its_state_at_most(open_pool, steps, mode):
    _, seen, _, last = steps(open_pool, mode, "kept = 1", "import os\nos.killpg(0, 9)", "1", "2")
    assert seen.killed_by == "exit" and last.stdout == "2\n"


SLOW = {
    "a busy loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(60)",
    "a loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "signals ignored": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except OSError: pass\nwhile True: pass",
    "signals blocked": "import signal\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nsignal.pause()",
    "a long C call": "10 ** 10 ** 9",
    "a long regular expression": "import re\nre.match('(a*)*b', 'a' * 100)",
    "half a message": EACH.format("b'\\0\\0\\0\\x10'") + "import time\ntime.sleep(60)",
    "a lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "reading the socket": "import os\nos.read(3, 1)",
    "an error that never prints": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "a value that never prints": "class R:\n    def __repr__(self):\n        while True: pass\nR()",
    "an end that never comes": "import sys\nclass S:\n    def write(self, text): pass\n    def flush(self):\n"
    "        while True: pass\nsys.stdout = S()",
}


@pytest.mark.parametrize("what", SLOW)
@BOTH
def test_a_block_that_does_not_end_is_stopped_in_time(hasty, steps, mode, what):
    seen, after = steps(
        hasty,
        mode,
        "kept = 1",
        "print('so far', flush=True)\n" + SLOW[what],
        "print('kept' in globals())",
    )[1:]
    assert seen.killed_by == "time" and 0.4 < seen.seconds < 3
    assert seen.stdout == "so far\n"
    assert not seen.state_lost and after.stdout == f"{mode == 'persistent'}\n"


@BOTH
def test_a_process_that_stops_itself_is_stopped_in_time_too(make_limits, steps, mode):
    with Pool(make_limits(wall_seconds=0.5), without=("syscalls",)) as pool:
        seen, after = steps(
            pool, mode, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "print(1)"
        )
    assert seen.killed_by == "time" and after.stdout == "1\n"


@BOTH
def test_output_up_to_a_kill_is_kept_as_far_as_its_last_line(hasty, steps, mode):
    """A line that was not ended is in the child's buffer and goes with it."""
    seen = steps(
        hasty,
        mode,
        "print('a')\nprint('b', end='')\nwhile True: pass",
        "print('c')\nimport os\nos._exit(0)",
    )
    assert [(o.stdout, o.killed_by) for o in seen] == [("a\n", "time"), ("c\n", "exit")]


@BOTH
def test_processor_time_is_limited_too(make_limits, steps, mode):
    with Pool(make_limits(wall_seconds=30, cpu_seconds=1)) as pool:
        seen, after = steps(pool, mode, "while True: pass", "print(1)")
    assert seen.killed_by == "cpu" and seen.seconds < 15 and after.stdout == "1\n"


def test_processor_time_of_threads_counts_and_sleep_does_not(make_limits, steps):
    burn = "import hashlib, threading\nfor _ in range(4):\n    threading.Thread(target=hashlib.pbkdf2_hmac, "
    burn += "args=('sha256', b'', b'', 10**8)).start()"
    with Pool(make_limits(wall_seconds=30, cpu_seconds=1)) as pool:
        threads, sleep = steps(
            pool, "reset", burn + "\nimport time\ntime.sleep(20)", "import time\ntime.sleep(1.3)"
        )
    assert (threads.killed_by, sleep.killed_by) == ("cpu", None)


@BOTH
def test_processor_time_of_one_step_is_not_counted_against_the_next(make_limits, steps, mode):
    burn = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
    with Pool(make_limits(wall_seconds=30, cpu_seconds=1)) as pool:
        assert [o.killed_by for o in steps(pool, mode, burn, burn, burn)] == [None] * 3


TRY_TO_FORK = (
    "import os\nfor _ in range(5):\n    try: os.fork()\n    except PermissionError: print('no')"
)
FORK_LATER = """
import os, signal
def fork(*_):
    try:
        os.fork()
        os.write(1, b"forked")
    except OSError:
        pass
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, {}, 5e-4)
"""


@BOTH
def test_no_block_can_copy_its_process_in_any_step(pool, steps, mode):
    """Copies are made for kills to be undone: a block must not slip into the moment when one is
    allowed."""
    for _ in range(30):
        seen = steps(pool, mode, *[TRY_TO_FORK] * 4)
        assert [(o.stdout, o.error, o.killed_by) for o in seen] == [("no\n" * 5, None, None)] * 4


def test_no_timer_of_a_block_can_copy_its_process_between_steps(pool, steps):
    """It costs such a block its own state at most."""
    for number in range(20):
        seen = steps(pool, "persistent", FORK_LATER.format(1e-3 + number * 1e-4), *["x = 1"] * 5)
        assert "forked" not in "".join(o.stdout for o in seen)


@BOTH
def test_a_block_can_put_nothing_into_a_file(steps, make_limits, tmp_path, mode):
    """Else a note on disk would carry state across a reset. Two protections refuse it, each by
    itself."""
    for without in ((), ("files",), ("limits",)):
        for code in (
            "with open({!r}, 'w') as f: f.write('x')",
            "import os\nos.mkdir({!r})",
            "import os\nos.symlink('a', {!r})",
        ):
            target = tmp_path / f"{len(without)}"
            with Pool(make_limits(), without=without) as pool:
                seen = steps(pool, mode, code.format(str(target)), "print(1)")
            assert seen[0].error_type is not None and seen[1].stdout == "1\n"
            assert not os.path.lexists(target) or target.read_bytes() == b""
