"""What the interpreter's tests share. Every one of them runs real child processes."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named


def echo(value):
    return value


def refuse(kind):
    raise ToolError(kind, f"a {kind} for you")


TOOLS = {"echo": echo, "refuse": refuse}


@pytest.fixture(scope="session")
def tools():
    """echo(value) gives the value back, refuse(kind) is refused with an error of that kind."""
    return TOOLS


@pytest.fixture(scope="session")
def steps():
    """Run blocks in a new episode of one mode; returns what was seen of each."""

    def run(pool, mode, *blocks, tools=TOOLS, seed=1):
        with Interpreter(pool, persistence_named(mode), tools, seed) as interpreter:
            return [interpreter.run(block) for block in blocks]

    return run


@pytest.fixture(scope="module")
def pool(make_limits):
    with Pool(make_limits()) as pool:
        yield pool


@pytest.fixture(scope="module")
def hasty(make_limits):
    """A pool whose steps have half a second."""
    with Pool(make_limits(wall_seconds=0.5, cpu_seconds=1)) as pool:
        yield pool


@pytest.fixture(scope="module")
def open_pool(make_limits):
    """A pool whose children may read /proc, start processes and send signals."""
    with Pool(make_limits(), without=("files", "syscalls", "privileges")) as pool:
        yield pool


def still_there(pid):
    """Whether a process runs (one that is dead and waits for init to reap it does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="session")
def gone():
    """Whether all these processes end soon. Those that do not are killed, for the sake of the next test."""

    def wait(pids, within=3.0):
        deadline = time.monotonic() + within
        while any(map(still_there, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        left = [pid for pid in pids if still_there(pid)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    return wait
