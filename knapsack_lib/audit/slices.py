"""What a block needs of earlier ones, as code that makes it again: a program slice.

    past = Past(provided)
    past.add(statements_of(block_1), held)         # what ran, and what the names hold after it
    past.before(block_2, held)                     # Prefix(code="import json\\nseen = {...}\\n...")

Backwards through what ran, a statement is repeated where it made or may have changed a name that is
needed by then. One that calls a tool, prints or asks is never repeated: the value that the recorded
run held stands there as a literal.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from knapsack_lib.audit.state import Held
from knapsack_lib.audit.statements import Book, Statement, statements_of
from knapsack_lib.syntax.names import names_of

__all__ = ["Past", "Prefix", "Unmade"]


class Unmade(Exception):
    """A value that neither statements nor a literal give; the text says which, in a few words."""


@dataclass(frozen=True)
class Prefix:
    """`code` makes `names`; those of `literals` are written down as values."""

    code: str
    names: frozenset[str]
    literals: frozenset[str]


@dataclass
class Past:
    """The statements that ran, in order. `broken`: those that an error ended, whose effect only the
    recorded run knows."""

    provided: frozenset[str]
    ran: list[Statement] = field(default_factory=list)
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(self.provided)

    def add(
        self, code: str, before: Mapping[str, Held], after: Mapping[str, Held], line: int | None
    ) -> None:
        """A block that ran, to the line that failed (None: to its end). `before` and `after`: what
        names held then. Nothing for what is no block."""
        try:
            found = statements_of(code)
        except (SyntaxError, ValueError, RecursionError):
            return
        unknown = frozenset(after.keys() - before.keys()).difference(
            *(one.affects for one in found)
        )
        same = {name for name, one in before.items() if after.get(name) == one and one.is_told}
        for one in found:
            if line is not None and one.first > line:
                break
            one = self.book.enter(one)
            one = replace(
                one,
                makes=one.makes | (unknown if one.star else frozenset()),
                changes=one.changes - same,
            )
            if line is not None and one.last >= line:
                one = replace(one, speaks=True, sure=frozenset())
            self.ran.append(one)

    def needed(self, code: str, held: Mapping[str, Held]) -> set[str]:
        """The names that a block finds and may take, with all that functions among them take."""
        try:
            names = names_of(ast.parse(code))
        except (SyntaxError, ValueError, RecursionError):
            return set()
        direct = {*names.needs, *names.perhaps, *names.guarded, *names.later}
        return self.book.closure(direct) & held.keys()

    def before(
        self,
        code: str,
        held: Mapping[str, Held],
        literals: Iterable[str] = (),
        again: Collection[str] = (),
    ) -> Prefix:
        """What to put in front of a block. `held`: what names hold as it begins; `literals`: names
        that are to be written down, and `again` those of them that repeated statements change.
        Raises Unmade."""
        wanted, given = self.needed(code, held), set(literals)
        while True:
            chosen, blocked = self._slice(wanted, given, held)
            missing = blocked - given
            if missing:
                given |= self._written(missing, wanted - given, held)
                continue
            later = self.book.closure(name for one in chosen for name in one.later) & held.keys()
            if later <= wanted:
                return Prefix(
                    _text(chosen, given, given.intersection(again), held),
                    frozenset(wanted),
                    frozenset(given),
                )
            wanted |= later

    def _written(self, missing: set[str], wanted: set[str], held: Mapping[str, Held]) -> set[str]:
        """Of names whose statements cannot be repeated, those with a literal; where one has none, the
        wanted names that may be made of it."""
        can = {name for name in missing if name in held and held[name].literal is not None}
        if can:
            return can
        above = {name for name in wanted if held[name].literal is not None}
        if above:
            return above
        name = min(missing)
        kind = "is gone by then" if name not in held else f"holds an {held[name].kind}"
        raise Unmade(f"{name} {kind}, which no literal gives and whose making cannot be repeated")

    def _slice(
        self, wanted: set[str], given: set[str], held: Mapping[str, Held]
    ) -> tuple[list[Statement], set[str]]:
        """(statements to repeat, names that one that speaks has made). It may have changed what it was
        given, too; where no literal could say so, it is taken not to have, and the proof will tell."""
        firm = {name for name, one in held.items() if one.literal is None}
        live, chosen, blocked = wanted - given, list[Statement](), set[str]()
        for one in reversed(self.ran):
            hit = one.affects & live
            if not hit:
                continue
            if one.speaks:
                blocked |= hit - (firm - one.makes)
                live -= one.sure
                continue
            chosen.append(one)
            live = (live - one.sure) | (self.book.closure(one.reads) - given)
        return chosen[::-1], blocked


def _text(
    chosen: list[Statement], given: set[str], again: set[str], held: Mapping[str, Held]
) -> str:
    """Imports, then literals, then the rest in its order; those of `again` once more after the last
    statement that may have changed them."""
    first = [one for one in chosen if one.is_import]
    rest = [one for one in chosen if not one.is_import]
    last = {name: n for n, one in enumerate(rest) for name in one.affects & again}
    lines = [one.text for one in sorted(first, key=lambda one: "__future__" not in one.text)]
    lines += _literals(given, held)
    for number, one in enumerate(rest):
        lines.append(one.text)
        lines += _literals({name for name, place in last.items() if place == number}, held)
    return "\n".join(lines)


def _literals(names: set[str], held: Mapping[str, Held]) -> list[str]:
    first: dict[int, str] = {}
    lines = []
    for name in sorted(names):
        value = held[name]
        changes = (value.literal or "")[:1] in "[{s"  # list, dict, set
        if changes and value.object in first:
            lines.append(f"{name} = {first[value.object]}")
        else:
            first[value.object] = name
            lines.append(f"{name} = {value.literal}")
    return lines
