"""Host side of the processes: a Pool is one warm parent; a Child is one process it forked, seen
from here.

A child is made in two halves: asking for it costs nothing and returns at once, waiting for it
happens at its first step. So it can be asked for ahead, while the model thinks. Who a child is (its
process id) is what the kernel reports of the sender of its first message, never what the child
claims.
"""

import contextlib
import itertools
import json
import operator
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.interpreter.confine import PROTECTIONS
from knapsack_lib.interpreter.packages import ENVIRONMENT as ONE_THREAD
from knapsack_lib.interpreter.packages import found_packages
from knapsack_lib.interpreter.processes import (
    children_of,
    end_member,
    end_session,
    fixed_addresses,
    has_ended,
)
from knapsack_lib.interpreter.wire import Order, receive, send
from knapsack_lib.profiles import InterpreterSettings, Limits

__all__ = ["Child", "Pool"]

PASS_CREDENTIALS = getattr(socket, "SO_PASSCRED", None)
CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", -1)
READY_SECONDS = 10.0
READY_BYTES = 99  # of a child's first message
ANSWER_SECONDS = 30.0
COPY_SECONDS = 2.0
SPARES = 2  # children that wait ready
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/nonexistent", "TZ": "UTC"}


class Child:
    """One child process as the host holds it. `pid` is known once it is ready."""

    def __init__(self, name: int, sock: socket.socket, output: int):
        self.name, self.socket, self.output = name, sock, output
        self.pid: int | None = None
        self.cpu_counted = 0.0  # processor time that no limit is to count any more
        # At its end, where nobody has called it before; nothing when called again.
        self.close = weakref.finalize(self, _close, sock, output)
        self.close.atexit = False

    def ready(self, seconds: float = READY_SECONDS) -> bool:
        """Wait for its first message. False when it is gone or does not answer in time."""
        if self.pid is not None:
            return True
        until, space = time.monotonic() + seconds, socket.CMSG_SPACE(12)
        try:
            message, attached = receive(self.socket, space, READY_BYTES, until)
            claimed = operator.index(message["ready"])
        except (OSError, ValueError, TypeError, KeyError):
            return False
        self.pid = attached.get(CREDENTIALS, [claimed])[
            0
        ]  # claimed: where the kernel does not tell
        return True

    def cpu_seconds(self) -> float:
        """Processor time of all its threads so far; 0 where it cannot be known."""
        try:
            # CPUCLOCK_SCHED of linux/posix-timers.h
            return time.clock_gettime((~(self.pid or 0) << 3) | 2)
        except OSError:
            return 0.0


def _close(sock: socket.socket, output: int) -> None:
    sock.close()
    os.close(output)


class Pool(contextlib.AbstractContextManager["Pool"]):
    """The warm parent. Children have an empty environment, no site-packages, a fixed hash seed and
    every protection of confine.PROTECTIONS except those named in `without`.

    `after_kill`: "restore" continues from the state before the step that was killed, "lose" from
    nothing. `packages`: distributions that blocks may import from. Raises UserError with one line
    that names a protection or a package that does not work on this machine.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        after_kill: Literal["restore", "lose"] = "restore",
        without: tuple[str, ...] = (),
        packages: tuple[str, ...] = (),
    ):
        self.limits = limits
        self.without = tuple(check_choice("without", name, tuple(PROTECTIONS)) for name in without)
        self.packages = found_packages(packages)
        self.after_kill = check_choice("after_kill", after_kill, ("restore", "lose"))
        self._children: weakref.WeakSet[Child] = weakref.WeakSet()
        self._names = itertools.count(1)
        self._lock = threading.RLock()  # one order at a time on the control socket
        self._spares: deque[Child] = deque()
        self.closed = False
        self.lost_parent = False  # whether the parent was found dead when the last child was ended
        self._start()

    @classmethod
    def of(cls, limits: Limits, setting: InterpreterSettings) -> Self:
        """The pool of a profile's study."""
        return cls(
            limits,
            after_kill=setting.after_kill,
            without=setting.without,
            packages=setting.packages,
        )

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        script = Path(__file__).with_name("parent.py")
        chosen = json.dumps({"without": self.without, "packages": self.packages})
        arguments = [theirs.fileno(), self.limits.memory_mb << 20, chosen]
        with theirs, fixed_addresses():
            self._parent = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", script, *map(str, arguments)],
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT | (ONE_THREAD if self.packages else {}),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control.settimeout(ANSWER_SECONDS)
        try:
            status, _ = receive(self._control)
        except OSError:
            self._stop()
            raise UserError(self._ended_at_once()) from None
        if name := status["missing"]:
            self._stop()
            if name == "packages":
                raise UserError(f"interpreter.packages: {status['why']}")
            raise UserError(
                f"the interpreter cannot protect {name} on this machine ({status['why']}); to run "
                f"without it, name it: interpreter.without: [{name}] in the profile, or "
                f"Pool(limits, without=({name!r},))"
            )

    def _ended_at_once(self) -> str:
        number = -(self._parent.returncode or 0)
        how = f"signal {number}" if number > 0 else f"exit status {-number}"
        killed = (
            "; a sandbox around it kills what asks for protections: to run without them, name them: "
            "interpreter.without: [files, syscalls, privileges] in the profile"
        )
        refused = killed if number == signal.SIGSYS else ""
        return f"the interpreter's warm parent ended at its start ({how}){refused}"

    def close(self) -> None:
        """End the parent and every child. What is still asked of the pool afterwards starts
        nothing."""
        with self._lock:
            self.closed = True
            for child in list(self._children):
                child.close()
            self._stop()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        self._control.close()  # the parent sees the end of the stream, ends its children and leaves
        end_session(self._parent, 5.0)

    def restart(self) -> None:
        """A block killed the warm parent, and with it every child."""
        with self._lock:
            if self.closed:
                return
            self._control.close()
            end_session(self._parent)
            while self._spares:
                self._spares.popleft().close()
            self._start()

    def take(self) -> Child:
        """A child that has run nothing. Its successor is asked for at once, so that one waits ready
        for the next step.

        Raises ConnectionResetError when no child starts.
        """
        with self._lock:
            self.check_open()
            for _ in range(2):
                if has_ended(self._parent):
                    self.restart()
                self._spares += [self._fork() for _ in range(SPARES + 1 - len(self._spares))]
                child = self._spares.popleft()
                with contextlib.ExitStack() as unless_ready:
                    # The parent was killed since, the machine is short of something, or Ctrl-C:
                    # nobody else knows of this child.
                    unless_ready.callback(self.end, child)
                    if child.ready():
                        child.cpu_counted = child.cpu_seconds()
                        unless_ready.pop_all()
                        return child
        raise ConnectionResetError("the interpreter's child process did not start")

    def check_open(self) -> None:
        if self.closed:
            raise ConnectionResetError("the interpreter's pool is closed")

    def _fork(self) -> Child:
        with self._new_child() as (child, sock, output):
            # Its output goes to the child alone: from the parent, which has no secrets, other
            # children could take it.
            send(child.socket, {"purpose": "output"}, [output])
            send(self._control, {"do": "fork", "child": child.name}, [sock])
        return child

    def copy(self, child: Child) -> Child:
        """Have a child fork a copy of its state, which waits until it is needed. Returns at once."""
        with self._new_child() as (copy, sock, output):
            with self._lock:
                send(self._control, {"do": "allow", "child": child.name})
            send(child.socket, {"purpose": "copy"}, [sock, output])
        return copy

    @contextlib.contextmanager
    def _new_child(self) -> Iterator[tuple[Child, int, int]]:
        """A child to be, and the socket and output that its process must get. They are closed here
        afterwards; whoever is gone by then gets nothing, and the child is never ready."""
        ours, theirs = socket.socketpair()
        if PASS_CREDENTIALS is not None:
            ours.setsockopt(socket.SOL_SOCKET, PASS_CREDENTIALS, 1)
        read, write = os.pipe()
        os.set_blocking(read, False)
        child = Child(next(self._names), ours, read)
        with self._lock:
            self._children.add(child)
        try:
            with theirs, contextlib.suppress(OSError):
                yield child, theirs.fileno(), write
        finally:
            os.close(write)

    def end(self, child: Child, adopt: Child | None = None, report: bool = False) -> int | None:
        """Kill and reap a child. `adopt`: the copy that takes its place. `report`: return the
        signal that had ended it."""
        child.close()
        if self.closed:
            return 9
        place = None if adopt is None else (adopt.name, adopt.pid or 0)
        order: Order = {"do": "end", "child": child.name, "adopt": place, "report": report}
        self.lost_parent = False
        try:
            with self._lock:
                send(self._control, order)
                return receive(self._control)[0]["signal"] if report else None
        except BaseException as error:  # the parent is gone, or Ctrl-C left its answer unread
            self.restart()
            self.lost_parent = True
            if not isinstance(error, OSError):
                raise
            return 9

    def dismiss(self, copy: Child, child: Child | None) -> None:
        """End a copy that is not needed. It would leave by itself; but hooks of the block may keep
        it from that, and it may be as large as the child whose copy it is."""
        if child is not None and "syscalls" not in self.without:
            known = copy.ready(0.0) and copy.pid not in (None, child.pid)
            # A confined child has no other children than copies.
            for pid in [copy.pid or 0] if known else children_of(child.pid):
                end_member(pid, self._parent.pid)
        copy.close()
