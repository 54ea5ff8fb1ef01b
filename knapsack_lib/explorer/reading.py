"""One episode, turn by turn, as facts: what each block did to the state and to the task, and what
it cost. No markup here.

for turn in read(episode, task):
    turn.number, turn.reasoning, turn.marks, turn.new, turn.lost, turn.progress, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from knapsack_lib.analysis.behaviour import WORD, parsed, restated
from knapsack_lib.analysis.failures import trouble
from knapsack_lib.blocks import the_block
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.families import Family, Task, family_or_unknown
from knapsack_lib.families.base import Calls
from knapsack_lib.react import call_blocks
from knapsack_lib.syntax.names import BUILTINS, Names, names_of
from knapsack_lib.syntax.scopes import Helper

__all__ = ["Mark", "Reading", "marks_of", "read"]

Helpers = dict[str, Helper]


@dataclass(frozen=True)
class Mark:
    """A part of the code, in characters: `missing` (a name that does not exist), `restated` (said
    before) or `relied` (a name that an earlier block bound)."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Reading:
    """A turn and what it means. Sums include this turn."""

    number: int
    turn: Turn
    reasoning: str
    after: str  # what the reply says after its block
    marks: tuple[Mark, ...]
    before: tuple[str, ...]  # bindings before the block
    new: tuple[str, ...]
    changed: tuple[str, ...]
    lost: tuple[str, ...]
    trouble: str
    tokens: int
    progress: Mapping[str, float]  # what the tool calls had brought (Family.progress)
    picture: str  # SVG of the state of the task (Family.picture), or ""
    call: str = ""  # of a ReAct agent, as it wrote it


def read(episode: Episode, task: Task | None = None) -> list[Reading]:
    """Every turn of an episode."""
    found = []
    shown = set(WORD.findall(" ".join(message["content"] for message in episode.opening)))
    before: tuple[str, ...] = ()
    helpers: Helpers = {}
    tokens = 0
    family = family_or_unknown(episode.family)
    calls = [turn.tool_calls for turn in episode.turns]
    progress = family.progress(calls, episode.result, task)
    for number, turn in enumerate(episode.turns, start=1):
        names, literals = _walked(turn, shown, helpers)
        after = tuple(turn.bindings)
        # A block that was stopped has been undone.
        bound = set() if turn.killed_by else names.binds.keys() | _bound_by_calls(names, helpers)
        tokens += turn.prompt_tokens + turn.completion_tokens
        reasoning, rest, call = _prose(turn)
        missing = names.wanted - {*before, *family.tools} - BUILTINS
        marked = [(node, "missing") for node in names.places if node.id in missing]
        marked += [(node, "restated") for node in literals]
        found.append(
            Reading(
                number=number,
                turn=turn,
                reasoning=reasoning,
                after=rest,
                marks=tuple(marks_of(turn.code or "", marked)),
                before=before,
                new=tuple(name for name in after if name not in before),
                changed=tuple(name for name in after if name in before and name in bound),
                lost=tuple(name for name in before if name not in after),
                trouble=trouble(turn),
                tokens=tokens,
                progress=progress[number - 1],
                picture=_picture(family, calls[:number], task),
                call=call,
            )
        )
        before = after
        shown |= set(WORD.findall(turn.observation or ""))
    return found


def _picture(family: Family, calls: Sequence[Calls], task: Task | None) -> str:
    try:
        return family.picture(calls, task)
    except Exception as error:  # noqa: BLE001  a family's drawing must not hide its episode
        return f"<svg><text>this drawing failed: {type(error).__name__}</text></svg>"


def _walked(turn: Turn, shown: set[str], helpers: Helpers) -> tuple[Names, list[Any]]:
    """Names and restated literals of a block, whose functions join `helpers`. None of a block that
    is no Python or nested too deep to be walked."""
    tree = parsed(turn)
    if tree is None:
        return Names(), []
    try:
        names, literals = names_of(tree), list(restated(tree, shown))
    except RecursionError:
        return Names(), []
    helpers |= names.helpers
    return names, literals


def _bound_by_calls(names: Names, helpers: Helpers) -> set[str]:
    """Globals that the functions named in a block bind, and those that they call."""
    bound: set[str] = set()
    seen = names.wanted | names.binds.keys()
    todo = [name for name in seen if name in helpers]
    while todo:
        helper = helpers[todo.pop()]
        bound |= helper.binds
        todo += [name for name in helper.reads - seen if name in helpers]
        seen |= helper.reads
    return bound


def _prose(turn: Turn) -> tuple[str, str, str]:
    """What a reply says before and after its one block, and the block, where it is a tool call."""
    calling = turn.code is None and turn.parse_status == "tool_calls"
    blocks = call_blocks(turn.reply) if calling else [the_block(turn.reply)[1]]
    block = blocks[0] if len(blocks) == 1 else None
    if block is None or (turn.code is None and not calling):
        return turn.reply, "", ""
    before, after = turn.reply[: block.start].strip(), turn.reply[block.end :].strip()
    return before, after, block.code if calling else ""


def marks_of(code: str, marked: Sequence[tuple[Any, str]]) -> Iterator[Mark]:
    """From ast's lines and byte columns to characters of the text, which may end before they do."""
    if not marked:  # only of what is Python: another text may have no bytes
        return
    whole = code.encode()
    starts = [0, *accumulate(map(len, whole.splitlines(keepends=True)))]

    def character(line: int, column: int) -> int:
        start = starts[min(line, len(starts)) - 1]
        return len(whole[: start + column].decode(errors="ignore"))

    for node, kind in marked:
        start = character(node.lineno, node.col_offset)
        yield Mark(start, character(node.end_lineno, node.end_col_offset), kind)
