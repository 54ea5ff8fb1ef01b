"""Host side of the processes: a Pool is one warm parent; a Child is one process it forked, seen
from here.

A child is made in two halves: asking for it costs nothing and returns at once, waiting for it
happens at its first step. So it can be asked for ahead, while the model thinks. Who a child is (its
process id) is what the kernel says of the sender of its first message, never what the child says of
itself.
"""

from __future__ import annotations

import array
import contextlib
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.interpreter.confine import PROTECTIONS
from knapsack_lib.interpreter.processes import (
    children_of,
    end_family,
    end_member,
    fixed_addresses,
    is_over,
)
from knapsack_lib.profiles import Limits

__all__ = ["Child", "Pool"]

PASS_CREDENTIALS = getattr(socket, "SO_PASSCRED", None)
SCM_CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", None)
READY_SECONDS = 10.0
ANSWER_SECONDS = 30.0
COPY_SECONDS = 2.0
SPARES = 2  # children that wait ready


class Pool:
    """The warm parent. Children have an empty environment, no site-packages, a fixed hash seed and
    every protection of confine.PROTECTIONS except those named in `without`.

    `after_kill`: "restore" goes on from the state before the step that was killed, "lose" from
    nothing. Raises UserError with one line that names a protection that does not work on this
    machine.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        after_kill: Literal["restore", "lose"] = "restore",
        without: tuple[str, ...] = (),
    ):
        self.limits, self.without = (
            limits,
            tuple(check_choice("without", name, tuple(PROTECTIONS)) for name in without),
        )
        self.after_kill = check_choice("after_kill", after_kill, ("restore", "lose"))
        self._open: dict[int, Child] = {}
        self._names = itertools.count(1)
        self._lock = threading.RLock()  # one request at a time on the control socket
        self._spares: deque[Child] = deque()
        self.closed = False
        self.lost_parent = False  # whether the parent was found dead when the last child was ended
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        command = [
            sys.executable,
            "-s",
            "-S",
            "-P",
            "-B",
            str(Path(__file__).with_name("parent.py")),
            str(theirs.fileno()),
            str(self.limits.memory_mb << 20),
            *self.without,
        ]
        environment = {
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
            "PATH": "/nonexistent",
            "TZ": "UTC",
        }
        with fixed_addresses():
            self._parent = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        theirs.close()
        ours.settimeout(ANSWER_SECONDS)
        said = self._answer()
        if "unavailable" in said:
            self._stop()
            name = said["unavailable"]
            raise UserError(
                f"the interpreter cannot protect {name} on this machine ({said['why']}); to run without it, name it: "
                f"interpreter.without: [{name}] in the profile, or Pool(limits, without=({name!r},))"
            )

    def close(self) -> None:
        """End the parent and every child. What is still asked of the pool afterwards starts
        nothing."""
        with self._lock:
            self.closed = True
            for child in list(self._open.values()):
                self._let_go(child)
            self._stop()

    def _stop(self) -> None:
        self._control.close()  # the parent sees the end of the stream, ends its children and leaves
        end_family(self._parent, 5.0)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> Any:
        head = self._control.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise ConnectionResetError("the interpreter's parent process is gone")
        return json.loads(self._control.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))

    def restart(self) -> None:
        """A block killed the warm parent, and with it every child."""
        with self._lock:
            if self.closed:
                return
            self._control.close()
            end_family(self._parent)
            while self._spares:
                self._let_go(self._spares.popleft())
            self._start()

    def take(self) -> Child:
        """A child that has run nothing. Its successor is asked for at once, so that one waits ready
        for the next step.

        Raises ConnectionResetError when no child starts.
        """
        with self._lock:
            self.check_open()
            for _ in range(2):
                if is_over(self._parent):
                    self.restart()
                self._spares += [self._fork() for _ in range(SPARES + 1 - len(self._spares))]
                child = self._spares.popleft()
                try:
                    if child.ready():
                        child.cpu_counted = child.cpu_seconds()
                        return child
                except BaseException:  # Ctrl-C: nobody else knows of this child
                    self.end(child)
                    raise
                self.end(child)  # the parent was killed since, or the machine is short of something
        raise ConnectionResetError("the interpreter's child process did not start")

    def check_open(self) -> None:
        if self.closed:
            raise ConnectionResetError("the interpreter's pool is closed")

    def _fork(self) -> Child:
        child, theirs = self.place()
        try:
            # Its output goes to the child alone: from the parent, which has no secrets, other
            # children could take it.
            send_with(child.socket, {"output": True}, theirs[1:])
            send_with(self._control, {"fork": child.name}, theirs[:1])
        except OSError:  # the parent is gone: nobody will answer on this child's socket either
            pass
        finally:
            for fd in theirs:
                os.close(fd)
        return child

    def place(self) -> tuple[Child, tuple[int, int]]:
        """A child to be, and the descriptors that its process must get."""
        ours, theirs = socket.socketpair()
        if PASS_CREDENTIALS is not None:
            ours.setsockopt(socket.SOL_SOCKET, PASS_CREDENTIALS, 1)
        read, write = os.pipe()
        os.set_blocking(read, False)
        child = Child(next(self._names), ours, read)
        self._open[child.name] = child
        return child, (theirs.detach(), write)

    def end(self, child: Child, adopt: Child | None = None, tell: bool = False) -> int | None:
        """Kill and reap a child. `adopt`: the copy of it that goes on. `tell`: return the signal
        that had ended it."""
        self._let_go(child)
        if self.closed:
            return 9
        place = None if adopt is None else [adopt.name, adopt.pid]
        self.lost_parent = False
        try:
            with self._lock:
                send_with(self._control, {"end": child.name, "adopt": place, "tell": tell})
                return self._answer()["signal"] if tell else None
        except BaseException as error:  # the parent is gone, or Ctrl-C left its answer unread
            self.restart()
            self.lost_parent = True
            if not isinstance(error, OSError):
                raise
            return 9

    def copy(self, child: Child) -> Child:
        """Have a child fork a copy of its state, which waits until it is needed. Returns at once."""
        copy, theirs = self.place()
        with contextlib.suppress(OSError):  # who is gone makes no copy, and the copy is never ready
            with self._lock:
                send_with(self._control, {"allow": child.name})
            send_with(child.socket, {"copy": True}, theirs)
        for fd in theirs:
            os.close(fd)
        return copy

    def dismiss(self, copy: Child, child: Child | None) -> None:
        """End a copy that is not needed. It would leave by itself; but hooks of the block may keep
        it from that, and it may be as large as the child whose copy it is."""
        if child is not None and "syscalls" not in self.without:
            said = copy.ready(0.0) and copy.pid not in (None, child.pid)
            for pid in (
                [copy.pid or 0] if said else children_of(child.pid)
            ):  # a confined child has no others
                end_member(pid, self._parent.pid)
        self._let_go(copy)

    def _let_go(self, child: Child) -> None:
        if self._open.pop(child.name, None) is not None:
            child.close()


class Child:
    """One child process as the host holds it. `pid` is known once it is ready."""

    def __init__(self, name: int, sock: socket.socket, output: int):
        self.name, self.socket, self.output = name, sock, output
        self.pid: int | None = None
        self.cpu_counted = 0.0  # processor time that no limit is to count any more
        self.close = weakref.finalize(self, _close, sock, output)  # also when nobody has closed it
        self.close.atexit = False

    def ready(self, seconds: float = READY_SECONDS) -> bool:
        """Wait for its first message. False when it is gone or does not answer in time."""
        if self.pid is not None:
            return True
        self.socket.settimeout(seconds)
        try:
            head, extra, _, _ = self.socket.recvmsg(4, socket.CMSG_SPACE(12))
            if len(head) < 4:
                return False
            size = struct.unpack(">I", head)[0]
            said = json.loads(self.socket.recv(size, socket.MSG_WAITALL)) if size < 100 else {}
            if not isinstance(said, dict) or "ready" not in said:
                return False
        except (OSError, ValueError):
            return False
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, SCM_CREDENTIALS):
                self.pid = struct.unpack("3i", data[:12])[0]
        if self.pid is None:
            self.pid = int(said["ready"])  # where the kernel does not tell
        return True

    def cpu_seconds(self) -> float:
        """Processor time of all its threads so far; 0 where it cannot be known."""
        try:
            return time.clock_gettime(
                (~(self.pid or 0) << 3) | 2
            )  # CPUCLOCK_SCHED of linux/posix-timers.h
        except OSError:
            return 0.0


def _close(sock: socket.socket, output: int) -> None:
    sock.close()
    os.close(output)


def packed(message: dict[str, Any]) -> memoryview:
    body = json.dumps(message).encode()
    return memoryview(struct.pack(">I", len(body)) + body)


def send_with(sock: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """One message, with descriptors at its head."""
    whole = packed(message)
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([whole], extra)
    if sent < len(whole):  # sending nothing to a child that has read all and left would be an error
        sock.sendall(whole[sent:])


def readable(fds: list[Any], seconds: float) -> list[Any]:
    """Those of the descriptors that have something to read."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    return [fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)]
