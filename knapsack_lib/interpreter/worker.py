"""The child process: runs one block at a time and says what came of it. Standard library only (see
parent.py).

Everything here is inside the reach of the code it runs, so nothing here is trusted: the host checks
every message and holds every secret. What is used is captured by name at the start, so that a block
that patches `json`, `os` or `builtins` changes what it sees itself and not how its step is
reported.

Messages on descriptor 3 are a 4-byte length and that much JSON:
  host -> child  {"output"} once, with the end of a pipe; {"step", "code", "mode", "seed", "tools"}; {"value"} or {"kind", "message"} in answer to a call;
                 {"copy"} with the ends of a socket and of a pipe, when a copy of the state is wanted
  child -> host  {"ready"}; {"call", "args"}; {"done", "error", "bindings", "written", "shadowed"}
"""

import builtins
import contextlib
import json
import os
import random
import signal
import sys
from _ast import Expr, Expression, Module
from _json import make_encoder, make_scanner
from _random import Random
from _signal import SIG_SETMASK, pthread_sigmask, valid_signals  # type: ignore[import-not-found]
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET, socket
from _struct import pack, unpack
from _thread import allocate_lock as Lock
from collections.abc import Callable
from os import WNOHANG, _exit, close, dup2, fork, getpid, waitpid, write
from types import ModuleType
from typing import Any, NoReturn, TextIO

from knapsack_lib.interpreter.confine import PR_SET_PDEATHSIG, SIGKILL, Confinement, prctl
from knapsack_lib.interpreter.persistence import ATOMS, survivors
from knapsack_lib.interpreter.report import (
    bindings_of,
    builtin,
    error_of,
    imported_names,
    show,
    stored_names,
)

MAX_MESSAGE = 1 << 20  # bytes
SOCKET = 3
SIGNALS = frozenset(valid_signals())
SPECIAL = frozenset(
    ("__builtins__", "__annotations__", "__warningregistry__", *vars(ModuleType("__main__")))
)
ONLY_TREE = 0x400  # PyCF_ONLY_AST of compile()
read = os.read
generator: Any = random._inst
_quoted: Any = json.encoder.encode_basestring_ascii
_scan: Any = make_scanner
_decode = _scan(json.JSONDecoder())


def encode(message: Any) -> bytes:
    """JSON of plain values. Raises TypeError or ValueError, whatever a block did to the json
    module."""
    return "".join(
        make_encoder({}, refuse, _quoted, None, ":", ",", False, False, False)(message, 0)
    ).encode()


def refuse(value: Any) -> NoReturn:
    raise TypeError(f"a tool takes plain JSON values, not {type(value).__name__}")


def send(message: Any) -> None:
    body = encode(message)
    if len(body) > MAX_MESSAGE:
        raise ValueError(f"more than {MAX_MESSAGE} bytes at once")
    left = memoryview(pack(">I", len(body)) + body)
    while left:
        left = left[write(SOCKET, left) :]


def receive() -> Any:
    """The host's answer to a call. The process ends when the host is gone."""
    return _decode(_exactly(unpack(">I", _exactly(4))[0]).decode(), 0)[0]


def receive_step() -> tuple[dict[str, Any], tuple[int, ...]]:
    head, extra, _, _ = channel.recvmsg(4, CMSG_SPACE(8))
    if not head:
        _exit(0)
    head += _exactly(4 - len(head))
    fds: tuple[int, ...] = ()
    for level, kind, data in extra:
        if (level, kind) == (
            SOL_SOCKET,
            SCM_RIGHTS,
        ):  # fewer than were sent where the block left no room for them
            fds += unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
    return _decode(_exactly(unpack(">I", head)[0]).decode(), 0)[0], fds


def _exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = read(SOCKET, count - len(data))
        if not part:
            _exit(0)
        data += part
    return data


class Child:
    """What one child knows of its episode."""

    def __init__(self) -> None:
        self.me = getpid()
        self.lock, self.stream = Lock(), new_stream()
        sys.stdout = sys.stderr = self.stream
        self.mask: set[int] = set()
        self.module: ModuleType | None = None
        self.tools: dict[str, Callable[..., Any]] = {}
        self.copies: list[int] = []
        self.imported: frozenset[str] = frozenset()
        self.written: dict[str, int] = {}  # name -> step that last wrote it

    def begin(self, step: dict[str, Any]) -> None:
        """Before the first block: an empty module, the tools among the builtins, a seeded
        generator."""
        self.module = sys.modules["__main__"] = ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        for name in step["tools"]:
            self.tools[name] = self.tool(name)
            setattr(builtins, name, self.tools[name])
        random.seed(step["seed"])

    def tool(self, name: str) -> Callable[..., Any]:
        """A stub that asks the host. Among the builtins, a block may shadow it and has it back with
        `del`."""

        def tool(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                raise TypeError(f"{name}() takes no keyword arguments")
            if getpid() != self.me:
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

    def keep_copy(self, fds: tuple[int, ...]) -> None:
        """Fork a copy of this state, which waits on `fds` for the case that this process is killed."""
        self.copies = [pid for pid in self.copies if not reaped(pid)]
        state, pid = None, -1
        try:
            state = Random.getstate(generator), generator.gauss_next
            pid = fork() if len(fds) == 2 else -1
        except BaseException:  # noqa: BLE001 - a block may have broken what this is made of: then there is no copy
            state = None
        if pid == 0:
            self.me = getpid()
            self.renew()
            # The random module draws a new seed in every forked process; a copy goes on as the
            # original would.
            if state is not None:
                Random.setstate(generator, state[0])
                generator.gauss_next = state[1]
            for fd, place in ((fds[0], SOCKET), (fds[1], 1), (fds[1], 2)):
                dup2(fd, place)
        self.copies = [*self.copies, pid] if pid > 0 else []
        for fd in fds:
            close(fd)
        if pid == 0:
            send({"ready": True})
        else:
            self.rehearse()

    def renew(self) -> None:
        """In a copy: what a thread of the original may have held at that moment is held for ever."""
        old, self.lock, self.stream = self.stream, Lock(), new_stream()
        for name in ("stdout", "stderr"):
            if getattr(sys, name, None) is old:
                setattr(sys, name, self.stream)

    def rehearse(self) -> None:
        """Touch what a step touches, while nobody waits: after a fork the first touch of a page
        makes a copy of it."""
        names: dict[str, Any] = {}
        error, stored, imported = self.block("rehearsal = 0", "<block 0>", names)
        kept = survivors("persistent", {"rehearsal": 0}, imported, {"rehearsal": 0}, 0)
        encode(
            {
                "done": 0,
                "error": error,
                "bindings": bindings_of(kept),
                "written": bindings_of(sorted(stored)),
            }
        )

    def run(self, step: dict[str, Any]) -> None:
        """Run one block and report it."""
        if self.module is None:
            self.begin(step)
        assert self.module is not None
        names, number = self.module.__dict__, step["step"]
        before = {name: mark(value) for name, value in dict(names).items() if type(name) is str}
        pthread_sigmask(SIG_SETMASK, self.mask)
        error, stored, imported = self.block(step["code"], f"<block {number}>", names)
        self.mask = pthread_sigmask(
            SIG_SETMASK, SIGNALS
        )  # between steps no handler of the block runs
        if getpid() != self.me:  # a process that the block forked must not speak for the episode
            _exit(0)
        self.flush()
        everything = dict(names)  # at one stroke: a thread of the block may be binding names
        own = {k: v for k, v in everything.items() if type(k) is str and k not in SPECIAL}
        written = {
            name
            for name, value in own.items()
            if name in stored or not same(before.get(name, SPECIAL), mark(value))
        }
        if "*" in imported:
            imported |= written - stored
        self.imported = (self.imported - written) | (imported & written)
        self.written = {
            name: number if name in written else self.written.get(name, number) for name in own
        }
        kept = survivors(step["mode"], own, self.imported, self.written, number)
        if len(kept) < len(own):
            special = {k: v for k, v in everything.items() if type(k) is str and k in SPECIAL}
            names.clear()
            names.update({**special, **kept})
        del own, everything
        hidden = [
            name for name, stub in self.tools.items() if name in kept or builtin(name) is not stub
        ]
        send(
            {
                "done": number,
                "error": error,
                "bindings": bindings_of(kept),
                "written": bindings_of(sorted(written)),
                "shadowed": hidden,
            }
        )

    def block(
        self, code: str, name: str, names: dict[str, Any]
    ) -> tuple[Any, set[str], frozenset[str]]:
        """(error or None, names the code stores, names it imports)."""
        stored: set[str] = set()
        imported: frozenset[str] = frozenset()
        show(name, code)
        try:
            tree = compile(code, name, "exec", ONLY_TREE, True)
            last = tree.body.pop().value if tree.body and type(tree.body[-1]) is Expr else None
            body = compile(Module(tree.body, []), name, "exec", 0, True)
            value = compile(Expression(last), name, "eval", 0, True) if last is not None else None
            stored, imported = stored_names(body), imported_names(tree)
            if value is not None:
                stored |= stored_names(value)
            names.setdefault("__builtins__", builtins)  # else exec would put ours there
            exec(body, names)
            names.setdefault("__builtins__", builtins)
            if value is not None:
                result = eval(value, names)
                if result is not None and not code.rstrip().endswith(
                    ";"
                ):  # as a notebook shows a last expression
                    sys.stdout.write(f"{result!r}\n")
        except BaseException as error:  # noqa: BLE001 - model code may raise anything; the host reports it to the model
            return error_of(error), stored, imported
        return None, stored, imported


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
        bounds.separate()  # before there is a pipe that others could open
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        sys.argv, sys.orig_argv = [""], ["python"]
        os.setpgid(0, 0)  # by which the parent knows the copies of this child
        dup2(
            os.open("/dev/null", os.O_RDONLY), 0
        )  # its own: flags of a shared one would be seen by others
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        dup2(sock, SOCKET)
        global channel
        channel = socket(fileno=SOCKET)
        _, (output,) = receive_step()
        for place in (1, 2):
            dup2(output, place)
        child = Child()
        listener = bounds.close(memory)
        if listener is not None:
            report(listener)
        bounds.close_descriptors(SOCKET + 1)
        child.rehearse()
        send({"ready": True})
        while True:
            step, fds = receive_step()
            if "copy" in step:
                child.keep_copy(fds)
                continue
            prctl(PR_SET_PDEATHSIG, SIGKILL)  # a copy that takes over has another parent
            child.run(step)
    _exit(70)


channel: socket
