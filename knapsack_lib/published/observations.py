"""What came back from a turn, as the authors' files tell it: output, an error, tool calls of a ReAct
step.

    stdout, error_type, error = observed('{"error": "Traceback ...\\nNameError: name \\'y\\' is not defined"}')
    calls = step_calls({"results": [{"tool": "inspect", "output": "{...}"}]})
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["calls_text", "error_of", "listed_calls", "observed", "step_calls"]

ANSWER = {"success", "result", "output", "error"}  # the names in an observation that is JSON
ERROR = re.compile(r"^([A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit))(?::[ \t]*(.*))?$", re.M)
FRAME = re.compile(r'\s+File ".*", line \d+')
TRACEBACK = "Traceback (most recent call last):"
CALL = re.compile(r"^\[([A-Za-z_]\w*)\][ \t]*", re.M)  # a tool's name in front of its output


def observed(text: str) -> tuple[str, str | None, str | None]:
    """(stdout, error type, error) of an observation: a JSON object with `output` or `error`, or
    plain text, in which a line that looks like an error is one."""
    answer = _answer(text)
    if answer is not None:
        return str(answer.get("output") or ""), *error_of(answer.get("error"))
    if TRACEBACK in text:
        return text, *error_of(text[text.rindex(TRACEBACK) :])
    errors = ERROR.findall(text)
    return text, *(errors[-1] if errors else (None, None))


def _answer(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    known = (
        isinstance(found, dict) and found.keys() <= ANSWER and found.keys() & {"output", "error"}
    )
    return found if known else None


def error_of(problem: object) -> tuple[str | None, str | None]:
    """(type, message) of an error: a line, an object, or a traceback, whose message may be several
    lines."""
    if isinstance(problem, dict) and problem:
        return str(problem.get("type") or "Error"), str(problem.get("message") or "")
    lines = [line for line in str(problem or "").splitlines() if line.strip()]
    if not lines:
        return None, None  # an error of blanks is none, as the empty one
    frames = [place for place, line in enumerate(lines) if FRAME.match(line)]
    after = lines[frames[-1] + 1 :] if frames else lines[-1:]
    while len(after) > 1 and after[0][0].isspace():  # the source of the last frame
        after = after[1:]
    kind, _, message = "\n".join(after or lines[-1:]).strip().partition(":")
    named = re.fullmatch(r"[A-Za-z_][\w.]*", kind)
    return (kind, message.strip()) if named else ("Error", lines[-1].strip())


def step_calls(result: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The tool calls that a step's interpreter_result lists, as a turn records them; None where it
    lists none. Arguments are not recorded."""
    listed = next((result[name] for name in ("results", "tool_calls") if result.get(name)), None)
    if not isinstance(listed, list):
        return None
    calls = [one for one in listed if isinstance(one, dict) and one.get("tool")]
    return [_call(str(one["tool"]), one.get("output")) for one in calls] or None


def listed_calls(text: str) -> list[dict[str, Any]]:
    """The tool calls of an observation that holds nothing else: each begins a line with the tool's
    name in brackets."""
    before, *parts = CALL.split(text)
    if before.strip():
        return []
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [_call(tool, output.removesuffix("\n")) for tool, output in pairs]


def calls_text(calls: Sequence[Mapping[str, Any]]) -> str:
    """The observation of a ReAct step, as training texts have it."""
    outputs = (call["error"] if call["error"] is not None else call["result"] for call in calls)
    shown = (output if isinstance(output, str) else json.dumps(output) for output in outputs)
    return "\n".join(f"[{call['name']}] {text}" for call, text in zip(calls, shown, strict=True))


def _call(tool: str, output: Any) -> dict[str, Any]:
    """A call that was refused has its error as "Type: message"."""
    answer = json.dumps(output) if isinstance(output, dict) else output
    _, kind, message = observed(answer) if isinstance(answer, str) else ("", None, None)
    error = None if kind is None else f"{kind}: {message}"
    return {"name": tool, "args": [], "result": output if error is None else None, "error": error}
