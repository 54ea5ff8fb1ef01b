"""The CodeAct loop: a policy acts in a world through an interpreter, and an episode is written.

`act` is a generator so that one loop serves every policy: it yields the conversation, is sent a Reply, and returns the
Episode. Nothing in it depends on the runtime's persistence but the interpreter it is handed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.families.base import Task, World
from knapsack_lib.interpreter import Interpreter
from knapsack_lib.policies import Reply
from knapsack_lib.profiles import Cues, Limits
from knapsack_lib.prompts import Message, observation_text, opening, refusal_text

__all__ = ["Cast", "act", "code_of"]

FENCE = re.compile(r"```(?:python|py)[ \t]*\n(.*?)\n?```", re.S)


@dataclass(frozen=True)
class Cast:
    """Who plays what: the labels of an episode. `runtime` also names the interpreter's persistence mode, `train_seed`
    which of a regime's adapters acts (0: nothing was trained)."""

    policy: str
    runtime: str
    difficulty: str
    train_seed: int = 0


def code_of(reply: Reply) -> tuple[str, str | None]:
    """(outcome, code). Exactly one fenced python block in a reply that ended by itself is run; anything else is not."""
    if reply.stop != "end":
        return reply.stop, None
    blocks = FENCE.findall(reply.text)
    if len(blocks) == 1:
        return "code", blocks[0]
    return ("several_blocks" if blocks else "no_code"), None


def act(
    task: Task,
    world: World,
    interpreter: Interpreter,
    cast: Cast,
    limits: Limits,
    cues: Cues,
    seed: int,
    on_turn: Callable[[int, Turn], None] = lambda number, turn: None,
) -> Generator[list[Message], Reply, Episode]:
    """Play one task. Ends by finish(), after `limits.turns` turns, or when the policy's context is full."""
    start = opening(task.family, world.facts(), cast.runtime, limits, cues)
    messages, ended = list(start), "max_turns"
    turns: list[Turn] = []
    bindings: tuple[str, ...] = ()
    for number in range(limits.turns):
        reply = yield messages
        turn, bindings = _turn(reply, interpreter, bindings, cues)
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
        episode_id=task.task_id, task_id=task.task_id, family=task.family, difficulty=cast.difficulty,
        policy=cast.policy, runtime=cast.runtime, seed=seed, opening=start, turns=turns, finish=ended,
        outcome=world.outcome(), train_seed=cast.train_seed,
    )  # fmt: skip


def _turn(
    reply: Reply, interpreter: Interpreter, bindings: tuple[str, ...], cues: Cues
) -> tuple[Turn, tuple[str, ...]]:
    outcome, code = code_of(reply)
    common: dict[str, Any] = {
        "reply": reply.text, "reply_ids": None if reply.ids is None else list(reply.ids), "outcome": outcome,
        "code": code, "prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens,
        "slip": reply.slip,
    }  # fmt: skip
    if code is None:
        shown = None if outcome == "context" else refusal_text(outcome, bindings, cues)
        nothing: dict[str, Any] = {
            "stdout": "",
            "error_type": None,
            "error": None,
            "killed_by": None,
            "state_lost": False,
        }
        return Turn(**common, **nothing, observation=shown, bindings=list(bindings), tool_calls=[]), bindings
    seen = interpreter.run(code)
    turn = Turn(
        **common, observation=observation_text(seen, cues), stdout=seen.stdout, error_type=seen.error_type,
        error=seen.error, killed_by=seen.killed_by, state_lost=seen.state_lost, bindings=list(seen.bindings),
        tool_calls=[asdict(call) for call in seen.tool_calls],
    )  # fmt: skip
    return turn, seen.bindings
