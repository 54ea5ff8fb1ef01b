"""Processes are ended without hitting anybody else, and started where everything has its address."""

import ctypes
import os
import signal
import subprocess

import pytest
from common import gone, is_running

from knapsack_lib.interpreter import Pool, parent, processes


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


def test_only_who_is_of_the_session_is_ended():
    leader = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"], start_new_session=True)
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        processes.end_member(other.pid, leader.pid)
        family = processes.members(leader.pid)
        processes.end_session(leader)
        # The shell may see its own child killed first: it ends with 128 + 9 then.
        assert leader.returncode in (-9, 137) and gone(family) and is_running(other.pid)
    finally:
        other.kill()
        other.wait()


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
