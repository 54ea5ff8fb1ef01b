"""What a block needs from before, read from its text, and the statements that define it.

needs = Needs(hand, helpers, records, variables, literal)
needs.of(core)               # every Need of it, in an order in which they can be defined
read_before(core, {"take"})  # what the core reads before it can have called take
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from knapsack_lib.families.varied.hand import Hand
from knapsack_lib.families.varied.records import Records
from knapsack_lib.syntax.names import names_of

__all__ = ["IMPORTS", "Need", "Needs", "read_before", "replaced"]

IMPORTS = {
    "ast": "import ast",
    "json": "import json",
    "combinations": "from itertools import combinations",
    "dataclass": "from dataclasses import dataclass",
    "namedtuple": "from collections import namedtuple",
}


@dataclass(frozen=True)
class Need:
    """A name that a block needs from before, and the statement that defines it."""

    name: str
    kind: str  # import, helper, class, data
    text: str
    wants: Sequence[str] = ()  # what it needs itself


class Needs:
    """`meanings`: every name that a block may need -> the word it stands for. `literal` gives the value of a variable, as a
    text."""

    def __init__(
        self,
        hand: Hand,
        helpers: Mapping[str, str],
        records: Records,
        variables: Sequence[str],
        literal: Callable[[str], str],
    ):
        self._hand, self._helpers, self._records, self._literal = hand, helpers, records, literal
        words = (*helpers, *records.definitions, *(f"${word}" for word in variables))
        self.meanings = {name: name for name in IMPORTS} | {
            hand.named(word): word for word in words
        }

    def of(self, core: str) -> list[Need]:
        """Every name that the core needs, with what these need, in an order in which they can be defined."""
        found: dict[str, Need] = {}

        def add(names: Iterable[str]) -> None:
            for name in names:
                if name in self.meanings and name not in found:
                    need = self._need(name)
                    add(need.wants)
                    found[name] = need

        add(_wanted(core))
        return list(found.values())

    def _need(self, name: str) -> Need:
        word, helpers, classes = self.meanings[name], self._helpers, self._records.definitions
        if word in IMPORTS:
            return Need(name, "import", IMPORTS[word])
        if word in helpers or word in classes:
            text = self._hand.named(helpers[word] if word in helpers else classes[word])
            return Need(name, "helper" if word in helpers else "class", text, _wanted(text))
        word = word[1:]
        held = classes if word in self._records.words else ()
        wants = tuple(map(self._hand.named, held))
        return Need(name, "data", f"{name} = {self._literal(word)}", wants)


@lru_cache(4096)  # helpers are read again in every block
def _wanted(text: str) -> tuple[str, ...]:
    """The names that a text needs, in the order in which they are read; then those that its functions take."""
    names = names_of(ast.parse(text))
    inside = {name for helper in names.helpers.values() for name in helper.reads}
    return (*names.needs, *sorted(names.later | inside))


def read_before(core: str, callables: set[str]) -> dict[str, ast.Name]:
    """Names that the core needs and reads before it can have called one of these, in the order in which it reads them: each
    with the place."""
    tree = ast.parse(core)
    calls = [
        (one.lineno, one.col_offset)
        for one in ast.walk(tree)
        if isinstance(one, ast.Name) and one.id in callables and isinstance(one.ctx, ast.Load)
    ]
    first = min(calls, default=(10**6, 0))
    # Within a line what stands first is not read first, but for what is called itself
    return {
        name: place
        for name, place in names_of(tree).needs.items()
        if place.lineno < first[0]
        or (place.lineno, place.col_offset) == first
        or (name in IMPORTS and (place.lineno, place.col_offset) < first)
    }


def replaced(core: str, place: ast.Name, name: str) -> str:
    """The core with another name at that place."""
    lines = core.split("\n")
    line = lines[place.lineno - 1].encode()
    end = place.col_offset + len(place.id.encode())
    lines[place.lineno - 1] = (line[: place.col_offset] + name.encode() + line[end:]).decode()
    return "\n".join(lines)
