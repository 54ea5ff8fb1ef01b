"""What blocks say about the use of state, read from their syntax. Nothing is run.

    behaviour_frame(episodes)      # a row per episode and turn

`reads_earlier` counts names that a block needs from before and an earlier block of the episode bound: reliance on
state. `restated` is the share of the reply's characters in literals whose every part had been shown before, and
`again` that in functions defined once more under the same name: what a reply pays for state that it does not trust
(the amnesia tax). Times the turn's completion tokens they are tokens, to the error of taking characters for tokens.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from knapsack_lib.analysis.metrics import TURN_COLUMNS, labels, typed
from knapsack_lib.episodes import Episode, Turn

__all__ = ["Names", "behaviour_frame", "parsed", "restated"]

COLUMNS = {
    **TURN_COLUMNS,
    "code": "bool", "reads_earlier": "int64", "helpers_again": "int64", "restated": "float64", "again": "float64",
}  # fmt: skip
BUILTINS = frozenset(dir(builtins))
WORD = re.compile(r"\w+")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.Lambda)
DISPLAYS = (ast.List, ast.Tuple, ast.Dict, ast.Set)


def behaviour_frame(episodes: Iterable[Episode]) -> pd.DataFrame:
    """A row per episode and turn with the columns of COLUMNS. A turn without a block of Python has zeros."""
    frame = pd.DataFrame([row for episode in episodes for row in _rows(episode)], columns=list(COLUMNS))
    order = ["train", "runtime", "difficulty", "train_seed", "task_id", "turn"]
    return typed(frame, COLUMNS).sort_values(order, kind="stable", ignore_index=True)


def _rows(episode: Episode) -> Iterator[dict[str, Any]]:
    bound: set[str] = set()
    helpers: set[str] = set()
    shown = set(WORD.findall(" ".join(message["content"] for message in episode.opening)))
    for number, turn in enumerate(episode.turns, start=1):
        tree = parsed(turn)
        row = {
            **labels(episode), "turn": number, "prompt_tokens": turn.prompt_tokens,
            "completion_tokens": turn.completion_tokens, "tokens": turn.prompt_tokens + turn.completion_tokens,
            "code": tree is not None, "reads_earlier": 0, "helpers_again": 0, "restated": 0.0, "again": 0.0,
        }  # fmt: skip
        if tree is not None and turn.code is not None:
            names = Names.of(tree)
            again = [node for node in tree.body if isinstance(node, FUNCTIONS) and node.name in helpers]
            row["reads_earlier"] = len(names.needed & bound)
            row["helpers_again"] = len(again)
            row["restated"], row["again"] = _shares((list(restated(tree, shown)), again), turn)
            bound |= names.bound
            helpers |= {node.name for node in tree.body if isinstance(node, FUNCTIONS)}
        shown |= set(WORD.findall(turn.observation or ""))
        yield row


def parsed(turn: Turn) -> ast.Module | None:
    """The turn's block, if it is Python."""
    try:
        return ast.parse(turn.code) if turn.code is not None else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _shares(groups: Iterable[Sequence[Any]], turn: Turn) -> Iterator[float]:
    """How much of the reply each group of parts of its block is, counted in the bytes that ast gives places in."""
    starts = [0, *accumulate(len(line) for line in (turn.code or "").encode().splitlines(keepends=True))]
    for nodes in groups:
        ends = ((starts[n.end_lineno - 1] + n.end_col_offset, starts[n.lineno - 1] + n.col_offset) for n in nodes)
        yield sum(end - start for end, start in ends) / max(1, len(turn.reply.encode()))


# Values that were shown before ---------------------------------------------------------------------------------------


def restated(node: ast.AST, shown: set[str]) -> Iterator[ast.AST]:
    """The largest literals in which every word of every number and text stands among the words `shown`.

    One word of at least two letters or digits is needed: 0, 1, 7 and '' restate nothing.
    """
    if isinstance(node, (*DISPLAYS, ast.Constant)):
        words = list(_words(node))
        if words and max(map(len, words)) > 1 and shown.issuperset(words):
            yield node
            return
    for child in ast.iter_child_nodes(node):
        yield from restated(child, shown)


def _words(literal: ast.AST) -> Iterator[str]:
    """Words of all constants inside; a name or a call makes it no literal ("\\0" is never shown)."""
    for node in ast.walk(literal):
        if isinstance(node, ast.Constant):
            yield from WORD.findall(str(node.value))
        elif isinstance(node, ast.expr) and not isinstance(node, (*DISPLAYS, ast.UnaryOp)):
            yield "\0"


# Names ----------------------------------------------------------------------------------------------------------------


class Names(ast.NodeVisitor):
    """Names of the module that a block binds, and those that it needs: read before it binds them itself.

    Statements count in the order in which they stand, both arms of a branch as taken. The body of a function counts
    when the block is done, since it runs later. Builtins are needed by nobody.
    """

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.needed: set[str] = set()
        self._later: set[str] = set()

    @classmethod
    def of(cls, tree: ast.Module) -> Names:
        names = cls()
        names.visit(tree)
        names.needed = (names.needed | (names._later - names.bound)) - BUILTINS
        return names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id not in self.bound:  # a read, or a `del` of what is not there yet
            self.needed.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:  # `x: int` alone binds nothing
            self._visit(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.needed.add(node.target.id)
        self._visit(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self._visit(node.iter, node.target, *node.body, *node.orelse)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit(*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
        self.bound |= {node.name} | _declared(node)
        self._later |= _free(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit(*node.args.defaults, *filter(None, node.args.kw_defaults))
        self._later |= _free(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = Names()
        inner._visit(*node.decorator_list, *node.bases, *(word.value for word in node.keywords), *node.body)
        self.needed |= inner.needed - self.bound
        self._later |= inner._later
        self.bound.add(node.name)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        inner = Names()
        for loop in node.generators:
            inner._visit(loop.iter, loop.target, *loop.ifs)
        inner._visit(*([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]))
        self.needed |= inner.needed - self.bound
        self._later |= inner._later - inner.bound

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _visit(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)


def _declared(function: ast.AST) -> set[str]:
    """Names that a function says are the module's."""
    return {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}


def _free(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """Names that a function takes from the module when it runs."""
    own = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    body = function.body if isinstance(function.body, list) else [function.body]
    reads: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Name):
            (reads if isinstance(node.ctx, ast.Load) else own).add(node.id)
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
    return reads - (own - _declared(function))
