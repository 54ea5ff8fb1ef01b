"""What blocks say about the use of state, read from their syntax. Nothing is run.

    behaviour_frame(episodes)      # a row per episode and turn

`reads_earlier` counts names that a block needs from before and an earlier block of the episode
bound: reliance on state. `restated` is the share of the reply's characters in literals whose every
part had been shown before (a text that is printed is a label and does not count), and `again` that
in functions defined once more under the same name: what a reply pays for state that it does not
trust (the amnesia tax). Times the turn's completion tokens they are tokens, to the error of taking
characters for tokens.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import pandas as pd

from knapsack_lib.analysis.metrics import CELL, TURN_COLUMNS, labels, tidy
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.syntax.names import Names, names_of

__all__ = ["behaviour_frame", "parsed", "restated"]

COLUMNS = {
    **TURN_COLUMNS,
    "code": "bool",
    "reads_earlier": "int64",
    "helpers_again": "int64",
    "restated": "float64",
    "again": "float64",
}
WORD = re.compile(r"\w+")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DISPLAYS = (ast.List, ast.Tuple, ast.Dict, ast.Set)


def behaviour_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode and turn with the columns of COLUMNS. A turn without a block of Python has
    zeros."""
    rows = (row for episode in episodes for row in _rows(episode))
    return tidy(rows, COLUMNS, [*CELL, "train_seed", "task_id", "turn"])


def _rows(episode: Episode) -> Iterator[dict[str, Any]]:
    bound: set[str] = set()
    helpers: set[str] = set()
    shown = set(WORD.findall(" ".join(message["content"] for message in episode.opening)))
    for number, turn in enumerate(episode.turns, start=1):
        tree = parsed(turn)
        names, literals = (None, []) if tree is None else _walked(tree, shown)
        row = {
            **labels(episode),
            "turn": number,
            "prompt_tokens": turn.prompt_tokens,
            "completion_tokens": turn.completion_tokens,
            "tokens": turn.prompt_tokens + turn.completion_tokens,
            "code": names is not None,
            "reads_earlier": 0,
            "helpers_again": 0,
            "restated": 0.0,
            "again": 0.0,
        }
        if tree is not None and names is not None:
            again = [
                node for node in tree.body if isinstance(node, FUNCTIONS) and node.name in helpers
            ]
            row["reads_earlier"] = len(names.wanted & bound)
            row["helpers_again"] = len(again)
            outside = [
                node for node in literals if not any(_within(node, helper) for helper in again)
            ]
            row["restated"], row["again"] = _shares(
                (outside, again), turn
            )  # together the tax: no part counts twice
            bound |= names.binds.keys()
            helpers |= {node.name for node in tree.body if isinstance(node, FUNCTIONS)}
        shown |= set(WORD.findall(turn.observation or ""))
        yield row


def parsed(turn: Turn) -> ast.Module | None:
    """The turn's block, if it is Python that could run."""
    return None if turn.code is None else _tree(turn.code)


@lru_cache(
    maxsize=500
)  # one block is often played in several cells, whose episodes of a task stand together
def _tree(code: str) -> ast.Module | None:
    try:
        compile(
            code, "<turn>", "exec", dont_inherit=True
        )  # refuses more than the parser: a `return` out of place
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=500)
def _names(tree: ast.Module) -> Names:
    return names_of(tree)


def _walked(tree: ast.Module, shown: set[str]) -> tuple[Names | None, list[ast.AST]]:
    """Names and restated literals of a block; none for one that is nested too deep to be walked."""
    try:
        return _names(tree), list(restated(tree, shown))
    except RecursionError:
        return None, []


def _within(node: Any, other: Any) -> bool:
    return other.lineno <= node.lineno and node.end_lineno <= other.end_lineno


def _shares(groups: Iterable[Sequence[Any]], turn: Turn) -> Iterator[float]:
    """How much of the reply each group of parts of its block is, counted in the bytes that ast
    gives places in."""
    starts = [
        0,
        *accumulate(len(line) for line in (turn.code or "").encode().splitlines(keepends=True)),
    ]
    for nodes in groups:
        ends = (
            (starts[n.end_lineno - 1] + n.end_col_offset, starts[n.lineno - 1] + n.col_offset)
            for n in nodes
        )
        yield sum(end - start for end, start in ends) / max(1, len(turn.reply.encode()))


# Values that were shown before --------------------------------------------------------------------


def restated(node: ast.AST, shown: set[str]) -> Iterator[ast.AST]:
    """The largest literals in which every word of every number and text stands among the words
    `shown`.

    One word of at least two letters or digits is needed: 0, 1, 7 and '' restate nothing.
    """
    if isinstance(node, (*DISPLAYS, ast.Constant)):
        words = list(_words(node))
        if words and max(map(len, words)) > 1 and shown.issuperset(words):
            yield node
            return
    # The pieces of an f-string have no place of their own; a text that is printed labels a value
    # and restates none.
    passed = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    )
    for child in ast.iter_child_nodes(node):
        if not (passed and isinstance(child, ast.Constant)) and child is not getattr(
            node, "format_spec", None
        ):
            yield from restated(child, shown)


def _words(literal: ast.AST) -> Iterator[str]:
    """Words of all constants inside; a name or a call makes it no literal ("\\0" is never shown)."""
    for node in ast.walk(literal):
        if isinstance(node, ast.Constant):
            yield from WORD.findall(_plain(node.value))
        elif isinstance(node, ast.expr) and not isinstance(node, (*DISPLAYS, ast.UnaryOp)):
            yield "\0"


def _plain(value: object) -> str:
    """A number or a text as it was shown; nothing for True, None and the like."""
    if isinstance(value, bool) or not isinstance(value, (int, float, complex, str, bytes)):
        return ""
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return hex(value) if isinstance(value, int) else ""
