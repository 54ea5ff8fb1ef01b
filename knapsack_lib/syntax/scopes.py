"""What the body of a function takes from the module around it, and what it binds there: Python's
rule for scopes, read from the syntax.

    helper = helper_of(node)      # helper.reads == {"x"}, helper.binds == set()

A name is local to a scope that binds it anywhere, unless it is declared global or nonlocal. What an
inner scope takes and the outer one does not have comes from the module too; a class body keeps its
names to itself.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["COMPREHENSIONS", "Comprehension", "Function", "Helper", "arguments_of", "helper_of"]

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef)


@dataclass
class Helper:
    """`places`: where it reads names of the module when it runs; `binds`: those that it binds."""

    places: list[ast.Name]
    binds: set[str]

    @property
    def reads(self) -> set[str]:
        return {place.id for place in self.places}


def helper_of(node: Function) -> Helper:
    """What a function takes from the module and binds there. One that first assigns a global, by a
    statement of its own, does not need it."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    helper = _scope(body, {argument.arg for argument in arguments_of(node.args)})
    if helper.binds and not isinstance(node, ast.Lambda):
        first = _assigned_first(node.body) & helper.binds
        helper.places = [place for place in helper.places if place.id not in first]
    return helper


def arguments_of(given: ast.arguments) -> list[ast.arg]:
    """Every parameter of a function."""
    more = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *more]


def _scope(parts: Iterable[ast.AST], given: Collection[str] = (), encloses: bool = True) -> Helper:
    """`encloses`: whether inner scopes see its names; those of a class they do not."""
    own = list(_own(parts))
    declared = {name for one in own if isinstance(one, ast.Global) for name in one.names}
    outer = {name for one in own if isinstance(one, ast.Nonlocal) for name in one.names}
    bound = {name for one in own for name in _bound(one)}
    local = (bound | set(given)) - declared - outer
    inner = [_inner(one) for one in own if isinstance(one, SCOPES)]
    return Helper(
        [place for one in own for place in _read(one) if place.id not in local]
        + [
            place
            for helper in inner
            for place in helper.places
            if not (encloses and place.id in local)
        ],
        (bound & declared).union(*(helper.binds for helper in inner)),
    )


def _inner(node: ast.AST) -> Helper:
    if isinstance(node, ast.ClassDef):
        return _scope(node.body, encloses=False)
    if isinstance(node, FUNCTIONS):
        return helper_of(node)
    first, *_ = node.generators  # type: ignore[attr-defined]
    return _scope([part for part in _parts(node) if part is not first.iter])


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Of a comprehension, its loops taken apart."""
    for child in ast.iter_child_nodes(node):
        yield from ast.iter_child_nodes(child) if isinstance(child, ast.comprehension) else [child]


def _own(parts: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of a scope. An inner scope is one node, with what is evaluated around it."""
    todo = list(parts)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, FUNCTIONS):
            todo += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            todo += getattr(node, "decorator_list", [])
        elif isinstance(node, COMPREHENSIONS):
            todo.append(node.generators[0].iter)
        elif isinstance(node, ast.ClassDef):
            todo += [*node.decorator_list, *node.bases, *(word.value for word in node.keywords)]
        elif isinstance(node, ast.AnnAssign) and node.simple:  # its annotation is not evaluated
            todo += [node.target, *filter(None, [node.value])]
        else:
            todo += ast.iter_child_nodes(node)


def _read(node: ast.AST) -> Iterator[ast.Name]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
        yield node
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    elif isinstance(node, COMPREHENSIONS):  # a walrus inside binds outside
        yield from (one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr))


def _assigned_first(body: list[ast.stmt]) -> set[str]:
    """Names that a statement of the body itself assigns before any is read."""
    found: set[str] = set()
    seen: set[str] = set()
    for statement in body:
        names = {one.id for one in ast.walk(statement) if isinstance(one, ast.Name)}
        if isinstance(statement, ast.Assign):
            read = {one.id for one in ast.walk(statement.value) if isinstance(one, ast.Name)}
            targets = {one.id for one in statement.targets if isinstance(one, ast.Name)}
            found |= targets - read - seen
        seen |= names
    return found
