"""Host side of the interpreter: the world and its tools live here, model-written code runs in a child process.

    with Pool(limits) as pool:
        with Interpreter(pool, persistence_named("reset"), world.tools, seed=1) as interpreter:
            observation = interpreter.run("print(1 + 1)")

Every step, in every mode, goes through the same worker, limits and observation; modes differ only in what the next
step finds (persistence.py).
"""

from __future__ import annotations

import inspect
import json
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter.persistence import Persistence
from knapsack_lib.interpreter.pool import COPY_SECONDS, Child, Pool, readable, send_with
from knapsack_lib.profiles import Limits

__all__ = ["Interpreter", "Observation", "ToolCall"]

MAX_MESSAGE = 1 << 20  # bytes of one message, either way
FLOOD = 1 << 20  # bytes of output after which a step is ended
ADDRESS = re.compile(r"\b0x[0-9a-f]{11,16}\b")  # object addresses differ from run to run
LIBRARY = os.path.dirname(os.__file__)  # and so does the place of Python's own library from machine to machine


@dataclass(frozen=True)
class ToolCall:
    """One call as the host saw it. Exactly one of `result` (JSON value) and `error` ("Type: message") is meant."""

    name: str
    args: list[Any]
    result: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Observation:
    """What one step did.

    `error_type`, `error`, `line`: what was raised and the agent's line; `traceback`: the same as Python prints it.
    `bindings`: the agent's names that the next step will find (always empty after a reset); `written`: those that this
    step wrote; `shadowed`: tools whose names the next step finds bound to something else.
    `killed_by`: "time", "cpu", "output", "tool calls", "protocol", "exit" or "signal N". A kill ends in one of three
    ways: there was no state, `state_lost`, or `restored` to what it was before the step.
    """

    stdout: str
    error_type: str | None = None
    error: str | None = None
    line: int | None = None
    traceback: str | None = None
    bindings: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    killed_by: str | None = None
    state_lost: bool = False
    restored: bool = False
    seconds: float = 0.0


class _Killed(Exception):
    pass


class Interpreter:
    """Runs the blocks of one episode under one persistence mode."""

    def __init__(self, pool: Pool, persistence: Persistence, tools: Mapping[str, Callable[..., Any]], seed: int):
        self.persistence = persistence
        self._pool, self._tools, self._seed = pool, dict(tools), seed
        self._child: Child | None = None
        self._copy: Child | None = None  # of the state before the next step
        self._used = False  # whether the child has run a step
        self._bindings: tuple[str, ...] = ()
        self._steps = 0

    def run(self, code: str) -> Observation:
        """Run one block and say what happened. Never raises for anything that the code does."""
        start = time.perf_counter()
        had_state, self._steps = self._used, self._steps + 1
        child = self._child = self._child or self._pool.take()
        step = _Step(child, self._tools, self._pool.limits, self._steps)
        request = {"step": self._steps, "code": code, "mode": self.persistence.name, "tools": list(self._tools),
                   "seed": self._seed + self._steps}  # fmt: skip
        killed, done = None, {}
        try:
            done = step.run(request)
        except _Killed as reason:
            killed = str(reason)
        had_signal, restored = self._after(child, killed)
        if killed == "exit" and had_signal:
            killed = f"signal {had_signal}"
        if not restored:
            names = done.get("bindings", ()) if self._used else ()
            self._bindings = tuple(names)
        return Observation(
            stdout=step.text(), **_error_fields(done.get("error"), self._pool.limits), bindings=self._bindings,
            written=tuple(done.get("written", ())), shadowed=tuple(n for n in self._tools if n in self._bindings),
            tool_calls=tuple(step.calls), killed_by=killed, state_lost=bool(killed and had_state and not restored),
            restored=restored, seconds=time.perf_counter() - start,
        )  # fmt: skip

    def _after(self, child: Child, killed: str | None) -> tuple[int | None, bool]:
        """Bring about what the next step finds. Returns (signal that ended the child, whether a copy took over)."""
        copy, self._copy = self._copy, None
        restored = bool(killed) and copy is not None and copy.ready(COPY_SECONDS)
        signal = None
        if killed:
            signal = self._pool.end(child, copy if restored else None, tell=True)
            self._child, self._used = copy if restored else None, restored
        elif self.persistence.keeps:
            self._used = True
        else:
            self._pool.end(child)
            self._child, self._used = None, False
        if copy is not None and not restored:
            self._pool.dismiss(copy)
        if self._child is not None and self._pool.after_kill == "restore":
            # Taken now rather than before the next step: the model thinks in between.
            self._copy = self._pool.copy(self._child)
            if self._steps % 8 == 0:
                self._pool.clear(self._child, self._copy)
        return signal, restored

    def close(self) -> None:
        if self._child is not None:
            self._pool.end(self._child)
            self._child = None
        if self._copy is not None:
            self._pool.dismiss(self._copy)
            self._copy = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _error_fields(error: dict | None, limits: Limits) -> dict[str, Any]:
    if not error:
        return {}
    message = error["message"]
    if error["type"] == "MemoryError" and not message:
        message = f"the limit of {limits.memory_mb} MB was reached"
    shown = {"error_type": error["type"], "error": message, "traceback": error["trace"]}
    return {**{key: _masked(text) for key, text in shown.items()}, "line": error["line"]}


def _masked(text: str) -> str:
    return ADDRESS.sub("0x", text).replace(LIBRARY, "<python>")


class _Step:
    """One block under way: reads the child's messages and output until it is done, killed or out of time."""

    def __init__(self, child: Child, tools: dict[str, Callable[..., Any]], limits: Limits, number: int):
        self.child, self.tools, self.limits, self.number = child, tools, limits, number
        self.calls: list[ToolCall] = []
        self._output, self._flood, self._inbox = bytearray(), 0, bytearray()

    def run(self, request: dict) -> dict:
        deadline, cpu_limit = time.monotonic() + self.limits.wall_seconds, self.limits.cpu_seconds
        cpu_start = self.child.cpu_seconds()
        self._send(request)
        sources = {self.child.socket.fileno(), self.child.output}
        try:
            while True:
                left = deadline - time.monotonic()
                cpu_left = cpu_limit - (self.child.cpu_seconds() - cpu_start)
                if min(left, cpu_left) <= 0:
                    raise _Killed("time" if left <= 0 else "cpu")
                ready = readable(list(sources), min(left, max(cpu_left, 0.01)))
                if self.child.output in ready and not self._drain():
                    sources.discard(self.child.output)
                if self.child.socket.fileno() in ready:
                    done = self._message()
                    if done is not None:
                        return done
        finally:
            self._drain()

    def text(self) -> str:
        """The output as the agent may see it: bounded, without what differs from machine to machine."""
        text = _masked(self._output.decode("utf-8", "replace"))
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
        try:
            self.child.socket.settimeout(self.limits.wall_seconds)
            send_with(self.child.socket, message)
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
                return self._checked_done(message)
            name, args = message["call"], message["args"]
            tool = self.tools[name]
            _demand(isinstance(args, list))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _Killed("protocol") from None  # only a block that speaks to the socket itself can do this
        self._send(self._call(name, tool, args))
        return None

    def _checked_done(self, message: dict) -> dict:
        """The closing message, if it is well formed, of this step, and the last thing said."""
        error = message["error"]
        _demand(message["done"] == self.number and not self._inbox)
        for names in (message["bindings"], message["written"]):
            _demand(isinstance(names, list) and all(isinstance(n, str) for n in names))
        if error is not None:
            _demand(all(isinstance(error[key], str) for key in ("type", "message", "trace")))
            _demand(error["line"] is None or type(error["line"]) is int)
        return message

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
            if len(json.dumps(value)) > MAX_MESSAGE:
                raise ToolError("RuntimeError", f"the answer of {name}() is larger than {MAX_MESSAGE} bytes")
        except ToolError as refusal:
            self.calls.append(ToolCall(name, args, error=f"{refusal.kind}: {refusal}"))
            return {"kind": refusal.kind, "message": str(refusal)}
        self.calls.append(ToolCall(name, args, result=value))
        return {"value": value}


def _demand(holds: bool) -> None:
    if not holds:
        raise ValueError("not a message of the protocol")
