"""Processes as the host sees them: which belong to a warm parent, and how they are ended without
hitting anybody else.

A warm parent leads a session of its own, which a confined process cannot leave. As long as that
leader is not reaped no other session has its number, so whoever is in the session is one of ours.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

__all__ = ["children_of", "end_member", "end_session", "fixed_addresses", "has_ended"]

ADDR_NO_RANDOMIZE, ASK = 0x0040000, 0xFFFFFFFF  # of linux/personality.h


@contextlib.contextmanager
def fixed_addresses() -> Iterator[None]:
    """Programs started here find everything at the same addresses each time, where the machine
    allows that.

    An object without a hash of its own, None among them, is hashed by its address, and so the order
    of a set would change from run to run. It is set for this thread only, and for what the thread
    starts.
    """
    personality = getattr(ctypes.CDLL(None), "personality", lambda _: -1)
    before = personality(ctypes.c_ulong(ASK))
    try:
        personality(ctypes.c_ulong(before | ADDR_NO_RANDOMIZE))  # -1, of a refusal, asks again
        yield
    finally:
        personality(ctypes.c_ulong(before))


def children_of(pid: int | None) -> list[int]:
    """Their process numbers; none for a process that is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", "rb", 0) as file:
        return [int(word) for word in file.read().split()]
    return []


def has_ended(leader: subprocess.Popen[bytes]) -> bool:
    """It is not reaped by asking, so that its number stays its own."""
    if leader.returncode is None and sys.platform == "linux":
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return leader.poll() is not None


def end_session(leader: subprocess.Popen[bytes], seconds: float = 0.0) -> None:
    """Give a warm parent so long to end by itself, then end it and whatever is left of its session,
    and reap it."""
    deadline = time.monotonic() + seconds
    while not has_ended(leader) and time.monotonic() < deadline:
        time.sleep(0.002)
    ended: set[int] = set()
    while leader.returncode is None and (found := members(leader.pid) - ended):
        for pid in found:
            end_member(pid, leader.pid)
        ended |= found
    leader.kill()  # where there is no /proc
    leader.wait()


def members(session: int) -> set[int]:
    with contextlib.suppress(OSError):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return {pid for pid in pids if session_of(pid) == session}
    return set()


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def end_member(pid: int, session: int) -> None:
    """Kill a process if it is of this session. The one that is looked at is the one that is killed,
    by a descriptor: its number may be another's a moment later."""
    # Either it is gone, or the system has no such call.
    with contextlib.suppress(OSError, AttributeError):
        process = os.pidfd_open(pid)
        try:
            if session_of(pid) == session:
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
