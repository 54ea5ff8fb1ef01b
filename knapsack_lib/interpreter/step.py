"""One block under way, seen from the host: its messages, its output, its tool calls, its limits.

The child is not trusted: every message is bounded, checked and of this step, or the step is ended.
"""

import os
import re
import select
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter.pool import Child
from knapsack_lib.interpreter.tool_calls import ToolCall, answered, check_arguments, plain_json
from knapsack_lib.interpreter.wire import MAX_MESSAGE, Answer, Block, Done, framed, lacking
from knapsack_lib.machine import cores
from knapsack_lib.profiles import Limits

__all__ = ["Killed", "Step", "masked"]

MAX_RECORD = 1 << 10  # bytes of a call past the limit of calls whose arguments are recorded
MAX_LINE = 1 << 31
FLOOD = 1 << 20  # bytes of output after which a step is ended
ADDRESS = re.compile(r"\b0x[0-9a-f]{11,16}\b")  # object addresses differ from run to run
CORES = cores()  # the fastest that a block can use up its processor time
# Places differ from machine to machine. Longer ones first; a prefix like /usr says nothing of a
# machine.
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parent.py")
PYTHON = (os.path.dirname(os.__file__), sys.executable, sys.prefix, sys.base_prefix)
PLACES = {SCRIPT: "<interpreter>", **{place: "<python>" for place in PYTHON if len(place) > 4}}


class Killed(Exception):
    """The step was ended; the text tells by what."""


def masked(text: str) -> str:
    """What differs from run to run or from machine to machine is left out."""
    text = ADDRESS.sub("0x", text)
    for place, name in PLACES.items():
        text = text.replace(place, name)
    return text


class Step:
    """One block under way: reads the child's messages and output until it is done, killed or out of
    time."""

    def __init__(
        self, child: Child, tools: Mapping[str, Callable[..., Any]], limits: Limits, number: int
    ):
        self.child, self.tools, self.limits, self.number = child, tools, limits, number
        self.calls: list[ToolCall] = []
        self._output, self._flood, self._inbox = bytearray(), 0, bytearray()
        self._deadline = time.monotonic() + limits.wall_seconds

    def run(self, block: Block) -> Done:
        """Raises Killed."""
        # What threads of the block used since the last step counts here: else they could work while
        # the model thinks.
        cpu_end = self.child.cpu_counted + self.limits.cpu_seconds
        self._send(block)
        poll, messages, output = select.poll(), self.child.socket.fileno(), self.child.output
        for source in (messages, output):
            poll.register(source, select.POLLIN)
        try:
            while True:
                left, cpu_left = self._left(), cpu_end - self.child.cpu_seconds()
                if cpu_left <= 0:
                    raise Killed("cpu")
                seconds = min(left, max(cpu_left / CORES, 0.01))
                ready = dict(poll.poll(1000 * seconds))
                if output in ready and not self._drain():
                    poll.unregister(output)
                if messages in ready:
                    done = self._read_messages()
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
            self._flood += len(part[room:])
            if self._flood > FLOOD:
                raise Killed("output")

    def _left(self) -> float:
        """Seconds until the step is out of time. Raises Killed when none are."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Killed("time")
        return left

    def _send(self, message: Block | Answer) -> None:
        unsent = framed(message)
        try:
            while unsent:
                self.child.socket.settimeout(self._left())
                unsent = unsent[self.child.socket.send(unsent) :]
        except TimeoutError:
            raise Killed("time") from None
        except OSError:
            raise Killed("exit") from None

    def _read_messages(self) -> Done | None:
        """Take in bytes; act on every whole message. Returns the closing message once it is there."""
        try:
            part = self.child.socket.recv(1 << 16)
        except OSError:
            part = b""
        if not part:
            raise Killed("exit")
        self._inbox += part
        while True:
            self._left()
            try:
                missing = lacking(self._inbox, MAX_MESSAGE)
                if missing > 0:
                    return None
                end = len(self._inbox) + missing
                body, self._inbox = self._inbox[4:end], self._inbox[end:]
                message = self._checked(body)
            except (ValueError, KeyError, TypeError, RecursionError):
                # Only a block that writes to the socket itself can do this.
                raise Killed("protocol") from None
            if "done" in message:
                return message
            self._send(self._call(message["call"], message["args"], len(body)))

    def _checked(self, body: bytearray) -> Any:
        """A well-formed Call of a tool, or Done of this step as the last message. Raises ValueError,
        KeyError, TypeError or RecursionError for anything else."""
        message = plain_json(body)
        if "done" in message:
            names = (message["bindings"], message["written"], message["shadowed"])
            error = message["error"]
            sound = (
                message["done"] == self.number
                and not self._inbox
                and all(map(_are_names, names))
                and (error is None or _is_error(error))
            )
        else:
            sound = message["call"] in self.tools and isinstance(message["args"], list)
        if not sound:
            raise ValueError("not a message of the protocol")
        return message

    def _call(self, name: str, args: list[Any], size: int) -> Answer:
        """Answer one call. What is refused is recorded too, but not with arguments that would fill
        the host's memory."""
        limit, tool, recorded = self.limits.tool_calls, self.tools[name], list[Any]()
        if len(self.calls) >= 4 * limit:
            raise Killed("tool calls")
        try:
            check_arguments(name, args, size)
            recorded = args if size <= MAX_RECORD or len(self.calls) < limit else []
            if len(self.calls) >= limit:
                raise ToolError("RuntimeError", f"at most {limit} tool calls in one turn")
            value = answered(name, tool, args)
        except ToolError as refusal:
            self.calls.append(ToolCall(name, recorded, error=f"{refusal.kind}: {refusal}"))
            return {"kind": refusal.kind, "message": str(refusal)}
        self.calls.append(ToolCall(name, args, result=value))
        return {"value": value}


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 500 and all(_is_text(v, 80) for v in value)


def _is_error(error: Any) -> bool:
    line, bounds = error["line"], {"type": 80, "message": 400, "trace": 10_000}
    return all(_is_text(error[key], most) for key, most in bounds.items()) and (
        line is None or (type(line) is int and abs(line) <= MAX_LINE)
    )
