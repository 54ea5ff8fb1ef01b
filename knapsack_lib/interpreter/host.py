"""Host side of the interpreter: the world and its tools live here, model-written code runs in a child process.

    with Pool(limits) as pool:
        with pool.interpreter(persistence_named("reset"), world.tools, seed=1) as interpreter:
            observation = interpreter.run("print(1 + 1)")

A Pool is one warm parent process that forks children in about 2 ms. Every step, in every mode, goes through the same
worker, limits and observation; modes differ only in whether the next step gets a new child (persistence.py).
What is *not* covered yet: a child runs as the same user and may read the files that user can read (README, limits).
"""

from __future__ import annotations

import array
import contextlib
import inspect
import json
import os
import re
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter.persistence import Persistence
from knapsack_lib.profiles import Limits

__all__ = ["Interpreter", "Observation", "Pool", "ToolCall"]

MAX_MESSAGE = 1 << 20  # bytes the host accepts from a child at once
FLOOD = 1 << 20  # bytes of output after which a step is ended
ADDRESS = re.compile(r"\b0x[0-9a-f]{11,16}\b")  # object addresses differ from run to run


@dataclass(frozen=True)
class ToolCall:
    """One call as the host saw it. Exactly one of `result` (JSON value) and `error` ("Type: message") is meant."""

    name: str
    args: list[Any]
    result: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Observation:
    """What one step did. `bindings`: the agent's names that the next step will find (always empty after a reset)."""

    stdout: str
    error_type: str | None = None
    error: str | None = None
    line: int | None = None
    bindings: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    killed_by: str | None = None  # "time", "output", "tool calls", "protocol", "exit" or "signal N"
    state_lost: bool = False
    seconds: float = 0.0


class Pool:
    """The warm parent. Children have an empty environment, no site-packages and a fixed hash seed."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._open: dict[int, _Child] = {}
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
            str(Path(__file__).with_name("worker.py")),
            str(theirs.fileno()),
        ]
        environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/nonexistent"}
        self._parent = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        theirs.close()

    def interpreter(self, persistence: Persistence, tools: Mapping[str, Callable[..., Any]], seed: int) -> Interpreter:
        return Interpreter(self, persistence, tools, seed)

    def close(self) -> None:
        """End the parent and every child."""
        for child in list(self._open.values()):
            self._let_go(child)
        self._control.close()  # the parent sees the end of the stream, ends its children and leaves
        try:
            self._parent.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict, fds: tuple[int, ...] = ()) -> dict:
        body = json.dumps(request).encode()
        message = struct.pack(">I", len(body)) + body
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self._control.sendmsg([message], extra)
        self._control.sendall(message[sent:])
        head = self._control.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise ConnectionResetError("the interpreter's parent process is gone")
        return json.loads(self._control.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))

    def _restart(self) -> None:
        """A block killed the warm parent, and with it every child."""
        self._control.close()
        self._parent.kill()
        self._parent.wait()
        self._start()

    def fork(self) -> _Child:
        try:
            return self._fork()
        except OSError:
            self._restart()
            return self._fork()

    def _fork(self) -> _Child:
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        pid = self._ask({"fork": True}, (theirs.fileno(), write))["pid"]
        theirs.close()
        os.close(write)
        os.set_blocking(read, False)
        child = self._open[pid] = _Child(pid, ours, read)
        return child

    def end(self, child: _Child) -> int | None:
        """Kill and reap; returns the signal that had ended the child (9 when this call did)."""
        self._let_go(child)
        try:
            return self._ask({"kill": child.pid})["signal"]
        except OSError:
            self._restart()
            return 9

    def _let_go(self, child: _Child) -> None:
        if self._open.get(child.pid) is child:
            del self._open[child.pid]
            child.socket.close()
            os.close(child.output)


@dataclass(frozen=True)
class _Child:
    pid: int
    socket: socket.socket
    output: int


class _Killed(Exception):
    pass


class Interpreter:
    """Runs the blocks of one episode under one persistence mode."""

    def __init__(self, pool: Pool, persistence: Persistence, tools: Mapping[str, Callable[..., Any]], seed: int):
        self.persistence = persistence
        self._pool, self._tools, self._seed = pool, dict(tools), seed
        self._child: _Child | None = None
        self._steps = 0

    def run(self, code: str) -> Observation:
        """Run one block and say what happened. Never raises for anything that the code does."""
        limits, start = self._pool.limits, time.perf_counter()
        had_state = self._child is not None
        child = self._child = self._child or self._pool.fork()
        self._steps += 1
        step = _Step(child, self._tools, limits)
        request = {
            "code": code, "tools": list(self._tools), "cpu": limits.cpu_seconds,
            "memory": limits.memory_mb << 20, "seed": self._seed + self._steps,
        }  # fmt: skip
        killed, done = None, {}
        try:
            done = step.run(request)
        except _Killed as reason:
            killed = str(reason)
        if killed or not self.persistence.keeps:
            signal = self._pool.end(child)
            self._child = None
            if killed == "exit" and signal:
                killed = {24: "time", 9: "exit"}.get(signal, f"signal {signal}")
        error = done.get("error") or {}
        keeps = self.persistence.keeps and not killed
        return Observation(
            stdout=step.text(),
            error_type=error.get("type"),
            error=ADDRESS.sub("0x", error["message"]) if error else None,
            line=error.get("line"),
            bindings=tuple(done.get("bindings", ())) if keeps else (),
            tool_calls=tuple(step.calls),
            killed_by=killed,
            state_lost=bool(killed and had_state),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        if self._child is not None:
            self._pool.end(self._child)
            self._child = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Step:
    """One block under way: reads the child's messages and output until it is done, killed or out of time."""

    def __init__(self, child: _Child, tools: dict[str, Callable[..., Any]], limits: Limits):
        self.child, self.tools, self.limits = child, tools, limits
        self.calls: list[ToolCall] = []
        self._output, self._flood, self._inbox = bytearray(), 0, bytearray()

    def run(self, request: dict) -> dict:
        deadline = time.monotonic() + self.limits.wall_seconds
        self._send(request)
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.socket, selectors.EVENT_READ)
            selector.register(self.child.output, selectors.EVENT_READ)
            try:
                while True:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise _Killed("time")
                    ready = [key.fileobj for key, _ in selector.select(left)]
                    if self.child.output in ready and not self._drain():
                        selector.unregister(self.child.output)
                    if self.child.socket in ready:
                        done = self._message()
                        if done is not None:
                            return done
            finally:
                self._drain()

    def text(self) -> str:
        """The output as the agent may see it: bounded, with object addresses masked."""
        text = ADDRESS.sub("0x", self._output.decode("utf-8", "replace"))
        limit = self.limits.output_chars
        if len(text) > limit or self._flood:
            return text[:limit] + f"\n[output cut at {limit} characters]\n"
        return text

    def _drain(self) -> bool:
        """Read what the child printed so far; False at the end of its output."""
        keep = 4 * self.limits.output_chars  # enough bytes for that many characters
        while True:
            try:
                part = os.read(self.child.output, 1 << 16)
            except BlockingIOError:
                return True
            if not part:
                return False
            room = max(0, keep - len(self._output))
            self._output += part[:room]
            self._flood += len(part) - len(part[:room])
            if self._flood > FLOOD:
                raise _Killed("output")

    def _send(self, message: dict) -> None:
        body = json.dumps(message).encode()
        try:
            self.child.socket.settimeout(self.limits.wall_seconds)
            self.child.socket.sendall(struct.pack(">I", len(body)) + body)
        except TimeoutError:
            raise _Killed("time") from None
        except OSError:
            raise _Killed("exit") from None

    def _message(self) -> dict | None:
        """Take in bytes; act on every whole message. Returns the closing message once it is there."""
        try:
            part = self.child.socket.recv(1 << 16)
        except OSError:
            part = b""
        if not part:
            raise _Killed("exit")
        self._inbox += part
        while len(self._inbox) >= 4:
            (size,) = struct.unpack(">I", self._inbox[:4])
            if size > MAX_MESSAGE:
                raise _Killed("protocol")
            if len(self._inbox) < 4 + size:
                return None
            body, self._inbox = bytes(self._inbox[4 : 4 + size]), self._inbox[4 + size :]
            done = self._act(body)
            if done is not None:
                return done
        return None

    def _act(self, body: bytes) -> dict | None:
        try:
            message = json.loads(body)
            # Halves of characters cannot be written to a file or given to a tokenizer.
            message = json.loads(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"))
            if "done" in message:
                return _checked_done(message)
            name, args = message["call"], message["args"]
            tool = self.tools[name]
            assert isinstance(args, list)
        except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
            raise _Killed("protocol") from None  # only a block that speaks to the socket itself can do this
        self._send(self._call(name, tool, args))
        return None

    def _call(self, name: str, tool: Callable[..., Any], args: list[Any]) -> dict:
        limit = self.limits.tool_calls
        if len(self.calls) >= 4 * limit:
            raise _Killed("tool calls")
        try:
            if len(self.calls) >= limit:
                raise ToolError("RuntimeError", f"at most {limit} tool calls in one turn")
            wanted = len(inspect.signature(tool).parameters)
            if len(args) != wanted:
                raise ToolError("TypeError", f"{name}() takes {wanted} arguments, got {len(args)}")
            value = tool(*args)
        except ToolError as refusal:
            self.calls.append(ToolCall(name, args, error=f"{refusal.kind}: {refusal}"))
            return {"kind": refusal.kind, "message": str(refusal)}
        self.calls.append(ToolCall(name, args, result=value))
        return {"value": value}


def _checked_done(message: dict) -> dict:
    error, names = message["error"], message["bindings"]
    assert isinstance(names, list) and all(isinstance(n, str) for n in names)
    if error is not None:
        assert isinstance(error["type"], str) and isinstance(error["message"], str)
        with contextlib.suppress(KeyError):
            assert error["line"] is None or isinstance(error["line"], int)
    return message
