"""Blocks that run an event loop: it wakes itself through a pair of sockets, which reach nobody else."""

import pytest

ALL = pytest.mark.parametrize("mode", ["persistent", "reset", "functions", "data", "ttl:2"])
EXIT = "import os\nos._exit(1)"
RUN = """
import asyncio
async def main():
    first, second = await asyncio.gather(asyncio.sleep(0.01, 20), asyncio.to_thread(lambda: 22))
    return first + second
print(asyncio.run(main()))
"""


@ALL
def test_asyncio_runs_and_leaves_nothing_on_the_error_stream(pool, steps, mode):
    seen = steps(pool, mode, RUN, RUN, EXIT, RUN)
    assert [o.stdout for o in seen] == ["42\n", "42\n", "", "42\n"]
    assert [o.error_type for o in seen] == [None] * 4


def test_a_loop_that_is_kept_runs_in_later_steps_also_after_a_kill(pool, steps):
    run = "print(loop.run_until_complete(asyncio.sleep(0.01, 42)))"
    seen = steps(
        pool, "persistent", "import asyncio\nloop = asyncio.new_event_loop()", run, EXIT, run
    )
    assert [o.stdout for o in seen] == ["", "42\n", "", "42\n"]


OUT = {
    "a connection": "await asyncio.open_connection('127.0.0.1', {PORT})",
    "a connection by a file": "await asyncio.open_unix_connection('/tmp/any')",
    "a look at a name": "await asyncio.get_running_loop().getaddrinfo('localhost', 1)",
    "a program": "await asyncio.create_subprocess_exec('true')",
    "a server on a file": "await asyncio.start_unix_server(print, '/tmp/any')",
}


@pytest.mark.parametrize("what", OUT)
def test_what_would_reach_out_of_a_loop_is_refused(pool, steps, what):
    action = OUT[what].format(PORT=9)
    block = f"import asyncio\nasync def main():\n    {action}\n    print('REACHED')\nasyncio.run(main())"
    seen = steps(pool, "reset", block)[0]
    assert seen.error_type in ("PermissionError", "gaierror", "OSError")
    assert "REACHED" not in seen.stdout


def test_a_pair_is_one_for_a_state_and_its_copy_like_a_pipe(pool, steps):
    """What the killed block read from it is gone, what was sent and not read is still there."""
    seen = steps(
        pool,
        "persistent",
        "import socket\na, b = socket.socketpair()\na.send(b'12')\nNone",
        "b.recv(1)\nimport os\nos._exit(1)",
        "b.recv(1)",
    )
    assert [o.restored for o in seen] == [False, True, False]
    assert seen[2].stdout == "b'2'\n"


def test_pairs_of_one_episode_are_no_hindrance_to_another(pool, steps):
    """Filled to the brim and kept, with as many descriptors as there may be."""
    fill = (
        "import socket\nkept = []\ntry:\n    while True:\n        kept += socket.socketpair()\n"
        "except OSError: pass\n"
        "for s in kept:\n    s.setblocking(False)\n    try:\n        while True: s.send(b'x' * 4096)\n"
        "    except BlockingIOError: pass\nprint(len(kept) > 50)"
    )
    assert steps(pool, "persistent", fill, "kept is None")[0].stdout == "True\n"
    assert [o.stdout for o in steps(pool, "reset", RUN, RUN, RUN)] == ["42\n"] * 3
