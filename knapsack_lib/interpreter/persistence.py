"""Which bindings survive a step. This is the treatment of the study; everything else about a step
is the same.

A mode is one rule: (value, imported, age, k) -> does the next step find this binding? `imported`:
an import statement bound it; `age`: steps since it was last written, 0 in the step that wrote it;
`k`: the number in the mode's name. The rule of `reset` is the one that keeps nothing, and there the
process goes too, so that nothing outside the bindings survives either.

    persistent   everything
    functions    functions, classes, modules and whatever was imported
    data         plain data: numbers, texts and containers of them
    ttl:k        whatever was written at most k - 1 steps ago, so that k more steps find it
    reset        nothing

This file is read by the child side too, where nothing of the package exists: standard library only
at the top.
"""

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["MODES", "Persistence", "persistence_named", "survivors"]

Rule = Callable[[Any, bool, int, int], bool]

DEFINITIONS = frozenset(
    (
        types.FunctionType,
        types.BuiltinFunctionType,
        types.MethodType,
        types.ModuleType,
        functools.partial,
        functools._lru_cache_wrapper,
    )
)
ATOMS = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray, range))
CONTAINERS = frozenset((list, tuple, set, frozenset))


class Persistence(NamedTuple):
    """A mode by name. `keeps` true: one child process for the whole episode. False: a new child for
    every step."""

    name: str
    keeps: bool


def is_definition(value: Any) -> bool:
    """A function, a class, a module: what a block defines or imports rather than computes."""
    kind = type(value)
    return kind in DEFINITIONS or type in type.__dict__["__mro__"].__get__(kind)


def is_plain(value: Any) -> bool:
    """Whether the value and all it contains are of plain built-in types. Types are compared, no
    code of theirs runs."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        part = todo.pop()
        kind = type(part)
        if kind in ATOMS or id(part) in seen:
            continue
        seen.add(id(part))
        if kind in CONTAINERS:
            todo += [inner for inner in part if type(inner) not in ATOMS]
        elif kind is dict:
            todo += [inner for pair in part.items() for inner in pair if type(inner) not in ATOMS]
        else:
            return False
    return True


RULES: dict[str, Rule] = {
    "persistent": lambda value, imported, age, k: True,
    "functions": lambda value, imported, age, k: imported or is_definition(value),
    "data": lambda value, imported, age, k: is_plain(value),
    "ttl": lambda value, imported, age, k: age < k,
    "reset": lambda value, imported, age, k: False,
}


def survivors(
    mode: str,
    bindings: Mapping[str, Any],
    imported: frozenset[str],
    written: Mapping[str, int],
    step: int,
) -> dict[str, Any]:
    """Those of `bindings` that the next step finds, in a mode that `persistence_named` accepts.
    `written`: name -> number of the step that last wrote it."""
    head, _, steps = mode.partition(":")
    rule, k = RULES[head], int(steps or 0)
    return {
        name: value
        for name, value in bindings.items()
        if rule(value, name in imported, step - written[name], k)
    }


MODES = ("persistent", "reset", "functions", "data", "ttl:k")


def persistence_named(name: str) -> Persistence:
    """Look a mode up (`stateless` is read as `reset`). Raises UserError with the list of modes."""
    from knapsack_lib.errors import SPELLINGS, UserError

    word = SPELLINGS.get(str(name), str(name))
    head, _, steps = word.partition(":")
    if head == "ttl" and steps.isascii() and steps.isdigit() and 0 < int(steps) < 10**6:
        return Persistence(f"ttl:{int(steps)}", True)
    if word not in MODES[:-1]:
        known = ", ".join(MODES)
        raise UserError(
            f"runtime = {name!r} is unknown; choose one of: {known} (k: steps from 1 up, as in ttl:3)"
        )
    return Persistence(word, word != "reset")
