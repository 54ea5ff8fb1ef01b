"""A walk through a block in the order in which Python runs it, which knows at every read what is
bound by then: on every path (`sure`), or on some (`maybe`). names.py says what is made of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from knapsack_lib.syntax.names import BUILTINS, Names
from knapsack_lib.syntax.scopes import (
    Comprehension,
    Function,
    Helper,
    arguments_of,
    helper_of,
)

__all__ = ["Flow"]

CATCHES_NAME_ERROR = {"NameError", "Exception", "BaseException"}
NAMESPACES = {"globals", "locals", "vars", "dir"}


class Inline(set[str]):
    """Names of a comprehension, which a walrus passes by. A plain set holds those of a class body."""


class Flow(ast.NodeVisitor):
    """`sure` is None where no path leads. `waiting`: helpers that were not named yet; `hidden`: the
    comprehensions and class bodies around, each with the names that it keeps to itself."""

    def __init__(self) -> None:
        self.found = Names()
        self.sure: set[str] | None = set()
        self.maybe: set[str] = set()
        self.waiting: dict[str, Helper] = {}
        self.deleted: set[str] = set()
        self.ready = 0  # for a missing name: `try` statements around that catch it
        self.hidden: list[set[str]] = []
        self.methods: list[Helper] = []  # of the classes around
        self.exits: list[list[set[str] | None]] = []  # of the loops around

    def run(self, statements: Iterable[ast.AST | None]) -> None:
        for statement in statements:
            if statement is not None:
                self.visit(statement)

    def names(self) -> Names:
        """What was found, once all is walked."""
        found = self.found
        for helper in {id(one): one for one in self.waiting.values()}.values():
            found.later |= helper.reads
            found.places += helper.places
            for name in helper.binds:  # whenever it runs
                found.binds.setdefault(name, "data")
        found.later -= {*found.needs, *found.binds, *BUILTINS}
        for name in self.deleted:
            found.binds.pop(name, None)
        return found

    # What a name does

    def read(self, place: ast.Name) -> None:
        name = place.id
        if any(name in names for names in self.hidden):
            return
        if name in self.waiting:  # from here on it may run
            helper = self.waiting.pop(name)
            for one in helper.places:
                self.read(one)
            for bound in sorted(helper.binds):
                self.bind(bound)
        if self.sure is None or name in self.sure:
            return
        if name in BUILTINS and name not in self.found.binds:
            return
        if self.ready:
            self.found.guarded.add(name)
            self.sure.add(name)  # else the handler goes on
        elif name in self.maybe:
            self.found.perhaps.setdefault(name, place)
            self.found.places.append(place)
        else:
            self.found.needs.setdefault(name, place)
            self.found.places.append(place)

    def bind(self, name: str, kind: str = "data") -> None:
        if self.hidden:
            self.hidden[-1].add(name)
            return
        self.found.binds[name] = kind
        self.deleted.discard(name)
        self.waiting.pop(name, None)
        self.maybe.add(name)
        if self.sure is not None:
            self.sure.add(name)

    def unbind(self, name: str) -> None:
        self.deleted.add(name)
        self.maybe.discard(name)
        if self.sure is not None:
            self.sure.discard(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            return self.bind(node.id)
        self.read(node)
        if isinstance(node.ctx, ast.Del):
            self.unbind(node.id)

    # Paths

    def branches(self, branches: Iterable[Callable[[], object]]) -> None:
        """Each begins here. Afterwards is sure what is sure after all that come to their end."""
        sure, maybe = self.sure, self.maybe
        ends, after = list[set[str] | None](), set(maybe)
        for branch in branches:
            self.sure, self.maybe = None if sure is None else set(sure), set(maybe)
            branch()
            ends.append(self.sure)
            after |= self.maybe
        self.sure, self.maybe = joined(ends), after

    def visit_If(self, node: ast.If) -> None:
        asked = asked_for(node.test)
        if asked is None:
            self.visit(node.test)
            return self.branches([lambda: self.run(node.body), lambda: self.run(node.orelse)])
        name, there = asked
        self.found.guarded.add(name)
        having, lacking = (node.body, node.orelse) if there else (node.orelse, node.body)

        def with_it() -> None:
            self.maybe.add(name)
            if self.sure is not None:
                self.sure.add(name)
            self.run(having)

        self.branches([with_it, lambda: self.run(lacking)])

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self.branches([lambda: self.visit(node.body), lambda: self.visit(node.orelse)])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self.branches([lambda: self.run(node.values[1:]), lambda: None])

    def visit_Match(self, node: ast.Match) -> None:
        def of(case: ast.match_case) -> Callable[[], None]:
            return lambda: self.run([case.pattern, case.guard, *case.body])

        self.visit(node.subject)
        last = node.cases[-1]
        whole = isinstance(last.pattern, ast.MatchAs) and not (last.pattern.pattern or last.guard)
        self.branches([*map(of, node.cases), *([] if whole else [lambda: None])])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self.loop([node.target, *node.body], node.orelse, surely=is_full(node.iter))

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        forever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self.loop(node.body, node.orelse, surely=forever)

    def loop(self, body: Sequence[ast.AST], orelse: Sequence[ast.AST], surely: bool) -> None:
        before = None if self.sure is None else set(self.sure)
        self.exits.append([])
        self.run(body)
        ends = [self.sure, *self.exits.pop()]
        self.sure = joined(ends if surely else [*ends, before])
        self.run(orelse)

    def visit_Break(self, node: ast.Break | ast.Continue) -> None:
        if self.exits:
            self.exits[-1].append(self.sure)
        self.sure = None

    visit_Continue = visit_Break

    def visit_Raise(self, node: ast.Raise | ast.Return) -> None:
        self.generic_visit(node)
        self.sure = None

    visit_Return = visit_Raise

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = None if self.sure is None else set(self.sure)
        ready = any(map(catches_name_error, node.handlers))
        self.ready += ready
        self.run(node.body)
        self.ready -= ready
        self.run(node.orelse)
        ends = [self.sure]
        for handler in node.handlers:
            self.sure = None if before is None else set(before)
            self.run([handler.type])
            if handler.name:
                self.bind(handler.name)
            self.run(handler.body)
            if handler.name:
                self.unbind(handler.name)
            ends.append(self.sure)
        after = joined(ends)
        if node.finalbody:
            self.sure = before
            self.run(node.finalbody)
            after = None if after is None else after | (self.sure or set())
        self.sure = after

    visit_TryStar = visit_Try

    # The order in which parts are evaluated, where it is not that of the fields

    def visit_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if isinstance(node.value, ast.Lambda) and isinstance(target, ast.Name):
            self.define(target.id, node.value)
        elif isinstance(node.value, ast.Name) and node.value.id in self.waiting:
            helper = self.waiting[node.value.id]  # another name for it; it does not run
            self.run(node.targets)
            if isinstance(target, ast.Name):
                self.waiting[target.id] = helper
        else:
            self.run([node.value, *node.targets])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target)
        self.run([node.value, node.target])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        # `x: int` alone binds nothing
        self.run([node.value, node.annotation, node.target if node.value else None])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        inside = [names for names in self.hidden if isinstance(names, Inline)]
        self.hidden = [names for names in self.hidden if not isinstance(names, Inline)]
        self.bind(node.target.id)
        self.hidden += inside

    def visit_ListComp(self, node: Comprehension) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        self.hidden.append(Inline())
        self.run([first.target, *first.ifs])
        for loop in others:
            self.run([loop.iter, loop.target, *loop.ifs])
        self.run([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.hidden.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    # What binds without an assignment

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.found.star = True
            else:
                self.bind(alias.asname or alias.name.partition(".")[0], "import")

    visit_ImportFrom = visit_Import

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name:
            self.bind(node.name)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.bind(node.rest)

    # Scopes of their own

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        notes = [argument.annotation for argument in arguments_of(node.args)]
        self.run([*node.decorator_list, *notes, node.returns])
        self.define(node.name, node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def define(self, name: str, node: Function) -> None:
        self.run([*node.args.defaults, *node.args.kw_defaults])
        helper = helper_of(node)
        self.bind(name, "function")
        if self.methods:  # its class is used, or is not
            self.methods[-1].places += helper.places
            self.methods[-1].binds |= helper.binds
        else:
            self.found.helpers[name] = self.waiting[name] = helper

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """One without a name is taken to run where it stands."""
        self.run([*node.args.defaults, *node.args.kw_defaults])
        self.run(helper_of(node).places)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.run([*node.decorator_list, *node.bases, *(word.value for word in node.keywords)])
        self.methods.append(Helper([], set()))
        self.hidden.append(set())
        self.run(node.body)
        self.hidden.pop()
        helper = self.methods.pop()
        self.bind(node.name, "class")
        if self.methods:
            self.methods[-1].places += helper.places
        else:
            self.found.helpers[node.name] = self.waiting[node.name] = helper


def joined(ends: Iterable[set[str] | None]) -> set[str] | None:
    reached = [end for end in ends if end is not None]
    return set.intersection(*reached) if reached else None


def catches_name_error(handler: ast.ExceptHandler) -> bool:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or getattr(one, "id", "") in CATCHES_NAME_ERROR for one in types)


def asked_for(test: ast.expr) -> tuple[str, bool] | None:
    """(name, True) for `"name" in globals()`, (name, False) for `not in`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = asked_for(test.operand)
        return inner and (inner[0], not inner[1])
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.In, ast.NotIn))):
        return None
    name, space = test.left, getattr(test.comparators[0], "func", None)
    named = isinstance(name, ast.Constant) and isinstance(name.value, str)
    if named and getattr(space, "id", "") in NAMESPACES:
        return name.value, isinstance(test.ops[0], ast.In)  # type: ignore[attr-defined]
    return None


def is_full(iterated: ast.expr) -> bool:
    """Whether a loop over it is known to run."""
    if isinstance(iterated, (ast.List, ast.Tuple, ast.Set)):
        return bool(iterated.elts)
    if isinstance(iterated, ast.Call) and getattr(iterated.func, "id", "") == "range":
        values = [getattr(one, "value", None) for one in iterated.args]
        if 0 < len(values) < 3 and all(isinstance(value, int) for value in values):
            return len(range(*values)) > 0  # type: ignore[arg-type]
    return False
