"""One episode, turn by turn, as facts: what each block did to the state, to the task and to the
bill. No markup here.

for turn in read(episode, task):
    turn.number, turn.reasoning, turn.marks, turn.new, turn.lost, turn.progress, ...
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from knapsack_lib.agent import FENCE
from knapsack_lib.analysis.behaviour import FUNCTIONS, WORD, parsed, restated
from knapsack_lib.analysis.failures import trouble
from knapsack_lib.analysis.names import BUILTINS, Names
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.families import Task, family_or_unknown

__all__ = ["Mark", "Reading", "read"]

Helpers = dict[
    str, tuple[frozenset[str], frozenset[str]]
]  # function -> globals that it binds, names that it takes


@dataclass(frozen=True)
class Mark:
    """A part of the code, in characters: `missing` (a name that does not exist) or `restated` (a
    literal shown before)."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Reading:
    """A turn and what it means. Sums are up to and with this turn; None where the task is not
    known."""

    number: int
    turn: Turn
    reasoning: str
    after: str  # what the reply says behind its block
    marks: tuple[Mark, ...]
    before: tuple[str, ...]  # bindings before the block
    new: tuple[str, ...]
    changed: tuple[str, ...]
    lost: tuple[str, ...]
    trouble: str
    tokens: int
    progress: Mapping[
        str, float
    ]  # what the family says the tool calls had brought (Family.progress)
    picture: str  # SVG of the state of the task, or ""


def read(episode: Episode, task: Task | None = None) -> list[Reading]:
    """Every turn of an episode."""
    return list(_read(episode, task))


def _read(episode: Episode, task: Task | None) -> Iterator[Reading]:
    shown = set(WORD.findall(" ".join(message["content"] for message in episode.opening)))
    before: tuple[str, ...] = ()
    helpers: Helpers = {}
    tokens = 0
    family = family_or_unknown(episode.family)
    calls = [turn.tool_calls for turn in episode.turns]
    progress = family.progress(calls, episode.result, task)
    for number, turn in enumerate(episode.turns, start=1):
        tree = parsed(turn)
        names, tree = _names(tree)
        after = tuple(turn.bindings)
        helpers |= _helpers(tree)
        # A block that was stopped has been undone.
        written = (
            set() if turn.killed_by else names.bound | _made(names.needed | names.bound, helpers)
        )
        tokens += turn.prompt_tokens + turn.completion_tokens
        said, rest = _around(turn)
        yield Reading(
            number=number,
            turn=turn,
            reasoning=said,
            after=rest,
            marks=tuple(_marks(turn, tree, names, {*before, *family.tools}, shown)),
            before=before,
            new=tuple(name for name in after if name not in before),
            changed=tuple(name for name in after if name in before and name in written),
            lost=tuple(name for name in before if name not in after),
            trouble=trouble(turn),
            tokens=tokens,
            progress=progress[number - 1],
            picture=family.picture(calls[:number], task),
        )
        before = after
        shown |= set(WORD.findall(turn.observation or ""))


def _names(tree: ast.Module | None) -> tuple[Names, ast.Module | None]:
    """The names of a block; a block that is nested too deep to be walked is read as text."""
    try:
        return (Names.of(tree), tree) if tree is not None else (Names(), None)
    except RecursionError:
        return Names(), None


def _helpers(tree: ast.Module | None) -> Helpers:
    """The functions that a block defines, each by itself."""
    found = {}
    for node in tree.body if tree is not None else []:
        if isinstance(node, FUNCTIONS):
            names = Names()
            names.visit(node)
            found[node.name] = names.helpers
    return found


def _made(names: set[str], helpers: Helpers) -> set[str]:
    """Globals that these functions bind, and those that they call."""
    made: set[str] = set()
    todo, seen = [name for name in names if name in helpers], set(names)
    while todo:
        binds, takes = helpers[todo.pop()]
        made |= binds
        todo += [name for name in takes - seen if name in helpers]
        seen |= takes
    return made


def _around(turn: Turn) -> tuple[str, str]:
    """What a reply says before and behind its one block."""
    found = FENCE.search(turn.reply)
    if turn.code is None or found is None:
        return turn.reply, ""
    return turn.reply[: found.start()].strip(), turn.reply[found.end() :].strip()


def _marks(
    turn: Turn, tree: ast.Module | None, names: Names, known: set[str], shown: set[str]
) -> Iterator[Mark]:
    if tree is None or turn.code is None:
        return
    try:
        literals = list(restated(tree, shown))
    except RecursionError:
        return
    missing = names.needed - known - BUILTINS
    places = _Places(turn.code)
    for node in names.places:
        if node.id in missing:
            yield places.mark(node, "missing")
    for literal in literals:
        yield places.mark(literal, "restated")


class _Places:
    """From ast's lines and byte columns to characters of the text."""

    def __init__(self, code: str):
        self.bytes = code.encode()
        self.starts = [0, *accumulate(len(line) for line in self.bytes.splitlines(keepends=True))]

    def mark(self, node: Any, kind: str) -> Mark:
        ends = (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )
        start, end = (len(self.bytes[:place].decode(errors="ignore")) for place in ends)
        return Mark(start, end, kind)
