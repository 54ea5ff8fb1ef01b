"""ReAct: one tool call a turn, written as JSON, and no interpreter. What the loop of agent.py takes in place of code and
interpreter.

    status, call = the_call(reply.text)      # ("tool_calls", {"tool": ..., "args": [...]}), or a status and None
    observation = ToolCaller(world.tools, limits).run(call)

A call is the one fenced block of a reply that is tagged json (blocks.py finds blocks), or the one without a tag where none
is: an object that names the tool and lists its arguments. There is no state but the conversation, so there is nothing that
could persist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from knapsack_lib.blocks import Block, find_blocks
from knapsack_lib.families import ToolError
from knapsack_lib.interpreter import Observation
from knapsack_lib.interpreter.tool_calls import ToolCall, answered, check_arguments, plain_json
from knapsack_lib.profiles import Limits

__all__ = ["ToolCaller", "call_blocks", "the_call"]

CALLED = 40  # letters of a tool's name that are shown


def call_blocks(reply: str) -> list[Block]:
    """The blocks of a reply that could be its call: exactly one is meant to be there."""
    blocks = find_blocks(reply)
    return [block for block in blocks if block.tag == "json"] or [
        block for block in blocks if not block.tag
    ]


def the_call(reply: str) -> tuple[str, dict[str, Any] | None]:
    """(parse status, the one tool call that a reply holds, or None). The status is tool_calls, no_call,
    several_calls or bad_call."""
    counted = call_blocks(reply)
    if len(counted) != 1:
        return ("several_calls" if counted else "no_call"), None
    try:
        call = plain_json(counted[0].code)
    except (ValueError, RecursionError):
        return "bad_call", None
    sound = (
        isinstance(call, dict)
        and call.keys() == {"tool", "args"}
        and isinstance(call["tool"], str)
        and isinstance(call["args"], list)
    )
    return ("tool_calls", call) if sound else ("bad_call", None)


class ToolCaller:
    """Stands where an interpreter stands: runs a call, and reports on it."""

    packages: tuple[str, ...] = ()

    def __init__(self, tools: Mapping[str, Callable[..., Any]], limits: Limits):
        self._tools, self._limits = dict(tools), limits

    def run(self, call: Mapping[str, Any]) -> Observation:
        """Make one call. Never raises for anything that it says. The answer is shown under the tool's name
        in brackets: a text as it is, anything else as JSON."""
        name, args, kept = call["tool"], call["args"], list[Any]()
        try:
            check_arguments(name[:CALLED], args, len(json.dumps(call)))
            kept = args
            tool = self._tools.get(name)
            if tool is None:
                known = ", ".join(self._tools)
                raise ToolError("ValueError", f"there is no such tool; the tools are: {known}")
            made = ToolCall(name, args, result=answered(name, tool, args))
            text = made.result if isinstance(made.result, str) else json.dumps(made.result)
        except ToolError as refusal:
            text = f"{refusal.kind}: {refusal}"
            made = ToolCall(name[:CALLED], kept, error=text)
        shown, most = f"[{made.name}]\n{text}", self._limits.output_chars
        if len(shown) > most:
            shown = f"{shown[:most]}\n[output cut at {most} characters]"
        return Observation(shown, tool_calls=(made,))
