"""One tool call, answered in the host: the same for a block's calls and for an agent that makes one a turn.

check_arguments("inspect", args, size)
value = answered("inspect", world.tools["inspect"], args)      # or ToolError
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from knapsack_lib.families.base import ToolError
from knapsack_lib.interpreter.wire import MAX_MESSAGE

__all__ = ["MAX_CALL", "ToolCall", "answered", "check_arguments", "plain_json"]

MAX_CALL = 1 << 16  # bytes of one tool call
DEPTH = 20  # of lists in a tool's arguments


@dataclass(frozen=True)
class ToolCall:
    """One call as the host saw it. Exactly one of `result` (JSON value) and `error` ("Type:
    message") is meant."""

    name: str
    args: list[Any]
    result: Any = None
    error: str | None = None


def plain_json(body: str | bytes | bytearray) -> Any:
    """A JSON text as a value that can be written to a file and given to a tokenizer: halves of characters
    are replaced. Raises ValueError (numbers without end, too), TypeError or RecursionError."""
    plain = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False)
    return json.loads(plain.encode("utf-8", "replace"))


def check_arguments(name: str, args: list[Any], size: int) -> None:
    """Raises ToolError for a call that takes too much room (`size` in bytes) or nests too deep."""
    if size > MAX_CALL:
        raise ToolError(
            "ValueError", f"a call of {name}() may take {MAX_CALL} bytes, this one takes {size}"
        )
    if not _nests_within(DEPTH, args):
        raise ToolError("ValueError", f"arguments of {name}() may nest {DEPTH} deep")


def answered(name: str, tool: Callable[..., Any], args: list[Any]) -> Any:
    """The tool's answer, a JSON value. Raises ToolError for its refusal, a wrong number of arguments, or an
    answer that is too large."""
    wanted = len(inspect.signature(tool).parameters)
    if len(args) != wanted:
        raise ToolError("TypeError", f"{name}() takes {wanted} arguments, got {len(args)}")
    value = tool(*args)
    if len(json.dumps(value)) > MAX_MESSAGE:
        raise ToolError(
            "RuntimeError", f"the answer of {name}() is larger than {MAX_MESSAGE} bytes"
        )
    return value


def _nests_within(depth: int, value: Any) -> bool:
    """Whether lists and dicts that hold anything nest no deeper."""
    if not isinstance(value, (list, dict)) or not value:
        return True
    parts = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_nests_within(depth - 1, part) for part in parts)
