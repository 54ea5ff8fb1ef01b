"""What the interpreter's tests share. Every one of them runs real child processes."""

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
