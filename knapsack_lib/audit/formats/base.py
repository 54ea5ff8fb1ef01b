"""What a reader of a format offers, and what it is handed.

A format is one module, here or in the project's own folder formats/, that offers a Format under the
name FORMAT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from knapsack_lib.audit.formats.files import File, Sample
from knapsack_lib.audit.transcripts import Transcript

__all__ = ["File", "Format", "Problems", "Sample"]

LISTED = 20


@dataclass
class Problems:
    """What could not be read: `count` of it, `lines` for the first. `transcripts`: how many episodes
    were read."""

    lines: list[str] = field(default_factory=list)
    count: int = 0
    transcripts: int = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.lines) < LISTED:
            self.lines.append(line)


@dataclass(frozen=True)
class Format:
    """`about`: what it is, in a few words. `keys`: any of these sets of names is in the first object
    of a file. `knows`: where more than the names tells. `beside`: a pattern of the names of files that
    lie beside such files and hold no episode. `last`: asked after the others, since it takes what is
    most general."""

    name: str
    about: str
    read: Callable[[File, Problems], Iterator[Transcript]]
    keys: tuple[frozenset[str], ...] = ()
    knows: Callable[[Sample], bool] | None = None
    beside: str = ""
    last: bool = False

    def takes(self, sample: Sample) -> bool:
        if self.knows is not None:
            return self.knows(sample)
        return any(keys <= sample.names for keys in self.keys)

    def passes(self, name: str) -> bool:
        """Whether a file is one of those that lie beside its files."""
        return bool(self.beside) and re.search(self.beside, name) is not None
