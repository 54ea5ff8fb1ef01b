"""The warm parent: a small confined process that forks a child in a moment, ends and reaps it when
told.

Run as a script by pool.py in an empty environment. It reads the files beside it as text, so that no
line of the package is imported and no hidden value was ever in this process or its children. The
modules made from those files have a copy of the builtins to themselves and are in no list that
model code sees.

Messages on the control socket are a 4-byte length and that much JSON:
  host -> parent  {"fork": n} with a child's end of its socket; n is the host's name for it
                  {"allow": n}: child n may fork once, to keep a copy of its state
                  {"end": n, "adopt": [m, pid] or null, "tell": true or false}: kill child n with all it left behind;
                  the process `pid`, a copy that n kept, is child m from now on; tell which signal had ended n
  parent -> host  {"active": [...]} or {"unavailable", "why"} once; {"signal": n} when asked to tell
"""

import array
import builtins
import contextlib
import errno
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
from types import ModuleType
from typing import Any

FILES = ("confine", "persistence", "report", "worker")
PR_SET_CHILD_SUBREAPER = 36
NOTIF_RECV, NOTIF_SEND, CONTINUE = 0xC0502100, 0xC0182101, 1  # ioctls and flag of linux/seccomp.h


def load() -> dict[str, ModuleType]:
    """The files beside this one as modules of the package, without the package."""
    private, found = dict(vars(builtins)), {}
    for name in FILES:
        full = f"knapsack_lib.interpreter.{name}"
        module = found[name] = sys.modules[full] = ModuleType(full)
        module.__dict__["__builtins__"] = private
        with open(
            os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py"), encoding="utf-8"
        ) as file:
            exec(compile(file.read(), "<interpreter>", "exec"), module.__dict__)
    for name in FILES:
        del sys.modules[f"knapsack_lib.interpreter.{name}"]
    return found


def main(control: socket.socket, memory: int, without: tuple[str, ...]) -> None:
    control = lowered(control)
    modules = load()
    confine, worker = modules["confine"], modules["worker"]
    confine.prctl(PR_SET_CHILD_SUBREAPER, 1)
    listing = None
    with contextlib.suppress(OSError):
        listing = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    try:
        bounds = confine.Confinement(without)
    except confine.Unavailable as missing:
        return send(control, {"unavailable": missing.name, "why": str(missing)})
    send(control, {"active": bounds.active})
    gc.collect()
    gc.freeze()  # what exists now is never looked at again, so that pages stay shared
    Parent(
        control,
        listing,
        lambda *ends: worker.run_child(*ends, bounds, memory),
        confine.is_plain_copy,
    ).serve()


def lowered(sock: socket.socket) -> socket.socket:
    """With the lowest descriptor that is free: a host with many open files hands over one beyond
    every limit here."""
    lower = sock.dup()
    sock.close()
    return lower


def send(sock: socket.socket, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    sock.sendall(struct.pack(">I", len(body)) + body)


class Parent:
    """`children`: the host's name -> pid. `listeners`: name -> where the child's attempts to fork
    are reported."""

    def __init__(
        self, control: socket.socket, listing: int | None, run_child: Any, is_plain_copy: Any
    ):
        self.control, self.listing, self.run_child, self.is_plain_copy = (
            control,
            listing,
            run_child,
            is_plain_copy,
        )
        self.children: dict[int, int] = {}
        self.groups: dict[
            int, int
        ] = {}  # name -> process group: the child's first process and its copies
        self.listeners: dict[int, int] = {}
        self.allowed: set[int] = set()  # children that may fork once
        self.reports, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        high = fcntl.fcntl(
            theirs.detach(), fcntl.F_DUPFD_CLOEXEC, 64
        )  # out of the way of a child's own descriptors
        self.reporting = socket.socket(fileno=high)
        self.poll, self.host = select.poll(), select.poll()
        for poll in (self.poll, self.host):
            poll.register(control, select.POLLIN)
        self.poll.register(self.reports, select.POLLIN)

    def serve(self) -> None:
        """Until the host is gone; then everything ends."""
        while True:
            ready = dict(self.poll.poll(1000))
            if not ready:
                self.end_orphans()
            elif self.reports.fileno() in ready:
                self.watch()
            elif self.control.fileno() in ready:
                if not self.obey():
                    break
            elif not self.host.poll(
                0
            ):  # the host's word first: it allows a fork before the child can ask for it
                self.answer_all(ready)
        for pid in self.children.values():
            end_process(pid)
        self.children, self.groups = {}, {}
        self.end_orphans()

    def answer_all(self, ready: dict[int, int]) -> None:
        for name, listener in list(self.listeners.items()):
            if ready.get(listener, 0) & select.POLLIN:
                self.answer(name, listener)
            elif listener in ready:  # every process behind it is gone
                self.forget(name)

    def obey(self) -> bool:
        """Do what the host asks. False when it is gone."""
        fds = array.array("i")
        head, extra, _, _ = self.control.recvmsg(4, socket.CMSG_SPACE(fds.itemsize))
        if not head:
            return False
        head += self._exactly(4 - len(head))
        request = json.loads(self._exactly(struct.unpack(">I", head)[0]))
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if "fork" in request:
            self.fork(request["fork"], fds)
        elif "allow" in request:
            self.allowed.add(request["allow"])
        else:
            self.end(request)
        return True

    def _exactly(self, count: int) -> bytes:
        return self.control.recv(count, socket.MSG_WAITALL) if count else b""

    def fork(self, name: int, fds: array.array) -> None:
        with contextlib.suppress(OSError):  # then the host finds the child's socket closed
            pid = os.fork()
            if pid == 0:
                self.run_child(
                    *fds,
                    lambda listener: socket.send_fds(self.reporting, [b"%d" % name], [listener]),
                )
            self.children[name], self.groups[name] = pid, pid
        for fd in fds:
            os.close(fd)

    def watch(self) -> None:
        """A new child's listener, sent before the child saw any code."""
        name, fds, _, _ = socket.recv_fds(self.reports, 20, 1)
        self.listeners[int(name)] = fds[0]
        self.poll.register(fds[0], select.POLLIN)

    def answer(self, name: int, listener: int) -> None:
        """Answer an attempt to copy a process: yes to a child's main thread that the host allowed
        it, else no.

        Yes to a plain copy only: one with more flags could be no child of the child, or have a name
        space of its own.
        """
        question = bytearray(80)  # struct seccomp_notif
        try:
            signal.setitimer(
                signal.ITIMER_REAL, 0.2
            )  # who asked may be gone by now, and then this would wait
            fcntl.ioctl(listener, NOTIF_RECV, question)
            number, thread = struct.unpack_from("QI", question)
            allowed = (
                name in self.allowed
                and thread == self.children.get(name)
                and self.is_plain_copy(question)
            )
            reply = struct.pack(
                "QqiI", number, 0, 0 if allowed else -errno.EPERM, CONTINUE if allowed else 0
            )
            self.allowed -= {name} if allowed else set()
            fcntl.ioctl(listener, NOTIF_SEND, bytearray(reply))
        except OSError:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def forget(self, name: int) -> None:
        listener = self.listeners.pop(name)
        self.poll.unregister(listener)
        os.close(listener)

    def end(self, request: dict[str, Any]) -> None:
        old = request["end"]
        pid, group = self.children.pop(old, None), self.groups.pop(old, 0)
        self.allowed.discard(old)
        if request["adopt"]:
            name, copy = request["adopt"]
            self.children[name], self.groups[name] = copy, group
            if old in self.listeners:
                self.listeners[name] = self.listeners.pop(
                    old
                )  # a copy has the filter of its original
        elif old in self.listeners:
            self.forget(old)
        ended_by = end_process(pid) if pid else 0
        self.end_orphans(group)
        if request["tell"]:
            send(self.control, {"signal": ended_by})

    def end_orphans(self, ended: int = 0) -> None:
        """Kill what ended children left behind: orphans become this process's children. Copies of a
        child that is still the host's are left to it, also when the child itself has just died.
        `ended`: the group of one that the host has let go; what it left is not wanted, whoever goes
        on in its place."""
        while self.listing is not None:
            listed = {int(pid) for pid in os.pread(self.listing, 1 << 20, 0).split()}
            orphans = listed - set(self.children.values())
            wanted = set(self.groups.values()) - {ended}
            foreign = [pid for pid in orphans if group_of(pid) not in wanted]
            for pid in foreign:
                end_process(pid)
            for pid in orphans.difference(foreign):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if not foreign:
                return


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def too_long(number: int, frame: Any) -> None:
    raise TimeoutError


def end_process(pid: int) -> int:
    """Kill and reap a child with its group. Returns the signal that ended it (0: it had exited)."""
    if not is_child(pid):
        return 0
    if sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def is_child(pid: int) -> bool:
    """Whether the number is still that of a child: a copy that has been reaped may have left it to
    anybody."""
    if sys.platform != "linux":
        return True
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    setattr(builtins, "exit", sys.exit)  # noqa: B010 - what an interactive Python offers; without site they do not exist
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which then ends us
    main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), tuple(sys.argv[3:]))
