"""The loop: a policy acts in a world through an interpreter, and an episode is written.

`act` is a generator so that one loop serves every policy: it yields the conversation, is sent a Reply, and returns the
Episode. Nothing in it depends on the runtime's persistence but the interpreter it is handed. A ReAct agent is handed a
ToolCaller in its place (react.py): its replies hold a tool call where others hold a block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from typing import Any

from knapsack_lib.blocks import the_block
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.families import Family, Task, World, family_named
from knapsack_lib.interpreter import Interpreter, Observation
from knapsack_lib.messages import Message, Reply
from knapsack_lib.profiles import Cell, Limits, PromptOptions
from knapsack_lib.prompts import observation_text, opening, refusal_text
from knapsack_lib.react import ToolCaller, the_call

__all__ = ["act", "call_of", "code_of"]

NOT_RUN = Observation("")


def code_of(reply: Reply) -> tuple[str, str | None]:
    """(parse status, code). A reply that the model did not end is not run (blocks.py has the rule)."""
    if reply.stop != "end":
        return reply.stop, None
    status, block = the_block(reply.text)
    return status, None if block is None else block.code


def call_of(reply: Reply) -> tuple[str, dict[str, Any] | None]:
    """(parse status, tool call). A reply that the model did not end calls nothing."""
    return the_call(reply.text) if reply.stop == "end" else (reply.stop, None)


def act(
    task: Task,
    world: World,
    interpreter: Interpreter | ToolCaller,
    cell: Cell,
    limits: Limits,
    options: PromptOptions,
    seed: int,
    on_turn: Callable[[int, Turn], None] = lambda number, turn: None,
    disk: str = "persistent",
) -> Generator[list[Message], Reply, Episode]:
    """Play one task. Ends when the world is done, after `limits.turns` turns, or when the policy's context is full. With
    `disk` "reset" the world's files are as they began before every turn."""
    family = family_named(task.family)
    if isinstance(interpreter, ToolCaller):  # there are no names to list
        options = options.model_copy(update={"list_bindings": False})
    start = opening(family, world.facts(), cell.runtime, limits, options, interpreter.packages)
    messages, ended = list(start), "max_turns"
    turns: list[Turn] = []
    bindings: tuple[str, ...] = ()
    for number in range(limits.turns):
        reply = yield messages
        if disk == "reset":
            family.reset_disk(world)
        turn, bindings = _turn(reply, interpreter, bindings, options)
        ended = "finish" if world.done else "context" if reply.stop == "context" else ended
        last = ended != "max_turns" or number + 1 == limits.turns
        if last:
            turn = replace(turn, observation=None)
        turns.append(turn)
        on_turn(number, turn)
        if last:
            break
        answer = {"role": "user", "content": turn.observation or ""}
        messages = [*messages, {"role": "assistant", "content": turn.reply}, answer]
    return Episode(
        episode_id=task.task_id,
        task_id=task.task_id,
        seed=seed,
        opening=start,
        turns=turns,
        finish_reason=ended,
        result=_result(world, family),
        **cell.labels,
    )


def _run(
    reply: Reply, interpreter: Interpreter | ToolCaller
) -> tuple[str, str | None, Observation | None]:
    """(parse status, code, what came of it); None where nothing was run."""
    if isinstance(interpreter, ToolCaller):
        status, call = call_of(reply)
        return status, None, None if call is None else interpreter.run(call)
    status, code = code_of(reply)
    if reply.lost:
        interpreter.lose()
    return status, code, None if code is None else interpreter.run(code)


def _result(world: World, family: Family) -> dict[str, Any]:
    """How the task stands. Raises UserError where the family breaks its contract."""
    result = world.result()
    score = result.get("score", -1)
    if not (isinstance(score, (int, float)) and 0 <= score <= 1 and "solved" in result):
        raise UserError(
            f"family {family.name}: result() must hold a score from 0 to 1 and solved; it gave {result}"
        )
    return result


def _turn(
    reply: Reply,
    interpreter: Interpreter | ToolCaller,
    bindings: tuple[str, ...],
    options: PromptOptions,
) -> tuple[Turn, tuple[str, ...]]:
    """One reply and what came of it, and the names that the next one will find."""
    status, code, seen = _run(reply, interpreter)
    if seen is not None:
        shown: str | None = observation_text(seen, options)
    else:
        seen = replace(NOT_RUN, bindings=bindings)
        shown = None if status == "context" else refusal_text(status, bindings, options)
    recorded: dict[str, Any] = {
        name: getattr(seen, name)
        for name in ("stdout", "error_type", "error", "killed_by", "state_lost")
    }
    recorded["state_lost"] |= reply.lost
    turn = Turn(
        reply=reply.text,
        reply_ids=None if reply.ids is None else list(reply.ids),
        parse_status=status,
        code=code,
        observation=shown,
        **recorded,
        bindings=list(seen.bindings),
        tool_calls=[asdict(call) for call in seen.tool_calls],
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        slip=reply.slip,
    )
    return turn, seen.bindings
