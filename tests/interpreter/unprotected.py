"""What a study without a sandbox does, for the attacks to succeed on. Never import this: run it and
throw it away.

Reads lines of JSON [block file, answer file, kind], answers each with one line of JSON, and forks a
process for each:

    plain    the world and the block in one process, tools as bound methods, a plain exec
    naive    the block in a process of its own, and a host that believes whatever arrives on descriptor 3

The process runs the block, then `print(6 * 7)`, and ends with one line of JSON on its standard
output, the answer file. Whatever keeps that line from coming, or makes it lie, is what the attack
has won.
"""

import builtins
import contextlib
import copy
import json
import linecache
import os
import random
import resource
import signal
import struct
import sys
import time
from io import StringIO
from pathlib import Path
from socket import socketpair

from knapsack_lib.families.knapsack.tasks import SIZES, make_task
from knapsack_lib.families.knapsack.world import KnapsackWorld

world = KnapsackWorld(make_task(SIZES["pocket-easy"], seed=5, split="easy", index=0))
taking: list[list[object]] = []
stream, shown = sys.stdout, 0


def recorded(tool):
    """One tool is wrapped, to keep a record: its closure holds the tool."""

    def take_item(item_id):
        taking.append([item_id])
        return tool(item_id)

    return take_item


def run(code, names):
    """(what was printed since the last block, the error or None). Catches Exception, as one does."""
    global shown
    error = None
    try:
        exec(compile(code, "<block 2>", "exec"), names)
    except Exception as raised:  # noqa: BLE001
        error = raised
    start, shown = shown, stream.tell()
    return stream.getvalue()[start:shown], error


def described(error):
    name = type(error).__name__[:]
    causes, cause = [], error
    while cause is not None:
        causes.append(type(cause).__name__)
        cause = cause.__context__
    return {
        "error_type": name,
        "error": str(error)[:],
        "causes": causes,
        "line": line_of(error),
        "builtin": hasattr(builtins, name),
    }


def line_of(error):
    if isinstance(error, SyntaxError):
        return f"{error.lineno:d}"
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in {"<block 2>"}:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{line:d}"


def write_report(report):
    import json  # as late as many programs do

    os.write(1, json.dumps(report, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def plain(code):
    global stream
    stream = sys.stdout = StringIO()
    names = {"__name__": "__main__", **world.tools, "take_item": recorded(world.tools["take_item"])}
    printed, error = run(code, names)
    time.sleep(0.02)  # while a model thinks
    after, _ = run("print(6 * 7)", names)
    report = {
        "stdout": printed[:20_000],
        "printed": len(printed),
        "after": after,
        **({} if error is None else described(error)),
        "bindings": [
            f"{name} = {value!r}" for name, value in names.items() if not name.startswith("__b")
        ],
        "taking": copy.deepcopy(taking),
        "taken": world.taken,
        "inspected": world.inspected,
        **world.result(),
    }
    names.clear()
    write_report(report)


def naive(code):
    ours, theirs = socketpair()
    if os.fork() == 0:
        ours.close()
        os.dup2(theirs.fileno(), 3)
        try:
            naive_child(code)
        finally:
            os._exit(0)
    theirs.close()
    messages = ours.makefile("rwb")
    while True:
        message = json.loads(messages.read(struct.unpack(">I", messages.read(4))[0]))
        if "done" in message:
            return write_report({"taken": world.taken, **world.result(), **message})
        value = json.dumps({"value": getattr(world, message["call"])(*message["args"])}).encode()
        messages.write(struct.pack(">I", len(value)) + value)
        messages.flush()


def naive_child(code):
    """Runs both blocks with whatever modules the first of them left."""

    def send(message):
        body = json.dumps(message).encode()
        os.write(3, struct.pack(">I", len(body)) + body)

    def list_items():
        send({"call": "list_items", "args": []})
        return json.loads(os.read(3, struct.unpack(">I", os.read(3, 4))[0]))["value"]

    names, printed, error = {"__name__": "__main__", "list_items": list_items}, StringIO(), None
    for number, block in enumerate((code, "print(6 * 7)")):
        if number and (other := os.fork()):  # the state before each block is kept, as one does
            return os.waitpid(other, 0)
        linecache.cache[f"<block {number}>"] = (
            len(block),
            None,
            block.splitlines(True),
            f"<block {number}>",
        )
        random.seed(number)
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(block, "<block 2>", "exec"), names)
            except Exception as raised:  # noqa: BLE001
                error = type(raised).__name__
    send({"done": 2, "stdout": printed.getvalue(), "error_type": error})


def child(block, answer, kind):
    os.setsid()
    waiting, _ = os.pipe()  # an input that never comes
    os.dup2(waiting, 0)
    os.dup2(os.open(answer, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    {"plain": plain, "naive": naive}[kind](Path(block).read_text(encoding="utf-8"))


def ended(pid, patience):
    """Whether it ends by itself in so many seconds. It is gone with its group in any case."""
    deadline, gone = time.monotonic() + patience, 0
    while not gone and time.monotonic() < deadline:
        time.sleep(0.004)
        gone, _ = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not gone:
        os.waitpid(pid, 0)
    return bool(gone)


if __name__ == "__main__":
    for line in sys.stdin:
        block, answer, kind, patience = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(block, answer, kind)
            break  # and so to the end of Python, where exit handlers run
        print(json.dumps(ended(pid, patience)), flush=True)
