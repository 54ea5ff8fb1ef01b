"""Child side of the interpreter: a warm parent that forks children, and the child that runs one block at a time.

Run as a script by host.py with nothing of the package imported, so that no hidden value was ever in this process.
Protocol (every message is a 4-byte length and that much JSON):
  control socket, host -> parent: {"fork": true} with one end of a socket pair and the write end of an output pipe
                                  {"kill": pid}
                  parent -> host: {"pid": pid} or {"killed": pid, "signal": n}
  child socket,   host -> child:  {"code", "tools", "cpu", "memory", "seed"} then answers to tool calls
                  child -> host:  {"call", "args"} and at last {"done", "error", "bindings"}
"""

import array
import builtins
import contextlib
import ctypes
import json
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

MAX_MESSAGE = 1 << 20
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
prctl = getattr(ctypes.CDLL(None), "prctl", lambda *_: -1)  # elsewhere than on Linux orphans are not followed


def send(sock: socket.socket, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    if len(body) > MAX_MESSAGE:
        raise ValueError("message to the host is too large")
    sock.sendall(struct.pack(">I", len(body)) + body)


def receive(sock: socket.socket) -> Any:
    head = _exactly(sock, 4)
    return None if head is None else json.loads(_exactly(sock, struct.unpack(">I", head)[0]) or b"null")


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def serve(control: socket.socket) -> None:
    """The warm parent: forks, kills and reaps on request; ends (with every child) when the host is gone."""
    children = set()
    while True:
        fds = array.array("i")
        head, ancillary, _, _ = control.recvmsg(4, socket.CMSG_SPACE(2 * fds.itemsize))
        if not head:
            break
        head += (_exactly(control, 4 - len(head)) or b"") if len(head) < 4 else b""
        request = json.loads(_exactly(control, struct.unpack(">I", head)[0]) or b"{}")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if "fork" in request:
            pid = os.fork()
            if pid == 0:
                control.close()
                run_child(socket.socket(fileno=fds[0]), fds[1])
            for fd in fds:
                os.close(fd)
            children.add(pid)
            send(control, {"pid": pid})
        else:
            pid = request["kill"]
            send(control, {"killed": pid, "signal": end_child(pid) if pid in children else None})
            children.discard(pid)
            end_orphans(children)
    for pid in children:
        end_child(pid)
    end_orphans(set())


def end_orphans(children: set[int]) -> None:
    """Kill what ended episodes left behind, whatever session it moved to: orphans become this process's children."""
    listing = f"/proc/self/task/{os.getpid()}/children"
    while os.path.exists(listing):
        with open(listing) as file:
            orphans = {int(pid) for pid in file.read().split()} - children
        if not orphans:
            return
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def end_child(pid: int) -> int:
    """Kill a child with its process group and reap it. Returns the signal that ended it (0: it had exited)."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def run_child(
    sock: socket.socket, output: int, leave: Callable[[int], NoReturn] = os._exit, anything: Any = BaseException
) -> NoReturn:
    """Everything after the fork happens here; never returns. A block may break what this is made of: leave quietly."""
    with contextlib.suppress(anything):
        answer_steps(sock, output)
    leave(70)


def answer_steps(sock: socket.socket, output: int) -> NoReturn:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    me = os.getpid()
    os.setpgid(0, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if sock.fileno() > 3:  # close whatever the parent had open besides our own socket
        os.closerange(3, sock.fileno())
    os.closerange(sock.fileno() + 1, 256)
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", newline="\n", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stdout
    namespace = None
    while True:
        step = receive(sock)
        if step is None:
            os._exit(0)
        if namespace is None:
            namespace = first_namespace(sock, step)
        set_limits(step)
        error = run_block(step["code"], namespace)
        if os.getpid() != me:  # a copy that the block forked must not speak for the episode
            os._exit(0)
        with contextlib.suppress(
            ValueError, AttributeError, OSError
        ):  # the block may have closed or replaced its own stdout
            sys.stdout.flush()
        send(sock, {"done": True, "error": error, "bindings": bindings_of(namespace, step["tools"])})


def first_namespace(sock: socket.socket, step: dict[str, Any]) -> dict[str, Any]:
    random.seed(step["seed"])
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    lock = threading.Lock()  # one call at a time, so that each thread gets its own answer
    for name in step["tools"]:
        namespace[name] = make_tool(sock, name, lock)
    return namespace


def make_tool(sock: socket.socket, name: str, lock: threading.Lock) -> Callable[..., Any]:
    me = os.getpid()

    def tool(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"{name}() takes no keyword arguments")
        if os.getpid() != me:
            raise RuntimeError("tools cannot be called from a forked process")
        with lock:
            sys.stdout.flush()
            send(sock, {"call": name, "args": list(args)})
            answer = receive(sock)
        if answer is None:
            os._exit(0)
        if "kind" in answer:
            raise getattr(builtins, answer["kind"], RuntimeError)(answer["message"])
        return answer["value"]

    tool.__name__ = tool.__qualname__ = name
    return tool


def set_limits(step: dict[str, Any]) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + step["cpu"]
    for what, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, step["memory"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The hard limit is lowered too where it never has to rise again; CPU time is given anew at each step.
        resource.setrlimit(what, (ceiling, hard if what == resource.RLIMIT_CPU else ceiling))


def run_block(code: str, namespace: dict[str, Any]) -> dict[str, Any] | None:
    """Returns None or {"type", "message", "line"}; `type` is the name of what was raised."""
    try:
        exec(compile(code, "<turn>", "exec"), namespace)
    except SystemExit as error:
        return {"type": "SystemExit", "message": text_of(error.code), "line": line_of(error)}
    except BaseException as error:  # noqa: BLE001 - model code may raise anything; the host reports it to the model
        return {"type": type_of(error), "message": text_of(error), "line": line_of(error)}
    return None


def text_of(value: Any) -> str:
    try:
        return str.__getitem__(str(value), slice(300))
    except BaseException:  # noqa: BLE001 - an exception's own __str__ may raise anything too
        return "(its message could not be made)"


def type_of(error: BaseException) -> str:
    name_of = type.__dict__["__name__"].__get__  # a metaclass cannot interfere
    for cls in type.__dict__["__mro__"].__get__(type(error)):
        if getattr(builtins, name_of(cls), None) is cls:
            own = name_of(type(error))[:80]
            return name_of(cls) if own == name_of(cls) or name_of(cls) in ("Exception", "BaseException") else own
    return "Exception"


def line_of(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno if isinstance(error.lineno, int) else None
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<turn>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def bindings_of(namespace: dict[str, Any], tools: list[str]) -> list[str]:
    names = [str.__str__(k) for k in namespace if isinstance(k, str)]
    return [str.__getitem__(n, slice(80)) for n in names if not str.startswith(n, "__") and n not in tools][:500]


if __name__ == "__main__":
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    setattr(builtins, "exit", sys.exit)  # noqa: B010 - what an interactive Python offers; without site they do not exist
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which then ends us
    serve(socket.socket(fileno=int(sys.argv[1])))
