"""One block under way, seen from the host: its messages, its output, its tool calls, its limits.

The child is not trusted: every message is bounded, checked and of this step, or the step is ended.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter.pool import Child, packed, readable
from knapsack_lib.profiles import Limits

__all__ = ["Killed", "Step", "ToolCall", "masked"]

MAX_MESSAGE = 1 << 20  # bytes of one message, either way
MAX_CALL = 1 << 16  # bytes of one tool call
MAX_RECORD = 1 << 10  # bytes of a call past the limit of calls whose arguments are recorded
MAX_LINE = 1 << 31
FLOOD = 1 << 20  # bytes of output after which a step is ended
DEPTH = 20  # of lists in a tool's arguments
ADDRESS = re.compile(r"\b0x[0-9a-f]{11,16}\b")  # object addresses differ from run to run
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PLACES = (  # and so do these from machine to machine; longer ones first
    (os.path.join(os.path.dirname(os.path.abspath(__file__)), "parent.py"), "<interpreter>"),
    (os.path.dirname(os.__file__), "<python>"),
    (sys.executable, "<python>"),
    (sys.prefix, "<python>"),
    (sys.base_prefix, "<python>"),
)


@dataclass(frozen=True)
class ToolCall:
    """One call as the host saw it. Exactly one of `result` (JSON value) and `error` ("Type:
    message") is meant."""

    name: str
    args: list[Any]
    result: Any = None
    error: str | None = None


class Killed(Exception):
    """The step was ended; the text says by what."""


def masked(text: str) -> str:
    """What differs from run to run or from machine to machine is left out."""
    text = ADDRESS.sub("0x", text)
    for place, name in PLACES:
        # A prefix like /usr says nothing of a machine
        text = text.replace(place, name) if len(place) > 4 else text
    return text


class Step:
    """One block under way: reads the child's messages and output until it is done, killed or out of
    time."""

    def __init__(
        self, child: Child, tools: dict[str, Callable[..., Any]], limits: Limits, number: int
    ):
        self.child, self.tools, self.limits, self.number = child, tools, limits, number
        self.calls: list[ToolCall] = []
        self._output, self._flood, self._inbox = bytearray(), 0, bytearray()
        self._deadline = time.monotonic() + limits.wall_seconds

    def run(self, request: dict) -> dict:
        # What threads of the block used since the last step counts here: else they could work while
        # the model thinks.
        cpu_end = self.child.cpu_counted + self.limits.cpu_seconds
        self._send(request)
        sources = {self.child.socket.fileno(), self.child.output}
        try:
            while True:
                left, cpu_left = self._left(), cpu_end - self.child.cpu_seconds()
                if cpu_left <= 0:
                    raise Killed("cpu")
                ready = readable(list(sources), min(left, max(cpu_left / CORES, 0.01)))
                if self.child.output in ready and not self._drain():
                    sources.discard(self.child.output)
                if self.child.socket.fileno() in ready:
                    done = self._message()
                    if done is not None:
                        return done
        finally:
            self.child.cpu_counted = self.child.cpu_seconds()
            self._drain()

    def text(self) -> str:
        """The output as the agent may see it: bounded, without what differs from machine to
        machine."""
        text = masked(self._output.decode("utf-8", "replace"))
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
                raise Killed("output")

    def _left(self) -> float:
        """Seconds until the step is out of time. Raises Killed when none are."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Killed("time")
        return left

    def _send(self, message: dict) -> None:
        unsent = packed(message)
        try:
            while unsent:
                self.child.socket.settimeout(self._left())
                unsent = unsent[self.child.socket.send(unsent) :]
        except TimeoutError:
            raise Killed("time") from None
        except OSError:
            raise Killed("exit") from None

    def _message(self) -> dict | None:
        """Take in bytes; act on every whole message. Returns the closing message once it is there."""
        try:
            part = self.child.socket.recv(1 << 16)
        except OSError:
            part = b""
        if not part:
            raise Killed("exit")
        self._inbox += part
        while len(self._inbox) >= 4:
            self._left()
            (size,) = struct.unpack(">I", self._inbox[:4])
            if size > MAX_MESSAGE:
                raise Killed("protocol")
            if len(self._inbox) < 4 + size:
                return None
            body, self._inbox = bytes(self._inbox[4 : 4 + size]), self._inbox[4 + size :]
            done = self._act(body)
            if done is not None:
                return done
        return None

    def _act(self, body: bytes) -> dict | None:
        try:
            message = json.loads(body, parse_constant=_no_number, parse_float=_finite)
            # Halves of characters cannot be written to a file or given to a tokenizer.
            message = json.loads(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"))
            if "done" in message:
                return self._checked_done(message)
            name, args = message["call"], message["args"]
            tool = self.tools[name]
            _demand(isinstance(args, list))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Killed(
                "protocol"
            ) from None  # only a block that speaks to the socket itself can do this
        self._send(self._call(name, tool, args, len(body)))
        return None

    def _checked_done(self, message: dict) -> dict:
        """The closing message, if it is well formed, of this step, and the last thing said."""
        error = message["error"]
        _demand(message["done"] == self.number and not self._inbox)
        for names in (message["bindings"], message["written"], message["shadowed"]):
            _demand(isinstance(names, list) and len(names) <= 500)
            _demand(all(isinstance(name, str) and len(name) <= 80 for name in names))
        if error is not None:
            _demand(all(isinstance(error[key], str) for key in ("type", "message", "trace")))
            _demand(
                len(error["type"]) <= 80
                and len(error["message"]) <= 400
                and len(error["trace"]) <= 10_000
            )
            _demand(
                error["line"] is None
                or (type(error["line"]) is int and abs(error["line"]) <= MAX_LINE)
            )
        return message

    def _call(self, name: str, tool: Callable[..., Any], args: list[Any], size: int) -> dict:
        """Answer one call. What is refused is recorded too, but not with arguments that would fill
        the host's memory."""
        limit = self.limits.tool_calls
        if len(self.calls) >= 4 * limit:
            raise Killed("tool calls")
        try:
            if size > MAX_CALL:
                args = []
                raise ToolError(
                    "ValueError",
                    f"a call of {name}() may take {MAX_CALL} bytes, this one takes {size}",
                )
            if _depth(args) > DEPTH:
                args = []
                raise ToolError("ValueError", f"arguments of {name}() may nest {DEPTH} deep")
            if len(self.calls) >= limit:
                args = args if size <= MAX_RECORD else []
                raise ToolError("RuntimeError", f"at most {limit} tool calls in one turn")
            wanted = len(inspect.signature(tool).parameters)
            if len(args) != wanted:
                raise ToolError("TypeError", f"{name}() takes {wanted} arguments, got {len(args)}")
            value = tool(*args)
            if len(json.dumps(value)) > MAX_MESSAGE:
                raise ToolError(
                    "RuntimeError", f"the answer of {name}() is larger than {MAX_MESSAGE} bytes"
                )
        except ToolError as refusal:
            self.calls.append(ToolCall(name, args, error=f"{refusal.kind}: {refusal}"))
            return {"kind": refusal.kind, "message": str(refusal)}
        self.calls.append(ToolCall(name, args, result=value))
        return {"value": value}


def _depth(value: Any) -> int:
    """How deep lists and dicts nest; without recursion, since a block may send what only just could
    be read."""
    level, depth = [value], 0
    while level := [
        part
        for whole in level
        if isinstance(whole, (list, dict))
        for part in (whole.values() if isinstance(whole, dict) else whole)
    ]:
        depth += 1
    return depth


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    """1e999 is a number of JSON, but what Python reads it as is not."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _demand(holds: bool) -> None:
    if not holds:
        raise ValueError("not a message of the protocol")
