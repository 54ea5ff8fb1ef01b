"""Episodes side by side, the host's other processes and packages: each protection by itself, also
in copies."""

import ctypes
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from common import comes_true, gone, is_running

from knapsack_lib.interpreter import (
    Interpreter,
    Pool,
    confine,
    parent,
    persistence_named,
    processes,
)

REACH = (Path(__file__).parent / "attacks" / "open_what_others_print.py").read_text()
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


def test_no_folder_that_may_hold_packages_is_readable():
    """A Python that has its own folder holds the library libpython beside the folder of all
    packages."""
    library = os.path.dirname(os.__file__)
    folders = [
        path
        for path, rights in confine.readable_paths()
        if rights & confine.READ_FILE and os.path.isdir(path)
    ]
    assert folders and all(
        os.path.dirname(path) == library or path == "/usr/share/zoneinfo" for path in folders
    )
    assert not {"site-packages", "dist-packages"} & {os.path.basename(path) for path in folders}


LAZY = (
    "ssl",
    "ctypes",
    "sqlite3",
    "lzma",
    "bz2",
    "zlib",
    "hashlib",
    "decimal",
    "readline",
    "curses",
    "uuid",
    "xml.dom",
)


def test_what_python_loads_late_can_still_be_loaded(pool, steps):
    found = [
        name
        for name in LAZY
        if not subprocess.call([sys.executable, "-c", f"import {name}"], stderr=-3)
    ]
    seen = steps(pool, "reset", *[f"import {name}" for name in found])
    assert [o.error for o in seen] == [None] * len(found) and len(found) > 6


NEW_USER, PARENT, VM, DETAILS = 0x10000000, 0x8000, 0x100, 0x01200000


@pytest.mark.parametrize(
    ("flags", "plain"),
    [
        (17, True),
        (17 | DETAILS, True),
        (17 | NEW_USER, False),
        (17 | PARENT, False),
        (17 | VM | DETAILS, False),
        (DETAILS, False),
        (9 | DETAILS, False),
        (17 | 1 << 40, False),
    ],
)
def test_only_a_plain_copy_is_allowed(flags, plain):
    question = struct.pack("QIIiIQ6Q", 1, 2, 0, confine.NUMBERS["clone"], 0, 0, flags, 0, 0, 0, 0, 0)
    assert len(question) == 80 and confine.is_plain_copy(question) == plain


def test_a_number_that_is_no_childs_any_more_is_not_killed():
    other = subprocess.run(
        ["sh", "-c", "sleep 600 >/dev/null & echo $!"], stdout=subprocess.PIPE, check=True
    )
    pid = int(other.stdout)
    try:
        assert parent.end_process(pid) == 0 and is_running(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    child = subprocess.Popen(["sleep", "600"])
    assert parent.end_process(child.pid) == 9


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


def test_only_who_is_of_the_session_is_ended():
    leader = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"], start_new_session=True)
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        processes.end_member(other.pid, leader.pid)
        family = processes.members(leader.pid)
        processes.end_session(leader)
        assert leader.returncode == -9 and gone(family) and is_running(other.pid)
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


def randomized() -> bool:
    """Whether this machine refuses to do without random addresses."""
    with processes.fixed_addresses():
        return (
            not ctypes.CDLL(None).personality(ctypes.c_ulong(processes.ASK))
            & processes.ADDR_NO_RANDOMIZE
        )


@pytest.mark.skipif(randomized(), reason="personality is refused here")
def test_sets_of_what_is_hashed_by_address_have_the_same_order_in_every_pool(make_limits, steps):
    look = "print(hash(None), {None, 'Ba', 'Ko'}, {(None, 1), ('a', 2), ('b', 3)}, {int, str, list}, {len, max, min})"
    seen = set()
    for _ in range(4):
        with Pool(make_limits()) as pool:
            seen |= {
                o.stdout for mode in ("reset", "persistent") for o in steps(pool, mode, look, look)
            }
    assert len(seen) == 1 and "hash" not in seen.pop()


def test_addresses_of_the_host_stay_as_they_are():
    ask = ctypes.CDLL(None).personality
    before = ask(ctypes.c_ulong(processes.ASK))
    with processes.fixed_addresses():
        pass
    assert ask(ctypes.c_ulong(processes.ASK)) == before
