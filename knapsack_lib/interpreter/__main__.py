"""Which protections are active on this machine, found out by trying what hostile code would try.

    python -m knapsack_lib.interpreter [--without files]

Every probe is run with its protection and once without it: one that is refused both ways proves
nothing, and the table says so.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter.confine import PROTECTIONS
from knapsack_lib.interpreter.host import Interpreter, Observation
from knapsack_lib.interpreter.persistence import persistence_named
from knapsack_lib.interpreter.pool import Pool
from knapsack_lib.profiles import Limits

LIMITS = Limits(
    turns=1, tool_calls=2, wall_seconds=5, cpu_seconds=1, memory_mb=256, output_chars=1000
)
C = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
ROW = "{:10}  {:32}  {:9}  {:12}  {}"


# (protections that refuse it, what a block tries, the block: it prints REACHED when it got that)
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
# Refused by the host, whatever the machine is: (what a block tries, the block, by what it is
# stopped or what it prints)
ALWAYS = (
    ("run for ever", "while True: pass", ("cpu", "time")),
    ("sleep for ever", "import time\ntime.sleep(60)", ("time",)),
    ("print for ever", "while True: print('x' * 9999)", ("output",)),
    (
        "call tools for ever",
        "while True:\n    try: tool()\n    except Exception: pass",
        ("tool calls",),
    ),
    ("end its process", "import os\nos._exit(0)", ("exit",)),
    ("crash its process", C + "ctypes.string_at(0)", ("signal 11",)),
    (
        "find the host's environment",
        "import os\nprint({*os.environ} - {'LC_ALL', 'PATH', 'PYTHONHASHSEED', 'TZ'})",
        ("set()\n",),
    ),
    (
        "find the package in memory",
        "import sys\nprint([m for m in sys.modules if 'knapsack' in m])",
        ("[]\n",),
    ),
)


def main(without: tuple[str, ...]) -> int:
    """Print the table. Returns the exit status: 0 when all that is claimed holds, else 1."""
    missing = dict(_missing(without))
    for name, why in missing.items():
        print(f"{name:10}  MISSING  {why}")
    off = (*without, *missing)
    print(ROW.format("protection", "a block tries to", "with it", "without it", "what it got"))
    rows = []
    for row in _rows(off):
        rows.append(row)
        print(ROW.format(*row))
    for name, what in PROTECTIONS.items():
        if name not in off:
            print(f"active: {name}: {what}")
    if broken := sum(row[2] == "BROKEN" for row in rows):
        print(f"{broken} claimed protections do not hold")
    if doubtful := sum(row[3] == "refused too" for row in rows):
        print(
            f"{doubtful} probes are refused without the protection too: something else refuses "
            "them here"
        )
    if missing:
        print(
            "to run without what is missing, name it in the profile: "
            f"interpreter.without: [{', '.join(missing)}]"
        )
    return 1 if broken or missing else 0


def _rows(off: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The table, line by line, with these protections off."""
    with _targets() as targets, Pool(LIMITS, without=off) as pool:
        for protections, aim, block in PROBES:
            names, block = protections.split(), block.format(**targets)
            if set(names) <= set(off):
                continue
            seen = _run(pool, block)
            verdict = "BROKEN" if "REACHED" in seen.stdout else "holds"
            with Pool(LIMITS, without=(*off, *names)) as unprotected:
                reached = "REACHED" in _run(unprotected, block).stdout
            yield names[0], aim, verdict, "reached" if reached else "refused too", _got(seen)
        for aim, block, expected in ALWAYS:
            seen = _run(pool, block)
            undone = seen.restored == bool(seen.killed_by)
            holds = undone and (seen.killed_by or seen.stdout) in expected
            yield "host", aim, "holds" if holds else "BROKEN", "-", _got(seen)


def _run(pool: Pool, block: str) -> Observation:
    tools = {"tool": lambda: None}
    with Interpreter(pool, persistence_named("persistent"), tools, seed=1) as interpreter:
        interpreter.run("state = 1")
        return interpreter.run(block)


def _got(seen: Observation) -> str:
    if seen.killed_by:
        return f"stopped: {seen.killed_by}"
    return seen.error_type or seen.stdout.strip().partition("\n")[0][:30] or "nothing"


@contextlib.contextmanager
def _targets() -> Iterator[dict[str, object]]:
    """A file, a folder and a process to attack."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as sleeper,
    ):
        secret = Path(folder, "secret")
        secret.write_text("secret", encoding="utf-8")
        try:
            yield {"FILE": str(secret), "DIR": folder, "PID": sleeper.pid}
        finally:
            sleeper.kill()


def _missing(without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(protection, why) of those that do not work here."""
    for name in [name for name in PROTECTIONS if name not in without]:
        try:
            Pool(LIMITS, without=tuple(set(PROTECTIONS) - {name})).close()
        except UserError as error:
            yield name, str(error).partition("(")[2].partition(")")[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m knapsack_lib.interpreter",
        description="Try what hostile code would try, with each protection and without it. "
        "Exit status 1 when one that is claimed does not hold or is missing.",
        epilog="example: python -m knapsack_lib.interpreter --without files",
    )
    parser.add_argument(
        "--without", nargs="+", default=[], choices=list(PROTECTIONS), help="do without these"
    )
    sys.exit(main(tuple(parser.parse_args().without)))
