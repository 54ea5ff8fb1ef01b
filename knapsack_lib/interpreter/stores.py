"""Which names a block binds, told by the block itself as it runs. Standard library only.

A compiler lists the stores that a block may come to. Which of them it came to cannot be seen
afterwards where a name has the value that it had before. So the tree of a block is given marks before
it is compiled: beside each store to a name of the module stands `marks[number of the name] = imported`,
on the same line, with a list among the constants of the code in the place of `marks`. That is the
cheapest store there is; it changes no name, no line and no traceback.

A store by `exec` or `globals()` has no mark: it is noticed when it changes the value.
"""

import _ast as tree
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

MARKS = "<the names that this step has bound>"  # a constant that gives its place to the dict
DEFINITIONS = (tree.FunctionDef, tree.AsyncFunctionDef, tree.ClassDef)
SCOPES = (*DEFINITIONS, tree.Lambda)
COMPOUND = (
    *DEFINITIONS,
    *(tree.If, tree.For, tree.AsyncFor, tree.While, tree.With, tree.AsyncWith),
    *(tree.Try, tree.TryStar, tree.ExceptHandler, tree.Match, tree.match_case),
)
# These bind before their body runs, other statements when they are done.
HEADS = (tree.For, tree.AsyncFor, tree.With, tree.AsyncWith, tree.match_case)
STORE, LOAD = tree.Store(), tree.Load()
IMPORTS = (tree.Import, tree.ImportFrom)
BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class Marks:
    """What the stores of a step have said: True for an import, False for another store, the last one
    counting; None where none was reached. `from module import *` is "*module".

    A block that finds the list can lie about its own names, and about nothing else.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.said: list[bool | None] = []

    def clear(self) -> None:
        self.said[:] = [None] * len(self.numbers)

    def number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers)
            self.said.append(None)
        return self.numbers[name]

    def bound(self, own: Mapping[str, Any], modules: Mapping[str, Any]) -> dict[str, bool]:
        """Name -> whether an import bound it last. After `from module import *`, the names that still
        have the module's values."""
        found = {
            name: said is True
            for name, said in zip(self.numbers, self.said, strict=False)
            if said is not None
        }
        for star in [name for name in found if name.startswith("*")]:
            try:
                values = vars(modules[star[1:]])
                offered = values.get("__all__")
                names = offered if type(offered) in (list, tuple) else values
                found |= {
                    n: True for n in names if type(n) is str and own.get(n, star) is values[n]
                }
            except BaseException:  # noqa: BLE001 - the block may have made the module itself
                continue
        return found

    def put_into(self, root: Any, everywhere: bool) -> Any:
        """Marks for the tree of a block, in place. `everywhere`: in expressions too, for :=."""
        todo: list[tuple[Any, Scope]] = [(root, Scope(None, ""))]
        while todo:
            node, scope = todo.pop()
            inside = scope.inner(node) if type(node) in SCOPES else scope
            for field in node._fields if everywhere else BODIES:
                value, where = getattr(node, field, None), inside if field == "body" else scope
                parts = value if type(value) is list else [value]
                todo += [
                    (part, where)
                    for part in parts
                    if type(part) in COMPOUND or (everywhere and isinstance(part, tree.AST))
                ]
                if type(value) is list and value and isinstance(value[0], tree.stmt):
                    setattr(node, field, list(self._beside(value, where)))
            if type(node) in HEADS:
                node.body[:0] = self._for(node, scope)
            elif type(node) is tree.NamedExpr:
                self._within(node, scope)
        return root

    def _beside(self, body: list[Any], scope: "Scope") -> Iterator[Any]:
        waiting: list[Any] = []
        for node, following in zip(body, [*body[1:], None], strict=True):
            yield node
            waiting += [] if type(node) in HEADS else self._for(node, scope)
            if getattr(following, "module", "") != "__future__":  # nothing may come before these
                yield from waiting
                waiting = []

    def _for(self, node: Any, scope: "Scope") -> list[Any]:
        imported = type(node) in IMPORTS
        at = _place(node.pattern if type(node) is tree.match_case else node)
        return [
            tree.Assign(
                [
                    tree.Subscript(
                        tree.Constant(MARKS, **at),
                        tree.Constant(self.number(name), **at),
                        STORE,
                        **at,
                    )
                ],
                tree.Constant(imported, **at),
                **at,
            )
            for name in scope.own(_bound(node))
        ]

    def _within(self, node: Any, scope: "Scope") -> None:
        """x := value becomes x := (value, marks.__setitem__(number, False))[0]."""
        at = _place(node)
        for name in scope.own([node.target.id]):
            put = tree.Attribute(tree.Constant(MARKS, **at), "__setitem__", LOAD, **at)
            number, said = tree.Constant(self.number(name), **at), tree.Constant(False, **at)
            call = tree.Call(put, [number, said], [], **at)
            both = tree.Tuple([node.value, call], LOAD, **at)
            node.value = tree.Subscript(both, tree.Constant(0, **at), LOAD, **at)

    def given_to(self, code: CodeType) -> CodeType:
        """The code with the list in the place of MARKS, in all that it contains."""
        constants = [
            self.said
            if type(part) is str and part == MARKS
            else self.given_to(part)
            if type(part) is CodeType
            else part
            for part in code.co_consts
        ]
        return code.replace(co_consts=tuple(constants))


class Scope:
    """`declared`: the names that are the module's there; None in the module itself, where all are.
    `owner`: the class around, which lends its name to names that begin with two underscores."""

    def __init__(self, declared: frozenset[str] | None, owner: str):
        self.declared, self.owner = declared, owner.lstrip("_")

    def inner(self, node: Any) -> "Scope":
        owner = node.name if type(node) is tree.ClassDef else self.owner
        body = node.body if type(node.body) is list else []
        return Scope(frozenset(_declared(body)), owner)

    def own(self, names: Iterable[str]) -> list[str]:
        """As the module spells them, those of `names` that are its own."""
        return [
            f"_{self.owner}{name}"
            if self.owner and name.startswith("__") and not name.endswith("__")
            else name
            for name in names
            if self.declared is None or name in self.declared
        ]


def _place(node: Any) -> dict[str, Any]:
    return {"lineno": node.lineno, "col_offset": node.col_offset}


def _bound(node: Any) -> Iterator[str]:
    """Names that a statement, or the head of one, binds."""
    kind = type(node)
    if kind in DEFINITIONS:
        yield node.name
    elif kind is tree.Import:
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif kind is tree.ImportFrom:
        for alias in node.names:
            yield f"*{node.module}" if alias.name == "*" else alias.asname or alias.name
    elif kind is tree.Assign:
        yield from _targets(node.targets)
    elif kind in (tree.With, tree.AsyncWith):
        yield from _targets(item.optional_vars for item in node.items)
    elif kind is tree.match_case:
        yield from _captured(node.pattern)
    elif kind in (tree.AugAssign, tree.For, tree.AsyncFor, tree.AnnAssign):
        if kind is not tree.AnnAssign or node.value is not None:  # x: int binds nothing
            yield from _targets([node.target])
    elif kind.__name__ == "TypeAlias":  # `type x = int`, since Python 3.12
        yield from _targets([node.name])


def _targets(nodes: Iterable[Any]) -> Iterator[str]:
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if type(node) is tree.Name:
            yield node.id
        elif type(node) in (tree.Tuple, tree.List):
            todo += node.elts
        elif type(node) is tree.Starred:
            todo.append(node.value)


def _captured(pattern: Any) -> Iterator[str]:
    todo = [pattern]
    while todo:
        node = todo.pop()
        name = getattr(node, "rest" if type(node) is tree.MatchMapping else "name", None)
        if type(name) is str:
            yield name
        todo += getattr(node, "patterns", []) + getattr(node, "kwd_patterns", [])
        todo += [node.pattern] if getattr(node, "pattern", None) is not None else []


def _declared(body: list[Any]) -> Iterator[str]:
    """Names that a function or class says are the module's."""
    todo = list(body)
    while todo:
        node = todo.pop()
        if type(node) is tree.Global:
            yield from node.names
        elif type(node) not in SCOPES:
            for field in BODIES:
                value = getattr(node, field, None)
                todo += value if type(value) is list else []
