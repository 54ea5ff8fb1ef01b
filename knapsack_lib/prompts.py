"""The texts that agents of every family are shown, as data; a family adds its own (families/).
Which texts are shown depends on nothing but the arguments. A ReAct agent (runtime `react`) is told of
tool calls where the others are told of blocks.

The runtime's persistence reaches the agent through `CUES` (shown only when the profile's cue is
"stated") and through the line of live names (only when `list_bindings` is true). With both off,
prompts are identical in every arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knapsack_lib.families.base import Family
from knapsack_lib.interpreter import Observation
from knapsack_lib.messages import Message
from knapsack_lib.profiles import REACT, Limits, PromptOptions

__all__ = ["observation_text", "opening", "refusal_text"]

SYSTEM = {
    "brief": (
        "You solve a task by writing Python. Each turn: one sentence, then one python block with at "
        "most {tool_calls} tool calls. You then see what it printed. Tools: {tools}.{packages}"
    ),
    "full": (
        "You are an agent that acts by writing Python code.\n\n"
        "In every turn, think briefly in plain words, then write exactly one fenced block that starts "
        "with ```python. The block is run and you are shown what it printed, or the error that ended "
        "it. Only printed text comes back: print whatever you want to know.\n\n"
        "These functions exist inside the block and nowhere else:\n{tools}\n\n"
        "A block may make at most {tool_calls} tool calls, and you have {turns} turns. {packages} "
        "available; files and the network are not."
    ),
}

REACT_SYSTEM = {
    "brief": (
        "You solve a task by calling tools. Each turn: one sentence, then one json block "
        '{{"tool": name, "args": [...]}}. You then see its answer. Tools: {tools}.'
    ),
    "full": (
        "You are an agent that acts by calling tools.\n\n"
        "In every turn, think briefly in plain words, then write exactly one fenced block that starts "
        "with ```json and holds one call, an object that names the tool and lists its arguments in "
        'order:\n{{"tool": "name", "args": ["first argument"]}}\n'
        "The call is made and you are shown the tool's answer, or the error that refused it. You have "
        "no interpreter: what you know is what you have been shown.\n\n"
        "The tools:\n{tools}\n\nYou have {turns} turns, with one call in each."
    ),
}

# What there is beside the tools: (without packages, with them)
PACKAGES = {
    "brief": ("", " Beside the standard library you can import: {names}."),
    "full": (
        "Only the Python standard library is",
        "Only the Python standard library and these packages ({names}) are",
    ),
}

CUES = {
    "none": dict.fromkeys(("persistent", "reset", "functions", "data", "ttl"), ""),
    "stated": {
        "persistent": " Variables, functions and imports stay defined from one block to the next.",
        "reset": " Each block starts afresh: nothing that an earlier block defined exists any more.",
        "functions": " Functions, classes and imports stay defined from one block to the next; data does not.",
        "data": " Plain data stays from one block to the next; functions, classes and imports do not.",
        "ttl": " What a block binds stays for the next {steps} blocks after it was last bound.",
    },
}

REFUSALS = {
    "no_code": "No python block was found, so nothing was run. Answer with one sentence and one python block.",
    "several_blocks": "More than one python block was found, so nothing was run. Answer with exactly one.",
    "no_call": "No json block was found, so nothing was called. Answer with one sentence and one json block.",
    "several_calls": "More than one json block was found, so nothing was called. Answer with exactly one.",
    "bad_call": (
        "The json block is no tool call, so nothing was called. Write an object with tool, a name, and args, a list."
    ),
    "cut_off": "The reply was cut off before it ended, so nothing was run. Answer with a shorter one.",
}

KILLS = {
    "time": "the time limit was reached",
    "cpu": "the limit on processor time was reached",
    "output": "it printed far too much",
    "tool calls": "it kept calling tools past the limit",
    "protocol": "it interfered with the interpreter",
    "exit": "it ended the interpreter",
}


def opening(
    family: Family,
    facts: dict[str, Any],
    runtime: str,
    limits: Limits,
    options: PromptOptions,
    packages: Sequence[str] = (),
) -> list[Message]:
    """The system message and the task, as every arm sees them. `packages`: what the interpreter can
    import beside the standard library."""
    mode, _, steps = runtime.partition(":")
    system = (REACT_SYSTEM if runtime == REACT else SYSTEM)[options.style].format(
        tools=family.tools_text[options.style],
        tool_calls=limits.tool_calls,
        turns=limits.turns,
        packages=PACKAGES[options.style][bool(packages)].format(names=", ".join(packages)),
    )
    shown = {
        key: ", ".join(value) if isinstance(value, list) else value for key, value in facts.items()
    }
    return [
        {"role": "system", "content": system + CUES[options.cue].get(mode, "").format(steps=steps)},
        {"role": "user", "content": family.task_text[options.style].format(**shown)},
    ]


def observation_text(seen: Observation, options: PromptOptions) -> str:
    """What the agent reads after its block: output, then the error or the reason it was stopped,
    then live names."""
    lines = [seen.stdout.rstrip("\n")] if seen.stdout.strip("\n") else []
    if seen.error_type is not None and options.style == "full":
        lines.append((seen.traceback or "").rstrip("\n"))
    elif seen.error_type is not None:
        place = "" if seen.line is None else f" (line {seen.line})"
        lines.append(f"{seen.error_type}: {seen.error}{place}")
    if seen.killed_by is not None:
        state = " All variables are lost." if seen.state_lost else ""
        state = " All variables are as they were before it." if seen.restored else state
        # What it did to the world stays done, whatever became of its variables.
        done = sum(call.error is None for call in seen.tool_calls)
        calls = f" Its {done} tool call{' stands' if done == 1 else 's stand'}." if done else ""
        reason = KILLS.get(seen.killed_by, seen.killed_by)
        lines.append(f"The block was stopped: {reason}.{state}{calls}")
    if not lines:
        lines.append("(no output)")
    lines += [
        f"note: {name} is something of your own now and hides the tool of that name"
        for name in seen.shadowed
    ]
    if options.list_bindings:
        lines.append("live names: " + (", ".join(seen.bindings) or "none"))
    return "\n".join(lines)


def refusal_text(status: str, bindings: tuple[str, ...], options: PromptOptions) -> str:
    """What the agent reads when its reply was not run. `bindings` are still the live names."""
    text = REFUSALS[status]
    return text + (
        "\nlive names: " + (", ".join(bindings) or "none") if options.list_bindings else ""
    )
