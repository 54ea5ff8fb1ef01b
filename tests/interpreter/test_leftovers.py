"""Nothing is left over: no process, zombie, thread or descriptor, no memory that grows; copies do
not add up."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from common import gone

from knapsack_lib.interpreter import Interpreter, Pool, persistence_named

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
ME = "import os\nprint(os.getpid())"
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


@pytest.mark.parametrize(
    "first", ["pass", "os.setsid()"], ids=["plain", "in sessions of their own"]
)
@BOTH
def test_processes_a_block_leaves_behind_hold_nothing_up_and_end_with_the_episode(
    open_pool, steps, mode, first
):
    start = time.monotonic()
    seen, after = steps(open_pool, mode, SLEEPERS.format(first=first), "print('on')")
    took = time.monotonic() - start
    pids = [int(word) for word in seen.stdout.split()]
    assert gone(pids), "processes outlived the episode"
    assert len(pids) == 20 and after.stdout == "on\n" and took < 4


def test_processes_of_a_reset_step_end_with_it_and_not_with_the_episode(open_pool):
    with Interpreter(open_pool, persistence_named("reset"), {}, 1) as interpreter:
        pids = [
            int(word)
            for word in interpreter.run(SLEEPERS.format(first="os.setsid()")).stdout.split()
        ]
        assert len(pids) == 20 and gone(pids)
        look = "import os\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('none')"
        assert interpreter.run(look).stdout == "none\n"


@pytest.mark.parametrize("kill", ["os._exit(0)", "while True: pass"])
def test_processes_a_killed_block_leaves_behind_end_with_it(make_limits, steps, kill):
    persistent = persistence_named("persistent")
    with (
        Pool(make_limits(wall_seconds=1), without=("files", "syscalls", "privileges")) as pool,
        Interpreter(pool, persistent, {}, 1) as interpreter,
    ):
        interpreter.run("x = 1")
        seen = interpreter.run(SLEEPERS.format(first="os.setsid()") + kill)
        pids = [int(word) for word in seen.stdout.split()]
        assert len(pids) == 20 and seen.restored and gone(pids)
        assert interpreter.run("x").stdout == "1\n"


@BOTH
def test_a_forked_copy_cannot_answer_for_the_episode(open_pool, tools, mode):
    """The copy falls out of the block too; what it says and does must not be taken for the next
    step."""
    with Interpreter(open_pool, persistence_named(mode), tools, 1) as interpreter:
        interpreter.run("import os, time\nme = os.getpid()\nif os.fork() == 0: time.sleep(0.1)")
        time.sleep(0.4)
        seen = [interpreter.run(f"import time\ntime.sleep(0.02)\nprint({i})") for i in range(4)]
        assert [o.stdout for o in seen] == ["0\n", "1\n", "2\n", "3\n"]
        if mode == "persistent":
            assert {
                interpreter.run("import os\nprint(os.getpid() == me)").stdout for _ in range(4)
            } == {"True\n"}


@BOTH
def test_a_forked_copy_cannot_call_tools(open_pool, steps, mode):
    block = "import os\npid = os.fork()\nif pid == 0:\n    try: echo('copy')\n    finally: os._exit(0)\n"
    seen = steps(open_pool, mode, block + "n = os.waitpid(pid, 0)", "print(echo('own'))")
    assert [[c.args for c in o.tool_calls] for o in seen] == [[], [["own"]]]
    assert seen[1].stdout == "own\n"


def test_a_block_that_kills_the_warm_parent_ends_no_run(make_limits, steps):
    with Pool(make_limits(), without=("files", "syscalls", "privileges")) as pool:
        seen = steps(
            pool, "reset", "import os\nos.kill(os.getppid(), 9)", "print('on')", "print('and on')"
        )
        assert [o.stdout for o in seen[1:]] == ["on\n", "and on\n"]
        assert steps(pool, "persistent", "x = 1", "print(x)")[1].stdout == "1\n"


def test_a_confined_block_cannot_reach_the_warm_parent(pool, steps):
    seen = steps(pool, "reset", "import os\nos.kill(os.getppid(), 9)", "print('on')")
    assert (seen[0].error_type, seen[1].stdout) == ("PermissionError", "on\n")


@BOTH
def test_no_child_and_no_zombie_is_left_when_a_pool_closes(
    make_limits, tools, steps, children, mode
):
    before = set(children())
    with Pool(make_limits(wall_seconds=0.3)) as pool:
        parent = (set(children()) - before).pop()
        kept = [Interpreter(pool, persistence_named(mode), tools, i) for i in range(3)]
        pids = {int(interpreter.run(ME).stdout) for interpreter in kept}  # left open on purpose
        steps(pool, mode, "import os\nos._exit(1)", "while True: pass", "print(1)")
        soon(lambda: "Z" not in children(parent).values())
        family = {*children(parent), *(copy for pid in pids for copy in children(pid))}
        assert len(family & pids) == (3 if mode == "persistent" else 0)
        assert (
            len(family) <= 9
        )  # a child and its copy for each episode, and those that wait ready for the next step
    assert set(children()) == before
    assert gone([parent, *family, *pids])


WAITING = 4  # processes that may wait for a next step or episode


def soon(holds, within=4.0):
    """Wait until it holds: what is asked to end does so a moment later."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def descendants(children, pid):
    found = children(pid)
    return {**found, **{k: v for child in found for k, v in descendants(children, child).items()}}


@pytest.mark.parametrize("size", [0, 100 << 20], ids=["small", "large"])
def test_copies_of_the_state_do_not_add_up(make_limits, tools, children, size):
    """A large state takes the kernel a moment to take down, so that ended copies are easily
    forgotten."""
    with Pool(make_limits(memory_mb=512)) as pool:
        with Interpreter(pool, persistence_named("persistent"), tools, 1) as interpreter:
            child = int(
                interpreter.run(
                    f"import os\nx = bytearray(b'1') * {size}\nprint(os.getpid())"
                ).stdout
            )
            for _ in range(50):
                assert interpreter.run("n = 1\nprint(os.getpid())").stdout == f"{child}\n"
                assert len(children(child)) <= 10  # those that are asked to leave go a moment later
            soon(lambda: sum(state != "Z" for state in children(child).values()) <= 2)
            for number in range(20):
                interpreter.run("os._exit(0)" if number % 2 else "n = 1")
            soon(lambda: len(descendants(children, pool._parent.pid)) <= WAITING + 2)
            family = descendants(children, pool._parent.pid)
        soon(lambda: len(descendants(children, pool._parent.pid)) <= WAITING)
        assert gone([child, *(set(family) - set(children(pool._parent.pid)))])


@BOTH
def test_three_hundred_steps_leave_no_descriptor_open_in_the_host(make_limits, tools, mode):
    def opened():
        return sorted(
            os.readlink(f"/proc/self/fd/{fd}").split(":")[0]
            for fd in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{fd}")
        )

    before = opened()
    with Pool(make_limits()) as pool:
        bare = len(opened())
        for _ in range(10):
            with Interpreter(pool, persistence_named(mode), tools, 1) as interpreter:
                for number in range(30):
                    interpreter.run(
                        "import os\nos._exit(1)" if number % 10 == 9 else "print(echo(1))"
                    )
        assert len(opened()) <= bare + 6  # those of children that wait ready
    assert opened() == before


@BOTH
def test_five_hundred_steps_leave_the_warm_parent_as_large_as_it_was(make_limits, tools, mode):
    def resident(pid):
        (line,) = [
            li
            for li in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
            if li.startswith("VmRSS")
        ]
        return int(line.split()[1])

    def opened(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    with Pool(make_limits()) as pool:
        pid = pool._parent.pid
        for number in range(10):
            with Interpreter(pool, persistence_named(mode), tools, number) as interpreter:
                for step in range(55):
                    interpreter.run("import os\nos._exit(1)" if step == 20 else "x = 'x' * 10_000")
            if number == 0:
                before = resident(pid), opened(pid)
        assert resident(pid) < before[0] + 2048 and opened(pid) <= before[1] + 2


def test_episodes_side_by_side_do_not_end_one_another(make_limits, steps):
    """Several threads of the host may share a pool: each one's kills and copies are its own."""
    wrong, stop = [], threading.Event()

    def play(mode, blocks, shown):
        while not stop.is_set():
            seen = [(o.stdout, o.killed_by, o.state_lost) for o in steps(pool, mode, *blocks)]
            if seen != shown:
                wrong.append((mode, seen))

    killed = ["x = 1\nimport os", "os._exit(0)", "x", "x = 2", "os._exit(0)", "x"]
    seen = [("", None, False), ("", "exit", False), ("1\n", None, False)]
    seen += [("", None, False), ("", "exit", False), ("2\n", None, False)]
    with Pool(make_limits()) as pool:
        threads = [
            threading.Thread(target=play, args=("reset", ["1"] * 5, [("1\n", None, False)] * 5)),
            threading.Thread(target=play, args=("persistent", killed, seen)),
            threading.Thread(target=play, args=("persistent", killed, seen)),
        ]
        for thread in threads:
            thread.start()
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong, f"{len(wrong)}, first: {wrong[0]}"


HOST = """
import sys, time
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import Limits
limits = Limits(turns=2, tool_calls=2, wall_seconds=60, cpu_seconds=60, memory_mb=256, output_chars=500)
with Pool(limits) as pool, Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
    print(pool._parent.pid, interpreter.run("import os; print(os.getpid())").stdout, flush=True)
    interpreter.run("while True: pass")
"""


def test_a_killed_host_leaves_no_process_behind(children):
    host = subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pids = [int(word) for word in host.stdout.readline().split()]
    time.sleep(0.2)
    family = {*pids, *descendants(children, pids[0])}
    host.kill()
    host.wait()
    host.stdout.close()
    assert (
        len(pids) == 2 and len(family) >= 3 and gone(family)
    )  # the parent, the child and its copy
