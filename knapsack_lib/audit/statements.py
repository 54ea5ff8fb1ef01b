"""The top-level statements of a block, each with what it binds, changes and takes.

    for one in statements_of(code): one.text, one.affects, one.reads

What a statement may change is read from its syntax and rather too much than too little: a value that
is passed to a function may be changed by it, and so may one that shares parts with it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from knapsack_lib.syntax.names import names_of

__all__ = ["BINDS", "Book", "Statement", "statements_of"]

BINDS = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign),
)
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SPEAKS = frozenset({"print", "input", "open", "exit", "quit", "help", "breakpoint"})
# Builtins that change none of what they are given.
HARMLESS = frozenset(
    "abs all any bool bytes chr complex dict divmod enumerate filter float format frozenset getattr "
    "hasattr hash id int isinstance issubclass iter len list map max min ord pow print range repr "
    "reversed round set sorted str sum tuple type zip".split()
)
HOLDS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Starred)


@dataclass(frozen=True)
class Statement:
    """Whole lines of a block, `first` to `last` (from 1): one statement, or those that share a line.

    `reads`: names of the module that it takes as it runs. `later`: those that functions and classes
    defined here take when they run. `makes`: what it binds or deletes, `sure` what it binds whatever
    happens. `changes`: whose values it may change. `speaks`: whether it may print, ask or call a tool."""

    first: int
    last: int
    text: str
    body: tuple[ast.stmt, ...]
    reads: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    sure: frozenset[str] = frozenset()
    speaks: bool = False
    star: bool = False

    @property
    def affects(self) -> frozenset[str]:
        return self.makes | self.changes

    @property
    def is_import(self) -> bool:
        return all(isinstance(one, (ast.Import, ast.ImportFrom)) for one in self.body)

    @property
    def binds(self) -> bool:
        """Whether it is there to bind a name."""
        return all(isinstance(one, BINDS) for one in self.body)


@dataclass
class Book:
    """What is known of the functions and shared values of an episode so far. `provided`: names that
    its runtime offers."""

    provided: frozenset[str]
    takes: dict[str, frozenset[str]] = field(default_factory=dict)  # by a function, when it runs
    changes: dict[str, frozenset[str]] = field(default_factory=dict)
    shared: dict[str, set[str]] = field(default_factory=dict)

    def enter(self, statement: Statement) -> Statement:
        """The statement with all that it does through functions of before; they, and what it defines
        and shares, are noted."""
        for one in statement.body:
            self._note(one)
        run = self.closure(_named(statement.body))
        changes = statement.changes.union(*(self.changes.get(name, ()) for name in run))
        changes = changes.union(*(self.shared.get(name, ()) for name in changes))
        speaks = bool((run | statement.reads) & (self.provided | SPEAKS))
        return replace(statement, changes=changes, speaks=speaks)

    def closure(self, names: Iterable[str]) -> set[str]:
        """The names, and all that functions among them take when they run."""
        found, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.takes.get(name, ())
        return found

    def _note(self, node: ast.stmt) -> None:
        for name, helper in names_of([node]).helpers.items():
            self.takes[name] = frozenset(helper.reads | helper.binds)
            inside = _changed(node) & helper.reads if isinstance(node, DEFINES) else set()
            self.changes[name] = frozenset(helper.binds | inside)
        for target, value in _flows(node):
            given = set(_shares(value))
            both = given | {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
            group = both.union(*(self.shared.get(name, ()) for name in both))
            for name in group if given else ():
                self.shared[name] = group


def statements_of(code: str) -> list[Statement]:
    """In their order. Raises SyntaxError, ValueError or RecursionError for what is no block."""
    lines, groups = code.splitlines(), list[tuple[int, int, list[ast.stmt]]]()
    for node in ast.parse(code).body:
        marks = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in marks)])
        if groups and first <= groups[-1][1]:
            begin, _, body = groups.pop()
            groups.append((begin, node.end_lineno or first, [*body, node]))
        else:
            groups.append((first, node.end_lineno or first, [node]))
    return [_statement(first, last, lines[first - 1 : last], body) for first, last, body in groups]


def _statement(first: int, last: int, lines: list[str], body: list[ast.stmt]) -> Statement:
    names = names_of(body)
    binds, changes = set[str](), set[str]()
    for node in body:
        if isinstance(node, DEFINES):
            binds.add(node.name)
        else:
            binds |= {*names_of([node]).binds, *_deleted(node)}
            changes |= _changed(node)
    return Statement(
        first,
        last,
        "\n".join(lines),
        tuple(body),
        reads=frozenset({*names.needs, *names.perhaps, *names.guarded}),
        later=frozenset(names.later),
        makes=frozenset(binds),
        changes=frozenset(changes),
        sure=frozenset(name for node in body for name in _surely_bound(node)),
        star=names.star,
    )


def _named(body: Collection[ast.stmt]) -> set[str]:
    """Every name that is read as the statements run: of a definition, its head alone."""
    found = set()
    for node in body:
        parts: list[ast.AST] = [node]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = [node.args, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            parts = [*node.bases, *node.keywords, *node.decorator_list]
            parts += [one for one in node.body if not isinstance(one, DEFINES)]
        for part in parts:
            found |= {one.id for one in ast.walk(part) if isinstance(one, ast.Name)}
    return found


def _surely_bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, DEFINES):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign) or (isinstance(node, ast.AnnAssign) and node.value):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
            yield from (one.id for one in parts if isinstance(one, ast.Name))


def _deleted(node: ast.stmt) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Del):
            yield one.id


def _changed(node: ast.AST) -> set[str]:
    """Names whose values it may change: stored into, asked to do something, or passed on."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, (ast.Subscript, ast.Attribute)) and not isinstance(one.ctx, ast.Load):
            found.add(_root(one))
        elif isinstance(one, ast.Call):
            if isinstance(one.func, ast.Attribute):
                found.add(_root(one.func))
            if not (isinstance(one.func, ast.Name) and one.func.id in HARMLESS):
                given = [*one.args, *(word.value for word in one.keywords)]
                found |= {name for value in given for name in _shares(value)}
    return found - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _flows(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value) wherever a value gets a name."""
    for one in ast.walk(node):
        if isinstance(one, ast.Assign):
            yield from ((target, one.value) for target in one.targets)
        elif isinstance(one, (ast.For, ast.AsyncFor)):
            yield one.target, one.iter
        elif isinstance(one, (ast.AnnAssign, ast.NamedExpr)) and one.value:
            yield one.target, one.value
        elif isinstance(one, ast.withitem) and one.optional_vars:
            yield one.optional_vars, one.context_expr
        elif isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):  # d.append(part)
            yield from ((one.func.value, value) for value in one.args)


def _shares(value: ast.expr) -> Iterator[str]:
    """Names whose values, or parts of them, an expression may give on."""
    if isinstance(value, (*HOLDS, ast.IfExp, ast.BoolOp)):
        for one in ast.iter_child_nodes(value):
            yield from _shares(one) if isinstance(one, ast.expr) else ()
    elif isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)) or (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)  # d.items()
    ):
        yield from filter(None, [_root(value)])
