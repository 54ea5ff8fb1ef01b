"""A source, or several, counted: in all, and for each value of a label.

found = audit(["traces.jsonl"], by="model")
found.tally.share("relies"), found.groups["gpt-4"].share("relies"), found.examples
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knapsack_lib.audit.measures import BlockUse, measured
from knapsack_lib.audit.tally import Tally
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.errors import UserError

__all__ = ["Audit", "Example", "audit", "audit_transcripts"]

EXAMPLES = 4  # of each kind


@dataclass(frozen=True)
class Example:
    """A block that shows something: `kind` is relies, restates or missing."""

    kind: str
    transcript_id: str
    use: BlockUse


@dataclass
class Audit:
    """`source`: as it was named. `groups`: value of the label -> its own sums. `unread`: lines and
    files that could not be read, with a line for each of the first."""

    source: str
    tally: Tally = field(default_factory=Tally)
    groups: dict[str, Tally] = field(default_factory=dict)
    unread: int = 0
    unread_lines: tuple[str, ...] = ()
    shown: dict[str, list[tuple[int, int, int, Example]]] = field(default_factory=dict)

    @property
    def examples(self) -> list[Example]:
        """Those that show most, the most telling first."""
        return [
            one
            for kind in self.shown
            for *_, one in sorted(self.shown[kind], key=lambda e: e[:3], reverse=True)
        ]

    def add(self, transcript: Transcript, by: str = "") -> None:
        uses = measured(transcript)
        self.tally.add(uses)
        if by:
            self.groups.setdefault(transcript.labels.get(by, "(none)"), Tally()).add(uses)
        for use in uses:
            for kind, weight in _telling(use):
                kept = self.shown.setdefault(kind, [])
                # The earlier of two that show as much
                example = Example(kind, transcript.transcript_id, use)
                entry = (weight, -self.tally.episodes, -use.number, example)
                if len(kept) < EXAMPLES:
                    heapq.heappush(kept, entry)
                elif entry[:3] > kept[0][:3]:
                    heapq.heapreplace(kept, entry)


def _telling(use: BlockUse) -> Iterable[tuple[str, int]]:
    """(kind, how much it shows): short blocks that do much."""
    long = len(use.step.code) // 400
    if use.missing:
        yield "missing", len(use.relies) - long
    elif use.relies:
        yield "relies", len(use.relies) - long
    elif use.restates:
        yield "restates", len(use.again) + len(use.rewritten) - long


def audit(
    sources: Sequence[str | Path],
    by: str = "",
    format: str = "",
    show: Callable[[int], None] = lambda done: None,
) -> Audit:
    """Count every episode of the sources. `by`: a label to group by; `format`: a reader by name,
    where it cannot be told from the files; `show` is called with the episodes counted so far.

    Raises UserError for a source that cannot be read, that holds no block, or whose episodes do not
    have the label.
    """
    from knapsack_lib.audit.formats import read_transcripts
    from knapsack_lib.audit.formats.base import Problems

    found, problems = Audit(", ".join(map(str, sources))), Problems()
    for source in sources:
        for transcript in read_transcripts(source, format, problems):
            if by and by not in transcript.labels:
                has = ", ".join(sorted(transcript.labels)) or "none"
                raise UserError(f"{transcript.transcript_id} has no label {by!r}; it has: {has}")
            found.add(transcript, by)
            if found.tally.episodes % 100 == 0:
                show(found.tally.episodes)
    if not found.tally.sums["blocks"]:
        raise UserError(
            f"{found.source}: {found.tally.episodes} episodes, and no block of code in them"
        )
    found.unread, found.unread_lines = problems.count, tuple(problems.lines)
    return found


def audit_transcripts(source: str, transcripts: Iterable[Transcript], by: str = "") -> Audit:
    """The same for episodes that are at hand."""
    found = Audit(source)
    for transcript in transcripts:
        found.add(transcript, by)
    return found
