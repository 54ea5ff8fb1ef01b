"""The warm parent: a small confined process that forks a child in a moment, and ends and reaps it on
order.

Run as a script by pool.py in an empty environment. It reads the files next to it as text, so that no
line of the package is imported and no hidden value was ever in this process or its children. The
modules made from those files have a copy of the builtins to themselves and are in no list that
model code sees. Orders and answers (wire.py) go over the control socket.
"""

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
from types import ModuleType, SimpleNamespace
from typing import Any

FILES = ("wire", "syscalls", "confine", "imports", "persistence", "report", "stores", "worker")
PR_SET_CHILD_SUBREAPER = 36
NOTIF_RECV, NOTIF_SEND, CONTINUE = 0xC0502100, 0xC0182101, 1  # ioctls and flag of linux/seccomp.h


def load() -> SimpleNamespace:
    """The files next to this one as modules of the package, without the package."""
    private, found = dict(vars(builtins)), {}
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in FILES:
        module = found[name] = ModuleType(f"knapsack_lib.interpreter.{name}")
        module.__dict__["__builtins__"] = private
        sys.modules[module.__name__] = module
        with open(os.path.join(folder, f"{name}.py"), encoding="utf-8") as file:
            exec(compile(file.read(), "<interpreter>", "exec"), module.__dict__)
    for module in found.values():
        del sys.modules[module.__name__]
    return SimpleNamespace(**found)


def main(
    control: socket.socket, memory: int, without: tuple[str, ...], packages: list[Any]
) -> None:
    """`packages`: (name, version, modules, trees) of each, as packages.py finds them."""
    # The lowest descriptor that is free: a host with many open files hands over one beyond every
    # limit here.
    given, control = control, control.dup()
    given.close()
    modules = load()
    modules.syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1)
    parent = Parent(control, modules, memory)
    try:
        trees = [tree for *_, trees in packages for tree in trees]
        parent.bounds = modules.confine.Confinement(without, trees)
        parent.bounds.check_memory(memory)
        modules.imports.import_packages(packages, memory, parent.size)
    except modules.imports.Lack as lack:
        return modules.wire.send(control, {"missing": "packages", "why": str(lack)})
    except modules.confine.Unavailable as lack:
        name, why = lack.args
        return modules.wire.send(control, {"missing": name, "why": why})
    modules.wire.send(control, {"missing": None, "why": ""})
    gc.collect()
    gc.freeze()  # what exists now is never looked at again, so that pages stay shared
    parent.serve()


class Parent:
    """`children`: the host's name -> (pid, process group of the child's first process and its
    copies). `listeners`: name -> where the child's attempts to fork are reported. `allowed`:
    children that may fork once."""

    def __init__(self, control: socket.socket, modules: SimpleNamespace, memory: int):
        self.control, self.modules, self.memory = control, modules, memory
        self.bounds: Any = None  # the Confinement of every child
        self.children: dict[int, tuple[int, int]] = {}
        self.listeners: dict[int, int] = {}
        self.allowed: set[int] = set()
        self.listing: int | None = None  # opened now: once confined, this process cannot
        with contextlib.suppress(OSError):
            path = f"/proc/self/task/{os.getpid()}/children"
            self.listing = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size: int | None = None
        with contextlib.suppress(OSError):
            self.size = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self.reports, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Out of the way of a child's own descriptors.
        high = fcntl.fcntl(theirs.detach(), fcntl.F_DUPFD_CLOEXEC, 64)
        self.reporting = socket.socket(fileno=high)
        self.poll = select.poll()
        for source in (control, self.reports):
            self.poll.register(source, select.POLLIN)

    def serve(self) -> None:
        """Until the host is gone; then everything ends."""
        with contextlib.suppress(ConnectionError):
            while True:
                ready = dict(self.poll.poll(1000))
                if not ready:
                    self.end_orphans()
                elif self.reports.fileno() in ready:
                    self.watch()
                elif self.control.fileno() in ready:
                    self.obey(*self.modules.wire.receive(self.control, socket.CMSG_SPACE(8)))
                elif not select.select([self.control], [], [], 0)[0]:
                    # Orders come first: one allows a fork before the child can ask for it.
                    self.answer_all(ready)
        for pid, _ in self.children.values():
            end_process(pid)
        self.children = {}
        self.end_orphans()

    def obey(self, order: Any, attached: dict[int, list[int]]) -> None:
        if order["do"] == "fork":
            self.fork(order["child"], attached[socket.SCM_RIGHTS])
        elif order["do"] == "allow":
            self.allowed.add(order["child"])
        else:
            self.end(order["child"], order["adopt"], order["report"])

    def fork(self, name: int, fds: list[int]) -> None:
        """`fds`: the child's end of its socket."""
        with contextlib.suppress(OSError):  # then the host finds that end closed
            pid = os.fork()
            if pid == 0:
                self.become_child(name, *fds)
            self.children[name] = pid, pid
        for fd in fds:
            os.close(fd)

    def become_child(self, name: int, sock: int) -> None:
        self.modules.worker.run_child(
            sock,
            lambda found: socket.send_fds(self.reporting, [b"%d" % name], [found]),
            self.bounds,
            self.memory,
        )

    def watch(self) -> None:
        """A new child's listener, sent before the child saw any code."""
        name, fds, _, _ = socket.recv_fds(self.reports, 20, 1)
        self.listeners[int(name)] = fds[0]
        self.poll.register(fds[0], select.POLLIN)

    def answer_all(self, ready: dict[int, int]) -> None:
        for name, listener in list(self.listeners.items()):
            if ready.get(listener, 0) & select.POLLIN:
                self.answer(name, listener)
            elif listener in ready:  # every process behind it is gone
                self.forget(name)

    def answer(self, name: int, listener: int) -> None:
        """Answer an attempt to copy a process: yes to a child's main thread that the host allowed
        it, else no.

        Yes to a plain copy only: one with more flags could be no child of the child, or have a name
        space of its own.
        """
        question = bytearray(80)  # struct seccomp_notif
        # Who asked may be gone by now, and then this would wait.
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with contextlib.suppress(OSError):
            fcntl.ioctl(listener, NOTIF_RECV, question)
            number, thread = struct.unpack_from("QI", question)
            verdict = -errno.EPERM, 0
            if (
                name in self.allowed
                and thread == self.children.get(name, (0, 0))[0]
                and self.modules.syscalls.is_plain_copy(question)
            ):
                self.allowed.discard(name)
                verdict = 0, CONTINUE
            fcntl.ioctl(listener, NOTIF_SEND, bytearray(struct.pack("QqiI", number, 0, *verdict)))
        signal.setitimer(signal.ITIMER_REAL, 0)

    def forget(self, name: int) -> None:
        listener = self.listeners.pop(name)
        self.poll.unregister(listener)
        os.close(listener)

    def end(self, name: int, adopt: tuple[int, int] | None, report: bool) -> None:
        """Kill a child with all it left behind, but for the copy that takes its place."""
        pid, group = self.children.pop(name, (0, 0))
        self.allowed.discard(name)
        if adopt:
            successor, copy = adopt
            self.children[successor] = copy, group
            if name in self.listeners:  # a copy has the filter of its original
                self.listeners[successor] = self.listeners.pop(name)
        elif name in self.listeners:
            self.forget(name)
        ended_by = end_process(pid) if pid else 0
        self.end_orphans(group)
        if report:
            self.modules.wire.send(self.control, {"signal": ended_by})

    def end_orphans(self, ended: int = 0) -> None:
        """Kill what ended children left behind: orphans become this process's children. Copies of a
        child that is still the host's are left to it, also when the child itself has just died.
        `ended`: the group of one that the host has let go; what it left is not wanted, whoever
        continues in its place."""
        while self.listing is not None:
            listed = {int(pid) for pid in os.pread(self.listing, 1 << 20, 0).split()}
            orphans = listed - {pid for pid, _ in self.children.values()}
            wanted = {group for _, group in self.children.values()} - {ended}
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


def end_process(pid: int) -> int:
    """Kill and reap a child, where the number is still that of one: a copy that has been reaped may
    have left it to anybody. Returns the signal that ended it (0: it had exited, or was none)."""
    with contextlib.suppress(ChildProcessError):
        if sys.platform == "linux":
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        else:  # there, with its group
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        return os.WTERMSIG(os.waitpid(pid, 0)[1])
    return 0


def raise_timeout(number: int, frame: Any) -> None:
    raise TimeoutError


if __name__ == "__main__":
    # What an interactive Python offers; without site it does not exist.
    setattr(builtins, "exit", sys.exit)  # noqa: B010
    signal.signal(signal.SIGALRM, raise_timeout)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, no child can be waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which then ends us
    number, most, chosen = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    main(socket.socket(fileno=int(number)), int(most), tuple(chosen["without"]), chosen["packages"])
