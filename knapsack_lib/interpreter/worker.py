"""The child process: runs one block at a time and reports on it. Standard library only (see
parent.py).

Everything here is inside the reach of the code it runs, so nothing here is trusted: the host checks
every message and holds every secret. What is used is captured by name at the start, so that a block
that patches `json`, `os` or `builtins` changes what it sees itself and not how its step is
reported. Messages (wire.py) go over descriptor 3.
"""

import builtins
import contextlib
import os
import random
import signal
import sys
from _ast import Expr, Expression, Module
from _random import Random
from _signal import SIG_SETMASK, SIGKILL, pthread_sigmask, valid_signals  # type: ignore
from _socket import CMSG_SPACE, SCM_RIGHTS, socket
from _thread import allocate_lock as Lock
from collections.abc import Callable
from os import WNOHANG, _exit, close, dup2, fork, getpid, waitpid, write
from types import ModuleType
from typing import Any, NoReturn, TextIO

from knapsack_lib.interpreter.confine import Confinement
from knapsack_lib.interpreter.imports import seed_packages
from knapsack_lib.interpreter.persistence import ATOMS, survivors
from knapsack_lib.interpreter.report import (
    bindings_of,
    builtin,
    error_of,
    show,
)
from knapsack_lib.interpreter.stores import Marks
from knapsack_lib.interpreter.syscalls import PR_SET_PDEATHSIG, prctl
from knapsack_lib.interpreter.wire import (
    Block,
    BlockError,
    Call,
    Done,
    Ready,
    framed,
)
from knapsack_lib.interpreter.wire import receive as receive_from

SOCKET = 3
SIGNALS = frozenset(valid_signals())
SPECIAL = frozenset(
    ("__builtins__", "__annotations__", "__warningregistry__", *vars(ModuleType("__main__")))
)
ONLY_TREE = 0x400  # PyCF_ONLY_AST of compile()
generator: Any = random._inst
modules = sys.modules
channel: socket


def send(message: Call | Done | Ready) -> None:
    left = framed(message, strict=True)
    while left:
        left = left[write(SOCKET, left) :]


def receive() -> Any:
    """The host's next message. The process ends when the host is gone."""
    return receive_with_descriptors()[0]


def receive_with_descriptors() -> tuple[Any, list[int]]:
    try:
        message, attached = receive_from(channel, CMSG_SPACE(8))
    except ConnectionResetError:
        _exit(0)
    return message, attached.get(SCM_RIGHTS, [])


class Child:
    """What one child knows of its episode."""

    def __init__(self) -> None:
        self.module: ModuleType | None = None
        self.tools: dict[str, Callable[..., Any]] = {}
        self.copies: list[int] = []
        self.imported: frozenset[str] = frozenset()
        self.written: dict[str, int] = {}  # name -> step that last wrote it
        self.marks = Marks()
        self.mask: set[int] = set()  # signals that the block had blocked
        self.stream = sys.stderr = sys.stdout
        self.renew()

    def renew(self) -> None:
        """What belongs to one process: in a copy, what a thread of the original may have held when
        it was made is held for ever."""
        old, self.pid, self.lock = self.stream, getpid(), Lock()
        self.stream = new_stream()
        for name in ("stdout", "stderr"):
            if getattr(sys, name, None) is old:
                setattr(sys, name, self.stream)

    def begin(self, block: Block) -> ModuleType:
        """Before the first block: an empty module, the tools among the builtins, a seeded
        generator."""
        module = self.module = sys.modules["__main__"] = ModuleType("__main__")
        module.__dict__["__builtins__"] = builtins
        self.tools = {name: self.tool(name) for name in block["tools"]}
        vars(builtins).update(self.tools)
        random.seed(block["seed"])
        seed_packages(block["seed"])
        return module

    def tool(self, name: str) -> Callable[..., Any]:
        """A stub that asks the host. Among the builtins, a block may shadow it and has it back with
        `del`."""

        def tool(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                raise TypeError(f"{name}() takes no keyword arguments")
            if getpid() != self.pid:
                raise RuntimeError("tools cannot be called from a forked process")
            with self.lock:  # one call at a time, so that each thread gets its own answer
                self.flush()
                send({"call": name, "args": list(args)})
                answer = receive()
            if "kind" in answer:
                raise getattr(builtins, answer["kind"], RuntimeError)(answer["message"])
            return answer["value"]

        tool.__name__ = tool.__qualname__ = name
        tool.__module__ = "builtins"
        return tool

    def flush(self) -> None:
        for own in (True, False):
            try:  # noqa: SIM105 - contextlib may be patched too
                (self.stream if own else sys.stdout).flush()
            except BaseException:  # noqa: BLE001 - the block may have closed it or replaced it
                pass

    def keep_copy(self, fds: list[int]) -> None:
        """Fork a copy of this state, which waits on `fds` (a socket, an output) for the case that
        this process is killed."""
        self.copies = [pid for pid in self.copies if not reaped(pid)]
        state: Any = None
        try:
            state = Random.getstate(generator), generator.gauss_next
            pid = fork() if len(fds) == 2 else -1
        except BaseException:  # noqa: BLE001 - the block may have broken what this needs: no copy
            pid = -1
        if pid == 0:
            self.renew()
            # The random module draws a new seed in every forked process; a copy continues as the
            # original would.
            Random.setstate(generator, state[0])
            generator.gauss_next = state[1]
            for fd, place in ((fds[0], SOCKET), (fds[1], 1), (fds[1], 2)):
                dup2(fd, place)
        self.copies = [*self.copies, pid] if pid > 0 else []
        for fd in fds:
            close(fd)
        if pid == 0:
            send({"ready": self.pid})
        else:
            self.rehearse()

    def rehearse(self) -> None:
        """Touch what a step touches, while nobody waits: after a fork the first touch of a page
        makes a copy of it."""
        error, own = self.execute("rehearsal = 0", "<block 0>", {}), {"rehearsal": 0}
        kept = survivors("persistent", own, frozenset(), own, 0)
        bindings, written = bindings_of(kept), bindings_of(sorted(self.marks.bound(own, modules)))
        framed({"done": 0, "error": error, "bindings": bindings, "written": written}, strict=True)

    def run(self, block: Block) -> None:
        """Run one block and report on it."""
        names, number = (self.module or self.begin(block)).__dict__, block["step"]
        before = {name: mark(value) for name, value in dict(names).items() if type(name) is str}
        pthread_sigmask(SIG_SETMASK, self.mask)
        error = self.execute(block["code"], f"<block {number}>", names)
        # Between steps no handler of the block runs.
        self.mask = pthread_sigmask(SIG_SETMASK, SIGNALS)
        if getpid() != self.pid:  # a process that the block forked must not speak for the episode
            _exit(0)
        self.flush()
        # At one stroke: a thread of the block may be binding names.
        everything = {k: v for k, v in dict(names).items() if type(k) is str}
        own = {k: v for k, v in everything.items() if k not in SPECIAL}
        bound = self.marks.bound(own, modules)
        written = {
            name
            for name, value in own.items()
            if name in bound or not same(before.get(name, SPECIAL), mark(value))
        }
        imported = {name for name in written if bound.get(name)}
        self.imported = (self.imported - written) | imported
        self.written = {
            name: number if name in written else self.written.get(name, number) for name in own
        }
        kept = survivors(block["mode"], own, self.imported, self.written, number)
        if len(kept) < len(own):
            names.clear()
            names.update({k: v for k, v in everything.items() if k in SPECIAL or k in kept})
        del own, everything
        send(
            {
                "done": number,
                "error": error,
                "bindings": bindings_of(kept),
                "written": bindings_of(sorted(written)),
                "shadowed": [
                    name
                    for name, stub in self.tools.items()
                    if name in kept or builtin(name) is not stub
                ],
            }
        )

    def execute(self, code: str, name: str, names: dict[str, Any]) -> BlockError | None:
        """Run a block in the namespace `names`, and mark what it binds."""
        self.marks.clear()
        show(name, code)
        try:
            tree = compile(code, name, "exec", ONLY_TREE, True)
            self.marks.put_into(tree, everywhere=":=" in code)
            last = tree.body.pop().value if tree.body and type(tree.body[-1]) is Expr else None
            body = compile(Module(tree.body, []), name, "exec", 0, True)
            value = compile(Expression(last), name, "eval", 0, True) if last is not None else None
            names.setdefault("__builtins__", builtins)  # else exec would put ours there
            exec(self.marks.given_to(body), names)
            names.setdefault("__builtins__", builtins)
            # As a notebook shows a last expression.
            if value is not None:
                result = eval(self.marks.given_to(value), names)
                if result is not None and not code.rstrip().endswith(";"):
                    sys.stdout.write(f"{result!r}\n")
        except BaseException as error:  # noqa: BLE001 - a block may raise anything; it is reported
            return error_of(error)
        return None


def new_stream() -> TextIO:
    return open(
        1, "w", encoding="utf-8", errors="replace", newline="\n", buffering=1, closefd=False
    )


def mark(value: Any) -> Any:
    """Something that is the same as long as the value is. No reference to what may notice its own
    end."""
    return value if type(value) in ATOMS else id(value)


def same(mark: Any, other: Any) -> bool:
    return mark is other or (type(mark) is type(other) is int and mark == other)


def reaped(pid: int) -> bool:
    """Whether a copy that was not needed has gone by now."""
    try:
        return waitpid(pid, WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def run_child(
    sock: int, report: Callable[[int], object], bounds: Confinement, memory: int
) -> NoReturn:
    """Everything after the parent's fork happens here; never returns. Whatever goes wrong, leave
    quietly.

    `report` hands the listener of confine.py to the parent, which answers attempts to fork.
    """
    with contextlib.suppress(BaseException):
        bounds.close_to_others()  # before there is a pipe that others could open
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        sys.argv, sys.orig_argv = [""], ["python"]
        os.setpgid(0, 0)  # by which the parent knows the copies of this child
        # Its own: flags of a shared one would be seen by others.
        dup2(os.open("/dev/null", os.O_RDONLY), 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        dup2(sock, SOCKET)
        global channel
        channel = socket(fileno=SOCKET)
        _, (output,) = receive_with_descriptors()
        for place in (1, 2):
            dup2(output, place)
        child = Child()
        listener = bounds.close(memory)
        if listener is not None:
            report(listener)
        bounds.seal()
        bounds.close_descriptors(SOCKET + 1)
        child.rehearse()
        send({"ready": child.pid})
        while True:
            message, fds = receive_with_descriptors()
            if "purpose" in message:
                child.keep_copy(fds)
                continue
            prctl(PR_SET_PDEATHSIG, SIGKILL)  # a copy that takes over has another parent
            child.run(message)
    _exit(70)
