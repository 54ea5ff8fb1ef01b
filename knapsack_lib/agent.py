"""The CodeAct loop: a policy acts in a world through an interpreter, and an episode is written.

`act` is a generator so that one loop serves every policy: it yields the conversation, is sent a Reply, and returns the
Episode. Nothing in it depends on the runtime's persistence but the interpreter it is handed.
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

__all__ = ["act", "code_of"]

NOT_RUN = Observation("")


def code_of(reply: Reply) -> tuple[str, str | None]:
    """(parse status, code). A reply that the model did not end is not run (blocks.py has the rule)."""
    if reply.stop != "end":
        return reply.stop, None
    status, block = the_block(reply.text)
    return status, None if block is None else block.code


def act(
    task: Task,
    world: World,
    interpreter: Interpreter,
    cell: Cell,
    limits: Limits,
    options: PromptOptions,
    seed: int,
    on_turn: Callable[[int, Turn], None] = lambda number, turn: None,
) -> Generator[list[Message], Reply, Episode]:
    """Play one task. Ends by finish(), after `limits.turns` turns, or when the policy's context is full."""
    family = family_named(task.family)
    start = opening(family, world.facts(), cell.runtime, limits, options, interpreter.packages)
    messages, ended = list(start), "max_turns"
    turns: list[Turn] = []
    bindings: tuple[str, ...] = ()
    for number in range(limits.turns):
        reply = yield messages
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
    reply: Reply, interpreter: Interpreter, bindings: tuple[str, ...], options: PromptOptions
) -> tuple[Turn, tuple[str, ...]]:
    """One reply and what came of it, and the names that the next one will find."""
    status, code = code_of(reply)
    if code is not None:
        seen = interpreter.run(code)
        shown: str | None = observation_text(seen, options)
    else:
        seen = replace(NOT_RUN, bindings=bindings)
        shown = None if status == "context" else refusal_text(status, bindings, options)
    recorded: dict[str, Any] = {
        name: getattr(seen, name)
        for name in ("stdout", "error_type", "error", "killed_by", "state_lost")
    }
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
