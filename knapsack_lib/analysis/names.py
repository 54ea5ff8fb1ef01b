"""Which names of the module a block binds, and which it needs from before; read from its syntax,
nothing is run.

names = Names.of(ast.parse("y = x + 1"))      # names.needed == {"x"}, names.bound == {"y"}
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

__all__ = ["BUILTINS", "Names"]

BUILTINS = frozenset(dir(builtins))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


LOOP = ("iter", "target", "body", "orelse")
ORDER = {  # where it is not that of the fields
    ast.Assign: ("value", "targets"),
    ast.NamedExpr: ("value", "target"),
    ast.For: LOOP,
    ast.AsyncFor: LOOP,
}


class Names(ast.NodeVisitor):
    """Statements count in the order in which they stand, both arms of a branch as taken. The body
    of a function counts when the block is done, since it runs later. `bound` is what a block ever
    binds, also what it deletes again. Annotations count where Python (up to 3.13) evaluates them.
    Builtins are needed by nobody.
    """

    def __init__(self, local: bool = False) -> None:
        self.bound: set[str] = set()
        self.needed: set[str] = set()
        self._local = local  # the body of a function
        self._declared: set[str] = set()  # `global` names of this scope
        self._later: set[str] = set()  # what functions take from the module when they run
        self._reads: set[str] = set()  # of these, the globals that they read before they bind them
        self._makes: set[str] = set()  # and the globals that they bind
        self.places: list[
            ast.Name
        ] = []  # where what is needed is read; in functions, what may be needed

    @property
    def helpers(self) -> tuple[frozenset[str], frozenset[str]]:
        """Globals that functions of this block bind when they run, and names that they take from
        the module."""
        return frozenset(self._makes), frozenset(self._later | self._reads)

    @classmethod
    def of(cls, tree: ast.Module) -> Names:
        """The names of a whole block. Raises RecursionError for a block that is nested too deep to
        be walked."""
        names = cls()
        names.visit(tree)
        late = (names._later - names._makes) | names._reads
        names.needed = (names.needed | (late - names.bound)) - BUILTINS
        names.bound |= names._makes
        return names

    def _visit(self, *nodes: ast.AST | None) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id not in self.bound:  # a read, or a `del` of what is not there yet
            self._need(node)

    def _need(self, node: ast.Name) -> None:
        self.needed.add(node.id)
        self.places.append(node)

    def visit_Global(self, node: ast.Global) -> None:
        self._declared |= set(node.names)

    # What is bound after it is read

    def generic_visit(self, node: ast.AST) -> None:
        """Parts in the order in which Python evaluates them."""
        for name in ORDER.get(type(node), node._fields):
            part = getattr(node, name, None)
            for one in part if isinstance(part, list) else [part]:
                if isinstance(one, ast.AST):
                    self.visit(one)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit(node.value, None if self._local else node.annotation)
        if node.value is not None:  # `x: int` alone binds nothing
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self._need(node.target)
        self._visit(node.value, node.target)

    # What binds without an assignment

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}

    visit_ImportFrom = visit_Import

    def visit_MatchAs(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.bound |= {node.rest} if node.rest else set()
        self.generic_visit(node)

    # Scopes of their own

    def visit_FunctionDef(self, node: Function) -> None:
        arguments = _arguments(node.args)
        self._visit(*node.decorator_list, *node.args.defaults, *node.args.kw_defaults)
        self._visit(*(one.annotation for one in arguments), node.returns)
        self.bound.add(node.name)
        self._function(arguments, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit(*node.args.defaults, *node.args.kw_defaults)
        self._function(_arguments(node.args), [node.body])

    def _function(self, arguments: Iterable[ast.arg], body: Iterable[ast.AST]) -> None:
        inner = Names(local=True)
        inner._visit(*body)
        own = {one.arg for one in arguments} | (inner.bound - inner._declared)
        self._later |= ((inner.needed - inner._declared) | inner._later) - own
        self._reads |= (inner.needed & inner._declared) | inner._reads
        self._makes |= (inner.bound & inner._declared) | inner._makes
        self.places += [
            place for place in inner.places if place.id in inner._declared or place.id not in own
        ]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = Names()
        inner._visit(
            *node.decorator_list, *node.bases, *(word.value for word in node.keywords), *node.body
        )
        self._take(inner)
        self._later |= inner._later
        self.bound.add(node.name)

    def _comprehension(self, node: Comprehension) -> None:
        inner = Names(local=True)
        for loop in node.generators:
            inner._visit(loop.iter, loop.target, *loop.ifs)
        inner._visit(*([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]))
        inner.places = [
            place for place in inner.places if place.id not in inner.bound - inner.needed
        ]
        self._take(inner)
        self._later |= inner._later - inner.bound
        # A walrus inside binds outside.
        self.bound |= {one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr)}

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _take(self, inner: Names) -> None:
        self.needed |= inner.needed - self.bound
        self.places += [place for place in inner.places if place.id not in self.bound]
        self._reads |= inner._reads
        self._makes |= inner._makes


def _arguments(given: ast.arguments) -> list[ast.arg]:
    more = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *more]
