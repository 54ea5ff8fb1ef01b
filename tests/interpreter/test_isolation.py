"""Episodes next to one another: none opens, outlives or passes for another, by each of two protections
alone, also in copies."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from common import comes_true, gone, is_running

from knapsack_lib.interpreter import (
    Interpreter,
    Pool,
    persistence_named,
    processes,
)

REACH = (Path(__file__).parent / "attacks" / "open_what_others_print.py").read_text(
    encoding="utf-8"
)
EXIT = "import os\nos._exit(0)"


@pytest.mark.parametrize("without", [(), ("files",), ("syscalls",)])
def test_no_episode_opens_the_output_of_another(make_limits, steps, without):
    """Also not of one that lives on as a copy, and by one of the two protections alone."""
    with (
        Pool(make_limits(), without=without) as pool,
        Interpreter(pool, persistence_named("persistent"), {}, 1) as other,
    ):
        other.run("kept = 41")
        assert other.run(EXIT).restored
        seen = steps(pool, "persistent", REACH, EXIT, REACH)
        assert (seen[0].stdout, seen[2].stdout) == ("0\n", "0\n")
        assert other.run("print(kept + 1)").stdout == "42\n"


def test_the_check_above_finds_something_where_nothing_protects(make_limits, steps):
    with Pool(make_limits(), without=("files", "syscalls")) as pool:
        assert int(steps(pool, "reset", REACH)[0].stdout) > 0


NAMES_ANOTHER = """
import builtins, os, socket, struct
def pretend():
    for fd in range(4, 8):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup(fd)) as place:
                said = socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", {PID}, 0, 0)
                place.sendmsg([b"\\0\\0\\0\\x0e" + b'{"ready":true}'], [said])
        except OSError:
            pass
    builtins.print = lambda *words: os._exit(0)
os.register_at_fork(before=pretend)
"""


@pytest.mark.parametrize("without", [(), ("privileges",)])
def test_a_copy_that_passes_for_another_process_does_not_have_it_killed(
    make_limits, steps, without
):
    """Without privileges of root the kernel refuses the lie; with them it is believed, and the
    number checked."""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        with Pool(make_limits(), without=without) as pool:
            block = NAMES_ANOTHER.replace("{PID}", str(other.pid))
            steps(pool, "persistent", "x = 1", block, "print(1)", "print(2)", "print(3)")
        assert is_running(other.pid)
    finally:
        other.kill()
        other.wait()


LOOPING = "import os, time\ndef hook():\n    while True: time.sleep(1)\nos.register_at_fork(after_in_child=hook)"


@pytest.mark.parametrize("then", ["a step", "the end"])
def test_copies_that_hooks_hold_up_do_not_outlive_a_warm_parent(make_limits, children, then):
    pool = Pool(make_limits())
    with Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
        interpreter.run(LOOPING)
        child = interpreter._child.pid
        assert interpreter.run("x = 1").killed_by is None
        assert comes_true(lambda: len(children(child)) > 0)  # its copy
        family = {child, *children(child)}
        os.kill(pool._parent.pid, signal.SIGKILL)
        assert comes_true(lambda: processes.has_ended(pool._parent) and not is_running(child))
        if then == "a step":
            assert interpreter.run("print(1)").stdout == ""
            assert interpreter.run("print(1)").stdout == "1\n"
            assert gone(family)
    pool.close()
    assert gone(family)
