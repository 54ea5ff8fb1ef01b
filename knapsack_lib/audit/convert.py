"""A transcript made to fit another runtime, and proven by running it there.

    found = converted(transcript, "reset", pool)       # a Transcript; raises Unproven

To reset, each block gets in front what it needs from earlier ones (slices.py). To persistent, what
restates a state that is there already is taken out: statements after which every name holds what it
held before, and which call no tool and print nothing. The words around a block stay.

What comes out was run in the runtime that it is for: the same tool calls in the same order with the
same arguments and answers, the same output, the same errors, no missing name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from knapsack_lib.audit.replay import Replay, Why, as_seen, replayed, tools_of
from knapsack_lib.audit.slices import Past, Prefix, Unmade
from knapsack_lib.audit.state import Held, state_of
from knapsack_lib.audit.statements import Statement, statements_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.blocks import the_block
from knapsack_lib.families import Task
from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named

__all__ = ["Unproven", "converted"]

TRIES = 5  # of a prefix, each with more values written down
MODULE_LINE = re.compile(r'^  File "<block \d+>", line (\d+), in <module>$', re.M)
STEPS_OF_A_STRETCH = (ast.For, ast.While, ast.If, ast.With, ast.Expr)

State = Mapping[str, Held]


class Unproven(Exception):
    """Why an episode cannot be converted: `kind` in a word or two, the text in a line."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


def converted(
    transcript: Transcript, target: str, pool: Pool, task: Task | None = None
) -> tuple[Transcript, Replay]:
    """(the transcript with other code, and a record that says exactly what it does; its replay in the
    target runtime). Raises Unproven."""
    if transcript.labels.get("runtime") == "reset" == target:
        return _proven(transcript, transcript, target, pool, task)
    states: list[State] = []
    found = replayed(
        transcript, "persistent", pool, task, lambda n, running: states.append(state_of(running))
    )
    if found.why is not None:
        raise _not_again(found.why, "persistent")
    record = as_seen(transcript, found)
    if target == "reset":
        codes = _for_reset(record, found.seen, states, pool)
    else:
        codes = _for_persistent(record, pool, task)
    steps = tuple(
        replace(step, code=code, reply=with_code(step.reply, step.code, code))
        for step, code in zip(record.steps, codes, strict=True)
    )
    return _proven(replace(record, steps=steps), record, target, pool, task)


def _proven(
    new: Transcript, record: Transcript, target: str, pool: Pool, task: Task | None
) -> tuple[Transcript, Replay]:
    proof = replayed(new, target, pool, task)
    if proof.why is not None:
        raise Unproven(f"converted: {proof.why.kind}", f"once converted, {proof.why.text}")
    return as_seen(new, proof), proof


def _not_again(why: Why, runtime: str) -> Unproven:
    return Unproven(f"record: {why.kind}", f"run again in a {runtime} runtime, {why.text}")


def with_code(reply: str, old: str, new: str) -> str:
    """A reply with other code in the place of the block that was run. Raises Unproven where the code
    does not stand in the reply as it was run (indented, say)."""
    if old == new or not reply:
        return reply
    _, block = the_block(reply)
    block = block if block and block.code == old else None
    start, end = (block.start, block.end) if block else (0, len(reply))
    place = reply.find(old, start, end)
    if place < 0 or not old:
        raise Unproven("reply", "the code does not stand in a reply as it was run")
    found = reply[:place] + new + reply[place + len(old) :]
    if block is not None and getattr(the_block(found)[1], "code", None) != new:
        raise Unproven("reply", "the new code would not be read as one block")
    return found


# To reset -----------------------------------------------------------------------------------------


def _for_reset(
    record: Transcript, seen: Sequence[Observation], states: Sequence[State], pool: Pool
) -> list[str]:
    past, codes = Past(record.provided), list[str]()
    following: Sequence[State] = [*states[1:], {}]
    for step, one, held, after in zip(record.steps, seen, states, following, strict=True):
        prefix = _checked_prefix(past, step.code, held, pool)
        codes.append(f"{prefix}\n{step.code}" if prefix else step.code)
        if one.killed_by is None:
            past.add(step.code, held, after, _failed_line(one))
    return codes


def _failed_line(seen: Observation) -> int | None:
    """The line of the block, not of a function that it called."""
    lines = MODULE_LINE.findall(seen.traceback or "")
    return int(lines[-1]) if lines else seen.line


def _checked_prefix(past: Past, code: str, held: State, pool: Pool) -> str:
    """What makes the names of a block hold what they held. Values that its statements do not give
    back are written down."""
    literals, again = set[str](), set[str]()
    for _ in range(TRIES):
        try:
            prefix = past.before(code, held, literals, again)
        except Unmade as problem:
            raise Unproven("value", str(problem)) from None
        wrong = _wrong(prefix, held, pool) if prefix.code else set()
        more = {name for name in wrong if held[name].literal is not None} - again
        if not more:
            break
        again |= more & prefix.literals
        literals |= prefix.literals | more
    return prefix.code


def _wrong(prefix: Prefix, held: State, pool: Pool) -> set[str]:
    """Names that hold something else once the prefix is run by itself; all, where it speaks or
    fails."""
    with Interpreter(pool, persistence_named("persistent"), {}, 1) as interpreter:
        seen = interpreter.run(prefix.code + "\npass")
        if seen.error_type or seen.killed_by or seen.stdout:
            return set(prefix.names)
        now = state_of(interpreter)
    return {
        name
        for name in prefix.names
        if name not in now or (now[name].mark != held[name].mark and held[name].is_told)
    }


# To persistent ------------------------------------------------------------------------------------


def _for_persistent(record: Transcript, pool: Pool, task: Task | None) -> list[str]:
    """Each block run statement by statement, with a look at every name in between."""
    codes = []
    seed = record.episode.seed % 2**31 if record.episode else 1
    tools = tools_of(record, task)
    with Interpreter(pool, persistence_named("persistent"), tools, seed) as interpreter:
        before = state_of(interpreter)
        for step in record.steps:
            try:
                statements = statements_of(step.code)
            except (SyntaxError, ValueError, RecursionError):
                codes.append(step.code)
                continue
            states, silent = [before], list[bool]()
            for number, one in enumerate(statements, start=1):
                last = number == len(statements)
                seen = interpreter.run(one.text if last else one.text + "\npass")
                silent.append(not (seen.stdout or seen.tool_calls or seen.error_type))
                states.append(state_of(interpreter))
                if seen.error_type or seen.killed_by:
                    break
            before = states[-1]
            codes.append(without(step.code, _restated(statements, states, silent)))
    return codes


def _restated(
    statements: Sequence[Statement], states: Sequence[State], silent: Sequence[bool]
) -> list[Statement]:
    """Statements that leave every name as it was, alone or (`d = {}`, then a loop that fills it)
    together. `states`: before the first, and after each that ran."""
    marks = [{name: one.mark for name, one in state.items()} for state in states]
    found, place = list[Statement](), 0
    while place < len(silent):
        end = _stretch(statements, marks, silent, place)
        found += statements[place:end]
        place = max(end, place + 1)
    return found


def _stretch(
    statements: Sequence[Statement],
    marks: Sequence[Mapping[str, str]],
    silent: Sequence[bool],
    place: int,
) -> int:
    """Where the shortest restating run of statements that begins at `place` ends; `place` itself
    where there is none."""
    if not statements[place].binds:
        return place
    for end in range(place, len(silent)):
        one = statements[end]
        if not silent[end] or not (one.binds or isinstance(one.body[0], STEPS_OF_A_STRETCH)):
            break
        if marks[end + 1] == marks[place]:
            return end + 1
        if marks[end + 1] == marks[end]:  # it does something that no name shows
            break
    return place


def without(code: str, dropped: Sequence[Statement]) -> str:
    """The code without some statements and the comments right above them. A block is never left
    empty: its last statement stays then."""
    if len(dropped) == len(statements_of(code)):
        dropped = dropped[:-1]
    lines = code.splitlines()
    gone = {line for one in dropped for line in range(one.first, one.last + 1)}
    for one in dropped:
        above = one.first - 1
        while above > 0 and lines[above - 1].lstrip().startswith("#") and above not in gone:
            gone.add(above)
            above -= 1
    kept = [line for number, line in enumerate(lines, start=1) if number not in gone]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept).strip("\n")) if gone else code
