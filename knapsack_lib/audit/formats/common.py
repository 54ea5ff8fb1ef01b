"""What a block is, whatever the format: the code that a reply or a tool call has run.

    code_in("I load it.\\n```python\\nimport json\\n```")     # "import json"
    code_of_call({"function": {"name": "python", "arguments": '{"code": "1 + 1"}'}})     # "1 + 1"

In a reply, tags that stand for running (<execute>, <code> on a line of its own, OpenHands' function
in words) come before fences; of fences those that are tagged as Python count, or, where there is
none, those without a tag. Several in one reply are one block, joined in their order. What a model
thinks is no block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from textwrap import dedent
from typing import Any

from knapsack_lib.audit.outcomes import outcome_of, was_stopped
from knapsack_lib.audit.transcripts import Step
from knapsack_lib.blocks import PYTHON, find_blocks, thoughts

__all__ = ["as_list", "code_in", "code_of_call", "labels_of", "step_of", "steps_of", "text_of"]

TAGS = re.compile(
    r"<(?P<run>execute|execute_ipython|execute_python|python)>(?P<inline>.*?)(?:</(?P=run)>|\Z)"
    r"|^[ \t]*<code>[ \t]*\n(?P<lines>.*?)(?:</code>|\Z)"
    r"|<function=(?:execute_ipython_cell|python|ipython)>\s*<parameter=code>(?P<function>.*?)"
    r"(?:</parameter>|\Z)",
    re.S | re.M,
)
# Names of the argument that holds code, and what tells that it is no Python, or is not run.
ARGUMENTS = ("code", "python", "python_code", "source", "script", "program", "cell", "code_action")
RAW = re.compile(r"python|jupyter|code_?(?:interpreter|exec)|(?:exec|run)\w*_code|cell", re.I)
OTHER = re.compile(r"bash|shell|terminal|sql|javascript|node|browse|edit|write|file", re.I)
ELSEWHERE = {"path", "file", "filename", "file_path", "filepath", "command"}
AGENT = {"assistant", "gpt", "chatgpt", "model", "bot", "ai", "agent"}
LABELS = ("model", "task", "dataset", "source", "family", "train", "runtime", "difficulty", "split")
LONGEST = 80  # characters of a label: what is longer is a text and no name


def code_in(reply: str) -> str | None:
    """The code of a reply; None where it has none."""
    said = reply[thoughts(reply) :]
    if "<" in said:
        inside = [one.group(one.lastgroup or 0) for one in TAGS.finditer(said)]
        if found := _joined([dedent(code.strip("\n")).strip() for code in inside]):
            return found
    if "```" not in said and "~~~" not in said:
        return None
    blocks = find_blocks(said)
    python = [one.code for one in blocks if one.tag in PYTHON]
    return _joined(python or [one.code for one in blocks if not one.tag])


def _joined(parts: Sequence[str]) -> str | None:
    return "\n".join(part for part in parts if part.strip()) or None


def code_of_call(call: Any) -> str | None:
    """The Python that a tool call runs; None for one that runs none: a shell's, an editor's.

    Its arguments are an object, JSON that spells one, or the code itself.
    """
    if not isinstance(call, dict):
        return None
    function = call.get("function")
    inner: Mapping[str, Any] = function if isinstance(function, dict) else call
    name = str(inner.get("name") or (function if isinstance(function, str) else ""))
    arguments = next((inner[key] for key in ("arguments", "input", "args") if inner.get(key)), None)
    if isinstance(arguments, str):
        arguments = _object(arguments) or ({"code": arguments} if RAW.search(name) else {})
    if not isinstance(arguments, dict) or arguments.keys() & ELSEWHERE:
        return None
    language = str(arguments.get("language") or arguments.get("lang") or "python").lower()
    if language not in PYTHON or (OTHER.search(name) and not RAW.search(name)):
        return None
    found = (arguments.get(key) for key in ARGUMENTS)
    return next((one for one in found if isinstance(one, str) and one.strip()), None)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def steps_of(messages: Sequence[Any]) -> tuple[Step, ...]:
    """The blocks of a conversation: {role, content, tool_calls}, or ShareGPT's {from, value}."""
    return tuple(_steps([one for one in messages if isinstance(one, dict)]))


def _steps(messages: list[dict[str, Any]]) -> Iterator[Step]:
    agents = [one for one in messages if _is_agent(one)]
    # Where tools run the code, what is fenced is only shown.
    by_call = any(code_of_call(call) for one in agents for call in _calls(one))
    for place, message in enumerate(messages):
        if not _is_agent(message):
            continue
        answers = list(takewhile(lambda one: not _is_agent(one), messages[place + 1 :]))
        said = text_of(_content(message))
        runs = [(call, code) for call in _calls(message) if (code := code_of_call(call))]
        if not by_call and (code := code_in(said)):
            yield step_of(code, said, "\n".join(text_of(_content(one)) for one in answers))
        for number, (call, code) in enumerate(runs):
            reply = f"{said}\n{code}" if said and not number else code
            yield step_of(code, reply, _answer(call, number, answers))


def _is_agent(message: Mapping[str, Any]) -> bool:
    return str(message.get("role") or message.get("from") or "").lower() in AGENT


def _content(message: Mapping[str, Any]) -> Any:
    return next((message[key] for key in ("content", "value", "text") if message.get(key)), "")


def _calls(message: Mapping[str, Any]) -> list[Any]:
    """Of OpenAI's and Inspect's messages; of Anthropic's, whose calls are parts of the content."""
    listed = as_list(message.get("tool_calls"))
    if isinstance(message.get("function_call"), dict):
        listed = [*listed, message["function_call"]]
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return listed or [
        one for one in parts if isinstance(one, dict) and one.get("type") == "tool_use"
    ]


def _answer(call: Mapping[str, Any], number: int, answers: list[dict[str, Any]]) -> str:
    """By the call's id; where nothing has it, by its place among the answers."""
    found = [
        part
        for one in answers
        for part in (one, *(one["content"] if isinstance(one.get("content"), list) else ()))
        if isinstance(part, dict)
        and call.get("id") is not None
        and call["id"] in (part.get("tool_call_id"), part.get("tool_use_id"))
    ]
    if not found:
        found = [one for one in answers if one.get("role") in ("tool", "function")] or answers
        found = found[number : number + 1]
    return "\n".join(text_of(_content(one)) for one in found)


def text_of(content: Any) -> str:
    """Of a message's content: a text, or parts some of which are texts."""
    if isinstance(content, list):
        found = (_content(one) if isinstance(one, dict) else one for one in content)
        return "\n".join(text for text in map(text_of, found) if text)
    return content if isinstance(content, str) else ""


def step_of(code: str, reply: str, observation: str) -> Step:
    """A step of which only the observation tells what came of it."""
    kind, message, line = outcome_of(observation)
    stopped = kind is None and was_stopped(observation)
    return Step(code, reply, observation, kind, message, line, stopped)


def labels_of(*rows: Any, **more: str) -> dict[str, str]:
    """What episodes can be grouped by, of the first of some objects that has it."""
    found = dict(more)
    for row in (one for one in rows if isinstance(one, dict)):
        for name in LABELS:
            value = row.get(name)
            if isinstance(value, (str, int)) and 0 < len(str(value)) <= LONGEST:
                found.setdefault(name, str(value))
    return found


def as_list(value: Any) -> list[Any]:
    """A list, also where a column of a table holds it as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    return value if isinstance(value, list) else []
