"""What the path of a file says: family, regime, cell.

    place = Place("navigation/stateless/traces.jsonl", above=("study", "data"))
    place.family, place.regime, place.cell     # "navigation", "reset", None

Two layouts are known: data/<family>/<regime>/<file>.jsonl, and
{train}_{runtime}_{difficulty}/<family>/<family>-<task>.json; families may be those of nobody here.
The nearest folder that says something counts. Someone may hand in an inner folder or the file
itself, so that the folders above a source are asked too, where a whole name is meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from knapsack_lib.errors import SPELLINGS
from knapsack_lib.families import family_names
from knapsack_lib.published.files import ARCHIVES

__all__ = ["Place", "folders_above", "known_families"]

REGIMES = ("persistent", "stateless", "reset")
AUTHORS = ("knapsack", "navigation", "rule_diagnosis")  # their families, here or not
WORD = r"[A-Za-z]\w*"
CELL = re.compile(
    r"(?<=/)(base|persistent|stateless|reset)_(persistent|stateless|reset)_(easy|hard|medium)(?=/)"
)
IN_DATA = re.compile(rf"/data/({WORD})/(?:{'|'.join(REGIMES)})/[^/]*$")
IN_CELL = re.compile(rf"{CELL.pattern}/({WORD})/[^/]*$")


@dataclass(frozen=True)
class Place:
    """`name` is a file's path within its source, `above` the folders above it, the nearest last."""

    name: str
    above: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return "/".join(("", *self.above, self.name))

    @property
    def cell(self) -> tuple[str, str, str] | None:
        """(train, runtime, difficulty) of the nearest folder that names a cell."""
        found = [match.groups() for match in CELL.finditer(self.path)]
        train, runtime, difficulty = (
            (SPELLINGS.get(word, word) for word in found[-1]) if found else ("",) * 3
        )
        return (train, runtime, difficulty) if found else None

    @property
    def regime(self) -> str | None:
        """The runtime of training traces."""
        found = self._nearest(REGIMES)
        return None if found is None else SPELLINGS.get(found, found)

    @property
    def family(self) -> str | None:
        """Of training traces, or of a file in the benchmark layout."""
        return self.family_folder or self._nearest(known_families())

    @property
    def family_folder(self) -> str | None:
        """The family whose folder holds the file in one of the two layouts, known here or not."""
        in_cell, in_data = IN_CELL.search(self.path), IN_DATA.search(self.path)
        return in_cell[4] if in_cell else in_data[1] if in_data else None

    def _nearest(self, words: Iterable[str]) -> str | None:
        """The nearest part that holds one of the words, or above the source is one."""
        longest_first = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
        part_of = re.compile(rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])")
        inside = (part_of.search(part) for part in reversed(self.name.split("/")))
        over = (part_of.fullmatch(part) for part in reversed(self.above))
        return next((found[0] for found in (*inside, *over) if found), None)


def folders_above(source: str | Path) -> tuple[str, ...]:
    """The names above what a source holds: of the source itself, where it is a folder or an archive,
    and of the folders next to it upwards, three in all."""
    path = Path(os.path.abspath(source))
    ending = next((one for one in ARCHIVES if path.name.endswith(one)), "")
    own = path.name if path.is_dir() else path.name.removesuffix(ending) if ending else ""
    return tuple(part for part in (*path.parts[:-1], own) if part.strip("/"))[-3:]


def known_families() -> list[str]:
    """Families that a file's name may begin with, whatever folder it is in."""
    return sorted({*family_names(), *AUTHORS})
