"""Task families: worlds with hidden facts, reached only through tools.

    family = family_named("knapsack")

A family is one module, here or in the project's own folder families/, that offers an instance of `Family` (base.py) under
the name FAMILY. Everything else in the library reaches it through that instance.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Family, Task, ToolError, World
from knapsack_lib.files import own_modules

__all__ = [
    "Family",
    "Task",
    "ToolError",
    "World",
    "family_file",
    "family_named",
    "family_names",
    "family_or_unknown",
]

PARTS = {"base", "ids", "scripted", "task_files", "varied"}  # what families share


def family_names() -> list[str]:
    """The families that there are: those of the library, then the project's own."""
    return sorted(_library() - PARTS) + sorted(_own_files())


@cache
def family_named(name: str) -> Family:
    """Look a family up. Raises UserError with the list of families, or where a module offers none."""
    if name not in family_names():
        raise UserError(f"family {name!r} is unknown; choose one of: {', '.join(family_names())}")
    own = _own_files().get(name)
    module = f"{__name__}.{name}"
    if own is not None:
        spec = importlib.util.spec_from_file_location(module, own)
        assert spec is not None and spec.loader is not None
        loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except Exception as error:
            del sys.modules[module]
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise UserError(f"family {name}: {own.name} cannot be imported ({what})") from error
    found = getattr(importlib.import_module(module), "FAMILY", None)
    if not isinstance(found, Family) or getattr(found, "name", "") != name:
        raise UserError(
            f"family {name}: its module needs FAMILY = an instance of Family whose name is {name!r}"
        )
    for attribute in ("tools", "sizes", "tools_text", "task_text"):
        if not hasattr(found, attribute):
            raise UserError(f"family {name}: its class lacks {attribute} (see families/base.py)")
    return found


class Unknown(Family):
    """Stands for a family of somebody else's episodes: they can be read, not played."""

    tools = ()
    sizes: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str):
        self.name = name  # type: ignore[misc]

    def make_task(self, size: Any, *, seed: int, split: str, index: int) -> Task:
        raise UserError(
            f"family {self.name!r} is unknown; choose one of: {', '.join(family_names())}"
        )

    def world(self, task: Task) -> World:
        raise UserError(
            f"family {self.name!r} is unknown; choose one of: {', '.join(family_names())}"
        )


def family_or_unknown(name: str) -> Family:
    """A family by the name that an episode gives, for reading it."""
    try:
        return family_named(name)
    except UserError:
        return Unknown(name)


def family_file(name: str) -> Path | None:
    """The file of one of the project's own families; None for one of the library's."""
    return _own_files().get(name)


@cache
def _library() -> set[str]:
    return {module.name for module in iter_modules(__path__)}


def _own_files() -> dict[str, Path]:
    return own_modules("families", _library())
