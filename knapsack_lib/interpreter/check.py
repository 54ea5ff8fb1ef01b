"""What protects here, found out by trying: every probe is run with its protection and once without
it.

    python -m knapsack_lib.interpreter [--without files]

A probe that is refused both ways proves nothing, and the table says so.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter.confine import PROTECTIONS
from knapsack_lib.interpreter.host import Interpreter, Observation
from knapsack_lib.interpreter.persistence import persistence_named
from knapsack_lib.interpreter.pool import Pool
from knapsack_lib.profiles import Limits

__all__ = ["Result", "check", "report"]

LIMITS = Limits(
    turns=1, tool_calls=2, wall_seconds=5, cpu_seconds=1, memory_mb=256, output_chars=1000
)
C = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"

# (protections, what is tried, block). A block prints REACHED when it got what it wanted.
PROBES = (
    ("files", "read a file of yours", "print('REACHED' if open({FILE!r}).read() else '')"),
    (
        "files",
        "list a folder of yours",
        "import os\nprint('REACHED' if os.listdir({DIR!r}) else '')",
    ),
    ("files", "write a file", "fd = open({FILE!r}, 'r+')\nprint('REACHED')"),
    (
        "files",
        "read the memory of its parent",
        "import os\nopen(f'/proc/{{os.getppid()}}/maps').read()\nprint('REACHED')",
    ),
    ("syscalls", "open a network socket", "import socket\nsocket.socket()\nprint('REACHED')"),
    (
        "syscalls",
        "copy its process",
        "import os\npid = os.fork()\nprint('REACHED' if pid else '', flush=True)",
    ),
    (
        "syscalls files",
        "start a program",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', '0'])\nprint('REACHED')",
    ),
    (
        "syscalls",
        "send a signal to another process",
        "import os\nos.kill({PID}, 0)\nprint('REACHED')",
    ),
    ("syscalls", "change a file's mode", "import os\nos.chmod({FILE!r}, 0o600)\nprint('REACHED')"),
    (
        "syscalls",
        "enter a name space of its own",
        C + "print('REACHED' if libc.unshare(0x10000000) == 0 else '')",
    ),
    ("limits", "take more memory", "x = bytes(1 << 29)\nprint('REACHED')"),
    (
        "limits",
        "open a thousand descriptors",
        "import os\nfor _ in range(1000): os.dup(0)\nprint('REACHED')",
    ),
    (
        "privileges",
        "keep a capability of root",
        C + "import struct\nout = ctypes.create_string_buffer(24)\n"
        "libc.capget(struct.pack('Ii', 0x20080522, 0), out)\nprint('REACHED' if any(out.raw) else '')",
    ),
)
ALWAYS = (  # kept by the host whatever the machine is; (what is tried, block, what the observation must be)
    ("run for ever", "while True: pass", lambda seen: seen.killed_by == "cpu"),
    ("sleep for ever", "import time\ntime.sleep(60)", lambda seen: seen.killed_by == "time"),
    ("print for ever", "while True: print('x' * 9999)", lambda seen: seen.killed_by == "output"),
    (
        "call tools for ever",
        "while True:\n    try: tool()\n    except Exception: pass",
        lambda seen: seen.killed_by == "tool calls",
    ),
    (
        "end its process",
        "import os\nos._exit(0)",
        lambda seen: seen.killed_by == "exit" and seen.restored,
    ),
    (
        "crash its process",
        C + "ctypes.string_at(0)",
        lambda seen: seen.killed_by == "signal 11" and seen.restored,
    ),
    (
        "find the host's environment",
        "import os\nprint({*os.environ} - {'LC_ALL', 'PATH', 'PYTHONHASHSEED', 'TZ'})",
        lambda seen: seen.stdout == "set()\n",
    ),
    (
        "find the package in memory",
        "import sys\nprint([m for m in sys.modules if 'knapsack' in m])",
        lambda seen: seen.stdout == "[]\n",
    ),
)


@dataclass(frozen=True)
class Result:
    """`holds`: the block did not get what it wanted. `control`: it did without the protection
    (None: not tried)."""

    protection: str
    tried: str
    holds: bool
    control: bool | None
    seen: str


def check(without: tuple[str, ...] = ()) -> Iterator[Result]:
    """Try everything that is claimed with these protections off. Raises UserError when another one
    is missing."""
    with _surroundings() as words, Pool(LIMITS, without=without) as pool:
        for name, tried, block in PROBES:
            names = name.split()
            if set(names) <= set(without):
                continue
            block = block.format(**words)
            seen = _run(pool, block)
            with Pool(LIMITS, without=tuple({*without, *names})) as open_pool:
                control = "REACHED" in _run(open_pool, block).stdout
            yield Result(names[0], tried, "REACHED" not in seen.stdout, control, _said(seen))
    quick = LIMITS.model_copy(update={"wall_seconds": 2.0})
    with Pool(quick, without=without) as pool:
        for tried, block, expected in ALWAYS:
            seen = _run(pool, block)
            yield Result("host", tried, expected(seen), None, _said(seen))


def _run(pool: Pool, block: str) -> Observation:
    with Interpreter(
        pool, persistence_named("persistent"), {"tool": lambda: None}, seed=1
    ) as interpreter:
        interpreter.run("state = 1")
        return interpreter.run(block)


def _said(seen: Observation) -> str:
    if seen.killed_by:
        return f"stopped: {seen.killed_by}"
    return seen.error_type or seen.stdout.strip().partition("\n")[0][:30] or "nothing"


@contextlib.contextmanager
def _surroundings() -> Iterator[dict[str, object]]:
    """A file, a folder and a process to attack."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text("secret")
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            yield {"FILE": str(secret), "DIR": folder, "PID": sleeper.pid}
        finally:
            sleeper.kill()
            sleeper.wait()


def report(without: tuple[str, ...] = ()) -> int:
    """Print the table. Returns the exit status: 0 when all that is claimed holds, else 1."""
    missing = dict(_missing(without))
    for name, why in missing.items():
        print(f"{name:10}  MISSING  {why}")
    off = tuple({*without, *missing})
    broken, doubtful = 0, 0
    print(
        f"{'protection':10}  {'a block tries to':32}  {'with it':9}  {'without it':12}  what it got"
    )
    for result in check(off):
        broken += not result.holds
        doubtful += result.control is False
        control = {True: "reached", False: "refused too", None: "-"}[result.control]
        print(
            f"{result.protection:10}  {result.tried:32}  {'holds' if result.holds else 'BROKEN':9}  {control:12}  {result.seen}"
        )
    for name in PROTECTIONS:
        if name not in off:
            print(f"active: {name}: {PROTECTIONS[name]}")
    if broken:
        print(f"{broken} claimed protections do not hold")
    if doubtful:
        print(
            f"{doubtful} probes are refused without the protection too: something else refuses them here"
        )
    if missing:
        print(
            f"to run without what is missing, name it in the profile: interpreter.without: [{', '.join(missing)}]"
        )
    return 1 if broken or missing else 0


def _missing(without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in PROTECTIONS:
        if name in without:
            continue
        try:
            Pool(LIMITS, without=tuple(n for n in PROTECTIONS if n != name)).close()
        except UserError as error:
            yield name, str(error).partition("(")[2].partition(")")[0]
