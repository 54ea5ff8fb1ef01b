"""Which names a block needs from before, and which it binds; read from its syntax, nothing is run.

    names = names_of(ast.parse("y = x + 1"))      # set(names.needs) == {"x"}, set(names.binds) == {"y"}

The block is walked as Python would run it (flow.py). A name is needed where it is read and the
block has bound it on no path to there; every arm of a branch and the body of a loop count as run.
The body of a function is read where the function is first named; one that is only defined needs
its names `later`. A read that the block can do without (it asks whether the name is there, or
catches that it is not) is `guarded`.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field

from knapsack_lib.syntax.scopes import Helper

__all__ = ["BUILTINS", "Names", "names_of"]

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__doc__", "__file__"}


@dataclass
class Names:
    """`needs`: name -> where it is first read, of names that the block must find.
    `perhaps`: the same of names that it binds first, but on some paths only.
    `later`: read by functions that are defined here and not used here.
    `guarded`: asked for, or read with a way out for when they are missing.
    `binds`: name -> import, function, class or data; also what is bound on some paths only, but not
    what is deleted again.
    `helpers`: its functions and classes, with what they take from the module.
    `places`: every read of a name that is needed, or that a helper takes.
    `star`: whether it imports names that nobody can know."""

    needs: dict[str, ast.Name] = field(default_factory=dict)
    perhaps: dict[str, ast.Name] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    guarded: set[str] = field(default_factory=set)
    binds: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, Helper] = field(default_factory=dict)
    places: list[ast.Name] = field(default_factory=list)
    star: bool = False

    @property
    def wanted(self) -> set[str]:
        """What it takes from before, now or later."""
        return {*self.needs, *self.later}


def names_of(block: ast.Module | Iterable[ast.stmt]) -> Names:
    """The names of a block, or of some statements of one. Raises RecursionError for one that is
    nested too deep to be walked."""
    from knapsack_lib.syntax.flow import Flow

    flow = Flow()
    flow.run(block.body if isinstance(block, ast.Module) else block)
    return flow.names()
